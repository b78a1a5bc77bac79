"""Sum: one of several components, each with the values of its own decisions (the dependent sum)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Protocol

from anatomy.spaces.tree.node import Foreign, Node, Ranges
from anatomy.spaces.tree.series import ONE, Series, add, shift
from anatomy.spaces.tree.value import Value


class Below(Protocol):
    """The decisions that a component brings with it: a node whose values are tuples."""

    @property
    def count(self) -> int: ...
    @property
    def sizes(self) -> Series: ...
    @property
    def orbits(self) -> int | None: ...
    def unrank(self, place: int) -> tuple[Value, ...]: ...
    def rank(self, values: Sequence[Value]) -> int: ...
    def below(self, place: int) -> Series: ...


class Options(Node):
    """`count = sum_c |values of the decisions of c|`, in the order of the components, then of their values.

    A case is a label, the size that the component itself counts (1; 0 for a number, a truth value or `none`), and its
    decisions, or None.

    >>> node = Options([("a", 1, None), ("b", 1, None)])
    >>> node.count, str(node.unrank(1)), node.sizes
    (2, 'b', (0, 2))
    """

    def __init__(self, cases: Sequence[tuple[str, int, Below | None]]):
        self.cases = tuple(cases)
        self.heads = [0, *accumulate(1 if inner is None else inner.count for _, _, inner in cases)]
        self.count = self.heads[-1]
        self.places = {label: k for k, (label, _, _) in enumerate(cases)}
        orbits: int | None = 0
        for _, _, inner in cases:
            each = 1 if inner is None else inner.orbits
            orbits = None if orbits is None or each is None else orbits + each
        self.orbits = orbits

    @cached_property
    def prefix(self) -> list[Series]:
        """How many values there are of each size before each case."""
        found: list[Series] = [()]
        for _, size, inner in self.cases:
            found.append(add(found[-1], shift(ONE if inner is None else inner.sizes, size)))
        return found

    def sized(self) -> Series:
        return self.prefix[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label for label, _, _ in self.cases)

    def unrank(self, place: int) -> Value:
        k = bisect_right(self.heads, place) - 1
        label, _, inner = self.cases[k]
        return Value(label) if inner is None else Value(label, inner.unrank(place - self.heads[k]))

    def rank(self, value: Value) -> int:
        k = self.places.get(value.label)
        if k is None:
            raise Foreign(f"no option `{value.label}`; its options are: {', '.join(list(self.places)[:40])}")
        inner = self.cases[k][2]
        if value.edges or (inner is None and value.parts):
            raise Foreign(f"`{value.label}` has no decisions of its own")
        return self.heads[k] + (0 if inner is None else inner.rank(value.parts))

    def below(self, place: int) -> Series:
        k = bisect_right(self.heads, place) - 1
        if place == self.heads[k]:
            return self.prefix[k]
        _, size, inner = self.cases[k]
        return add(self.prefix[k], shift(inner.below(place - self.heads[k]), size)) if inner else self.prefix[k]

    def labelled(self, label: str) -> Ranges:
        k = self.places.get(label)
        return () if k is None or self.heads[k] == self.heads[k + 1] else ((self.heads[k], self.heads[k + 1]),)
