"""How far a diagram looks: sizes beyond which it does nothing that it does not do below them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from anatomy.ir.graph import Diagram, Node
from anatomy.ir.loop import under
from anatomy.ops import (
    Add,
    Compare,
    Divide,
    Extremum,
    Index,
    Iota,
    Literal,
    Map,
    Multiply,
    Power,
    Shift,
    Size,
    Subtract,
    Unfold,
)
from anatomy.rewrites.trial import largest_place

ARITHMETIC = (Add, Subtract, Multiply, Divide, Power, Map, Extremum)


class Unbounded(Exception):
    """No size shows all that the diagram does."""


@dataclass
class Reach:
    """Positions that are named and steps that are made, along which axes: all in all, since one may follow the other."""

    total: int = 0
    axes: set[str] = field(default_factory=set)
    windows: list[tuple[int, str]] = field(default_factory=list)
    """Steps of windows, each as often as the axis is long."""

    @staticmethod
    def of(diagram: Diagram) -> Reach | None:
        """None where no bound is seen: a size is compared, or a step is repeated by a loop.

        >>> from anatomy.api import parse
        >>> f = parse("axis n, d diagram f(x: [n, d]) -> [n, d] { out shift[n](shift[n](x, 5), 5) }")["f"]
        >>> Reach.of(f).total
        10
        """
        found = Reach()
        try:
            found.walk(diagram, largest_place(diagram), False)
        except Unbounded:
            return None
        return found

    def seen(self, sizes: Mapping[str, int]) -> bool:
        """Whether these sizes go beyond it."""
        total = self.total + sum(step * sizes[a] for step, a in self.windows)
        return all(sizes[a] > total for a in self.axes)

    def walk(self, diagram: Diagram, most: int, repeated: bool) -> None:
        made = {out: node for node in diagram.nodes for out in node.outs}
        numbers: dict[int, bool] = {}
        """Wires that are one known number, and whether a size is in it."""
        for node in diagram.nodes:
            if node.op.body is not None:
                self.walk(under(node), most, True)
            read = [numbers.get(p.wire) for p in node.ports]
            match node.op:
                case Literal():
                    numbers[node.outs[0]] = False
                case Size():
                    numbers[node.outs[0]] = True
                case Extremum() | Map(function="floor" | "abs" | "sign") if True in read:
                    raise Unbounded
                case Compare() if None not in read:
                    if True in read:
                        raise Unbounded
                case Compare() if True in read or False in read:
                    self.compared(node, made)
                case Shift() | Unfold() if repeated:
                    raise Unbounded
                case Shift(by=by):
                    self.add(abs(by), node.own[0])
                case Unfold(step=step):
                    self.windows.append((step, node.own[1]))
                    self.axes.add(node.own[0])
                case Index() if read[0] is not None:
                    self.add(most, node.own[0])
                case op if isinstance(op, ARITHMETIC) and read and None not in read:
                    numbers[node.outs[0]] = True in read
                case _:
                    pass

    def compared(self, node: Node, made: Mapping[int, Node]) -> None:
        """A position against a number; reals are compared nowhere."""
        for port in node.ports:
            other = made.get(port.wire)
            match other and other.op:
                case Iota():
                    assert other is not None
                    self.add(0, other.own[0])
                case Literal(value=value):
                    self.total += int(abs(Fraction(value)))
                case _:
                    raise Unbounded

    def add(self, steps: int, axis: str) -> None:
        self.total += steps
        self.axes.add(axis)
