"""Attention by positive features: a quotient of two sums that share their features is a weighted mean.

Statement. With positive features a_ir and b_jr,

    y_i = (sum_r a_ir sum_j b_jr v_j) / (sum_r a_ir sum_j b_jr) = sum_j P_ij v_j,   P_i = softmax over j of s_ij = log sum_r a_ir b_jr,

so that the theorem on weighted means (`kernel`) holds with

    |ds_ij| <= max_r |d log a_ir| + max_r |d log b_jr|,   max_j s_ij - min_j s_ij <= max_(r, j) log b_jr - min_(r, j) log b_jr.

Proof. ds_ij = sum_r c_r (d log a_ir + d log b_jr) with c_r = a_ir b_jr / sum_r a_ir b_jr, weights that add up to 1; and a quotient
of two such sums with one a lies between the least and the greatest b_jr / b_j'r. Source: theorem G1 of this project for features
of bounded logarithmic derivative (elu + 1, exp, softplus have |(log phi)'| <= 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import Bound, Slopes
from anatomy.regularity.local import of_mixture
from anatomy.regularity.tensor import Ball
from anatomy.regularity.theorems import kernel, powers
from anatomy.regularity.view import Product, Softmax, constant, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on positive features"


Mean = Callable[[Any, Softmax, Bound, frozenset[str]], Slopes | None]
"""A theorem on weighted means, as `kernel.mean`."""


def quotient(ctx: Rules, above: Bound, below: Bound, tokens: frozenset[str], mean: Mean = kernel.mean) -> tuple[Slopes, Bound] | None:
    """The derivative of `above / below`, by tokens, and the values of which it is a mean with weights of their own at each of
    their tokens; None where they are not such sums.
    """
    sums, (total, eps) = above.facts.get("product"), _denominator(below)
    if not isinstance(sums, Product) or not isinstance(total, Product) or len(sums.factors) != 2 or len(total.factors) != 2:
        return None
    for a, pairs in (sums.factors, sums.factors[::-1]):
        inner = pairs.facts.get("product")
        parted = _without_mask(inner) if isinstance(inner, Product) else None
        if not isinstance(inner, Product) or parted is None or len(parted[0]) != 2:
            continue
        for b, v in (parted[0], parted[0][::-1]):
            for c, t in (total.factors, total.factors[::-1]):
                if _shared(a, b, sums.summed, inner.summed, parted[1], c, t, total.summed):
                    if eps:
                        pairs = powers.kernel(ctx, a, b, sums.summed)
                        found = None if pairs is None or inner.summed & a.axes else powers.mean(ctx, pairs, v, inner.summed, eps, tokens)
                        v = replace(v, entry=(min(v.entry[0], 0.0), max(v.entry[1], 0.0)))
                    else:
                        found = _mean(ctx, a, b, v, sums.summed, inner.summed, parted[1], tokens, mean)
                    if found is not None:
                        return found, with_tokens(v, v.axes & (a.axes | b.axes), ctx.sizes)
    return None


def _denominator(below: Bound) -> tuple[Any, float]:
    """The sum that a denominator is, and the positive constant that it has more."""
    if isinstance(below.facts.get("product"), Product) or below.form is None or len(below.form.terms) != 1:
        return below.facts.get("product"), 0.0
    (term,), offset = below.form.terms, below.form.offset
    base, links = term.base.bound, dict(term.links)
    if set(links) != set(base.axes) or term.map.axes or term.map.rad or term.map.mid != 1 or offset is None:
        return None, 0.0
    fact = base.facts.get("product")
    return (fact.rename(links) if isinstance(fact, Product) else None), max(0.0, offset.interval[0])


def _mean(
    ctx: Rules, a: Bound, b: Bound, v: Bound, features: frozenset[str], keys: frozenset[str], mask: Ball | None,
    tokens: frozenset[str], mean: Mean,
) -> Slopes | None:  # fmt: skip
    logs = ctx.logarithm(a), ctx.logarithm(b)
    if not features <= a.axes & b.axes or keys & a.axes:
        return None
    axes = (a.axes | b.axes) - features
    if mask is not None and not set(mask.axes) <= axes:
        return None
    if logs[0] is None or logs[1] is None:
        score = powers.logarithm(ctx, a, b, features)
        return None if score is None or score.axes != axes else mean(ctx, Softmax(keys, score, mask), v, tokens)
    low, high = logs[1].entry
    score = Bound(axes, axes, (0.0, np.nextafter(high - low, np.inf)), slopes={**a.slopes, **b.slopes}, local=of_mixture(ctx, [logs[0], logs[1]], features))
    return mean(ctx, Softmax(keys, score, mask), v, tokens)


def _without_mask(sums: Product) -> tuple[list[Bound], Ball | None] | None:
    """The factors of a sum that vary, and the mask of 0 and 1 that is the only other; None where there is more."""
    moving = [f for f in sums.factors if constant(f) is None]
    masks = [constant(f) for f in sums.factors if constant(f) is not None]
    if len(masks) > 1 or any(b is None or b.rad or not bool(np.all((b.mid == 0) | (b.mid == 1))) for b in masks):
        return None
    mask = masks[0] if masks else None
    return moving, None if mask is None or bool(np.all(mask.mid == 1)) else mask


def _shared(
    a: Bound, b: Bound, features: frozenset[str], keys: frozenset[str], mask: Ball | None, c: Bound, t: Bound, again: frozenset[str]
) -> bool:
    """Whether the denominator is the numerator with ones in the place of values."""
    inner = t.facts.get("product")
    parted = _without_mask(inner) if isinstance(inner, Product) else None
    if not isinstance(inner, Product) or parted is None or len(parted[0]) != 1:
        return False
    table: dict[str, str] = {}
    for x, y in ((a, c), (b, parted[0][0])):
        if x.origin is None or y.origin is None or x.origin[0] != y.origin[0]:
            return False
        there = dict(y.origin[1])
        for axis, name in x.origin[1]:
            if table.setdefault(name, there[axis]) != there[axis]:
                return False
    if (mask is None) != (parted[1] is None):
        return False
    if mask is not None and parted[1] is not None:
        here = mask.rename(table)
        if set(here.axes) != set(parted[1].axes) or not np.array_equal(here.order(parted[1].axes).mid, parted[1].mid):
            return False
    one_to_one = len(set(table.values())) == len(table)
    return one_to_one and all((name in features, name in keys) == (to in again, to in inner.summed) for name, to in table.items()) and all(
        name == to for name, to in table.items() if name not in features | keys
    )
