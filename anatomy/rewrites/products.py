"""The arithmetic of sums of products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd, lcm

from anatomy.ir.equations import Settled
from anatomy.ir.poly import Poly
from anatomy.ops import Size
from anatomy.rewrites.atoms import Atoms, Ref
from anatomy.rewrites.order import Order
from anatomy.rewrites.terms import (
    Factor,
    Number,
    Sum,
    Term,
    closed,
    collected,
    number,
    opened,
    parts,
    renamed,
    scaled,
    whole,
)

TERMS = 64
FACTORS = 256
LENGTH = 24
"""Terms of a product of sums that are multiplied out, factors in all of them, and in one; a longer product stays one of sums."""


@dataclass
class Algebra:
    """Sums of products under the axes of a diagram.

    What a mask may have made -inf is never cancelled, nor divided by.
    """

    sizes: Callable[[str], Poly]
    settled: Settled
    laws: dict[str, None] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    polys: dict[str, Poly] = field(default_factory=dict)
    axis: dict[str, str] = field(default_factory=dict)
    """For a size, an axis that has it."""
    primes: dict[int, int] = field(default_factory=dict)
    """Atoms that are a prime number: they stand under roots."""

    def __post_init__(self) -> None:
        self.atoms = Atoms(self.word)
        self.order = Order(self)

    def used(self, *laws: str) -> None:
        self.laws.update(dict.fromkeys(laws))

    def word(self, axis: str) -> str:
        """The size of an axis as text."""
        found = self.words.get(axis)
        if found is None:
            if axis[0] == "%":
                found = axis.partition(":")[2]
            else:
                size = self.settled.of(self.sizes(axis))
                found = str(size)
                self.polys[found] = size
                self.axis.setdefault(found, axis)
            self.words[axis] = found
        return found

    def names(self, axes: Iterable[str]) -> dict[str, str]:
        return {a: self.word(a) for a in axes}

    # sums -------------------------------------------------------------------------------------

    def atom(self, ref: Ref, power: Number = 1) -> Sum:
        return self.collect([closed(1, [Factor(ref[0], ref[1], power)], {}, self.atoms.turns)])

    def collect(self, terms: Iterable[Term]) -> Sum:
        """Like terms added up."""
        terms = tuple(terms)
        finite = None if self.atoms.finite(terms) else self.atoms.finite_term
        return collected(terms, finite)

    def product(self, sums: Sequence[Sum]) -> Sum:
        """Multiplied out, unless that would be too long: then of sums that stay together."""
        terms: Sum = (Term(),)
        for one in sums:
            if len(one) > 1 and len(terms) > 1:
                self.used("add_mul")
            if self._long(terms, one):
                if self._weight(one) >= self._weight(terms):
                    terms, one = self.together(one), terms
                else:
                    terms = self.together(terms)
                if self._long(terms, one):
                    one = self.together(one)
            if len(one) == 1 and len(terms) == 1:
                found = self.times(terms[0], one[0])
                terms = (found,) if found.coefficient else ()
            else:
                terms = self.collect([self.times(a, b) for a in terms for b in one])
        return terms

    def _long(self, a: Sum, b: Sum) -> bool:
        if len(a) * len(b) > TERMS:
            return True
        first, second = [len(t[1]) for t in a], [len(t[1]) for t in b]
        if first and second and max(first) + max(second) > LENGTH:
            return True
        return len(a) > 1 < len(b) and len(b) * sum(first) + len(a) * sum(second) > FACTORS

    def _weight(self, terms: Sum) -> tuple[int, int]:
        return len(terms), sum([len(t[1]) for t in terms])

    def together(self, terms: Sum) -> Sum:
        """A sum as one factor, apart from what all of its terms share."""
        if len(terms) > 1:
            content, rest = self.primitive(terms)
            # Numbers stay inside: outside they would grow with every product of products.
            groups = [scaled(rest, content.coefficient)]
            content = content._replace(coefficient=1)
        elif terms:
            content, groups = self.split(terms[0])
        else:
            return terms
        found = content
        for group in groups:
            for one in self.atom(self.atoms.ref(group)):
                found = self.times(found, one)
        return (found,)

    def times(self, a: Term, b: Term) -> Term:
        """The product of two terms; bound axes are kept apart."""
        if not a.factors:
            return Term(whole(a[0] * b[0]), b.factors, b.bound)
        if not b.factors:
            return Term(whole(a[0] * b[0]), a.factors, a.bound)
        if a.bound and b.bound:
            count = len(a.bound)
            b = Term(b.coefficient, tuple(renamed(b.factors, {f"#{k}": f"#{k + count}" for k in range(len(b.bound))})), b.bound)
        coefficient, factors = self.powers((*a.factors, *b.factors))
        coefficient *= a.coefficient * b.coefficient
        if a.bound and b.bound:
            axes = {f"#{k}": word for k, word in enumerate((*a.bound, *b.bound))}
            return self._cancelled(closed(whole(coefficient), factors, axes, self.atoms.turns))
        return self._cancelled(Term(whole(coefficient), tuple(sorted(factors)), a.bound or b.bound))

    def powers(self, factors: Iterable[Factor]) -> tuple[Number, list[Factor]]:
        """Equal atoms as one power; `x / x` is 1 only where x is positive, and a truth value is its own square."""
        table = self.atoms.table
        found: dict[tuple[int, tuple[str, ...], bool], Number] = {}
        coefficient: Number = 1
        for atom, args, power in factors:
            a = table[atom]
            key = (atom, args, power < 0 and not a.positive)
            if key not in found:
                found[key] = power
            elif not a.truth or key[2]:
                power = found[key] + power
                if atom in self.primes:
                    times = power.numerator // power.denominator
                    coefficient *= Fraction(self.primes[atom]) ** times
                    power -= times
                if a.exponential >= 0:
                    self.used("exp_add")
                found[key] = whole(power)
        return coefficient, [Factor(atom, args, power) for (atom, args, _), power in found.items() if power]

    def _cancelled(self, term: Term) -> Term:
        """Without a sum of positive terms that the term is divided by."""
        if not term.bound:
            return term
        table = self.atoms.table
        for f in term.factors:
            if f.power >= 0 or not table[f.atom].cancels or f.power.denominator != 1:
                continue
            inside = (table[f.atom].value or (Term(),))[0].factors
            if not {g.atom for g in inside} <= {g.atom for g in term.factors}:
                continue
            factors, names = opened(term)
            back = {f"#{k}": name for k, name in enumerate(names)}
            below = Factor(f.atom, tuple(back.get(a, a) for a in f.args), f.power)
            outer, groups = parts(factors, names.keys() - set(below.args))
            for group, axes in groups:
                if len(group) != len(inside):
                    continue
                ref = self.atoms.ref((closed(1, group, {a: names[a] for a in names if a in axes}, self.atoms.turns),))
                if ref[0] != f.atom or self.atom(ref) != self.atom((below.atom, below.args)):
                    continue
                self.used("sum_div")
                left = [g for g in outer if g != below]
                if f.power != -1:
                    left.append(below._replace(power=f.power + 1))
                left += [g for other, _ in groups if other is not group for g in other]
                return self._bound(Term(term.coefficient, tuple(left)), {a: word for a, word in names.items() if a not in axes})
        return term

    def bind(self, term: Term, axes: Mapping[str, str]) -> list[Term]:
        """A term without bound axes summed over some; an axis that it lacks counts."""
        return [self._bound(*one) for one in self.order.summed(term, axes)]

    def _bound(self, term: Term, axes: Mapping[str, str]) -> Term:
        held = term.axes
        counts = [self.count(word) for a, word in axes.items() if a not in held]
        found = self._cancelled(closed(term.coefficient, term.factors, {a: w for a, w in axes.items() if a in held}, self.atoms.turns))
        for (one,) in counts:
            found = self.times(found, one)
        return found

    def total(self, terms: Sum, axes: Sequence[str]) -> Sum:
        """Summed over axes: those that a term lacks count it."""
        found = []
        for term in terms:
            if term.bound:
                factors, names = opened(term)
                term = Term(term.coefficient, tuple(factors))
            else:
                names = {}
            found.extend(self.bind(term, names | self.names(axes)))
        return self.collect(found)

    def count(self, word: str) -> Sum:
        """A size as a number; a product of sizes by its factors."""
        if word.isdigit():
            return number(int(word))
        size = self.polys[word]
        if len(size.terms) == 1 and size.as_variable() is None:
            ((monomial, c),) = size.terms
            names = [v for v, power in monomial for _ in range(power)]
            if all(self.sizes(v) == Poly.var(v) == self.settled.of(Poly.var(v)) for v in names):
                return self.product([number(c), *(self.count(self.word(v)) for v in names)])
        ((atom, _),) = self.atoms.box(Size(), (self.axis[word],), [])
        self.atoms[atom].positive = self.atoms[atom].nonnegative = True
        return self.atom((atom, ()))

    # quotients --------------------------------------------------------------------------------

    def primitive(self, terms: Sum) -> tuple[Term, Sum]:
        """What all terms of a sum share, and the rest: positive factors to the least power, others as far as all have them.

        The shared part does not depend on how the sum came about: it is a greatest common divisor of monomials,
        so that `1 + exp(-x)` and `exp(x) + 1` have one rest.
        """
        if len(terms) == 1 and not terms[0].bound:
            return terms[0], number(1)
        top = gcd(*[t.coefficient.numerator for t in terms])
        below = lcm(*[t.coefficient.denominator for t in terms])
        shared = Fraction(top, below)
        if not self.atoms.finite(terms):
            return Term(), terms
        powers: dict[tuple[int, tuple[str, ...], bool], list[Number]] = {}
        for t in terms:
            for atom, args, power in t.factors:
                if not any(a[0] == "#" for a in args):
                    positive = self.atoms[atom].positive
                    powers.setdefault((atom, args, not positive and power < 0), []).append(power)
        factors = []
        for (atom, args, below_line), found in powers.items():
            everywhere = len(found) == len(terms)
            if self.atoms[atom].positive:
                power = min(found) if everywhere else min(0, *found)
            else:
                power = 0 if not everywhere else max(found) if below_line else min(found)
            if power:
                factors.append(Factor(atom, args, power))
        content = Term(whole(shared), tuple(sorted(factors)))
        if shared == 1 and not factors:
            return content, terms
        back = self.reciprocal(content)
        return content, self.collect([self._apart(t, content, back) for t in terms])

    def _apart(self, term: Term, content: Term, back: Term) -> Term:
        """A term without what it shares with all others, of which it has at least as much."""
        positive = self.atoms.table
        lost = {(f.atom, f.args, f.power < 0): f.power for f in content.factors if not positive[f.atom].positive}
        left = []
        for f in term.factors:
            power = f.power - lost.get((f.atom, f.args, f.power < 0), 0)
            if power:
                left.append(Factor(f.atom, f.args, power))
        units = Term(1, tuple([f for f in back.factors if positive[f.atom].positive]))
        return self.times(Term(whole(Fraction(term.coefficient) * back.coefficient), tuple(left), term.bound), units)

    def reciprocal(self, term: Term) -> Term:
        """Of a term without bound axes."""
        return Term(whole(1 / Fraction(term.coefficient)), tuple([Factor(f.atom, f.args, -f.power) for f in term.factors]))

    def inverse(self, terms: Sum) -> Sum:
        """`1 / x`, factor by factor where x is one term."""
        if not terms or not self.atoms.finite(terms):
            return self.atom(self.atoms.ref(terms), -1)
        return self.power_of(terms, -1)

    def power_of(self, terms: Sum, power: Number) -> Sum:
        """A power of a sum that is no small whole number; of a positive one where it is not whole."""
        if len(terms) == 1:
            content, groups = self.split(terms[0])
        else:
            content, rest = self.primitive(terms)
            groups = [rest]
        c = content.coefficient
        found = number(Fraction(c) ** int(power)) if power.denominator == 1 else self.root_of_number(Fraction(c), Fraction(power))
        sums = [found]
        for atom, args, p in content.factors:
            sums.append(self.raised((atom, args), p * power))
        sums.extend(self.raised(self.atoms.ref(group), power) for group in groups)
        return self.product(sums)

    def split(self, term: Term) -> tuple[Term, list[Sum]]:
        """A term as what no bound axis touches and sums that bound axes hold together."""
        if not term.bound:
            return term, []
        factors, names = opened(term)
        outer, groups = parts(factors, names)
        held = [(closed(1, g, {a: w for a, w in names.items() if a in axes}, self.atoms.turns),) for g, axes in groups]
        return Term(term.coefficient, tuple(outer)), held

    def raised(self, ref: Ref, power: Number) -> Sum:
        """A power of an atom; whole positive powers of sums are multiplied out."""
        power = whole(power)
        value = self.atoms[ref[0]].value
        if value is not None and power.denominator == 1 and 0 < power <= 4 and ref[0] not in self.primes:
            return self.product([self.atoms.read(ref)] * int(power))
        return self.atom(ref, power)

    def root_of_number(self, value: Fraction, power: Fraction) -> Sum:
        """A power of a positive number: primes to powers between 0 and 1."""
        terms = number(1)
        for n, sign in ((value.numerator, 1), (value.denominator, -1)):
            p, left = 2, n
            while left > 1:
                if p * p > left or p > 1000:
                    p = left
                count = 0
                while left % p == 0:
                    left //= p
                    count += 1
                if count:
                    exponent = power * count * sign
                    times = exponent.numerator // exponent.denominator
                    terms = self.product([terms, number(Fraction(p) ** times), *([self._prime(p, exponent - times)] if exponent != times else [])])
                p += 1
        return terms

    def _prime(self, p: int, power: Fraction) -> Sum:
        atom, _ = self.atoms.ref(number(p))
        self.primes[atom] = p
        return self.atom((atom, ()), power)

    def scaled(self, terms: Sum, by: Number) -> Sum:
        return scaled(terms, by)
