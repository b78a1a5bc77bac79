"""The logarithm of a sum of products of positive factors: a logsumexp of the sum of their logarithms.

The pattern, in the language: `log(sum[m](w * exp(v)))` with w > 0, as w = softmax[m](s).

Statement. For positive factors x_1, .., x_k the function y = log sum_m prod_l x_l is logsumexp over m of sum_l log x_l, so its gradient
by the logarithms is in the simplex: |dy| <= max_m |sum_l d log x_l|, whatever the sizes of the factors.

Proof. dy = sum_m p_m sum_l d log x_l with p_m = prod_l x_l / sum_m prod_l x_l. A term of the logarithms that is the same for all m counts
once, since the p_m add up to 1. Source: elementary; for log sum w e^v it is the mean that LASER (Duvvuri and Dhillon, arXiv 2411.03493) takes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anatomy.ir.bound import INF, Bound, Interval, div, down, enclose, meet, up
from anatomy.regularity.view import Product, rename, tighten, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules


def of(ctx: Rules, x: Bound, entry: Interval) -> Bound | None:
    """`log(x)`, in that interval, where `x` is such a sum; None where it is none."""
    fact = x.facts.get("product")
    if not isinstance(fact, Product) or not fact.summed or x.entry[0] <= 0:
        return None
    logs = [ctx.logarithm(f) for f in fact.factors]
    if any(f is None for f in logs):
        return None
    out = ctx.partition(ctx.total([f for f in logs if f is not None]), fact.summed)
    if out.axes != x.axes:
        return None
    out = with_tokens(out, x.tokens, ctx.sizes)
    return replace(tighten(replace(out, entry=meet(out.entry, entry)), ctx.sizes), facts={})


def of_elu(ctx: Rules, x: Bound) -> Bound | None:
    """`log(elu(u) + 1)`, which is u below 0 and log(1 + u) above, so that its slope is at most 1; None for anything else."""
    if x.form is None or len(x.form.terms) != 1:
        return None
    (term,), offset = x.form.terms, x.form.offset
    inner, links = term.base.bound.facts.get("elu"), dict(term.links)
    if not isinstance(inner, Bound) or set(links) != set(term.base.bound.axes) or frozenset(links.values()) != x.axes:
        return None
    if term.map.axes or term.map.rad or term.map.mid != 1 or offset is None or offset.rad or not bool((offset.mid == 1).all()):
        return None

    def image(e: Interval) -> Interval:
        low, high = (u if u <= 0 or u == INF else enclose("log1p", u)[k] for k, u in enumerate(e))
        return down(low), up(high)

    def slope(e: Interval) -> float:
        return 1.0 if e[0] <= 0 else div(1.0, down(1 + e[0]))

    out = ctx.pointwise(rename(inner, links), "log after elu", image, slope)
    return replace(out, facts={})
