"""What a space requires of the diagrams that are built: read, checked, and searched for contradictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from anatomy.errors import AnatomyError, Label
from anatomy.ir.poly import Poly
from anatomy.language import syntax as s
from anatomy.language.bindings import Refused
from anatomy.language.choices import Requirement
from anatomy.language.guards import refuse
from anatomy.language.scope import Module, suggestion

TRUTHS = ("causal", "length_generic", "equivariant", "alive", "finite")
VERDICTS = ("not_globally_lipschitz", "lipschitz_on_domain", "globally_lipschitz")
"""From the weakest to the strongest."""
MAX_POWER = 64
Bound = Poly | Fraction | None
"""Where a requirement stands on its scale; costs by the power of the length, verdicts by their rank."""
EXAMPLES = {"cost": "`cost <= n^2`", "parameters": "`parameters <= 4 * d ^ 2`", "verdict": "`verdict >= lipschitz_on_domain`", "scale": "`scale <= 10`"}


def requirement(module: Module, item: s.Require, axes: Mapping[str, object]) -> tuple[Requirement, Bound]:
    """One requirement; `axes` may stand in a bound on parameters. Raises Refused after E612."""
    what, span = item.what.text, module.span(item)
    if what in TRUTHS:
        value = "false" if item.negated else "true"
        if item.sign:
            word = item.value.name.text if isinstance(item.value, s.Ref) else ""
            if item.sign not in ("==", "!=") or word not in ("true", "false"):
                raise refuse(module, "E612", f"`{what}` is true or false", item, help=f"`require {what}` or `require not {what}`")
            value = "true" if (item.sign == "==") == (word == "true") else "false"
        return Requirement(what, "==", value, span), None
    if what not in EXAMPLES:
        known = (*TRUTHS, *EXAMPLES)
        near = suggestion(what, known)
        raise refuse(module, "E612", f"nothing is known of `{what}`", item.what, help=f"did you mean `{near}`?" if near else f"one of: {', '.join(known)}")
    if item.negated or item.value is None or item.sign == "!=":
        raise refuse(module, "E612", f"`{what}` is compared with a bound", item, help=f"such as {EXAMPLES[what]}")
    match what:
        case "cost":
            power = _power(module, item)
            value, bound = {0: "1", 1: "n"}.get(power, f"n^{power}"), Poly.of(power)
        case "verdict":
            value = item.value.name.text if isinstance(item.value, s.Ref) else ""
            if value not in VERDICTS:
                raise refuse(module, "E612", "this is not the name of a verdict", item.value, help=f"one of: {', '.join(VERDICTS)}")
            bound = Poly.of(VERDICTS.index(value))
        case "scale":
            number = item.value
            if not isinstance(number, s.Number) or number.value <= 0:
                raise refuse(module, "E612", "a scale is compared with a number above 0", item.value)
            value, bound = number.text, number.value
        case _:
            bound = _polynomial(module, item.value, axes)
            value = str(bound)
    return Requirement(what, item.sign, value, span), bound


def _power(module: Module, item: s.Require) -> int:
    match item.value:
        case s.Number(text="1"):
            return 0
        case s.Ref(name=s.QName(parts=(s.Name(text="n"),))):
            return 1
        case s.Binary(op="^", left=s.Ref(name=s.QName(parts=(s.Name(text="n"),))), right=s.Number(value=power)) if (
            power.denominator == 1 and 0 <= power <= MAX_POWER
        ):
            return int(power)
    raise refuse(module, "E612", "a cost is compared with a power of the length: `1`, `n`, `n^2`, ...", item.value or item)


def _polynomial(module: Module, e: s.Expr, axes: Mapping[str, object]) -> Poly:
    try:
        return _poly(module, e, axes)
    except AnatomyError:
        raise refuse(module, "E612", "this polynomial is too large", e) from None


def _poly(module: Module, e: s.Expr, axes: Mapping[str, object]) -> Poly:
    match e:
        case s.Number() if e.value.denominator == 1:
            return Poly.of(int(e.value))
        case s.Ref(name=s.QName(parts=(only,))):
            if only.text not in axes:
                near = suggestion(only.text, axes)
                raise refuse(module, "E612", f"there is no axis `{only.text}`", e, help=f"did you mean `{near}`?" if near else f"axes are: {', '.join(axes)}")
            return Poly.var(only.text)
        case s.Unary(op="-"):
            return -_poly(module, e.operand, axes)
        case s.Binary(op="+"):
            return _poly(module, e.left, axes) + _poly(module, e.right, axes)
        case s.Binary(op="-"):
            return _poly(module, e.left, axes) - _poly(module, e.right, axes)
        case s.Binary(op="*"):
            return _poly(module, e.left, axes) * _poly(module, e.right, axes)
        case s.Binary(op="^", right=s.Number(value=power)) if power.denominator == 1 and 0 <= power <= MAX_POWER:
            base, result = _poly(module, e.left, axes), Poly.of(1)
            for _ in range(int(power)):
                result = result * base
            return result
    raise refuse(module, "E612", "a number of parameters is compared with a polynomial in sizes", e, help="`+`, `-`, `*` and `^` of whole numbers and axes")


@dataclass
class Requirements:
    """Requirements so far; two that no diagram can meet are an error, E613."""

    module: Module
    axes: Mapping[str, object]
    found: list[tuple[Requirement, Bound]] = field(default_factory=list)

    def add(self, item: s.Require) -> None:
        try:
            made, bound = requirement(self.module, item, self.axes)
        except Refused:
            return
        if _empty(made, bound):
            self.module.report("E613", f"no diagram can have {_words(made)}", item)
            return
        for other, there in self.found:
            if other.what == made.what and _apart(other, there, made, bound):
                self.module.report(
                    "E613", f"no diagram can have {_words(made)} and {_words(other)}", item,
                    secondary=(Label(other.span, "required here"),) if other.span else (),
                )  # fmt: skip
                return
        if all(other != made for other, _ in self.found):
            self.found.append((made, bound))


def _words(r: Requirement) -> str:
    if r.what in TRUTHS:
        return f"`{r.what}`" if r.value == "true" else f"`not {r.what}`"
    return f"`{r.what} {r.op} {r.value}`"


def _apart(a: Requirement, at: Bound, b: Requirement, bt: Bound) -> bool:
    """Whether two requirements of one kind leave nothing between them."""
    if a.what in TRUTHS:
        return a.value != b.value
    for low, least, high, most in ((a, at, b, bt), (b, bt, a, at)):
        if low.op in (">", ">=", "==") and high.op in ("<", "<=", "=="):
            gap = _gap(least, most)
            if gap is not None and (gap > 0 or (gap == 0 and (low.op == ">" or high.op == "<"))):
                return True
    return False


def _gap(least: Bound, most: Bound) -> Fraction | None:
    """How far one bound is above another, where that is one number for all sizes."""
    if isinstance(least, Poly) and isinstance(most, Poly):
        value = (least - most).constant()
        return None if value is None else Fraction(value)
    return least - most if isinstance(least, Fraction) and isinstance(most, Fraction) else None


def _empty(r: Requirement, bound: Bound) -> bool:
    """A bound that lies outside the scale."""
    if r.what in TRUTHS:
        return False
    if r.what == "verdict":
        return (r.op, r.value) in (("<", VERDICTS[0]), (">", VERDICTS[-1]))
    gap = _gap(Poly.of(0), bound) if isinstance(bound, Poly) else None
    return gap is not None and r.op in ("<", "<=", "==") and (gap > 0 or (gap == 0 and r.op == "<"))
