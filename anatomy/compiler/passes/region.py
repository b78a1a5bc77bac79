"""A diagram under repair: boxes are taken out, others put in before them, and axes of inner boxes get names of their own.

Converts: nothing by itself. It is what passes that replace a region by other boxes have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from anatomy.compiler.likely import Likely
from anatomy.ir.graph import REAL, Diagram, Node, Port, Wire
from anatomy.ir.live import live
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution


class Region:
    """The nodes, wires and sizes of a diagram while a pass rewrites it."""

    def __init__(self, diagram: Diagram):
        self.diagram = diagram
        self.sizes = dict(diagram.sizes)
        self.wires = list(diagram.wires)
        self.nodes: list[Node | None] = list(diagram.nodes)
        self.before: dict[int, list[Node]] = {}
        self.at = 0
        """New boxes stand before this node."""
        self.serial = 0

    def maker(self, port: Port, readers: int = 1) -> Node | None:
        """The box that makes a wire that so many boxes read, under the names of the port."""
        if port.wire >= len(self.diagram.wires) or len(self.diagram.consumers[port.wire]) != readers:
            return None
        return self.source(port)

    def source(self, port: Port) -> Node | None:
        """The box that makes a wire alone, under the names of the port; axes that it ends get names of their own."""
        found = self.end(port)
        return None if found is None or len(found[0].outs) != 1 else found[0]

    def end(self, port: Port) -> tuple[Node, int, int] | None:
        """The box that makes a wire, under the names of the port, its place, and which of its results the wire is."""
        made = self.diagram.producer.get(port.wire)
        node = None if made is None else self.nodes[made[0]]
        if made is None or node is None:
            return None
        table = dict(port.renames)
        for axis in (a for p in node.ports for a in p.axes if a not in table):
            table[axis] = self.fresh(axis)
        for axis in node.own:
            table.setdefault(axis, axis)
        ports = tuple(Port(p.wire, tuple((a, table[b]) for a, b in p.renames)) for p in node.ports)
        return replace(node, own=tuple(table[a] for a in node.own), ports=ports), *made

    def number(self, port: Port) -> Fraction | None:
        """What a wire is, where it is a number of the text."""
        node = self.source(port)
        return None if node is None or node.ports else getattr(node.op, "value", None)

    def past(self, mask: Port, solution: Solution) -> tuple[str, str] | None:
        """The axes of the keys and of the rows, where a mask is `key <= row` for axes of one size."""
        node = self.source(mask)
        if node is None or node.op.word not in ("<=", ">="):
            return None
        ends = [self.source(p) for p in (node.ports if node.op.word == "<=" else node.ports[::-1])]
        found = [n.own[0] for n in ends if n is not None and n.op.word == "iota"]
        if len(found) < 2 or solution.size(self.sizes[found[0]]) != solution.size(self.sizes[found[1]]):
            return None
        return found[0], found[1]

    def fresh(self, axis: str) -> str:
        """Another name for an axis, of the same size."""
        self.serial += 1
        name = f"{axis.partition('~')[0]}~{self.serial}"
        while name in self.sizes:
            self.serial += 1
            name = f"{axis.partition('~')[0]}~{self.serial}"
        self.sizes[name] = self.sizes[axis]
        return name

    def count(self, axes: Iterable[str], solution: Solution) -> float:
        """The number of places of some axes together; a size that is read at run time stands for a likely one."""
        likely, total = Likely(self.diagram, solution), 1.0
        for axis in axes:
            total *= likely(self.sizes[axis])
        return total

    def work(self, node: Node, solution: Solution) -> float:
        """Multiplications of a contraction in pairs, the cheapest pair first."""
        return self.pairs([set(p.axes) for p in node.ports], {a for p in node.ports for a in p.axes} - set(node.own), solution)

    def pairs(self, sets: list[set[str]], keep: set[str], solution: Solution) -> float:
        """The same for operands with these axes, and those that the result keeps."""
        sets, total = list(sets), 0.0
        if len(sets) == 1 and sets[0] - keep:
            return self.count(sets[0], solution)
        while len(sets) > 1:
            costs = [(self.count(sets[i] | sets[j], solution), i, j) for i in range(len(sets)) for j in range(i)]
            cost, i, j = min(costs)
            rest = [x for k, x in enumerate(sets) if k not in (i, j)]
            sets = [*rest, (sets[i] | sets[j]) & (keep.union(*rest) if rest else keep)]
            total += cost
        return total

    def add(self, op: Op, own: Sequence[str], ports: Sequence[Port], like: Node, name: str = "") -> Port:
        """A new box with one result; returns it."""
        gone = set(own) - set(op.gives(tuple(own))[0])
        axes = tuple(dict.fromkeys(a for p in ports for a in p.axes if a not in gone))
        self.wires.append(Wire(axes, REAL, name, like.span))
        self.before.setdefault(self.at, []).append(Node(op, tuple(own), tuple(ports), (len(self.wires) - 1,), like.span, like.frame))
        return Port(len(self.wires) - 1, tuple((a, a) for a in axes))

    def built(self) -> Diagram:
        """The diagram as it stands, without boxes that reach no output."""
        nodes = []
        for i, node in enumerate(self.nodes):
            nodes += self.before.get(i, [])
            if node is not None:
                nodes.append(node)
        made = replace(self.diagram, nodes=tuple(nodes), wires=tuple(self.wires), sizes=self.sizes)
        return replace(made, nodes=tuple(made.nodes[i] for i in live(made)))

def axes(ports: Sequence[Port]) -> set[str]:
    return {a for p in ports for a in p.axes}
