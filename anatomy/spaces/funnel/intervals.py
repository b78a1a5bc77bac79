"""Intervals for a share that was seen in a sample."""

from __future__ import annotations

from math import exp, lgamma, log, log1p


def interval(hits: int, drawn: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of Clopper and Pearson (Biometrika 26, 1934) for a share of which `hits` of `drawn` were seen.

    It covers the true share with at least the stated confidence, for draws with and without replacement.

    >>> low, high = interval(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0362)
    >>> [round(v, 3) for v in interval(50, 100)]
    [0.398, 0.602]
    """
    if drawn == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: 1 - _at_most(hits - 1, drawn, p), tail, rising=True)
    high = 1.0 if hits == drawn else _solve(lambda p: _at_most(hits, drawn, p), tail, rising=False)
    return low, high


def _at_most(hits: int, drawn: int, p: float) -> float:
    """P(X <= hits) for a binomial X."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(hits >= drawn)
    ways = (lgamma(drawn + 1) - lgamma(k + 1) - lgamma(drawn - k + 1) + k * log(p) + (drawn - k) * log1p(-p) for k in range(hits + 1))
    return min(1.0, sum(map(exp, ways)))


def _solve(share: object, goal: float, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if (share(middle) < goal) == rising:  # type: ignore[operator]
            low = middle
        else:
            high = middle
    return (low + high) / 2
