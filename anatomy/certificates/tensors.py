"""Tensors of Arb balls with named axes, under a limit on the work that one check may do."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat

from anatomy.certificates.model import Broken

Sizes = Mapping[str, int]


class Meter:
    """Counts work, a unit being at most about a microsecond: an entry moved, a third of one made, 64 multiplications in a matrix product."""

    def __init__(self, limit: int):
        self.left = limit

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise Broken("size", "more work than a check may do")


METER: ContextVar[Meter | None] = ContextVar("METER", default=None)


def spend(units: int) -> None:
    meter = METER.get()
    if meter is not None:
        meter.spend(units)


def integer(x: arb) -> int | None:
    """The integer that a ball is exactly; None where it is none, or a huge one, for whose digits there is no room."""
    if not (x.is_exact() and abs(x) < 2**62):
        return None
    value = x.unique_fmpz()
    return None if value is None or not (x - value).is_zero() else int(value)


def count(axes: Iterable[str], sizes: Sizes) -> int:
    """The number of points of all the axes together."""
    return math.prod(sizes[a] for a in axes)


@dataclass(frozen=True, eq=False)
class Tensor:
    """Entries are Arb balls, each around the true value."""

    axes: tuple[str, ...]
    data: Any

    def rename(self, table: Mapping[str, str]) -> Tensor:
        return Tensor(tuple(table.get(a, a) for a in self.axes), self.data)

    def spread(self, axes: Iterable[str], sizes: Sizes) -> Tensor:
        """Repeated along the axes that it lacks."""
        new = [a for a in axes if a not in self.axes]
        if not new:
            return self
        shape = [*(sizes[a] for a in new), *self.data.shape]
        spend(math.prod(shape))
        return Tensor((*new, *self.axes), np.broadcast_to(self.data, shape))

    def order(self, axes: Sequence[str]) -> Any:
        """The entries with the axes in this order."""
        return self.data.transpose([self.axes.index(a) for a in axes])

    def each(self, function: Any) -> Tensor:
        spend(8 * self.data.size)
        out = np.empty(self.data.shape, dtype=object)
        out.ravel()[:] = [function(x) for x in self.data.ravel()]
        return Tensor(self.axes, out)


def scalar(value: Any) -> Tensor:
    out = np.empty((), dtype=object)
    out[()] = arb(value)
    return Tensor((), out)


def tensor(axes: Sequence[str], values: Any) -> Tensor:
    """From floats or integers, exactly."""
    values = np.asarray(values)
    spend(3 * values.size)
    out = np.empty(values.shape, dtype=object)
    out.ravel()[:] = [arb(x) for x in values.ravel().tolist()]
    return Tensor(tuple(axes), out)


def ones(axes: Sequence[str], sizes: Sizes) -> Tensor:
    return scalar(1).spread(axes, sizes)


def eye(a: str, b: str, size: int) -> Tensor:
    spend(size * size)
    return tensor((a, b), np.eye(size, dtype=int))


def together(a: Tensor, b: Tensor) -> tuple[tuple[str, ...], Any, Any]:
    """Both with the axes of either, ready for broadcasting."""
    axes = (*a.axes, *(x for x in b.axes if x not in a.axes))
    sizes = dict(zip((*a.axes, *b.axes), (*a.data.shape, *b.data.shape), strict=True))
    spend(3 * count(axes, sizes))
    wide = []
    for t in (a, b):
        have = t.data.transpose([t.axes.index(x) for x in axes if x in t.axes])
        wide.append(have.reshape([sizes[x] if x in t.axes else 1 for x in axes]))
    return axes, wide[0], wide[1]


def _array(x: Any) -> Any:
    """numpy unwraps an object array without axes."""
    if isinstance(x, np.ndarray):
        return x
    out = np.empty((), dtype=object)
    out[()] = x
    return out


def plus(a: Tensor, b: Tensor) -> Tensor:
    axes, x, y = together(a, b)
    return Tensor(axes, _array(x + y))


def times(a: Tensor, b: Tensor) -> Tensor:
    axes, x, y = together(a, b)
    return Tensor(axes, _array(x * y))


def contract(a: Tensor, b: Tensor, summed: Iterable[str]) -> Tensor:
    """`sum over summed of a b`; every summed axis stands on a or on b."""
    summed = set(summed)
    if not summed:
        return times(a, b)
    a, b = (_total(t, summed - set(o.axes)) for t, o in ((a, b), (b, a)))
    both = [x for x in a.axes if x in b.axes and x not in summed]
    over = [x for x in a.axes if x in b.axes and x in summed]
    left, right = ([x for x in t.axes if x not in both and x not in over] for t in (a, b))
    if not over:
        return times(a, b)
    sizes = dict(zip((*a.axes, *b.axes), (*a.data.shape, *b.data.shape), strict=True))
    z, m, k, n = (count(group, sizes) for group in (both, left, over, right))
    spend(z * (m * k + k * n + 3 * m * n + m * k * n // 64))
    x = a.order([*both, *left, *over]).reshape(z, m, k)
    y = b.order([*both, *over, *right]).reshape(z, k, n)
    out = np.empty((z, m, n), dtype=object)
    for i in range(z):
        out[i] = entries(matrix(x[i]) * matrix(y[i]))
    axes = (*both, *left, *right)
    return Tensor(axes, out.reshape([sizes[s] for s in axes]))


def _total(t: Tensor, summed: set[str]) -> Tensor:
    gone = tuple(k for k, a in enumerate(t.axes) if a in summed)
    if not gone:
        return t
    spend(t.data.size)
    data = t.data
    for k in reversed(gone):
        data = _array(np.add.reduce(data, axis=k, initial=arb(0)) if data.shape[k] else np.full(np.delete(data.shape, k), arb(0)))
    return Tensor(tuple(a for a in t.axes if a not in summed), data)


def matrix(x: Any) -> arb_mat:
    return arb_mat(x.shape[0], x.shape[1], x.ravel().tolist())


def entries(x: arb_mat) -> Any:
    out = np.empty((x.nrows(), x.ncols()), dtype=object)
    out.ravel()[:] = x.entries()
    return out


def greatest(values: Iterable[arb]) -> arb:
    """The greatest of non-negative balls; 0 of none."""
    return functools.reduce(lambda x, y: x.max(y), values, arb(0))


def square_sums(data: Any, last: int) -> Any:
    """The sums of squares over the last axes."""
    spend(data.size)
    flat = data.reshape(*data.shape[: data.ndim - last], -1)
    return np.add.reduce(flat * flat, axis=-1, initial=arb(0)) if flat.shape[-1] else np.full(flat.shape[:-1], arb(0))
