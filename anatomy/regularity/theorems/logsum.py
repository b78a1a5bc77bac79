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

from anatomy.ir.bound import Bound, Interval, meet
from anatomy.regularity.view import Product, tighten, with_tokens

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
