"""The delta rule: one step of it moves a state by a map that is no expansion, however long the sequence is.

The pattern, in the language, up to isomorphism and constant factors:

    next s = a + beta * k * (v - dot[e](k, a))      a = s, or s after a gate

Statement. With k at most K long over e and beta in [b, B], c = max(1, B K^2 - 1) where b >= 0, the derivative of the result by that of a, k and
the others held fixed, has norm at most c over the features (e among them) of each token; the rest is the derivative of
beta k (v - dot(k, a)) with a held fixed. The result is at most c |a| + |beta k v| long.

Proof. The result is (I - beta k k^T) a + beta k v; I - beta k k^T is symmetric with the eigenvalues 1 and 1 - beta |k|^2. So for B K^2 <= 2 it is no expansion, and
states grow at most like sums of writes. Source: DeltaNet (Yang et al. 2024, arXiv 2406.06484) keeps |k| = 1 and beta in (0, 1) for
this reason; the statement is this project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from anatomy.ir.bound import Bound, Slopes, Triple, add, mul, slopes_after, slopes_sum, up
from anatomy.regularity.affine import Form
from anatomy.regularity.local import reach
from anatomy.regularity.view import Length, Product, rename, widen, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on the delta rule"


def step(ctx: Rules, parts: Sequence[Bound], tokens: frozenset[str]) -> tuple[Slopes, float] | None:
    """The derivative and the radius of the sum of two parts, parted by those tokens; None where they are no such step."""
    if len(parts) != 2:
        return None
    for a, write in (parts, parts[::-1]):
        found = _write(a, write)
        if found is not None:
            return _bounded(ctx, with_tokens(a, tokens & a.axes, ctx.sizes), *found)
    return None


def _write(a: Bound, write: Bound) -> tuple[list[Bound], Bound, str, Form, float, list[Bound]] | None:
    """The factors but k and the difference, k, the axis, what else the difference has, the factor of its product, and all but the difference."""
    product = write.facts.get("product")
    if not isinstance(product, Product) or product.summed or a.origin is None:
        return None
    factors: list[Bound] = []
    for factor in product.factors:
        inner = factor.facts.get("made", factor.facts.get("product"))
        factors += inner.factors if isinstance(inner, Product) and not inner.summed and _whole(inner, factor) else [factor]
    for difference in factors:
        if difference.form is None:
            continue
        for j, term in enumerate(difference.form.terms):
            inner, links = term.base.bound.facts.get("product"), dict(term.links)
            if not isinstance(inner, Product) or len(inner.factors) < 2 or len(inner.summed) != 1 or term.map.axes or term.map.rad:
                continue
            (e,) = inner.summed
            for k in inner.factors:
                state = [rename(x, links) for x in inner.factors if x is not k]
                k = rename(k, links)
                own = next((name for name in sorted(a.axes) if _is(state, a, {e: name})), None)
                twins = [f for f in factors if f is not difference and own is not None and _same(k, f, {e: own})]
                if own is not None and len(twins) == 1 and float(term.map.mid) < 0:
                    rest = [f for f in factors if f is not difference and f is not twins[0]]
                    others = Form((*difference.form.terms[:j], *difference.form.terms[j + 1 :]), difference.form.offset)
                    return rest, twins[0], own, others, -float(term.map.mid), _without(product, difference)
    return None


def _without(product: Product, difference: Bound) -> list[Bound]:
    """All factors but the difference, which may stand inside one of them."""
    left: list[Bound] = []
    for factor in product.factors:
        inner = factor.facts.get("product")
        if isinstance(inner, Product) and any(f is difference for f in inner.factors):
            left += [f for f in inner.factors if f is not difference]
        elif factor is not difference:
            left.append(factor)
    return left


def _is(factors: list[Bound], a: Bound, table: dict[str, str]) -> bool:
    """Whether the product of factors is the wire `a`, but for the name of the summed axis."""
    if len(factors) == 1:
        return _same(factors[0], a, table)
    product = a.facts.get("product")
    if not isinstance(product, Product) or product.summed or len(product.factors) != len(factors) or not _whole(product, a):
        return False
    rest = list(product.factors)
    for factor in factors:
        twin = next((f for f in rest if _same(factor, f, table)), None)
        if twin is None:
            return False
        rest = [f for f in rest if f is not twin]
    return True


def _whole(product: Product, x: Bound) -> bool:
    return frozenset().union(*(f.axes for f in product.factors)) == x.axes


def _same(x: Bound, y: Bound, table: dict[str, str]) -> bool:
    """Whether two bounds are of one wire under the same names, but for the summed axis."""
    if x.origin is None or y.origin is None or x.origin[0] != y.origin[0]:
        return False
    return {a: table.get(b, b) for a, b in x.origin[1]} == dict(y.origin[1])


def _bounded(
    ctx: Rules, a: Bound, rest: list[Bound], k: Bound, e: str, others: Form, factor: float, writer: list[Bound]
) -> tuple[Slopes, float] | None:
    high = 1.0
    for beta in rest:
        if beta.entry[0] < 0 or e in beta.axes:
            return None
        high = mul(high, beta.entry[1])
    if e not in a.features or not all(f.axes <= a.axes for f in (k, *rest, *writer)):
        return None
    if len(others.terms) != 1 or others.offset is not None or others.terms[0].map.axes or others.terms[0].map.rad or others.terms[0].map.mid != 1:
        return None
    links = dict(others.terms[0].links)
    v = rename(others.terms[0].base.bound, links)
    if e in v.axes or not v.axes <= a.axes or set(links) != set(others.terms[0].base.bound.axes):
        return None
    known = k.facts.get("length")
    length = reach(ctx, k, frozenset({e}))
    if isinstance(known, Length) and known.own == frozenset({e}):
        length = min(length, known.radius)
    stretch = up(mul(factor, high, length, length) - 1.0)
    grown = max(1.0, stretch)
    frozen = replace(a.bare(), slopes={})
    read = ctx.product([k, frozen], (e,))
    written = ctx.product([*writer, ctx.total([v, ctx.weighted(read, -factor)])])
    fixed = ctx.product([*writer, v])
    tokens = a.tokens
    if written.axes != a.axes:
        return None
    written, fixed = with_tokens(written, tokens, ctx.sizes), widen(fixed, a.axes, tokens, ctx.sizes)
    slopes = slopes_sum(slopes_after(Triple.all(grown), a.slopes), written.slopes)
    return slopes, add(mul(grown, a.radius), fixed.radius)
