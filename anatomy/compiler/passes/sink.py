"""What is large only beside a loop goes into it: outer products that it reads, and contractions that read its states.

Converts: a product that only a loop reads, and that has more axes than any of its factors, into a box of the body; a
contraction that alone reads the stacked states, and ends axes of them, into a box of the body and a smaller result.
So neither ever stands in memory for all steps at once.
Non-goals: anything that is not multilinear; what loops with a closed form do.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.note import Note
from anatomy.ir.graph import Diagram, Input, Node, Output, Port, Wire
from anatomy.ir.loop import opened
from anatomy.ir.solve import Solution


def sink(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The same diagram with multilinear neighbours of loops taken into them."""
    if all(node.op.body is None for node in diagram.nodes):
        return diagram
    work = _Sinking(diagram)
    for i, node in enumerate(diagram.nodes):
        if node.op.body is not None:
            before = len(node.ports), len(node.outs)
            work.loop(i, node)
            after = work.nodes[i]
            if after is not None and (len(after.ports), len(after.outs)) != before:
                notes.append(Note("sink", "products that only the loop needs stand inside of it", node.span))
    order = sorted(work.place, key=lambda i: (work.place[i], i))
    return replace(diagram, nodes=tuple(n for i in order if (n := work.nodes[i]) is not None))


class _Sinking:
    def __init__(self, diagram: Diagram):
        self.diagram = diagram
        self.nodes: list[Node | None] = list(diagram.nodes)
        self.place: dict[int, float] = {i: i for i in range(len(diagram.nodes))}

    def loop(self, at: int, node: Node) -> None:
        # Axes over which the loop is vectorised become axes of its body, so that a box in it may name them.
        axes = (*node.own[1:], *node.lifts)
        node = replace(node, op=node.op.within(replace(opened(self.diagram, node), header=axes)), own=(node.own[0], *axes))
        k = node.op.carries
        while k < len(node.ports):
            taken = self.product(node, k)
            if taken is None:
                k += 1
                continue
            self.nodes[taken] = None
            node = self.widened(node, k, self.diagram.nodes[taken])
        self.nodes[at] = node
        for k in range(len(node.outs) - node.op.carries):
            self.readout(at, k)

    # outer products ---------------------------------------------------------------------------------

    def product(self, node: Node, k: int) -> int | None:
        port = node.ports[k]
        made = self.diagram.producer.get(port.wire)
        if made is None or self.nodes[made[0]] is None or len(self.diagram.consumers[port.wire]) != 1:
            return None
        source = self.diagram.nodes[made[0]]
        if source.op.algebra != "multilinear" or source.own or node.own[0] not in port.axes:
            return None
        whole = set(self.diagram.wires[port.wire].axes)
        return made[0] if all(set(p.axes) < whole for p in source.ports) else None

    def widened(self, node: Node, k: int, source: Node) -> Node:
        """The loop with the factors of a product as operands, in place of operand k."""
        body = node.op.body
        assert body is not None
        table = dict(node.ports[k].renames)
        ports = [Port(p.wire, tuple((a, table[b]) for a, b in p.renames)) for p in source.ports]
        wires = list(body.wires)
        inputs = []
        for port in ports:
            layout = tuple(a for a in port.axes if a in node.own[1:])
            given = self.diagram.wires[port.wire]
            inputs.append(Input("", len(wires), layout))
            wires.append(Wire(layout, given.kind, given.name, given.span))
        inner = Node(
            source.op, (), tuple(Port(i.wire, tuple((a, a) for a in i.layout)) for i in inputs), (body.inputs[k].wire,), source.span, source.frame
        )
        changed = replace(
            body, inputs=(*body.inputs[:k], *inputs, *body.inputs[k + 1 :]), wires=tuple(wires), nodes=(inner, *body.nodes)
        )
        return replace(node, op=node.op.within(changed), ports=(*node.ports[:k], *ports, *node.ports[k + 1 :]))

    # contractions of states -------------------------------------------------------------------------

    def readout(self, at: int, k: int) -> None:
        """Take in the one box that reads result k, a contraction over axes of the state."""
        node = self.nodes[at]
        assert node is not None
        readers = self.diagram.consumers[node.outs[k]]
        if len(readers) != 1 or readers[0][0] < 0:
            return
        where, port = readers[0]
        reader = self.nodes[where]
        if reader is None or reader.op.contraction() is None or not reader.own or node.own[0] in reader.own:
            return
        read = reader.ports[port]
        if any(a != b for a, b in read.renames) or not set(reader.own) <= set(read.axes) & set(node.own):
            return
        others = [p for j, p in enumerate(reader.ports) if j != port]
        if any(p.wire in node.outs for p in others) or not {a for p in others for a in p.axes} <= set(read.axes):
            return
        ready = max((self.made(p.wire) for p in others), default=-1.0)
        if any(self.place[i] <= ready for w in node.outs for i, _ in self.diagram.consumers[w] if i >= 0):
            return
        body = node.op.body
        assert body is not None
        wires = list(body.wires)
        inputs, ends = [], []
        for p in others:
            layout = tuple(a for a in p.axes if a in node.own[1:])
            given = self.diagram.wires[p.wire]
            inputs.append(Input("", len(wires), layout))
            ends.append(Port(len(wires), tuple((a, a) for a in layout)))
            wires.append(Wire(layout, given.kind, given.name, given.span))
        states = node.op.carries
        source = body.inputs[k].wire if k < states else body.outputs[k].port.wire
        if k >= states and any(a != b for a, b in body.outputs[k].port.renames):
            return
        axes = tuple(a for a in dict.fromkeys((*body.wires[source].axes, *(a for i in inputs for a in i.layout))) if a not in reader.own)
        ends.insert(port, Port(source, tuple((a, a) for a in body.wires[source].axes)))
        made = self.diagram.wires[reader.outs[0]]
        wires.append(Wire(axes, made.kind, made.name, made.span))
        inner = Node(reader.op, reader.own, tuple(ends), (len(wires) - 1,), reader.span, reader.frame)
        extra = Output(Port(len(wires) - 1, tuple((a, a) for a in axes)), axes)
        changed = replace(
            body, inputs=(*body.inputs, *inputs), wires=tuple(wires), nodes=(*body.nodes, inner), outputs=(*body.outputs, extra)
        )
        outs_now = (*node.outs[: len(node.outs) - states], reader.outs[0], *node.outs[len(node.outs) - states :])
        moved = replace(node, op=node.op.within(changed), ports=(*node.ports, *others), outs=outs_now)
        self.nodes[where], self.nodes[at] = None, moved
        if ready > self.place[at]:
            self.place[at] = ready + 0.5

    def made(self, wire: int) -> float:
        found = self.diagram.producer.get(wire)
        return -1.0 if found is None else self.place[found[0]]
