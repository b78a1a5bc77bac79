"""Functions of constants, enclosed: every value by Arb or by an operation that float64 rounds correctly.

A library's `exp` or `cos` carries no proof, so none is trusted here. Equal arguments are evaluated once; a tensor of more
different values than `MOST` is left to the rule for intervals.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from anatomy.ir.bound import add, mul, up
from anatomy.regularity.tensor import UNIT, Ball, TooLarge, plus, times

MOST = 1 << 16
"""The greatest number of different arguments at which a function is evaluated."""

EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs, "sign": np.sign, "floor": np.floor, "relu": lambda x: np.maximum(x, 0.0),
}  # fmt: skip
"""Without any rounding."""

ROUNDED: dict[str, Callable[[np.ndarray], np.ndarray]] = {"sqrt": np.sqrt, "square": np.square, "reciprocal": lambda x: 1 / x}
"""Rounded correctly (IEEE 754): off by half a unit in the last place, or of the least positive number."""

BALLS: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: x.exp(), "log": lambda x: x.log(), "tanh": lambda x: x.tanh(), "sin": lambda x: x.sin(), "cos": lambda x: x.cos(),
    "sigmoid": lambda x: _logistic(x), "silu": lambda x: x * _logistic(x), "softplus": lambda x: x + (-x).exp().log1p() if x > 0 else x.exp().log1p(),
    "gelu": lambda x: x / 2 * (-x / _two().sqrt()).erfc(), "elu": lambda x: x if x >= 0 else x.expm1(),
}  # fmt: skip


def _logistic(x: Any) -> Any:
    """`1 / (1 + e^-x)` by the exponential that does not overflow."""
    return 1 / (1 + (-x).exp()) if x > 0 else x.exp() / (1 + x.exp())


def _two() -> Any:
    from flint import arb

    return arb(2)


def evaluate(name: str, b: Ball, slope: float) -> Ball | None:
    """A function of one real, of the given slope around the values, on a constant tensor.

    None where a value is not finite, or where there are too many.
    """
    spread = mul(slope, b.rad)
    if not math.isfinite(spread):
        return None
    if name in EXACT:
        return Ball(b.axes, EXACT[name](b.mid), spread)
    if name in ROUNDED:
        with np.errstate(all="ignore"):
            mid = ROUNDED[name](b.mid)
        if not np.all(np.isfinite(mid)):
            return None
        if name == "square" and b.rad == 0 and _small_whole(b.mid):
            return Ball(b.axes, mid)
        return Ball(b.axes, mid, add(spread, mul(2 * UNIT, _top(mid)), 5e-324))
    function = (lambda x: x ** int(name.split()[1])) if name.startswith("power ") else BALLS[name]
    try:
        mid, error = enclosed(name, function, b.mid)
    except (TooLarge, OverflowError):
        return None
    return Ball(b.axes, mid, add(spread, error)) if math.isfinite(error) and np.all(np.isfinite(mid)) else None


def enclosed(name: str, function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, float]:
    """The values of a function and a bound of their errors. Raises `TooLarge` for more than `MOST` different arguments."""
    key = (name, x.shape, hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=16).digest())
    if key not in _values:
        if len(_values) >= 256:
            _values.clear()
        _values[key] = _enclosed(function, x)
    return _values[key]


_values: dict[tuple[str, tuple[int, ...], bytes], tuple[np.ndarray, float]] = {}
"""Values by content: positions and tables are met again at every radius."""


def _enclosed(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, float]:
    from flint import arb

    different, where = np.unique(x, return_inverse=True)
    if different.size > MOST:
        raise TooLarge
    balls = [function(arb(v)) for v in different.tolist()]
    values = np.array([float(y) for y in balls], dtype=np.float64)
    error = max((_off(y, v) for y, v in zip(balls, values.tolist(), strict=True)), default=0.0)
    return values[where].reshape(x.shape), error


def _off(ball: Any, value: float) -> float:
    """A bound of the distance of a float from what a ball encloses."""
    if not (math.isfinite(value) and ball.is_finite()):
        return math.inf
    away = abs(ball - value)
    return 0.0 if away == 0 else up(float(away.upper()))


def softmax(ball: Ball, allowed: np.ndarray | None, dims: tuple[int, ...], points: int) -> Ball:
    """The softmax over some dimensions; 0 where nothing is allowed. Raises `TooLarge`."""
    mid = ball.mid if allowed is None else np.where(allowed, ball.mid, -np.inf)
    top = np.max(mid, axis=dims, keepdims=True)
    below = mid - np.where(np.isfinite(top), top, 0.0)
    some = np.isfinite(below)
    exponentials, error = enclosed("exp", BALLS["exp"], np.where(some, below, 0.0))
    weights = np.where(some, exponentials, 0.0)
    norm = np.sum(weights, axis=dims, keepdims=True)
    out = np.divide(weights, norm, out=np.zeros_like(weights), where=norm > 0)
    # A difference t <= 0 is off by UNIT |t|, and its exponential by UNIT |t| e^t <= UNIT / e; so a weight is off by at most
    # c = error + UNIT, a sum of weights, which is at least 1, by points (c + UNIT) of itself, and a quotient by one unit more.
    own = mul(2.0, float(points + 2), add(error, 4 * UNIT))
    # Scores off by rad change every weight by a factor within e^(+-2 rad).
    moved = 0.0
    if ball.rad:
        from flint import arb

        moved = up(float((2 * arb(ball.rad)).expm1().upper()))
    return Ball(ball.axes, out, min(1.0, add(moved, own)))


def fourier(b: Ball, own: tuple[str, ...], part: str) -> Ball:
    """The real or imaginary part of the discrete Fourier transform, axis by axis, by products with enclosed tables."""
    real: Ball = b
    imaginary: Ball | None = None
    for axis in own:
        cosines, sines = _tables(axis, b.mid.shape[b.axes.index(axis)])
        sines_back = Ball(sines.axes, -sines.mid, sines.rad)
        turned = {"real": _through(real, cosines, axis), "imaginary": _through(real, sines_back, axis)}
        if imaginary is not None:  # (a + ib)(c - is) = ac + bs + i(bc - as)
            turned["real"] = plus(turned["real"], _through(imaginary, sines, axis))
            turned["imaginary"] = plus(turned["imaginary"], _through(imaginary, cosines, axis))
        real, imaginary = turned["real"], turned["imaginary"]
    return real if part == "re" or imaginary is None else imaginary


def _through(b: Ball, table: Ball, axis: str) -> Ball:
    return times(b, table, [axis]).rename({"^" + axis: axis})


def _tables(axis: str, points: int) -> tuple[Ball, Ball]:
    """`cos` and `sin` of `2 pi j k / points`."""
    turns = np.outer(np.arange(points), np.arange(points)) % points
    (cosines, c), (sines, s) = _turns(points)
    axes = (axis, "^" + axis)
    return Ball(axes, cosines[turns], c), Ball(axes, sines[turns], s)


@cache
def _turns(points: int) -> tuple[tuple[np.ndarray, float], tuple[np.ndarray, float]]:
    from flint import arb

    angles = [arb(2 * k) / points for k in range(points)]
    found = []
    for balls in ([a.cos_pi() for a in angles], [a.sin_pi() for a in angles]):
        values = np.array([float(y) for y in balls])
        found.append((values, max(_off(y, v) for y, v in zip(balls, values.tolist(), strict=True))))
    return found[0], found[1]


def _top(x: np.ndarray) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _small_whole(x: np.ndarray) -> bool:
    return bool(np.all(np.rint(x) == x)) and _top(x) < 2.0**26
