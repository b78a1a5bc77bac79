"""Orders of the members of a space: position to rank and back, without listing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Protocol

from anatomy.spaces.permutation import Permutation
from anatomy.spaces.tree.decisions import Decisions
from anatomy.spaces.tree.series import Series, add, at

ORDERS = ("lexicographic", "gray", "shuffled", "size", "distance")


class Order(ABC):
    """A bijection from positions to ranks; `order[j]` is the rank at position j, `order.position(rank)` the way back."""

    count: int

    @abstractmethod
    def __getitem__(self, position: int) -> int:
        """The rank at a position. Raises IndexError."""

    @abstractmethod
    def position(self, rank: int) -> int:
        """The position of a rank. Raises IndexError."""

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return (self[j] for j in range(self.count))

    def shard(self, i: int, n: int) -> Part:
        """Part i of n: positions `i * count // n` to `(i + 1) * count // n`; the parts differ in length by at most one."""
        if not 0 <= i < n:
            raise IndexError(f"there is no shard {i} of {n}: they are counted from 0")
        return Part(self, i * self.count // n, (i + 1) * self.count // n)

    def check(self, position: int) -> int:
        if not 0 <= position < self.count:
            raise IndexError(f"there is no position {position}: the order has {self.count}, counted from 0")
        return position


class Part(Order):
    """A run of positions of another order."""

    def __init__(self, of: Order, start: int, stop: int):
        self.of, self.start, self.count = of, start, stop - start

    def __getitem__(self, position: int) -> int:
        return self.of[self.start + self.check(position)]

    def position(self, rank: int) -> int:
        return self.check(self.of.position(rank) - self.start)


class Lexicographic(Order):
    """Position is rank."""

    def __init__(self, count: int):
        self.count = count

    def __getitem__(self, position: int) -> int:
        return self.check(position)

    def position(self, rank: int) -> int:
        return self.check(rank)


class Shuffled(Order):
    """A keyed permutation, computed for each member by itself: any part in any order needs no memory."""

    def __init__(self, count: int, key: str):
        self.count, self.permutation = count, Permutation(count, key)

    def __getitem__(self, position: int) -> int:
        return self.permutation[self.check(position)]

    def position(self, rank: int) -> int:
        return self.permutation.index(self.check(rank))


class Gray(Order):
    """The reflected order: the later decisions run forwards and backwards by turns, with each step of an earlier one.

    In a plain product neighbours differ in exactly one decision, by one place. Under conditions each member still comes once;
    neighbours agree in all decisions before the one that steps, and in those after it too where the conditions leave
    them the same to choose from.
    """

    def __init__(self, tree: Decisions):
        self.tree, self.count = tree, tree.count

    def __getitem__(self, position: int) -> int:
        index, state, found = self.check(position), self.tree.start, 0
        for _ in self.tree.decisions:
            edge = bisect_right(state.heads, index) - 1
            child = state.children[edge]
            step, index = divmod(index - state.heads[edge], child.total)
            found += state.heads[edge] + step * child.total
            if (state.live[edge] + step) & 1:
                index = child.total - 1 - index
            state = child
        return found

    def position(self, rank: int) -> int:
        state, steps = self.tree.start, []
        for _, place in self.tree.digits(self.check(rank)):
            edge = self.tree.follow(state, place)
            child, step = state.children[edge], place - state.starts[edge]
            steps.append((state.heads[edge] + step * child.total, (state.live[edge] + step) & 1, child.total))
            state = child
        found = 0
        for head, odd, total in reversed(steps):
            found = head + (total - 1 - found if odd else found)
        return found


class Chain(Order):
    """Orders of spaces side by side, one after the other."""

    def __init__(self, orders: Sequence[Order]):
        self.orders = orders
        self.heads = [0, *accumulate(o.count for o in orders)]
        self.count = self.heads[-1]

    def __getitem__(self, position: int) -> int:
        k = bisect_right(self.heads, self.check(position)) - 1
        return self.heads[k] + self.orders[k][position - self.heads[k]]

    def position(self, rank: int) -> int:
        k = bisect_right(self.heads, self.check(rank)) - 1
        return self.heads[k] + self.orders[k].position(rank - self.heads[k])


class Graded(Protocol):
    """Members by grade; see `anatomy.spaces.tree.grading.Grading`."""

    all: Series

    def grade(self, index: int) -> int: ...
    def below(self, index: int) -> Series: ...
    def select(self, grade: int, place: int) -> int: ...


class ByGrade(Order):
    """Lower grades first, then lexicographic; `shells[g]` is how many members have grade g."""

    def __init__(self, grading: Graded):
        self.grading = grading
        self.shells: Series = grading.all
        self.heads = [0, *accumulate(grading.all)]
        self.count = self.heads[-1]

    def __getitem__(self, position: int) -> int:
        grade = bisect_right(self.heads, self.check(position)) - 1
        return self.grading.select(grade, position - self.heads[grade])

    def position(self, rank: int) -> int:
        grade = self.grading.grade(self.check(rank))
        return self.heads[grade] + at(self.grading.below(rank), grade)


class Tally:
    """Grades of members that are listed."""

    def __init__(self, grades: Sequence[int]):
        self.grades = tuple(grades)
        self.all: Series = tuple(self.grades.count(g) for g in range(max(grades, default=-1) + 1))

    def grade(self, index: int) -> int:
        return self.grades[index]

    def below(self, index: int) -> Series:
        return tuple(self.grades[:index].count(g) for g in range(len(self.all)))

    def select(self, grade: int, place: int) -> int:
        return [i for i, g in enumerate(self.grades) if g == grade][place]


class Together:
    """Grades of the members of spaces side by side."""

    def __init__(self, parts: Sequence[tuple[int, Graded]]):
        self.parts, self.heads = parts, [0, *accumulate(count for count, _ in parts)]
        self.all: Series = ()
        for _, part in parts:
            self.all = add(self.all, part.all)

    def grade(self, index: int) -> int:
        k = bisect_right(self.heads, index) - 1
        return self.parts[k][1].grade(index - self.heads[k])

    def below(self, index: int) -> Series:
        k = bisect_right(self.heads, index) - 1
        result = self.parts[k][1].below(index - self.heads[k])
        for _, part in self.parts[:k]:
            result = add(result, part.all)
        return result

    def select(self, grade: int, place: int) -> int:
        for head, (_, part) in zip(self.heads, self.parts, strict=False):
            if place < at(part.all, grade):
                return head + part.select(grade, place)
            place -= at(part.all, grade)
        raise IndexError(place)
