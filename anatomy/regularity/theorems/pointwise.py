"""Attention whose weights are functions of one score each, with no common denominator: sigmoid, relu, powers, linear, decays.

The pattern, in the language, up to isomorphism, constant factors, biases and masks over positions:

    s = dot[e](q, k) + b    out dot[m](g * f(s), v)        and, for the identity, also    out dot[e](q, dot[m](k, v))

Statement. y_i = sum_j G_ij f(s_ij) v_j with constant G (masks, decays, 1/n), s_ij = x_i^T A x_j + c^T x_j + b_ij, |f| <= S and
|f'| <= D on the scores of the domain |x_j| <= R, v = V x + const, |v| <= rho, l_1 = ||A|| R, l_2 = ||A|| R + ||c||. With the norms
g_1, g_2, g_inf of |G| (greatest column sum, spectral norm, greatest row sum), for p = 1, 2, infinity

    Lip_p <= g_p (||V|| S + rho D l_2) + g_inf rho D l_1.

Without the structure of a dot product the same holds place by place: with |ds_ij| <= sum of a |dq_i| + sum of b |dk_ij|
(`local`), |w_ij| <= S and |dw_ij| <= D |ds_ij|, the terms are g_p S |dv|_p, g_p rho D b |dk|_p and g_inf rho D a |dq|_p, where a query
that r rows read counts (r, sqrt r, 1) and a key that r rows share beside those of G does so for G.

Proof. dy_i = sum_j G_ij (f dv_j + v_j f' ds_ij) and |ds_ij| <= l_1 |dx_i| + l_2 |dx_j|. A matrix of blocks of norm at most |G_ij| t has
at most t times the norms of |G|, since |sum_j G_ij b_j| <= sum_j |G_ij| |b_j|; the part of dx_i has one block a row, |G| 1 <= g_inf.
For G = 1/n and equal tokens x_i = R u with V = I and u^T A u = ||A|| the bound S + 2 a D, a = ||A|| R^2, is attained where S
and D are (u^T (f + 2 a f') u). Source: theorem G2 of this project; for the sigmoid it is Theorem 3.2 of Ramapuram et al.
(arXiv 2409.04431) rederived; for the decays of retention the row sums are (1 - g^n) / (1 - g).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import (
    Bound,
    Image,
    Interval,
    Slopes,
    Steepness,
    Triple,
    add,
    meet,
    mul,
    root,
    slopes_after,
    slopes_sum,
)
from anatomy.regularity import tensor
from anatomy.regularity.affine import retoken
from anatomy.regularity.local import parted, parts_of
from anatomy.regularity.tensor import Ball, TooLarge, spectral
from anatomy.regularity.theorems.probe import dot_product, shifted_keys
from anatomy.regularity.theorems.softmax import Attention
from anatomy.regularity.view import Weights

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on pointwise weights"


@dataclass(frozen=True)
class Curve:
    """A function of one real, by its image of an interval and a Lipschitz constant there."""

    image: Image
    slope: Steepness


LINE = Curve(lambda x: x, lambda x: 1.0)


@dataclass(frozen=True, eq=False)
class Sums(Attention):
    """A recognised dot product under a function of one real, summed over keys with constant weights."""

    curve: Curve = LINE
    scores_within: Interval = (-math.inf, math.inf)
    bias: Interval = (0.0, 0.0)
    grids: np.ndarray | None = None

    def per_head(self, values: Ball) -> list[list[Triple]]:
        r_q, r_k, r_v = (b.bound.radius for b in self.bases)
        norm_a = spectral(self.scores.mid, self.scores.rad)
        norm_v = spectral(values.mid, values.rad)
        assert self.grids is not None
        out = []
        for h, (na, nv) in enumerate(zip(norm_a.tolist(), norm_v.tolist(), strict=True)):
            grid = norms_of(self.grids[min(h, len(self.grids) - 1)])
            slope = add(mul(na, r_q), float(self.tilt[h]))
            a = mul(slope, r_k)
            seen = meet(self.scores_within, (math.nextafter(self.bias[0] - a, -math.inf), math.nextafter(self.bias[1] + a, math.inf)))
            image = self.curve.image(seen)
            size, steep = max(abs(image[0]), abs(image[1])), self.curve.slope(seen)
            far = mul(add(mul(nv, r_v), self.value_offset), steep)
            value, key = slopes_of(grid, mul(nv, size)), slopes_of(grid, mul(far, slope))
            query = Triple.all(mul(grid.inf, far, na, r_k))
            out.append([value.plus(key).plus(query)] if self.alone else [query, key, value])
        return out

    def radius(self, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> float:
        """What the product rule says stands."""
        return math.inf

    def explodes(self, values: Ball) -> bool:
        return False


def curve(x: Bound, out: Bound, image: Image, slope: Steepness) -> dict[str, Any]:
    """The fact that `out` is a function of one real of `x`, or of what `x` is one of."""
    inner = x.facts.get("weights")
    if isinstance(inner, Weights) and isinstance(inner.kind, Curve) and inner.grid.axes == () and inner.grid.rad == 0 and inner.grid.mid == 1:
        first = inner.kind
        kind = Curve(lambda e: image(first.image(e)), lambda e: mul(first.slope(e), slope(first.image(e))))
        return {"weights": Weights(kind, inner.score, out, tensor.scalar(1.0))}
    return {"weights": Weights(Curve(image, slope), replace(x, facts={}), out, tensor.scalar(1.0))}


def slopes_of(grid: Triple, size: float) -> Triple:
    return Triple(mul(grid.one, size), mul(grid.two, size), mul(grid.inf, size))


def norms_of(grid: np.ndarray, rad: float = 0.0) -> Triple:
    """The norms of |G| from keys to rows: greatest column sum, spectral norm, greatest row sum."""
    size = np.abs(grid) + rad
    rows, cols = size.shape
    one = float(np.max(np.sum(size, axis=0), initial=0.0)) * (1 + 4 * (rows + 4) * tensor.UNIT)
    inf = float(np.max(np.sum(size, axis=1), initial=0.0)) * (1 + 4 * (cols + 4) * tensor.UNIT)
    return Triple.of(one, None if one == inf else float(spectral(size * (1 + 4 * tensor.UNIT))), inf)


def fold(ctx: Rules, weights: Weights, v: Bound, m: str) -> Attention | None:
    """The dot product under the function, with its matrices; None where a side condition fails."""
    kind, score = weights.kind, weights.score
    found = dot_product(ctx, score, None, v, m)
    if found is None or score.form is None or shifted_keys(score, m):
        return None
    try:
        grids = _grids(weights.grid, found, m, ctx.sizes)
    except TooLarge:
        return None
    offset = score.form.offset
    return Sums(
        **{f.name: getattr(found, f.name) for f in fields(found)}, curve=kind, scores_within=score.entry,
        bias=offset.interval if offset is not None else (0.0, 0.0), grids=grids,
    ) if grids is not None else None  # fmt: skip


def _grids(grid: Ball, found: Attention, m: str, sizes: dict[str, int]) -> np.ndarray | None:
    """|G| for every head, from keys to rows."""
    n = found.query
    if not set(grid.axes) <= {*found.heads, n, m}:
        return None
    rows = [n] if n else []
    held = tuple(found.heads) if set(found.heads) & set(grid.axes) else ()
    wide = grid.spread(sizes, [*held, *rows, m]).order([*held, *rows, m])
    count = math.prod(sizes[a] for a in held)
    return np.abs(wide.mid.reshape(count, math.prod(sizes[a] for a in rows), sizes[m])) + wide.rad


def mean(ctx: Rules, weights: Weights, v: Bound, own: frozenset[str], tokens: frozenset[str]) -> Slopes | None:
    """The derivative of `sum over own of G * w * v` place by place."""
    w = weights.plain
    if len(own) != 1 or not own <= v.axes & w.axes or not set(weights.grid.axes) <= w.axes:
        return None
    (m,), rows = own, w.axes - own

    def grid(linked: frozenset[str]) -> Triple:
        """The norms of |G| from what is linked so to rows: what is not linked is shared by rows."""
        here = frozenset(weights.grid.axes)
        left = sorted(here & rows & linked)
        out = sorted((here & rows) - linked)
        ball = weights.grid.spread(ctx.sizes, [m]).order([*left, *out, m])
        block = ball.mid.reshape(math.prod(ctx.sizes[a] for a in left), math.prod(ctx.sizes[a] for a in out), ctx.sizes[m])
        each = [norms_of(b, ball.rad) for b in block]
        repeats = float(math.prod(ctx.sizes[a] for a in rows - linked - here))
        worst = Triple(*(max(getattr(t, k) for t in each) for k in ("one", "two", "inf")))
        return Triple.of(repeats, root(repeats), 1.0).after(worst)

    size = max(abs(w.entry[0]), abs(w.entry[1]))
    linked = v.axes & w.axes
    value = parted(ctx, v, linked)
    slopes: Slopes = slopes_after(slopes_of(grid(linked), size), value.slopes)
    rho = value.radius
    row = grid(w.axes).inf
    for part in parts_of(w):
        source = parted(ctx, part.source, part.linked)
        far = mul(rho, part.factor)
        if not part.linked & own:
            repeats = float(math.prod(ctx.sizes[a] for a in rows - part.linked))
            factor = slopes_of(Triple(repeats, root(repeats), 1.0), mul(far, row))
        else:
            factor = slopes_of(grid(part.linked), far)
        slopes = slopes_sum(slopes, slopes_after(factor, source.slopes))
    return {key: retoken(triple, rows, tokens, ctx.sizes) for key, triple in slopes.items()}

