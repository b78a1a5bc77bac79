"""A diagram under repair: boxes are taken out, others put in before them, and axes of inner boxes get names of their own.

Converts: nothing by itself. It is what passes that replace a region by other boxes have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.ir.graph import REAL, Diagram, Node, Port, Wire
from anatomy.ir.live import live
from anatomy.ir.op import Op


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

    def fresh(self, axis: str) -> str:
        """Another name for an axis, of the same size."""
        self.serial += 1
        name = f"{axis.partition('~')[0]}~{self.serial}"
        while name in self.sizes:
            self.serial += 1
            name = f"{axis.partition('~')[0]}~{self.serial}"
        self.sizes[name] = self.sizes[axis]
        return name

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
