"""Functions of one real: their values, their images of intervals, and their greatest slopes on them."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb

from anatomy.certificates.model import Broken

AT_MINUS_INFINITY: dict[str, int] = {"exp": 0, "sigmoid": 0, "relu": 0, "softplus": 0, "tanh": -1, "elu": -1}
"""Limits at -inf, which a mask puts in the place of scores."""


def _sigmoid(x: arb) -> arb:
    return 1 / (1 + (-x).exp())


def _elu(x: arb) -> arb:
    return x if x >= 0 else x.expm1() if x <= 0 else x.union(x.expm1())


def _sign(x: arb) -> arb:
    return arb(1) if x > 0 else arb(-1) if x < 0 else arb(0) if x.is_zero() else arb(0).union(arb(1)).union(arb(-1))


VALUES: dict[str, Callable[[arb], arb]] = {
    "exp": arb.exp,
    "log": arb.log,
    "sqrt": arb.sqrt,
    "abs": abs,
    "sign": _sign,
    "floor": arb.floor,
    "tanh": arb.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: x.max(arb(0)),
    "gelu": lambda x: x * (1 + (x / arb(2).sqrt()).erf()) / 2,
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: x.exp().log1p(),
    "elu": _elu,
    "sin": arb.sin,
    "cos": arb.cos,
    "square": lambda x: x * x,
}
NAMES = tuple(VALUES)
RISING = {"exp", "log", "sqrt", "tanh", "sigmoid", "relu", "softplus", "elu", "sign", "floor"}


class Undefined(Exception):
    """A function is not defined, or has no bounded slope, on the whole interval."""


def at(name: str) -> Callable[[arb], arb]:
    if name.startswith("power "):
        p = int(name[6:])
        return lambda x: x**p

    def value(x: arb) -> arb:
        y = VALUES[name](x)
        if not y.is_finite():
            raise Undefined(f"`{name}` of a constant is not defined")
        return y

    return value


def _gap(low: arb, high: arb) -> arb:
    """The least magnitude."""
    return low.max(-high).max(arb(0))


def image(name: str, low: arb, high: arb) -> tuple[arb, arb]:
    """The ends of an interval that holds every value on [low, high]."""
    top, gap = abs(low).max(abs(high)), _gap(low, high)
    if name == "reciprocal":
        if not (low > 0 or high < 0):
            raise Undefined("the denominator is not proved to stay away from 0")
        return 1 / high, 1 / low
    if name in ("log", "sqrt") and not low > 0:
        if name == "log" or not low >= 0:
            raise Undefined(f"the argument of `{name}` is not proved to be positive")
    if name.startswith("power "):
        p = int(name[6:])
        if p == 0:
            return arb(1), arb(1)
        return (low**p, high**p) if p % 2 else (gap**p, top**p)
    if name in RISING:
        return VALUES[name](low), VALUES[name](high)
    match name:
        case "abs":
            return gap, top
        case "square":
            return gap * gap, top * top
        case "gelu":  # its minimum is -0.16997...
            return (arb(0) if low >= 0 else arb(-17) / 100), high.max(arb(0))
        case "silu":  # its minimum is -0.27846...
            return (arb(0) if low >= 0 else arb(-27847) / 100000), high.max(arb(0))
        case "sin":
            return -top.min(arb(1)), top.min(arb(1))
        case "cos":
            return arb(-1), arb(1)
    raise Broken("graph", f"no function is called `{name}`")


def slope(name: str, low: arb, high: arb) -> arb:
    """The greatest |f'| on [low, high]."""
    top, gap = abs(low).max(abs(high)), _gap(low, high)
    if name.startswith("power "):
        p = int(name[6:])
        return p * top ** (p - 1) if p else arb(0)
    match name:
        case "exp":
            return high.exp()
        case "log":
            return 1 / low
        case "sqrt":
            if not low > 0:
                raise Undefined("the slope of `sqrt` is not bounded at 0")
            return 1 / (2 * low.sqrt())
        case "reciprocal":
            return 1 / (gap * gap)
        case "abs" | "sin" | "cos":
            return arb(1)
        case "relu":
            return arb(0) if high <= 0 else arb(1)
        case "tanh":  # 1 - tanh^2 falls away from 0
            return 1 - gap.tanh() ** 2
        case "sigmoid":  # s (1 - s) falls away from 0
            return _sigmoid(gap) * (1 - _sigmoid(gap))
        case "softplus":
            return _sigmoid(high)
        case "elu":
            return high.min(arb(0)).exp()
        case "square":
            return 2 * top
        case "gelu":  # sup f' = 1.128904... at sqrt 2
            return arb(112891) / 100000
        case "silu":  # sup f' = 1.0998393...
            return arb(109984) / 100000
        case "sign" | "floor":
            if VALUES[name](low).overlaps(VALUES[name](high)) and VALUES[name](low).is_exact() and VALUES[name](high).is_exact():
                return arb(0)
            raise Undefined(f"`{name}` may jump")
    raise Broken("graph", f"no function is called `{name}`")
