"""Weighted means with weights from scores of any kind: a softmax over what is known of its scores place by place.

Statement. y_i = sum_j P_ij v_j, P_i = softmax over the allowed keys j of s_ij, at most M of them and at least N. Let the
rows of scores have range at most w, |v_j - c| <= rho on the domain, p = 1 / (1 + (N - 1) e^-w), and place by place

    |ds_ij| <= sum over query parts of a |dq_i| + sum over key parts of b |dk_ij|,

where a query part is the same for all keys of a row and a key part may be shared by r rows. Write kappa_r for the
greatest sum over those rows of the weight of one key: at most r p, and by the counts of a mask. For p = 1, 2, infinity

    |dy|_p <= (kappa, sqrt kappa, 1) |dv|_p + sum (2 kappa_r, sqrt kappa_r, 1) rho b |dk|_p + sum rho a (r, sqrt r, 1) |dq|_p,

r being the rows that read one query; where rows have one key only, the last two sums are 0.

Proof. dy_i = sum_j P_ij dv_j + sum_j P_ij (v_j - m_i) ds_ij, m_i the mean of row i, since the weights of a row sum to 1. By Cauchy and
Schwarz under P_i, |sum_j P_ij (v_j - m_i) t_j| <= rho (sum_j P_ij t_j^2)^(1/2), because a variance is least about its mean. For a query part
t_j <= a |dq_i| gives rho a |dq_i|, one term for each row that reads q. For a key part the square is sum_j P_ij b^2 |dk_ij|^2; summed over
i, each |dk|^2 is counted with the weights of its rows, kappa_r at most; in the 1-norm sum_i P_ij |v_j - m_i| <= 2 rho kappa_r. Values likewise.
Source: this project's; for one dot product it is theorem G1, in its form with l_1 and l_2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import Bound, Interval, Slopes, Triple, mul, root, slopes_after, slopes_sum
from anatomy.regularity.affine import Form, retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.rows import counts, peak
from anatomy.regularity.tensor import UNIT, Ball
from anatomy.regularity.view import Softmax

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "kernel theorem"


def mean(ctx: Rules, fact: Softmax, v: Bound, tokens: frozenset[str], sink: Interval | None = None) -> Slopes | None:
    """The derivative of `sum over own of softmax(score) * v`, by tokens; None where a part is linked otherwise.

    With a sink every row has one key more, of value 0 and a constant score in that interval.
    """
    own, score = fact.own, fact.score
    if not own <= v.axes or (v.constant and score.constant):
        return None
    rows = score.axes - own
    least, most = counts(fact.allowed, own, ctx.sizes)
    low, high = score.entry
    more = 0
    if sink is not None:
        low, high, more = min(low, sink[0]), max(high, sink[1]), 1
        least, most = least + 1, most + 1
    width = high - low

    def kappa(linked: frozenset[str]) -> float:
        """The greatest sum of weights of one key, over the rows that share it."""
        shared = rows - linked
        found = mul(float(ctx.points(shared)), peak(least, width))
        if isinstance(fact.allowed, Ball) and len(own) == 1 and len(shared & set(fact.allowed.axes)) == 1:
            (n,), (m,) = shared & set(fact.allowed.axes), own
            if set(fact.allowed.axes) <= {n, m}:
                grid = fact.allowed.spread(ctx.sizes, [n, m]).order([n, m]).mid
                column = _column(grid, width, more)
                found = min(found, mul(column, float(ctx.points(shared - {n}))))
        return found

    linked = v.axes & score.axes
    value = parted(ctx, v, linked)
    k = kappa(linked)
    slopes: Slopes = slopes_after(Triple.of(k, root(k), 1.0), value.slopes)
    rho = spread(ctx, v, value, own) if sink is None else value.radius
    for part in parts_of(score) if most > 1 else ():
        source = parted(ctx, part.source, part.linked)
        size = mul(rho, part.factor)
        if not part.linked & own:
            repeats = float(math.prod(ctx.sizes[a] for a in rows - part.linked))
            factor = Triple.of(mul(size, repeats), mul(size, root(repeats)), size)
        elif own <= part.linked:
            k = kappa(part.linked)
            factor = Triple.of(mul(2.0, k, size), mul(root(k), size), size)
        else:
            return None
        slopes = slopes_sum(slopes, slopes_after(factor, source.slopes))
    return {key: retoken(triple, rows, tokens, ctx.sizes) for key, triple in slopes.items()}


def _column(allowed: np.ndarray, width: float, more: int) -> float:
    """The greatest sum of weights of one key over the rows of a mask, each of which has so many keys more."""
    keys = allowed.sum(axis=1).astype(int)
    top = {n: peak(n + more, width) if n else 0.0 for n in set(keys.tolist())}
    weights = np.array([top[n] for n in keys.tolist()])
    sums = np.sum(np.where(allowed > 0, weights[:, None], 0.0), axis=0)
    return float(np.max(sums, initial=0.0)) * (1 + 4 * (len(weights) + 4) * UNIT)


def spread(ctx: Rules, v: Bound, value: Bound, own: frozenset[str]) -> float:
    """How far values are from a common point: what is the same for all keys does not count."""
    form = v.form
    if form is None or form.offset is None or not form.terms or own & set(form.offset.axes):
        return value.radius
    moved = Bound(v.axes, value.tokens, v.entry, math.inf, value.slopes)
    return min(value.radius, ctx.finish(moved.axes, moved.tokens, (-math.inf, math.inf), math.inf, moved.slopes, Form(form.terms)).radius)

