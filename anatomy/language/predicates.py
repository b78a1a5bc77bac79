"""Predicates over positions: which of them are causal."""

from __future__ import annotations

from fractions import Fraction

from anatomy.language import syntax as s

Affine = tuple[dict[str, Fraction], Fraction]


def causal_pair(predicate: s.Expr, axes: frozenset[str]) -> tuple[str, str] | None:
    """Axes `(a, b)` such that the predicate implies `position a <= position b`, or None.

    A conjunction implies what one side implies, a disjunction what both imply; a comparison is
    read as an affine inequality between whole positions.
    """
    found = sorted(_implied(predicate, axes))
    return found[0] if found else None


def _implied(e: s.Expr, axes: frozenset[str]) -> set[tuple[str, str]]:
    if isinstance(e, s.Binary):
        if e.op == "and":
            return _implied(e.left, axes) | _implied(e.right, axes)
        if e.op == "or":
            return _implied(e.left, axes) & _implied(e.right, axes)
        left, right = _affine(e.left, axes), _affine(e.right, axes)
        if left is not None and right is not None:
            match e.op:
                case "<=":
                    return _ordered(left, right)
                case "<":
                    return _ordered(left, right, strict=True)
                case ">=":
                    return _ordered(right, left)
                case ">":
                    return _ordered(right, left, strict=True)
                case "==":
                    return _ordered(left, right) | _ordered(right, left)
                case _:
                    return set()
    return set()


def _ordered(small: Affine, large: Affine, strict: bool = False) -> set[tuple[str, str]]:
    """Pairs implied by `small <= large` (or `<`).

    With `c * (a - b) + k <= 0`, `c > 0` and whole positions, `a - b <= -k / c < 1` gives `a <= b` when `k > -c`,
    and `a - b < -k / c <= 1` when the inequality is strict and `k >= -c`.
    """
    slopes = {a: small[0].get(a, Fraction(0)) - large[0].get(a, Fraction(0)) for a in small[0] | large[0]}
    slopes = {a: c for a, c in slopes.items() if c}
    offset = small[1] - large[1]
    if len(slopes) == 2 and sum(slopes.values()) == 0:
        low = next(a for a, c in slopes.items() if c > 0)
        high = next(a for a, c in slopes.items() if c < 0)
        if offset > -slopes[low] or (strict and offset == -slopes[low]):
            return {(low, high)}
    return set()


def _affine(e: s.Expr, axes: frozenset[str]) -> Affine | None:
    match e:
        case s.Number():
            return {}, e.value
        case s.Ref(name=name) if name.text in axes:
            return {name.text: Fraction(1)}, Fraction(0)
        case s.Rename(operand=s.Ref(name=name), bracket=s.Bracket(entries=(s.Ref(name=axis),))) if name.text == "iota":
            return {axis.text: Fraction(1)}, Fraction(0)
        case s.Unary(op="-", operand=operand):
            inner = _affine(operand, axes)
            return inner and ({a: -c for a, c in inner[0].items()}, -inner[1])
        case s.Binary(op="+" | "-" as op, left=left, right=right):
            a, b = _affine(left, axes), _affine(right, axes)
            if a is None or b is None:
                return None
            sign = 1 if op == "+" else -1
            return {k: a[0].get(k, Fraction(0)) + sign * b[0].get(k, Fraction(0)) for k in a[0] | b[0]}, a[1] + sign * b[1]
        case s.Binary(op="*", left=left, right=right):
            a, b = _affine(left, axes), _affine(right, axes)
            if a is not None and b is not None:
                if not a[0]:
                    a, b = b, a
                if not b[0]:
                    return {k: c * b[1] for k, c in a[0].items()}, a[1] * b[1]
            return None
        case _:
            return None
