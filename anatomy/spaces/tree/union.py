"""Disjoint sum: spaces side by side, the members of the first before those of the second."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from anatomy.spaces.tree.node import Foreign, Node, Ranges
from anatomy.spaces.tree.options import Below
from anatomy.spaces.tree.series import ZERO, Series, add, total
from anatomy.spaces.tree.value import Value


class Union(Node):
    """`count = sum_s |s|`; a value is the name of a space over the values of its decisions."""

    def __init__(self, members: Sequence[tuple[str, Below]]):
        self.members = tuple(members)
        self.heads = [0, *accumulate(tree.count for _, tree in members)]
        self.count = self.heads[-1]
        self.places = {name: k for k, (name, _) in reversed(list(enumerate(members)))}
        orbits = 0
        for _, tree in members:
            orbits = None if orbits is None or tree.orbits is None else orbits + tree.orbits
        self.orbits = orbits

    def sized(self) -> Series:
        return total(tree.sizes for _, tree in self.members)

    def split(self, place: int) -> tuple[int, int]:
        """Which space has the member at a place, and its rank there."""
        k = bisect_right(self.heads, place) - 1
        return k, place - self.heads[k]

    def unrank(self, place: int) -> Value:
        k, rest = self.split(place)
        name, tree = self.members[k]
        return Value(name, tree.unrank(rest))

    def rank(self, value: Value) -> int:
        k = self.places.get(value.label)
        if k is None:
            raise Foreign(f"no space `{value.label}` among: {', '.join(self.places)}")
        return self.heads[k] + self.members[k][1].rank(value.parts)

    def below(self, place: int) -> Series:
        result = ZERO
        for head, (_, tree) in zip(self.heads, self.members, strict=False):
            if place > head:
                result = add(result, tree.below(min(place - head, tree.count)))
        return result

    def labelled(self, label: str) -> Ranges:
        k = self.places.get(label)
        return () if k is None or self.heads[k] == self.heads[k + 1] else ((self.heads[k], self.heads[k + 1]),)
