"""Whether a task supports a ranking at all.

Nothing is ranked unless the baseline beats no mixing by three standard errors of the difference, sqrt(s_b^2 / n_b + s_0^2 / n_0)
with the spreads and numbers of seeds of the two: a task on which a model that cannot look at other tokens does as well
measures no attention. The seeds of the baseline are an A/A comparison: their variance is held against that of all other
variants (F test, both sides, 1 percent).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np

from anatomy.sweep.statistics.sample import Sample
from anatomy.sweep.statistics.spread import Spread

NEEDED = 3.0
"""Standard errors by which the baseline must lead."""


@dataclass(frozen=True)
class Verdict:
    supported: bool
    words: str
    warnings: tuple[str, ...] = ()


def verdict(seen: Sample, told: Spread) -> Verdict:
    """Read the controls."""
    best, floor = seen.place("baseline"), seen.place("no_mixing")
    if best is None or floor is None:
        return Verdict(False, "The controls are not finished, so nothing is ranked.")
    if not told.known:
        why = "no variant has two seeds" if not seen.degrees.any() else "all seeds of a variant gave the same score"
        return Verdict(False, f"Nothing measures the spread between seeds ({why}), so nothing is ranked.")
    errors = told.errors(seen.counts)
    lead, error = float(seen.means[best] - seen.means[floor]), hypot(errors[best], errors[floor])
    scores = " and ".join(f"{x:.3f}" for x in seen.scores[best]) if seen.counts[best] < 4 else f"{seen.means[best]:.3f} on average"
    seeds = f"{seen.counts[best]} seed{'s' if seen.counts[best] > 1 else ''}"
    measured = f"The baseline scored {scores} ({seeds}) and no mixing {seen.means[floor]:.3f}; sigma between seeds is {told.sigma:.4f}, from {told.freedom} degree{'s' if told.freedom > 1 else ''} of freedom."
    if lead <= NEEDED * error:
        words = f"The baseline does not beat no mixing by three sigma of the difference ({lead:.3f} of {NEEDED * error:.3f}): this budget supports no ranking and no claim about parts."
        return Verdict(False, f"{measured} {words}", _alike(seen, best))
    return Verdict(True, measured, _alike(seen, best))


def _alike(seen: Sample, best: int) -> tuple[str, ...]:
    """A warning where the seeds of the baseline lie further apart, or closer together, than those of the others."""
    from scipy.stats import f

    own = int(seen.degrees[best])
    rest = int(seen.degrees.sum()) - own
    others = float(seen.squares[seen.degrees > 0].sum() - seen.squares[best]) / rest if rest else 0.0
    others = max(others, float(np.mean(seen.floors)))
    if not own or not rest or others <= 0:
        return ()
    ratio = float(seen.squares[best]) / own / others
    if f.sf(ratio, own, rest) < 0.005:
        return ("The seeds of the baseline lie further apart than those of the other variants: what it is compared with is itself uncertain.",)
    if f.cdf(ratio, own, rest) < 0.005 and ratio * others > 0:
        return ("The seeds of the baseline lie closer together than those of the other variants: its spread alone would flatter every difference.",)
    return ()
