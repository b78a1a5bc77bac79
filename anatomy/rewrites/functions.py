"""Functions of sums of products that are such sums again: exp, log, softmax, roots, powers and choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from anatomy.ops import Both, Map, Mask, Not
from anatomy.rewrites.atoms import Ref
from anatomy.rewrites.products import Algebra
from anatomy.rewrites.terms import Factor, Number, Sum, Term, number, scaled

AT_ZERO = {"abs": "abs_scale", "relu": "relu_scale", "sin": "sin_neg", "tanh": "tanh_neg"}
"""Functions that are 0 at 0, each with the law that says so: homogeneous ones (scale by 0) and odd ones."""


@dataclass
class Functions:
    """Functions of one real and softmax, over the sums of an algebra."""

    algebra: Algebra

    def __post_init__(self) -> None:
        self.atoms = self.algebra.atoms

    def softmax(self, terms: Sum, own: Sequence[str]) -> Sum | None:
        algebra = self.algebra
        above = self.exp(terms)
        if above is None:
            return None
        algebra.used("softmax_definition")
        return algebra.product([above, algebra.inverse(algebra.total(above, own))])

    # exp and log ------------------------------------------------------------------------------

    def exp(self, terms: Sum) -> Sum | None:
        """exp of a sum, one term of exponentials of terms; a mask in it is a factor of truth values."""
        algebra, atoms = self.algebra, self.atoms
        exponent: list[Term] = []
        factors: list[Sum] = []
        for t in terms:
            known = self._of_logarithm(t)
            if known is not None:
                algebra.used("exp_log")
                factors.append(known)
                continue
            if atoms.finite_term(t):
                exponent.append(t)
                continue
            hidden = [f for f in t.factors if atoms[f.atom].infinite]
            others = tuple([f for f in t.factors if not atoms[f.atom].infinite])
            if len(hidden) != 1 or hidden[0].power != 1 or t.bound or t.coefficient <= 0 or not all(atoms[f.atom].positive for f in others):
                return None
            box = atoms[hidden[0].atom].box
            if box is None or not isinstance(box.op, Mask) or atoms[box.operands[1].atom].infinite:
                return None
            box, table = atoms.under_box((hidden[0].atom, hidden[0].args))
            factors.append(self.truth(atoms.operand(box, table, 0)))
            exponent.extend(algebra.product([atoms.read(atoms.operand(box, table, 1)), (Term(t.coefficient, others),)]))
            algebra.used("exp_mask")
        powers = []
        for t in algebra.collect(exponent):
            atom, args = atoms.exponential(atoms.ref((t._replace(coefficient=1),)))
            powers.append(Factor(atom, args, t.coefficient))
        return algebra.product([*factors, (Term(1, tuple(sorted(powers))),)])

    def _of_logarithm(self, t: Term) -> Sum | None:
        """exp of `c * log(x)` with positive x: x to that power."""
        if len(t.factors) != 1 or t.bound or t.factors[0].power != 1:
            return None
        (atom, args, _), atoms = t.factors[0], self.atoms
        box = atoms[atom].box
        if box is None or box.op != Map("log") or atoms[atom].partial:
            return None
        box, table = atoms.under_box((atom, args))
        inside = atoms.operand(box, table, 0)
        if not atoms[inside[0]].positive:
            return None
        return self.algebra.power_of(atoms.read(inside), t.coefficient)

    def log(self, terms: Sum) -> Sum:
        """log of a sum: what its terms share leaves where it is positive, and an exponential leaves its exponent."""
        algebra, atoms = self.algebra, self.atoms
        if len(terms) == 1:
            content, groups = algebra.split(terms[0])
        else:
            content, rest = algebra.primitive(terms)
            groups = [rest]
        if content.coefficient <= 0:
            return self.function("log", terms)
        found: list[Term] = []
        kept: list[Sum] = []
        for f in content.factors:
            atom = atoms[f.atom]
            if atom.exponential >= 0:
                algebra.used("log_exp")
                found.extend(scaled(atoms.read((atom.exponential, f.args)), f.power))
            elif atom.positive:
                found.extend(scaled(self.function("log", algebra.atom((f.atom, f.args))), f.power))
            else:
                kept.append((Term(1, (f,)),))
        for group in groups:
            if atoms.above_zero(group):
                found.extend(self.function("log", group))
            else:
                kept.append(group)
        c = number(content.coefficient)
        if not kept and content.coefficient != 1:
            found.extend(self._log_of_number(Fraction(content.coefficient)))
        elif kept:
            found.extend(self.function("log", algebra.product([c, *kept])))
        return algebra.collect(found)

    def _log_of_number(self, value: Fraction) -> Sum:
        return self.function("log", number(value))

    def function(self, name: str, terms: Sum) -> Sum:
        """A function as a box."""
        atoms = self.atoms
        inside = atoms.ref(terms)
        ((atom, args),) = atoms.box(Map(name), (), [(inside, ())])
        made = atoms[atom]
        if name in ("log", "sqrt") and not atoms[inside[0]].positive:
            made.partial = made.partial or name == "log" or not atoms[inside[0]].nonnegative
        if name in ("abs", "square", "relu", "sqrt"):
            made.nonnegative = not made.infinite
        return self.algebra.atom((atom, args))

    # truth ------------------------------------------------------------------------------------

    def truth(self, predicate: Ref) -> Sum:
        """A mask as a factor: 1 where it holds, else 0; of `and`, `or` and `not` by those of its parts."""
        algebra, atoms = self.algebra, self.atoms
        made = atoms[predicate[0]].box
        if made is not None and isinstance(made.op, Both | Not):
            box, table = atoms.under_box(predicate)
            found = [self.truth(atoms.operand(box, table, k)) for k in range(len(box.operands))]
            algebra.used("factor_masks")
            if isinstance(box.op, Not):
                return algebra.collect((*number(1), *scaled(found[0], -1)))
            both = algebra.product(found)
            if box.op == Both("and"):
                return both
            return algebra.collect((*found[0], *found[1], *scaled(both, -1)))
        return algebra.order.factor(predicate)

    # powers -----------------------------------------------------------------------------------

    def mapped(self, op: Map, terms: Sum) -> Sum | None:
        algebra = self.algebra
        finite = self.atoms.finite(terms)
        if not terms and op.function in AT_ZERO:
            algebra.used(AT_ZERO[op.function])
            return terms
        match op.function:
            case "neg":
                algebra.used("mul_minus_one")
                return scaled(terms, -1)
            case "square":
                algebra.used("mul_self")
                return algebra.product([terms, terms])
            case "exp":
                return self.exp(terms)
            case "log" if finite and terms:
                return self.log(terms)
            case "sqrt" if finite and terms:
                algebra.used("pow_half")
                return self.root(terms)
            case "sigmoid" | "silu" if finite:
                algebra.used(f"{op.function}_definition")
                below = self.exp(scaled(terms, -1))
                if below is None:
                    return None
                gate = algebra.inverse(algebra.collect((*number(1), *below)))
                return gate if op.function == "sigmoid" else algebra.product([terms, gate])
            case "softplus" if finite:
                above = self.exp(terms)
                algebra.used("softplus_definition")
                return None if above is None else self.log(algebra.collect((*number(1), *above)))
            case _ if finite:
                return self.function(op.function, terms)
            case _:
                return None

    def root(self, terms: Sum) -> Sum:
        """The square root of what is positive is a power; the rest stays below a root."""
        algebra, atoms = self.algebra, self.atoms
        if atoms.above_zero(terms):
            return algebra.power_of(terms, Fraction(1, 2))
        if len(terms) == 1:
            content, groups = algebra.split(terms[0])
        else:
            content, rest = algebra.primitive(terms)
            groups = [rest]
        leaving = tuple([f for f in content.factors if atoms[f.atom].positive])
        kept = [(Term(1, (f,)),) for f in content.factors if not atoms[f.atom].positive]
        kept += [g for g in groups if not atoms.above_zero(g)]
        leaving_groups = [g for g in groups if atoms.above_zero(g)]
        c = Fraction(content.coefficient)
        sign = 1 if c > 0 else -1
        half = Fraction(1, 2)
        out = [algebra.power_of((Term(1, leaving),), half), *(algebra.power_of(g, half) for g in leaving_groups)]
        out.append(algebra.root_of_number(abs(c), half))
        return algebra.product([*out, self.function("sqrt", algebra.product([number(sign), *kept]))])

    def power(self, terms: Sum, power: Number) -> Sum | None:
        """A fixed power: whole ones up to 4 are multiplied out, others are of what is positive."""
        algebra = self.algebra
        if not power:
            return None
        if power.denominator == 1:
            if abs(power) > 4 and (len(terms) != 1 or terms[0].bound or abs(power) > 64):
                return None
            if power < 0:
                algebra.used("pow_minus_one")
                return None if not terms else algebra.inverse(self._multiplied(terms, -int(power)))
            algebra.used("pow_two")
            return self._multiplied(terms, int(power))
        if power.denominator == 2 and self.atoms.finite(terms) and terms:
            algebra.used("pow_half")
            root = self._multiplied(self.root(terms), abs(power.numerator)) if abs(power.numerator) <= 4 else None
            if root is not None:
                return root if power > 0 else algebra.inverse(root)
        if self.atoms.finite(terms) and self.atoms.above_zero(terms):
            return algebra.power_of(terms, power)
        return None

    def _multiplied(self, terms: Sum, power: int) -> Sum:
        return self.algebra.product([terms] * power)
