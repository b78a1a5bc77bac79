"""What the budget can detect, and what more seeds would buy.

A difference is told from chance above d = q / sqrt(2) * sigma * sqrt(2 / n) with n seeds each (see `multiplicity`). A true
difference of just d is found only half the time; for four times in five it must be larger by the 0.8 quantile of t times sigma sqrt(2 / n).
The best of many is seen better than it is: the largest of m equal means lies about z((m - 3/8) / (m + 1/4)) standard errors above their worth.
"""

from __future__ import annotations

from math import sqrt

from anatomy.sweep.statistics.multiplicity import tukey


def detectable(variants: int, sigma: float, freedom: int, seeds: float) -> float:
    """The least difference of two means of `seeds` seeds that can be told from chance, of all pairs of so many variants.

    >>> round(detectable(60, 0.01, 61, 2), 4)
    0.043
    """
    return tukey(variants, freedom) * sigma * sqrt(2 / seeds)


def found_mostly(variants: int, sigma: float, freedom: int, seeds: float) -> float:
    """The true difference that is found four times in five."""
    from scipy.stats import t

    return detectable(variants, sigma, freedom, seeds) + float(t.ppf(0.8, freedom)) * sigma * sqrt(2 / seeds)


def flattery(count: int, error: float) -> float:
    """By how much the best of so many equal variants is seen above their worth (Blom, 1958), `error` being that of a mean.

    >>> round(flattery(20, 1.0), 2)
    1.87
    """
    from scipy.stats import norm

    return float(norm.ppf((count - 0.375) / (count + 0.25))) * error


def more(variants: int, sigma: float, seeds: int) -> tuple[tuple[int, float], ...]:
    """What all variants with more seeds than now could tell apart, if the spread stays the same: pairs (seeds, difference)."""
    asked = [n for n in (2, 3, 5, 10) if n > seeds][:2]
    return tuple((n, detectable(variants, sigma, variants * (n - 1), n)) for n in asked)
