"""Dot-product softmax attention: the final rule for one input, and the rule for several.

Statement. Tokens x_j in the ball of radius R, s_ij = x_i^T A x_j + c^T x_j + b_ij (biases of queries give c; what
does not depend on j drops), P = softmax over the allowed keys, N_i of them in row i, y_i = V sum_j P_ij x_j + const.
With a = ||A|| R^2 + ||c|| R, w >= the range of a row of scores, pbar_N = 1 / (1 + (N - 1) e^-w), on that domain

    Lip_F   <= ||V|| sqrt(min{sum_i min{rho, Phi pi_i, pbar_Ni (1 + a^2)}, max_j sum_(i: j allowed) cbar(N_i)}) + R^2 s*,
    Lip_inf <= ||V|| sqrt(1 + a^2) + R^2 s*          (largest token norm),
    Lip_1   <= ||V|| (1 + 2a) max_j sum_(i: j allowed) pbar_Ni + R^2 s*,

rho = 1 for a <= 1/2, else (1 + (a + 1/(4a))^2) / 2;  cbar = pbar (1 + a^2) if pbar <= 1/2, else phi(min(pbar, p*)),
phi(p) = p + 4 a^2 p^2 (1 - p), p* = (1 + sqrt(1 + 3 / (4 a^2))) / 3;  s* = max_(|u|=1) |Vu| |Au| <= min_tau
lambda_max(tau V^T V + A^T A / tau) / 2; Phi is the moment bound (`moment`), pi_i the greatest weight in row i by the
biases b alone (1/N_i without any). `rowwise` takes the directions of V and A into rho and Phi, puts both parts of an unmasked
attention together for less than their sum, and gives Lip_inf by directions. A row with one key has derivative V. Causal: also sqrt(...) <= 2 e^w (1 + 2a).

Proof. dy_i = V (sum_j P_ij (I + (x_j - m_i) g_i^T) dx_j + C_i A dx_i), g_i = A^T x_i + c, |g_i| R <= a, m_i, C_i mean and
covariance under P_i. |V C_i A| <= s* tr C_i <= R^2 s*. Put t_j = x_j - m_i; sum_j P_ij t_j = 0, so by Cauchy and Schwarz
the first part of row i is at most (1 + g^T g u^T C_i u) sum_j P_ij |dx_j|^2 for unit u; C_i <= R^2, and <= 4p(1-p) R^2 when
a weight is p >= 1/2. Summing over i, with P_ij <= pbar, gives cbar and, within one row, the max norm. rho: the squared norm
of a row is sup_u sum_j P_ij^2 |u + g (u.t_j)|^2, convex in u.x_j, so its maximum has u.x_j = +-R and is a quartic in the
weight of one side. Causal: P_ij <= e^w / i, and the Cesaro operator has norm 2 (Hardy). Source: the derivation is this
project's; the constant a^2 in R^2 and the mean-field form are those of Castin, Ablin and Peyre (arXiv 2312.14820).

Several inputs (queries from y, keys and values from x): with rho_v = ||V|| R_v, l_2 = ||A|| R_q + ||c||, l_1 = ||A|| R_k,
kappa = max_j sum_i pbar_Ni: values (kappa, sqrt kappa, 1) ||V||, keys (2 kappa, sqrt kappa, 1) rho_v l_2, queries
(1, 1, 1) rho_v l_1 for p = 1, 2, infinity; keys and values of one input together sqrt(kappa (||V||^2 + rho_v^2 l_2^2)).

Heads: A and V per head; stacked heads add in square, heads that a linear map W_O adds up are bounded both by the stack
and by sum_h of the rule with W_O^h V_h, whichever is less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anatomy.ir.bound import Slopes, Triple, add, arb_up, div, enclose, mul, root, slopes_after, slopes_sum, up
from anatomy.regularity import tensor
from anatomy.regularity.affine import Base, Term, inside, retoken
from anatomy.regularity.rows import peak
from anatomy.regularity.tensor import Ball, TooLarge, spectral
from anatomy.regularity.theorems.rowwise import Row, largest, together

NAME = "softmax theorem"


def rho(a: float) -> float:
    """The row factor, rounded up; it increases in a."""
    if a <= 0.5 or math.isinf(a):
        return 1.0 if a <= 0.5 else math.inf
    from flint import arb

    x = arb(a)
    return arb_up((1 + (x + 1 / (4 * x)) ** 2) / 2)


def cbar(pbar: float, a: float) -> float:
    """max over 0 <= p <= pbar of p (1 + a^2 g(p)), g = 1 up to p = 1/2 and 4p(1-p) above, rounded up."""
    if math.isinf(a):
        return math.inf
    plain = mul(pbar, add(1.0, mul(a, a)))
    if pbar <= 0.5 or a == 0:
        return plain
    from flint import arb

    x, p = arb(a), arb(pbar)
    peak_at = (1 + (1 + 3 / (4 * x * x)).sqrt()) / 3
    if not bool(p < peak_at):
        p = peak_at  # phi has its only maximum on [1/2, 1] there
    return min(plain, max(arb_up(p + 4 * x * x * p * p * (1 - p)), 0.5 * add(1.0, mul(a, a))))


@dataclass(frozen=True)
class Rows:
    """What the mask leaves: for the rule, the sums over rows and columns as functions of one row's key count."""

    queries: int
    keys: int
    allowed: np.ndarray | None
    known: bool

    @property
    def most(self) -> int:
        if self.allowed is None:
            return self.keys
        return int(self.allowed.sum(axis=1).max(initial=0))

    def sums(self, row: Row, w: float, width: float) -> tuple[float, float, float]:
        """(bound on ||T||^2, Lip_1 factor of T, kappa), all for ||V|| = 1; scores have range w, biases range width."""
        a = row.gamma
        if self.allowed is None:
            least = self.keys if self.known else 1
            p = peak(least, w)
            if self.keys == 1:
                return float(self.queries), float(self.queries), float(self.queries)
            n = float(self.queries)
            square = row.squares({least: (peak(least, width), p)})[least]
            return mul(n, min(rho(a), square, cbar(p, a))), mul(n, p, add(1.0, mul(2.0, a))), mul(n, p)
        counts = self.allowed.sum(axis=1).astype(int)
        by_row, by_column, weight, plain = ({0: 0.0, 1: 1.0} for _ in range(4))
        tops = {n: (peak(n, width), peak(n, w)) for n in set(counts.tolist()) - {0, 1}}
        squares_of = row.squares(tops)
        for n, (_, p) in tops.items():
            by_row[n], by_column[n] = min(rho(a), squares_of[n]), cbar(p, a)
            plain[n], weight[n] = p, mul(p, add(1.0, mul(2.0, a)))
        squares = min(add(*(by_row[c] for c in counts.tolist())), self._columns(counts, by_column))
        if self._causal:
            n_free = mul(2.0, enclose("exp", w)[1], add(1.0, mul(2.0, a)))
            squares = min(squares, mul(n_free, n_free))
        return squares, self._columns(counts, weight), self._columns(counts, plain)

    @property
    def _causal(self) -> bool:
        x = self.allowed
        return x is not None and x.shape[0] == x.shape[1] and bool(np.array_equal(x > 0, np.tri(len(x)) > 0))

    def _columns(self, counts: np.ndarray, value: dict[int, float]) -> float:
        assert self.allowed is not None
        rows = np.array([value[c] for c in counts.tolist()])
        if not np.all(np.isfinite(rows)):
            return math.inf
        sums = np.sum(np.where(self.allowed > 0, rows[:, None], 0.0), axis=0)
        return float(np.max(sums)) * (1 + 4 * (len(rows) + 4) * tensor.UNIT)


