"""How the variance between variants is shared out between holes.

The share of a hole is what it adds to the sum of squares that main effects explain, averaged over all orders in which the holes may be
added (Lindeman, Merenda and Gold, 1980; Grömping, 2007; the Shapley value): the shares of all holes add up to what the main effects explain
together, also where the design is unbalanced. With more than eight holes the average is over 60 orders drawn by a key.
From every sum of squares, that of the total included, what seeds alone would give is taken away, as omega squared does (Hays, 1963).

Intervals are percentiles of 400 parametric draws: means moved by the spread of seeds, whose own uncertainty is drawn from its chi-squared
distribution. They are statements about the variants of this sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np

from anatomy.sweep.findings import Estimate
from anatomy.sweep.statistics.design import Design
from anatomy.sweep.statistics.linear import Model, pseudoinverse
from anatomy.sweep.statistics.sample import estimate, generator

DRAWS = 400
EXACT = 8
ORDERS = 60


@dataclass(frozen=True)
class Draws:
    """Means as they are and as they might have been: `means[:, 0]` are those seen, [variants, 1 + draws]."""

    design: Design
    means: np.ndarray
    variances: np.ndarray
    """Of the means."""
    scales: np.ndarray
    """Noise of each column in units of `variances`: 1 for what was seen, more for draws, which have been moved once more."""

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of squares between rows, without what seeds give, [1 + draws]."""
        rows = self.means[self.design.owner]
        weights = np.bincount(self.design.owner, minlength=self.design.variants)
        centred = ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
        noise = float((weights * (1 - weights / self.design.rows) * self.variances).sum())
        return centred - noise * self.scales

    def share(self, explained: np.ndarray, count: int) -> Estimate | None:
        """The share of the total of sums of squares without noise, [1 + draws]; None where variants do not differ."""
        if self.total[0] <= 0:
            return None
        of = np.clip(np.where(self.total > 0, explained / np.where(self.total > 0, self.total, 1.0), 0.0), 0.0, 1.0)
        low, high = np.quantile(of[1:], [0.025, 0.975])
        return estimate(of[0], min(low, of[0]), max(high, of[0]), count)


def draws(design: Design, means: np.ndarray, variances: np.ndarray, freedom: int, key: str) -> Draws:
    """`variances` are those of the means, resting on `freedom` degrees of freedom."""
    random = generator("shares", key)
    scales = np.minimum(freedom / random.chisquare(freedom, DRAWS), 100.0)
    moved = random.normal(size=(len(means), DRAWS)) * np.sqrt(variances)[:, None] * np.sqrt(scales)
    return Draws(design, np.hstack([means[:, None], means[:, None] + moved]), variances, np.concatenate([[1.0], 1.0 + scales]))


def shapley(drawn: Draws, whole: Model, blocks: Sequence[slice], key: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Sums of squares of each hole and of all together, without noise, [1 + draws] each; the first column of the model is the mean."""
    mean = whole.gram[0, 1:] / whole.gram[0, 0]
    gram = whole.gram[1:, 1:] - np.outer(mean, mean) * whole.gram[0, 0]
    noise = whole.noise(drawn.variances)
    noise = noise[1:, 1:] - np.outer(mean, noise[0, 1:]) - np.outer(noise[1:, 0], mean) + np.outer(mean, mean) * noise[0, 0]
    sums = (whole.sums[1:] - np.outer(mean, whole.sums[0])) @ drawn.means
    known: dict[frozenset[int], np.ndarray] = {frozenset(): np.zeros(drawn.means.shape[1])}

    def worth(holes: frozenset[int]) -> np.ndarray:
        if holes not in known:
            at = np.concatenate([np.arange(blocks[h].start - 1, blocks[h].stop - 1) for h in sorted(holes)])
            inverse, _ = pseudoinverse(gram[np.ix_(at, at)])
            squares = (sums[at] * (inverse @ sums[at])).sum(axis=0)
            known[holes] = squares - float(np.trace(inverse @ noise[np.ix_(at, at)])) * drawn.scales
        return known[holes]

    count = len(blocks)
    found = [np.zeros(drawn.means.shape[1]) for _ in blocks]
    if count <= EXACT:
        for chosen in _subsets(count):
            for h in range(count):
                if h not in chosen:
                    weight = factorial(len(chosen)) * factorial(count - len(chosen) - 1) / factorial(count)
                    found[h] += weight * (worth(chosen | {h}) - worth(chosen))
    else:
        random = generator("orders", key)
        for _ in range(ORDERS):
            before: frozenset[int] = frozenset()
            for h in random.permutation(count).tolist():
                found[h] += (worth(before | {h}) - worth(before)) / ORDERS
                before |= {h}
    return found, worth(frozenset(range(count)))


def _subsets(count: int) -> list[frozenset[int]]:
    return [frozenset(h for h in range(count) if bits >> h & 1) for bits in range(2**count)]
