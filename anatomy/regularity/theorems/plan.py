"""Attention by Sinkhorn's normalisation: a softmax of scores with potentials, each of which moves no more than the scores do.

The pattern, in the language, up to isomorphism, constant factors, biases and masks over positions:

    s = mask(p, dot[e](q, k) + b)    out dot[m](sinkhorn[n, m](s, steps=k), v)    and with s - logsumexp[m](s) in the place of s

Statement. T half-steps in all, the last over the keys m (2 k, or 2 k + 1 for the second form), N rows, v = V x + const, |v| <= rho about a
common point, l_1 = ||A|| R, l_2 = ||A|| R + ||c|| as in `softmax`, w at least the range of a row of scores; kappa = N min(1, 1 / (1 + (M - 1) e^(-2w))):

    Lip_inf <= ||V|| + rho T (l_1 + l_2),    Lip_F <= ||V|| sqrt(kappa) + sqrt(N) rho T (l_1 + l_2),    Lip_1 <= ||V|| kappa + N rho T (l_1 + l_2).

Proof. P = softmax over j of s_ij + g_j: in the maximum norm a logsumexp has slope 1, so each half-step adds |ds| once to a potential,
|d(s + g)| <= T |ds|. By Cauchy and Schwarz under P_i, |sum_j P_ij (v_j - m_i) t_j| <= rho max |t|. |dy|_2 <= sqrt(N) |dy|_inf, and
|dy|_1 <= N |dy|_inf. g_j is minus a logsumexp over i of s_ij plus what does not depend on j, so its range over j is at most w. The first form's
shift of rows by their logsumexp is one more half-step. 1 + 2 a (the constant of exactly doubly stochastic weights) is false
for finitely many steps. Source: theorem G3 of this project, its form for truncated iterations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from anatomy.ir.bound import Bound, Slopes, Triple, add, mul, root, slopes_after, slopes_sum
from anatomy.regularity.affine import retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.rows import peak
from anatomy.regularity.tensor import Ball, spectral
from anatomy.regularity.theorems.kernel import spread
from anatomy.regularity.theorems.probe import dot_product, shifted_keys
from anatomy.regularity.theorems.sink import without_partition
from anatomy.regularity.theorems.softmax import Attention
from anatomy.regularity.view import Weights

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on truncated Sinkhorn"


@dataclass(frozen=True, eq=False)
class Plan(Attention):
    """A recognised dot product under Sinkhorn's normalisation."""

    steps: float = math.inf
    least: float = 1.0

    def per_head(self, values: Ball) -> list[list[Triple]]:
        r_q, r_k, r_v = (b.bound.radius for b in self.bases)
        rows = float(self.rows.queries)
        every = Triple.of(rows, root(rows), 1.0)
        out = []
        for h, (na, nv) in enumerate(zip(spectral(self.scores.mid, self.scores.rad).tolist(), spectral(values.mid, values.rad).tolist(), strict=True)):
            slope = add(mul(na, r_q), float(self.tilt[h]))
            far = mul(nv, r_v, self.steps)
            width = add(mul(2.0, slope, r_k), self.width)
            kappa = mul(rows, peak(self.least, mul(2.0, width)))
            query, key = every.after(Triple.all(mul(far, na, r_k))), every.after(Triple.all(mul(far, slope)))
            value = Triple.of(mul(kappa, nv), mul(root(kappa), nv), nv)
            out.append([value.plus(key).plus(query)] if self.alone else [query, key, value])
        return out

    def explodes(self, values: Ball) -> bool:
        return False


def _scores(ctx: Rules, weights: Weights, own: frozenset[str]) -> tuple[Bound, float, bool]:
    """The scores before a shift of their rows by logsumexp, the number of half-steps, and whether there was such a shift."""
    inner = without_partition(ctx, weights.score, own)
    return (weights.score, float(weights.kind[1]), False) if inner is None else (inner, float(weights.kind[1] + 1), True)


def fold(ctx: Rules, weights: Weights, v: Bound, m: str) -> Attention | None:
    """The dot product with its matrices; None where a side condition fails."""
    score, steps, shifted = _scores(ctx, weights, frozenset({m}))
    if weights.grid.axes or weights.grid.mid != 1 or weights.grid.rad or weights.allowed is not None:
        return None
    found = dot_product(ctx, score, None, v, m)
    if found is None or frozenset({found.query}) != weights.coupled or (not shifted and shifted_keys(score, m)):
        return None
    return Plan(**{f.name: getattr(found, f.name) for f in fields(found)}, steps=steps, least=float(ctx.sizes[m]))


def mean(ctx: Rules, weights: Weights, v: Bound, own: frozenset[str], tokens: frozenset[str]) -> Slopes | None:
    """The derivative of `sum over own of w * v` place by place."""
    score, steps, _ = _scores(ctx, weights, own)
    axes = weights.plain.axes
    if weights.grid.axes or len(weights.coupled) != 1 or score.axes != axes or not own <= v.axes:
        return None
    rows = axes - own
    least = float(ctx.points(own)) if weights.allowed is None else 1.0
    linked = v.axes & axes
    value = parted(ctx, v, linked)
    kappa = mul(float(ctx.points(rows - linked)), peak(least, mul(2.0, score.entry[1] - score.entry[0])))
    slopes: Slopes = slopes_after(Triple.of(kappa, root(kappa), 1.0), value.slopes)
    rho = spread(ctx, v, value, own)
    for part in parts_of(score):
        source = parted(ctx, part.source, part.linked)
        shared = float(ctx.points((rows - part.linked) | weights.coupled))
        factor = Triple.of(shared, root(shared), 1.0).after(Triple.all(mul(rho, steps, part.factor)))
        slopes = slopes_sum(slopes, slopes_after(factor, source.slopes))
    scale = Triple.all(weights.grid.top)
    return {key: scale.after(retoken(triple, rows, tokens, ctx.sizes)) for key, triple in slopes.items()}
