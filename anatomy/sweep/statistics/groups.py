"""Which variants can be told apart: groups and letters, not an order of merit.

Two variants are told apart when their means differ by more than q / sqrt(2) standard errors of the difference, q being the
quantile of the studentized range for all variants of the task (Tukey and Kramer; see `multiplicity`), on the fewer of
their degrees of freedom. The chance that any two variants of equal worth are told apart is then 5 percent or less.

Groups: the best variant with all that cannot be told from it, then the best of the rest with all of the rest that cannot be told from it, and so on.
A variant whose seeds lie far apart may so stand in a group above variants that score higher: nobody is called worse than the best who was not shown to be.
The last of one group and the first of the next may well be alike; letters say which are not: variants that share none can be told
apart (Piepho, 2004). Where the numbers of seeds differ, whatever lies between two variants that cannot be told apart counts as alike to both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anatomy.sweep.statistics.multiplicity import tukey
from anatomy.sweep.statistics.spread import Spread

LETTERED = 300
"""Up to so many variants have letters; beyond, no reader can use them."""


def grouped(
    names: Sequence[str], means: np.ndarray, counts: np.ndarray, told: Spread
) -> tuple[tuple[tuple[str, ...], ...], dict[str, str]]:
    """Groups of names, best first, and the letters of each name."""
    size = len(names)
    order = sorted(range(size), key=lambda k: (-means[k], names[k]))
    sorted_means, errors = means[order], told.errors(counts)[order]
    widths = np.array([tukey(size, int(f)) for f in told.freedoms[order]])
    groups: list[list[str]] = []
    left = np.arange(size)
    while len(left):
        lead = left[0]
        needed = np.maximum(widths[lead], widths[left]) * np.hypot(errors[lead], errors[left])
        alike = sorted_means[lead] - sorted_means[left] <= needed
        alike[0] = True
        groups.append([names[int(order[k])] for k in left[alike]])
        left = left[~alike]
    if size > LETTERED:
        return tuple(map(tuple, groups)), {}
    reach, furthest = [], 0
    for k in range(size):
        needed = np.maximum(widths[k], widths[k:]) * np.hypot(errors[k], errors[k:])
        furthest = max(furthest, k + int(np.flatnonzero(sorted_means[k] - sorted_means[k:] <= needed)[-1]))
        reach.append(furthest)
    letters = {names[i]: "" for i in order}
    runs = [(k, reach[k]) for k in range(size) if k == 0 or reach[k] > reach[k - 1]]
    for number, (first, last) in enumerate(runs):
        for k in range(first, last + 1):
            letters[names[order[k]]] += letter(number)
    return tuple(map(tuple, groups)), letters


def letter(number: int) -> str:
    """a to z, then a2, b2 and so on.

    >>> letter(0), letter(27)
    ('a', 'b2')
    """
    turn, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(turn + 1) if turn else "")
