"""Positions of two axes of one size, compared: sums over one of them where they are equal, and sums up to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from anatomy.ir.builder import View
from anatomy.ops import Compare, Iota, Literal, Where
from anatomy.rewrites.sums import Factor, Sum, Term, number, scaled

if TYPE_CHECKING:
    from anatomy.rewrites.algebra import Algebra


@dataclass
class Positions:
    """`views` are the wires of 0 and 1 for each sign and pair of sizes, with their two axes; `signs` finds them by wire."""

    algebra: Algebra
    views: dict[tuple[str, str, str], tuple[View, str, str]] = field(default_factory=dict)
    signs: dict[int, tuple[str, str, str]] = field(default_factory=dict)

    def truth(self, sign: str, left: str, right: str) -> Sum:
        """1 where the position on one axis stands so to that on the other, else 0."""
        algebra = self.algebra
        if sign == "!=":
            algebra.used("where_not")
            return algebra.collect((*number(1), *scaled(self.truth("==", left, right), Fraction(-1))))
        if sign == "==":
            left, right = sorted((left, right))
        key = sign, str(algebra.size(left)), str(algebra.size(right))
        if key not in self.views:
            p, q = algebra.another(left), algebra.another(right)
            one, zero = (algebra.box(Literal(Fraction(v)), (), []) for v in (1, 0))
            mask = algebra.box(Compare(sign), (), [algebra.box(Iota(), (a,), []) for a in (p, q)])
            view = algebra.box(Where(), (), [mask, one, zero])
            algebra.truths.add(view.wire)
            self.views[key] = view, p, q
            self.signs[view.wire] = sign, p, q
        view, p, q = self.views[key]
        return algebra.atom(view.rename({p: left, q: right}))

    def summed(self, term: Term) -> Sum:
        """A term without the sums that two equal positions make one value; `m < n` as `m <= n` without `m == n`.

        The latter is done in polynomials only, where both sums are sums of the same kind as before.
        """
        for f in term.factors:
            if f.wire not in self.signs or f.power < 0:
                continue
            sign, p, q = self.signs[f.wire]
            table = dict(f.renames)
            left, right = table[p], table[q]
            for x, y in ((left, right), (right, left)):
                if x not in term.bound or self.algebra.size(x) != self.algebra.size(y):
                    continue
                if sign == "==" and (found := self._at(term, f, x, y)) is not None:
                    self.algebra.used("dot_identity")
                    return tuple(t for one in found for t in self.summed(one))
                if sign == "<" and not term.exponent and (found := self._at(term, f, x, y)) is not None:
                    self.algebra.used("strictly_less")
                    (weak,) = self.truth("<=", left, right)
                    factors = tuple(sorted((*(g for g in term.factors if g is not f), *weak.factors), key=lambda g: (g.wire, g.renames, g.power)))
                    less = (replace(t, coefficient=-t.coefficient) for t in found)
                    return tuple(t for one in (replace(term, factors=factors), *less) for t in self.summed(one))
        return (term,)

    def shifted(self, term: Term, axis: str) -> Sum | None:
        """A sum up to each position of an axis, one position later: the sum up to that position without itself."""
        held = [f for f in term.factors if axis in f.axes]
        if len(held) != 1 or held[0].wire not in self.signs or any(axis in t.axes for t in term.exponent):
            return None
        sign, p, q = self.signs[held[0].wire]
        table = dict(held[0].renames)
        if sign != "<=" or table[q] != axis or held[0].power != 1:
            return None
        (less,) = self.truth("<", table[p], axis)
        return self.summed(replace(term, factors=(*(f for f in term.factors if f is not held[0]), *less.factors)))

    def _at(self, term: Term, f: Factor, x: str, y: str) -> Sum | None:
        """The term without a factor and without the sum over x, at x = y; None where some wire would be read on a diagonal."""
        kept: list[Factor] = []
        for g in term.factors:
            if g is f:
                continue
            if {x, y} <= set(g.axes):
                if g.wire not in self.signs:
                    return None
                if self.signs[g.wire][0] == "<":
                    return ()
                continue
            kept.append(g)
        if any({x, y} <= set(g.axes) for t in term.exponent for g in _factors(t)):
            return None
        left = replace(term, factors=tuple(kept), bound=tuple(a for a in term.bound if a != x)).rename({x: y})
        held = left.axes.union(*(g.axes for g in left.factors), *(t.axes for t in left.exponent))
        counts = [self.algebra.count_of(a) for a in left.bound if a not in held]
        return self.algebra.product([(replace(left, bound=tuple(a for a in left.bound if a in held)),), *counts])


def _factors(term: Term) -> Iterator[Factor]:
    yield from term.factors
    for inner in term.exponent:
        yield from _factors(inner)
