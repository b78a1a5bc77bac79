"""Two results in float64, entry by entry."""

from __future__ import annotations

import math
from typing import Literal

from anatomy.rewrites.tensor import Tensor

TOLERANCE = 1e-9
"""Difference in float64 up to which two numbers count as one, relative to 1 plus the greatest entry."""

Found = tuple[dict[str, int], Literal["value", "derivative"], float, float]


def difference(left: Tensor, right: Tensor, small: bool, strict: bool = True) -> tuple[Found | None, int]:
    """The first entry in which they differ, and how many entries were finite on both sides.

    At small integers (`small`), where maxima have ties, derivatives are passed over, and quotients and roots may be undefined
    on both sides in different ways; `strict` refuses that one side alone is.
    """
    pairs = list(zip(left.data, right.data, strict=True))
    if any(isinstance(a, bool | int) for pair in pairs for a in pair):
        pairs = [((float(a), 0.0), (float(b), 0.0)) for a, b in pairs]
    count = sum(math.isfinite(a[0]) and math.isfinite(b[0]) for a, b in pairs)
    whats: tuple[Literal["value", "derivative"], ...] = ("value",) if small else ("value", "derivative")
    for part, what in enumerate(whats):
        scale = max((abs(e[part]) for pair in pairs for e in pair if math.isfinite(e[part])), default=0.0)
        for place, (a, b) in enumerate(pairs):
            x, y = a[part], b[part]
            if x == y or (x != x and y != y) or abs(x - y) <= TOLERANCE * (1 + scale):
                continue
            if what == "derivative" and (x != x or y != y):
                continue
            if small and (x != x or y != y) and not (strict and (math.isfinite(x) or math.isfinite(y))):
                continue
            at = {}
            for axis, size in reversed(list(zip(left.axes, left.shape, strict=True))):
                place, at[axis] = divmod(place, size)
            return (dict(reversed(at.items())), what, x, y), count
    return None, count
