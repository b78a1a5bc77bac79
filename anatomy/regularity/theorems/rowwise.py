"""One row of softmax attention, by the directions of V and A; and the two parts of its derivative together.

Notation of the softmax theorem, tokens scaled to R = 1 and ||V|| <= 1: for unit u, w = V^T u, g = A^T x_i + c, t_j = x_j - m_i,
row i of the first part maps h to sum_j P_ij (w + (w.t_j) g).h_j, and of the second to w^T C_i A^T h_i.

Directions. |w| <= 1, |g| <= gamma, |w.g| = |u^T V A^T x + w.c| <= k, and |w| |g| + |w.g| <= 2 s, s >= s* + |c|: for unit
z the product (w.z)(g.z) has maximum (|w||g| + w.g) / 2 and, c apart, is (u.Vz)(x.Az) <= |Vz||Az|; -w for the other sign.
Cells of (|w|, |g|) take |w|, |g| at the upper corner and k <= min(k, 2 s - |w||g|) with |w||g| at the lower one.

Row. r^2 = sum_j P_ij^2 |w + (w.t_j) g|^2 <= min{rho, Phi max_j pi_j, pbar |w|^2 (1 + |g|^2)}, where pi_j is the weight by
the biases alone (1/N without any): Phi by `moment`; rho = max over 0 <= t <= 1 of
((1 + t^2) |w|^2 + 2 k |w| t (1 - t^2) + |w|^2 |g|^2 (1 - t^2)^2) / 2, since the summand is a non-negative convex function of the
w^.x_j, so that these are +-1, on sets of total weight p = (1+t)/2 and 1 - p, whose squares sum to at most p^2 and (1-p)^2.
All three grow with |w| and |g| for fixed w.g: Phi because a new direction may be added to w or to g.

Together. Unmasked, n tokens: sum_i (b_i + delta |h_i|)^2 with b_i = a_i.|h|, a_ij = P_ij |w + (w.t_j) g|, |a_i|^2 <= r^2 and
sum_j a_ij <= m, m^2 = 1 + gamma^2 (Cauchy and Schwarz under P_i; the cross term has mean 0). With s = sum_j |h_j|, |h| = 1:
b_i + x s <= |a_i + x 1| <= sqrt(r^2 + 2 x m + n x^2) for all x >= 0, so (b, s) lies below the ellipse of [[r^2, m], [m, n]], and
n b^2 + 2 delta b s is at most the greater root of q^2 - (n r^2 + 2 delta m) q - delta^2 (n r^2 - m^2). Hence

    Lip_F^2 <= (S + sqrt(S^2 + 4 delta^2 (n r^2 - m^2))) / 2 + delta^2,  S = n r^2 + 2 delta m,  m <= sqrt(n) r,

which is (sqrt(n) r + delta)^2 for m = sqrt(n) r and less otherwise: keys are few, the second part is spread over all tokens.

Largest token. With v = w^.C_i w^ in [0, 1]: |C_i w - v w| <= sqrt(v (1 - v)) since tr C_i <= 1, so Lip_inf <=
max_v sqrt(1 + gamma^2 v) + min{s*, k_0 v + alpha sqrt(v (1 - v))}, k_0 = ||V A^T||, alpha = ||A||.

Source: the derivation is this project's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anatomy.ir.bound import add, mul, root, up
from anatomy.regularity.theorems import moment

EDGES = (1.0, 0.96, 0.9, 0.8, 0.65, 0.45, 0.0)
PIECES = 128
SAFE = 1 + 1e-12
"""Covers the rounding of a few dozen basic operations on non-negative numbers."""


@dataclass(frozen=True)
class Row:
    """For unit ||V|| and R: gamma, k and s as above, each an upper bound."""

    gamma: float
    k: float
    s: float

    def cells(self) -> np.ndarray:
        """[(|w|, |g|, |w.g|)] whose lower sets cover all that can occur."""
        out = []
        for i, w in enumerate(EDGES[:-1]):
            for j, e in enumerate(EDGES[:-1]):
                g = self.gamma * e * SAFE if e < 1 else self.gamma
                least = EDGES[i + 1] * EDGES[j + 1] * self.gamma * (1 - 1e-12)
                out.append((w, g, min(self.k, max(0.0, up(2 * self.s - least)), mul(w, g))))
        return np.array(out)

    def squares(self, weights: dict[int, tuple[float, float]]) -> dict[int, float]:
        """r^2 for every count of keys, given the greatest weight by the biases alone and by all scores."""
        if not math.isfinite(self.gamma) or self.gamma > 1e100:
            return dict.fromkeys(weights, math.inf)
        key = tuple(sorted(weights.items()))
        return dict(zip((n for n, _ in key), _squares(self, key), strict=True))


@lru_cache(maxsize=1024)
def _squares(row: Row, weights: tuple[tuple[int, tuple[float, float]], ...]) -> list[float]:
    cells = row.cells()
    phi = np.array([mul(w * w, moment.phi(g, k / w * SAFE)) for w, g, k in cells.tolist()])
    flat = cells[:, 0] ** 2 * (1 + cells[:, 1] ** 2) * SAFE
    each = rhos(cells)
    return [float(np.max(np.minimum(np.minimum(each, phi * bias * SAFE), flat * top * SAFE))) for _, (bias, top) in weights]


def rhos(cells: np.ndarray) -> np.ndarray:
    """The row factor of many cells, rounded up: on a piece a function is at most its middle plus slopes over half of it."""
    w, g, k = (cells[:, i, None] for i in range(3))
    t = (np.arange(PIECES) + 0.5)[None] / PIECES
    half = 0.5 / PIECES
    d = 1 - t * t
    value = ((1 + t * t) * w * w + 2 * k * w * t * d + (w * g * d) ** 2) / 2
    slope = np.abs(t * w * w + k * w * (1 - 3 * t * t) - 2 * (w * g) ** 2 * t * d)
    bend = w * w + 6 * k * w + 4 * (w * g) ** 2
    size = (w * w + k * w + (w * g) ** 2) * 1e-12
    return np.max((value + slope * half + bend * half * half / 2 + size) * SAFE, axis=1)


def together(n: float, square: float, m: float, delta: float) -> float:
    """Both parts: n rows of squared norm `square / n`, weight sum m, blocks of norm delta on the diagonal; rounded up."""
    plain = add(root(square), delta)
    if not (1e-100 < square < 1e100) or not (1e-100 < delta < 1e100) or m * m >= square:
        return plain
    first = add(square, mul(2.0, delta, m))
    rest = up(square - mul(m, m) * (1 - 1e-12)) + 1e-12 * square
    value = mul(0.5, add(first, root(add(mul(first, first), mul(4.0, delta, delta, rest)))))
    return min(plain, root(add(value, mul(delta, delta))))


def largest(gamma: float, alpha: float, k: float, cross: float) -> float:
    """Lip_inf for unit ||V|| and R, rounded up, by cells of v."""
    if max(gamma, alpha, k, cross) > 1e100:
        return add(root(add(1.0, mul(gamma, gamma))), cross)
    edges = np.arange(PIECES + 1) / PIECES
    low, high = edges[:-1], edges[1:]
    middle = np.where(low <= 0.5, np.where(high >= 0.5, 0.25, high * (1 - high)), low * (1 - low))
    delta = np.minimum(cross, (k * high + alpha * np.sqrt(middle)) * SAFE)
    return float(np.max(np.sqrt(1 + gamma * gamma * high) * SAFE + delta)) * SAFE
