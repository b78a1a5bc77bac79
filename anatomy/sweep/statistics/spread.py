"""How far scores spread between seeds: the yardstick of every interval and test.

sigma^2 is the variance within variants, pooled over all that have several seeds: sum of (x_ij - mean_i)^2 over the sum of
(n_i - 1), its degrees of freedom. Seeds that all variants share, and that move all of them together, count as spread, which
makes comparisons cautious.

Variants half way through learning vary more than those that are done or have not begun. Whether the spread differs between
the lower, middle and upper third of the scores is tested on the standard deviations of the variants by a one-way analysis of variance
(Levene, 1960, in the manner of Brown and Forsythe, 1974, with one value a variant because its two or three seeds are not as
many replicates). Where p < 0.05, a variant is given the larger of the pooled spread and that of its third. A single variant
whose own spread is out of the ordinary (an F test against all others, or those of its third; Bonferroni) is given its own and leaves the pool, which it would
rule alone. Nothing is given less than the binomial error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from anatomy.sweep.statistics.sample import Sample

THIRDS = ("lowest", "middle", "highest")


@dataclass(frozen=True)
class Spread:
    """`variances` are those of one score of each variant, `freedoms` the degrees of freedom that they rest on.

    `sources` says which estimate a variant has: 0 that of all, 1 to 3 that of its third, from 4 on its own.
    """

    sigma: float | None
    freedom: int
    variances: np.ndarray
    freedoms: np.ndarray
    sources: np.ndarray
    warnings: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return self.sigma is not None

    def together(self, at: Sequence[int]) -> int:
        """Degrees of freedom of the mean of these variances (Satterthwaite, 1946); variants with one estimate share its own."""
        weights: dict[int, list[float]] = {}
        for k in at:
            weights.setdefault(int(self.sources[k]), []).append(float(self.variances[k]))
        total = sum(map(sum, weights.values()))
        of = {int(self.sources[k]): int(self.freedoms[k]) for k in at}
        below = sum(sum(w) ** 2 / of[source] for source, w in weights.items() if of[source])
        return max(1, int(total**2 / below + 1e-9)) if below > 0 else 0

    def errors(self, counts: np.ndarray) -> np.ndarray:
        """Standard errors of the means of so many seeds, [variants]."""
        return np.sqrt(self.variances / counts)


def spread(seen: Sample) -> Spread:
    """Measure the spread of a sample; sigma is None where no variant has two seeds, or where all seeds agree to the last bit."""
    several = seen.degrees > 0
    freedom = int(seen.degrees.sum())
    pooled = float(seen.squares[several].sum() / freedom) if freedom else 0.0
    size = len(seen.counts)
    if not freedom or (pooled <= 0 and not seen.floors.any()):
        return Spread(None, 0, np.zeros(size), np.zeros(size, int), np.zeros(size, int))
    warnings: list[str] = []
    variances, freedoms, sources = np.full(size, pooled), np.full(size, freedom), np.zeros(size, int)
    thirds = _thirds(seen.means, several)
    if thirds is not None and _unequal(seen, several, thirds):
        within = []
        for k in range(3):
            own = several & (thirds == k)
            count = int(seen.degrees[own].sum())
            within.append(sqrt(seen.squares[own].sum() / count))
            if within[k] ** 2 > pooled:
                variances[thirds == k], freedoms[thirds == k], sources[thirds == k] = within[k] ** 2, count, k + 1
        told = ", ".join(f"{name} {s:.4f}" for name, s in zip(THIRDS, within, strict=True))
        warnings.append(
            f"Seeds do not spread alike everywhere (sigma by thirds of the scores: {told}), as where learning comes all at once. "
            f"Each variant is given the larger of the spread of all, {sqrt(pooled):.4f}, and that of its third."
        )
    odd = _odd(seen, several, sources)
    rest = several.copy()
    rest[odd] = False
    if len(odd) and rest.any():
        pooled, freedom = float(seen.squares[rest].sum() / seen.degrees[rest].sum()), int(seen.degrees[rest].sum())
        for source in np.unique(sources).tolist():
            own = rest & (sources == source) if source else rest
            count = int(seen.degrees[own].sum())
            within_it = float(seen.squares[own].sum() / count) if count else 0.0
            variances[sources == source], freedoms[sources == source] = (within_it, count) if within_it > pooled else (pooled, freedom)
    for k in odd:
        sources[k] = 4 + k
        variances[k], freedoms[k] = max(variances[k], seen.squares[k] / seen.degrees[k]), seen.degrees[k]
    if len(odd):
        names = ", ".join(f"{seen.names[k]} ({', '.join(f'{x:.3f}' for x in seen.scores[k])})" for k in odd[:3])
        warnings.append(
            f"The seeds of {len(odd)} variant{'s' if len(odd) > 1 else ''} lie further apart than chance explains: {names}"
            f"{' and others' if len(odd) > 3 else ''}. "
            "A mean hides that such a variant learns with one seed and not with another. It has its own spread and no part in that of the others; with few seeds, others may hide the same."
        )
    floored = np.maximum(variances, seen.floors)
    floor = float(seen.floors.mean()) if size else 0.0
    return Spread(sqrt(max(pooled, floor)), freedom, floored, freedoms, sources, tuple(warnings))


def _thirds(means: np.ndarray, several: np.ndarray) -> np.ndarray | None:
    """0, 1 or 2 for each variant, by its score; None where fewer than nine variants have several seeds."""
    if several.sum() < 9:
        return None
    ranks = np.argsort(np.argsort(means[several], kind="stable"), kind="stable")
    of = ranks * 3 // several.sum()
    cuts = [means[several][of == k].min() for k in (1, 2)]
    found = np.searchsorted(cuts, means, side="right")
    counts = [(several & (found == k)).sum() for k in range(3)]
    return found if min(counts) >= 3 else None


def _unequal(seen: Sample, several: np.ndarray, thirds: np.ndarray) -> bool:
    from scipy.stats import f

    deviations = np.sqrt(seen.squares[several] / seen.degrees[several])
    of = thirds[several]
    sizes = np.array([(of == k).sum() for k in range(3)])
    means = np.array([deviations[of == k].mean() for k in range(3)])
    between = float((sizes * (means - deviations.mean()) ** 2).sum()) / 2
    within = float(((deviations - means[of]) ** 2).sum()) / (len(of) - 3)
    if within <= 0:
        return between > 0
    return bool(f.sf(between / within, 2, len(of) - 3) < 0.05)


def _odd(seen: Sample, several: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Variants whose own variance is too large beside that of all others, or of the others of its third; the worst first."""
    from scipy.stats import f

    own, tested = seen.degrees, int(several.sum())
    ratio, p = np.zeros(len(own)), np.ones(len(own))
    for source in np.unique(sources).tolist():
        same = (several & (sources == source)) if source else several
        rest = own[same].sum() - own
        others = (seen.squares[same].sum() - seen.squares) / np.maximum(rest, 1)
        others = np.maximum(others, seen.floors.mean())
        at = several & (sources == source) & (rest >= 3) & (others > 0)
        ratio[at] = (seen.squares / np.maximum(own, 1))[at] / others[at]
        p[at] = f.sf(ratio[at], own[at], rest[at])
    found = np.flatnonzero(p < 0.05 / max(tested, 1))
    return found[np.argsort(-ratio[found], kind="stable")]
