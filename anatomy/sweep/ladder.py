"""Successive halving within strata: which budgets a task is trained with, and who goes on from one to the next.

After Jamieson and Talwalkar (AISTATS 2016), but synchronous and apart for every stratum, so that parts that learn slowly are not
all removed by parts that learn fast. Only tasks whose loss falls smoothly have rungs: where learning comes all at once, what leads
early is not what leads in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from anatomy.sweep.task import Task

SUDDEN = "learning comes all at once on this task, and what leads early is not what leads in the end"


@dataclass(frozen=True)
class Ladder:
    """The budgets of a task, least first; the last is the full one. `reason` says why there is only one where halving was asked for."""

    budgets: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True)
class Standing:
    """What a member has shown at a rung: the score of each seed, None where the training failed."""

    place: int
    stratum: str
    scores: tuple[float | None, ...]
    diverged: bool = False

    @property
    def failed(self) -> bool:
        return any(s is None for s in self.scores)

    @property
    def mean(self) -> float:
        return sum(s for s in self.scores if s is not None) / max(1, len(self.scores))

    @property
    def order(self) -> tuple[bool, bool, float, int]:
        """The best is least: what failed comes last, what diverged or is no number before it; then by score, then by place."""
        spoilt = self.diverged or not isfinite(self.mean)
        return self.failed, spoilt, 0.0 if spoilt or self.failed else -self.mean, self.place


def ladder(task: Task, full: int, halving: int | None, rungs: int) -> Ladder:
    """The rungs of a task: `full` divided by powers of `halving`, one step at least.

    >>> from anatomy.sweep.task import load_task
    >>> ladder(load_task("characters"), 400, 3, 3).budgets
    (44, 133, 400)
    >>> ladder(load_task("recall"), 800, 3, 3).budgets
    (800,)
    """
    if halving is None:
        return Ladder((full,))
    if not getattr(task, "smooth", False):
        return Ladder((full,), SUDDEN)
    return Ladder(tuple(sorted({max(1, full // halving**k) for k in range(rungs)} if full else {0})))


def kept(count: int, halving: int) -> int:
    """How many of a stratum go on: one in `halving`, and one at least.

    >>> [kept(n, 3) for n in (1, 2, 5, 6, 30)]
    [1, 1, 1, 2, 10]
    """
    return max(1, count // halving)


def pruned(standings: Iterable[Standing], halving: int) -> dict[int, str]:
    """The places of those that do not go on, with the reason, from results alone; what failed is not among them and does not go on.

    In every stratum the best of all who were trained go on; of n, `kept(n, halving)`.
    """
    strata: dict[str, list[Standing]] = {}
    for standing in standings:
        strata.setdefault(standing.stratum, []).append(standing)
    found: dict[int, str] = {}
    for name, those in strata.items():
        order, count = sorted(those, key=lambda s: s.order), kept(len(those), halving)
        for number, standing in enumerate(order, 1):
            if number > count and not standing.failed:
                where = f" with {name}" if name else ""
                found[standing.place] = f"number {number} of {len(those)}{where}; {count} went on"
    return found


def expected(strata: Sequence[str], halving: int, rungs: int) -> list[int]:
    """How many members each rung trains when none fails, given the stratum of each.

    >>> expected(["n^1"] * 9 + ["n^2"] * 2, 3, 3)
    [11, 4, 2]
    """
    counts = [strata.count(name) for name in dict.fromkeys(strata)]
    found = []
    for _ in range(rungs):
        found.append(sum(counts))
        counts = [kept(n, halving) for n in counts]
    return found
