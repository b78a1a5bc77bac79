"""Exact draws by weight: members are intervals of a line whose length is the sum of all weights."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random
from typing import Protocol

from anatomy.spaces.tree.decisions import Decisions


class Line(Protocol):
    """`at(u)`, for 0 <= u < total: the rank of the member whose interval holds u, where that begins, and its weight."""

    total: int

    def at(self, u: int) -> tuple[int, int, int]: ...


class Weighted:
    """The members of a space by weight: `weight = prod_k weight of the label at decision k`, 1 where none is given."""

    def __init__(self, plain: Decisions, weighted: Decisions):
        self.plain, self.weighted, self.total = plain, weighted, weighted.total

    def at(self, u: int) -> tuple[int, int, int]:
        state, start, mass, places = self.weighted.start, 0, 1, []
        for _ in self.weighted.decisions:
            edge = bisect_right(state.heads, u) - 1
            child, weight = state.children[edge], state.weights[edge]
            step, rest = divmod(u - state.heads[edge], weight * child.total)
            start += mass * (state.heads[edge] + step * weight * child.total)
            places.append(state.starts[edge] + step)
            mass, u, state = mass * weight, rest // weight, child
        return self.plain.index(places), start, mass


class Even:
    """Members of equal weight."""

    def __init__(self, total: int):
        self.total = total

    def at(self, u: int) -> tuple[int, int, int]:
        return u, u, 1


class Joined:
    """Lines one after the other."""

    def __init__(self, lines: Sequence[Line], counts: Sequence[int]):
        self.lines = lines
        self.heads = [0, *accumulate(line.total for line in lines)]
        self.ranks = [0, *accumulate(counts)]
        self.total = self.heads[-1]

    def at(self, u: int) -> tuple[int, int, int]:
        k = bisect_right(self.heads, u) - 1
        rank, start, mass = self.lines[k].at(u - self.heads[k])
        return self.ranks[k] + rank, self.heads[k] + start, mass


def draws(line: Line, seed: int) -> Iterator[int]:
    """Ranks without repetition, each in proportion to its weight among those that are left (successive sampling).

    Exact: a whole number below the weight that is left is drawn evenly and stepped over the intervals already taken.
    """
    random, taken, left = Random(f"sample/{seed}"), [], line.total
    while left:
        bits = left.bit_length()
        u = random.getrandbits(bits)
        while u >= left:
            u = random.getrandbits(bits)
        for start, mass in taken:
            if u < start:
                break
            u += mass
        rank, start, mass = line.at(u)
        insort(taken, (start, mass))
        left -= mass
        yield rank
