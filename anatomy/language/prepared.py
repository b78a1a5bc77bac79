"""Filling one base again and again: what was worked out for a hole and a filler is kept and put together.

Converts: a base and one closed diagram for each of its holes into the diagram that `filling.fill` gives, wire by wire.
Each use of a hole ends a segment of the base. What a segment adds depends on its fillers and on the wires that are
still to be read, so it is made once for each of these, by the builder and with every check, and then remembered.
Non-goals: fillings that rest on a licence (`axis m = n`): they are built anew by `fill`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anatomy.errors import fail
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Equation, Node, Output, Weight, Wire
from anatomy.ir.poly import Poly
from anatomy.language.filling import Filling, fill

MAX_BOXES = 100_000
"""Boxes in the segments that one base remembers, about 100 MB; beyond it all are forgotten."""


@dataclass(frozen=True)
class _State:
    """Where a segment begins: how many wires and walls there are, and what is made of the wires of the base that are still read."""

    wires: int
    serial: int
    seen: Mapping[int, tuple[View, Wire]]
    steps: dict[tuple[int, ...], tuple[_Step, _State]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Step:
    """What a segment adds."""

    wires: tuple[Wire, ...]
    nodes: tuple[Node, ...]
    weights: tuple[Weight, ...]
    sizes: Mapping[str, Poly]
    equations: tuple[Equation, ...]
    defaults: Mapping[str, Poly]
    renamed: tuple[tuple[int, Wire], ...]
    """Wires from before that got their name here."""


class _Licensed(Exception):
    """A filler that fits only because the base licenses an equation."""


class Prepared:
    """A base whose holes are filled many times.

    `fill(fillers, name)` is `filling.fill(base, fillers, name)`, with the same errors; a filler is known by identity, and kept.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d diagram f(x: [n, d]) -> [n, d] { hole h(x: [d]) -> [d] out h(x) } "
    >>> program = Program.of(Source("f.anat", text + "diagram r(x: [d]) -> [d] { out relu(x) }"))
    >>> Prepared(program.get("f")).fill({"h": program.get("r")}, "g")
    <diagram g: 1 boxes, 0 weights>
    """

    def __init__(self, base: Diagram):
        self.base = base
        self.kept: dict[int, Diagram] = {}
        self.refused: set[tuple[int, ...]] = set()
        self.known: dict[object, _State] = {}
        self.made = 0
        cuts = [k + 1 for k, node in enumerate(base.nodes) if _open(node)]
        ends = [*cuts, len(base.nodes)]
        self.segments = [base.nodes[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
        self.asked = [tuple(_open(segment[-1])) if segment else () for segment in self.segments[:-1]]
        self.simple = all(map(_placed, base.nodes))
        self.needed: list[frozenset[int]] = [frozenset(o.port.wire for o in base.outputs)]
        for segment in reversed(self.segments):
            inside = {w for n in segment for w in n.outs}
            self.needed.insert(0, (self.needed[0] | {p.wire for n in segment for p in n.ports}) - inside)
        self._root: _State | None = None

    def fill(self, fillers: Mapping[str, Diagram], name: str) -> Diagram:
        """As `filling.fill`."""
        base = self.base
        for hole in base.holes:
            if hole not in fillers:
                raise fail("E605", f"nothing is chosen for hole `{hole}` of `{base.name}`", base.span)
        if not self.simple:
            return fill(base, fillers, name)
        keys = [tuple(id(fillers[hole]) for hole in holes) for holes in self.asked]
        if self.refused and any((k, *key) in self.refused for k, key in enumerate(keys)):
            return fill(base, fillers, name)
        if self.made > MAX_BOXES:
            self.made, self._root = 0, None
            self.known.clear()
            self.kept.clear()
        state = self._root or self._begin()
        steps: list[_Step] = []
        for k, key in enumerate((*keys, ())):
            found = state.steps.get(key)
            if found is None:
                try:
                    found = self._advance(state, k, fillers)
                except _Licensed:
                    self.refused.add((k, *key))
                    self.kept.update((id(fillers[h]), fillers[h]) for h in self.asked[k])
                    return fill(base, fillers, name)
                state.steps[key] = found
                self.made += 1 + len(found[0].nodes)
            step, state = found
            steps.append(step)
        return self._joined(steps, state, name)

    # the parts that do not change -------------------------------------------------------------------

    def _begin(self) -> _State:
        """The inputs and weights of the base, and its sizes, once."""
        base, builder = self.base, Builder()
        for axis, size in base.sizes.items():
            if size != Poly.var(axis):
                builder.sizes.define(axis, size)
        for axis in base.sizes:
            builder.axis(axis)
        seen: dict[int, View] = {}
        for i in base.inputs:
            seen[i.wire] = builder.input(i.name, i.layout, base.wires[i.wire].kind, i.span)
        for w in base.weights:
            # The key is what the wire is called, as where a weight is declared.
            seen[w.wire] = builder.weight(w.key, w.lanes, w.fan_in, w.fan_out, w.init, w.frozen, w.span)
        self.sizes = builder.sizes
        self.axes = {a: builder.sizes.of(a) for a in builder.axes}
        self.head = tuple(builder.wires)
        self.inputs = tuple(builder.inputs)
        self.weights = tuple(
            Weight(w.keys, new.wire, new.lanes, new.fan_in, new.fan_out, new.init, new.frozen, new.span)
            for w, new in zip(base.weights, builder.weights, strict=True)
        )
        norm = builder.sizes.norm
        self.equations = tuple(Equation(norm(e.left), norm(e.right), e.span) for e in base.equations)
        self.defaults = {a: norm(p) for a, p in base.defaults}
        serial = max((f.serial for n in base.nodes for f in n.frame), default=0)
        self._root = self._state(builder, serial, seen, 0)
        return self._root

    def _state(self, builder: Builder, serial: int, seen: Mapping[int, View], k: int) -> _State:
        live = {w: (seen[w], builder.wires[seen[w].wire]) for w in sorted(self.needed[k])}
        key = (k, len(builder.wires), serial, tuple((w, v, wire, wire.name) for w, (v, wire) in live.items()))
        return self.known.setdefault(key, _State(len(builder.wires), serial, live))

    def _advance(self, state: _State, k: int, fillers: Mapping[str, Diagram]) -> tuple[_Step, _State]:
        """Build one segment after a state."""
        base, filling = self.base, Filling(self.base, fillers)
        builder = filling.builder
        seen = {w: view for w, (view, _) in state.seen.items()}
        before = {view.wire: wire for view, wire in state.seen.values()}
        nothing = Wire(())
        builder.wires = [before.get(w, nothing) for w in range(state.wires)]
        builder.serial = state.serial
        builder.sizes = self.sizes.copy()
        builder.axes = dict.fromkeys(self.axes)
        for node in self.segments[k]:
            views = [seen[p.wire].rename(dict(p.renames)) for p in node.ports]
            if _open(node):
                outs = filling.use(node, views)
            else:
                names = [base.wires[w].name for w in node.outs]
                outs = builder.add(node.op, node.own, views, node.span, node.frame, names, trusted=True)
            seen.update(zip(node.outs, outs, strict=True))
        if filling.licensed:
            raise _Licensed
        if k < len(self.asked):
            for hole in self.asked[k]:
                self.kept[id(fillers[hole])] = fillers[hole]
        norm = builder.sizes.norm
        step = _Step(
            tuple(builder.wires[state.wires :]),
            tuple(builder.nodes),
            tuple(builder.weights),
            {a: builder.sizes.of(a) for a in builder.axes if a not in self.axes},
            tuple(Equation(norm(e.left), norm(e.right), e.span) for e in builder.equations),
            {a: norm(p) for a, p in builder.defaults.items() if a in builder.axes},
            tuple((w, builder.wires[w]) for w, old in before.items() if builder.wires[w] is not old),
        )
        return step, self._state(builder, builder.serial, seen, k + 1)

    def _joined(self, steps: list[_Step], state: _State, name: str) -> Diagram:
        base = self.base
        wires, nodes, weights = list(self.head), [], list(self.weights)
        sizes, equations, defaults = dict(self.axes), [], dict(self.defaults)
        for step in steps:
            wires += step.wires
            nodes += step.nodes
            weights += step.weights
            sizes |= step.sizes
            equations += step.equations
            defaults |= step.defaults
            for w, wire in step.renamed:
                wires[w] = wire
        outputs = []
        for o in base.outputs:
            view = state.seen[o.port.wire][0].rename(dict(o.port.renames))
            outputs.append(Output(view.port, o.layout, o.span, o.kind))
        return Diagram(
            name, self.inputs, tuple(outputs), tuple(weights), tuple(wires), tuple(nodes), sizes, (*equations, *self.equations),
            tuple((a, p) for a, p in defaults.items() if a in sizes), base.declared, base.header, base.where, base.span,
        )  # fmt: skip


def _open(node: Node) -> tuple[str, ...]:
    """The holes of a box: its own, or those in the body of a loop."""
    return node.op.body.holes if node.op.body is not None else (node.op.hole,) if node.op.hole else ()


def _placed(node: Node) -> bool:
    """Whether every hole in it has a path, so that the names of what fills it do not depend on the others."""
    if node.op.body is not None:
        return all(map(_placed, node.op.body.nodes))
    return not node.op.hole or bool(node.op.site)  # type: ignore[attr-defined]
