"""What may be chosen for a hole: diagrams, families, parts of the zoo, each checked against every use of the hole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.op import Problem
from anatomy.language import syntax as s
from anatomy.language.choices import Component, Decision, Refusal
from anatomy.language.filling import fill_one
from anatomy.language.guards import refuse
from anatomy.language.opening import Opened
from anatomy.language.scope import Module, suggestion
from anatomy.language.spaces import fits, members
from anatomy.ops import Hole

if TYPE_CHECKING:
    from anatomy.language.program import Program

NONE = "none"
MAX_TRIALS = 2_000_000
"""Boxes that all trial fillings of one file may copy together."""


def interface(node: Node) -> tuple[object, ...]:
    """What holes that may have the same fillers have in common: ports by position, kind and axes."""
    op = node.op
    assert isinstance(op, Hole)
    kinds = tuple(k.name for k in op.takes_kinds), tuple(k.name for k in op.gives_kinds)
    return op.takes_axes, op.gives_axes, *kinds


def passes(node: Node) -> bool:
    """Whether a hole can hand its first wire on: one result, of its first operand's type."""
    op = node.op
    assert isinstance(op, Hole)
    alike = op.takes_axes[:1] == op.gives_axes and [k.name for k in op.takes_kinds[:1]] == [k.name for k in op.gives_kinds]
    return len(op.gives_axes) == 1 and alike


def unary(node: Node) -> bool:
    """Whether components of a hole may stand one after the other."""
    op = node.op
    assert isinstance(op, Hole)
    return len(op.takes_axes) == 1 and passes(node)


@dataclass
class Offering:
    """The options of one decision: `nodes` are all uses of the holes that it fills."""

    program: Program
    module: Module
    base: Diagram
    holes: tuple[str, ...]
    nodes: tuple[Node, ...]
    form: str = "one"
    components: dict[str, Component] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    failed: bool = False

    @property
    def shown(self) -> str:
        return f"hole `{self.holes[0]}`"

    def __post_init__(self) -> None:
        self.faces = tuple({interface(n): n for n in self.nodes}.values())

    # from text ----------------------------------------------------------------------------------

    def add(self, offer: s.Offer) -> None:
        """One option as written; what is wrong with it is reported."""
        name = offer.name
        if offer.opened:
            self._opened(offer)
        elif name.text == NONE and self.module.find(name) is None:
            self.none(name)
        else:
            found = members(self.program, self.module, name)
            self.failed |= found is None
            for label, filler in found or ():
                self.diagram(label, filler, name)

    def none(self, at: s.Node) -> None:
        if NONE in self.components:
            return
        if not all(map(passes, self.faces)):
            self._report("E604", f"`{NONE}` does not fit {self.shown}: its result is not of the type of its first operand", at)
        else:
            self.components[NONE] = Component(NONE, span=self.module.span(at))

    def diagram(self, label: str, filler: Diagram, at: s.Node, inner: tuple[Decision, ...] = ()) -> None:
        if label in self.components:
            self._report("E204", f"`{label}` is offered twice to {self.shown}", at)
            return
        decided = {site for d in inner for site in (*d.sites, *d.names)}
        left = [hole for hole in filler.holes if hole not in decided]
        problem = self.problem(filler, bool(inner) or self.form == "tree")
        if problem is None and left and self.form == "tree":
            problem = self._grows(filler, left)
        if problem is not None:
            help = f"choose for its holes: `{label} {{ choose {left[0]} in {{ ... }} }}`" if left and self.form != "tree" else ""
            self._report("E604", f"`{label}` does not fit {self.shown}: {problem}", at, help=help)
            return
        if left and self.form != "tree":
            self._report(
                "E605", f"nothing is chosen for hole `{left[0]}` of `{label}`", at,
                help=f"choose for it in the braces of `{label}`",
            )  # fmt: skip
            return
        reason = self.refusal(filler, at)
        if reason is None:
            self.components[label] = Component(label, filler, inner, self.module.span(at))
        elif all(label != r.label for r in self.refused):
            self.refused.append(Refusal(self.holes[0], label, reason))

    def _opened(self, offer: s.Offer) -> None:
        """An option with decisions of its own."""
        from anatomy.language.rooms import Room

        found = self.module.find(offer.name)
        if found is None:
            near = suggestion(offer.name.text, self.module.known())
            self._report("E203", f"there is no diagram `{offer.name.text}`", offer.name, help=f"did you mean `{near}`?" if near else "")
            return
        home, word = found
        if not isinstance(home.names[word], s.DiagramDecl):
            self._report("E601", f"`{offer.name.text}` is not a diagram, and has no holes to decide about", offer.name)
            return
        if word in self.components:
            self._report("E204", f"`{word}` is offered twice to {self.shown}", offer)
            return
        room = Room.of(self.program, self.module, home, word, offer.items)
        if room is None or room.failed:
            self.failed = True
            return
        self.diagram(word, room.opened.base, offer.name, tuple(room.decisions))

    def _report(self, code: str, message: str, at: s.Node, **more: object) -> None:
        self.failed = True
        self.module.report(code, message, at, **more)

    # checks -------------------------------------------------------------------------------------

    def problem(self, filler: Diagram, open: bool = False) -> str | None:
        """Why the ports of a filler do not agree with the hole."""
        for node in self.faces:
            table = fits(node, filler, open)
            if isinstance(table, str):
                return table
        return None

    def _grows(self, filler: Diagram, left: Iterable[str]) -> str | None:
        """Why the holes of a component of a tree cannot hold what the tree is made of."""
        from anatomy.ir.loop import boxes

        wanted = {interface(n) for n in self.faces}
        for node in boxes(filler, filler.nodes):
            if node.op.hole in left and {interface(node)} != wanted:
                return f"its hole `{node.op.hole}` has another interface"
        return None

    def refusal(self, filler: Diagram, at: s.Node) -> str | None:
        """Why a filler that agrees with the hole cannot fill it: an equation that is not proved there."""
        if not _conditional(filler):
            return None
        for hole in self.holes:
            self.program.trials += len(self.base.nodes) + len(filler.nodes)
            if self.program.trials > MAX_TRIALS:
                raise refuse(
                    self.module, "E610", f"the options of this file's spaces would be tried in more than {MAX_TRIALS:,} boxes", at,
                    help="offer less, or make the spaces of smaller diagrams",
                )  # fmt: skip
            reason = refusal(self.base, hole, filler)
            if reason is not None:
                return reason
        return None

    # from the zoo -------------------------------------------------------------------------------

    def from_zoo(self, part: str, default: tuple[str, Diagram] | None, at: s.Node) -> None:
        """The default, then every part of the zoo with this label that fits, each diagram once."""
        from anatomy.language.shelf import labelled

        seen: set[str] = set()
        if default is not None:
            self.diagram(*default, at)
            seen.add(digest(default[1]))
        for offered in labelled(part):
            if offered.digest in seen or self.problem(offered.diagram) is not None:
                continue
            seen.add(offered.digest)
            if offered.label not in self.components:
                self.diagram(offered.label, offered.diagram, at)


