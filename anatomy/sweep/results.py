"""What a sweep found, read from its store: one value for the table, the statistics and the report.

Nothing in it depends on when or where a job ran, but for `seconds`, the cost by stage, which no table shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anatomy.errors import AnatomyError
from anatomy.sweep.config import Config
from anatomy.sweep.task import label, load_task

if TYPE_CHECKING:
    from anatomy.sweep.store import Store


@dataclass(frozen=True)
class TaskFacts:
    """A task of the sweep. `budgets` are the steps of its rungs, least first; the last is the full one."""

    label: str
    spec: str
    family: str = ""
    chance: float | None = None
    smooth: bool = False
    likely: bool = False
    """Whether the score is exp(-loss) and not the share of right answers."""
    budgets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training: a variant on a task, with a budget and a seed. `state`: done, failed, rejected, pruned, pending."""

    task: str
    budget: int
    seed: int
    key: str
    state: str
    reason: str = ""
    """Failure class, or why it was rejected or pruned."""
    score: float | None = None
    loss: float | None = None
    trials: int | None = None
    steps: int | None = None
    diverged: bool = False
    solved: bool = False
    rate: float | None = None
    parameters: int | None = None
    curve: tuple[tuple[float, ...], ...] = ()
    """Rows (step, score, loss) on the stream by which the rate is chosen; the last row is the report."""
    edge: str = ""
    """`least` or `greatest` where the chosen learning rate is the end of those that were tried."""


@dataclass(frozen=True)
class Failure:
    job: str
    state: str
    cause: str
    traceback: str = ""


@dataclass(frozen=True)
class Entry:
    """A variant with all that is known of it."""

    place: int
    name: str
    role: str
    """`member` or `control`."""
    rank: int | None
    digest: str
    choices: Mapping[str, str]
    """Option of each hole; empty for controls."""
    aliases: tuple[tuple[int, str], ...]
    """Members that are the same, with the reason."""
    text: str
    state: str
    """The worst state of its jobs: pending, failed, rejected, pruned, done."""
    check: Mapping[str, Any] = field(default_factory=dict)
    """reason, causal, leak, finite, alive, scale, parameters (of one mixing layer)."""
    initialisation: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """verdict, domain, norm, upper, lower, ratio, method, responsible; numbers that are not finite are text."""
    runs: tuple[Run, ...] = ()
    failures: tuple[Failure, ...] = ()
    same_as: str = ""
    """Of a member, the control that is the same, with the reason."""

    def at(self, task: TaskFacts, budget: int | None = None) -> tuple[Run, ...]:
        """The finished runs on a task with the full budget, or with this one, by seed."""
        wanted = budget if budget is not None else task.budgets[-1]
        return tuple(r for r in self.runs if r.task == task.label and r.budget == wanted and r.state == "done")

    def scores(self, task: TaskFacts, budget: int | None = None) -> tuple[float, ...]:
        return tuple(r.score for r in self.at(task, budget) if r.score is not None)

    def score(self, task: TaskFacts, budget: int | None = None) -> float | None:
        """The mean over seeds, or None where nothing has been trained to the end."""
        found = self.scores(task, budget)
        return sum(found) / len(found) if found else None


@dataclass(frozen=True)
class Results:
    """A whole sweep: controls first, then members by rank."""

    config: Config
    tasks: tuple[TaskFacts, ...]
    entries: tuple[Entry, ...]
    tally: Mapping[str, int]
    """Jobs by state."""
    counts: Mapping[str, int | None]
    """The funnel: derivations, typed, canonical and so on, None where not scanned."""
    seconds: Mapping[str, float]
    """CPU-seconds by stage."""
    evaluator: str = ""
    warnings: tuple[str, ...] = ()
    """What the last run met on its way: damaged lines, a cache that could not be written."""

    @cached_property
    def holes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(h for e in self.entries for h in e.choices))

    @property
    def members(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.role == "member")

    def control(self, name: str) -> Entry | None:
        return next((e for e in self.entries if e.role == "control" and e.name == name), None)


STATES = ("pending", "failed", "rejected", "pruned", "done")


