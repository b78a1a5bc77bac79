"""The linear operations that rearrange, accumulate or transform axes: on constant tensors, and as norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.ir.bound import Interval, Triple, arb_up, magnitude, mul, root, times
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
            return Linear(own, own, (lambda b: _fft(b, own, name),), Triple.of(inf, root(float(points)), inf), float(points))
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
    mid = np.cumsum(b.mid, axis=at)
    exact = b.rad == 0 and bool(np.all(np.rint(b.mid) == b.mid)) and b.top * n < 2.0**52
    return Ball(b.axes, mid, 0.0 if exact else n * (b.rad + 2 * n * UNIT * b.top) * 1.001)


def _fft(b: Ball, own: tuple[str, ...], name: str) -> Ball:
    guard(b.mid.size)
    dims = [b.axes.index(a) for a in own]
    points = math.prod(b.mid.shape[d] for d in dims)
    whole = np.fft.fftn(b.mid, axes=dims)
    mid = whole.real if name == "fft_re" else whole.imag
    # An FFT of N points loses at most about 5 log2 N units of ||x||_2 <= N max|x|; 40 of them are allowed here.
    error = points * b.rad + 40 * (math.log2(points) + 1) * UNIT * points * b.top
    return Ball(b.axes, np.ascontiguousarray(mid), error * 1.001)


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


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign, "floor": np.floor, "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0.0),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2.0))),
    "silu": lambda x: x / (1 + np.exp(-x)), "softplus": lambda x: np.logaddexp(x, 0.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), "sin": np.sin, "cos": np.cos, "square": np.square,
    "reciprocal": lambda x: 1 / x,
}  # fmt: skip


def evaluate(name: str, b: Ball, slope: float) -> Ball | None:
    """A function of one real on a constant tensor; None where the value is not finite.

    The library functions are taken to be right to 64 units in the last place of the greater of value and
    argument's contribution, well above what their makers claim.
    """
    with np.errstate(all="ignore"):
        mid = np.power(b.mid, int(name.split()[1])) if name.startswith("power ") else FUNCTIONS[name](b.mid)
    if not np.all(np.isfinite(mid)):
        return None
    exact = b.rad == 0 and (name in ("abs", "sign", "floor", "relu") or (name == "square" and _small_whole(b.mid)))
    spread = 0.0 if b.rad == 0 else slope * b.rad
    if not math.isfinite(spread):
        return None
    top = float(np.max(np.abs(mid), initial=0.0))
    floor = 1.0 if name in ("sin", "cos", "tanh", "gelu", "silu", "elu", "log") else 0.0
    return Ball(b.axes, mid, 0.0 if exact else (spread + 64 * UNIT * max(top, floor)) * 1.001 + 1e-300)


def _small_whole(x: np.ndarray) -> bool:
    return bool(np.all(np.rint(x) == x)) and float(np.max(np.abs(x), initial=0.0)) < 2.0**26
