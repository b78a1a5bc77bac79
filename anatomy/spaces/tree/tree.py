"""Sized recursion: terms of components whose holes are filled from the same components, counted by size."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from anatomy.errors import fail
from anatomy.spaces.tree.node import Foreign, Node, Ranges, admit
from anatomy.spaces.tree.series import Series, trim
from anatomy.spaces.tree.value import DEEPEST, Value


class Tree(Node):
    """Terms of least to most components: `t(s) = sum_c sum_{s1+..+sk=s-1} t(s1) ... t(sk)` for c with k holes.

    Small terms first, then by the outermost component, then by what fills its holes, from left to right.

    >>> node = Tree([("x", 0), ("plus", 2)], 1, 5)
    >>> node.sizes, str(node.unrank(1)), str(node.unrank(2))
    ((0, 1, 0, 1, 0, 2), 'plus(x, x)', 'plus(x, plus(x, x))')
    """

    def __init__(self, cases: Sequence[tuple[str, int]], least: int, most: int):
        if most > DEEPEST:
            raise fail("E630", f"a tree of up to {most:,} components nests too deep; at most {DEEPEST} are counted")
        self.cases, self.least, self.most = tuple(cases), least, most
        self.places = {label: k for k, (label, _) in enumerate(cases)}
        widest = max((1, *(arity for _, arity in cases)))
        self.forests: list[list[int]] = [[1] + [0] * most, *([0] * (most + 1) for _ in range(widest))]
        """`forests[k][s]`: the number of k terms in a row with s components in all."""
        for s in range(1, most + 1):
            terms = sum(self.forests[arity][s - 1] for _, arity in cases)
            admit(terms.bit_length(), "a tree")
            self.forests[1][s] = terms
            for k in range(2, widest + 1):
                self.forests[k][s] = sum(self.forests[1][j] * self.forests[k - 1][s - j] for j in range(1, s + 1))
        sized = self.forests[1]
        self.heads = [0, *accumulate(sized[least : most + 1])]
        self.count = self.heads[-1]
        self._sizes = trim([sized[s] if s >= least else 0 for s in range(most + 1)])
        self.orbits = self.count

    def sized(self) -> Series:
        return self._sizes

    def unrank(self, place: int) -> Value:
        block = bisect_right(self.heads, place) - 1
        return self._term(self.least + block, place - self.heads[block])

    def _term(self, size: int, rest: int) -> Value:
        for label, arity in self.cases:
            here = self.forests[arity][size - 1]
            if rest < here:
                return Value(label, self._unranked(arity, size - 1, rest))
            rest -= here
        raise AssertionError

    def _unranked(self, arity: int, size: int, rest: int) -> tuple[Value, ...]:
        parts: list[Value] = []
        for left in range(arity, 0, -1):
            others = self.forests[left - 1]
            j = 1
            while rest >= (here := self.forests[1][j] * others[size - j]):
                rest -= here
                j += 1
            first, rest = divmod(rest, others[size - j])
            parts.append(self._term(j, first))
            size -= j
        return tuple(parts)

    def rank(self, value: Value) -> int:
        size, rest = self._ranked(value)
        if not self.least <= size <= self.most:
            raise Foreign(f"a term has {self.least} to {self.most} components in all, not {size}")
        return self.heads[size - self.least] + rest

    def _ranked(self, value: Value) -> tuple[int, int]:
        """The number of components, and the place among the terms with as many."""
        k = self.places.get(value.label)
        if k is None:
            raise Foreign(f"no option `{value.label}`; its options are: {', '.join(list(self.places)[:40])}")
        arity = self.cases[k][1]
        if value.edges or len(value.parts) != arity:
            raise Foreign(f"`{value.label}` has {arity} holes, not {len(value.parts)}")
        found = [self._ranked(part) for part in value.parts]
        size = 1 + sum(s for s, _ in found)
        if size > self.most:
            raise Foreign(f"a term has {self.least} to {self.most} components in all, not {size}")
        place = sum(self.forests[a][size - 1] for _, a in self.cases[:k])
        left = size - 1
        for done, (s, rest) in enumerate(found, 1):
            others = self.forests[arity - done]
            place += sum(self.forests[1][j] * others[left - j] for j in range(1, s)) + rest * others[left - s]
            left -= s
        return size, place

    def below(self, place: int) -> Series:
        if place >= self.count:
            return self.sizes
        block = bisect_right(self.heads, place) - 1
        size, rest = self.least + block, place - self.heads[block]
        smaller = tuple(self.sizes[:size])
        return (*smaller, *(0,) * (size - len(smaller)), rest) if rest else trim(list(smaller))

    def labelled(self, label: str) -> Ranges:
        k = self.places.get(label)
        if k is None:
            return ()
        found = []
        for block, size in enumerate(range(self.least, self.most + 1)):
            start = self.heads[block] + sum(self.forests[a][size - 1] for _, a in self.cases[:k])
            here = self.forests[self.cases[k][1]][size - 1]
            if here:
                found.append((start, start + here))
        return tuple(found)
