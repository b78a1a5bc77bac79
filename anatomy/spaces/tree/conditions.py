"""Conditions as formulas over what has been decided, and what is left of them after each decision.

An atom is a set of places of one decision, given as ranges: the values whose label or text is tested, or the value
of a centre. A formula is kept in negation normal form, hash-consed: two residuals that look alike are one integer,
which is what a counting diagram is memoised on. The constants are FALSE = 0 and TRUE = 1.
"""

from __future__ import annotations

from collections.abc import Callable

from anatomy.errors import fail
from anatomy.language.choices import Both, Condition, Either, Not, Test

FALSE, TRUE = 0, 1
DEEPEST = 100
"""Brackets and `not`s in one condition."""
WORK = 600_000
"""Steps of simplification that one space may take."""


class Formulas:
    """A table of formulas; `atom(test)` says which decision a test is about, and its number there.

    >>> table = Formulas(lambda test: (0, 0) if test.name == "a" else (1, 0))
    >>> f = table.compile(Both((Test("a", "==", ("x",)), Test("b", "==", ("y",)))))
    >>> table.restrict(f, 0, 0), table.restrict(table.restrict(f, 0, 1), 1, 1)
    (0, 1)
    """

    def __init__(self, atom: Callable[[Test], tuple[int, int]]):
        self.atom = atom
        self.keys: list[tuple] = [("F",), ("T",)]  # type: ignore[type-arg]
        self.table: dict[tuple, int] = {("F",): FALSE, ("T",): TRUE}  # type: ignore[type-arg]
        self.support: list[int] = [0, 0]
        """Per formula, the decisions it still depends on, as bits."""
        self.memo: dict[tuple[int, int, int], int] = {}
        self.work = 0

    def spend(self, steps: int) -> None:
        self.work += steps
        if self.work > WORK:
            raise fail(
                "E630", "the conditions of the space leave too many cases to be counted",
                help="test decisions that stand near each other, or split the space with `where`",
            )  # fmt: skip

    def compile(self, condition: Condition, positive: bool = True, depth: int = 0) -> int:
        """The formula of a condition, or of its negation. Raises AnatomyError E630 and what `atom` raises."""
        if depth > DEEPEST:
            raise fail("E630", f"a condition nests deeper than {DEEPEST}")
        match condition:
            case Test():
                k, number = self.atom(condition)
                return self.literal(k, number, positive)
            case Not():
                return self.compile(condition.of, not positive, depth + 1)
            case Both() | Either():
                parts = [self.compile(part, positive, depth + 1) for part in condition.parts]
                return self.join("&" if isinstance(condition, Both) == positive else "|", parts)

    def literal(self, k: int, number: int, positive: bool) -> int:
        return self.intern(("?", k, number, positive), 1 << k)

    def join(self, op: str, parts: list[int]) -> int:
        """Conjunction (`&`) or disjunction (`|`), flattened, sorted, and decided where a part or its opposite decides it."""
        unit, zero = (TRUE, FALSE) if op == "&" else (FALSE, TRUE)
        flat: set[int] = set()
        for part in parts:
            if part == zero:
                return zero
            if part != unit:
                key = self.keys[part]
                flat.update(key[1:] if key[0] == op else (part,))
        self.spend(len(flat) + 1)
        support = 0
        for part in flat:
            key = self.keys[part]
            if key[0] == "?" and self.table.get((*key[:3], not key[3])) in flat:
                return zero
            support |= self.support[part]
        if not flat:
            return unit
        return next(iter(flat)) if len(flat) == 1 else self.intern((op, *sorted(flat)), support)

    def intern(self, key: tuple, support: int) -> int:  # type: ignore[type-arg]
        found = self.table.get(key)
        if found is None:
            found = self.table[key] = len(self.keys)
            self.keys.append(key)
            self.support.append(support)
        return found

    def restrict(self, formula: int, k: int, truths: int) -> int:
        """What is left of a formula when decision k is made and bit a of `truths` says whether its atom a holds."""
        if not self.support[formula] >> k & 1:
            return formula
        place = (formula, k, truths)
        found = self.memo.get(place)
        if found is None:
            self.spend(1)
            key = self.keys[formula]
            if key[0] == "?":
                found = TRUE if bool(truths >> key[2] & 1) == key[3] else FALSE
            else:
                found = self.join(key[0], [self.restrict(part, k, truths) for part in key[1:]])
            self.memo[place] = found
        return found
