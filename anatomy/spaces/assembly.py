"""From what was decided to a diagram: every hole is filled by the component, or the composite, of its decision.

Converts: a base, decisions and one value for each of them into a closed diagram, equal to the one that a hand would write.
Non-goals: which values there are (`anatomy.spaces.tree`); what a member must satisfy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from weakref import ReferenceType, ref

from anatomy.errors import AnatomyError, fail
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.ir.loop import boxes
from anatomy.ir.op import Problem
from anatomy.language.choices import Component, Decision, SpaceDefinition
from anatomy.language.filling import Joining, refusal
from anatomy.language.prepared import Prepared
from anatomy.ops import Hole
from anatomy.spaces.composites import beside, cell, identity, sequence
from anatomy.spaces.sizing import sized
from anatomy.spaces.tree.value import Value
from anatomy.spaces.tying import tied, uses

MAX_FILLERS = 4_000
"""Composites that one space remembers."""
NONE = "none"


def assemble(definition: SpaceDefinition, values: Sequence[Value], name: str) -> Diagram:
    """The member of a space in which decision k has `values[k]`.

    Every use of a hole is a call of what fills it, so weights are called by paths: `score.W`, `phi.1.F` for the first component
    of a composite, `gate.inner.G` for a hole of the component. Raises AnatomyError: E203 (a component that is not
    offered), E604 (what was chosen does not fit), E605 (nothing is chosen), E402 (an equation is not proved), E310
    (learners that cannot be one).

    >>> from anatomy.target import load_space
    >>> scores = load_space("zoo:spaces/scores")
    >>> chosen = [Value(label) for label in ("plain", "scaled", "past", "share", "gated", "project")]
    >>> [w.key for w in assemble(scores, chosen, "one").weights]
    ['Wq', 'Wk', 'Wv', 'gate.G', 'gate.G.bias', 'leave.Wo']
    """
    return assembler(definition).diagram(values, name)


def assembler(definition: SpaceDefinition) -> Assembler:
    """The one that builds the members of a space, with what it remembers."""
    global _latest
    kept = next((a for d, a in _latest if d() is definition), None)
    if kept is None:
        kept = Assembler(definition.base, definition.decisions)
        _latest = [*((d, a) for d, a in _latest[-7:] if d() is not None), (ref(definition), kept)]
    return kept


_latest: list[tuple[ReferenceType[SpaceDefinition], Assembler]] = []


@dataclass
class Assembler:
    """A base with its decisions; composites are remembered by what they are made of, the rest by `Prepared`."""

    base: Diagram
    decisions: tuple[Decision, ...]
    fillers: dict[tuple[int, Value], Diagram] = field(default_factory=dict)
    inner: dict[int, Assembler] = field(default_factory=dict)
    digests: dict[int, tuple[Diagram, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prepared = Prepared(self.base)
        nodes = [n for n in boxes(self.base, self.base.nodes) if n.op.hole]
        self.holes: dict[str, Hole] = {n.op.hole: n.op for n in reversed(nodes)}  # type: ignore[misc]
        self.ties = [pair for d in self.decisions if d.tied for pair in self.pairs(d)]
        self.offered = [{c.label: c for c in (*((d.otherwise,) if d.otherwise else ()), *d.domain.components)} for d in self.decisions]

    def diagram(self, values: Sequence[Value], name: str, below: Mapping[str, Diagram] | None = None) -> Diagram:
        """The base with what was decided, and with `below` in the holes about which nothing is."""
        if len(values) != len(self.decisions):
            raise fail("E605", f"{len(values)} values for the {len(self.decisions)} decisions of `{self.base.name}`", self.base.span)
        fillers: dict[str, Diagram] = {}
        sizes: dict[str, int] = {}
        for k, (decision, value) in enumerate(zip(self.decisions, values, strict=True)):
            if decision.kind == "param":
                if value.label != NONE:
                    sizes[decision.name] = int(value.label)
            elif decision.kind == "hole" and decision.names:
                for hole, part in zip(decision.names, self.apart(decision, value), strict=True):
                    fillers[hole] = self.filler(k, part)
            elif decision.kind == "hole":
                filler = self.filler(k, value)
                for hole in decision.sites:
                    fillers[hole] = filler
        made = self.prepared.fill(fillers, name) if below is None else Joining(self.base, fillers | dict(below)).result(name)
        made = tied(made, self.ties)
        return sized(made, sizes) if sizes else made

    def filler(self, k: int, value: Value) -> Diagram:
        """What fills the holes of decision k: a component, or a composite of them.

        Raises AnatomyError E203, E604, E605, E402.
        """
        found = self.fillers.get((k, value))
        if found is None:
            if len(self.fillers) >= MAX_FILLERS:
                self.fillers.clear()
                self.digests.clear()
            found = self.fillers[k, value] = self.made(k, value)
        return found

    def refused(self, k: int, value: Value) -> str | None:
        """Why the value of decision k cannot fill its holes, or None when it can; nothing else is decided."""
        decision = self.decisions[k]
        if decision.kind != "hole":
            return None
        try:
            parts = self.apart(decision, value) if decision.names else (value,)
            fillers = [self.filler(k, part) for part in parts]
        except AnatomyError as error:
            return error.diagnostics[0].message
        except Problem as problem:
            return str(problem)
        pairs = zip(decision.names, fillers, strict=True) if decision.names else ((hole, fillers[0]) for hole in decision.sites)
        return next((reason for hole, filler in pairs if (reason := refusal(self.base, hole, filler)) is not None), None)

    # composites -------------------------------------------------------------------------------------

    def made(self, k: int, value: Value) -> Diagram:
        decision = self.decisions[k]
        domain, hole = decision.domain, self.hole(decision)
        if not self.spread(k, value):
            return self.component(k, value, hole)
        parts = [self.filler(k, part) for part in value.parts]
        match domain.form:
            case "seq":
                return sequence(hole, parts, _called(value))
            case "dag":
                return cell(hole, parts, self.marks(parts), value.edges, _called(value))
            case _:
                return beside(hole, parts, domain.join, _called(value))

    def marks(self, parts: Sequence[Diagram]) -> list[str]:
        """What the components are, whatever they are called."""
        for part in parts:
            if id(part) not in self.digests:
                self.digests[id(part)] = part, digest(part)
        return [self.digests[id(part)][1] for part in parts]

    def spread(self, k: int, value: Value) -> bool:
        """Whether a value is several components put together; a component may be called `seq` too."""
        decision = self.decisions[k]
        return value.label == decision.domain.form and value.label not in ("one", "tree") and not decision.names

    def component(self, k: int, value: Value, hole: Hole) -> Diagram:
        decision = self.decisions[k]
        chosen = self.offered[k].get(value.label)
        if chosen is not None and chosen.inner and not value.parts and decision.otherwise is not None and decision.otherwise.label == value.label:
            chosen = decision.otherwise
        if chosen is None and value.label == NONE:
            return identity(hole)
        if chosen is None:
            raise fail("E203", f"`{decision.name}` has no option `{value.label}`", decision.span, help=f"its options are: {', '.join(self.offered[k])}")
        if chosen.diagram is None:
            return identity(hole)
        if decision.domain.form == "tree" and value.parts:
            return self.grown(k, chosen, value)
        if not chosen.inner:
            return chosen.diagram
        return self.within(chosen).diagram(value.parts, chosen.diagram.name)

    def within(self, chosen: Component) -> Assembler:
        """The assembler of a component that has decisions of its own."""
        assert chosen.diagram is not None
        return self.inner.setdefault(id(chosen), Assembler(chosen.diagram, chosen.inner))

    def grown(self, k: int, chosen: Component, value: Value) -> Diagram:
        """A component of a tree: first its own decisions, then what fills the holes that are left, in their order."""
        assert chosen.diagram is not None
        body, own = chosen.diagram, len(chosen.inner)
        decided = {site for d in chosen.inner for site in (*d.sites, *d.names)}
        left = [hole for hole in body.holes if hole not in decided]
        if len(value.parts) != own + len(left):
            raise fail("E605", f"`{chosen.label}` needs {own + len(left)} components below it, and has {len(value.parts)}", body.span)
        below = [self.filler(k, part) for part in value.parts[own:]]
        return self.within(chosen).diagram(value.parts[:own], _called(value), dict(zip(left, below, strict=True)))

    # interfaces -------------------------------------------------------------------------------------

    def hole(self, decision: Decision) -> Hole:
        """The interface that a decision fills. Raises AnatomyError E603."""
        name = (decision.names or decision.sites or (decision.name,))[0]
        if name not in self.holes:
            raise fail("E603", f"`{self.base.name}` has no hole `{name}`", decision.span, help=f"its holes are: {', '.join(self.holes) or 'none'}")
        return self.holes[name]

    def apart(self, decision: Decision, value: Value) -> tuple[Value, ...]:
        """What each of several interchangeable holes gets, in the order of their names; what stands in their stead, each."""
        if value.label != decision.domain.form:
            return (value,) * len(decision.names)
        if len(value.parts) != len(decision.names):
            raise fail("E605", f"{len(value.parts)} components for the {len(decision.names)} holes {', '.join(decision.names)}", decision.span)
        return value.parts

    def pairs(self, decision: Decision) -> list[tuple[str, str]]:
        """The paths whose learners are one: use for use. Raises AnatomyError E310 where a tied hole is used more often or less."""
        first = uses(self.base, decision.sites[0])
        found: list[tuple[str, str]] = []
        for hole in decision.tied:
            if hole == decision.sites[0]:
                continue
            mine = uses(self.base, hole)
            if len(mine) != len(first):
                raise fail(
                    "E310", f"`{decision.sites[0]}` and `{hole}` cannot be tied: one is used {len(first)} times, the other {len(mine)}", decision.span,
                    help="`share` decides for both at once and gives each use its own learners",
                )  # fmt: skip
            found += zip(first, mine, strict=True)
        return found


def _called(value: Value) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
