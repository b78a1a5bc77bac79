"""The results of the study: written from a sweep's folder, read as the statistics take them, and judged by them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from anatomy.sweep.config import Config
from anatomy.sweep.findings import Findings, TaskFindings
from anatomy.sweep.results import Entry, Failure, Results, Run, TaskFacts, results
from anatomy.sweep.statistics import findings

HERE = Path(__file__).parent
SAVED = HERE / "results.json"
TASKS = ("recall", "characters")
ALIKE: dict[str, tuple[int, ...]] = {
    "the mean of past values": (2, 6, 9, 13),
    "a learned constant": (1, 3, 5, 8, 10, 12),
    "normalised running sums": (58, 61),
}
"""Members that are one function, by `anatomy space funnel study.anat::study` (levels L2, L3a and L3b)."""

LEARNT = 0.5
"""Share of right answers above which recall is called learnt: scores lie near 1/16 or near 1, and few between."""


def save(folder: Path) -> None:
    """Write what `anatomy.sweep.results` reads of a finished sweep, without the texts of the diagrams, one variant a line."""
    from anatomy.sweep import config
    from anatomy.sweep.api import opened

    store = opened(folder)
    try:
        told = results(store, config.read(folder))
    finally:
        store.close()
    data = asdict(replace(told, config=None))  # type: ignore[arg-type]
    data["config"] = {
        **told.config.model_dump(mode="json"),
        "path": "examples/study_recombination/study.anat",
        "text": "",
        "cache": "",
    }
    entries = [
        json.dumps({k: v for k, v in e.items() if k != "text"}, separators=(",", ":")) for e in data.pop("entries")
    ]
    head = json.dumps(data, indent=1)
    lines = ",\n".join(entries)
    SAVED.write_text(f'{head[:-2]},\n "entries": [\n{lines}\n]\n}}\n', "utf-8")


@cache
def load() -> Results:
    """The saved results, as the statistics take them."""
    data = json.loads(SAVED.read_text("utf-8"))
    tasks = tuple(TaskFacts(**{**t, "budgets": tuple(t["budgets"])}) for t in data.pop("tasks"))
    entries = tuple(_entry(e) for e in data.pop("entries"))
    return Results(config=Config.model_validate(data.pop("config")), tasks=tasks, entries=entries, **data)


def _entry(told: dict[str, Any]) -> Entry:
    runs = tuple(Run(**{**r, "curve": tuple(tuple(p) for p in r["curve"])}) for r in told.pop("runs"))
    failures = tuple(Failure(**f) for f in told.pop("failures"))
    aliases = tuple((index, why) for index, why in told.pop("aliases"))
    return Entry(**told, runs=runs, failures=failures, aliases=aliases, text="")


@cache
def found() -> Findings:
    return findings(load())


def task(name: str) -> TaskFacts:
    return next(t for t in load().tasks if t.label.startswith(name))


def told(name: str) -> TaskFindings:
    return next(t for t in found().tasks if t.task.startswith(name))


def member(rank: int) -> Entry:
    return next(e for e in load().members if e.rank == rank)


def part(space: str) -> list[Entry]:
    return [e for e in load().members if e.choices.get("space") == space]


PARTS = ("score", "normaliser", "position", "gate")


@cache
def crossed() -> Findings:
    """The statistics of the crossed design alone, with the controls."""
    whole = load()
    return findings(
        replace(
            whole,
            entries=tuple(e for e in whole.entries if e.role == "control" or e.choices.get("space") == "recombined"),
        )
    )


@cache
def judged(name: str) -> tuple[str, TaskFindings]:
    """The crossed design alone where its controls support a ranking, else the whole sweep; and which of the two, in words."""
    alone = next(t for t in crossed().tasks if t.task.startswith(name))
    which, mine = ("the 32", alone) if alone.supported else ("all 66", told(name))
    effects = tuple(e for e in mine.effects if e.hole in PARTS)
    pairs = tuple(i for i in mine.interactions if set(i.holes) <= set(PARTS))
    return which, replace(mine, effects=effects, interactions=pairs)
