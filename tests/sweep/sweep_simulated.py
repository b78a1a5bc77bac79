"""Sweeps with known effects, made by hand: the truth against which the statistics are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from anatomy.sweep.config import Config
from anatomy.sweep.results import Entry, Results, Run, TaskFacts

TASK = TaskFacts("t", "t", chance=0.0, likely=True, budgets=(100,))


def config(**given: object) -> Config:
    return Config.model_validate(
        {"target": "s.anat", "path": "s.anat", "text": "", "space": "s", "digest": "", "tasks": ("t",), "cache": ".", **given}
    )


def entry(
    name: str, scores: Mapping[str, Sequence[float]] | Sequence[float], choices: Mapping[str, str] | None = None, place: int = 0,
    tasks: Sequence[TaskFacts] = (TASK,), **more: object,
) -> Entry:  # fmt: skip
    """An entry with done runs at the full budget; scores of one task, or of several by label."""
    by_task = scores if isinstance(scores, Mapping) else {tasks[0].label: scores}
    runs = tuple(
        Run(t.label, t.budgets[-1], seed, f"{name}/{t.label}/{seed}", "done", score=float(x), loss=0.0, trials=500, steps=100)
        for t in tasks
        for seed, x in enumerate(by_task.get(t.label, ()))
    )
    known: dict[str, object] = {"aliases": (), "text": "", "state": "done", "runs": runs, **more}
    role = "control" if choices is None else "member"
    return Entry(place, name, role, None if choices is None else place, f"d{place}", choices or {}, **known)  # type: ignore[arg-type]


def sweep(entries: Sequence[Entry], tasks: Sequence[TaskFacts] = (TASK,), **given: object) -> Results:
    return Results(config(tasks=tuple(t.spec for t in tasks), **given), tuple(tasks), tuple(entries), {}, {}, {})


def factorial(sizes: Mapping[str, int]) -> list[dict[str, str]]:
    """All combinations: hole h has the options h0, h1 and so on."""
    return [dict(zip(sizes, (f"{h}{k}" for h, k in zip(sizes, at, strict=True)), strict=True)) for at in product(*map(range, sizes.values()))]


def simulated(
    combinations: Sequence[Mapping[str, str]], truth: Sequence[float], sigma: float, seeds: int, random: np.random.Generator,
    controls: tuple[float, float] = (0.6, 0.0),
) -> Results:  # fmt: skip
    """Normal scores about the truth; baseline and no mixing about theirs."""

    def drawn(mean: float) -> list[float]:
        return (mean + sigma * random.normal(size=seeds)).tolist()

    made = [entry("baseline", drawn(controls[0])), entry("no_mixing", drawn(controls[1]), place=1)]
    made += [entry(f"s_{k}", drawn(mean), choices, place=k + 2) for k, (choices, mean) in enumerate(zip(combinations, truth, strict=True))]
    return sweep(made)
