"""Numbers that scale a large product scale a small factor of it instead.

Converts: `dot[e](q, k) / c` into `dot[e](q / c, k)`, where the result has at least twice as many entries as one of the factors, and
`dot[m](w / c, v)` likewise; c is a number of the text and of sizes, neither tiny nor huge. One pass over scores less for each.
Non-goals: factors that are learned; scales that a fused kernel has taken.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.solve import Solution

MOST = 1e4
"""Numbers beyond this or below its inverse stay where they are, for what they guard against."""


def scale(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with scales where they cost least."""
    region = Region(diagram)
    found = False
    for i, node in enumerate(diagram.nodes):
        if node.op.algebra != "multilinear" or not node.own or len(node.ports) < 2:
            continue
        work = _Scales(region, solution, i)
        found |= work.before() | work.after()
        if work.moved:
            notes.append(Note("scale", "a number scales a small factor of the product instead of a large one", node.span))
    return region.built() if found else diagram


class _Scales:
    def __init__(self, region: Region, solution: Solution, at: int):
        self.region, self.solution, self.at = region, solution, at
        self.moved = False

    @property
    def node(self) -> Node:
        node = self.region.nodes[self.at]
        assert node is not None
        return node

    def least(self) -> int:
        """The factor with the fewest entries; numbers do not count."""
        sizes = [self.region.count(p.axes, self.solution) if p.axes else float("inf") for p in self.node.ports]
        return sizes.index(min(sizes))

    def small(self) -> bool:
        """Whether the least factor has at most half as many entries as the result."""
        axes = self.region.wires[self.node.outs[0]].axes
        return 2 * self.region.count(self.node.ports[self.least()].axes, self.solution) <= self.region.count(axes, self.solution)

    def put(self, scaling: Node, number: Port) -> None:
        """Scale the least factor."""
        node, k = self.node, self.least()
        self.region.at = self.at
        ports = list(node.ports)
        ports[k] = self.region.add(scaling.op, (), [ports[k], number], scaling)
        self.region.nodes[self.at] = replace(node, ports=tuple(ports))
        self.moved = True

    def scaling(self, node: Node | None) -> tuple[Port, Port] | None:
        """What a box scales, and the number."""
        if node is None or node.own or len(node.ports) != 2 or node.op.word not in ("*", "/", "dot"):
            return None
        for x, c in (node.ports, node.ports[::-1])[: 1 if node.op.word == "/" else 2]:
            if not c.axes and moderate(self.region, c):
                return x, c
        return None

    def before(self) -> bool:
        """Numbers that scale a large factor."""
        found = False
        for port in self.node.ports:
            contract = self.node.op.contraction()
            rest = tuple(p for p in self.node.ports if p is not port)
            if contract is None or port.axes or len(rest) < 2 or not moderate(self.region, port) or not self.small():
                continue
            self.region.nodes[self.at] = replace(self.node, ports=rest)
            self.put(replace(self.node, op=contract), port)
            found = True
        for k, port in enumerate(self.node.ports):
            made = self.region.maker(port)
            ends = self.scaling(made)
            if made is None or ends is None or 2 * self.region.count(self.node.ports[self.least()].axes, self.solution) > self.region.count(port.axes, self.solution):
                continue
            ports = list(self.node.ports)
            ports[k] = ends[0]
            self.region.nodes[self.at] = replace(self.node, ports=tuple(ports))
            self.put(made, ends[1])
            found = True
        return found

    def after(self) -> bool:
        """Numbers that scale the result."""
        found = False
        while True:
            wire = self.node.outs[0]
            readers = self.region.diagram.consumers[wire]
            if len(readers) != 1 or readers[0][0] < 0:
                return found
            j, k = readers[0]
            reader = self.region.nodes[j]
            ends = self.scaling(reader)
            if reader is None or ends is None or reader.ports[k] is not ends[0] or not self.small():
                return found
            table = dict(ends[0].renames)
            node = self.node
            own = tuple(self.region.fresh(a) for a in node.own)
            table |= dict(zip(node.own, own, strict=True))
            ports = tuple(Port(p.wire, tuple((a, table[b]) for a, b in p.renames)) for p in node.ports)
            number = ends[1]
            self.region.nodes[self.at] = None
            self.region.nodes[j] = replace(node, own=own, ports=ports, outs=reader.outs)
            if self.at in self.region.before:
                self.region.before.setdefault(j, [])[:0] = self.region.before.pop(self.at)
            self.at = j
            self.put(reader, number)
            found = True


def moderate(region: Region, port: Port) -> bool:
    """Whether a wire is a number of the text and of sizes that is neither tiny nor huge, and not 0."""
    node = region.source(port)
    if node is None or port.axes:
        return False
    value = getattr(node.op, "value", None)
    if value is not None and not node.ports:
        return 1 / MOST <= abs(value) <= MOST
    return node.op.word == "size" or (node.op.word in ("sqrt", "*", "neg") and all(moderate(region, p) for p in node.ports))
