"""Where a sweep stands, read from its store alone, in a moment at any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from anatomy.sweep.config import Config
from anatomy.sweep.store import Store
from anatomy.sweep.task import label


@dataclass(frozen=True)
class Rung:
    """The jobs of a stage, or of a task with a budget, by state; CPU-seconds of a job so far, None where none was measured."""

    name: str
    budget: int
    states: Mapping[str, int]
    seconds: float | None

    @property
    def words(self) -> str:
        steps = f", {self.budget:,} steps" if self.budget else ""
        mean = f"; {self.seconds:.2g} CPU-seconds a job" if self.seconds is not None else ""
        return f"{self.name}{steps}: {', '.join(f'{n} {state}' for state, n in self.states.items())}{mean}"


@dataclass(frozen=True)
class Status:
    """Where a sweep stands. `complete` when no job is pending; failures, rejections and prunings are ends too."""

    folder: str
    space: str
    variants: int
    done: int
    failed: int
    rejected: int
    pruned: int
    pending: int
    failures: dict[str, int]
    best: str
    """The member with the highest mean score on the first task with its full budget, and that score; no claim that others are worse."""
    score: float | None
    report: str
    rungs: tuple[Rung, ...] = ()
    cpu_seconds: float = 0.0
    """Of all jobs that have ended."""
    cpu_seconds_left: float | None = None
    """Of pending jobs at most, where jobs like them have been measured; None where some have not."""
    warnings: tuple[str, ...] = ()
    """What the last run had to mend or leave out."""
    stopped: str = ""
    """Why the last run ended before it was complete, where it was asked to."""

    @property
    def complete(self) -> bool:
        return self.pending == 0

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "complete": self.complete}

    def as_text(self) -> str:
        classes = ", ".join(f"{n} {name}" for name, n in self.failures.items())
        best = f"; highest mean score {self.best} {self.score:.3f}" if self.score is not None else ""
        pruned = f"{self.pruned} pruned, " if self.pruned else ""
        words = f"{self.done} jobs done, {self.failed} failed{f' ({classes})' if classes else ''}, {self.rejected} rejected, {pruned}{self.pending} pending"
        left = f"; at most {self.cpu_seconds_left:.0f} left" if self.pending and self.cpu_seconds_left is not None else ""
        lines = [f"{self.space}: {self.variants} variants; {words}{best}", *(f"  {rung.words}" for rung in self.rungs)]
        lines += [f"  {self.cpu_seconds:.0f} CPU-seconds so far{left}"] if self.rungs else []
        return "\n".join([*lines, *([self.stopped] if self.stopped else [])])


def read(store: Store, config: Config, folder: str, report: str, warnings: tuple[str, ...] = (), stopped: str = "") -> Status:
    """The status from an open store."""
    tally = store.tally()
    classes = dict(store.db.execute("select class, count(*) from jobs where state = 'failed' group by class order by class"))
    (variants,) = store.db.execute("select count(*) from variants").fetchone()
    states: dict[tuple[str, str, int], dict[str, int]] = {}
    for stage, task, budget, state, count in store.db.execute(
        "select stage, task, budget, state, count(*) from jobs group by stage, task, budget, state order by min(number), budget, state"
    ):
        states.setdefault((stage, task, budget), {})[state] = count
    seconds = {
        tuple(row): mean
        for *row, mean in store.db.execute(
            "select j.stage, j.task, j.budget, avg(t.seconds) from jobs j join timings t on t.key = j.key "
            "where j.state = 'done' group by j.stage, j.task, j.budget"
        )
    }
    (spent,) = store.db.execute("select coalesce(sum(t.seconds), 0) from timings t where t.key in (select key from jobs)").fetchone()
    rungs = tuple(Rung(label(task) or stage, budget, found, seconds.get((stage, task, budget))) for (stage, task, budget), found in states.items())
    waiting = [(rung.states.get("pending", 0), rung.seconds) for rung in rungs if rung.states.get("pending")]
    left = None if any(mean is None for _, mean in waiting) else sum(n * mean for n, mean in waiting if mean is not None)
    best = ("", None)
    if config.tasks:
        best = store.db.execute(
            "select v.name, avg(json_extract(r.result, '$.score')) as score from variants v join jobs j on j.place = v.place "
            "join results r on r.key = j.key where v.role = 'member' and j.stage = 'train' and j.state = 'done' and j.task = ? "
            "and j.budget = (select max(budget) from jobs where task = ?) group by v.place order by score desc, v.place limit 1",
            (config.tasks[0], config.tasks[0]),
        ).fetchone() or best
    done, failed, rejected, pruned, pending = (tally.get(s, 0) for s in ("done", "failed", "rejected", "pruned", "pending"))
    return Status(
        folder, config.space, variants, done, failed, rejected, pruned, pending, classes, best[0], best[1], report,
        rungs, round(spent, 3), None if left is None else round(left, 1), warnings, stopped,
    )  # fmt: skip
