"""Multiply-then-sum becomes one contraction, and contractions of contractions become one n-ary contraction.

Converts: `sum[m](a * b)` to `dot[m](a, b)`; a product or contraction read once by a contraction is taken into it.
Both are the associativity and distributivity of sums and products, for every weight and every lift.
Non-goals: choosing the order of contraction (opt_einsum does, when sizes are known); anything across a nonlinearity.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.note import Note
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.solve import Solution

MOST_OPERANDS = 8


def multilinear(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with its multilinear regions as n-ary contractions."""
    sizes = dict(diagram.sizes)
    nodes: list[Node | None] = list(diagram.nodes)
    made = {w: i for i, node in enumerate(diagram.nodes) for w in node.outs}
    reads: dict[int, int] = {}
    for node in diagram.nodes:
        for port in node.ports:
            reads[port.wire] = reads.get(port.wire, 0) + 1
    for output in diagram.outputs:
        reads[output.port.wire] = reads.get(output.port.wire, 0) + 1
    serial = 0
    for i in range(len(nodes)):
        node = nodes[i]
        if node is None:
            continue
        contraction = node.op.contraction()
        if contraction is None or (len(node.ports) == 1 and not _product(node.ports[0], made, reads, nodes)):
            continue
        if not node.own:
            continue
        node = replace(node, op=contraction)
        own = list(node.own)
        pending = list(node.ports)
        ports: list[Port] = []
        while pending:
            port = pending.pop(0)
            source = _product(port, made, reads, nodes)
            if source is None:
                ports.append(port)
                continue
            if len(ports) + len(pending) + len(source.ports) > MOST_OPERANDS:
                ports.append(port)
                continue
            table = dict(port.renames)
            for axis in source.own:
                serial += 1
                table[axis] = f"{axis}~{serial}"
                sizes[table[axis]] = diagram.sizes[axis] if axis in diagram.sizes else sizes[axis]
                own.append(table[axis])
            pending[:0] = [Port(p.wire, tuple((a, table[b]) for a, b in p.renames)) for p in source.ports]
            nodes[made[port.wire]] = None
        nodes[i] = replace(node, own=tuple(own), ports=tuple(ports))
        if len(ports) > max(2, len(diagram.nodes[i].ports)):
            notes.append(Note("multilinear", f"{len(ports)} factors are contracted together, in the cheapest order", node.span))
    return replace(diagram, nodes=tuple(n for n in nodes if n is not None), sizes=sizes)


def _product(port: Port, made: dict[int, int], reads: dict[int, int], nodes: list[Node | None]) -> Node | None:
    """The product or contraction that makes a wire, when nothing else reads it."""
    if reads.get(port.wire) != 1 or port.wire not in made:
        return None
    source = nodes[made[port.wire]]
    return source if source is not None and source.op.algebra == "multilinear" else None
