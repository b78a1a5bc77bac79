"""A loop is made as small as it can be: what lies on no way from a state back to it is an ordinary box beside it.

Converts: boxes that read placeholder states, elaborated as lanes of the loop's axis, into `Scan` nodes and the rest.
Each strongly connected part of the graph with its feedback edges becomes one loop. So a mechanism has one
graph, however much of it was written inside the braces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from anatomy.errors import Span
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import REAL, Diagram, Frame, Input, Kind, Node, Output, Port, Renames, Wire
from anatomy.ir.loop import under
from anatomy.ir.poly import Poly
from anatomy.ops import Expand, Scan


@dataclass
class Carry:
    """A state in the making: its declared axes, its first value, the placeholder wire, what follows."""

    name: str
    axes: tuple[str, ...]
    init: View
    state: View
    next: View
    kind: Kind = REAL
    span: Span | None = None


@dataclass
class Closed:
    """What the placeholders and the wires made from them have become, and the states after the last step."""

    views: dict[int, View]
    last: list[View]

    def view(self, old: View) -> View:
        if old.wire not in self.views:
            return old
        return self.views[old.wire].rename(dict(old.renames))


def close(
    builder: Builder, start: int, axis: str, carries: Sequence[Carry], lanes: Iterable[str],
    wanted: Iterable[int], frame: tuple[Frame, ...], inner: tuple[Frame, ...], span: Span | None = None,
) -> Closed:  # fmt: skip
    """Replace the nodes from `start` on by loops and ordinary nodes.

    `wanted` are wires that must be had outside, `lanes` the axes of the SIMD boxes around the loop, `frame` the walls
    of a loop and `inner` those of what stands in its SIMD box.
    """
    return _Closing(builder, start, axis, carries, frozenset(lanes), frozenset(wanted), frame, inner, span).run()


class _Closing:
    def __init__(
        self, builder: Builder, start: int, axis: str, carries: Sequence[Carry], lanes: frozenset[str],
        wanted: frozenset[int], frame: tuple[Frame, ...], inner: tuple[Frame, ...], span: Span | None,
    ):  # fmt: skip
        self.builder, self.axis, self.carries, self.lanes = builder, axis, carries, lanes
        self.frame, self.inner, self.span = frame, inner, span
        self.nodes = builder.nodes[start:]
        del builder.nodes[start:]
        self.maker = {w: i for i, node in enumerate(self.nodes) for w in node.outs}
        self.state = {c.state.wire: k for k, c in enumerate(carries)}
        self.wanted = wanted
        self.views: dict[int, View] = {}
        self.last: list[View] = [c.init for c in carries]

    def run(self) -> Closed:
        for nodes, states in self.parts():
            if states:
                self.loop(nodes, states)
            else:
                self.box(self.nodes[nodes[0]])
        return Closed(self.views, self.last)

    def seen(self, port: Port) -> View:
        view = self.views.get(port.wire)
        return View(port.wire, port.renames) if view is None else view.rename(dict(port.renames))

    def box(self, node: Node) -> None:
        if all(p.wire not in self.views for p in node.ports):
            self.builder.nodes.append(node)
            return
        names = [self.builder.wires[w].name for w in node.outs]
        outs = self.builder.add(node.op, node.own, [self.seen(p) for p in node.ports], node.span, node.frame, names, trusted=True)
        for old, view in zip(node.outs, outs, strict=True):
            self.builder.wires[view.wire] = _placed(self.builder.wires[view.wire], self.builder.wires[old])
            self.views[old] = view

    # which nodes belong together ------------------------------------------------------------------

    def parts(self) -> list[tuple[list[int], list[int]]]:
        """Nodes and states, in an order that respects the wires, those on one circle together (Tarjan, 1972).

        A vertex is a node, or `count + k` for state k, which follows from what its `next` reads.
        """
        count = len(self.nodes)
        total = count + len(self.carries)

        def before(v: int) -> list[int]:
            wires = [self.carries[v - count].next.wire] if v >= count else [p.wire for p in self.nodes[v].ports]
            found = [self.maker[w] if w in self.maker else count + self.state[w] for w in wires if w in self.maker or w in self.state]
            return sorted(set(found))

        index: dict[int, int] = {}
        low: dict[int, int] = {}
        path: list[int] = []
        on = set[int]()
        found: list[tuple[list[int], list[int]]] = []
        for root in range(total):
            if root in index:
                continue
            stack = [(root, iter(before(root)))]
            index[root] = low[root] = len(index)
            path.append(root)
            on.add(root)
            while stack:
                v, rest = stack[-1]
                for u in rest:
                    if u not in index:
                        index[u] = low[u] = len(index)
                        path.append(u)
                        on.add(u)
                        stack.append((u, iter(before(u))))
                        break
                    if u in on:
                        low[v] = min(low[v], index[u])
                else:
                    stack.pop()
                    if stack:
                        low[stack[-1][0]] = min(low[stack[-1][0]], low[v])
                    if low[v] == index[v]:
                        part = path[path.index(v) :]
                        del path[-len(part) :]
                        on.difference_update(part)
                        found.append((sorted(u for u in part if u < count), sorted(u - count for u in part if u >= count)))
        return found

    # one loop -------------------------------------------------------------------------------------

    def loop(self, members: list[int], states: list[int]) -> None:
        nodes = [self.nodes[i] for i in members]
        carries = [self.carries[k] for k in states]
        outside = {p.wire for i, n in enumerate(self.nodes) if i not in set(members) for p in n.ports}
        outside |= {c.next.wire for k, c in enumerate(self.carries) if k not in states} | self.wanted
        extras = [w for n in nodes for w in n.outs if w in outside]
        lifted = self.lifted(nodes, carries)
        gone = lifted | self.lanes | {self.axis}
        wires: list[Wire] = []
        inputs: list[Input] = []
        number: dict[int, int] = {}

        def wire(axes: Iterable[str], kind: Kind, name: str, at: Span | None) -> int:
            wires.append(Wire(tuple(axes), kind, name, at))
            return len(wires) - 1

        for carry in carries:
            axes = tuple(a for a in carry.axes if a not in lifted)
            number[carry.state.wire] = wire(axes, carry.kind, carry.name, carry.span)
            inputs.append(Input("", number[carry.state.wire], axes, carry.span))
        operands = [self.first(c, lifted, nodes, carries) for c in carries]
        known: dict[tuple[int, str | None], tuple[int, dict[str, str]]] = {}

        def port(p: Port) -> Port:
            if p.wire in number:
                return Port(number[p.wire], tuple((a, b) for a, b in p.renames if b not in gone))
            view = self.seen(p)
            key = (view.wire, next((a for a, b in view.renames if b == self.axis), None))
            if key not in known:
                layout = [b for _, b in view.renames if b not in gone]
                source = self.builder.wires[view.wire]
                w = wire(layout, source.kind, source.name, source.span)
                inputs.append(Input("", w, tuple(layout), source.span))
                operands.append(view)
                known[key] = w, dict(view.renames)
            w, names = known[key]
            return Port(w, tuple((names[a], b) for a, b in view.renames if b not in gone))

        inside: list[Node] = []
        for node in nodes:
            ports = tuple(map(port, node.ports))
            for w in node.outs:
                old = self.builder.wires[w]
                number[w] = wire((a for a in old.axes if a not in gone), old.kind, old.name, old.span)
            inside.append(Node(node.op, node.own, ports, tuple(number[w] for w in node.outs), node.span, node.frame[len(self.inner) :]))
        outputs: list[Output] = []
        for carry in carries:
            end = port(carry.next.port)
            outputs.append(Output(end, tuple(a for a in carry.axes if a not in lifted)))
        for w in extras:
            axes = wires[number[w]].axes
            outputs.append(Output(Port(number[w], tuple((a, a) for a in axes)), axes))
        used = (a for n in inside for a in (*n.own, *(b for p in n.ports for pair in p.renames for b in pair)))
        header = tuple(dict.fromkeys((*(a for w in wires for a in w.axes), *used, *(w.kind.axis for w in wires if w.kind.axis and w.kind.axis not in gone))))
        sizes = {a: Poly.var(a) for a in header}
        body = Diagram("", tuple(inputs), tuple(outputs), (), tuple(wires), tuple(inside), sizes, header=header)
        names = [c.name for c in carries]
        words = [*names, *(self.builder.wires[w].name for w in extras), *(f"{n}_last" if n else "" for n in names)]
        span = self.span or carries[0].span
        outs = self.builder.add(Scan(body, len(carries)), (self.axis, *header), operands, span, self.frame, words, trusted=True)
        for carry, view in zip(carries, outs, strict=False):
            self.builder.wires[view.wire] = _placed(self.builder.wires[view.wire], self.builder.wires[carry.state.wire])
            self.views[carry.state.wire] = view
        for w, view in zip(extras, outs[len(carries) :], strict=False):
            self.builder.wires[view.wire] = _placed(self.builder.wires[view.wire], self.builder.wires[w])
            self.views[w] = view
        for k, view in zip(states, outs[len(carries) + len(extras) :], strict=True):
            self.last[k] = view

    def lifted(self, nodes: Sequence[Node], carries: Sequence[Carry]) -> frozenset[str]:
        """Axes that every state has and that no box in the loop names or renames: the loop is vectorised over them."""
        ends = [p for n in nodes for p in n.ports] + [c.next.port for c in carries]
        inside = _wires(nodes, carries)
        touched = {a for n in nodes for a in n.own}
        read: dict[int, Renames] = {}
        for p in ends:
            if p.wire in inside:
                touched |= {a for pair in p.renames if pair[0] != pair[1] for a in pair}
            elif set(read.setdefault(p.wire, p.renames)) != set(p.renames):
                touched |= {b for _, b in (*p.renames, *read[p.wire])}
        return frozenset.intersection(*(frozenset(c.axes) for c in carries)) - touched

    def first(self, carry: Carry, lifted: frozenset[str], nodes: Sequence[Node], carries: Sequence[Carry]) -> View:
        """The initial state, repeated along lifts that nothing else in the loop has."""
        view = self.seen(carry.init.port)
        inside = _wires(nodes, carries)
        ends = [p for n in nodes for p in n.ports] + [c.next.port for c in carries] + [c.init.port for c in carries]
        others = {a for p in ends if p.wire not in inside for a in self.seen(p).axes}
        missing = [a for a in carry.axes if a in lifted and a not in view.axes and a not in others]
        if missing:
            (view,) = self.builder.add(Expand(), missing, [view], carry.span, self.frame, trusted=True)
        return view


def _wires(nodes: Sequence[Node], carries: Sequence[Carry]) -> set[int]:
    return {w for n in nodes for w in n.outs} | {c.state.wire for c in carries}


def reopen(
    builder: Builder, node: Node, views: Sequence[View], use: Callable[[Node, list[View]], tuple[View, ...]]
) -> tuple[View, ...]:
    """Copy a loop in with its holes filled by `use`; what a filler takes out of the circle leaves the loop."""
    body, count, along = under(node), node.op.carries, node.own[0]
    lanes = dict.fromkeys(a for v in views for a in v.axes if a not in node.own)
    inner = node.frame
    start = len(builder.nodes)
    wires: dict[int, View] = {}
    for k, item in enumerate(body.inputs):
        wire = body.wires[item.wire]
        wires[item.wire] = builder.wire((along, *item.layout), wire.kind, wire.name, wire.span) if k < count else views[k]
    for step in body.nodes:
        step = replace(step, frame=(*inner, *step.frame))
        given = [wires[p.wire].rename(dict(p.renames)) for p in step.ports]
        if step.op.hole or (step.op.body is not None and step.op.body.holes):
            outs = use(replace(step, outs=()), given)
            for old, view in zip(step.outs, outs, strict=True):
                builder.wires[view.wire] = _placed(builder.wires[view.wire], body.wires[old])
        else:
            names = [body.wires[w].name for w in step.outs]
            outs = builder.add(step.op, step.own, given, step.span, step.frame, names, trusted=True)
        wires.update(zip(step.outs, outs, strict=True))
    ends = [wires[o.port.wire].rename(dict(o.port.renames)) for o in body.outputs]
    carries = [
        Carry(body.wires[i.wire].name, i.layout, views[k], wires[i.wire], ends[k], body.wires[i.wire].kind, i.span)
        for k, i in enumerate(body.inputs[:count])
    ]
    closed = close(builder, start, along, carries, lanes, {v.wire for v in ends[count:]}, node.frame, node.frame, node.span)
    results = [*(closed.view(c.state) for c in carries), *(closed.view(v) for v in ends[count:]), *closed.last]
    for k, (view, given) in enumerate(zip(results, node.op.gives(node.own), strict=True)):
        missing = [a for a in (*lanes, *given) if a not in view.axes]
        if missing:
            (results[k],) = builder.add(Expand(), missing, [view], node.span, node.frame, trusted=True)
    return tuple(results)


def _placed(new: Wire, old: Wire) -> Wire:
    return Wire(new.axes, new.kind, new.name or old.name, old.span or new.span)


def compact(diagram: Diagram) -> Diagram:
    """The diagram without wires that nothing makes."""
    kept = [i.wire for i in diagram.inputs] + [w.wire for w in diagram.weights] + [w for n in diagram.nodes for w in n.outs]
    if len(kept) == len(diagram.wires):
        return diagram
    number = {old: new for new, old in enumerate(sorted(kept))}

    def port(p: Port) -> Port:
        return Port(number[p.wire], p.renames)

    return replace(
        diagram,
        inputs=tuple(replace(i, wire=number[i.wire]) for i in diagram.inputs),
        weights=tuple(replace(w, wire=number[w.wire]) for w in diagram.weights),
        wires=tuple(diagram.wires[w] for w in sorted(kept)),
        nodes=tuple(
            replace(n, ports=tuple(map(port, n.ports)), outs=tuple(number[w] for w in n.outs)) for n in diagram.nodes
        ),
        outputs=tuple(replace(o, port=port(o.port)) for o in diagram.outputs),
    )
