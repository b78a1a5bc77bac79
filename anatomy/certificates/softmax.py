"""Dot-product softmax attention: the bound of one head, of heads side by side, and of heads that a linear map adds up.

Statement. s_ij = x_i^T A x_j + c_i^T x_j + b_ij (c from biases of queries; b constant; what is the same for all j drops),
P_i the softmax over the allowed keys of row i, N_i of them, y_i = V sum_j P_ij x_j + const, |x_j| <= R for all j. With
a = (|A| R + |c|) R, w = 2 a + the range of b along rows, p_N = 1 / (1 + (N - 1) e^-w), s* >= |V u| |A u| for all unit u:

    Lip_2   <= |V| sqrt(min{sum_i min(rho, p_Ni (1 + a^2)), max_j sum_(i: j allowed) cbar(p_Ni)}) + R^2 s*
    Lip_inf <= |V| sqrt(1 + a^2) + R^2 s*,      Lip_1 <= |V| (1 + 2a) max_j sum_(i: j allowed) p_Ni + R^2 s*

with rho = 1 for a <= 1/2, else (1 + (a + 1/(4a))^2) / 2, and cbar(p) = p (1 + a^2) for p <= 1/2, else phi(min(p, p*)),
phi(p) = p + 4 a^2 p^2 (1 - p), p* = (1 + sqrt(1 + 3/(4a^2))) / 3. A row with one key has derivative V, one without any has 0.

Proof. With m_i and C_i the mean and covariance under P_i, t_j = x_j - m_i and g_i = A^T x_i + c_i, the derivative is
dy_i = V sum_j P_ij (dx_j + t_j g_i.dx_j) + V C_i A^T dx_i. Second part: C_i = sum l w w^T, so that |V C_i A^T| <= sum l |V w| |A w|
<= s* tr C_i <= s* R^2. First part, for unit u: sum_j P_ij (u + (u.t_j) g_i).dx_j <= (1 + |g_i|^2 u^T C_i u)^(1/2) (sum_j P_ij
|dx_j|^2)^(1/2) by Cauchy and Schwarz, since sum_j P_ij t_j = 0. u^T C_i u <= R^2, and <= 4p(1-p) R^2 when one weight is p >= 1/2:
with an atom of weight p at z and the rest of mean z', the variance of numbers in [-R, R] is at most p z^2 + q R^2 - (p z + q z')^2,
which is greatest at z = R, z' = -R (at z' = -p z / q, where |p z| <= q R, it is at most q R^2 / p <= 4 p q R^2). No weight exceeds
p_N, because a row of scores has range at most w. Summed over rows, |dx_j|^2 counts with max_j sum_i P_ij (1 + a^2 g(p_i)), and
p (1 + a^2 g(p)) <= cbar. phi rises from 1/2 to p*. One row alone: at most p_N (1 + a^2), and at most rho: sum_j P_ij^2 |u + (u.t_j)
g|^2 is convex in every u.x_j and so greatest where all are +-R; with weight (1 + t)/2 on one side it is at most
(1 + (t + a (1 - t^2))^2) / 2. In the max norm sum_j P_ij = 1, in the 1-norm |I + t_j g^T| <= 1 + 2a.

Several inputs: queries from y (|y| <= Rq), keys from x (|x| <= Rk), values from z (|z| <= Rv), l = |A| Rq + |c|, r = |V| Rv:
queries r |A| Rk for all p; keys (2 k, sqrt k, 1) r l; values (k, sqrt k, 1) |V|, k = max_j sum_i p_Ni. By Cauchy and Schwarz in
P_i, for V sum_j P_ij (z_j - m_i) ds_ij; where keys and values are one input, (sum_j P_ij (|V| + r l)^2 ...) gives
sqrt(k (|V|^2 + r^2 l^2)) for p = 2.

Heads. Side by side, squares of Lip_2 and of Lip_inf add up, and so do the Lip_1. Added up by W, the constants with V_h W_h add up.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from anatomy.certificates.affine import Term, inner
from anatomy.certificates.facts import Fact, Gains, Triple, least_of, retoken, scaled, sum_of, through, triple
from anatomy.certificates.numbers import Tape, cross, root, spectral
from anatomy.certificates.tensors import Sizes, count, entries, greatest, matrix, spend


def peak(n: int, w: arb) -> arb:
    """The greatest weight of a softmax over n scores of range w: 1 / (1 + (n - 1) e^-w)."""
    return 1 / (1 + (n - 1) * (-w).exp())


def rho(a: arb) -> arb:
    """Half of 1 + max (t + a (1 - t^2))^2; the formula for a >= 1/2 rises and is 1 at 1/2."""
    x = a.max(arb(0.5))
    return (1 + (x + 1 / (4 * x)) ** 2) / 2


def cbar(p: arb, a: arb) -> arb:
    plain = p * (1 + a * a)
    if p <= 0.5 or a.is_zero():
        return plain
    most = p.min((1 + (1 + 3 / (4 * a * a)).sqrt()) / 3)
    return plain.min((most + 4 * a * a * most * most * (1 - most)).max((1 + a * a) / 2))


@dataclass(frozen=True, eq=False)
class Rows:
    """Which keys a row of scores may use: `allowed[i, j]`, or None for all of them; `known` is false where nothing is known."""

    queries: int
    keys: int
    allowed: Any
    known: bool

    @functools.cached_property
    def counts(self) -> list[int]:
        if self.allowed is None:
            return [self.keys] * self.queries
        return [int(x) for x in self.allowed.sum(axis=1)]

    def columns(self, value: dict[int, arb]) -> arb:
        """The greatest over keys of the sum, over the rows that may use it, of a value by the row's number of keys."""
        if self.allowed is None:
            return value[self.keys] * self.queries if self.keys else arb(0)
        kinds = sorted(value)
        spend(self.allowed.size * (1 + len(kinds) // 64))
        is_kind = np.array([[c == n for c in self.counts] for n in kinds], dtype=float).reshape(len(kinds), self.queries)
        table = np.unique(is_kind @ self.allowed.astype(float), axis=1).T  # whole numbers below 2^53: exact
        return greatest(sum((value[n] * int(k) for n, k in zip(kinds, row, strict=True) if k), arb(0)) for row in table)

    def sums(self, a: arb, w: arb) -> tuple[arb, arb, arb]:
        """The square of Lip_2, Lip_1 and k = max_j sum_i p_Ni of the first part, for |V| = 1."""
        by_row, by_column, one, plain = ({} for _ in range(4))
        for n in set(self.counts):
            p = peak(n, w) if self.known else arb(1)
            single = n <= 1
            by_row[n] = arb(n) if single else rho(a).min(p * (1 + a * a))
            by_column[n] = arb(n) if single else cbar(p, a)
            one[n], plain[n] = (arb(n), arb(n)) if single else (p * (1 + 2 * a), p)
        total = sum((by_row[n] for n in self.counts), arb(0))
        return total.min(self.columns(by_column)), self.columns(one), self.columns(plain)

    @property
    def many(self) -> bool:
        return any(n > 1 for n in self.counts)


@dataclass(frozen=True, eq=False)
class Attention:
    """An attention found in a diagram: matrices per head, bases of queries, keys and values."""

    bases: tuple[int, int, int]
    facts: tuple[Fact, Fact, Fact]
    natural: frozenset[str]
    heads: tuple[str, ...]
    value_axes: tuple[str, ...]
    scores: Sequence[Any]
    tilts: Sequence[arb]
    values: Sequence[Any]
    shift: Sequence[arb]
    """Norms of the constant part of the values, per head."""
    width: arb
    rows: Rows

    def head(self, tape: Tape, h: int, v: Any) -> list[Triple]:
        """The constants of one head with these values: for query, key and value base, or for all in one where they are one."""
        rq, rk, rv = (f.radius for f in self.facts)
        na, nv = spectral(tape, [self.scores[h]]), spectral(tape, [v])
        slope = na * rq + self.tilts[h]
        a = slope * rk
        square, one, k = self.rows.sums(a, 2 * a + self.width)
        many = int(self.rows.many)
        if len(set(self.bases)) == 1:
            both = cross(tape, matrix(v).transpose(), matrix(self.scores[h])).min(na * nv)
            d = many * rk * rk * both
            row = root(1 + many * a * a)
            return [triple(nv * one + d, nv * root(square) + d, nv * row + d)]
        spread = many * nv * rv
        query = scaled(spread * na * rk)
        key = triple(2 * k * spread * slope, root(k) * spread * slope, spread * slope)
        value = triple(k * nv, root(k) * nv, nv)
        if self.bases[1] == self.bases[2]:
            joint = root(k) * root(nv * nv + (spread * slope) ** 2)
            value, key = triple(key[0] + value[0], joint, key[2] + value[2]), scaled(arb(0))
        return [query, key, value]

    def _gains(self, triples: Sequence[Triple]) -> Gains:
        return sum_of(*(through(t, f.gains) for t, f in zip(triples, self.facts, strict=False)))

    def stacked(self, tape: Tape, tokens: frozenset[str], sizes: Sizes) -> Gains:
        heads = [self.head(tape, h, v) for h, v in enumerate(self.values)]
        out = []
        for k in range(len(heads[0])):
            one = sum((h[k][0] for h in heads), arb(0))
            two, top = (root(sum((h[k][p] ** 2 for h in heads), arb(0))) for p in (1, 2))
            out.append(retoken(triple(one, two, top), self.natural, tokens, sizes))
        return self._gains(out)

    def radius(self, tape: Tape, tokens: frozenset[str], sizes: Sizes) -> arb:
        """Results are means of values, or 0."""
        each = [spectral(tape, [v]) * self.facts[2].radius + c for v, c in zip(self.values, self.shift, strict=True)]
        return root(arb(count(self.natural - tokens, sizes))) * root(sum((x * x for x in each), arb(0)))

    def folded(self, tape: Tape, t: Term, axes: frozenset[str], tokens: frozenset[str], gains: Gains, sizes: Sizes) -> Gains:
        """The constants of a linear map after the heads, where it mixes no tokens; else those given."""
        if not self.natural <= t.links.keys() or any(a in t.links for a in self.heads):
            return gains
        rows = {t.links[a] for a in self.natural}
        if rows & set(t.map.axes):
            return gains
        for a in self.value_axes:
            if a in t.links:
                t = t.explicit(t.links[a], sizes)
        outer = sorted(axes - rows)
        ins = [inner(a) for a in (*self.heads, *self.value_axes)]
        wide = dict(sizes) | {inner(a): sizes[a] for a in (*self.heads, *self.value_axes)}
        array = t.map.spread([*ins, *outer], wide).order([*ins, *outer])
        array = array.reshape(len(self.values), count(self.value_axes, sizes), -1)
        total: list[Triple] = []
        for h, v in enumerate(self.values):
            spend(v.size + array[h].size + v.shape[0] * array[h].size // 64)
            found = self.head(tape, h, entries(matrix(v) * matrix(array[h])))
            total = [triple(*(x + y for x, y in zip(p, q, strict=True))) for p, q in zip(total, found, strict=True)] if total else found
        natural = frozenset(rows)
        return least_of(gains, self._gains([retoken(x, natural, tokens, sizes) for x in total]))


def product(a: Any, b: Any) -> Any:
    """The product of two matrices of balls."""
    spend(a.size + b.size + a.shape[0] * b.size // 64)
    return entries(matrix(a) * matrix(b))


def norm(values: Any) -> arb:
    return root(sum((x * x for x in np.asarray(values, dtype=object).ravel()), arb(0)))

