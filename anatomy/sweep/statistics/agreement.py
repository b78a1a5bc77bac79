"""How far rankings agree: Kendall's tau-b between seeds, tasks, rungs, and between scores and regularity bounds.

tau-b (Kendall, 1945) counts pairs of variants that both rankings order alike, less those they order otherwise, with ties taken out of
the denominator. Variants at the ceiling are tied: a score beyond the early stop orders nothing. Only members count, not controls, which would agree with anything.

Intervals resample variants (percentiles of 400 draws; beyond 800 variants the jackknife over 40 groups, Shao and Wu, 1989); the seeds stay as they are.
A tau of 0.3 with an interval from -0.1 to 0.6 is no agreement that so few variants can show.

Noise lowers agreement: two tasks that rank the variants alike in truth agree no better than each agrees with itself. With r the
correlation that belongs to a tau between seeds, sin(pi tau / 2) (Greiner, 1909), means of n seeds have reliability n r / (1 + (n - 1) r)
(Spearman and Brown, 1910), and the correlation between two tasks is at most the root of the product of theirs (Spearman, 1904): `most`, as a tau.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import asin, inf, isfinite, isnan, pi, sin, sqrt
from typing import Any

import numpy as np

from anatomy.sweep.findings import Agreement, Estimate
from anatomy.sweep.results import Entry, Results, TaskFacts
from anatomy.sweep.statistics.sample import digits, estimate, generator

FEWEST = 6
"""Variants below which no agreement is told."""
DRAWS = 400
DENSE = 800
GROUPS = 40
Rankings = Sequence[tuple[np.ndarray, np.ndarray]]


def agreements(results: Results, supported: Sequence[TaskFacts]) -> tuple[Agreement, ...]:
    """Seeds of every task; between tasks, rungs and with the bounds only for tasks whose controls support a ranking."""
    members, found = results.members, []
    reliable: dict[str, float] = {}
    for task in results.tasks:
        own = _seeds(members, task)
        if own is not None:
            found.append(own[0])
            reliable[task.label] = own[1]
    for first, second in combinations(supported, 2):
        pairs = _both([worth(e, first) for e in members], [worth(e, second) for e in members])
        limit = _most(reliable.get(first.label), reliable.get(second.label))
        found += _told("tasks", first.label, second.label, pairs, limit)
    for task in supported:
        if len(task.budgets) > 1:
            low, high = task.budgets[0], task.budgets[-1]
            pairs = _both([worth(e, task, low) for e in members], [worth(e, task) for e in members])
            found += _told("rungs", f"{task.label}, {low} steps", f"{task.label}, {high} steps", pairs, None)
    for task in supported:
        for bound in ("upper", "lower"):
            pairs = _both([worth(e, task) for e in members], [_bound(e, bound) for e in members])
            own = reliable.get(task.label)
            told = _told("regularity", task.label, f"{bound} bound", pairs, _most(own, 1.0))
            out = sum(worth(e, task) is not None and bool(e.bounds) and _bound(e, bound) is None for e in members)
            found += [replace(a, words=f"{a.words} {out} without a {'proved' if bound == 'upper' else 'known'} bound are left out.") for a in told] if out else told
    return tuple(found)


def worth(entry: Entry, task: TaskFacts, budget: int | None = None) -> float | None:
    """The mean score, with all that is at the ceiling alike."""
    found = [1.0 if r.solved else r.score for r in entry.at(task, budget) if r.score is not None] if task.budgets else []
    return sum(found) / len(found) if found else None


def _bound(entry: Entry, bound: str) -> float | None:
    """A bound; infinite where it is shown that none exists."""
    return inf if entry.bounds.get("verdict") == "not_lipschitz_on_domain" else _number(entry.bounds.get(bound))


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return None if isnan(found) else found


def _both(first: Sequence[float | None], second: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    kept = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return np.array([a for a, _ in kept]), np.array([b for _, b in kept])


def _seeds(members: Sequence[Entry], task: TaskFacts) -> tuple[Agreement, float] | None:
    """The mean tau of two seeds, over up to four seeds, and the reliability of the mean of all."""
    if not task.budgets:
        return None
    scores = [{r.seed: 1.0 if r.solved else r.score for r in e.at(task) if r.score is not None} for e in members]
    tried = sorted({seed for s in scores for seed in s})
    common = [seed for seed in tried if 2 * sum(seed in s for s in scores) > sum(map(bool, scores))][:4]
    full = [[s[seed] for seed in common] for s in scores if all(seed in s for seed in common)]
    if len(common) < 2 or len(full) < FEWEST:
        return None
    table = np.array(full)
    tau = interval([(table[:, a], table[:, b]) for a, b in combinations(range(len(common)), 2)], f"seeds/{task.label}")
    if tau is None:
        return None
    r, n = sin(pi * tau.value / 2), len(common)
    reliability = max(0.0, n * r / (1 + (n - 1) * r)) if r > -1 / n else 0.0
    seeds = f"mean of all pairs of {n} seeds" if n > 2 else "two seeds"
    words = f"{_strength(tau)} ({seeds}, {len(full)} variants). No comparison with this task can agree much better than it does with itself."
    return Agreement(f"{task.label}, one seed", f"{task.label}, another", tau, words, "seeds"), reliability


def _told(kind: str, first: str, second: str, pairs: tuple[np.ndarray, np.ndarray], limit: float | None) -> list[Agreement]:
    tau = interval([pairs], f"{kind}/{first}/{second}") if len(pairs[0]) >= FEWEST else None
    if tau is None:
        return []
    words = f"{_strength(tau)} ({len(pairs[0])} variants)."
    if kind == "regularity":
        words += " A positive tau means that variants with larger bounds score higher. The bounds are those at initialisation."
        endless = int((~np.isfinite(pairs[1])).sum())
        words += f" {endless} variant{'s have' if endless > 1 else ' has'} no finite bound and {'are tied' if endless > 1 else 'is'} above all others." if endless else ""
    if kind == "rungs":
        words += " Only variants that reached the last rung count, so this tells nothing of those that were pruned."
    if limit is not None:
        words += f" Seeds alone let it reach about {limit:.2f}."
    elif kind == "tasks":
        words += " How far noise alone lowers this is not known: a task has one seed, or its seeds do not agree."
    return [Agreement(first, second, tau, words, kind, None if limit is None else digits(limit))]


def _strength(tau: Estimate) -> str:
    if tau.low is None or tau.high is None or tau.low <= 0 <= tau.high:
        return "No agreement that this number of variants can tell from chance"
    size = abs(tau.value)
    word = "close" if size >= 0.7 else "moderate" if size >= 0.4 else "weak"
    return f"{word.capitalize()} agreement" if tau.value > 0 else f"{word.capitalize()} agreement in the opposite sense"


def _most(first: float | None, second: float | None) -> float | None:
    if first is None or second is None or first * second <= 0:
        return None
    return 2 / pi * asin(min(1.0, sqrt(first * second)))


def interval(rankings: Rankings, key: str) -> Estimate | None:
    """The mean tau-b of pairs of rankings of the same variants; None where a ranking is one tie."""
    size = len(rankings[0][0])
    if any(len(np.unique(side)) < 2 for pair in rankings for side in pair):
        return None
    if size > DENSE:
        return _grouped(rankings, key)
    weights = generator("agreement", key).multinomial(size, np.full(size, 1 / size), DRAWS).T.astype(float)
    weights = np.hstack([np.ones((size, 1)), weights])
    taus = np.mean([_weighted(*pair, weights) for pair in rankings], axis=0)
    drawn = taus[1:][np.isfinite(taus[1:])]
    if not isfinite(taus[0]) or not len(drawn):
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return estimate(taus[0], low, high, size)


def _weighted(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """tau-b of variants that count so many times, for each column of weights [variants, draws]."""

    def form(signs: np.ndarray) -> np.ndarray:
        return (weights * (signs @ weights)).sum(axis=0)

    a, b = (np.sign(_ranks(x)[:, None] - _ranks(x)[None, :]) for x in (first, second))
    below = np.sqrt(form(np.abs(a)) * form(np.abs(b)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return form(a * b) / below


def _ranks(values: np.ndarray) -> np.ndarray:
    """Places of values, which may be infinite."""
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(float)


def _grouped(rankings: Rankings, key: str) -> Estimate:
    from scipy.stats import kendalltau, t

    size = len(rankings[0][0])
    group = generator("groups", key).permutation(size) % GROUPS

    def mean(kept: np.ndarray) -> float:
        return sum(float(kendalltau(_ranks(a[kept]), _ranks(b[kept]))[0]) for a, b in rankings) / len(rankings)  # type: ignore[arg-type]

    whole = mean(np.ones(size, bool))
    without = np.array([mean(group != g) for g in range(GROUPS)])
    error = sqrt((GROUPS - 1) / GROUPS * float(((without - without.mean()) ** 2).sum()))
    width = float(t.ppf(0.975, GROUPS - 1)) * error
    return estimate(whole, max(-1.0, whole - width), min(1.0, whole + width), size)
