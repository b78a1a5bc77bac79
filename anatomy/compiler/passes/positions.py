"""A mask of positions alone, read from the graph as a formula.

Converts: `iota` of the row and of the key, sizes that are known, literals, `+ - * /`, `abs floor max min`, comparisons and
`and or not` into a `Formula`. Arithmetic that floats round is read only where the result of rounding is the exact one: a quotient of
integers may be floored, compared with an exact value or with a quotient of the same divisor, and nothing else.
Non-goals: masks of values, of indices and of other axes; sizes that are read at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from anatomy.compiler.passes.formula import (
    Floor,
    Formula,
    Greater,
    Linear,
    at_least_0,
    both,
    either,
    equals_0,
    floored,
    opposite,
)
from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Port
from anatomy.ir.solve import Solution

GREATEST = 2**20
"""Beyond it constants are not looked at: a float counts no further than 2^24."""
MOST, FOLDS = 1000, 3
"""Boxes of one mask that are looked at, and maxima of one number: every one doubles the cases."""


@dataclass(frozen=True)
class Value:
    """An exact value, or the quotient of an exact value by a whole number, once rounded."""

    exact: Linear
    by: int = 1

    @property
    def quotient(self) -> Linear:
        return self.exact * Fraction(1, self.by)


@dataclass(frozen=True)
class Positions:
    """Masks of one axis of rows and one of keys."""

    region: Region
    solution: Solution
    row: str
    key: str
    looks: list[Port] = field(default_factory=list)

    def formula(self, port: Port) -> Formula | None:
        """The mask at a wire, where it is one of positions."""
        self.looks.append(port)
        node = self.region.source(port)
        if node is None or node.op.body is not None or node.own or len(self.looks) > MOST:
            return None
        word, ports = node.op.word, node.ports
        if word in ("and", "or", "not"):
            parts = [self.formula(p) for p in ports]
            if any(p is None for p in parts):
                return None
            known = [p for p in parts if p is not None]
            return opposite(known[0]) if word == "not" else (both if word == "and" else either)(*known)
        if word not in ("<", "<=", "==", "!="):
            return None
        a, b = (self.value(p) for p in ports)
        if a is None or b is None or (a.by != 1 and b.by != 1 and a.by != b.by):
            return None
        gap = b.quotient - a.quotient
        if word == "<=":
            return at_least_0(gap)
        if word == "<":
            return opposite(at_least_0(-gap))
        return equals_0(gap) if word == "==" else opposite(equals_0(gap))

    def value(self, port: Port) -> Value | None:
        """The number at a wire."""
        self.looks.append(port)
        node = self.region.source(port)
        if node is None or node.op.body is not None or len(self.looks) > MOST:
            return None
        word, ports = node.op.word, node.ports
        if word == "iota":
            return Value(Linear.at("i")) if node.own == (self.row,) else Value(Linear.at("j")) if node.own == (self.key,) else None
        if word == "size":
            total = 1
            for axis in node.own:
                known = self.solution.size(self.region.sizes[axis]).constant()
                if known is None:
                    return None
                total *= known
            return None if total > GREATEST else Value(Linear.of(total))
        if node.own:
            return None
        if not ports:
            number = getattr(node.op, "value", None)
            if not isinstance(number, Fraction) or abs(number) > GREATEST or number.denominator not in (1, 2, 4, 8):
                return None
            return Value(Linear.of(number))
        parts = [self.value(p) for p in ports]
        if any(p is None for p in parts):
            return None
        known = [p for p in parts if p is not None]
        made = alone(word, known[0]) if len(known) == 1 else pair(word, *known) if len(known) == 2 else None
        return None if made is None or large(made.exact) else made


def alone(word: str, x: Value) -> Value | None:
    """A function of one value."""
    if word == "floor":
        return Value(floored(x.exact, x.by))
    if word == "neg":
        return Value(-x.exact, x.by)
    if word == "abs":
        return Value(Linear.at(Greater(x.exact, -x.exact)) if x.exact.terms else Linear.of(abs(x.exact.constant)), x.by)
    return None


def pair(word: str, a: Value, b: Value) -> Value | None:
    """A function of two values."""
    x, y = a.exact, b.exact
    if word == "/":
        divisor = y.constant
        if y.terms or b.by != 1 or a.by != 1 or divisor <= 0 or divisor.denominator != 1:
            return None
        whole = not divisor.numerator & (divisor.numerator - 1)  # a power of two divides without rounding
        return Value(x * Fraction(1, divisor.numerator)) if whole else Value(x, divisor.numerator)
    if a.by != 1 or b.by != 1:
        return None
    if word in ("+", "-"):
        return Value(x + y if word == "+" else x - y)
    if word in ("*", "dot") and not (x.terms and y.terms):
        return Value(x * y.constant if not y.terms else y * x.constant)
    if word in ("max", "min"):
        return Value(Linear.at(Greater(x, y)) if word == "max" else -Linear.at(Greater(-x, -y)))
    return None


def large(x: Linear) -> bool:
    """Whether a factor or the constant might leave the integers that a float counts, or there are too many cases."""
    return folds(x) > FOLDS or any(abs(n) > GREATEST for n in (x.constant, *(f for _, f in x.terms)))


def folds(x: Linear) -> int:
    """How many maxima a combination has, those within others too."""
    return sum(
        folds(t.of) if isinstance(t, Floor) else 1 + folds(t.a) + folds(t.b) if isinstance(t, Greater) else 0 for t, _ in x.terms
    )
