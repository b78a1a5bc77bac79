"""The linear operations that rearrange, accumulate or transform axes: on constant tensors, and as norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.ir.bound import Interval, Triple, Unproved, add, arb_up, magnitude, mul, root, times
from anatomy.regularity.constants import fourier
from anatomy.regularity.tensor import UNIT, Ball, guard


@dataclass(frozen=True)
class Linear:
    """`apply` per output on tensors that have the needed axes; `norms` of the map; growth of an entry.

    With `most`, every result is a sum of from 1 to that many entries.
    """

    gone: tuple[str, ...]
    new: tuple[str, ...]
    apply: tuple[Callable[[Ball], Ball], ...]
    norms: Triple
    reach: float = 1.0
    fills: bool = False
    """Entries may become 0."""
    most: int = 1

    def image(self, x: Interval) -> Interval:
        """Where the entries of a result lie."""
        if self.most > 1:
            whole = times(x, self.most)
            x = min(x[0], whole[0]), max(x[1], whole[1])
        elif self.reach != 1:
            x = -mul(self.reach, magnitude(x)), mul(self.reach, magnitude(x))
        return (min(x[0], 0.0), max(x[1], 0.0)) if self.fills else x


def describe(name: str, own: tuple[str, ...], sizes: dict[str, int], tokens: frozenset[str], options: dict[str, Any]) -> Linear:
    """What an operation does to its own axes; `tokens` are the token axes of its operand."""
    one = Triple.all(1.0)
    points = math.prod(sizes[a] for a in own)
    match name:
        case "expand":
            wide, narrow = (float(math.prod(sizes[a] for a in own if (a in tokens) == t)) for t in (True, False))
            extra = root(narrow)
            return Linear((), own, (lambda b: b,), Triple.of(wide, root(wide), 1.0).after(Triple.all(extra)))
        case "split":
            whole, *parts = own
            shape = [sizes[a] for a in parts]
            return Linear((whole,), tuple(parts), (lambda b: _split(b, whole, parts, shape),), one)
        case "merge":
            *parts, whole = own
            return Linear(tuple(parts), (whole,), (lambda b: _merge(b, parts, whole),), one)
        case "halves":
            whole, half = own
            r = sizes[half]
            return Linear((whole,), (half,), (lambda b: _take(b, whole, half, 0, r), lambda b: _take(b, whole, half, r, r)), one)
        case "shift":
            (axis,) = own
            return Linear(own, own, (lambda b: _shift(b, axis, options["by"]),), one, fills=True)
        case "unfold":
            axis, window = own
            # Each entry stands in at most so many windows, and at most once in each.
            most = float(min(sizes[axis], sizes[window]))
            norms = Triple.of(most, root(most), 1.0) if axis in tokens else Triple.all(root(most))
            return Linear((axis,), own, (lambda b: _unfold(b, axis, window, sizes[window], **options),), norms, fills=True)
        case "cumsum":
            (axis,) = own
            from flint import arb

            # The running sum has singular values 1 / (2 sin((2k - 1) pi / (4n + 2))), k = 1..n.
            two = arb_up(1 / (2 * (arb.pi() / (4 * points + 2)).sin())) if points > 1 else 1.0
            norms = Triple.of(float(points), two, float(points)) if axis in tokens else Triple.all(two)
            return Linear(own, own, (lambda b: _cumsum(b, axis),), norms, most=points)
        case "fft_re" | "fft_im":
            # Re F = (F + conj F) / 2 with F / sqrt(N) unitary, so its norm is at most sqrt(N).
            over_tokens = float(math.prod(sizes[a] for a in own if a in tokens))
            each = root(float(math.prod(sizes[a] for a in own if a not in tokens)))
            inf = math.nextafter(over_tokens * each, math.inf)
            return Linear(own, own, (lambda b: fourier(b, own, name.removeprefix("fft_")),), Triple.of(inf, root(float(points)), inf), float(points))
    raise AssertionError(name)


def _split(b: Ball, whole: str, parts: list[str], shape: list[int]) -> Ball:
    at = b.axes.index(whole)
    axes = (*b.axes[:at], *parts, *b.axes[at + 1 :])
    return Ball(axes, b.mid.reshape(*b.mid.shape[:at], *shape, *b.mid.shape[at + 1 :]), b.rad)


def _merge(b: Ball, parts: list[str], whole: str) -> Ball:
    rest = [a for a in b.axes if a not in parts]
    moved = b.order([*rest, *parts]).mid
    return Ball((*rest, whole), moved.reshape(*moved.shape[: len(rest)], -1), b.rad)


def _take(b: Ball, whole: str, part: str, start: int, count: int) -> Ball:
    at = b.axes.index(whole)
    axes = tuple(part if a == whole else a for a in b.axes)
    return Ball(axes, np.take(b.mid, range(start, start + count), axis=at), b.rad)


def _shift(b: Ball, axis: str, by: int) -> Ball:
    at = b.axes.index(axis)
    x = np.moveaxis(b.mid, at, 0)
    out = np.zeros_like(x)
    if abs(by) < len(x):
        if by >= 0:
            out[by:] = x[: len(x) - by]
        else:
            out[:by] = x[-by:]
    return Ball(b.axes, np.moveaxis(out, 0, at), b.rad)


def _unfold(b: Ball, axis: str, window: str, count: int, step: int, centred: bool) -> Ball:
    x = np.moveaxis(b.mid, b.axes.index(axis), 0)
    guard(x.size * count)
    out = np.zeros((*x.shape, count))
    for c in range(count):
        by = step * (c - count // 2 if centred else c - count + 1)
        low, high = max(0, -by), min(len(x), len(x) - by)
        if low < high:
            out[low:high, ..., c] = x[low + by : high + by]
    return Ball((*(a for a in (axis, *(a for a in b.axes if a != axis))), window), out, b.rad)


def _cumsum(b: Ball, axis: str) -> Ball:
    at = b.axes.index(axis)
    n = b.mid.shape[at]
    with np.errstate(over="ignore"):
        mid = np.cumsum(b.mid, axis=at)
    if not np.all(np.isfinite(mid)):
        raise Unproved("a sum of constants overflows")
    exact = b.rad == 0 and bool(np.all(np.rint(b.mid) == b.mid)) and b.top * n < 2.0**52
    return Ball(b.axes, mid, 0.0 if exact else mul(float(n), add(b.rad, mul(2.0 * n, UNIT, b.top))))


def pad(b: Ball, part: str, whole: str, before: int, size: int) -> Ball:
    """One operand of a concatenation, with zeros in the place of the others."""
    at = b.axes.index(part)
    shape = list(b.mid.shape)
    count, shape[at] = shape[at], size
    guard(math.prod(shape))
    out = np.zeros(shape)
    index: list[Any] = [slice(None)] * len(shape)
    index[at] = slice(before, before + count)
    out[tuple(index)] = b.mid
    return Ball(tuple(whole if a == part else a for a in b.axes), out, b.rad)
