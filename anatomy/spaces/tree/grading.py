"""Members by a whole number that adds up over decisions: their size, or their distance from one of them.

A state of the counting diagram gets a polynomial, the number of its completions by grade; place by grade and back are
then sums along one path, so that an order by grade is exact without listing a member.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from anatomy.spaces.tree.sequence import size_at
from anatomy.spaces.tree.series import ONE, ZERO, Series, add, at, multiply, shift, subtract, term

if TYPE_CHECKING:
    from anatomy.spaces.tree.decisions import Decisions, Digit
    from anatomy.spaces.tree.states import State


class Grading(ABC):
    """`all[g]` is the number of members of grade g."""

    def __init__(self, tree: Decisions):
        self.tree = tree
        self.totals: dict[int, Series] = {}
        self.piece = lru_cache(4096)(self._piece)
        for k in reversed(range(len(tree.layers))):
            for state in tree.layers[k]:
                found = ZERO
                for start, stop, child in zip(state.starts, state.stops, state.children, strict=True):
                    found = add(found, multiply(self.piece(k, state.active, start, stop), self.total(child)))
                self.totals[id(state)] = found
        self.all = self.total(tree.start) if tree.layers else term(0, tree.start.total)

    def total(self, state: State) -> Series:
        return self.totals.get(id(state), ONE)

    @abstractmethod
    def _piece(self, k: int, active: bool, start: int, stop: int) -> Series:
        """How many values of decision k in a run of places have each grade."""

    @abstractmethod
    def of(self, k: int, digit: Digit) -> int:
        """The grade of one value."""

    def grade(self, index: int) -> int:
        """The grade of the member of this rank."""
        return sum(self.of(k, digit) for k, digit in enumerate(self.tree.digits(index)))

    def below(self, index: int) -> Series:
        """How many members of each grade have a lower rank."""
        result, size, state = ZERO, 0, self.tree.start
        for k, (active, place) in enumerate(self.tree.digits(index)):
            edge = bisect_right(state.starts, place) - 1
            for e in range(edge + 1):
                stop = state.stops[e] if e < edge else place
                if stop > state.starts[e]:
                    smaller = multiply(self.piece(k, active, state.starts[e], stop), self.total(state.children[e]))
                    result = add(result, shift(smaller, size))
            size += self.of(k, (active, place))
            state = state.children[edge]
        return result

    def select(self, grade: int, place: int) -> int:
        """The rank of the member that stands at this place among those of a grade."""
        state, digits = self.tree.start, []
        for k in range(len(self.tree.decisions)):
            edge = 0
            while place >= (here := self._along(k, state, edge, grade)):
                place -= here
                edge += 1
            start, stop, child = state.starts[edge], state.stops[edge], state.children[edge]
            after = self.total(child)
            low, high = start, stop  # the last place before which no more than `place` of the grade stand
            while high - low > 1:
                middle = (low + high) // 2
                if self._within(k, state.active, start, middle, after, grade) <= place:
                    low = middle
                else:
                    high = middle
            place -= self._within(k, state.active, start, low, after, grade) if low > start else 0
            grade -= self.of(k, (state.active, low))
            digits.append(low)
            state = child
        return self.tree.index(digits)

    def _along(self, k: int, state: State, edge: int, grade: int) -> int:
        return self._within(k, state.active, state.starts[edge], state.stops[edge], self.total(state.children[edge]), grade)

    def _within(self, k: int, active: bool, start: int, stop: int, after: Series, grade: int) -> int:
        piece = self.piece(k, active, start, stop)
        return sum(count * at(after, grade - size) for size, count in enumerate(piece) if count)


class Size(Grading):
    """By the number of components that a member is made of."""

    def _piece(self, k: int, active: bool, start: int, stop: int) -> Series:
        node = self.tree.node(k, active)
        return subtract(node.below(stop), node.below(start)) if start else node.below(stop)

    def of(self, k: int, digit: Digit) -> int:
        return size_at(self.tree.node(k, digit[0]), digit[1])


class Distance(Grading):
    """By the number of decisions whose value is another than that of a member."""

    def __init__(self, tree: Decisions, centre: int):
        texts = [tree.text(k, digit) for k, digit in enumerate(tree.digits(centre))]
        self.same: list[dict[bool, int | None]] = []
        for k, text in enumerate(texts):
            self.same.append({})
            for active in (True,) if tree.others[k] is None else (True, False):
                self.same[k][active] = tree.find(k, active, text)
        super().__init__(tree)

    def _piece(self, k: int, active: bool, start: int, stop: int) -> Series:
        place = self.same[k][active]
        if place is None or not start <= place < stop:
            return term(1, stop - start)
        return add(ONE, term(1, stop - start - 1))

    def of(self, k: int, digit: Digit) -> int:
        return int(self.same[k][digit[0]] != digit[1])
