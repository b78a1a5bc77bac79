"""Sized recursion: terms of components whose holes are filled from the same components, counted by size."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from anatomy.errors import fail
from anatomy.spaces.tree.node import Foreign, Node, Ranges, admit
from anatomy.spaces.tree.options import Below
from anatomy.spaces.tree.series import ONE, ZERO, Series, add, multiply, shift, term, total
from anatomy.spaces.tree.value import DEEPEST, Value


class Tree(Node):
    """Terms of least to most components: `t(s) = sum_c d(c) sum_{s1+..+sk=s-1} t(s1) ... t(sk)` for c with k holes.

    `d(c)` is the number of values of the decisions that c brings with it. Small terms first, then by the outermost component, its own
    decisions, and what fills its holes, from left to right. A case is a label, its holes, and its own decisions, or None.

    >>> node = Tree([("x", 0, None), ("plus", 2, None)], 1, 5)
    >>> node.sizes, str(node.unrank(1)), str(node.unrank(2))
    ((0, 1, 0, 1, 0, 2), 'plus(x, x)', 'plus(x, plus(x, x))')
    """

    def __init__(self, cases: Sequence[tuple[str, int, Below | None]], least: int, most: int):
        if most > DEEPEST:
            raise fail("E630", f"a tree of up to {most:,} components nests too deep; at most {DEEPEST} are counted")
        self.cases, self.least, self.most = tuple(cases), least, most
        self.places = {label: k for k, (label, _, _) in enumerate(cases)}
        self.own = [1 if inner is None else inner.count for _, _, inner in cases]
        self.widest = max((1, *(arity for _, arity, _ in cases)))
        self.forests: list[list[int]] = [[1] + [0] * most, *([0] * (most + 1) for _ in range(self.widest))]
        """`forests[k][s]`: the number of k terms in a row with s components in all."""
        for s in range(1, most + 1):
            self.forests[1][s] = self._before(len(cases), s)
            admit(self.forests[1][s].bit_length(), "a tree")
            for k in range(2, self.widest + 1):
                self.forests[k][s] = sum(self.forests[1][j] * self.forests[k - 1][s - j] for j in range(1, s + 1))
        self.heads = [0, *accumulate(self.forests[1][least : most + 1])]
        self.count = self.heads[-1]
        self.orbits = self.count if all(inner is None or inner.orbits == inner.count for _, _, inner in cases) else None

    def _before(self, k: int, size: int) -> int:
        """How many terms of a size have one of the first k components outermost."""
        return sum(self.own[c] * self.forests[self.cases[c][1]][size - 1] for c in range(k))

    def unrank(self, place: int) -> Value:
        block = bisect_right(self.heads, place) - 1
        return self._term(self.least + block, place - self.heads[block])

    def _split(self, size: int, rest: int) -> tuple[int, int, int]:
        """The outermost component of a term, the place of its own decisions, and that of what fills its holes."""
        k = 0
        while rest >= (here := self.own[k] * self.forests[self.cases[k][1]][size - 1]):
            rest -= here
            k += 1
        own, filled = divmod(rest, self.forests[self.cases[k][1]][size - 1])
        return k, own, filled

    def _term(self, size: int, rest: int) -> Value:
        k, own, filled = self._split(size, rest)
        label, arity, inner = self.cases[k]
        parts = [self._term(s, r) for s, r in self._row(arity, size - 1, filled)]
        return Value(label, (*(inner.unrank(own) if inner else ()), *parts))

    def _row(self, arity: int, size: int, rest: int) -> list[tuple[int, int]]:
        """Size and place of each term in a row."""
        found = []
        for left in range(arity, 0, -1):
            others, j = self.forests[left - 1], 1
            while rest >= (here := self.forests[1][j] * others[size - j]):
                rest -= here
                j += 1
            first, rest = divmod(rest, others[size - j])
            found.append((j, first))
            size -= j
        return found

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
        _, arity, inner = self.cases[k]
        decided = len(value.parts) - arity
        if value.edges or decided < 0 or (inner is None and decided):
            raise Foreign(f"`{value.label}` has {arity} holes to fill, not {len(value.parts)}")
        own = 0 if inner is None else inner.rank(value.parts[:decided])
        found = [self._ranked(part) for part in value.parts[decided:]]
        size = 1 + sum(s for s, _ in found)
        if size > self.most:
            raise Foreign(f"a term has {self.least} to {self.most} components in all, not {size}")
        place, left = own * self.forests[arity][size - 1], size - 1
        for done, (s, rest) in enumerate(found, 1):
            others = self.forests[arity - done]
            place += sum(self.forests[1][j] * others[left - j] for j in range(1, s)) + rest * others[left - s]
            left -= s
        return size, self._before(k, size) + place

    # sizes: the components of a term, and those that its own decisions bring -----------------------

    @cached_property
    def rows(self) -> list[list[Series]]:
        """As `forests`, by size."""
        found: list[list[Series]] = [[ONE] + [ZERO] * self.most, *([ZERO] * (self.most + 1) for _ in range(self.widest))]
        for s in range(1, self.most + 1):
            if all(inner is None for _, _, inner in self.cases):
                for k in range(1, self.widest + 1):
                    found[k][s] = term(s, self.forests[k][s])
                continue
            found[1][s] = total(self._headed(k, found[arity][s - 1]) for k, (_, arity, _) in enumerate(self.cases))
            for k in range(2, self.widest + 1):
                found[k][s] = total(multiply(found[1][j], found[k - 1][s - j]) for j in range(1, s + 1))
        return found

    def _headed(self, k: int, filled: Series) -> Series:
        inner = self.cases[k][2]
        return shift(filled if inner is None else multiply(inner.sizes, filled), 1)

    def sized(self) -> Series:
        return total(self.rows[1][self.least : self.most + 1])

    def below(self, place: int) -> Series:
        if place >= self.count:
            return self.sizes
        block = bisect_right(self.heads, place) - 1
        size = self.least + block
        smaller = total(self.rows[1][self.least : size])
        if all(inner is None for _, _, inner in self.cases):
            return add(smaller, term(size, place - self.heads[block]))
        return add(smaller, self._below(size, place - self.heads[block])[0])

    def _below(self, size: int, rest: int) -> tuple[Series, int]:
        """How many terms with as many components stand before one, by size, and the size of this one."""
        k, own, filled = self._split(size, rest)
        _, arity, inner = self.cases[k]
        result = total(self._headed(c, self.rows[a][size - 1]) for c, (_, a, _) in enumerate(self.cases[:k]))
        mine = 1
        if inner is not None:
            here, after = inner.below(own), inner.below(own + 1)
            result = add(result, shift(multiply(here, self.rows[arity][size - 1]), 1))
            mine += next(s for s in range(len(after)) if after[s] != (here[s] if s < len(here) else 0))
        left = size - 1
        for done, (s, r) in enumerate(self._row(arity, size - 1, filled), 1):
            others = self.rows[arity - done]
            smaller = total(multiply(self.rows[1][j], others[left - j]) for j in range(1, s))
            before, its = self._below(s, r)
            result = add(result, shift(add(smaller, multiply(before, others[left - s])), mine))
            mine, left = mine + its, left - s
        return result, mine

    def labelled(self, label: str) -> Ranges:
        k = self.places.get(label)
        if k is None:
            return ()
        found = []
        for block, size in enumerate(range(self.least, self.most + 1)):
            start, stop = (self.heads[block] + self._before(c, size) for c in (k, k + 1))
            if start < stop:
                found.append((start, stop))
        return tuple(found)
