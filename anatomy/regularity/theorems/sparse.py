"""Sparsemax and entmax attention: weights on a simplex whose derivative is a Laplacian of bounded mass.

The pattern, in the language, up to isomorphism, constant factors, biases and masks over positions:

    out dot[m](entmax[m](mask(p, dot[e](q, k) + b), alpha), v)      1 < alpha <= 2; sparsemax is alpha = 2

Statement. y_i = sum_j P_ij v_j, at most M keys in a row, s_ij = x_i^T A x_j + c^T x_j + b_ij on |x_j| <= R, l_1 = ||A|| R,
l_2 = ||A|| R + ||c||, v = V x + const. With t = the greatest weight (`simplex.peak`), T = sum of g at most M^(alpha - 1),
g at most h = t^(2 - alpha), N rows, and r the greatest absolute row sum of a Jacobian (`simplex.slope`), rho = ||V|| R, almost everywhere

    Lip_inf <= ||V|| + rho T (l_2 + l_1),     Lip_F <= ||V|| sqrt(N t) + rho (l_2 sqrt(N h T) + T l_1),
    Lip_1   <= ||V|| N t + rho (l_2 r N + T l_1).

Place by place, with |ds_ij| <= sum of a |dq_i| + sum of b |dk_ij| (`local`): rho T a for queries, rho b (r N, sqrt(N h T), T) for keys.

Proof. The Jacobian of a row is J = diag(g) - g g^T / sum g, g = P^(2 - alpha) on the support (Peters, Niculae and Martins 2019,
arXiv 1905.05702, Proposition 2): 0 <= J <= diag(g), J 1 = 0, and sum g <= M^(alpha - 1) by concavity. So for unit u the variance
u^T V^T J V u about any point is at most T rho^2, and |sum_j (J t)_j v_j| <= rho sqrt(T) (sum_j g_j t_j^2)^(1/2). For the query
|t_j| <= l_1 |dx_i|: rho T l_1. For keys t_j^2 <= l_2^2 |dx_j|^2; summed over N rows every |dx_j|^2 has weight at most N h. One token
alone: |sum_l J_lj v_l| <= rho r. A function that is Lipschitz on pieces of a convex set has the greatest of their constants
(at a kink automatic differentiation may give other values). Source: theorem G4 of this project; sparsemax grows like n:
x_j = (R / sqrt 2) (1, +-1) and A = ||A|| e_1 e_1^T give n a / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from anatomy.ir.bound import Bound, Slopes, Triple, add, arb_up, mul, root, slopes_after, slopes_sum
from anatomy.regularity.affine import retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.rows import counts
from anatomy.regularity.tensor import Ball, spectral
from anatomy.regularity.theorems.kernel import spread
from anatomy.regularity.theorems.probe import dot_product
from anatomy.regularity.theorems.softmax import Attention
from anatomy.regularity.view import Weights

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on sparse weights"


@dataclass(frozen=True)
class Mass:
    """The greatest weight, sum of g, value of g and absolute row sum of a Jacobian, and the number of keys."""

    top: float
    whole: float
    each: float
    row: float
    most: float

    def values(self, rows: float) -> Triple:
        held = mul(rows, self.top)
        return Triple.of(held, root(held), 1.0)

    def keys(self, rows: float) -> Triple:
        return Triple.of(mul(self.row, rows), root(mul(rows, self.each, self.whole)), self.whole)


def mass(ctx: Rules, weights: Weights, own: frozenset[str]) -> Mass:
    from flint import arb

    alpha = weights.kind[1]
    most = counts(weights.allowed, own, ctx.sizes)[1]
    top = min(1.0, weights.plain.entry[1])
    whole = max(1.0, arb_up(arb(most) ** (arb(alpha) - 1))) if most > 1 else 0.0
    each = 1.0 if top >= 1 or alpha >= 2 else min(1.0, arb_up(arb(top) ** (2 - arb(alpha)))) if top > 0 else 0.0
    return Mass(top, whole, each, min(2.0, mul(2.0, each)), most)


@dataclass(frozen=True, eq=False)
class Sparse(Attention):
    """A recognised dot product under entmax."""

    mass: Mass = Mass(1.0, math.inf, 1.0, 2.0, 2.0)

    def per_head(self, values: Ball) -> list[list[Triple]]:
        r_q, r_k, r_v = (b.bound.radius for b in self.bases)
        rows = float(self.rows.queries)
        out = []
        for h, (na, nv) in enumerate(zip(spectral(self.scores.mid, self.scores.rad).tolist(), spectral(values.mid, values.rad).tolist(), strict=True)):
            rho = mul(nv, r_v)
            slope = add(mul(na, r_q), float(self.tilt[h]))
            query = Triple.all(mul(rho, self.mass.whole, na, r_k))
            key = self.mass.keys(rows).after(Triple.all(mul(rho, slope)))
            value = self.mass.values(rows).after(Triple.all(nv))
            out.append([value.plus(key).plus(query)] if self.alone else [query, key, value])
        return out

    def explodes(self, values: Ball) -> bool:
        return False


def fold(ctx: Rules, weights: Weights, v: Bound, m: str) -> Attention | None:
    """The dot product with its matrices; None where a side condition fails."""
    if weights.grid.axes or weights.grid.rad or weights.grid.mid != 1:
        return None
    found = dot_product(ctx, weights.score, weights.allowed, v, m)
    if found is None:
        return None
    return Sparse(**{f.name: getattr(found, f.name) for f in fields(found)}, mass=mass(ctx, weights, frozenset({m})))


def mean(ctx: Rules, weights: Weights, v: Bound, own: frozenset[str], tokens: frozenset[str]) -> Slopes | None:
    """The derivative of `sum over own of w * v` place by place."""
    if weights.grid.axes:
        return None
    score, axes = weights.score, weights.plain.axes
    if not own <= v.axes & score.axes:
        return None
    rows, known = axes - own, mass(ctx, weights, own)
    linked = v.axes & axes
    value = parted(ctx, v, linked)
    slopes: Slopes = slopes_after(known.values(float(ctx.points(rows - linked))), value.slopes)
    rho = spread(ctx, v, value, own)
    for part in parts_of(score) if known.most > 1 else ():
        source = parted(ctx, part.source, part.linked)
        size = mul(rho, part.factor)
        shared = float(ctx.points(rows - part.linked))
        if not part.linked & own:
            factor = Triple.of(shared, root(shared), 1.0).after(Triple.all(mul(size, known.whole)))
        elif own <= part.linked:
            factor = known.keys(shared).after(Triple.all(size))
        else:
            return None
        slopes = slopes_sum(slopes, slopes_after(factor, source.slopes))
    scale = Triple.all(weights.grid.top)
    return {key: scale.after(retoken(triple, rows, tokens, ctx.sizes)) for key, triple in slopes.items()}
