"""Wasserstein distances of empirical measures, by optimal assignment, for tests and demonstrations."""

from __future__ import annotations

import math

import numpy as np

MOST = 1024
"""Atoms of equal mass that are matched at most."""


def wasserstein(x: np.ndarray, y: np.ndarray, p: float = 1.0) -> float:
    """W_p between the uniform measures on the rows of x and of y, in float64 and up to its rounding.

    Formula: min over permutations of (mean_i |x_i - y_s(i)|^p)^(1/p), after rows are repeated to one number of them; for p = infinity
    the largest distance. Axes [n, d] and [m, d]. Raises ValueError for p < 1, for other shapes, and where more than 1024 rows are needed.
    Source: Birkhoff's theorem; shortest augmenting paths as in Jonker and Volgenant (Computing 38, 1987).

    >>> float(wasserstein(np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]])))
    1.5
    >>> float(wasserstein(np.array([[0.0], [4.0]]), np.array([[0.0], [0.0], [4.0]])))  # a sixth of the mass moves by 4
    0.6666666666666666
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(f"two arrays of tokens by features are needed, not {x.shape} and {y.shape}")
    if not p >= 1:
        raise ValueError(f"W_p needs p >= 1, not {p}")
    count = math.lcm(len(x), len(y))
    if count > MOST:
        raise ValueError(f"{len(x)} and {len(y)} atoms need {count} of equal mass, more than {MOST}")
    x, y = np.repeat(x, count // len(x), axis=0), np.repeat(y, count // len(y), axis=0)
    cost = np.linalg.norm(x[:, None, :] - y[None, :, :], axis=2)
    if math.isinf(p):
        return _bottleneck(cost)
    scale = float(cost.max()) or 1.0  # so that high powers neither overflow nor vanish
    chosen = assignment((cost / scale) ** p)
    return scale * float(np.mean((cost[np.arange(count), chosen] / scale) ** p)) ** (1.0 / p)


def assignment(cost: np.ndarray) -> np.ndarray:
    """The column of every row in a perfect matching of least total cost, of a square matrix.

    >>> assignment(np.array([[4.0, 1.0], [2.0, 3.0]])).tolist()
    [1, 0]
    """
    n = len(cost)
    # Potentials u, v with cost - u - v >= 0, and 0 on matched pairs; column n stands for "not matched yet".
    u, v, row_of = np.zeros(n), np.zeros(n + 1), np.full(n + 1, -1)
    for start in range(n):
        row_of[n] = start
        least, came = np.full(n, np.inf), np.full(n, n)
        done = np.zeros(n + 1, dtype=bool)
        at = n
        while row_of[at] >= 0:
            done[at] = True
            row = row_of[at]
            reduced = cost[row] - u[row] - v[:n]
            better = ~done[:n] & (reduced < least)
            least[better], came[better] = reduced[better], at
            open_ = np.where(done[:n], np.inf, least)
            next_ = int(np.argmin(open_))
            step = open_[next_]
            u[row_of[done]] += step
            v[done] -= step
            least[~done[:n]] -= step
            at = next_
        while at != n:
            before = came[at]
            row_of[at] = row_of[before]
            at = before
    column_of = np.empty(n, dtype=int)
    column_of[row_of[:n]] = np.arange(n)
    return column_of


def _bottleneck(cost: np.ndarray) -> float:
    """The least t so that pairs at most t apart have a perfect matching."""
    levels = np.unique(cost)
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        far = (cost > levels[middle]).astype(np.float64)
        if far[np.arange(len(cost)), assignment(far)].sum() < 0.5:
            high = middle
        else:
            low = middle + 1
    return float(levels[low])