def _conditional(filler: Diagram) -> bool:
    """Whether it can depend on the place if a filler fits: by its equations, by indices, by holes that are still open."""
    ports = (*(i.wire for i in filler.inputs), *(o.port.wire for o in filler.outputs))
    return bool(filler.where) or bool(filler.holes) or any(filler.wires[w].kind.name == "index" for w in ports)


def refusal(base: Diagram, hole: str, filler: Diagram) -> str | None:
    """Why a filler, which may have open holes, cannot fill a hole at every use; other holes stay open."""
    try:
        fill_one(base, hole, filler, opened=True)
    except AnatomyError as error:
        return error.diagnostics[0].message
    except Problem as problem:
        return str(problem)
    return None


def tie_problem(opened: Opened, first: str, other: str, components: Sequence[Component]) -> str | None:
    """Why the learners of two holes cannot be one: their fillers would have weights of different sizes."""
    left, right = opened.uses[first], opened.uses[other]
    if len(left) != len(right):
        return f"`{first}` is used {len(left)} times and `{other}` {len(right)} times, and learners are tied use for use"
    for a, b in zip(left, right, strict=True):
        unequal = {k for k, (p, q) in enumerate(zip(a.own, b.own, strict=True)) if not _equal(opened.base, p, q)}
        for component in components if unequal else ():
            if component.diagram is None:
                continue
            table = fits(a, component.diagram, opened=True)
            assert not isinstance(table, str)
            for weight in component.diagram.weights:
                axis = next((x for x in weight.layout if table.get(x) in unequal), None)
                if axis is not None:
                    k = table[axis]
                    return f"weight `{weight.key}` of `{component.label}` would be of size `{a.own[k]}` in `{first}` and `{b.own[k]}` in `{other}`"
    return None


def _equal(base: Diagram, a: str, b: str) -> bool:
    """Sizes that are equal by the equations, or by what `axis m = n` licenses."""
    if a == b:
        return True
    licences: Mapping[str, object] = dict(base.defaults)
    left, right = base.sizes[a], base.sizes[b]
    for _ in range(len(licences) + 1):
        if left == right:
            return True
        free = sorted((left - right).variables() & licences.keys())
        if not free:
            return False
        table = {free[0]: licences[free[0]]}
        left, right = left.substitute(table), right.substitute(table)  # type: ignore[arg-type]
    return False


