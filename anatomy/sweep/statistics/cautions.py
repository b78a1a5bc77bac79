"""Warnings in plain words: what the runs of a task, as they came out, cannot support.

Scores are missing at random only where failures and rejections do not go with an option: of every option the number of members without a score is
held against the rest (Fisher's exact test, Bonferroni over options).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from anatomy.sweep.findings import Estimate
from anatomy.sweep.results import Entry, Results, Run, TaskFacts
from anatomy.sweep.statistics.multiplicity import LEVEL
from anatomy.sweep.statistics.power import more
from anatomy.sweep.statistics.sample import Sample, estimate
from anatomy.sweep.statistics.spread import Spread

OFTEN = 0.25
"""Share of the runs at an end of the learning rates above which it is told."""
CEILING = 0.99
"""Share of right answers above which scores order nothing, also where training does not stop there."""
CROWDED = 0.25
"""Share of the members at ceiling and floor above which interactions are doubted."""

def cautions(results: Results, seen: Sample, told: Spread) -> tuple[str, ...]:
    """All warnings about a task, the most far-reaching first."""
    members = [e for e in seen.entries if e.role == "member"]
    runs = [r for e in members for r in e.at(seen.task, seen.budget)]
    found = [*_few(seen, told, members), *told.warnings, *_ends(seen, members, runs), *_missing(results.members, seen.task)]
    diverged = sum(r.diverged for r in runs)
    if diverged:
        found.append(f"{diverged} of {len(runs)} trainings diverged with every learning rate; their scores are what was left of them.")
    for end, way in (("least", "lower"), ("greatest", "higher")):
        count = sum(r.edge == end for r in runs)
        if runs and count > OFTEN * len(runs):
            found.append(f"{count} of {len(runs)} trainings did best with the {end} learning rate that was tried: a {way} one might change their places.")
    return tuple(found)


def _few(seen: Sample, told: Spread, members: Sequence[Entry]) -> list[str]:
    """Too few seeds, and what more of them would buy."""
    found = []
    counts = [int(n) for e, n in zip(seen.entries, seen.counts, strict=True) if e.role == "member"]
    if members and max(counts) == 1:
        buy = ""
        if told.sigma is not None:
            steps = " and ".join(f"{n} seeds about {d:.3f}" for n, d in more(len(seen.entries), told.sigma, 1))
            buy = f" If the spread is as measured, all variants with {steps} could be told apart (`--seeds`)."
        found.append(f"Every member has one seed: the spread of seeds is known from controls alone, and all intervals are wide for it.{buy}")
    if told.sigma is not None and told.freedom < 5 and members and max(counts) > 1:
        found.append(f"The spread between seeds rests on {told.freedom} degree{'s' if told.freedom > 1 else ''} of freedom: it may well be half or twice as large.")
    if len(seen.entries) > 100:
        pairs = len(seen.entries) * (len(seen.entries) - 1) // 2
        found.append(f"{pairs:,} pairs of variants are compared, so that a difference must be large to count; a sweep of the best alone, with new seeds, could tell them apart.")
    return found


def _ends(seen: Sample, members: Sequence[Entry], runs: Sequence[Run]) -> list[str]:
    """Variants at the ceiling and at the floor, which scores cannot order."""
    found = []
    solved = sum(_solved(e, seen) for e in members)
    if solved:
        found.append(f"{solved} of {len(members)} members solve the task with every seed: they are at the ceiling, where training stops early, and their scores do not order them. The steps that they needed may.")
    top = 0 if seen.task.likely else sum(
        min(scores) >= CEILING and not _solved(e, seen) for scores, e in zip(seen.scores, seen.entries, strict=True) if e.role == "member"
    )
    if top:
        found.append(f"{top} of {len(members)} members score {CEILING} or more with every seed: they are at the ceiling, and their scores do not order them.")
        solved += top
    control = seen.place("no_mixing")
    if control is not None and members:
        floor = float(seen.means[control])
        low = sum(m <= floor for m, e in zip(seen.means, seen.entries, strict=True) if e.role == "member")
        if low:
            found.append(f"{low} of {len(members)} members score no better than no mixing: they are at the floor, and their scores do not order them.")
        if solved + low > CROWDED * len(members):
            found.append("So many variants at an end of the scale make interactions of themselves: what can rise or fall no further shows less of every effect.")
    return found


def _solved(entry: Entry, seen: Sample) -> bool:
    own = entry.at(seen.task, seen.budget)
    return bool(own) and all(r.solved for r in own)


def steps(seen: Sample) -> dict[str, Estimate]:
    """Steps until solved, of those at the ceiling with every seed: mean and range over seeds."""
    found = {}
    for entry in seen.entries:
        own = [r.steps for r in entry.at(seen.task, seen.budget) if r.steps is not None]
        if own and _solved(entry, seen):
            several = len(own) > 1
            found[entry.name] = estimate(sum(own) / len(own), min(own) if several else None, max(own) if several else None, len(own))
    return found


def _missing(members: Sequence[Entry], task: TaskFacts) -> list[str]:
    """Members without a score at the full budget, why, and whether that goes with an option."""
    if not task.budgets:
        return []
    found, states, without = [], Counter[str](), []
    pending = 0
    for entry in members:
        own = [r for r in entry.runs if r.task == task.label]
        if any(r.state == "done" and r.budget == task.budgets[-1] for r in own):
            continue
        states_here = {r.state for r in own}
        state = next((s for s in ("failed", "rejected", "pruned", "pending") if s in states_here), "rejected" if entry.check.get("reason") else "pending")
        reasons = sorted({r.reason for r in own if r.state == state and r.reason})
        if state == "pending":
            pending += 1
        elif state != "pruned":
            without.append(entry)
            states[f"{state}{f' ({reasons[0]})' if reasons else ''}"] += 1
        else:
            states["pruned"] += 1
    pruned = states.pop("pruned", 0)
    if pending:
        found.append(f"{pending} members are not trained to the end yet: everything here is preliminary.")
    if pruned:
        found.append(f"{pruned} members were pruned on the way. Those that are left were chosen by their scores, so effects are read on the lowest rung, where all took part.")
    if without:
        why = ", ".join(f"{n} {cause}" for cause, n in sorted(states.items(), key=lambda item: (-item[1], item[0])))
        found.append(f"{len(without)} of {len(members)} members have no score here: {why}. No group and no effect knows of them.{_bound_up(members, without)}")
    return found


def _bound_up(members: Sequence[Entry], without: Sequence[Entry]) -> str:
    """The option that goes most with missing scores, where chance does not explain it."""
    from scipy.stats import hypergeom

    lost = {e.place for e in without}
    options = sorted({(h, o) for e in members for h, o in e.choices.items()})
    worst: tuple[float, str, str, int, int] | None = None
    for hole, option in options:
        having = [e for e in members if e.choices.get(hole) == option]
        gone = sum(e.place in lost for e in having)
        p = float(hypergeom.sf(gone - 1, len(members), len(lost), len(having)))
        if worst is None or p < worst[0]:
            worst = (p, hole, option, gone, len(having))
    if worst is None or worst[0] * len(options) >= LEVEL:
        return ""
    _, hole, option, gone, having = worst
    return f" They are not missing at random: {gone} of the {having} with `{option}` of `{hole}` are among them, so that this option is judged by the rest."
