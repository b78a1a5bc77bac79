"""Constant tensors with named axes and a proved error, and verified spectral norms.

A `Ball` encloses a real tensor: every entry lies within `rad` of `mid`. Products use the classical
bound |fl(a.b) - a.b| <= gamma_k |a|.|b|, k the number of terms, in any order of summation
(Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.ir.bound import INF, Unproved, add, mul, root, up
from anatomy.regularity.threads import alone

LIMIT = 4_000_000
"""The greatest number of entries of a constant that is made explicit."""
UNIT = 2.0**-53


class TooLarge(Exception):
    """An exact form would have too many entries; a norm rule is used in its place."""


@dataclass(frozen=True, eq=False)
class Ball:
    """`axes` name the dimensions of `mid` in order; `rad` is an absolute error of each entry."""

    axes: tuple[str, ...]
    mid: np.ndarray
    rad: float = 0.0

    @property
    def top(self) -> float:
        """The greatest absolute value of an entry."""
        if not self.mid.size:
            return 0.0
        return add(float(np.max(np.abs(self.mid))), self.rad)

    @property
    def interval(self) -> tuple[float, float]:
        low, high = float(np.min(self.mid)), float(np.max(self.mid))
        if self.rad:
            low, high = math.nextafter(low - self.rad, -INF), up(high + self.rad)
        return low, high

    def rename(self, table: dict[str, str]) -> Ball:
        return Ball(tuple(table.get(a, a) for a in self.axes), self.mid, self.rad)

    def order(self, axes: Sequence[str]) -> Ball:
        """The dimensions in this order; axes that are lacking become size 1."""
        have = [a for a in axes if a in self.axes]
        mid = np.transpose(self.mid, [self.axes.index(a) for a in have])
        shape = [mid.shape[have.index(a)] if a in have else 1 for a in axes]
        return Ball(tuple(axes), mid.reshape(shape), self.rad)

    def spread(self, sizes: dict[str, int], axes: Iterable[str]) -> Ball:
        """With more axes, along which it is repeated."""
        new = [a for a in axes if a not in self.axes]
        if not new:
            return self
        guard(self.mid.size * math.prod(sizes[a] for a in new))
        shape = [sizes[a] for a in new]
        mid = np.broadcast_to(self.mid, (*shape, *self.mid.shape))
        return Ball((*new, *self.axes), mid, self.rad)


def guard(entries: int) -> None:
    if entries > LIMIT:
        raise TooLarge


def scalar(value: float, rad: float = 0.0) -> Ball:
    return Ball((), np.asarray(value, dtype=np.float64), rad)


def identity(a: str, b: str, size: int) -> Ball:
    guard(size * size)
    return Ball((a, b), np.eye(size))


def _whole(*arrays: np.ndarray) -> bool:
    """All entries are integers that float64 holds exactly, with room for a sum of two."""
    return all(bool(np.all(np.rint(x) == x)) and (not x.size or float(np.max(np.abs(x))) < 2.0**52) for x in arrays)


def times(a: Ball, b: Ball, summed: Iterable[str] = ()) -> Ball:
    """The product by name, summed over axes that either has."""
    summed = frozenset(summed)
    names = tuple(dict.fromkeys((*a.axes, *b.axes)))
    sizes = dict(zip((*a.axes, *b.axes), (*a.mid.shape, *b.mid.shape), strict=True))
    out = tuple(n for n in names if n not in summed)
    guard(math.prod(sizes[n] for n in out))
    number = {n: k for k, n in enumerate(names)}
    terms = math.prod(sizes[n] for n in names if n in summed)
    mid = np.einsum(
        a.mid, [number[n] for n in a.axes], b.mid, [number[n] for n in b.axes], [number[n] for n in out],
        optimize=bool(summed),
    )  # fmt: skip
    if not np.all(np.isfinite(mid)):
        raise Unproved("a product of constants overflows")
    for one, other in ((a, b), (b, a)):
        if not terms > 1 and one.axes == () and one.rad == 0 and abs(float(one.mid)) == 1:
            return Ball(out, mid, other.rad)
    top_a, top_b = a.top, b.top
    # Whole numbers are exact where no partial sum can pass 2^53, in whatever order it is taken.
    if a.rad == 0 and b.rad == 0 and _whole(a.mid, b.mid) and mul(float(terms), top_a, top_b) < 2.0**53:
        return Ball(out, mid)
    gamma = mul(2.0, float(terms + 2), UNIT)
    error = add(mul(top_a, b.rad), mul(a.rad, top_b), mul(gamma, top_a, top_b))
    return Ball(out, mid, mul(float(terms), error))


def plus(a: Ball, b: Ball) -> Ball:
    names = tuple(dict.fromkeys((*a.axes, *b.axes)))
    sizes = dict(zip((*a.axes, *b.axes), (*a.mid.shape, *b.mid.shape), strict=True))
    guard(math.prod(sizes[n] for n in names))
    mid = a.order(names).mid + b.order(names).mid
    if not np.all(np.isfinite(mid)):
        raise Unproved("a sum of constants overflows")
    if a.rad == 0 and b.rad == 0 and (_whole(a.mid, b.mid) or not a.mid.any() or not b.mid.any()):
        return Ball(names, mid)
    return Ball(names, mid, add(a.rad, b.rad, mul(2 * UNIT, float(np.max(np.abs(mid), initial=0.0)))))


# norms ----------------------------------------------------------------------------------------


def frobenius(blocks: np.ndarray, dims: int) -> np.ndarray:
    """Upper bounds of the Euclidean norms over the last `dims` dimensions."""
    axes = tuple(range(blocks.ndim - dims, blocks.ndim))
    count = math.prod(blocks.shape[blocks.ndim - dims :])
    scale = _scale(blocks, axes)
    square = np.sum(np.square(blocks / scale), axis=axes) * (1 + 4 * (count + 4) * UNIT)
    some = np.any(blocks != 0, axis=axes)
    square = np.where(some, square + count * 1e-300, 0.0)  # squares below 1e-308 vanish
    out = np.sqrt(square) * (1 + 4 * UNIT) * scale.reshape(square.shape)
    return np.where(some & (out < 1e-300), 1e-300, out)  # below that, rounding is not relative


def _scale(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """For every block a power of two near its greatest entry, so that squares neither overflow nor vanish."""
    top = np.max(np.abs(x), axis=axes, initial=0.0, keepdims=True)
    exponent = np.clip(np.frexp(top)[1], -1000, 1000)
    return np.where(top > 0, np.ldexp(1.0, exponent), 1.0)


def spectral(matrices: np.ndarray, rad: float = 0.0) -> np.ndarray:
    """Upper bounds of the spectral norms of a stack of matrices, each entry within `rad` of the true one.

    c I - M^T M is proved positive definite by a Cholesky factorisation that succeeds after a shift which
    covers all rounding (Rump, Verification of positive definiteness, BIT 46, 2006); hence ||M|| <= sqrt(c).
    Where that fails the smaller of the Frobenius norm and sqrt(||M||_1 ||M||_inf) is returned.
    """
    key = (matrices.shape, hashlib.sha256(np.ascontiguousarray(matrices).data).digest(), rad)
    if key not in _norms:
        if len(_norms) >= 2048:
            _norms.clear()
        from anatomy.regularity.blocks import apart

        parts = apart(matrices)
        _norms[key] = _spectral(matrices, rad) if parts is None else _greatest(matrices, parts, rad)
    return _norms[key]


_norms: dict[tuple[tuple[int, ...], bytes, float], np.ndarray] = {}
"""Norms by content: one matrix is met again on every domain, and wherever a form is carried further."""


def _greatest(matrices: np.ndarray, parts: list[np.ndarray], rad: float) -> np.ndarray:
    """The norm of one matrix from blocks without a common row or column: the greatest of theirs."""
    *batch, rows, cols = matrices.shape
    extra = mul(rad, root(float(rows * cols)))
    norm = max((float(np.max(_spectral(part, 0.0))) for part in parts), default=0.0)
    return np.full(batch, add(norm, extra))


def _spectral(matrices: np.ndarray, rad: float) -> np.ndarray:
    with alone(min(matrices.shape[-2:])):
        return _verified(matrices, rad)


def _verified(matrices: np.ndarray, rad: float) -> np.ndarray:
    *batch, rows, cols = matrices.shape
    stack = matrices.reshape(-1, rows, cols)
    if not np.all(np.isfinite(stack)):
        raise Unproved("a weight is not finite")
    if rows == 0 or cols == 0:
        return np.zeros(batch)
    extra = mul(rad, root(float(rows * cols)))
    if rows == 1 or cols == 1:
        return (frobenius(stack, 2) + extra).reshape(batch) * (1 + 4 * UNIT) if extra else frobenius(stack, 2).reshape(batch)
    if rows < cols:
        stack = np.swapaxes(stack, -1, -2)
    k, n = stack.shape[-2:]
    some = np.any(stack != 0, axis=(-1, -2))
    scale = _scale(stack, (-2, -1))
    stack, scale = stack / scale, scale[:, 0, 0]
    loose = _loose(stack)
    gram = np.swapaxes(stack, -1, -2) @ stack
    traces = np.sum(np.square(stack), axis=(-1, -2)) * (1 + 8 * (k * n + 8) * UNIT)
    # |fl(M^T M) - M^T M| <= gamma_k |M^T| |M| <= gamma_k ||M||_F^2 in norm.
    product_error = 4 * (k + 4) * UNIT * traces
    top = np.linalg.eigvalsh(gram)[:, -1]
    proved = np.full(len(stack), INF)
    for slack in (1e-13, 1e-11, 1e-8):
        # Success of the factorisation of H in floating point proves lambda_min(H) >= -shift.
        c = np.abs(top) * (1 + slack) + 8 * product_error
        shift = 4 * (n + 4) * UNIT * (n * c + traces) + 1e-290
        matrix = (c + shift)[:, None, None] * np.eye(n) - gram
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            continue
        proved = (c + 2 * shift + product_error) * (1 + 16 * UNIT)
        break
    value = np.minimum(loose, np.sqrt(proved) * (1 + 4 * UNIT))
    value = np.where(some, np.maximum(value * scale, 1e-300), 0.0)
    return (value + extra).reshape(batch) * (1 + 4 * UNIT) if extra else value.reshape(batch)


def _loose(stack: np.ndarray) -> np.ndarray:
    grow = 1 + 4 * (sum(stack.shape[-2:]) + 4) * UNIT
    rows = np.max(np.sum(np.abs(stack), axis=-1), axis=-1)
    cols = np.max(np.sum(np.abs(stack), axis=-2), axis=-1)
    return np.minimum(frobenius(stack, 2), np.sqrt(rows * cols) * grow * grow)
