"""Which wires are positive whatever the inputs and weights are: ranges of entries, exact and outwards."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf, isinf

from anatomy.ir.graph import Diagram, Node
from anatomy.ops import (
    Add,
    Contract,
    Cumsum,
    Divide,
    Expand,
    Gather,
    Iota,
    Literal,
    Map,
    Multiply,
    Power,
    Reduce,
    Size,
    Softmax,
    Subtract,
    Where,
)  # fmt: skip
from anatomy.rewrites.finite import lows

Number = Fraction | float
"""Exact, or infinite."""
LARGEST = 64
"""Exponents beyond it are taken as infinite."""


@dataclass(frozen=True)
class Range:
    """All entries lie between `low` and `high`, and with `above` never at `low`."""

    low: Number = -inf
    high: Number = inf
    above: bool = False

    @property
    def positive(self) -> bool:
        return self.low > 0 or (self.low == 0 and self.above)


CURVES: dict[str, Range] = {
    "sigmoid": Range(Fraction(0), Fraction(1), True),
    "softplus": Range(Fraction(0), inf, True),
    "exp": Range(Fraction(0), inf, True),
    "relu": Range(Fraction(0)),
    "square": Range(Fraction(0)),
    "abs": Range(Fraction(0)),
    "sqrt": Range(Fraction(0)),
    "elu": Range(Fraction(-1), inf, True),
    "tanh": Range(Fraction(-1), Fraction(1), True),
    "sin": Range(Fraction(-1), Fraction(1)),
    "cos": Range(Fraction(-1), Fraction(1)),
}
"""Images of all finite reals."""


def positive(diagram: Diagram) -> frozenset[int]:
    """The wires whose every entry is a real greater than 0, for all finite inputs and weights.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis h diagram f() -> [h] { out 1 - 2 ^ (-5 - iota[h]) } diagram g() -> [h] { out 1 - 2 ^ (-iota[h]) }"
    >>> program = Program.of(Source("f.anat", text))
    >>> [d.outputs[0].port.wire in positive(d) for d in (program.get("f"), program.get("g"))]
    [True, False]
    """
    low = lows(diagram)
    found: dict[int, Range] = {}
    for node in diagram.nodes:
        if len(node.outs) == 1 and diagram.wires[node.outs[0]].kind.name != "mask":
            found[node.outs[0]] = _range(node, [found.get(p.wire, Range()) for p in node.ports], any(p.wire in low for p in node.ports))
    return frozenset(w for w, r in found.items() if r.positive)


def _range(node: Node, given: list[Range], low: bool) -> Range:
    """Of one box; `low` where an operand may hold -inf."""
    match node.op:
        case Literal(value=value):
            return Range(value, value)
        case Size():
            return Range(Fraction(1))
        case Iota():
            return Range(Fraction(0))
        case Softmax():
            return Range(Fraction(0), Fraction(1))
        case _ if low:
            # exp(-inf) is 0.
            return Range(Fraction(0)) if isinstance(node.op, Map) and node.op.function in ("exp", "sigmoid", "softplus") else Range()
        case Map(function=name):
            return _curve(name, given[0])
        case Add():
            return _plus(given[0], given[1])
        case Subtract():
            return _plus(given[0], _minus(given[1]))
        case Multiply():
            return _times(given[0], given[1])
        case Divide():
            return _times(given[0], _over(given[1]))
        case Power():
            return _power(given[0], given[1])
        case Expand() | Gather():
            return given[0]
        case Where():
            a, b = given[1], given[2]
            low_ = min(a.low, b.low)
            return Range(low_, max(a.high, b.high), all(r.above for r in (a, b) if r.low == low_))
        case Reduce(which="mean" | "max" | "min"):
            return given[0]
        case Reduce(which="sum") | Cumsum():
            return Range(given[0].low, inf, given[0].above) if given[0].low >= 0 else Range()
        case Contract():
            whole = Range(Fraction(1), Fraction(1))
            for r in given:
                whole = _times(whole, r)
            return Range(whole.low, inf, whole.above) if whole.low >= 0 else Range()
        case _:
            return Range()


def _curve(name: str, x: Range) -> Range:
    image = CURVES.get(name, Range())
    if name == "neg":
        return _minus(x)
    if name == "exp":
        return Range(*((Fraction(1), inf, x.above) if x.low >= 0 else (Fraction(0), Fraction(1) if x.high <= 0 else inf, True)))
    if name == "relu" and x.low >= 0:
        return x
    if name in ("square", "abs", "sqrt") and x.positive:
        return Range(Fraction(0), inf, True)
    return image


def _minus(x: Range) -> Range:
    return Range(-x.high, -x.low)


def _plus(x: Range, y: Range) -> Range:
    return Range(x.low + y.low, x.high + y.high, x.above or y.above)


def _times(x: Range, y: Range) -> Range:
    """Of ranges without negative numbers; with one such, by its mirror image."""
    if x.high <= 0 and x.low < 0:
        return _minus(_times(_minus(x), y))
    if y.high <= 0 and y.low < 0:
        return _minus(_times(x, _minus(y)))
    if x.low < 0 or y.low < 0:
        return Range()
    above = x.positive and y.positive if 0 in (x.low, y.low) else x.above or y.above
    return Range(_product(x.low, y.low), _product(x.high, y.high), above)


def _product(a: Number, b: Number) -> Number:
    return Fraction(0) if 0 in (a, b) else a * b


def _over(x: Range) -> Range:
    """1 / x."""
    if not x.positive:
        return _minus(_over(_minus(x))) if x.high < 0 else Range()
    return Range(Fraction(0) if isinf(x.high) else 1 / Fraction(x.high), inf if x.low == 0 else 1 / Fraction(x.low), isinf(x.high))


def _power(x: Range, y: Range) -> Range:
    """With a positive base, and exact where that is one number greater than 1."""
    if not x.positive:
        return Range()
    if x.low != x.high or x.low <= 1 or isinf(x.low):
        return Range(Fraction(0), inf, True)
    base = Fraction(x.low)
    low, high = (-inf if y.low < -LARGEST else y.low), (inf if y.high > LARGEST else y.high)
    least = Fraction(0) if isinf(low) else base ** floor(low) if low <= LARGEST else base**LARGEST
    most = inf if isinf(high) else base ** ceil(high) if high >= -LARGEST else base**-LARGEST
    return Range(least, most, least == 0)
