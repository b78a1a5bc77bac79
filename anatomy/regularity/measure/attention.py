"""Attention on measures: dot-product softmax and weighted means, with constants that hold for every number of tokens.

Setting. The tokens are a probability measure mu on the ball of radius R; P_i has the density D_i(y) = e^s(x_i, y) / mu(e^s(x_i, .))
against mu, and Gamma_mu(x_i) = V E_Pi[y]. Derivatives go from L^p(mu) to L^p(mu); for n equal masses that is the p-norm of n tokens.

Softmax of s(x, y) = x^T A y + c^T y (c bounds it over heads and biases), a = ||A|| R^2 + ||c|| R. For p = 1, 2, infinity

    L_1 <= ||V|| e^2a (1 + 2a) + R^2 s*,    L_2 <= ||V|| sqrt(N(a)) + R^2 s*,    L_inf <= ||V|| sqrt(1 + a^2) + R^2 s*,

    N(a) = max over -1 <= t <= 1 of (1 + t + (1 - t) e^2a) (1 + a^2 (1 - t^2)) / 2  <=  e^2a (1 + a^2),
    s* = max over |u| = 1 of |Vu| |Au| <= ||V|| ||A||.

Proof. dGamma_i = V (int D_i(y) (I + (y - m_i) g_i^T) dy dmu + C_i A^T dx_i), |g_i| R <= a, m_i and C_i mean and covariance of P_i; |V C_i A^T|
<= R^2 s*, one block for each i. For the first part T, Cauchy and Schwarz under P_i, where the cross term vanishes, give |T_i|^2 <=
(1 + u^T C_i u |g_i|^2) int D_i |dy|^2 for a unit u. Write y_g = g_i.y / (|g_i| R) in [-1, 1], t = E_Pi y_g and b = |g_i| R <= a. Then
D_i(y) = e^(b y_g) E_Pi[e^(-b y_g)] <= (1 + t + (1 - t) e^2b) / 2, since e^(b - b z) lies below its chord on [-1, 1]; and u^T C_i u <= tr C_i
<= R^2 (1 - t^2). Both factors increase in b. Integrating over i gives N(a). In the 1-norm every column has int D_i |I + (y - m_i) g_i^T| dmu(x_i)
<= e^2a (1 + 2a); in the maximum norm int D_i = 1. QED. With e^2a (1 + a^2) for N(a) this is the limit of the theorem of n tokens; the form is that
of Castin, Ablin and Peyre (arXiv 2312.14820), who have (1 + 3a) e^2a; the derivation and N(a) are this project's.

Weighted means y_i = int D_i(j) v_j of scores with range at most w, |v - c| <= rho, |ds_ij| <= sum of alpha |dq_i| + sum of beta |dk_ij|, kappa = e^w:

    |dy|_p <= (kappa, sqrt kappa, 1) |dv|_p + sum (2 kappa, sqrt kappa, 1) rho beta |dk|_p + sum rho alpha |dq|_p .

Proof: as for n keys (`theorems.kernel`), with D <= kappa in place of n P <= n / (1 + (n - 1) e^-w). For p = 1 this is tau = e^w (||l||_Lip + D l_2) + (D/2) l_1
of the theory of Vuckovic, Baratin and Tachet des Combes (arXiv 2007.02876), D = 2 rho the diameter of the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import INF, Bound, Slopes, Triple, add, arb_up, enclose, mul, root, slopes_after, slopes_sum, up
from anatomy.regularity import tensor
from anatomy.regularity.affine import Form, Term, retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.tensor import Ball, spectral
from anatomy.regularity.theorems.softmax import Attention
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


@dataclass(frozen=True, eq=False)
class MeanField:
    """A recognised dot-product attention over all tokens of its keys."""

    attention: Attention

    def per_head(self, values: Ball) -> list[list[Triple]]:
        """For every head the triples for the query, key and value base; for one base the first alone."""
        it = self.attention
        r_q, r_k, r_v = (b.bound.radius for b in it.bases)
        norm_a, norm_v = (spectral(x.mid, x.rad).tolist() for x in (it.scores, values))
        alone = len({b.wire for b in it.bases}) == 1
        out = []
        for h, (na, nv) in enumerate(zip(norm_a, norm_v, strict=True)):
            slope = add(mul(na, r_q), float(it.tilt[h]))
            a = mul(slope, r_k)
            kappa = density(add(mul(2.0, a), it.width))
            if alone:
                d = mul(r_k, r_k, _cross(it.scores, values, h, na, nv))
                square = moment(a) if it.width == 0 else INF
                square = min(square, mul(kappa, add(1.0, mul(a, a))))
                row = root(add(1.0, mul(a, a)))
                ones = mul(kappa, add(1.0, mul(2.0, a)))
                out.append([Triple.of(add(mul(nv, ones), d), add(mul(nv, root(square)), d), add(mul(nv, row), d))])
                continue
            spread = mul(nv, r_v)
            query = Triple.all(mul(spread, na, r_k))
            key = Triple.of(mul(2.0, kappa, spread, slope), mul(root(kappa), spread, slope), mul(spread, slope))
            value = Triple.of(mul(kappa, nv), mul(root(kappa), nv), nv)
            if it.bases[1].wire == it.bases[2].wire:
                joint = root(add(mul(nv, nv), mul(spread, spread, slope, slope)))
                value = Triple.of(add(key.one, value.one), mul(root(kappa), joint), add(key.inf, value.inf))
                key = Triple()
            out.append([query, key, value])
        return out

    def slopes(self, tokens: frozenset[str], sizes: dict[str, int]) -> Slopes:
        """The heads side by side."""
        it = self.attention
        heads = self.per_head(it.values)
        stacked = []
        for k in range(len(heads[0])):
            ones = add(*(h[k].one for h in heads))
            two, inf = (root(add(*(mul(x, x) for x in xs))) for xs in ([h[k].two for h in heads], [h[k].inf for h in heads]))
            stacked.append(retoken(Triple.of(ones, two, inf), it.natural, tokens, sizes))
        return self._through(stacked)

    def fold(self, term: Term, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> Slopes | None:
        """The rule for a linear map after the heads, with the product of the two matrices in each head."""
        folded = self.attention.folded(term, axes, sizes)
        if folded is None:
            return None
        values, natural = folded
        heads = self.per_head(values)
        total = []
        for k in range(len(heads[0])):
            triple = Triple()
            for head in heads:
                triple = triple.plus(head[k])
            total.append(retoken(triple, natural, tokens, sizes))
        return self._through(total)

    def _through(self, triples: list[Triple]) -> Slopes:
        slopes: Slopes = {}
        for base, triple in zip(self.attention.bases, triples, strict=False):
            slopes = slopes_sum(slopes, slopes_after(triple, base.bound.slopes))
        return slopes

    def radius(self, tokens: frozenset[str], sizes: dict[str, int]) -> float:
        """Outputs are convex combinations of values."""
        it = self.attention
        norms = spectral(it.values.mid, it.values.rad).tolist()
        each = [add(mul(n, it.bases[2].bound.radius), it.value_offset) for n in norms]
        grown = root(float(math.prod(sizes[a] for a in it.natural - tokens)))
        return mul(grown, root(add(*(mul(x, x) for x in each))))


def _cross(scores: Ball, values: Ball, h: int, norm_a: float, norm_v: float) -> float:
    """s* <= ||[sqrt(tau) V; A / sqrt(tau)]||^2 / 2 for every tau, and <= ||V|| ||A||."""
    best = mul(norm_a, norm_v)
    if best == 0 or not math.isfinite(best):
        return best
    a, v = scores.mid[h], values.mid[h].T
    for factor in (0.5, 1.0, 2.0):
        s = math.sqrt(norm_a / norm_v) * factor
        if not 1e-100 < s < 1e100:
            continue
        stack = np.concatenate([s * v, a / s])
        error = add(mul(s, values.rad), mul(1 / s, scores.rad), mul(8 * tensor.UNIT, float(np.max(np.abs(stack), initial=0.0))))
        norm = float(spectral(stack[None], error)[0])
        best = min(best, mul(0.5, norm, norm))
    return best


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
