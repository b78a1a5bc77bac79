"""Stick breaking: weights that take a share of what the keys before them in an order have left.

The pattern, in the language, with any score s, masked or not:

    t = softplus(s)      w = exp(s - (sum[m](t) - cumsum[m](t)) - t)      out sum[m](w * v)

and the same with the order of keys turned round, `w = exp(s - cumsum[m](t))`.

Statement. With b_l = sigmoid(s_l) in [., t] and 1 - b_l at most c, weights w_j = b_j prod_(l before j) (1 - b_l) over the allowed keys add up to at
most 1. With |v_j| <= rho, rows of one key r at most, and kappa = t r (by a mask: t times the rows that it leaves a key), place by place,

    |dy|_p <= (kappa, sqrt kappa, 1) |dv|_p + 2 c rho sum b (kappa, sqrt kappa, 1) |dk|_p + 2 c rho sum a (r, sqrt r, 1) |dq|_p

for |ds_ij| <= sum over query parts of a |dq_i| + sum over key parts of b |dk_ij|, p = 1, 2, infinity.

Proof. s - softplus(s) = log b and -softplus(s) = log(1 - b), which gives the product. dw_j / ds_l = w_j ([j = l] - b_l [l = j or before j]).
Let S_l = prod_(l' before l) (1 - b_l'), so that w_l = b_l S_l and the keys after l have weights of at most S_l (1 - b_l) together: their sum of
w_j v_j is S_l (1 - b_l) m_l with |m_l| <= rho. So dy = sum w_j dv_j + sum_l w_l (1 - b_l) (v_l - m_l) ds_l, and |v_l - m_l| <= 2 rho. The
weights of a row add up to 1 at most, and one is at most t: Cauchy and Schwarz, and sums by rows and columns. Source: this
project's; the weights are those of Tan et al. (arXiv 2410.17980).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import Bound, Slopes, Triple, enclose, meet, mul, root, slopes_after, slopes_sum
from anatomy.regularity import tensor
from anatomy.regularity.affine import Form, retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.tensor import Ball
from anatomy.regularity.view import Weights, rename

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on stick breaking"


@dataclass(frozen=True, eq=False)
class Soft:
    """A wire is softplus of a score, and 0 where a mask leaves nothing."""

    score: Bound
    allowed: Ball | None = None

    def rename(self, table: dict[str, str]) -> Soft:
        return Soft(rename(self.score, table), None if self.allowed is None else self.allowed.rename(table))


def times(x: Bound, known: Ball) -> dict[str, Any]:
    """What a softplus under a mask of 0 and 1 says of itself."""
    fact = x.facts.get("soft")
    if not isinstance(fact, Soft) or fact.allowed is not None or known.rad or not bool(np.all((known.mid == 0) | (known.mid == 1))):
        return {}
    return {"soft": Soft(fact.score, known)}


def noted(x: Bound, out: Bound) -> Bound:
    """`out = exp(x)`, with what it says of stick breaking."""
    if x.form is None:
        return out
    for k, term in enumerate(x.form.terms):
        fact, links = term.base.bound.facts.get("soft"), dict(term.links)
        ins, outs = [a for a in term.map.axes if a[0] == "<"], [a for a in term.map.axes if a[0] != "<"]
        if not isinstance(fact, Soft) or len(ins) != 1 or len(outs) != 1 or term.map.rad or {*links, ins[0][1:]} != set(term.base.bound.axes):
            continue
        m, soft = outs[0], fact.rename({**links, ins[0][1:]: outs[0]})
        order = -term.map.order([m, ins[0]]).mid
        rest = Form((*x.form.terms[:k], *x.form.terms[k + 1 :]), x.form.offset)
        if m in links.values() or not (np.array_equal(order, np.tri(len(order))) or np.array_equal(order, np.tri(len(order)).T)):
            continue
        from anatomy.regularity.theorems.sink import same

        if soft.score.axes != x.axes or soft.score.form is None or not same(soft.score.form, rest):
            continue
        weights = Weights(("stick", soft.allowed), soft.score, out, tensor.scalar(1.0), frozenset({m}))
        whole = out if soft.allowed is not None else replace(out, entry=meet(out.entry, (0.0, enclose("sigmoid", soft.score.entry[1])[1])))
        return replace(whole, facts={**out.facts, "weights": weights})
    return out


def fold(ctx: Rules, weights: Weights, v: Bound, m: str) -> None:
    """There is no bound by matrices."""


def mean(ctx: Rules, weights: Weights, v: Bound, own: frozenset[str], tokens: frozenset[str]) -> Slopes | None:
    """The derivative of `sum over own of w * v`, by tokens."""
    score, allowed, grid = weights.score, weights.kind[1], weights.grid
    if not own <= v.axes & score.axes or not _fits(grid, allowed):
        return None
    rows, (m,) = score.axes - own, own
    top, left = enclose("sigmoid", score.entry[1])[1], enclose("sigmoid", -score.entry[0])[1]

    def kappa(linked: frozenset[str]) -> float:
        shared = rows - linked
        count = float(ctx.points(shared))
        if allowed is not None and m in allowed.axes:
            over = [a for a in allowed.axes if a in shared]
            each = allowed.order([*over, *(a for a in allowed.axes if a not in over)]).mid
            most = float(np.max(each.sum(axis=tuple(range(len(over)))), initial=0.0))
            count = min(count, mul(most, float(ctx.points(shared - set(over)))))
        return mul(top, count)

    linked = v.axes & score.axes
    value = parted(ctx, v, linked)
    k = kappa(linked)
    slopes: Slopes = slopes_after(Triple.of(k, root(k), 1.0), value.slopes)
    for part in parts_of(score):
        source = parted(ctx, part.source, part.linked)
        size = mul(2.0, left, value.radius, part.factor)
        if not part.linked & own:
            repeats = float(math.prod(ctx.sizes[a] for a in rows - part.linked))
            factor = Triple.of(mul(size, repeats), mul(size, root(repeats)), size)
        else:
            k = kappa(part.linked)
            factor = Triple.of(mul(k, size), mul(root(k), size), size)
        slopes = slopes_sum(slopes, slopes_after(factor, source.slopes))
    return {key: retoken(triple, rows, tokens, ctx.sizes) for key, triple in slopes.items()}


def _fits(grid: Ball, allowed: Ball | None) -> bool:
    """Whether the mask that stands outside is that of the sums."""
    if allowed is None:
        return not grid.axes and not grid.rad and grid.mid == 1
    return set(grid.axes) == set(allowed.axes) and not grid.rad and bool(np.array_equal(grid.order(allowed.axes).mid, allowed.mid))
