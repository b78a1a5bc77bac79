"""All findings of one task, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from anatomy.sweep.findings import Estimate, TaskFindings
from anatomy.sweep.results import Results, TaskFacts
from anatomy.sweep.statistics.cautions import cautions, steps
from anatomy.sweep.statistics.controls import verdict
from anatomy.sweep.statistics.design import Choices, design
from anatomy.sweep.statistics.effects import Effects, effects
from anatomy.sweep.statistics.groups import grouped
from anatomy.sweep.statistics.multiplicity import sidak
from anatomy.sweep.statistics.power import detectable, flattery, found_mostly
from anatomy.sweep.statistics.sample import Sample, digits, estimate, sample
from anatomy.sweep.statistics.spread import Spread, spread

Aliases = Mapping[int, Choices]
"""Choices of members that are the same as others, by rank."""


def task_findings(results: Results, task: TaskFacts, aliases: Aliases) -> TaskFindings:
    """What the scores of a task support."""
    if not task.budgets:
        return TaskFindings(task.label, {}, None, 0, None, False, "Nothing was trained on this task.", (), (), (), ())
    seen = sample(results.entries, task, task.budgets[-1])
    told = spread(seen)
    read = verdict(seen, told)
    scores = intervals(seen, told)
    warnings = [*read.warnings, *cautions(results, seen, told)]
    sigma = None if told.sigma is None else digits(told.sigma)
    size, seeds = len(seen.entries), float(np.median(seen.counts)) if len(seen.counts) else 1.0
    least = None if told.sigma is None else digits(detectable(size, told.sigma, told.freedom, seeds))
    if not read.supported or told.sigma is None or least is None:
        return TaskFindings(task.label, scores, sigma, told.freedom, least, False, read.words, (), (), (), tuple(warnings), solved=steps(seen))
    groups, letters = grouped(seen.names, seen.means, seen.counts, told)
    if len(groups[0]) > 2:
        gain = flattery(len(groups[0]), told.sigma / np.sqrt(seeds))
        warnings.append(f"The best score is flattered by chance, by about {gain:.3f} if the {len(groups[0])} variants of its group are alike; train it again with new seeds before believing it.")
    found, budget, more = _effects(results, task, seen, told, aliases)
    mostly = found_mostly(size, told.sigma, told.freedom, seeds)
    about = "about " if told.warnings else ""
    each = "one seed" if seeds == 1 else f"{seeds:g} seeds"
    words = (
        f"{read.words} Of {size} variants with {each} each, two can be told apart when they differ by more than {about}{least:.3f}; a true difference of {mostly:.3f} "
        f"is found four times in five."
    )
    return TaskFindings(
        task.label, scores, sigma, told.freedom, least, True, words, groups, found.main, found.pairs, (*warnings, *more, *found.warnings, *found.confounded),
        letters, steps(seen), budget, found.additive, found.confounded,
    )  # fmt: skip


def intervals(seen: Sample, told: Spread) -> dict[str, Estimate]:
    """The mean of each variant with its own interval of 95 percent, mean +- t s / sqrt(n), within 0 and 1.

    These are intervals one at a time: that two of them overlap does not say whether the two variants can be told apart, which the groups do.
    """
    found = {}
    errors = told.errors(seen.counts) if told.known else np.zeros(len(seen.counts))
    for k, name in enumerate(seen.names):
        mean, count = float(seen.means[k]), int(seen.counts[k])
        if not told.known:
            found[name] = estimate(mean, count=count)
            continue
        width = sidak(1, int(told.freedoms[k])) * float(errors[k])
        found[name] = estimate(mean, max(min(0.0, mean), mean - width), min(max(1.0, mean), mean + width), count)
    return found


def _effects(results: Results, task: TaskFacts, seen: Sample, told: Spread, aliases: Aliases) -> tuple[Effects, int, list[str]]:
    """Effects on the full budget, or on the lowest rung where members were pruned."""
    halved = any(r.state == "pruned" for e in results.members for r in e.runs if r.task == task.label)
    budget = task.budgets[0] if halved else task.budgets[-1]
    more: list[str] = []
    if halved and budget != task.budgets[-1]:
        seen = sample(results.entries, task, budget)
        told = spread(seen)
        if not told.known:
            return Effects(), budget, ["Nothing measures the spread of seeds on the lowest rung, so that no effect is given."]
        more.append(f"Effects are those at {budget} steps, the lowest rung; the order may be another at {task.budgets[-1]}.")
    at = [k for k, e in enumerate(seen.entries) if e.role == "member" and e.choices]
    if len(at) < 3:
        return Effects(), budget, more
    made = design([combined(seen.entries[k].choices, [i for i, _ in seen.entries[k].aliases], aliases) for k in at])
    errors = told.errors(seen.counts)[at] ** 2
    return effects(made, seen.means[at], errors, told.together(at), task.label), budget, more


def combined(own: Choices, same: Sequence[int], aliases: Aliases) -> list[Choices]:
    """The combinations of choices that a variant stands for."""
    return [own, *(aliases[i] for i in same if i in aliases)]
