"""The scores of one task at one budget, as arrays.

A variant is the unit of every count here: members that are the same diagram are one variant, however many they are.
A score that is a share of right answers has a binomial error of its own, sqrt(p (1 - p) / n) with n questions, below which
no spread between seeds is believed: two seeds that happen to agree do not make an exact measurement. p is taken as
(n p + 1/2) / (n + 1) (Jeffreys; Brown, Cai and DasGupta, 2001), so that a perfect score is not without error either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from anatomy.sweep.findings import Estimate
from anatomy.sweep.results import Entry, TaskFacts


@dataclass(frozen=True)
class Sample:
    """The finished runs of a task at a budget: `scores[i]` are those of `entries[i]`, one a seed."""

    task: TaskFacts
    budget: int
    entries: tuple[Entry, ...]
    scores: tuple[tuple[float, ...], ...]
    trials: tuple[int, ...]
    """Questions behind a score of each variant; 0 where its error is unknown."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(e.name for e in self.entries)

    @cached_property
    def means(self) -> np.ndarray:
        """[variants]"""
        return np.array([sum(s) / len(s) for s in self.scores])

    @cached_property
    def counts(self) -> np.ndarray:
        """Seeds, [variants]."""
        return np.array([len(s) for s in self.scores], dtype=int)

    @cached_property
    def degrees(self) -> np.ndarray:
        """Degrees of freedom within each variant, [variants]; 0 for a member that is a control as well, whose runs were counted there."""
        known: set[str] = set()
        found = []
        for entry, count in zip(self.entries, self.counts.tolist(), strict=True):
            keys = {r.key for r in entry.at(self.task, self.budget)}
            found.append(0 if keys & known else count - 1)
            known |= keys
        return np.array(found, dtype=int)

    @cached_property
    def squares(self) -> np.ndarray:
        """Sum of squares about the mean of each variant, [variants]."""
        return np.array([sum((x - m) ** 2 for x in s) for s, m in zip(self.scores, self.means, strict=True)])

    @cached_property
    def floors(self) -> np.ndarray:
        """Binomial variance of one score, [variants]; 0 for likelihoods."""
        trials = np.array(self.trials, dtype=float)
        right = (trials * np.clip(self.means, 0, 1) + 0.5) / (trials + 1)
        return np.where(trials > 0, right * (1 - right) / np.maximum(trials, 1), 0.0)

    def place(self, control: str) -> int | None:
        found = (k for k, e in enumerate(self.entries) if e.role == "control" and e.name == control)
        return next(found, None)


def sample(entries: Sequence[Entry], task: TaskFacts, budget: int) -> Sample:
    """All entries with a finished run at this budget."""
    kept: list[tuple[Entry, tuple[float, ...], int]] = []
    for entry in entries:
        runs = [r for r in entry.at(task, budget) if r.score is not None]
        if runs:
            trials = 0 if task.likely else min(r.trials or 0 for r in runs)
            kept.append((entry, tuple(float(r.score or 0.0) for r in runs), trials))
    return Sample(task, budget, tuple(k[0] for k in kept), tuple(k[1] for k in kept), tuple(k[2] for k in kept))


def estimate(value: float, low: float | None = None, high: float | None = None, count: int = 1) -> Estimate:
    """An estimate of nine digits: enough for any reader, and the same on machines whose sums differ in the last bit."""
    return Estimate(digits(value), *(None if x is None else digits(x) for x in (low, high)), count=int(count))


def digits(value: float) -> float:
    """
    >>> digits(0.1 + 0.2)
    0.3
    """
    return float(f"{float(value):.9g}") + 0.0


def generator(*words: object) -> np.random.Generator:
    """Random numbers that depend on these words alone."""
    key = int.from_bytes(blake2b("/".join(map(str, words)).encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))
