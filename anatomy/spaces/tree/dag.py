"""Cells: directed acyclic graphs with labelled vertices between an input and an output, in topological order."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

from anatomy.errors import fail
from anatomy.spaces.tree.node import Foreign, Node, Ranges, admit, alike
from anatomy.spaces.tree.orbit import LARGEST, cell_orbits
from anatomy.spaces.tree.sequence import before, by_length
from anatomy.spaces.tree.series import ONE, Series, add, multiply, total
from anatomy.spaces.tree.value import Value

MOST = 64
"""Vertices of a cell."""
STATES = 200_000
"""Partial adjacencies that one count may tell apart."""


class Dag(Node):
    """Upper triangular adjacencies on least to most vertices with at most `edges` edges, times labels.

    Every vertex lies on a way from the first (the input) to the last (the output), which holds just when each but the
    first has an edge into it and each but the last an edge out of it. The order: fewer vertices first, then the
    adjacency row by row with an absent edge before a present one, then the labels. Nothing is listed: the completions
    of a partial adjacency depend on which vertices have an edge into them, whether this row has one yet, and the edges left.

    >>> from anatomy.spaces.tree.options import Options
    >>> cells = Dag(Options([(a, 1, None) for a in ("c3", "c1", "mp")]), 2, 7, 9)
    >>> cells.count, cells.orbits, str(cells.unrank(1))
    (1293208, 423624, 'dag[0>1 1>2](c3)')
    """

    def __init__(self, of: Node, least: int, most: int, edges: int | None):
        if most > MOST:
            raise fail("E630", f"a cell of up to {most:,} vertices is too large to be counted; at most {MOST} are")
        self.of, self.least, self.most = of, least, most
        self.edges = min(most * (most - 1) // 2, edges if edges is not None else most * most)
        admit(most * (most - 1) / 2 + most * of.count.bit_length(), "a cell")
        self.memo: dict[tuple[int, int, int, int, int], int] = {}
        self.adjacencies = [self._completions(v, 0, 1, 1, self.edges) for v in range(least, most + 1)]
        self.labellings = [of.count ** (v - 2) for v in range(least, most + 1)]
        self.heads = [0, *accumulate(a * b for a, b in zip(self.adjacencies, self.labellings, strict=True))]
        self.count = self.heads[-1]
        self.orbits = None
        if of.orbits is not None and most <= LARGEST:
            self.orbits = sum(cell_orbits(v, self.edges, of.orbits) for v in range(least, most + 1))

    @cached_property
    def labels(self) -> list[Series]:
        """By the number of vertices between, how many labellings there are of each size."""
        found = [ONE]
        for _ in range(self.most - 2):
            found.append(multiply(found[-1], self.of.sizes))
        return found

    def sized(self) -> Series:
        return total(multiply((ways,), self.labels[self.least - 2 + k]) for k, ways in enumerate(self.adjacencies))

    def _completions(self, v: int, i: int, j: int, state: int, left: int) -> int:
        """How many ways to decide the edges i > j, i > j + 1, .., then rows i + 1, ..; see `_after` for the state."""
        todo: list[tuple[int, int, int, int, int]] = [(v, i, j, state, left)]
        memo = self.memo
        while todo:  # no recursion: a cell of 64 vertices has 2,016 places
            key = todo[-1]
            if key in memo:
                todo.pop()
                continue
            total, missing = 0, []
            for present in (0, 1):
                after = _after(*key, present)
                if after is None:
                    continue
                if not after:
                    total += 1
                elif after in memo:
                    total += memo[after]
                else:
                    missing.append(after)
            if missing:
                todo += missing
            else:
                todo.pop()
                memo[key] = total
                if len(memo) > STATES:
                    raise fail(
                        "E630", f"cells of up to {self.most} vertices have more than {STATES:,} partial adjacencies",
                        help="allow fewer vertices or fewer edges",
                    )  # fmt: skip
        return memo[v, i, j, state, left]

    def _split(self, place: int) -> tuple[int, int, int]:
        """Vertices, place among the adjacencies, place among the labellings."""
        block = bisect_right(self.heads, place) - 1
        rest, labels = divmod(place - self.heads[block], self.labellings[block])
        return self.least + block, rest, labels

    def unrank(self, place: int) -> Value:
        v, rest, labels = self._split(place)
        edges: list[tuple[int, int]] = []
        key: tuple[int, ...] = (v, 0, 1, 1, self.edges)
        while key:
            absent = _after(*key, 0)  # type: ignore[call-arg]
            without = 0 if absent is None else 1 if absent == () else self._completions(*absent)  # type: ignore[arg-type]
            if rest < without:
                key = absent or ()
            else:
                rest -= without
                edges.append((key[1], key[2]))
                key = _after(*key, 1) or ()  # type: ignore[call-arg]
        return Value("dag", tuple(self.of.unrank(d) for d in self._digits(v, labels)), tuple(edges))

    def _digits(self, v: int, labels: int) -> list[int]:
        found = []
        for _ in range(v - 2):
            labels, digit = divmod(labels, self.of.count)
            found.append(digit)
        return found[::-1]

    def rank(self, value: Value) -> int:
        v = len(value.parts) + 2
        if value.label != "dag":
            raise Foreign(f"`{value.label}` is not a cell `dag[0>1 1>2](...)`")
        if not self.least <= v <= self.most:
            raise Foreign(f"a cell has {self.least} to {self.most} vertices, not {v}")
        edges = set(value.edges)
        if len(edges) != len(value.edges) or len(edges) > self.edges or not all(0 <= a < b < v for a, b in edges):
            raise Foreign(f"a cell of {v} vertices has at most {self.edges} different edges, each from a lower vertex to a higher one")
        rest, key = 0, (v, 0, 1, 1, self.edges)
        while key:
            present = (key[1], key[2]) in edges
            if present:
                absent = _after(*key, 0)
                rest += 0 if absent is None else 1 if absent == () else self._completions(*absent)
            after = _after(*key, int(present))
            if after is None:
                raise Foreign("a vertex of the cell lies on no way from input to output")
            key = after
        labels = 0
        for part in value.parts:
            labels = labels * self.of.count + self.of.rank(part)
        block = v - self.least
        return self.heads[block] + rest * self.labellings[block] + labels

    def below(self, place: int) -> Series:
        if place >= self.count:
            return self.sizes
        if (size := alike(self.of)) is not None:
            return by_length(self.heads, self.least - 2, size, place)
        v, rest, labels = self._split(place)
        fewer = total(multiply((self.adjacencies[u - self.least],), self.labels[u - 2]) for u in range(self.least, v))
        result = add(fewer, multiply((rest,) if rest else (), self.labels[v - 2]))
        return add(result, before(self.of, self._digits(v, labels)))

    def labelled(self, label: str) -> Ranges:
        return ((0, self.count),) if label == "dag" and self.count else ()


def _after(v: int, i: int, j: int, state: int, left: int, present: int) -> tuple[int, int, int, int, int] | tuple[()] | None:
    """Where deciding the edge i > j leads: the next place, () at the end, None where no cell can come of it.

    Bit 0 of the state: no edge leaves i yet. Bit k > 0: vertex i + k has an edge into it.
    """
    if present:
        if not left:
            return None
        state = (state | 1 << (j - i)) & ~1
        left -= 1
    if j + 1 < v:
        return v, i, j + 1, state, left
    if state & 1:  # nothing leaves i
        return None
    if i + 2 == v:
        return ()
    if not state & 2:  # nothing enters i + 1, whose earlier rows are all decided
        return None
    return v, i + 1, i + 2, state >> 1 & ~1 | 1, left
