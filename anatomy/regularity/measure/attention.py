"""Attention on measures: dot-product softmax and weighted means, with constants that hold for every number of tokens.

Setting. The tokens are a probability measure mu on the ball of radius R; P_i has the density D_i(y) = e^s(x_i, y) / mu(e^s(x_i, .))
against mu, and Gamma_mu(x_i) = V E_Pi[y]. Derivatives go from L^p(mu) to L^p(mu); for n equal masses that is the p-norm of n tokens.

Softmax of s(x, y) = x^T A y + c^T y (c bounds it over heads and biases), a = ||A|| R^2 + ||c|| R. For p = 1, 2, infinity

    L_1 <= ||V|| e^2a (1 + 2a) + R^2 s*,    L_2 <= ||V|| sqrt(min{N(a), Phi(a)}) + R^2 s*,    L_inf <= ||V|| sqrt(1 + a^2) + R^2 s*,

    N(a) = max over -1 <= t <= 1 of (1 + t + (1 - t) e^2a) (1 + a^2 (1 - t^2)) / 2  <=  e^2a (1 + a^2),
    s* = max over |u| = 1 of |Vu| |Au| <= ||V|| ||A||,

Phi of `theorems.moment`. `theorems.rowwise` takes the directions of V and A into account, cell by cell, and puts the two summands of L_2
together for less than their sum: its proof holds with n = 1, row by row, for densities a_i on tokens of mass 1.

Proof. dGamma_i = V (int D_i(y) (I + (y - m_i) g_i^T) dy dmu + C_i A^T dx_i), |g_i| R <= a, m_i and C_i mean and covariance of P_i; |V C_i A^T|
<= R^2 s*, one block for each i. For the first part T, Cauchy and Schwarz under P_i, where the cross term vanishes, give |T_i|^2 <=
(1 + u^T C_i u |g_i|^2) int D_i |dy|^2 for a unit u. Write y_g = g_i.y / (|g_i| R) in [-1, 1], t = E_Pi y_g and b = |g_i| R <= a. Then
D_i(y) = e^(b y_g) E_Pi[e^(-b y_g)] <= (1 + t + (1 - t) e^2b) / 2, since e^(b - b z) lies below its chord on [-1, 1]; and u^T C_i u <= tr C_i
<= R^2 (1 - t^2). Both factors increase in b. Integrating over i gives N(a). In the 1-norm every column has int D_i |I + (y - m_i) g_i^T| dmu(x_i)
<= e^2a (1 + 2a); in the maximum norm int D_i = 1. QED. As int D_i^2 |w + (w.t) g|^2 <= N(a) too, N and Phi bound one quantity. With e^2a (1 + a^2) for N(a) this is the limit of the theorem of n tokens; the form is that
of Castin, Ablin and Peyre (arXiv 2312.14820), who have (1 + 3a) e^2a; the derivation and N(a) are this project's.

Weighted means y_i = int D_i(j) v_j of scores with range at most w, |v - c| <= rho, |ds_ij| <= sum of alpha |dq_i| + sum of beta |dk_ij|, kappa = e^w:

    |dy|_p <= (kappa, sqrt kappa, 1) |dv|_p + sum (2 kappa, sqrt kappa, 1) rho beta |dk|_p + sum rho alpha |dq|_p .

Proof: as for n keys (`theorems.kernel`), with D <= kappa in place of n P <= n / (1 + (n - 1) e^-w). For p = 1 this is tau = e^w (||l||_Lip + D l_2) + (D/2) l_1
of the theory of Vuckovic, Baratin and Tachet des Combes (arXiv 2007.02876), D = 2 rho the diameter of the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anatomy.ir.bound import INF, Bound, Slopes, Triple, add, arb_up, enclose, mul, root, slopes_after, slopes_sum, up
from anatomy.regularity.affine import Form, retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.theorems.moment import phi
from anatomy.regularity.theorems.rowwise import Row
from anatomy.regularity.theorems.softmax import Attention, Rows
from anatomy.regularity.view import Softmax

if TYPE_CHECKING:
    from anatomy.regularity.measure.rules import MeasureRules

SOFTMAX = "mean-field softmax theorem"
KERNEL = "mean-field theorem on weighted means"


def density(width: float) -> float:
    """e^w: how much a weight may exceed the uniform one where scores lie within `width`, rounded up."""
    return INF if math.isinf(width) else enclose("exp", up(width))[1] if width > 0 else 1.0


def moment(a: float) -> float:
    """N(a) = max over |t| <= 1 of (1 + t + (1 - t) e^2a) (1 + a^2 (1 - t^2)) / 2, rounded up.

    The cubic has its maximum at an end or at a zero of its derivative, which Arb encloses.
    """
    if a == 0 or math.isinf(a):
        return 1.0 if a == 0 else INF
    whole = mul(density(mul(2.0, a)), add(1.0, mul(a, a)))
    if math.isinf(whole):
        return INF
    from flint import arb

    x = arb(a)
    e, square = (2 * x).exp(), x * x

    def value(t: arb) -> arb:
        return (1 + t + (1 - t) * e) * (1 + square * (1 - t * t)) / 2

    # The derivative is 3 a^2 (e - 1) t^2 - 2 a^2 (e + 1) t - (e - 1) (1 + a^2), halved, with e for e^2a.
    k = e - 1
    p, q, r = 3 * square * k, -2 * square * (1 + e), -k * (1 + square)
    root_of = (q * q - 4 * p * r).sqrt()
    best = [value(arb(1)), value(arb(-1))]
    for t in ((-q + root_of) / (2 * p), (-q - root_of) / (2 * p)):
        if not (t > 1) and not (t < -1):
            best.append(value(t))
    return min(whole, max(arb_up(v) for v in best)) if all(v.is_finite() for v in best) else whole


@dataclass(frozen=True)
class Masses(Rows):
    """Rows of weights that are densities on a probability space, for the rule of dot-product attention: each row has mass 1."""

    @property
    def most(self) -> int:
        return 2

    def sums(self, row: Row, w: float, width: float) -> tuple[float, float, float]:
        """(bound on ||T||^2, Lip_1 factor of T, kappa), all for ||V|| = 1; w bounds the range of scores, `width` that of their biases alone."""
        kappa = density(w)
        ones = mul(kappa, add(1.0, mul(2.0, row.gamma)))
        if not math.isfinite(row.gamma) or row.gamma > 1e100:
            return INF, ones, kappa
        square = 0.0
        for v, g, k in row.cells().tolist():
            here = mul(kappa, add(1.0, mul(g, g)))
            if width == 0:
                here = min(here, moment(g), phi(g, up(k / v)))
            square = max(square, mul(v, v, here))
        return square, ones, kappa


def of_measures(attention: Attention) -> Attention:
    """The rule for one attention, with tokens as a measure."""
    return replace(attention, rows=Masses(1, 1, None, True))


def mean(ctx: MeasureRules, fact: Softmax, v: Bound, tokens: frozenset[str]) -> Slopes | None:
    """The derivative of a mean of `v` over all tokens with weights softmax(score); None where a part is linked otherwise."""
    own, score = fact.own, fact.score
    if not own <= v.axes or (v.constant and score.constant) or len(own) != 1 or not own <= ctx.many or fact.allowed is not None:
        return None
    rows = score.axes - own
    linked = v.axes & score.axes
    if not v.axes & ctx.many <= linked or not rows & ctx.many <= tokens:
        return None
    value = parted(ctx, v, linked)
    kappa = density(score.entry[1] - score.entry[0])
    # Finite axes of rows that do not link a source are counted; axes of tokens have mass 1.
    k = mul(float(ctx.points(rows - linked)), kappa)
    slopes: Slopes = slopes_after(Triple.of(k, root(k), 1.0), value.slopes)
    rho = _spread(ctx, v, value, own)
    for part in parts_of(score):
        if not part.source.axes & ctx.many <= part.linked:
            return None
        source = parted(ctx, part.source, part.linked)
        size = mul(rho, part.factor)
        repeats = float(ctx.points(rows - part.linked))
        if not part.linked & own:
            factor = Triple.of(mul(size, repeats), mul(size, root(repeats)), size)
        else:
            k = mul(repeats, kappa)
            factor = Triple.of(mul(2.0, k, size), mul(root(k), size), size)
        slopes = slopes_sum(slopes, slopes_after(factor, source.slopes))
    return {key: retoken(triple, rows, tokens, ctx.sizes) for key, triple in slopes.items()}


def _spread(ctx: MeasureRules, v: Bound, value: Bound, own: frozenset[str]) -> float:
    """How far values are from a common point: what is the same for all keys does not count."""
    form = v.form
    if form is None or form.offset is None or not form.terms or own & set(form.offset.axes):
        return value.radius
    moved = Bound(v.axes, value.tokens, v.entry, INF, value.slopes)
    return min(value.radius, ctx.finish(moved.axes, moved.tokens, (-INF, INF), INF, moved.slopes, Form(form.terms)).radius)
