"""Claims made together: how far apart, and how unlikely, something must be when it is the most striking of many.

- All pairs of k variants: the studentized range (Tukey, 1953; Kramer, 1956 for unequal numbers of seeds; Hayter, 1984 for
  the proof that unequal numbers are safe). The chance that any two equal variants of a task are told apart is 5 percent.
- Simultaneous intervals of m effects: |t| with the level of Sidak (1967), whose inequality holds for any correlation between
  them; it is the same as Bonferroni's to within a few percent.
- p values of all F tests of a task: Holm (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import inf, sqrt

LEVEL = 0.05
"""Chance of at least one false claim in a family."""


@cache
def tukey(variants: int, freedom: int) -> float:
    """By how many standard errors of a difference two of so many variants must differ: q / sqrt(2).

    >>> round(tukey(2, 10), 3)  # with two, the quantile of t
    2.228
    """
    from scipy.stats import studentized_range

    if freedom < 1:
        return inf
    return float(studentized_range.ppf(1 - LEVEL, max(2, variants), freedom)) / sqrt(2)


@cache
def sidak(claims: int, freedom: int) -> float:
    """The half width, in standard errors, of intervals that all hold together with 95 percent.

    >>> round(sidak(1, 10), 3), round(sidak(20, 10), 3)
    (2.228, 3.989)
    """
    from scipy.stats import t

    if freedom < 1:
        return inf
    return float(t.isf((1 - (1 - LEVEL) ** (1 / max(1, claims))) / 2, freedom))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values, in the same order; None is no test and counts for none.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    asked = sorted((p, k) for k, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    most = 0.0
    for done, (p, k) in enumerate(asked):
        most = max(most, min(1.0, (len(asked) - done) * p))
        found[k] = most
    return found
