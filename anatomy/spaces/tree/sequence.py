"""Sequences: least to most values one after the other; shorter ones first, then lexicographic."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

from anatomy.spaces.tree.node import Foreign, Node, Ranges, admit, admit_sizes, alike
from anatomy.spaces.tree.series import ONE, ZERO, Series, add, multiply, power, shift, total, trim
from anatomy.spaces.tree.value import Value


class Sequence(Node):
    """`count = sum_{k=least}^{most} |of|^k`.

    >>> from anatomy.spaces.tree.options import Options
    >>> node = Sequence(Options([("a", 1, None), ("b", 1, None)]), 1, 2)
    >>> [str(node.unrank(i)) for i in range(node.count)]
    ['seq(a)', 'seq(b)', 'seq(a, a)', 'seq(a, b)', 'seq(b, a)', 'seq(b, b)']
    """

    def __init__(self, of: Node, least: int, most: int):
        admit(most * of.count.bit_length(), "a sequence")
        self.of, self.least, self.most = of, least, most
        self.powers = [1]
        for _ in range(most):
            self.powers.append(self.powers[-1] * of.count)
        self.heads = [0, *accumulate(self.powers[least:])]
        self.count = self.heads[-1]
        self.orbits = None if of.orbits is None else sum(of.orbits**k for k in range(least, most + 1))

    @cached_property
    def series(self) -> list[Series]:
        """By length, how many sequences there are of each size."""
        admit_sizes(self.of, self.most)
        found = [ONE]
        for _ in range(self.most):
            found.append(multiply(found[-1], self.of.sizes))
        return found

    def sized(self) -> Series:
        return total(self.series[self.least :])

    def digits(self, place: int) -> list[int]:
        block = bisect_right(self.heads, place) - 1
        rest = place - self.heads[block]
        found = []
        for _ in range(self.least + block):
            rest, digit = divmod(rest, self.of.count)
            found.append(digit)
        return found[::-1]

    def unrank(self, place: int) -> Value:
        return Value("seq", tuple(self.of.unrank(d) for d in self.digits(place)))

    def rank(self, value: Value) -> int:
        if value.label != "seq" or value.edges:
            raise Foreign(f"`{value.label}` is not a sequence `seq(...)`")
        if not self.least <= len(value.parts) <= self.most:
            raise Foreign(f"a sequence has {self.least} to {self.most} parts, not {len(value.parts)}")
        rest = 0
        for part in value.parts:
            rest = rest * self.of.count + self.of.rank(part)
        return self.heads[len(value.parts) - self.least] + rest

    def below(self, place: int) -> Series:
        if place >= self.count:
            return self.sizes
        if (size := alike(self.of)) is not None:
            return by_length(self.heads, self.least, size, place)
        digits = self.digits(place)
        return add(total(self.series[self.least : len(digits)]), before(self.of, digits))

    def labelled(self, label: str) -> Ranges:
        return ((0, self.count),) if label == "seq" and self.count else ()


def by_length(heads: list[int], least: int, size: int, place: int) -> Series:
    """How many of each size stand before a place, where shorter ones come first and every part has one size."""
    block = bisect_right(heads, place) - 1
    found = [0] * ((least + block) * size + 1)
    for k in range(block):
        found[(least + k) * size] += heads[k + 1] - heads[k]
    found[-1] += place - heads[block]
    return trim(found)


def before(of: Node, digits: list[int]) -> Series:
    """How many tuples of this length, of each size, stand before this one."""
    result, size = ZERO, 0
    for k, digit in enumerate(digits):
        result = add(result, shift(multiply(of.below(digit), power(of.sizes, len(digits) - 1 - k)), size))
        size += size_at(of, digit)
    return result


def size_at(of: Node, place: int) -> int:
    """The number of components in the value at a place: where `below` grows at the next one."""
    here, after = of.below(place), of.below(place + 1)
    return next(s for s in range(len(after)) if after[s] != (here[s] if s < len(here) else 0))
