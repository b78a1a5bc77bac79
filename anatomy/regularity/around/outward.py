"""Arrays of non-negative upper bounds, one number for every cell, rounded up after every operation."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def up(x: Array) -> Array:
    """The next float above; 0 stays, for it bounds what vanishes. What is not a number becomes infinite."""
    return np.where(x == 0, 0.0, np.nextafter(np.where(np.isnan(x), np.inf, x), np.inf))


def add(*terms: Array) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = up(total + term)
    return total


def mul(*factors: Array | float) -> Array:
    """The product; 0 times infinity is 0, for a bound of 0 is attained."""
    total = np.asarray(factors[0], dtype=np.float64)
    for factor in factors[1:]:
        some = (total > 0) & (np.asarray(factor) > 0)
        with np.errstate(over="ignore", invalid="ignore"):
            product = np.nextafter(total * factor, np.inf)
        total = np.where(some, product, 0.0)
    return total


def root(x: Array) -> Array:
    return up(np.sqrt(x))


def least(options: list[Array]) -> Array:
    """The least of several bounds of one number."""
    best = options[0]
    for option in options[1:]:
        best = np.minimum(best, option)
    return best
