"""One line of progress on standard error, only on a terminal; failures stand above it as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anatomy.errors.printer import printable
from anatomy.sweep.engine import Event, predicted
from anatomy.sweep.task import label


class Quiet:
    """No terminal, no words."""

    def scanning(self, done: int, total: int) -> None: ...

    def working(self, tally: Mapping[str, int], event: Event | None, left: float) -> None: ...


class Line(Quiet):
    """Counts, rate, the time that is left, the best score so far.

    The time left is what the forecast says of pending jobs, at the speed at which forecast work was done so far.
    """

    def __init__(self, bar: Any, clock: Callable[[], float] = time.monotonic):
        self.bar, self.clock = bar, clock
        self.scan = self.work = None
        self.begun, self.ended, self.done = clock(), 0, 0.0
        self.best: dict[str, tuple[float, int, str]] = {}

    def scanning(self, done: int, total: int) -> None:
        if self.scan is None:
            self.scan = self.bar.add_task("comparing members", total=total, words="")
        self.bar.update(self.scan, completed=done, total=total, visible=done < total)

    def working(self, tally: Mapping[str, int], event: Event | None, left: float) -> None:
        if self.work is None:
            self.work = self.bar.add_task("sweeping", total=1, words="")
            self.begun = self.clock()
        if event is not None:
            self.heard(event)
        over = sum(n for state, n in tally.items() if state != "pending")
        counts = [f"{tally.get(state, 0)} {state}" for state in ("done", "failed", "rejected", "pruned") if state == "done" or tally.get(state)]
        words = ", ".join([*counts, *self.speed(left), *self.leaders()])
        self.bar.update(self.work, completed=over, total=over + tally.get("pending", 0), words=words)

    def heard(self, event: Event) -> None:
        job, record = event.job, event.record
        if not event.known:
            self.ended += 1
            trained = job.stage == "train"
            self.done += predicted(job.task if trained else job.stage, job.budget, trained)
        if record["state"] == "failed":
            what = f"{label(job.task)} seed {job.seed}" if job.task else job.stage
            last = (record["traceback"].strip().splitlines() or [""])[-1]
            self.bar.console.print(f"{event.name}, {what}: {record['class']}: {printable(last)}", markup=False, highlight=False)
        elif job.stage == "train":
            mine = (job.budget, record["result"]["score"])
            before = self.best.get(job.task)
            if before is None or mine > (before[1], before[0]):
                self.best[job.task] = (mine[1], mine[0], event.name)

    def speed(self, left: float) -> list[str]:
        elapsed = self.clock() - self.begun
        if not self.ended or elapsed <= 0:
            return []
        return [f"{60 * self.ended / elapsed:.0f} jobs/min", *([f"about {span(left * elapsed / self.done)} left"] if self.done and left else [])]

    def leaders(self) -> list[str]:
        """The best score of each task, at the highest budget that anybody has come to."""
        return [f"best {label(task)} {score:.3f} ({name})" for task, (score, _, name) in self.best.items()]


def span(seconds: float) -> str:
    """A time in two words at most.

    >>> span(42), span(150), span(7300)
    ('42 s', '2 min', '2 h 2 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = int(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def progress(wanted: bool | None) -> Iterator[Quiet]:
    """A progress line where it is wanted; by default where standard error is a terminal."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield Quiet()
        return
    from rich import progress as parts
    from rich.console import Console

    columns = (
        parts.TextColumn("{task.description}"), parts.BarColumn(bar_width=20), parts.MofNCompleteColumn(), parts.TimeElapsedColumn(),
        parts.TextColumn("{task.fields[words]}", markup=False),
    )  # fmt: skip
    with parts.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Line(bar)
