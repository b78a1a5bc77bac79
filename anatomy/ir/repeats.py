"""Repeating a wire along an axis is no box, except where the axis is worked on: laws S4 and S9."""

from __future__ import annotations

from dataclasses import dataclass, replace

from anatomy.ir.graph import Diagram, Node, Output, Port, Wire
from anatomy.ir.live import live
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class _Read:
    """A wire as its readers find it: the wire under it, its axes, and those that it merely repeats.

    `axes` goes from the reader's names to the wire's; `repeated` to the axis that gives the size.
    """

    wire: int
    axes: dict[str, str]
    repeated: dict[str, str]

    def through(self, port: Port) -> _Read:
        axes = {inner: self.axes[outer] for outer, inner in port.renames if outer in self.axes}
        repeated = {inner: self.repeated[outer] for outer, inner in port.renames if outer in self.repeated}
        return _Read(self.wire, axes, repeated)

    def port(self) -> Port:
        return Port(self.wire, tuple((outer, inner) for inner, outer in self.axes.items()))


def slide(diagram: Diagram) -> Diagram:
    """The diagram with every repeat moved as far towards the outputs as it goes.

    A repeat slides through each box that is vectorised over its axis (S9: `f(repeat x) = repeat f(x)`), and
    ends where another operand has the axis (S4: a broadcast wire is a repeated wire). What remains stands
    before a box that works on the axis and at an output, once for each port. Only live nodes are kept.

    >>> from anatomy.ir.builder import Builder
    >>> from anatomy.ops import Add, Expand, Map
    >>> b = Builder(); x, y = b.input("x", ["n"]), b.input("y", [])
    >>> (r,) = b.add(Expand(), ["n"], [y]); (e,) = b.add(Map("exp"), [], [r]); (s,) = b.add(Add(), [], [x, e])
    >>> [node.op.word for node in slide(b.finish("f", [Output(s.port, ("n",))])).nodes]
    ['exp', '+']
    """
    order = live(diagram)
    repeat = next((diagram.nodes[i].op for i in order if is_repeat(diagram.nodes[i].op)), None)
    if repeat is None:
        return diagram
    return _Slide(diagram, repeat).run(order)


def is_repeat(op: Op) -> bool:
    return op.word == "expand"


class _Slide:
    def __init__(self, diagram: Diagram, repeat: Op):
        self.diagram, self.repeat = diagram, repeat
        self.wires = list(diagram.wires)
        self.sizes: dict[str, Poly] = dict(diagram.sizes)
        self.nodes: list[Node] = []
        self.reads: dict[int, _Read] = {}

    def run(self, order: tuple[int, ...]) -> Diagram:
        for w in {**self.diagram.input_of, **self.diagram.weight_of}:
            self.reads[w] = _Read(w, {a: a for a in self.wires[w].axes}, {})
        for i in order:
            self.node(self.diagram.nodes[i])
        outputs = []
        for output in self.diagram.outputs:
            read = self.reads[output.port.wire].through(output.port)
            outputs.append(Output(self.spread(read, set(read.repeated)).port(), output.layout, output.span, output.kind))
        return replace(
            self.diagram, wires=tuple(self.wires), nodes=tuple(self.nodes), outputs=tuple(outputs), sizes=self.sizes
        )

    def node(self, node: Node) -> None:
        reads = [self.reads[p.wire].through(p) for p in node.ports]
        if is_repeat(node.op):
            read = reads[0]
            self.reads[node.outs[0]] = _Read(read.wire, read.axes, read.repeated | {a: a for a in node.own})
            return
        own = set(node.own)
        free = [node.op.repeats(node.own, k) for k in range(len(reads))]
        reads = [self.spread(r, r.repeated.keys() & own - f) for r, f in zip(reads, free, strict=True)]
        real = {a for r in reads for a in r.axes} | own
        repeated = {a: of for r in reads for a, of in r.repeated.items() if a not in real}
        self.nodes.append(replace(node, ports=tuple(r.port() for r in reads)))
        for wire in node.outs:
            axes = tuple(a for a in self.wires[wire].axes if a not in repeated)
            self.wires[wire] = replace(self.wires[wire], axes=axes)
            self.reads[wire] = _Read(wire, {a: a for a in axes}, repeated)

    def spread(self, read: _Read, axes: set[str]) -> _Read:
        """The wire really repeated along some axes."""
        if not axes:
            return read
        own = []
        for axis in sorted(axes):
            own.append(f"{axis}~{len(self.sizes)}")
            self.sizes[own[-1]] = self.sizes[read.repeated[axis]]
        # The box has axes of its own names, so that it clashes with nothing.
        inner = {a: f"{a}~{len(self.sizes) + k}" for k, a in enumerate(read.axes)}
        self.sizes |= {fresh: self.sizes[read.axes[a]] for a, fresh in inner.items()}
        wire = len(self.wires)
        self.wires.append(Wire((*inner.values(), *own), self.wires[read.wire].kind))
        port = Port(read.wire, tuple((read.axes[a], inner[a]) for a in read.axes))
        self.nodes.append(Node(self.repeat, tuple(own), (port,), (wire,)))
        table = inner | dict(zip(sorted(axes), own, strict=True))
        return _Read(wire, table, {a: of for a, of in read.repeated.items() if a not in axes})
