"""Functions of sums of products that are such sums again: exp, log, softmax, roots, powers and choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from anatomy.ir.builder import View
from anatomy.ir.graph import Node
from anatomy.ops import Both, Literal, Map, Not, Where
from anatomy.rewrites.algebra import Algebra
from anatomy.rewrites.sums import Factor, Sum, Term, number, parts, scaled


@dataclass
class Functions:
    """What is known of wires: `masks` their predicate and score, `logs` what they are the logarithm of, `logic` the box of a predicate.

    `places` are the positions of one axis, `equals` predicates that the positions of two axes are the same.
    """

    algebra: Algebra
    masks: dict[int, tuple[View, Sum]] = field(default_factory=dict)
    logs: dict[int, Sum] = field(default_factory=dict)
    logic: dict[int, Node] = field(default_factory=dict)
    compared: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    places: set[int] = field(default_factory=set)
    equals: set[int] = field(default_factory=set)

    def softmax(self, terms: Sum, own: Sequence[str]) -> Sum | None:
        algebra = self.algebra
        above = self.exp(terms)
        if above is None:
            return None
        algebra.used("softmax_definition")
        return algebra.product([above, algebra.inverse(algebra.total(tuple(map(algebra.fresh, above)), own))])

    def exp(self, terms: Sum) -> Sum | None:
        """exp of a sum, one term; a mask in it is a factor of truth values."""
        algebra = self.algebra
        exponent: list[Term] = []
        truths: list[Sum] = []
        for t in terms:
            known = self.logarithm(t)
            if known is not None:
                algebra.used("exp_log")
                truths.append(known)
                continue
            if algebra.finite((t,)):
                exponent.append(t)
                continue
            hidden = [f for f in t.factors if f.wire in algebra.infinite]
            others = [f for f in t.factors if f.wire not in algebra.infinite]
            if len(hidden) != 1 or hidden[0].power != 1 or hidden[0].wire not in self.masks:
                return None
            if t.bound or t.exponent or t.coefficient <= 0 or any(f.wire not in algebra.never_zero for f in others):
                return None
            predicate, score = self.masks[hidden[0].wire]
            if not algebra.finite(score):
                return None
            table = dict(hidden[0].renames)
            truths.append(self.truth(predicate.rename(table)))
            score = tuple(algebra.fresh(s).rename(table) for s in score)
            exponent.extend(algebra.product([score, (replace(t, factors=tuple(others)),)]))
            algebra.used("exp_mask")
        whole = algebra.collect(exponent)
        return algebra.product([*truths, (Term(exponent=whole),)])

    def logarithm(self, t: Term) -> Sum | None:
        """Of `c * log(x)` with whole c and positive x: x to that power."""
        if len(t.factors) != 1 or t.bound or t.exponent or t.coefficient.denominator != 1 or abs(t.coefficient) > 4:
            return None
        (f,) = t.factors
        if f.power != 1 or f.wire not in self.logs:
            return None
        table = dict(f.renames)
        inside = tuple(self.algebra.fresh(x).rename(table) for x in self.logs[f.wire])
        found = self.algebra.product([inside] * abs(int(t.coefficient)))
        return found if t.coefficient > 0 else self.algebra.inverse(found)

    def truth(self, predicate: View) -> Sum:
        """A mask as a factor: 1 where it holds, else 0; of `and`, `or` and `not` by those of its parts."""
        algebra = self.algebra
        made = self.logic.get(predicate.wire)
        if made is not None:
            table = dict(predicate.renames)
            found = [self.truth(View(p.wire, tuple((a, table[b]) for a, b in p.renames))) for p in made.ports]
            algebra.used("factor_masks")
            if isinstance(made.op, Not):
                return algebra.collect((*number(1), *scaled(found[0], Fraction(-1))))
            both = algebra.product(found)
            if made.op == Both("and"):
                return both
            return algebra.collect((*found[0], *found[1], *scaled(both, Fraction(-1))))
        if predicate.wire in self.compared:
            table = dict(predicate.renames)
            sign, left, right = self.compared[predicate.wire]
            return algebra.positions.truth(sign, table[left], table[right])
        wire = View(predicate.wire, tuple((a, a) for a, _ in predicate.renames))
        one, zero = (algebra.box(Literal(Fraction(v)), (), []) for v in (1, 0))
        view = algebra.box(Where(), (), [wire, one, zero])
        algebra.truths.add(view.wire)
        if predicate.wire in self.equals:
            algebra.identities.add(view.wire)
        return algebra.atom(view.rename(dict(predicate.renames)))

    def log(self, terms: Sum) -> Sum:
        """log of one term: its exponent leaves, and so do factors that are positive."""
        algebra = self.algebra
        if len(terms) != 1 or not algebra.finite(terms) or terms[0].coefficient <= 0:
            return self.function("log", terms)
        t = terms[0]
        outer, groups = parts(t)
        found = list(outer.exponent)
        if found:
            algebra.used("log_exp")
        kept: list[Factor] = []
        for f in outer.factors:
            if f.wire in algebra.never_zero:
                found.extend(scaled(self.function("log", (Term(factors=(replace(f, power=1),)),)), Fraction(f.power)))
            else:
                kept.append(f)
        for g in groups:
            if algebra.positive(g):
                found.extend(self.function("log", (g,)))
            else:
                kept.extend(g.factors)
        left = [g for g in groups if not algebra.positive(g)]
        rest = Term(t.coefficient, tuple(kept), tuple(a for g in left for a in g.bound), tuple(e for g in left for e in g.exponent))
        if rest != Term():
            found.extend(self.function("log", (rest,)))
        return algebra.collect(found)

    def function(self, name: str, terms: Sum) -> Sum:
        algebra = self.algebra
        inside = algebra.wire(terms)
        view = algebra.box(Map(name), (), [inside])
        if name != "log":
            pass
        elif all(map(algebra.positive, terms)) or inside.wire in algebra.never_zero:
            self.logs[view.wire] = terms
        else:
            algebra.partial.add(view.wire)
        if not algebra.finite(terms):
            algebra.infinite.add(view.wire)
        return algebra.atom(view)

    def mapped(self, op: Map, terms: Sum) -> Sum | None:
        algebra = self.algebra
        finite = algebra.finite(terms)
        match op.function:
            case "neg":
                algebra.used("mul_minus_one")
                return scaled(terms, Fraction(-1))
            case "square":
                algebra.used("mul_self")
                return algebra.product([terms, terms])
            case "exp":
                return self.exp(terms)
            case "log" if finite:
                return self.log(terms)
            case "sqrt" if finite and len(terms) == 1 and terms[0].exponent:
                return self.root(terms[0])
            case "sigmoid" | "silu" if finite:
                algebra.used(f"{op.function}_definition")
                below = self.exp(scaled(terms, Fraction(-1)))
                if below is None:
                    return None
                gate = algebra.inverse(algebra.collect((*number(1), *below)))
                return gate if op.function == "sigmoid" else algebra.product([terms, gate])
            case "softplus" if finite:
                above = self.exp(terms)
                algebra.used("softplus_definition")
                return None if above is None else self.log(algebra.collect((*number(1), *above)))
            case _:
                return None

    def root(self, t: Term) -> Sum | None:
        """The exponent of one term leaves its root, halved."""
        algebra = self.algebra
        leaving = tuple(e for e in t.exponent if not e.axes.intersection(t.bound))
        rest = replace(t, exponent=tuple(e for e in t.exponent if e.axes.intersection(t.bound)))
        if not leaving:
            return None
        half = (Term(exponent=scaled(leaving, Fraction(1, 2))),)
        return algebra.product([half, *([] if rest == Term() else [self.function("sqrt", (rest,))])])

    def power(self, terms: Sum, exponent: Sum) -> Sum | None:
        """A small whole power."""
        value = exponent[0].coefficient if exponent else Fraction(0)
        if (exponent and exponent != number(value)) or value.denominator != 1 or not 1 <= abs(value) <= 4:
            return None
        self.algebra.used("pow_two" if value > 0 else "pow_minus_one")
        found = self.algebra.product([terms] * abs(int(value)))
        return found if value > 0 else self.algebra.inverse(found)
