"""Small tensors with named axes over any numbers: what a rule is evaluated on, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


def together(function: Callable[..., Any], *tensors: Tensor) -> Tensor:
    """Entry by entry, broadcast by name."""
    first = tensors[0]
    if all(t.axes == first.axes for t in tensors):
        return Tensor(first.axes, first.shape, list(map(function, *(t.data for t in tensors))))
    sizes: dict[str, int] = {}
    for t in tensors:
        sizes.update(zip(t.axes, t.shape, strict=True))
    axes = tuple(sizes)
    columns = [t.data if t.axes == axes else [t.data[i] for i in t.places(axes, sizes)] for t in tensors]
    return Tensor(axes, tuple(sizes.values()), list(map(function, *columns)))


def rows(x: Tensor, own: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...], list[list[Any]]]:
    """The other axes with their sizes, and for each of their points the entries along `own`, row-major."""
    rest = tuple(a for a in x.axes if a not in own)
    laid = x.laid((*rest, *own))
    width = prod(laid.shape[len(rest) :])
    return rest, laid.shape[: len(rest)], [laid.data[i : i + width] for i in range(0, len(laid.data), width)]


def by_rows(x: Tensor, own: Sequence[str], function: Callable[[list[Any]], Any], kept: Mapping[str, int] | None = None) -> Tensor:
    """A function of every row: an entry if `kept` is none, else entries along the axes of `kept`."""
    rest, shape, found = rows(x, own)
    if kept is None:
        return Tensor(rest, shape, [function(r) for r in found])
    return Tensor((*rest, *kept), (*shape, *kept.values()), [e for r in found for e in function(r)])
