"""What the scores of one task can support: whether anything is ranked at all, and which variants can be told apart.

The yardstick is the baseline trained with two seeds (A/A). sigma is the larger of their standard deviation,
|a - b| / sqrt(2), and the binomial error of one score, sqrt(p (1 - p) / trials). Nothing is ranked unless the
baseline beats no mixing by 3 sigma sqrt(1/2 + 1). Two variants with one seed each are told apart when their scores
differ by 3 sigma sqrt(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

LEAST = 3.0


@dataclass(frozen=True)
class Ranking:
    """The verdict on a task: groups of names, best first, when the budget supports any."""

    task: str
    sigma: float | None
    detectable: float | None
    supported: bool
    words: str
    groups: tuple[tuple[str, ...], ...] = ()


def ranking(table: Sequence[dict[str, Any]], task: str) -> Ranking:
    """Read the controls of a table and group its variants."""
    scored = {r["name"]: r for r in table if r.get(f"{task}.score") is not None}
    baseline = next((r for r in table if r["role"] == "control" and r["name"] == "baseline"), None)
    floor = next((r for r in table if r["role"] == "control" and r["name"] == "no_mixing"), None)
    scores = baseline[f"{task}.scores"] if baseline else []
    if baseline is None or floor is None or len(scores) < 2 or floor["name"] not in scored:
        return Ranking(task, None, None, False, "The controls are not finished, so nothing is ranked.")
    a, b = scores[:2]
    mean = (a + b) / 2
    binomial = max(sqrt(p * (1 - p) / n) for p, n in zip(scores, baseline[f"{task}.trials"], strict=True))
    sigma = max(abs(a - b) / sqrt(2), binomial)
    lead, needed = mean - floor[f"{task}.score"], LEAST * sigma * sqrt(1.5)
    detectable = LEAST * sigma * sqrt(2)
    measured = f"The baseline scored {a:.3f} and {b:.3f} with two seeds (sigma {sigma:.4f}) and no mixing {floor[f'{task}.score']:.3f}."
    if lead <= needed:
        words = f"{measured} The baseline does not beat no mixing by three sigma ({lead:.3f} of {needed:.3f}): this budget supports no ranking."
        return Ranking(task, sigma, detectable, False, words)
    words = (
        f"{measured} Differences below {detectable:.3f} cannot be told from chance. Two seeds of one variant measure sigma "
        "poorly, and variants half way through learning vary more than a baseline that is done, so read the groups as "
        "what one seed showed at this budget, not as an order of merit."
    )
    return Ranking(task, sigma, detectable, True, words, _groups(scored, task, detectable))


def _groups(scored: dict[str, dict[str, Any]], task: str, detectable: float) -> tuple[tuple[str, ...], ...]:
    """Sorted by score; a new group begins where the distance to the best of the group can be told from chance."""
    order = sorted(scored, key=lambda name: (-scored[name][f"{task}.score"], name))
    groups: list[list[str]] = []
    for name in order:
        best = scored[groups[-1][0]][f"{task}.score"] if groups else None
        if best is None or best - scored[name][f"{task}.score"] > detectable:
            groups.append([])
        groups[-1].append(name)
    return tuple(map(tuple, groups))
