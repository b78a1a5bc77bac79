"""Derivatives of functions of one real: enclosures at points, and suprema of their size on intervals, by Arb."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from anatomy.ir.bound import Unproved, add, arb_down, arb_up, mul, up

Series = Any

PIECES = 4
"""Into how many pieces an interval is cut before interval arithmetic bounds a derivative on each."""


def _power(exponent: int, x: Series) -> Series:
    return x**exponent if exponent else 0 * x + 1


def _sigmoid(x: Series) -> Series:
    return 1 / (1 + (-x).exp())


def _gelu(x: Series) -> Series:
    from flint import arb

    return x * (1 + (x / arb(2).sqrt()).erf()) / 2


SERIES: dict[str, Callable[[Series], Series]] = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "rsqrt": lambda x: x.rsqrt(),
    "tanh": lambda x: 1 - 2 / (1 + (2 * x).exp()),
    "sigmoid": _sigmoid,
    "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: (1 + x.exp()).log(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
}
"""Smooth functions as power series with Arb coefficients."""

HALVES: dict[str, tuple[Callable[[Series], Series], Callable[[Series], Series]]] = {
    "relu": (lambda x: 0 * x, lambda x: x),
    "abs": (lambda x: -x, lambda x: x),
    "elu": (lambda x: x.exp() - 1, lambda x: x),
}
"""Functions that are smooth on either side of 0; at 0 they have a kink."""

POSITIVE = ("log", "sqrt", "rsqrt")

EVERYWHERE: dict[str, tuple[float, ...]] = {
    # tanh' = 1 - t^2, tanh'' = -2t(1 - t^2) with maximum 4 / sqrt 27, |tanh'''| <= 2 at 0, |tanh''''| <= 4.0859.
    "tanh": (1.0, 0.769801, 2.0, 4.086),
    "sigmoid": (0.25, 0.0962251, 0.125, 0.12769),
    "softplus": (1.0, 0.25, 0.0962251, 0.125),
    "sin": (1.0, 1.0, 1.0, 1.0),
    "cos": (1.0, 1.0, 1.0, 1.0),
}
"""Suprema on the whole line of the derivatives of orders 1 to 4, rounded up (softplus' is sigmoid, which is (1 + tanh(x / 2)) / 2)."""


def at(name: str, low: float, high: float, order: int) -> list[Any]:
    """Arb enclosures of the derivatives of orders 0 to `order` on an interval. Raises `Unproved` at a kink or a pole."""
    from flint import arb, arb_series

    if not (math.isfinite(low) and math.isfinite(high)):
        raise Unproved(f"the argument of `{name}` is not bounded")
    ball = arb(low) if low == high else arb(low).union(arb(high))
    if name in HALVES:
        if low < 0 < high or low == high == 0:
            raise Unproved(f"`{name}` has a kink in the ball")
        function = HALVES[name][low >= 0]
    elif name.startswith("power "):
        exponent = int(name.removeprefix("power "))
        function: Callable[[Series], Series] = partial(_power, exponent)
    elif name in SERIES:
        function = SERIES[name]
    else:
        raise Unproved(f"`{name}` has no rule for higher derivatives")
    if (name in POSITIVE and low <= 0) or (name == "reciprocal" and low <= 0 <= high):
        raise Unproved(f"the argument of `{name}` is not proved to stay away from 0")
    series = function(arb_series([ball, arb(1)], order + 1))
    return [series[k] * math.factorial(k) for k in range(order + 1)]


def derivatives(name: str, at_: np.ndarray, off: float, order: int) -> tuple[np.ndarray, list[float]]:
    """Midpoints of the derivatives of orders 0 to `order` within `off` of points, and a radius for each order.

    Shapes: `at_` any one shape, the midpoints [order + 1, that shape].
    """
    from flint import ctx

    out = np.empty((order + 1, at_.size))
    rads = [0.0] * (order + 1)
    before = ctx.prec
    ctx.prec = 160  # the recurrences of a series lose digits
    try:
        for k, x in enumerate(at_.ravel().tolist()):
            for j, value in enumerate(at(name, x, x, order)):
                mid = float(value.mid())
                out[j, k] = mid
                gap = value - mid
                rads[j] = max(rads[j], arb_up(gap), -arb_down(gap))
        if off:
            # By the mean value theorem, with the next derivative on the interval.
            steep = suprema(name, np.nextafter(at_ - off, -np.inf), np.nextafter(at_ + off, np.inf), order + 1)[1:]
            rads = [add(rad, mul(off, float(row.max(initial=0.0)))) for rad, row in zip(rads, steep, strict=True)]
    finally:
        ctx.prec = before
    if not all(map(math.isfinite, rads)) or not np.all(np.isfinite(out)):
        raise Unproved(f"the derivatives of `{name}` are not bounded")
    return out.reshape(order + 1, *at_.shape), rads


def suprema(name: str, low: np.ndarray, high: np.ndarray, order: int) -> np.ndarray:
    """Upper bounds of the sizes of the derivatives of orders 0 to `order` on every interval; infinite where none is proved.

    Shapes: `low` and `high` any one shape, the result [order + 1, that shape].
    """
    out = np.empty((order + 1, low.size))
    for k, (a, b) in enumerate(zip(low.ravel().tolist(), high.ravel().tolist(), strict=True)):
        out[:, k] = _supremum(name, a, b, order)
    known = EVERYWHERE.get(name, ())
    for j, most in enumerate(known[:order], start=1):
        out[j] = np.minimum(out[j], most)
    return out.reshape(order + 1, *low.shape)


def _supremum(name: str, low: float, high: float, order: int) -> list[float]:
    cuts = [low + (high - low) * k / PIECES for k in range(PIECES)] + [high] if high - low > 1e-3 else [low, high]
    best = [0.0] * (order + 1)
    try:
        for a, b in pairwise(cuts):
            for j, value in enumerate(at(name, min(a, b), max(a, b), order)):
                size = max(arb_up(value), -arb_down(value), 0.0)
                best[j] = max(best[j], size if math.isfinite(size) else math.inf)
    except Unproved:
        best = [math.inf] * (order + 1)
        if name in ("relu", "elu", "abs"):  # Lipschitz through the kink
            best[1] = 1.0
        if name == "relu":
            best[0] = max(high, 0.0)
        elif name in ("elu", "abs"):
            best[0] = up(max(high, -low))
    return best
