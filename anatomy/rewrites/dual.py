"""Float64 numbers with a derivative along one random direction: where two functions agree, so do these.

A directional derivative along a random direction shows every difference of gradients with probability 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

Dual = tuple[float, float]
NAN, INF = math.nan, math.inf


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.7 else INF if x == x else NAN


def _logistic(x: float) -> float:
    if x != x:
        return NAN
    return 1 / (1 + _exp(-x)) if x >= 0 else _exp(x) / (1 + _exp(x))


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -INF if x == 0 else NAN


def _root(x: float) -> float:
    return math.sqrt(x) if x >= 0 else NAN


def quotient(a: float, b: float) -> float:
    """As IEEE 754 has it, where Python raises."""
    if b:
        return a / b
    return NAN if not a or a != a or b != b else math.copysign(INF, a) * math.copysign(1, b)


def _raised(x: float, e: float) -> float:
    """`x ^ e` as IEEE 754 has it, where Python raises."""
    try:
        return x**e
    except ZeroDivisionError:
        return INF
    except OverflowError:
        return -INF if x < 0 and e % 2 else INF


def _sign(x: float) -> float:
    return NAN if x != x else float((x > 0) - (x < 0))


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi) if x == x else NAN


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _flat(x: float) -> float:
    return 0.0


FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "neg": (lambda x: -x, lambda x: -1.0),
    "exp": (_exp, _exp),
    "log": (_log, lambda x: quotient(1, x)),
    "sqrt": (_root, lambda x: quotient(0.5, _root(x))),
    "abs": (abs, _sign),
    "sign": (_sign, _flat),
    "floor": (lambda x: float(math.floor(x)) if math.isfinite(x) else x, _flat),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "sigmoid": (_logistic, lambda x: _logistic(x) * _logistic(-x)),
    "relu": (lambda x: x if x != x else max(x, 0.0), lambda x: float(x > 0)),
    "gelu": (lambda x: x * _normal(x), lambda x: _normal(x) + x * _density(x)),
    "silu": (lambda x: x * _logistic(x), lambda x: _logistic(x) * (1 + x * _logistic(-x))),
    "softplus": (lambda x: max(x, 0.0) + math.log1p(_exp(-abs(x))) if x == x else x, _logistic),
    "elu": (lambda x: x if x > 0 else math.expm1(x), lambda x: 1.0 if x > 0 else _exp(x)),
    "sin": (lambda x: math.sin(x) if math.isfinite(x) else NAN, lambda x: math.cos(x) if math.isfinite(x) else NAN),
    "cos": (lambda x: math.cos(x) if math.isfinite(x) else NAN, lambda x: -math.sin(x) if math.isfinite(x) else NAN),
    "square": (lambda x: x * x, lambda x: 2 * x),
    "stop": (lambda x: x, _flat),
}
"""Every function of one real with its derivative."""


OTHERS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "map 1": (lambda x: 0.37 + 1.3 * x + 0.8 * math.sin(1.7 * x + 0.4), lambda x: 1.3 + 1.36 * math.cos(1.7 * x + 0.4)),
    "map 2": (lambda x: 1.1 - x * x / (1 + abs(x)) + math.cos(2.3 * x), lambda x: -x * (2 + abs(x)) / (1 + abs(x)) ** 2 - 2.3 * math.sin(2.3 * x)),
    "map0 1": (lambda x: 1.3 * x + 0.8 * math.sin(1.7 * x + 0.4) - 0.8 * math.sin(0.4), lambda x: 1.3 + 1.36 * math.cos(1.7 * x + 0.4)),
    "map0 2": (lambda x: -x * abs(x) / (1 + abs(x)) + x * math.cos(2.3 * x), lambda x: -abs(x) * (2 + abs(x)) / (1 + abs(x)) ** 2 + math.cos(2.3 * x) - 2.3 * x * math.sin(2.3 * x)),
}  # fmt: skip
"""Functions without any property (`map0`: but 0 at 0), which stand for the maps of a rule."""


def slope(derivative: float, tangent: float) -> float:
    """The chain rule; what is constant stays so, also at -inf."""
    return derivative * tangent if tangent else 0.0


@lru_cache(maxsize=1024)
def _constant(value: Fraction | int) -> Dual:
    return (float(value), 0.0)


class Duals:
    """Pairs of a value and its derivative along the direction."""

    name = "dual"

    def number(self, value: Fraction | int) -> Dual:
        return _constant(value)

    def add(self, a: Dual, b: Dual) -> Dual:
        return (a[0] + b[0], a[1] + b[1])

    def subtract(self, a: Dual, b: Dual) -> Dual:
        return (a[0] - b[0], a[1] - b[1])

    def multiply(self, a: Dual, b: Dual) -> Dual:
        return (a[0] * b[0], slope(a[0], b[1]) + slope(b[0], a[1]))

    def divide(self, a: Dual, b: Dual) -> Dual:
        value = quotient(a[0], b[0])
        top = a[1] - slope(value, b[1])
        return (value, quotient(top, b[0]) if top else 0.0)

    def power(self, a: Dual, exponent: int) -> Dual:
        if exponent < 0:
            return self.divide((1.0, 0.0), self.power(a, -exponent))
        try:
            return (a[0] ** exponent, slope(exponent * a[0] ** (exponent - 1), a[1]) if exponent else 0.0)
        except OverflowError:
            return (INF, NAN)

    def raised(self, a: Dual, b: Dual) -> Dual:
        """`a ^ b` for a real exponent: for a negative base a whole one, along which nothing may vary."""
        (x, way), (e, along) = a, b
        if x > 0:
            return self.function("exp", self.multiply(b, self.function("log", a)))
        if x != x or not math.isfinite(e) or (x < 0 and not e.is_integer()):
            return (NAN, NAN)
        bend = 0.0 if not along or (x == 0 and e > 0) else NAN
        return (_raised(x, e), slope(e * _raised(x, e - 1), way) + bend if e else bend)

    def total(self, row: list[Dual]) -> Dual:
        return (math.fsum(a[0] for a in row) if all(map(math.isfinite, (a[0] for a in row))) else sum(a[0] for a in row), sum(a[1] for a in row))

    def function(self, name: str, *arguments: Dual) -> Dual:
        ((x, t),) = arguments
        if name in OTHERS:
            value, derivative = OTHERS[name]
            return (value(x), slope(derivative(x), t)) if math.isfinite(x) else (x, 0.0)
        value, derivative = FUNCTIONS[name]
        return (value(x), slope(derivative(x), t) if t else 0.0)

    def root(self, value: Fraction) -> Dual:
        return (_root(float(value)), 0.0)

    def softmax(self, row: list[Dual]) -> list[Dual]:
        top = max(a[0] for a in row)
        if top == -INF:
            return [(0.0, 0.0)] * len(row)  # ruling 15
        powers = [_exp(a[0] - top) for a in row]
        whole = math.fsum(powers)
        shares = [e / whole for e in powers]
        mean = sum(slope(y, a[1]) for y, a in zip(shares, row, strict=True))
        return [(y, slope(y, a[1] - mean)) for y, a in zip(shares, row, strict=True)]

    def extremum(self, which: str, row: list[Dual]) -> Dual:
        pick = max if which == "max" else min
        return (NAN, NAN) if any(a[0] != a[0] for a in row) else pick(row, key=lambda a: a[0])

    def logsumexp(self, row: list[Dual]) -> Dual:
        top = max(a[0] for a in row)
        if not math.isfinite(top):
            return (top, 0.0)
        value = top + math.log(math.fsum(_exp(a[0] - top) for a in row))
        return (value, sum(slope(y[0], a[1]) for y, a in zip(self.softmax(row), row, strict=True)))

    def compare(self, sign: str, a: Dual, b: Dual) -> bool:
        x, y = a[0], b[0]
        return x < y if sign == "<" else x <= y if sign == "<=" else x == y if sign == "==" else x != y

    def order(self, row: list[Dual]) -> list[int]:
        """Positions by ascending entries; equal ones keep their order."""
        return sorted(range(len(row)), key=lambda i: row[i][0])

    def low(self) -> Dual:
        return (-INF, 0.0)

    def empty(self, a: Dual) -> bool:
        """Whether a sum of exponentials has no terms."""
        return a[0] == -INF

    def entmax(self, row: list[Dual], alpha: float) -> list[Dual]:
        """`p_i = [(alpha - 1) s_i - t]_+ ^ (1 / (alpha - 1))`, the `t` by bisection; 2 is sparsemax.

        Its derivative is `g_i (ds_i - sum g ds / sum g)` with `g = p ^ (2 - alpha)` on the support
        (Peters, Niculae and Martins 2019, arXiv 1905.05702).
        """
        top = max(a[0] for a in row)
        if top == -INF:
            return [(0.0, 0.0)] * len(row)
        z = [(alpha - 1) * (a[0] - top) for a in row]
        power = 1 / (alpha - 1)
        low, high = -1.0, 0.0
        for _ in range(60):
            t = (low + high) / 2
            mass = sum((e - t) ** power for e in z if e > t)
            low, high = (t, high) if mass >= 1 else (low, t)
        shares = [max(e - low, 0.0) ** power if e > low else 0.0 for e in z]
        steep = [p ** (2 - alpha) if p > 0 else 0.0 for p in shares]
        whole = sum(steep)
        mean = sum(slope(g, a[1]) for g, a in zip(steep, row, strict=True)) / whole
        return [(p, g * (a[1] - mean) if g else 0.0) for p, g, a in zip(shares, steep, row, strict=True)]