def results(store: Store, config: Config) -> Results:
    """Read everything of a sweep."""
    jobs: dict[int, list[tuple[Any, ...]]] = {}
    for row in store.db.execute(
        "select j.place, j.stage, j.task, j.budget, j.seed, j.key, j.state, j.class, r.result, f.traceback "
        "from jobs j left join results r on r.key = j.key left join failures f on f.key = j.key order by j.place, j.number"
    ):
        jobs.setdefault(row[0], []).append(row[1:])
    notes = store.notes()
    same = json.loads(notes.get("same_as", "{}"))
    entries = [
        _entry(row, jobs.get(row[0], []), same.get(str(row[0]), ""))
        for row in store.db.execute("select place, name, role, rank, digest, choices, aliases, text from variants order by place")
    ]
    seconds = dict(
        store.db.execute(
            "select j.stage, coalesce(sum(t.seconds), 0) from timings t join (select distinct key, stage from jobs) j on j.key = t.key "
            "group by j.stage order by j.stage"
        )
    )
    tasks = tuple(_task(spec, store) for spec in config.tasks)
    return Results(config, tasks, tuple(entries), store.tally(), json.loads(notes.get("counts", "{}")), seconds, notes.get("evaluator", ""), tuple(json.loads(notes.get("warnings", "[]"))))


def _task(spec: str, store: Store) -> TaskFacts:
    budgets = tuple(b for (b,) in store.db.execute("select distinct budget from jobs where stage = 'train' and task = ? order by budget", (spec,)))
    known = ("family", "chance", "smooth", "likely")
    try:
        task = load_task(spec)
    except AnatomyError:  # the text of a task lies elsewhere, or no longer; the results stand
        task, known = load_task(label(spec)), ("family", "smooth", "likely")
    told = {name: getattr(task, name) for name in known if hasattr(task, name)}
    return TaskFacts(label(spec), spec, **told, budgets=budgets)


def job_words(stage: str, task: str, budget: int, seed: int) -> str:
    """A job by its stage, its task with the steps, and its seed.

    >>> job_words("train", "characters:text=/home/me/notes.txt", 600, 1)
    'train characters 600 steps seed 1'
    """
    return " ".join(filter(None, (stage, label(task), f"{budget} steps" if budget else "", f"seed {seed}")))


def _entry(row: tuple[Any, ...], jobs: list[tuple[Any, ...]], same_as: str) -> Entry:
    place, name, role, rank, digest, choices, aliases, text = row
    found = {stage: json.loads(result) for stage, _, _, _, _, state, _, result, _ in jobs if stage != "train" and state == "done" and result}
    runs = tuple(_run(job) for job in jobs if job[0] == "train")
    failures = tuple(
        Failure(job_words(stage, task, budget, seed), state, cause, (why or "") if state == "failed" else "")
        for stage, task, budget, seed, _, state, cause, _, why in jobs
        if state in ("failed", "rejected")
    )
    states = {job[5] for job in jobs}
    state = next((s for s in STATES if s in states), "done")
    same = tuple((index, why) for index, why in json.loads(aliases))
    return Entry(
        place, name, role, rank, digest, json.loads(choices), same, text, state,
        found.get("check", {}), found.get("initialisation", {}), found.get("regularity", {}), runs, failures, same_as,
    )  # fmt: skip


def _run(job: tuple[Any, ...]) -> Run:
    _, task, budget, seed, key, state, cause, result, _ = job
    told = json.loads(result) if state == "done" and result else {}
    kept = {k: told[k] for k in ("score", "loss", "trials", "steps", "rate", "parameters") if k in told}
    curve = tuple(tuple(point) for point in told.get("curve", ()))
    rates = [rate for rate, *_ in told.get("rates", ())]
    ends = {min(rates): "least", max(rates): "greatest"} if len(rates) > 1 else {}
    return Run(label(task), budget, seed, key, state, cause, **kept, diverged=bool(told.get("diverged")), solved=bool(told.get("solved")), curve=curve, edge=ends.get(told.get("rate"), ""))
