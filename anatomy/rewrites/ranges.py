"""Between which bounds the entries of a wire lie, for all finite inputs and weights: by sign and by order, nothing finer.

Non-goals: tight bounds, which `anatomy.regularity` gives on a box of inputs; what depends on two wires at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.poly import Poly
from anatomy.rewrites.finite import lows

ZERO, ONE = Fraction(0), Fraction(1)
LARGEST = 64
"""Exponents beyond it are taken as without a bound."""


@dataclass(frozen=True, slots=True)
class Range:
    """`low <= x <= high`, strictly where an end is open; None is no bound."""

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False

    def above(self, bound: Fraction, strictly: bool) -> bool:
        return self.low is not None and (self.low > bound or (self.low == bound and (self.low_open or not strictly)))

    def below(self, bound: Fraction, strictly: bool) -> bool:
        return (-self).above(-bound, strictly)

    @property
    def nonzero(self) -> bool:
        return self.above(ZERO, True) or self.below(ZERO, True)

    def __neg__(self) -> Range:
        return Range(None if self.high is None else -self.high, None if self.low is None else -self.low, self.high_open, self.low_open)

    def __add__(self, other: Range) -> Range:
        low = None if self.low is None or other.low is None else self.low + other.low
        high = None if self.high is None or other.high is None else self.high + other.high
        return Range(low, high, self.low_open or other.low_open, self.high_open or other.high_open)

    def __sub__(self, other: Range) -> Range:
        return self + -other

    def __mul__(self, other: Range) -> Range:
        corners = [_corner(a, b) for a in self._ends for b in other._ends]
        return _hull(corners)

    @property
    def _ends(self) -> tuple[tuple[Fraction | None, bool, int], ...]:
        return (self.low, self.low_open, -1), (self.high, self.high_open, 1)

    @property
    def inverse(self) -> Range:
        """Of `1 / x`; nothing is known where x may be 0."""
        if self.below(ZERO, True):
            return -(-self).inverse
        if not self.above(ZERO, True):
            return ANY
        low = ZERO if self.high is None else 1 / self.high
        return Range(low, 1 / self.low if self.low else None, self.high is None or self.high_open, self.low_open)

    def join(self, other: Range) -> Range:
        """What holds of both."""
        low, low_open = _least(self.low, self.low_open, other.low, other.low_open, -1)
        high, high_open = _least(self.high, self.high_open, other.high, other.high_open, 1)
        return Range(low, high, low_open, high_open)


def _corner(a: tuple[Fraction | None, bool, int], b: tuple[Fraction | None, bool, int]) -> tuple[Fraction | None, bool, int]:
    (x, p, s), (y, q, t) = a, b
    if x is not None and y is not None:
        return x * y, (p and q) or (p and y != 0) or (q and x != 0), 0
    # An infinite end times 0 is 0, and is reached where that 0 is.
    if x == 0:
        return ZERO, p, 0
    if y == 0:
        return ZERO, q, 0
    return None, True, (s if x is None else (x > 0) - (x < 0)) * (t if y is None else (y > 0) - (y < 0))


def _hull(corners: Sequence[tuple[Fraction | None, bool, int]]) -> Range:
    finite = [(v, o) for v, o, _ in corners if v is not None]
    low = None if any(v is None and s < 0 for v, _, s in corners) or not finite else min(v for v, _ in finite)
    high = None if any(v is None and s > 0 for v, _, s in corners) or not finite else max(v for v, _ in finite)
    return Range(low, high, all(o for v, o in finite if v == low), all(o for v, o in finite if v == high))


def _least(a: Fraction | None, p: bool, b: Fraction | None, q: bool, sign: int) -> tuple[Fraction | None, bool]:
    if a is None or b is None:
        return None, False
    if a == b:
        return a, p and q
    return (a, p) if (a > b) == (sign > 0) else (b, q)


ANY = Range()
POSITIVE, NONNEGATIVE = Range(ZERO, None, True), Range(ZERO)
UNIT, SIGNS = Range(ZERO, ONE), Range(-ONE, ONE)


def point(value: Fraction) -> Range:
    return Range(value, value)


def of_size(size: Poly) -> Range:
    """Of a polynomial in sizes, each at least 1: by its coefficients in `1 + u`."""
    value = size.constant()
    if value is not None:
        return point(Fraction(value))
    shifted = size.substitute({v: Poly.var(v) + 1 for v in size.variables()})
    least = Fraction(dict(shifted.terms).get((), 0))
    if all(c >= 0 for m, c in shifted.terms if m):
        return Range(least)
    return Range(None, least) if all(c <= 0 for m, c in shifted.terms if m) else ANY


@dataclass
class Ranges:
    """The wires of a diagram, each when it is asked for."""

    diagram: Diagram
    known: dict[int, Range] = field(default_factory=dict)

    def of(self, wire: int) -> Range:
        """Worked out without recursion, for wires may be far from the inputs."""
        stack = [wire]
        while stack:
            last = stack[-1]
            made = self.diagram.producer.get(last)
            if last in self.known or made is None:
                self.known.setdefault(last, NONNEGATIVE if self.diagram.wires[last].kind.name == "index" else ANY)
                stack.pop()
                continue
            node = self.diagram.nodes[made[0]]
            missing = [p.wire for p in node.ports if p.wire not in self.known]
            if missing and node.op.body is None:
                stack += missing
                continue
            stack.pop()
            self.known[last] = self._box(node, last)
        return self.known[wire]

    def _box(self, node: Node, wire: int) -> Range:
        kind = self.diagram.wires[wire].kind.name
        if kind != "real" or node.op.body is not None:
            return NONNEGATIVE if kind == "index" else ANY
        rule = RULES.get(type(node.op).__name__)
        return ANY if rule is None else rule(self, node)

    def port(self, node: Node, k: int) -> Range:
        return self.known[node.ports[k].wire]

    def masked(self, node: Node) -> bool:
        """Whether the operand may hold -inf."""
        return node.ports[0].wire in lows(self.diagram)

    def product(self, ports: Sequence[Port]) -> Range:
        found, left = point(ONE), list(ports)
        while left:
            p = left.pop(0)
            same = next((q for q in left if q.wire == p.wire and set(q.renames) == set(p.renames)), None)
            x = self.known[p.wire]
            if same is not None:
                left.remove(same)
                x = _square(x)
            found = found * x
        return found


def _square(x: Range) -> Range:
    whole = x * x
    if x.nonzero:
        return whole
    return Range(max(ZERO, whole.low or ZERO), whole.high, False, whole.high_open)


def _summed(x: Range) -> Range:
    """A sum of one term or more."""
    keeps_low, keeps_high = x.above(ZERO, False), x.below(ZERO, False)
    return Range(x.low if keeps_low else None, x.high if keeps_high else None, x.low_open, x.high_open)


def _divide(r: Ranges, n: Node) -> Range:
    return r.port(n, 0) * r.port(n, 1).inverse


def _power(r: Ranges, n: Node) -> Range:
    x, e = r.port(n, 0), r.port(n, 1)
    if x.low is not None and x.low == x.high and x.low > 1:
        low, high = (None if v is None or abs(v) > LARGEST else v for v in (e.low, e.high))
        return Range(ZERO if low is None else x.low ** floor(low), None if high is None else x.low ** ceil(high), low is None)
    if x.above(ZERO, True):
        return POSITIVE
    even = e.low is not None and e.low == e.high and e.low.denominator == 1 and e.low % 2 == 0
    return NONNEGATIVE if (x.above(ZERO, False) or even) and e.above(ZERO, True) else ANY


def _extremum(r: Ranges, n: Node) -> Range:
    a, b = r.port(n, 0), r.port(n, 1)
    return _larger(a, b) if n.op.word == "max" else -_larger(-a, -b)


def _larger(a: Range, b: Range) -> Range:
    low, low_open = max(((x.low, x.low_open) for x in (a, b) if x.low is not None), default=(None, False))
    joined = a.join(b)
    return Range(low, joined.high, low_open, joined.high_open)


def _normalise(r: Ranges, n: Node) -> Range:
    x = r.port(n, 0)
    eps = n.op.eps  # type: ignore[attr-defined]
    if n.op.word == "layernorm" or not isinstance(eps, Fraction) or eps < 0:
        return ANY
    sign = POSITIVE if x.above(ZERO, True) else NONNEGATIVE if x.above(ZERO, False) and eps > 0 else ANY
    if n.op.word == "rmsnorm":
        return sign
    return Range(sign.low if sign.low is not None else -ONE, ONE, sign.low_open)


def _map(r: Ranges, n: Node) -> Range:
    x, masked = r.port(n, 0), r.masked(n)
    positive, nonnegative = x.above(ZERO, True), x.above(ZERO, False)
    match n.op.word:
        case "neg":
            return -x
        case "exp":
            low = x.low + 1 if x.low is not None and x.low >= 0 else ZERO
            return Range(low, ONE if x.below(ZERO, False) else None, x.low_open if low >= 1 else not masked)
        case "sigmoid":
            return Range(ZERO, ONE, not masked, True)
        case "softplus":
            return Range(ZERO, None, not masked)
        case "relu":
            return x if nonnegative else Range(ZERO, None if x.high is None else max(ZERO, x.high))
        case "abs":
            return x if nonnegative else -x if x.below(ZERO, False) else NONNEGATIVE
        case "square":
            return _square(x)
        case "sqrt":
            return POSITIVE if positive else NONNEGATIVE
        case "log":
            return Range(ZERO, None, x.above(ONE, True)) if x.above(ONE, False) else ANY
        case "tanh":
            return Range(ZERO if nonnegative else -ONE, ONE, positive or (not nonnegative and not masked), True)
        case "sign":
            return Range(ONE if positive else ZERO if nonnegative else -ONE, ONE)
        case "floor":
            return NONNEGATIVE if nonnegative else ANY
        case "gelu" | "silu":
            return POSITIVE if positive else NONNEGATIVE if nonnegative else Range(Fraction(-3, 10))
        case "elu":
            return x if nonnegative else Range(-ONE, None if x.high is None else max(ZERO, x.high), not masked)
        case "sin" | "cos":
            return SIGNS
        case "stop":
            return x
    return ANY


def _reduce(r: Ranges, n: Node) -> Range:
    x = r.port(n, 0)
    match n.op.word:
        case "sum":
            return _summed(x)
        case "logsumexp":
            return Range(x.low, None, x.low_open)
        case "mean" | "max" | "min":
            return x
    return ANY


def _joined(r: Ranges, n: Node) -> Range:
    found = r.port(n, 0)
    for k in range(1, len(n.ports)):
        found = found.join(r.port(n, k))
    return found


def _softmax(r: Ranges, n: Node) -> Range:
    return Range(ZERO, ONE, not r.masked(n))


def _literal(r: Ranges, n: Node) -> Range:
    value = n.op.value  # type: ignore[attr-defined]
    return point(value) if isinstance(value, Fraction) else ANY


def _iota(r: Ranges, n: Node) -> Range:
    return NONNEGATIVE


def _same(r: Ranges, n: Node) -> Range:
    return r.port(n, 0)


def _with_zero(r: Ranges, n: Node) -> Range:
    return r.port(n, 0).join(point(ZERO))


RULES: dict[str, Callable[[Ranges, Node], Range]] = {
    "Literal": _literal, "Iota": _iota, "Index": _iota,
    "Size": lambda r, n: of_size(_product([r.diagram.settled.of(r.diagram.sizes[a]) for a in n.own])),
    "Add": lambda r, n: r.port(n, 0) + r.port(n, 1), "Subtract": lambda r, n: r.port(n, 0) - r.port(n, 1),
    "Multiply": lambda r, n: r.product(n.ports), "Divide": _divide, "Power": _power, "Extremum": _extremum,
    "Where": lambda r, n: r.port(n, 1).join(r.port(n, 2)), "Mask": lambda r, n: Range(None, r.port(n, 1).high, False, r.port(n, 1).high_open),
    "Contract": lambda r, n: _summed(r.product(n.ports)), "Reduce": _reduce, "Cumsum": lambda r, n: _summed(r.port(n, 0)),
    "Softmax": _softmax, "Sparsemax": lambda r, n: UNIT, "Entmax": lambda r, n: UNIT, "Sinkhorn": lambda r, n: UNIT,
    "Normalise": _normalise, "Map": _map, "Cat": _joined,
    **dict.fromkeys(("Expand", "Split", "Merge", "Halves", "Sort", "Topk", "Gather"), _same),
    **dict.fromkeys(("Shift", "Unfold"), _with_zero),
}  # fmt: skip
"""How the range of a box follows from those of its operands."""


def _product(sizes: Sequence[Poly]) -> Poly:
    found = Poly.of(1)
    for size in sizes:
        found = found * size
    return found
