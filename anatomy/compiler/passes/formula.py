"""Truths about two positions, i of a row and j of a key, in exact integer arithmetic.

    2 <= x / 3 and floor(y / 4) == 1   is   x - 6 >= 0 and 7 - y >= 0 and y - 4 >= 0       for integers x, y.

Converts: comparisons of integer combinations of i, j, their floors, absolute values and maxima into atoms `x >= 0` and `x == 0`
under `and` and `or`; there is no `not`, no fraction and no `abs` in what comes out. An atom prints as a line of PyTorch.
Non-goals: products of positions; proving two formulas equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor, gcd, lcm
from typing import Literal


@dataclass(frozen=True)
class Floor:
    """`floor(of / by)` of an integer combination."""

    of: Linear
    by: int


@dataclass(frozen=True)
class Greater:
    """`max(a, b)`; `abs(a)` is `max(a, -a)`."""

    a: Linear
    b: Linear


Term = Literal["i", "j"] | Floor | Greater


@dataclass(frozen=True)
class Linear:
    """Terms with their factors, none of them 0, and a constant."""

    terms: tuple[tuple[Term, Fraction], ...] = ()
    constant: Fraction = Fraction(0)

    @staticmethod
    def of(number: int | Fraction) -> Linear:
        return Linear((), Fraction(number))

    @staticmethod
    def at(term: Term) -> Linear:
        return Linear(((term, Fraction(1)),))

    def factor(self, term: Term) -> Fraction:
        return dict(self.terms).get(term, Fraction(0))

    def __add__(self, other: Linear) -> Linear:
        total = dict(self.terms)
        for term, factor in other.terms:
            total[term] = total.get(term, Fraction(0)) + factor
        return Linear(tuple((t, total[t]) for t in sorted(total, key=repr) if total[t]), self.constant + other.constant)

    def __mul__(self, number: Fraction | int) -> Linear:
        return Linear(tuple((t, f * number) for t, f in self.terms) if number else (), self.constant * number)

    def __neg__(self) -> Linear:
        return self * -1

    def __sub__(self, other: Linear) -> Linear:
        return self + -other

    def replaced(self, old: Term, new: Linear) -> Linear:
        """With another combination in the place of a term, within floors and maxima too."""
        total = Linear((), self.constant)
        for term, factor in self.terms:
            if term == old:
                total += new * factor
            elif isinstance(term, Floor):
                total += floored(term.of.replaced(old, new), term.by) * factor
            elif isinstance(term, Greater):
                total += Linear.at(Greater(term.a.replaced(old, new), term.b.replaced(old, new))) * factor
            else:
                total += Linear.at(term) * factor
        return total

    def maximum(self) -> Greater | None:
        """A maximum in it that has none inside."""
        for term, _ in self.terms:
            parts = (term.of,) if isinstance(term, Floor) else (term.a, term.b) if isinstance(term, Greater) else ()
            inner = next((m for p in parts if (m := p.maximum()) is not None), None)
            if inner is not None or isinstance(term, Greater):
                return inner or term  # type: ignore[return-value]
        return None


@dataclass(frozen=True)
class Atom:
    """`of >= 0`, or `of == 0`; all factors are integers without a common divisor."""

    of: Linear
    equal: bool = False


@dataclass(frozen=True)
class Every:
    """All of the parts hold; without parts it is true."""

    parts: tuple[Formula, ...] = ()


@dataclass(frozen=True)
class Some:
    """One of the parts holds; without parts it is false."""

    parts: tuple[Formula, ...] = ()


Formula = Atom | Every | Some


def floored(x: Linear, by: int = 1) -> Linear:
    """`floor(x / by)`."""
    scale = lcm(by, *(f.denominator for _, f in x.terms), x.constant.denominator)
    x, by = x * scale, by * scale
    whole = Linear(tuple((t, f) for t, f in x.terms if f % by == 0), Fraction(x.constant // by * by))
    rest = x - whole
    shared = gcd(by, *(int(f) for _, f in rest.terms))
    if not rest.terms:
        return whole * Fraction(1, by)
    rest, by = Linear(tuple((t, f / shared) for t, f in rest.terms), Fraction(rest.constant // shared)), by // shared
    return whole * Fraction(1, by * shared) + (rest if by == 1 else Linear.at(Floor(rest, by)))


def both(*parts: Formula) -> Formula:
    """All of the parts, without those that are true."""
    flat = list(dict.fromkeys(p for part in parts for p in (part.parts if isinstance(part, Every) else (part,))))
    if Some() in flat:
        return Some()
    return flat[0] if len(flat) == 1 else Every(tuple(flat))


def either(*parts: Formula) -> Formula:
    """One of the parts, without those that are false."""
    flat = list(dict.fromkeys(p for part in parts for p in (part.parts if isinstance(part, Some) else (part,))))
    if Every() in flat:
        return Every()
    return flat[0] if len(flat) == 1 else Some(tuple(flat))


def at_least_0(x: Linear) -> Formula:
    """`x >= 0`."""
    for term, factor in x.terms:
        if isinstance(term, Greater):
            parts = [at_least_0(x.replaced(term, side)) for side in (term.a, term.b)]
            return either(*parts) if factor > 0 else both(*parts)
    inner = x.maximum()
    if inner is not None:
        return either(*(both(case, at_least_0(x.replaced(inner, side))) for case, side in cases(inner)))
    x = whole(x)
    shared = gcd(*(int(f) for _, f in x.terms))
    if not shared:
        return Every() if x.constant >= 0 else Some()
    x = Linear(tuple((t, f / shared) for t, f in x.terms), Fraction(floor(x.constant / shared)))
    term, sign = x.terms[0]
    if len(x.terms) == 1 and isinstance(term, Floor):  # +-floor(y / b) + c >= 0
        c = x.constant
        return at_least_0(term.of + Linear.of(c * term.by)) if sign > 0 else at_least_0(-term.of + Linear.of(c * term.by + term.by - 1))
    return Atom(x)


def equals_0(x: Linear) -> Formula:
    """`x == 0`."""
    inner = x.maximum()
    if inner is not None:
        return either(*(both(case, equals_0(x.replaced(inner, side))) for case, side in cases(inner)))
    x = whole(x)
    shared = gcd(*(int(f) for _, f in x.terms))
    if not shared:
        return Some() if x.constant else Every()
    if x.constant % shared:
        return Some()
    x = x * Fraction(1, shared)
    if len(x.terms) == 1:
        return both(at_least_0(x), at_least_0(-x))
    return Atom(x if x.terms[0][1] > 0 else -x, True)


def cases(of: Greater) -> tuple[tuple[Formula, Linear], ...]:
    """Where a maximum is its first part, and where its second."""
    return (at_least_0(of.a - of.b), of.a), (above_0(of.b - of.a), of.b)


def above_0(x: Linear) -> Formula:
    """`x > 0`."""
    return opposite(at_least_0(-x))


def opposite(formula: Formula) -> Formula:
    """What holds where a formula does not."""
    if isinstance(formula, Every):
        return either(*map(opposite, formula.parts))
    if isinstance(formula, Some):
        return both(*map(opposite, formula.parts))
    one = Linear.of(1)
    if formula.equal:
        return either(at_least_0(formula.of - one), at_least_0(-formula.of - one))
    return at_least_0(-formula.of - one)


def whole(x: Linear) -> Linear:
    """Times the least number that leaves no fraction."""
    return x * lcm(*(f.denominator for _, f in x.terms), x.constant.denominator)


def atoms(formula: Formula) -> Iterator[Atom]:
    if isinstance(formula, Atom):
        yield formula
    else:
        for part in formula.parts:
            yield from atoms(part)


# values, for proofs by trial -----------------------------------------------------------------------


def value(x: Linear, at: Mapping[str, int]) -> Fraction:
    """What a combination is at two positions."""
    total = x.constant
    for term, factor in x.terms:
        if isinstance(term, Floor):
            total += factor * (value(term.of, at) // term.by)
        elif isinstance(term, Greater):
            total += factor * max(value(term.a, at), value(term.b, at))
        else:
            total += factor * at[term]
    return total


def holds(formula: Formula, at: Mapping[str, int]) -> bool:
    """Whether a formula is true of two positions."""
    if isinstance(formula, Atom):
        found = value(formula.of, at)
        return found == 0 if formula.equal else found >= 0
    return (all if isinstance(formula, Every) else any)(holds(p, at) for p in formula.parts)


# text ------------------------------------------------------------------------------------------------


def code(formula: Formula) -> str:
    """A PyTorch expression in tensors of integers `i` and `j`."""
    if isinstance(formula, Atom):
        return comparison(formula)
    sign = " & " if isinstance(formula, Every) else " | "
    return sign.join(f"({code(p)})" for p in formula.parts)


def comparison(atom: Atom) -> str:
    x = atom.of
    texts = dict[str, Fraction]()
    for term, _ in x.terms:  # x - b floor(x / b) is the rest x % b
        if isinstance(term, Floor) and x.factor(term) % term.by == 0:
            count = -x.factor(term) / term.by
            less = x - (Linear.at(term) * -term.by + term.of) * count
            if len(less.terms) <= len(x.terms) - 1 - len(term.of.terms):
                x = less
                texts[f"{atomic(term.of)} % {term.by}"] = count
    texts.update({written(t): f for t, f in x.terms})
    constant = int(x.constant)
    left, right = ([times(t, abs(f)) for t, f in texts.items() if (f > 0) == side] for side in (True, False))
    if atom.equal:
        if not right or not left:
            return f"{' + '.join(left or right)} == {-constant if left else constant}"
        return f"{' + '.join(left)} == {' + '.join(right)}{signed(-constant)}"
    if len(right) == len(left) == 1 and constant > 0:
        return f"{right[0]} - {left[0]} < {constant + 1}"
    if not left:
        return f"{' + '.join(right)} < {constant + 1}"
    if not right:
        return f"{' + '.join(left)} >= {-constant}"
    return f"{' + '.join(right)} <= {' + '.join(left)}{signed(constant)}"


def times(text: str, factor: Fraction) -> str:
    return text if factor == 1 else f"{factor} * {text}" if text.isidentifier() else f"{factor} * ({text})"


def signed(constant: int) -> str:
    return f" + {constant}" if constant > 0 else f" - {-constant}" if constant else ""


def written(term: Term) -> str:
    if isinstance(term, Floor):
        return f"{atomic(term.of)} // {term.by}"
    assert isinstance(term, str)
    return term


def atomic(x: Linear) -> str:
    """A combination as an operand."""
    text = ""
    for term, factor in sorted(x.terms, key=lambda pair: pair[1] < 0):
        part = times(written(term), abs(factor))
        text += f" - {part}" if factor < 0 and text else f"-{part}" if factor < 0 else f" + {part}" if text else part
    text += signed(int(x.constant))
    return text if text.isidentifier() else f"({text})"
