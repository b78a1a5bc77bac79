"""Small tensors with named axes over any numbers: what a rule is evaluated on, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any


class Abstain(Exception):
    """These numbers cannot say what comes out here; nothing is guessed."""


class Unknown(Abstain):
    """An operation is not evaluated here; the compiler may know it."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Entries in row-major order of `axes`. Reals are elements of some field, masks are bools, indices ints."""

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    data: list[Any]

    def renamed(self, table: Mapping[str, str]) -> Tensor:
        return Tensor(tuple(table.get(a, a) for a in self.axes), self.shape, self.data)

    def size(self, axis: str) -> int:
        return self.shape[self.axes.index(axis)]

    def places(self, axes: Sequence[str], sizes: Mapping[str, int]) -> list[int]:
        """For every point of `axes`, row-major, where its entry stands here; axes that it lacks are repeated."""
        strides, step = {}, 1
        for axis, size in zip(reversed(self.axes), reversed(self.shape), strict=True):
            strides[axis] = step
            step *= size
        found = [0]
        for axis in axes:
            stride, size = strides.get(axis, 0), sizes[axis]
            found = [i + k * stride for i in found for k in range(size)] if stride else [i for i in found for _ in range(size)]
        return found

    def laid(self, axes: Sequence[str], sizes: Mapping[str, int] | None = None) -> Tensor:
        """The same with its axes in this order, repeated along those that it lacks."""
        if tuple(axes) == self.axes:
            return self
        known = {**(sizes or {}), **dict(zip(self.axes, self.shape, strict=True))}
        return Tensor(tuple(axes), tuple(known[a] for a in axes), [self.data[i] for i in self.places(axes, known)])


Shape = tuple[tuple[str, ...], tuple[int, ...]]


@lru_cache(maxsize=4096)
def _plan(shapes: tuple[Shape, ...]) -> tuple[tuple[str, ...], tuple[int, ...], list[list[int] | None]]:
    """The axes of a result, and for every operand where its entries stand, None where in order."""
    sizes: dict[str, int] = {}
    for axes, shape in shapes:
        sizes.update(zip(axes, shape, strict=True))
    axes = tuple(sizes)
    places = [None if own == axes else Tensor(own, shape, []).places(axes, sizes) for own, shape in shapes]
    return axes, tuple(sizes.values()), places


def together(function: Callable[..., Any], *tensors: Tensor) -> Tensor:
    """Entry by entry, broadcast by name."""
    axes, shape, places = _plan(tuple((t.axes, t.shape) for t in tensors))
    columns = [t.data if where is None else [t.data[i] for i in where] for t, where in zip(tensors, places, strict=True)]
    return Tensor(axes, shape, list(map(function, *columns)))


@lru_cache(maxsize=4096)
def _order(axes: tuple[str, ...], shape: tuple[int, ...], own: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...], int, list[int] | None]:
    rest = tuple(a for a in axes if a not in own)
    sizes = dict(zip(axes, shape, strict=True))
    order = (*rest, *own)
    places = None if order == axes else Tensor(axes, shape, []).places(order, sizes)
    return rest, tuple(sizes[a] for a in rest), prod(sizes[a] for a in own), places


def rows(x: Tensor, own: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...], list[list[Any]]]:
    """The other axes with their sizes, and for each of their points the entries along `own`, row-major."""
    rest, shape, width, places = _order(x.axes, x.shape, tuple(own))
    data = x.data if places is None else [x.data[i] for i in places]
    return rest, shape, [data[i : i + width] for i in range(0, len(data), width)]


def by_rows(x: Tensor, own: Sequence[str], function: Callable[[list[Any]], Any], kept: Mapping[str, int] | None = None) -> Tensor:
    """A function of every row: an entry if `kept` is none, else entries along the axes of `kept`."""
    rest, shape, found = rows(x, own)
    if kept is None:
        return Tensor(rest, shape, [function(r) for r in found])
    return Tensor((*rest, *kept), (*shape, *kept.values()), [e for r in found for e in function(r)])
