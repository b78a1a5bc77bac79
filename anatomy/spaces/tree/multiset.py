"""Multisets: least to most values side by side, which may repeat and have no order; small ones first, then lexicographic."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from math import comb

from anatomy.spaces.tree.node import Foreign, Node, Ranges, admit, admit_sizes, alike
from anatomy.spaces.tree.sequence import by_length, size_at
from anatomy.spaces.tree.series import Series, add, all_multisets, shift, subtract, total
from anatomy.spaces.tree.value import Value


class Multiset(Node):
    """`count = sum_{k=least}^{most} binomial(|of| + k - 1, k)`; a value lists its parts in increasing order.

    >>> from anatomy.spaces.tree.options import Options
    >>> node = Multiset(Options([("a", 1, None), ("b", 1, None)]), 2, 2)
    >>> [str(node.unrank(i)) for i in range(node.count)]
    ['bag(a, a)', 'bag(a, b)', 'bag(b, b)']
    """

    label = "bag"
    step = 0
    """What the next part exceeds the last one by, at least."""
    series = staticmethod(all_multisets)

    def __init__(self, of: Node, least: int, most: int):
        self.of, self.least, self.most = of, least, most
        admit(most * of.count.bit_length(), "a choice of several")
        self.heads = [0, *accumulate(self.ways(of.count, k) for k in range(least, most + 1))]
        self.count = self.heads[-1]
        self.orbits = None
        if of.orbits is not None:
            self.orbits = self.count if of.orbits == of.count else self.modulo(of.orbits)

    def sized(self) -> Series:
        admit_sizes(self.of, self.most)
        return total(self.series(self.of.sizes, self.most)[self.least :])

    @staticmethod
    def ways(n: int, k: int) -> int:
        """How many there are of size k over n values."""
        return comb(n + k - 1, k) if n else int(k == 0)

    def modulo(self, classes: int) -> int | None:
        return sum(self.ways(classes, k) for k in range(self.least, self.most + 1))

    def digits(self, place: int) -> list[int]:
        block = bisect_right(self.heads, place) - 1
        rest, low, found, n = place - self.heads[block], 0, [], self.of.count
        for left in range(self.least + block, 0, -1):
            every = self.ways(n - low, left)
            digit = _last(low, n, lambda r, e=every, k=left: e - self.ways(n - r, k), rest)
            rest -= every - self.ways(n - digit, left)
            found.append(digit)
            low = digit + self.step
        return found

    def unrank(self, place: int) -> Value:
        return Value(self.label, tuple(self.of.unrank(d) for d in self.digits(place)))

    def rank(self, value: Value) -> int:
        if value.label != self.label or value.edges:
            raise Foreign(f"`{value.label}` is not a choice of several `{self.label}(...)`")
        if not self.least <= len(value.parts) <= self.most:
            raise Foreign(f"`{self.label}` has {self.least} to {self.most} parts, not {len(value.parts)}")
        place, low, n = self.heads[len(value.parts) - self.least], 0, self.of.count
        digits = sorted(self.of.rank(part) for part in value.parts)
        for k, digit in enumerate(digits):
            if digit < low:
                raise Foreign(f"`{self.of.unrank(digit)}` stands twice in a set")
            left = len(digits) - k
            place += self.ways(n - low, left) - self.ways(n - digit, left)
            low = digit + self.step
        return place

    def below(self, place: int) -> Series:
        if place >= self.count:
            return self.sizes
        if (each := alike(self.of)) is not None:
            return by_length(self.heads, self.least, each, place)
        digits, size, low = self.digits(place), 0, 0
        result = total(self.series(self.of.sizes, self.most)[self.least : len(digits)])
        for k, digit in enumerate(digits):
            left = len(digits) - k
            # those whose part k lies in low .. digit - 1: all that stay at or above low, less all that stay at or above digit
            smaller = subtract(self.series(self.tail(low), left)[left], self.series(self.tail(digit), left)[left])
            result = add(result, shift(smaller, size))
            size += size_at(self.of, digit)
            low = digit + self.step
        return result

    def tail(self, low: int) -> Series:
        return subtract(self.of.sizes, self.of.below(low))

    def labelled(self, label: str) -> Ranges:
        return ((0, self.count),) if label == self.label and self.count else ()


def _last(low: int, high: int, before: Callable[[int], int], rest: int) -> int:
    """The last r in low .. high - 1 with before(r) <= rest, for an increasing function."""
    while high - low > 1:
        middle = (low + high) // 2
        if before(middle) <= rest:
            low = middle
        else:
            high = middle
    return low
