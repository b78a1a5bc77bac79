"""Weighted lengths: the root of a sum of squares is Lipschitz, also where it is 0 and not differentiable.

Statement. With m_k >= 0 and c >= 0, at every place of the other axes, r = sqrt(c + sum_k m_k T_k^2) satisfies
|r(T) - r(T')| <= sqrt(max m) |T - T'|, the Euclidean norm over the axes summed; and r >= sqrt(c).

Proof. r is the Euclidean norm of the vector of sqrt(c) and all sqrt(m_k) T_k, and the norm of a difference is at least
the difference of the norms. So no derivative is asked for. Source: the triangle inequality.

The pattern, in the language: `sqrt(dot[d](x, x))`, `sqrt(sum[d](x * x) + c)`, `sqrt(mean[d](square(x)) + eps)`, up to a scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import Bound, Slopes, Triple, add, mul, root, slopes_after
from anatomy.regularity.affine import Term
from anatomy.regularity.view import Product, rename, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on lengths"


def root_of(ctx: Rules, x: Bound) -> tuple[Slopes, float] | None:
    """The derivative of `sqrt(x)` and the norm of its values by the tokens of x; None where x is no sum of squares."""
    form = x.form
    if form is None or len(form.terms) != 1 or (form.offset is not None and form.offset.interval[0] < 0):
        return None
    (term,) = form.terms
    links = dict(term.links)
    if any(a[0] != "<" for a in term.map.axes) or set(links.values()) != x.axes or not term.map.mid.size:
        return None
    if float(np.min(term.map.mid)) < term.map.rad:
        return None
    squared = _squared(term)
    if squared is None:
        return None
    t = rename(squared, {**links, **ctx.fresh(frozenset(a for a in term.base.bound.axes if a not in links))})
    t = with_tokens(t, x.tokens, ctx.sizes)
    scale = root(term.map.top)
    rest = 0.0 if form.offset is None else root(form.offset.top)
    points = root(float(ctx.points(x.features)))
    return slopes_after(Triple.all(scale), t.slopes), add(mul(scale, t.radius), mul(rest, points))


def _squared(term: Term) -> Bound | None:
    """What is squared in a base, under the base's own names."""
    square, product = term.base.bound.facts.get("square"), term.base.bound.facts.get("product")
    if isinstance(square, Bound):
        return square
    if isinstance(product, Product) and len(product.factors) == 2 and same(*product.factors) and product.factors[0].axes == term.base.bound.axes | product.summed:
        return product.factors[0]
    return None


def same(x: Bound, y: Bound) -> bool:
    """Whether two bounds are of one wire under one naming, so that their product is a square."""
    return x.origin is not None and y.origin is not None and x.origin[0] == y.origin[0] and dict(x.origin[1]) == dict(y.origin[1])
