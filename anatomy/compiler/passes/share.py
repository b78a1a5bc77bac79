"""What is computed twice is computed once.

Converts: boxes of one operation, with equal operands under some correspondence of their axes and sizes, into one of them.
Non-goals: equality by algebra, which is that of the rewrites; noise, of which no two are one; loops.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.note import Note
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.live import live
from anatomy.ir.solve import Solution

Slots = tuple[str, ...]


def share(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram in which every value is computed once."""
    first: dict[object, Node] = {}
    same: dict[int, tuple[int, Slots]] = {}
    """For a wire: the wire that stands for it, with the standing wire's axes in the order of this one's slots."""
    slots: dict[int, Slots] = {w: diagram.wires[w].axes for w in range(len(diagram.wires))}
    nodes: list[Node] = []
    told: set[int | None] = set()
    for node in diagram.nodes:
        node = replace(node, ports=tuple(_moved(p, same, slots) for p in node.ports))
        nodes.append(node)
        if node.op.random or node.op.body is not None or node.op.hole:
            continue
        seen: dict[str, int] = {}
        ends = []
        for p in node.ports:
            table = dict(p.renames)
            ends.append((p.wire, tuple(seen.setdefault(table[a], len(seen)) for a in slots[p.wire])))
        own = tuple(seen.setdefault(a, len(seen)) for a in node.own)
        sizes = tuple(solution.size(diagram.sizes[a]) for a in seen)
        for w in node.outs:
            slots[w] = tuple(a for a in seen if a in diagram.wires[w].axes)
        key = (type(node.op), node.op, own, tuple(ends), sizes)
        twin = first.setdefault(key, node)
        if twin is not node:
            for w, v in zip(node.outs, twin.outs, strict=True):
                same[w] = (v, slots[w])
            line = node.span.line if node.span else None
            if node.ports and line not in told:
                told.add(line)
                notes.append(Note("share", "what stands here is computed once, and read by more than one", node.span))
    if not same:
        return diagram
    outputs = tuple(replace(o, port=_moved(o.port, same, slots)) for o in diagram.outputs)
    made = replace(diagram, nodes=tuple(nodes), outputs=outputs)
    return replace(made, nodes=tuple(made.nodes[i] for i in live(made)))


def _moved(port: Port, same: dict[int, tuple[int, Slots]], slots: dict[int, Slots]) -> Port:
    """A port that reads the standing wire."""
    if port.wire not in same:
        return port
    wire, names = same[port.wire]
    table = dict(port.renames)
    return Port(wire, tuple((there, table[here]) for there, here in zip(slots[wire], names, strict=True)))
