"""Positions of two axes compared: sums over one of them where they are equal, and sums up to one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from anatomy.ir.graph import MASK, Kind
from anatomy.ops import Compare, Iota, Where
from anatomy.rewrites.atoms import Ref
from anatomy.rewrites.terms import Factor, Sum, Term, number, renamed, scaled, whole

if TYPE_CHECKING:
    from anatomy.rewrites.products import Algebra

Open = tuple[Term, Mapping[str, str]]
"""A term and the axes that it is to be summed over, with their sizes."""


class Order:
    """Masks as factors, and what is known of those that compare positions."""

    def __init__(self, algebra: Algebra):
        self.algebra = algebra
        self.signs: dict[int, tuple[str, int, int]] = {}
        """For a factor that compares positions, its sign and the places of the two axes."""

    def factor(self, predicate: Ref) -> Sum:
        """1 where a mask holds, else 0."""
        atoms = self.algebra.atoms
        made = atoms[predicate[0]].box
        places: list[str] = []
        if made is not None and isinstance(made.op, Compare):
            box, table = atoms.under_box(predicate)
            if box.op == Compare("!="):
                self.algebra.used("where_not")
                reads = [(atoms.operand(box, table, k), ()) for k in range(2)]
                (equal,) = atoms.box(Compare("=="), (), reads, [MASK])
                return self.algebra.collect((*number(1), *scaled(self.factor(equal), -1)))
            makers = [atoms[o.atom].box for o in box.operands]
            if all(b is not None and isinstance(b.op, Iota) for b in makers):
                places = [table[o.args[0]] for o in box.operands]
        one, zero = atoms.ref(number(1)), atoms.ref(())
        ((atom, args),) = atoms.box(Where(), (), [(predicate, ()), (one, ()), (zero, ())])
        atoms[atom].truth = atoms[atom].nonnegative = True
        if made is not None and len(set(places)) == 2 and set(places) <= set(args):
            self.signs[atom] = made.op.word, args.index(places[0]), args.index(places[1])
        return self.algebra.atom((atom, args))

    def compared(self, sign: str, left: str, right: str) -> Factor:
        """1 where the position on one axis stands so to that on the other, else 0."""
        atoms = self.algebra.atoms
        places = [atoms.box(Iota(), (a,), [], [Kind("index")])[0] for a in (left, right)]
        (mask,) = atoms.box(Compare(sign), (), [(ref, ()) for ref in places], [MASK])
        return self.factor(mask)[0].factors[0]

    def summed(self, term: Term, axes: Mapping[str, str]) -> list[Open]:
        """A term without the sums that two equal positions make one value; `m < n` as `m <= n` without `m == n`.

        The latter is done in polynomials only, where both sums are sums of the same kind as before.
        """
        algebra = self.algebra
        for f in term.factors if self.signs else ():
            if f.atom not in self.signs or f.power < 0:
                continue
            sign, p, q = self.signs[f.atom]
            left, right = f.args[p], f.args[q]
            for x, y in ((left, right), (right, left)):
                if x not in axes or algebra.word(x) != algebra.word(y):
                    continue
                if sign != "==" and not any(x in g.args for g in term.factors if g is not f):
                    return [part for one in self._counted(term, axes, f, x, y) for part in self.summed(*one)]
                if sign == "==" and (found := self._at(term, axes, f, x, y)) is not None:
                    algebra.used("dot_identity")
                    return [part for one in found for part in self.summed(*one)]
                if sign == "<" and not any(algebra.atoms[g.atom].exponential >= 0 for g in term.factors):
                    if (found := self._at(term, axes, f, x, y)) is None:
                        continue
                    algebra.used("strictly_less")
                    weak = self._product(term.coefficient, [*(g for g in term.factors if g is not f), self.compared("<=", left, right)])
                    less = [(t._replace(coefficient=-t.coefficient), a) for t, a in found]
                    return [part for one in ((weak, axes), *less) for part in self.summed(*one)]
        return [(term, axes)]

    def _counted(self, term: Term, axes: Mapping[str, str], f: Factor, x: str, y: str) -> list[Open]:
        """With the number of positions before, up to, after or from the one at y in the place of a sum over them."""
        algebra = self.algebra
        algebra.used("count_past")
        sign, p, _ = self.signs[f.atom]
        count = algebra.atom(algebra.atoms.box(Iota(), (y,), [], [Kind("index")])[0])
        if f.args[p] == x:
            count = (*count, *(number(1) if sign == "<=" else ()))
        else:
            count = (*algebra.count(algebra.word(y)), *scaled(count, -1), *(number(-1) if sign == "<" else ()))
        kept, left = [g for g in term.factors if g is not f], {a: word for a, word in axes.items() if a != x}
        return [(self._product(term.coefficient * t.coefficient, [*kept, *t.factors]), left) for t in algebra.collect(count)]

    def shifted(self, term: Term, axis: str) -> Term | None:
        """A sum up to each position of an axis, one position later: the sum up to that position without itself."""
        held = [f for f in term.factors if axis in f.args]
        if len(held) != 1 or held[0].atom not in self.signs or held[0].power != 1:
            return None
        sign, p, q = self.signs[held[0].atom]
        if sign != "<=" or held[0].args[q] != axis:
            return None
        return self._product(term.coefficient, [*(f for f in term.factors if f is not held[0]), self.compared("<", held[0].args[p], axis)])

    def _product(self, coefficient: int | object, factors: list[Factor]) -> Term:
        more, factors = self.algebra.powers(factors)
        return Term(whole(coefficient * more), tuple(sorted(factors)))  # type: ignore[operator]

    def _at(self, term: Term, axes: Mapping[str, str], f: Factor, x: str, y: str) -> list[Open] | None:
        """The term without a factor and without the sum over x, at x = y; None where some wire would be read on a diagonal."""
        kept: list[Factor] = []
        for g in term.factors:
            if g is f:
                continue
            if x in g.args and y in g.args:
                if g.atom not in self.signs or g.power < 0:
                    return None
                if self.signs[g.atom][0] == "<":
                    return []
                continue
            kept.append(g)
        return [(self._product(term.coefficient, renamed(kept, {x: y})), {a: word for a, word in axes.items() if a != x})]
