"""What is known of the sparse normalisers as maps from scores to distributions: their slope and their greatest weight."""

from __future__ import annotations

import math

from anatomy.ir.bound import Interval, Triple, arb_up, mul, up


def slope(keys: float, alpha: float) -> Triple:
    """Norms of the derivative of alpha-entmax over at most `keys` scores, each a token of its own; 1 < alpha <= 2.

    The Jacobian is `D - u u^T / sum u` with `D = diag(u)` and `u = p^b`, `b = 2 - alpha`, on the support (Peters et
    al. 2019, Proposition 2). It lies between 0 and `D`, so its spectral norm is at most max u <= 1. Its absolute
    row sums are `2 u_i V / (u_i + V)` with V the sum of the other u, which is at most (keys - 1)^(1 - b) (1 - p_i)^b
    by concavity; over p_i that is greatest at p_i / (1 - p_i) = r = (keys - 1)^((1 - b) / (1 + b)), with the value
    `2 (r / (1 + r))^(1 + b)`: 2 (1 - 1/keys) for sparsemax, and 1/2 in the limit of softmax.
    """
    if keys <= 1:
        return Triple()
    b = 2.0 - alpha  # exact, as 1 <= alpha <= 2
    from flint import arb

    r = arb(keys - 1.0) ** ((1 - arb(b)) / (1 + arb(b)))
    sums = min(2.0, arb_up(2 * (r / (1 + r)) ** (1 + arb(b))))
    if b == 0:
        sums = min(sums, up(2.0 * (1.0 - math.nextafter(1.0 / keys, 0.0))))
    return Triple.of(sums, min(1.0, sums), sums)


def total(keys: float) -> float:
    """From the greatest change of a score to the sum of the changes of the weights, for u <= 1: at most one per key.

    `sum_i u_i |ds_i - mean_u ds| <= sum_i u_i max |ds|`, by the spread of a u-weighted mean.
    """
    return 0.0 if keys <= 1 else keys


def peak(keys: float, scores: Interval) -> float:
    """The greatest weight among `keys` whose scores lie within a width w: where w is small none is large; alpha <= 2.

    With `z = (alpha - 1) s` and `p_i^(alpha - 1) = z_i - t` the least entry has `p_j^(alpha - 1) >= p_i^(alpha - 1) - (alpha - 1) w`;
    that is `p_j >= p_i - w`, as `x^(1 / (alpha - 1))` has slope at most 1 / (alpha - 1) on [0, 1].
    So `1 >= p_i + (keys - 1) (p_i - w)`.
    """
    width = scores[1] - scores[0]
    if not math.isfinite(width) or keys <= 1:
        return 1.0
    return min(1.0, up((up(1.0 + mul(keys - 1.0, up(width)))) / keys))