@dataclass(frozen=True, eq=False)
class Attention:
    """A recognised attention: everything the rule needs, heads first in every array."""

    bases: tuple[Base, Base, Base]
    query: str
    natural: frozenset[str]
    heads: tuple[str, ...]
    value_axes: tuple[str, ...]
    scores: Ball
    tilt: np.ndarray
    values: Ball
    value_offset: float
    width: float
    rows: Rows
    _held: dict[Any, list[list[Triple]]] = field(default_factory=dict, repr=False)

    @property
    def alone(self) -> bool:
        """Queries, keys and values come from one wire."""
        return len({b.wire for b in self.bases}) == 1

    # per head ---------------------------------------------------------------------------------

    def per_head(self, values: Ball) -> list[list[Triple]]:
        """For every head the triples for query, key and value base; for one base the first alone."""
        key = values.mid.shape, values.mid.tobytes(), values.rad
        if key not in self._held:
            self._held[key] = self._per_head(values)
        return self._held[key]

    def _per_head(self, values: Ball) -> list[list[Triple]]:
        r_q, r_k, r_v = (b.bound.radius for b in self.bases)
        norm_a = spectral(self.scores.mid, self.scores.rad)
        norm_v = spectral(values.mid, values.rad)
        same = self.bases[1].wire == self.bases[2].wire
        norm_va = np.array([mul(a, v) for a, v in zip(norm_a, norm_v, strict=True)])
        if same:
            both = tensor.times(self.scores, Ball(("h", "c", "o"), values.mid, values.rad), ["c"])
            norm_va = spectral(both.order(["h", "d", "o"]).mid, both.rad)
        closer = same and math.isfinite(mul(r_q, r_k))
        crosses = _cross(self.scores, values, norm_a, norm_v) if closer else [mul(a, v) for a, v in zip(norm_a, norm_v, strict=True)]
        out = []
        for h, (na, nv, nva) in enumerate(zip(norm_a.tolist(), norm_v.tolist(), norm_va.tolist(), strict=True)):
            c = float(self.tilt[h])
            slope = add(mul(na, r_q), c)
            a = mul(slope, r_k)
            if self.alone and math.isinf(a) and nv > 0 and self.rows.most > 1:
                out.append([Triple.all(math.inf)])
                continue
            # For unit V and R; the bias of the queries is a part of g.
            cross, lean = crosses[h], mul(c, r_k)
            unit_cross, k = min(div(cross, nv), na), min(div(nva, nv), na)
            alpha, unit_cross, k = (mul(x, r_q, r_k) for x in (na, unit_cross, k))
            row = Row(a, min(a, add(k, lean)), min(a, add(unit_cross, lean)))
            squares, ones, kappa = self.rows.sums(row, add(mul(2.0, a), self.width), self.width)
            many = self.rows.most > 1
            if self.alone:
                d = unit_cross if many else 0.0
                two, inf = add(root(squares), d), 1.0
                if many:
                    inf = min(add(root(add(1.0, mul(a, a))), d), largest(a, alpha, k, d))
                if self.rows.allowed is None and self.rows.known:
                    two = together(float(self.rows.queries), squares, root(add(1.0, mul(a, a))), d)
                out.append([Triple.of(mul(nv, add(ones, d)), mul(nv, two), mul(nv, inf))])
                continue
            spread = mul(nv, r_v) if many else 0.0
            query = Triple.all(mul(spread, na, r_k))
            key = Triple.of(mul(2.0, kappa, spread, slope), mul(root(kappa), spread, slope), mul(spread, slope))
            value = Triple.of(mul(kappa, nv), mul(root(kappa), nv), nv)
            if same:
                joint = root(add(mul(nv, nv), mul(spread, spread, slope, slope)))
                one, two = add(key.one, value.one), min(mul(root(kappa), joint), mul(nv, root(squares)))
                value = Triple.of(one, two, min(add(key.inf, value.inf), mul(nv, root(add(1.0, mul(a, a))))))
                key = Triple()
            out.append([query, key, value])
        return out

    def _through(self, triples: Sequence[Triple]) -> Slopes:
        slopes: Slopes = {}
        for base, triple in zip(self.bases, triples, strict=False):
            slopes = slopes_sum(slopes, slopes_after(triple, base.bound.slopes))
        return slopes

    def slopes(self, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> Slopes:
        """The heads side by side."""
        heads = self.per_head(self.values)
        stacked = []
        for k in range(len(heads[0])):
            ones = add(*(h[k].one for h in heads))
            two, inf = (root(add(*(mul(x, x) for x in xs))) for xs in ([h[k].two for h in heads], [h[k].inf for h in heads]))
            stacked.append(retoken(Triple.of(ones, two, inf), self.natural, tokens, sizes))
        return self._through(stacked)

    def radius(self, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> float:
        """Outputs are convex combinations of values, or 0 in a row without keys."""
        norms = spectral(self.values.mid, self.values.rad).tolist()
        each = [add(mul(n, self.bases[2].bound.radius), self.value_offset) for n in norms]
        grown = root(float(math.prod(sizes[a] for a in self.natural - tokens)))
        return mul(grown, root(add(*(mul(x, x) for x in each))))

    def fold(self, term: Term, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> Slopes | None:
        """The rule for a linear map after the heads, with the product of the two matrices in each head."""
        folded = self.folded(term, axes, sizes)
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

    def folded(self, term: Term, axes: frozenset[str], sizes: dict[str, int]) -> tuple[Ball, frozenset[str]] | None:
        """W_O^h V_h for every head, and the output's token axes; None where the heads stay apart."""
        links = dict(term.links)
        if not self.natural <= links.keys() or any(a in links for a in self.heads):
            return None
        for a in self.value_axes:
            if a in links:
                term = term.explicit(links[a], sizes)
        outer = [a for a in sorted(axes) if a not in {links[t] for t in self.natural}]
        map_ = term.map
        if {links[t] for t in self.natural} & set(map_.axes):
            return None
        wide = sizes | {inside(a): sizes[a] for a in (*self.heads, *self.value_axes)}
        ins = [inside(a) for a in (*self.heads, *self.value_axes)]
        try:
            map_ = map_.spread(wide, [*ins, *outer]).order([*ins, *outer])
        except TooLarge:
            return None
        heads, _, width = self.values.mid.shape
        matrix = Ball(("h", "f", "o"), map_.mid.reshape(heads, width, -1), map_.rad)
        values = tensor.times(self.values, matrix, ["f"]).order(["h", "d", "o"])
        return values, frozenset(links[t] for t in self.natural)

    def explodes(self, values: Ball) -> bool:
        """Whether the derivative is unbounded on the whole space, by a family of inputs.

        Put x_i = 0 and one other key of row i at R u, all others at 0: row i has fixed weights, and block (i, i) of
        the derivative has the quadratic part p (1 - p) R^2 sum_h V_h u u^T A_h, not 0 for some u.
        """
        if not self.alone or self.rows.most < 2 or not self.rows.known or np.any(self.tilt > 0):
            return False
        rng = np.random.default_rng(0)
        u = rng.standard_normal(values.mid.shape[1])
        left = np.einsum("hdo,d->ho", values.mid, u)
        right = np.einsum("hde,d->he", self.scores.mid.swapaxes(1, 2), u)
        total = np.einsum("ho,he->oe", left, right)
        # Entries below this may come from rounding alone, here or in the two products of weights.
        length, width = float(np.sum(np.abs(u))), values.mid.shape[0] * max(values.mid.shape[2], self.scores.mid.shape[1])
        off = width * length * max(values.rad * float(np.max(np.abs(right), initial=0.0)), self.scores.rad * float(np.max(np.abs(left), initial=0.0)))
        noise = 1e-9 * float(np.sum(np.abs(left)) * np.sum(np.abs(right))) + 4 * off + 4 * width * length**2 * values.rad * self.scores.rad
        return bool(np.max(np.abs(total), initial=0.0) > noise > 0)


def _cross(scores: Ball, values: Ball, norm_a: np.ndarray, norm_v: np.ndarray) -> list[float]:
    """s* of every head: half the squared norm of [sqrt(tau) V; A / sqrt(tau)]; every tau is sound, and ||V|| ||A|| too."""
    best = [mul(a, v) for a, v in zip(norm_a.tolist(), norm_v.tolist(), strict=True)]
    # As matrices that act on x_j: A of s = x_i^T A x_j, not its transpose, and V of y = V x.
    a, v = scores.mid, values.mid.swapaxes(1, 2)
    with np.errstate(all="ignore"):  # what overflows chooses badly, and every choice is sound
        taus = (norm_a / norm_v)[:, None] * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
        grams = taus[:, :, None, None] * (v.mT @ v)[:, None] + (a.mT @ a)[:, None] / taus[:, :, None, None]
        s = np.sqrt(taus[np.arange(len(taus)), np.argmin(_rough(grams), axis=1)])
        some = np.array([0 < b < math.inf for b in best]) & (s > 1e-100) & (s < 1e100)
    if not some.any():
        return best
    a, v, s = a[some], v[some], s[some, None, None]
    stack = np.concatenate([s * v, a / s], axis=1)
    # The scaled entries carry one rounding each; s * s stands for tau and 1/s * s for 1 up to 4 units.
    tops, entries = np.max(np.abs(stack), axis=(1, 2), initial=0.0), root(float(stack[0].size))
    for h, near, scale, top in zip(np.flatnonzero(some).tolist(), spectral(stack).tolist(), s.ravel().tolist(), tops.tolist(), strict=True):
        error = add(mul(scale, values.rad), mul(up(1 / scale), scores.rad), mul(8 * tensor.UNIT, top))
        norm = add(near, mul(error, entries))
        best[h] = min(best[h], mul(0.5, norm, norm))
    return best


def _rough(grams: np.ndarray) -> np.ndarray:
    """Greatest eigenvalues, by a few power steps: they choose among sound values and prove nothing."""
    x = np.sum(np.abs(grams), axis=-1)
    for _ in range(12):
        x = x / np.maximum(np.sqrt(np.sum(x * x, axis=-1, keepdims=True)), 1e-300)
        x = (grams @ x[..., None])[..., 0]
    return np.sqrt(np.sum(x * x, axis=-1))
