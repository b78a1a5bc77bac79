"""Loops taken apart, so that laws apply inside of them: their boxes stand in the diagram, with states as inputs.

A law holds for whatever the states are. So a diagram whose loops are taken apart may be rewritten anywhere, and it has the
same states as before if it can be closed again, because these are determined step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Input, Kind, Node, Output, Port
from anatomy.ir.live import live
from anatomy.ir.loop import boxes, opened
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.language.loops import Carry, close, compact
from anatomy.ops import Expand
from anatomy.rewrites.finite import lows


@dataclass(frozen=True)
class Loop:
    """One loop that was taken apart: its node, and for each state the places among the inputs and outputs of the open diagram.

    `states` and `lasts` are inputs, `nexts` and `firsts` outputs, the values before the first step.
    """

    node: Node
    kinds: tuple[Kind, ...]
    states: tuple[int, ...]
    lasts: tuple[int, ...]
    nexts: tuple[int, ...]
    firsts: tuple[int, ...]


@dataclass(frozen=True)
class Open:
    """A diagram whose loops are taken apart, with further inputs and outputs behind its own; the loops, those inside others first."""

    diagram: Diagram
    inputs: int
    outputs: int
    loops: tuple[Loop, ...]
    origin: tuple[int, ...] = ()
    """For each box, the box of the diagram that it is, or the loop that it stands in."""

    def closed(self, diagram: Diagram | None = None) -> Diagram:
        """With the loops put back, from the open diagram after it was rewritten.

        Raises Problem E506 where a box on the way from a state to the next one works along the loop.
        """
        diagram = diagram or self.diagram
        return _Closer(self, diagram).run() if self.loops else diagram


def taken_apart(diagram: Diagram) -> Open:
    """The diagram with its loops taken apart, except those in which something is random or may hold -inf.

    >>> from anatomy.errors import Source
    >>> from anatomy.ir.canonical import canonical
    >>> from anatomy.language.program import Program
    >>> text = "axis n diagram f(x: [n]) -> [n] { scan n (s: [] = 0) { next s = tanh(s + x) } out s }"
    >>> f = Program.of(Source("f.anat", text)).get("f")
    >>> found = taken_apart(f)
    >>> [n.op.word for n in found.diagram], canonical(found.closed()) == canonical(f)
    (['0', '+', 'tanh'], True)
    """
    if all(n.op.body is None for n in diagram.nodes):
        return Open(diagram, len(diagram.inputs), len(diagram.outputs), (), tuple(range(len(diagram.nodes))))
    return _Opener(diagram).run()


class _Opener:
    def __init__(self, diagram: Diagram):
        self.diagram = diagram
        self.builder = _builder(diagram, (), ())
        self.inputs = list[Input]()
        self.outputs = list(diagram.outputs)
        self.loops: list[Loop] = []

    def run(self) -> Open:
        d, builder = self.diagram, self.builder
        views: dict[int, View] = {}
        for old in (*(i.wire for i in d.inputs), *(w.wire for w in d.weights)):
            wire = d.wires[old]
            views[old] = builder.wire(wire.axes, wire.kind, wire.name, wire.span)
        self.inputs = [replace(i, wire=views[i.wire].wire) for i in d.inputs]
        origin: list[int] = []
        for k, node in enumerate(d.nodes):
            self.boxes(d, [node], views)
            origin += [k] * (len(builder.nodes) - len(origin))
        own = [replace(o, port=views[o.port.wire].rename(dict(o.port.renames)).port) for o in d.outputs]
        self.outputs[: len(own)] = own
        made = replace(
            d, wires=tuple(builder.wires), nodes=tuple(builder.nodes), inputs=tuple(self.inputs), outputs=tuple(self.outputs),
            weights=tuple(replace(w, wire=views[w.wire].wire) for w in d.weights),
            sizes={a: builder.sizes.of(a) for a in builder.axes},
        )  # fmt: skip
        return Open(made, len(d.inputs), len(d.outputs), tuple(self.loops), tuple(origin))

    def boxes(self, d: Diagram, nodes: Iterable[Node], views: dict[int, View]) -> None:
        for node in nodes:
            given = [views[p.wire].rename(dict(p.renames)) for p in node.ports]
            if node.op.body is not None and not _closed(d, node):
                outs = self.loop(d, node, given)
            else:
                names = [d.wires[w].name for w in node.outs]
                outs = self.builder.add(node.op, node.own, given, node.span, node.frame, names, trusted=True)
            views.update(zip(node.outs, outs, strict=True))

    def state(self, axes: Sequence[str], kind: Kind, name: str) -> tuple[View, int]:
        view = self.builder.wire(axes, kind, name)
        self.inputs.append(Input(name, view.wire, tuple(axes)))
        return view, len(self.inputs) - 1

    def end(self, view: View, axes: Sequence[str]) -> int:
        self.outputs.append(Output(view.port, tuple(axes), kind=self.builder.kind(view)))
        return len(self.outputs) - 1

    def loop(self, d: Diagram, node: Node, given: Sequence[View]) -> tuple[View, ...]:
        body, count = opened(d, node, along=True), node.op.carries
        kinds = tuple(body.wires[i.wire].kind for i in body.inputs[:count])
        names = [body.wires[i.wire].name for i in body.inputs[:count]]
        axes = [i.layout for i in body.inputs[:count]]
        before = [self.state(a, k, n) for a, k, n in zip(axes, kinds, names, strict=True)]
        last = [self.state(a[1:], k, n and f"{n}_last") for a, k, n in zip(axes, kinds, names, strict=True)]
        views = {i.wire: v for i, v in zip(body.inputs, [*(v for v, _ in before), *given[count:]], strict=True)}
        self.boxes(body, body.nodes, views)
        ends = [views[o.port.wire].rename(dict(o.port.renames)) for o in body.outputs]
        nexts = [self.end(self.full(v, a), a) for v, a in zip(ends, axes, strict=False)]
        firsts = [self.end(v, v.axes) for v in given[:count]]
        self.loops.append(Loop(node, kinds, tuple(k for _, k in before), tuple(k for _, k in last), tuple(nexts), tuple(firsts)))
        gives = node.op.gives(node.own)[count : len(ends)]
        extras = [self.full(v, (*node.lifts, *a)) for v, a in zip(ends[count:], gives, strict=True)]
        return (*(v for v, _ in before), *extras, *(v for v, _ in last))

    def full(self, view: View, axes: Sequence[str]) -> View:
        missing = tuple(a for a in axes if a not in view.axes)
        return self.builder.add(Expand(), missing, [view], trusted=True)[0] if missing else view


def _closed(d: Diagram, node: Node) -> bool:
    """Laws hold for finite reals, and noise is drawn anew in every step."""
    body = node.op.body
    assert body is not None
    low = lows(d)
    return bool(lows(body)) or any(p.wire in low for p in node.ports) or any(n.op.random for n in boxes(body, body.nodes))


class _Closer:
    def __init__(self, open: Open, diagram: Diagram):
        self.open, self.diagram = open, diagram
        self.builder = _builder(diagram, diagram.wires, diagram.nodes)
        self.now: dict[int, View] = {}

    def run(self) -> Diagram:
        d, open, builder = self.diagram, self.open, self.builder
        for loop in open.loops:
            self.close(loop)
        outputs = tuple(replace(o, port=self.seen(o.port).port) for o in d.outputs[: open.outputs])
        nodes = [replace(n, ports=tuple(self.seen(p).port for p in n.ports)) for n in builder.nodes]
        made = replace(
            d, inputs=d.inputs[: open.inputs], outputs=outputs, wires=tuple(builder.wires), nodes=tuple(_sorted(nodes)),
            sizes={a: builder.sizes.of(a) for a in builder.axes},
        )  # fmt: skip
        return compact(replace(made, nodes=tuple(made.nodes[i] for i in live(made))))

    def seen(self, port: Port) -> View:
        """What a wire of the open diagram has become."""
        view = View(port.wire, port.renames)
        while view.wire in self.now:
            view = self.now[view.wire].rename(dict(view.renames))
        return view

    def close(self, loop: Loop) -> None:
        d, builder, node = self.diagram, self.builder, loop.node
        carries: list[Carry] = []
        for kind, state, next, first in zip(loop.kinds, loop.states, loop.nexts, loop.firsts, strict=True):
            item = d.inputs[state]
            view = View(item.wire, tuple((a, a) for a in item.layout))
            ends = self.seen(d.outputs[next].port), self.seen(d.outputs[first].port)
            carries.append(Carry(item.name, item.layout[1:], ends[1], view, ends[0], kind, node.span))
        self.check(node.own[0], carries)
        wanted = {self.seen(o.port).wire for k, o in enumerate(d.outputs) if k not in loop.nexts}
        closed = close(builder, 0, node.own[0], carries, (), wanted, node.frame, node.frame, node.span)
        self.now.update(closed.views)
        for last, view in zip(loop.lasts, closed.last, strict=True):
            self.now[d.inputs[last].wire] = view
        builder.nodes[:] = _sorted([replace(n, ports=tuple(self.seen(p).port for p in n.ports)) for n in builder.nodes])

    def check(self, along: str, carries: Sequence[Carry]) -> None:
        """What lies on a way from a state to a next one does the same in every step."""
        nodes = self.builder.nodes
        after, before = {c.state.wire for c in carries}, {c.next.wire for c in carries}
        for node in nodes:
            if any(p.wire in after for p in node.ports):
                after.update(node.outs)
        for node in reversed(nodes):
            if any(w in before for w in node.outs):
                before.update(p.wire for p in node.ports)
        for node in nodes:
            if after.intersection(node.outs) and before.intersection(node.outs):
                moved = (pair for p in node.ports if p.wire in after and p.wire in before for pair in p.renames)
                if along in node.own or any(a != b and along in (a, b) for a, b in moved):
                    raise Problem("E506", f"`{node.op.word}` on the way to the next state works along the loop", axis=along)
        for c in carries:
            if any(a != b and along in (a, b) for a, b in c.next.renames):
                raise Problem("E506", "the next state is read along the loop", axis=along)


def _builder(d: Diagram, wires: Iterable[object], nodes: Iterable[Node]) -> Builder:
    builder = Builder(list(wires), list(nodes), axes=dict.fromkeys(d.sizes))  # type: ignore[arg-type]
    for axis, size in d.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
    builder.serial = max((f.serial for n in d.nodes for f in n.frame), default=0)
    return builder


def _sorted(nodes: Sequence[Node]) -> list[Node]:
    """In an order that respects the wires, near the one given."""
    maker = {w: k for k, n in enumerate(nodes) for w in n.outs}
    done: set[int] = set()
    found: list[Node] = []
    for root in range(len(nodes)):
        stack = [root]
        while stack:
            k = stack[-1]
            wait = [] if k in done else [m for p in nodes[k].ports if (m := maker.get(p.wire)) is not None and m not in done]
            if wait:
                stack.extend(wait)
                continue
            stack.pop()
            if k not in done:
                done.add(k)
                found.append(nodes[k])
    return found
