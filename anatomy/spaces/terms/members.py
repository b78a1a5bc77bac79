"""The members of a space as terms: what one decision puts in is folded once for each reading, and kept.

Converts: one value for each decision into the terms of the diagram that `anatomy.spaces.assembly.assemble` builds, without
building it.
Non-goals: holes inside loops, and noise in a filler: None, and the diagram itself is to be folded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anatomy.ir.equations import settle
from anatomy.ir.graph import Diagram, Equation, Weight
from anatomy.ir.live import live
from anatomy.ir.loop import boxes
from anatomy.ir.poly import Poly
from anatomy.language.choices import SpaceDefinition
from anatomy.language.filling import Filling
from anatomy.language.spaces import fits
from anatomy.spaces.assembly import assembler
from anatomy.spaces.terms.fold import Context, Copying, Folded, closed, context, folded_along, inputs_of, plan_of
from anatomy.spaces.terms.term import Read, Store, Term
from anatomy.spaces.tree.value import Value

Names = dict[str, str]


@dataclass(eq=False)
class Segment:
    """What fills one use of a hole: its axes and sizes here, its weights, and what it has made of its operands so far."""

    filler: Diagram
    axis: Names
    plan: Copying
    sizes: dict[str, Poly]
    weights: tuple[Read, ...]
    equations: tuple[Equation, ...]
    defaults: tuple[tuple[str, Poly], ...]
    hard: bool
    made: dict[tuple[Read, ...], tuple[Read, ...]] = field(default_factory=dict)


@dataclass
class World:
    """Everything that holds under one choice of sizes: those that the space gives, and those that the base licenses (`axis m = n`)."""

    given: Mapping[str, int]
    norm: Callable[[Poly], Poly]
    store: Store
    sizes: dict[str, Poly]
    inputs: tuple[Read, ...]
    weights: tuple[Read, ...]
    equations: tuple[Equation, ...]
    defaults: tuple[tuple[str, Poly], ...]
    segments: dict[tuple[int, int], Segment] = field(default_factory=dict)
    steps: list[dict[tuple[Read, ...], tuple[Read, ...]]] = field(default_factory=list)
    contexts: dict[tuple[Segment, ...], Context] = field(default_factory=dict)
    learned: dict[tuple[Segment, ...], tuple[Term, ...]] = field(default_factory=dict)


class Members:
    """The members of one space as terms.

    >>> from anatomy.target import load_space
    >>> from anatomy.spaces.terms.fold import key
    >>> members = Members(load_space("zoo:spaces/scores"))
    >>> one, two = (("unit", "sharp", "past", "share", "open", "project"), ("plain", "cosine", "past", "share", "open", "project"))
    >>> key(members.fold([Value(v) for v in one])) == key(members.fold([Value(v) for v in two]))
    True
    """

    def __init__(self, definition: SpaceDefinition):
        self.definition = definition
        base = self.base = definition.base
        self.assembler = assembler(definition)
        self.order = live(base)
        nodes = [base.nodes[i] for i in self.order]
        self.simple = not any(n.op.body is not None and n.op.body.holes for n in nodes)
        self.paths = _paths(base)
        self.twins: Names = {}
        """For the path of a tied use the path whose weights it has."""
        for decision in definition.decisions:
            if decision.tied:
                for stays, goes in self.assembler.pairs(decision):
                    self.twins[goes] = self.twins.get(stays, stays)
        self.site = {self.paths[i]: i for i in self.paths}
        self.asked = [(step, base.nodes[i].op.hole) for step, i in enumerate(self.order) if base.nodes[i].op.hole]
        self.forget()

    def __len__(self) -> int:
        """How many terms are held."""
        return sum(len(w.store) for w in self.worlds.values())

    def forget(self) -> None:
        self.worlds: dict[object, World] = {}
        self._under: dict[object, World | None] = {}
        self._needs: dict[tuple[int, int], tuple[tuple[tuple[Poly, Poly], ...], Diagram]] = {}
        self._last: tuple[World, dict[str, Diagram], dict[int, Read], dict[int, Segment]] | None = None

    def fold(self, values: Sequence[Value]) -> Folded | None:
        """The member of these values, or None where it has to be built. Raises as `assemble`."""
        if not self.simple:
            return None
        fillers: dict[str, Diagram] = {}
        given: dict[str, int] = {}
        for k, (decision, value) in enumerate(zip(self.definition.decisions, values, strict=True)):
            if decision.kind == "param":
                given[decision.name] = int(value.label)
            elif decision.kind == "hole":
                if decision.names:
                    parts = self.assembler.apart(decision, value)
                    fillers.update(zip(decision.names, (self.assembler.filler(k, part) for part in parts), strict=True))
                else:
                    filler = self.assembler.filler(k, value)
                    fillers.update((hole, filler) for hole in decision.sites)
        world = self._world(given, fillers)
        if world is None:
            return None
        base, store = self.base, world.store
        start, wires, used = self._taken_up(world, fillers)
        for step in range(start, len(self.order)):
            i = self.order[step]
            node = base.nodes[i]
            reads = tuple([wires[p.wire] for p in node.ports])
            if node.op.hole:
                filler = fillers.get(node.op.hole)
                if filler is None:
                    return None
                segment = world.segments.get((i, id(filler))) or self._segment(world, i, filler)
                if segment.hard:
                    return None
                used[step] = segment
                made = segment.made.get(reads) or self._fill(world, i, segment, reads)
            else:
                made = world.steps[step].get(reads)
                if made is None:
                    seen = [store.renamed(r, dict(p.renames)) for r, p in zip(reads, node.ports, strict=True)]
                    made = world.steps[step][reads] = store.box((i,), node.op, node.own, seen, world.sizes.__getitem__)
            for wire, read in zip(node.outs, made, strict=True):
                wires[wire] = read
        self._last = world, fillers, wires, used
        outs = [world.store.renamed(wires[o.port.wire], dict(o.port.renames)) for o in base.outputs]
        segments = used.values()
        mine = tuple([s for s in segments if s.equations or s.defaults])
        around = world.contexts.get(mine)
        if around is None:
            # Equal equations from two places are one.
            equations = tuple(dict.fromkeys((*(e for s in mine for e in s.equations), *world.equations)))
            defaults = (*world.defaults, *(d for s in mine for d in s.defaults))
            settled = settle((e.left, e.right) for e in equations)
            around = world.contexts[mine] = context(base, settled, equations, defaults, world.sizes.__getitem__)
        weighty = tuple([s for s in segments if s.weights])
        weights = world.learned.get(weighty)
        if weights is None:
            rows = (world.weights, *(s.weights for s in weighty))
            weights = world.learned[weighty] = tuple(dict.fromkeys(r.term for row in rows for r in row))
        return closed(world.store, base, (), world.inputs, outs, weights, around)

    def _taken_up(self, world: World, fillers: Mapping[str, Diagram]) -> tuple[int, dict[int, Read], dict[int, Segment]]:
        """Where the member at hand begins to be another than the last one, with what is known there."""
        if self._last is not None and self._last[0] is world:
            _, before, wires, used = self._last
            self._last = None  # in case that this one fails
            for step, hole in self.asked:
                if fillers.get(hole) is not before.get(hole):
                    return step, wires, used
            return len(self.order), wires, used
        base = self.base
        wires = {i.wire: r for i, r in zip(base.inputs, world.inputs, strict=True)}
        wires.update((w.wire, r) for w, r in zip(base.weights, world.weights, strict=True))
        return 0, wires, {}

    # what is worked out once ----------------------------------------------------------------------

    def _world(self, given: Mapping[str, int], fillers: Mapping[str, Diagram]) -> World | None:
        """The world of a member; None where what a filler needs is not licensed."""
        asking = []
        for step, hole in self.asked:
            i, filler = self.order[step], fillers.get(hole)
            if filler is None:
                return None
            needs = self._needs.get((i, id(filler)))
            if needs is None:
                needs = self._needs[i, id(filler)] = self._needed(i, filler), filler
            asking += needs[0]
        at = (tuple(sorted(given.items())), tuple(asking))
        if at not in self._under:
            self._under[at] = self._licensed(given, asking)
        return self._under[at]

    def _prover(self) -> Filling:
        """A filling of the base that has just begun."""
        made = Filling(self.base, {})
        for a, p in self.base.sizes.items():
            if p != Poly.var(a):
                made.builder.sizes.define(a, p)
        return made

    def _needed(self, i: int, filler: Diagram) -> tuple[tuple[Poly, Poly], ...]:
        """The equations that a filler needs at a use and the base does not prove of itself."""
        table = self._table(i, filler)
        sizes = self._prover().builder.sizes
        pairs = []
        for e in filler.where:
            if e.left.variables() | e.right.variables() <= table.keys():
                left, right = (p.rename(lambda v: table.get(v, v)) for p in (e.left, e.right))
                if not sizes.equal(left, right):
                    pairs.append((left, right))
        return tuple(pairs)

    def _table(self, i: int, filler: Diagram) -> Names:
        """From the axes of a filler's header to those of the base."""
        node = self.base.nodes[i]
        table = fits(node, filler)
        assert not isinstance(table, str), table
        return {formal: node.own[k] for formal, k in table.items()}

    def _licensed(self, given: Mapping[str, int], asking: Sequence[tuple[Poly, Poly]]) -> World | None:
        """What is licensed is licensed in the order of the uses, as `Filling` does."""
        filling = self._prover()
        if not all(filling.prove(left, right) for left, right in asking):
            return None
        sizes = filling.builder.sizes
        at = (tuple(sorted(given.items())), tuple(sorted((a, str(p)) for a, p in sizes.definitions.items())))
        found = self.worlds.get(at)
        if found is None:
            found = self.worlds[at] = self._begun(given, sizes.norm)
        return found

    def _begun(self, given: Mapping[str, int], norm: Callable[[Poly], Poly]) -> World:
        base, store = self.base, Store()

        def known(p: Poly) -> Poly:
            return _decided(norm(p), given)

        sizes = {a: known(p) for a, p in base.sizes.items()}
        said = [Equation(known(e.left), known(e.right), e.span) for e in base.equations]
        said += [
            Equation(sizes[a], Poly.of(given[a]), base.span)
            for a, p in base.sizes.items() if a in given and norm(p) != Poly.var(a) and norm(p) != Poly.of(given[a])
        ]  # fmt: skip
        return World(
            given, norm, store, sizes,
            tuple(inputs_of(store, base, (), sizes.__getitem__)),
            tuple(store.weight(("weight", w.key), w, sizes.__getitem__) for w in base.weights),
            tuple(said),
            tuple((a, known(p)) for a, p in base.defaults if not _given(a, given)),
            steps=[{} for _ in self.order],
        )  # fmt: skip

    def _segment(self, world: World, i: int, filler: Diagram) -> Segment:
        path = self.paths[i]
        axis = self._table(i, filler)
        table = tuple(axis)
        inner = {a: f"{path}.{a}" for a in sorted(filler.sizes) if a not in axis}
        axis |= inner
        twin = self.twins.get(path)
        own = {axis[a]: p for a in inner if (p := filler.sizes[a].rename(lambda v: axis.get(v, v))) != Poly.var(axis[a])}

        def known(p: Poly) -> Poly:
            p = world.norm(p.rename(lambda v: axis.get(v, v)).substitute(own))
            if twin is not None:
                p = p.rename(lambda v: f"{twin}{v[len(path) :]}" if v.startswith(f"{path}.") else v)
            return _decided(p, world.given)

        said: list[tuple[Poly, Poly]] = [(e.left, e.right) for e in filler.equations]
        for e in filler.where:
            if not e.left.variables() | e.right.variables() <= set(table) and e.left.as_variable() in table:
                said.append((e.left, e.right))
        # Sizes of what is inside; those of the header are the hole's.
        sizes = {axis[a]: world.sizes[axis[a]] for a in table} | {axis[a]: known(filler.sizes[a]) for a in inner}
        weights = self._weights(world, i, filler, axis, sizes)
        made = Segment(
            filler, axis, plan_of(filler, axis), world.sizes | sizes, weights or (),
            tuple(Equation(known(a), known(b)) for a, b in said),
            tuple(
                (axis[a], known(p)) for a, p in filler.defaults
                if a in inner and twin is None and not _given(axis[a], world.given)
            ),
            weights is None or any(n.op.random for n in boxes(filler, filler.nodes)),
        )  # fmt: skip
        world.segments[i, id(filler)] = made
        return made

    def _weights(
        self, world: World, i: int, filler: Diagram, axis: Names, sizes: Mapping[str, Poly]
    ) -> tuple[Read, ...] | None:
        """Its weights; those of a tied use are the first one's under the names of this one."""
        path = self.paths[i]
        twin = self.twins.get(path)
        found: list[Read] = []
        if twin is not None:
            if twin not in self.site:
                return None
            first = world.segments.get((self.site[twin], id(filler))) or self._segment(world, self.site[twin], filler)
            for weight, read in zip(filler.weights, first.weights, strict=True):
                theirs = dict(read.term.sized)
                if any(theirs[first.axis[a]] != sizes[axis[a]] for a in weight.layout):
                    return None
                found.append(world.store.read(read.term, 0, tuple((axis[a], first.axis[a]) for a in weight.layout)))
            return tuple(found)
        for weight in filler.weights:
            here = _called(weight, path, axis)
            found.append(world.store.weight(("weight", path, id(filler), weight.key), here, {**world.sizes, **sizes}.__getitem__))
        return tuple(found)

    def _fill(self, world: World, i: int, segment: Segment, reads: tuple[Read, ...]) -> tuple[Read, ...]:
        node, store = self.base.nodes[i], world.store
        views = [store.renamed(r, dict(p.renames)) for r, p in zip(reads, node.ports, strict=True)]
        tag: Hashable = (i, id(segment.filler))
        own = set(node.own)
        outs = folded_along(store, segment.plan, views, segment.weights, segment.sizes.__getitem__, tag)
        lifts = dict.fromkeys(a for v in views for a in v.names if a not in own)
        made = []
        for out in outs:
            missing = {a: world.sizes[a] for a in lifts if a not in out.names}
            made.append(store.repeat(out, missing) if missing else out)
        segment.made[reads] = tuple(made)
        return segment.made[reads]


def _called(weight: Weight, path: str, axis: Names) -> Weight:
    return replace(
        weight, keys=tuple(f"{path}.{k}" for k in weight.keys), lanes=tuple(axis[a] for a in weight.lanes),
        fan_in=tuple(axis[a] for a in weight.fan_in), fan_out=tuple(axis[a] for a in weight.fan_out),
    )  # fmt: skip


def _paths(base: Diagram) -> dict[int, str]:
    """The label of each use of a hole at the top of the base, as `Filling` gives it."""
    filling = Filling(base, {})
    return {i: n.op.site or filling.path(n.op.hole) for i, n in enumerate(base.nodes) if n.op.hole}  # type: ignore[attr-defined]


def _given(axis: str, given: Mapping[str, int]) -> bool:
    return axis.rpartition(".")[2] in given


def _decided(p: Poly, given: Mapping[str, int]) -> Poly:
    """A size in which axes that the space gives a size are numbers, as in `anatomy.spaces.sizing`."""
    return p.substitute({v: Poly.of(given[v.rpartition(".")[2]]) for v in p.variables() if _given(v, given)}) if given else p
