"""The arithmetic of sums of products over the wires of a diagram that is being built."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from anatomy.ir.builder import Builder, View
from anatomy.ir.equations import Settled
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Contract, Divide, Expand, Literal, Map, Multiply, Reduce, Size
from anatomy.rewrites.positions import Positions
from anatomy.rewrites.ratios import exponent_over
from anatomy.rewrites.sums import Factor, Key, Sum, Term, identity, number, parts, powers, scaled

MOST = 64
"""Terms of a product of sums that are multiplied out; a longer one stays a product of sums."""


@dataclass
class Algebra:
    """Sums of products, and the boxes that compute them.

    `infinite` are wires that may hold -inf by a mask: a term with one is never cancelled, nor divided by.
    `partial` wires of functions that have no value somewhere, `identities` wires of identity matrices. `truths` are wires of 0 and 1; `never_zero` wires of sums of exponentials and of sizes.
    """

    builder: Builder
    settled: Settled
    infinite: set[int] = field(default_factory=set)
    truths: set[int] = field(default_factory=set)
    never_zero: set[int] = field(default_factory=set)
    partial: set[int] = field(default_factory=set)
    identities: set[int] = field(default_factory=set)
    totals: dict[int, Key] = field(default_factory=dict)
    count: int = 0
    alias: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Poly] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    made: dict[Key, View] = field(default_factory=dict)
    laws: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.positions = Positions(self)

    def used(self, *laws: str) -> None:
        self.laws.update(dict.fromkeys(laws))

    # axes -------------------------------------------------------------------------------------

    def size(self, axis: str) -> Poly:
        if axis not in self.sizes:
            self.sizes[axis] = self.settled.of(self.builder.sizes.of(self.alias.get(axis, axis)))
        return self.sizes[axis]

    def another(self, axis: str) -> str:
        """A new axis of the same size; the builder knows it as soon as a box has it."""
        stem = axis.partition("~")[0]
        self.count += 1
        while (name := f"{stem}~{self.count}") in self.builder.axes:
            self.count += 1
        self.alias[name] = self.alias.get(axis, axis)
        return name

    def fresh(self, term: Term) -> Term:
        bound = term.all_bound()
        return term.rename({a: self.another(a) for a in bound}) if bound else term

    def name(self, term: Term) -> Key:
        for a in (bound := term.all_bound()):
            if a not in self.words:
                self.words[a] = str(self.size(a))
        return identity(term, {a: self.words[a] for a in bound})

    # sums -------------------------------------------------------------------------------------

    def atom(self, view: View) -> Sum:
        return (Term(factors=(Factor(view.wire, tuple(sorted(view.renames))),)),)

    def finite(self, terms: Iterable[Term]) -> bool:
        return all(f.wire not in self.infinite for t in terms for f in t.factors) and all(self.finite(t.exponent) for t in terms)

    def defined(self, terms: Iterable[Term]) -> bool:
        """Finite, and without a denominator that may be 0."""
        return self.finite(terms) and all(
            (f.power > 0 or f.wire in self.never_zero) and f.wire not in self.partial for t in terms for f in t.factors
        ) and all(self.defined(t.exponent) for t in terms)

    def collect(self, terms: Iterable[Term]) -> Sum:
        """Like terms added up."""
        found: dict[Key, Term] = {}
        for term in terms:
            key = self.name(term)
            if key in found and not self.finite((term,)):
                key = (key, term.coefficient > 0)
            if key in found:
                term = replace(found[key], coefficient=found[key].coefficient + term.coefficient)
            found[key] = term
        return tuple(found[k] for k in sorted(found, key=repr) if found[k].coefficient)

    def product(self, sums: Sequence[Sum]) -> Sum:
        """Multiplied out, unless that would be too long."""
        terms: Sum = (Term(),)
        for one in sums:
            if len(one) > 1 and len(terms) > 1:
                self.used("add_mul")
            if len(one) * len(terms) > MOST:
                one = self.atom(self.wire(one))
            if len(one) * len(terms) > MOST:
                terms = self.atom(self.wire(terms))
            terms = self.collect(self.times(a, b) for a in terms for b in one)
        return terms

    def times(self, a: Term, b: Term) -> Term:
        a, b = self.fresh(a), self.fresh(b)
        if a.exponent and b.exponent:
            self.used("exp_add")
        factors = powers((*a.factors, *b.factors), frozenset(self.truths), frozenset(self.never_zero))
        exponent = self.collect((*a.exponent, *b.exponent)) if a.exponent and b.exponent else a.exponent or b.exponent
        return self._cancelled(Term(a.coefficient * b.coefficient, factors, (*a.bound, *b.bound), exponent))

    def _cancelled(self, term: Term) -> Term:
        """Without a sum of exponentials that the term is divided by."""
        if not term.bound or not any(f.power < 0 and f.wire in self.totals for f in term.factors):
            return term
        for f in term.factors:
            if f.power > 0 or f.wire not in self.totals:
                continue
            outer, groups = parts(replace(term, bound=tuple(a for a in term.bound if a not in f.axes)))
            for group in groups:
                if self.totals[f.wire] != self._unnamed(group, f, self.name(group)):
                    continue
                left = [x for x in outer.factors if x != f]
                if f.power < -1:
                    left.append(replace(f, power=f.power + 1))
                rest = [g for g in groups if g is not group]
                self.used("sum_div")
                new = Term(
                    term.coefficient, (*left, *(x for g in rest for x in g.factors)),
                    tuple(a for a in term.bound if a not in group.bound),
                    (*outer.exponent, *(t for g in rest for t in g.exponent)),
                )  # fmt: skip
                held = {a for x in new.factors for a in x.axes}.union(*(t.axes for t in new.exponent))
                counts = [self.count_of(a) for a in new.bound if a not in held]
                new = replace(new, bound=tuple(a for a in new.bound if a in held))
                for (count,) in counts:
                    new = self.times(new, count)
                return self._cancelled(new)
        return term

    def _unnamed(self, group: Term, f: Factor, key: Key) -> Key:
        """The name of a group in the axes of the wire that a factor reads."""
        table = {b: a for a, b in f.renames}
        if group.axes != table.keys():
            return ()
        return self.name(self.fresh(group).rename(table)) if any(a != b for a, b in table.items()) else key

    def total(self, terms: Sum, axes: Sequence[str]) -> Sum:
        """Summed over axes: those of size one are read, those that a term lacks count it."""
        found = []
        for term in terms:
            bound, counts = [], []
            for a in axes:
                if a not in term.axes:
                    counts.append(self.count_of(a))
                elif self.size(a).constant() == 1:
                    term = self._read(term, a)
                elif (known := self._identified(term, a)) is not None:
                    term = known
                else:
                    bound.append(a)
            for part in self.positions.summed(replace(term, bound=(*term.bound, *bound))):
                found.extend(self.product([(self._cancelled(part),), *counts]))
        return self.collect(self.fresh(t) for t in found)

    def _identified(self, term: Term, axis: str) -> Term | None:
        """Summed over an axis that an identity matrix reads: the other axis of that stands in its place."""
        for f in term.factors:
            if f.wire in self.identities and f.power == 1 and axis in f.axes:
                (other,) = (a for a in f.axes if a != axis)
                rest = [g for g in term.factors if g is not f]
                held = [set(g.axes) for g in rest] + [t.axes | set(t.all_bound()) for t in term.exponent]
                if self.size(other) == self.size(axis) and not any({axis, other} <= h for h in held):
                    self.used("dot_identity")
                    return replace(term, factors=tuple(rest)).rename({axis: other})
        return None

    def _read(self, term: Term, axis: str) -> Term:
        def one(f: Factor) -> Factor:
            if axis not in f.axes:
                return f
            ((outer, _),) = [pair for pair in f.renames if pair[1] == axis]
            wire = View(f.wire, tuple((a, a) for a in self.builder.wires[f.wire].axes))
            view = self.box(Reduce("sum"), (outer,), [wire])
            self._inherit(view.wire, [f.wire])
            if f.wire in self.truths:
                self.truths.add(view.wire)
            return Factor(view.wire, tuple(pair for pair in f.renames if pair[1] != axis), f.power)

        return replace(term, factors=tuple(map(one, term.factors)), exponent=self.collect(self._read(t, axis) for t in term.exponent))

    def count_of(self, axis: str) -> Sum:
        """The size of an axis as a number; a product of sizes by its factors."""
        size = self.size(axis)
        if (value := size.constant()) is not None:
            return number(value)
        if len(size.terms) == 1:
            ((monomial, c),) = size.terms
            names = [v for v, power in monomial for _ in range(power)]
            if all(v in self.builder.axes and self.size(v) == Poly.var(v) for v in names):
                return self.product([number(c), *(self._size(v) for v in names)])
        return self._size(axis)

    def _size(self, axis: str) -> Sum:
        view = self.box(Size(), (axis,), [])
        self.never_zero.add(view.wire)
        return self.atom(view)

    def inverse(self, terms: Sum) -> Sum:
        """`1 / x`, factor by factor where x is one term."""
        over = exponent_over(terms, self.name, self.collect) if len(terms) > 1 and self.finite(terms) else ()
        if over:
            self.used("exp_sub")
            scale: Sum = (Term(exponent=scaled(over, Fraction(-1))),)
            return self.product([self.inverse(self.product([terms, scale])), scale])
        if len(terms) != 1 or not self.finite(terms):
            wire = self.wire(terms)
            view = Term(factors=(Factor(wire.wire, tuple(sorted(wire.renames)), -1),))
            if terms and all(self.positive(t) for t in terms):
                self.never_zero.add(wire.wire)
            return (view,)
        outer, groups = parts(terms[0])
        factors = [Factor(f.wire, f.renames, -f.power) for f in outer.factors]
        for group in groups:
            view = self.wire((group,))
            if self.positive(group):
                self.totals[view.wire] = self.name(self.fresh(group).rename({b: a for a, b in view.renames}))
                self.never_zero.add(view.wire)
            factors.append(Factor(view.wire, tuple(sorted(view.renames)), -1))
        known = powers(factors, frozenset(), frozenset(self.never_zero))
        return (Term(1 / terms[0].coefficient, known, (), scaled(outer.exponent, Fraction(-1))),)

    def positive(self, term: Term) -> bool:
        """A sum of exponentials, of sizes and of other such sums."""
        return term.coefficient > 0 and all(f.wire in self.never_zero for f in term.factors) and (bool(term.exponent) or not term.bound)

    # boxes ------------------------------------------------------------------------------------

    def box(self, op: Op, own: Sequence[str], views: Sequence[View]) -> View:
        key = (op, tuple(own), tuple((v.wire, tuple(sorted(v.renames))) for v in views))
        if key not in self.made:
            for a in (*own, *(b for v in views for b in v.axes)):
                if a not in self.builder.axes:
                    self.builder.sizes.define(a, self.builder.sizes.of(self.alias[a]))
                    self.builder.axis(a)
            (self.made[key],) = self.builder.add(op, own, views, trusted=True)
        return self.made[key]

    def _inherit(self, wire: int, sources: Iterable[int]) -> None:
        if any(s in self.infinite for s in sources):
            self.infinite.add(wire)

    def wire(self, terms: Sum, axes: Iterable[str] = ()) -> View:
        """The boxes that compute a sum, repeated along `axes` that it lacks."""
        key = ("sum", *((t.coefficient, self.name(t)) for t in terms))
        if key not in self.made:
            self.made[key] = self._sum(terms)
        view = self.made[key]
        lacking = tuple(dict.fromkeys(a for a in axes if a not in view.axes))
        if lacking:
            source = view.wire
            view = self.box(Expand(), lacking, [view])
            self._inherit(view.wire, [source])
        return view

    def _sum(self, terms: Sum) -> View:
        views = [self._wire_of(t) for t in terms] or [self.box(Literal(Fraction(0)), (), [])]
        view = views[0]
        for more in views[1:]:
            view = self.box(Add(), (), [view, more])
        if not self.finite(terms):
            self.infinite.add(view.wire)
        return view

    def _wire_of(self, term: Term) -> View:
        outer, groups = parts(term)
        operands = self._operands(outer)
        for group in groups:
            operands.append(self._contracted(group))
        if term.coefficient != 1 or not operands:
            operands.insert(0, self.box(Literal(term.coefficient), (), []))
        view = operands[0]
        for more in operands[1:]:
            view = self.box(Multiply(), (), [view, more])
        return view

    def _operands(self, term: Term) -> list[View]:
        """Powers of wires, reciprocals, one exponential."""
        above, below = [], []
        for f in term.factors:
            (above if f.power > 0 else below).extend([View(f.wire, f.renames)] * abs(f.power))
        if term.exponent:
            above.append(self.box(Map("exp"), (), [self.wire(term.exponent)]))
        # One reciprocal each: that of a product would be multiplied out when it is read again.
        above.extend(self.box(Divide(), (), [self.box(Literal(Fraction(1)), (), []), view]) for view in below)
        return above

    def _contracted(self, group: Term) -> View:
        """One contraction; what a single operand has is summed before."""
        key = ("group", self.name(group))
        if key not in self.made:
            self.made[key] = self._contraction(group)
        return self.made[key]

    def _contraction(self, group: Term) -> View:
        operands = self._operands(group)
        holders = {a: [k for k, v in enumerate(operands) if a in v.axes] for a in group.bound}
        for k, view in enumerate(operands):
            alone = tuple(a for a in group.bound if holders[a] == [k])
            if alone:
                operands[k] = self.box(Reduce("sum"), alone, [view])
        shared = tuple(a for a in group.bound if len(holders[a]) > 1)
        if not shared:
            view = operands[0]
            for more in operands[1:]:
                view = self.box(Multiply(), (), [view, more])
            return view
        return self.box(Contract(), shared, operands)
