"""Rows of weights: how large one can be, how many keys a mask leaves, and the values of constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anatomy.ir.bound import INF, Bound, Triple, enclose, mul, slopes_after, up
from anatomy.regularity import constants, tensor
from anatomy.regularity.tensor import Ball
from anatomy.regularity.view import tighten, with_tokens


def peak(keys: float, width: float) -> float:
    """The greatest weight among `keys` whose scores lie within `width`: 1 / (1 + (keys - 1) e^-width)."""
    if not math.isfinite(width) or keys <= 1:
        return 1.0
    low = enclose("exp", -up(width))[0]
    return min(1.0, up(1.0 / math.nextafter(1.0 + math.nextafter((keys - 1) * low, 0.0), 0.0)))


def floor(keys: float, width: float) -> float:
    """The least weight among `keys` whose scores lie within `width`: 1 / (1 + (keys - 1) e^width), rounded down."""
    if keys <= 1:
        return 1.0
    if not math.isfinite(width):
        return 0.0
    high = mul(keys - 1, enclose("exp", up(width))[1])
    return 0.0 if math.isinf(high) else math.nextafter(1.0 / up(1.0 + high), 0.0)


def counts(allowed: Any, own: frozenset[str], sizes: dict[str, int]) -> tuple[float, float]:
    """The least (over rows that have one) and the greatest number of keys of a row."""
    points = float(math.prod(sizes[a] for a in own))
    if allowed is None:
        return points, points
    if not isinstance(allowed, Ball):
        return 1.0, points
    rows = row_counts(allowed, own, sizes)
    some = rows[rows > 0]
    return (float(some.min()), float(some.max())) if some.size else (1.0, 0.0)


def simplex(
    x: Bound, own: frozenset[str], slope: Triple, flow: float, top: float, over: frozenset[str], sizes: dict[str, int]
) -> Bound:
    """Weights over the own axes from scores; see `BoundContext.simplex`."""
    if own <= x.features:
        # One map for each token and each further feature, so Euclidean norms compose.
        slope = Triple.all(slope.two)
    else:
        x = with_tokens(x, x.axes, sizes)
    flows = {over: {key: mul(flow, triple.inf) for key, triple in x.slopes.items()}} if x.tokens == x.axes else {}
    radius = 1.0 if own == over == x.features else INF
    return tighten(Bound(x.axes, x.tokens, (0.0, top), radius, slopes_after(slope, x.slopes), {over: 1.0}, flows), sizes)


def row_counts(allowed: Ball, own: frozenset[str], sizes: dict[str, int]) -> np.ndarray:
    held = tuple(allowed.axes.index(a) for a in own if a in allowed.axes)
    repeat = math.prod(sizes[a] for a in own if a not in allowed.axes)
    return np.sum(allowed.mid, axis=held) * repeat


def softmax_of(ball: Ball, allowed: Ball | None, own: frozenset[str], sizes: dict[str, int]) -> Ball:
    ball = ball.spread(sizes, own)
    if allowed is not None:
        ball = ball.spread(sizes, allowed.axes)
    kept = None if allowed is None else np.broadcast_to(allowed.order(ball.axes).mid > 0.5, ball.mid.shape)
    dims = tuple(ball.axes.index(a) for a in own)
    return constants.softmax(ball, kept, dims, math.prod(sizes[a] for a in own))


def decide(name: str, balls: list[Ball], sizes: dict[str, int]) -> Ball | None:
    """A predicate on constants; None where rounding leaves it open."""
    if name == "not":
        return Ball(balls[0].axes, 1.0 - balls[0].mid)
    a, b = balls
    axes = tuple(dict.fromkeys((*a.axes, *b.axes)))
    tensor.guard(math.prod(sizes[x] for x in axes))
    left, right = a.order(axes).mid, b.order(axes).mid
    slack = up(a.rad + b.rad) if a.rad or b.rad else 0.0
    if slack and name not in ("and", "or") and bool(np.any(np.abs(left - right) <= 2 * slack)):
        return None
    compare = {
        "<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal, "and": np.minimum, "or": np.maximum,
    }[name]  # fmt: skip
    return Ball(axes, np.asarray(compare(left, right), dtype=np.float64))

