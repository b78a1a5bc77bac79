"""One line of progress on standard error, only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anatomy.sweep.evaluate import Record


class Quiet:
    """No terminal, no words."""

    def scanning(self, done: int, total: int) -> None: ...

    def working(self, tally: dict[str, int], record: Record | None) -> None: ...


class Line(Quiet):
    """Counts, rate by rich, the best score so far."""

    def __init__(self, bar: Any):
        self.bar = bar
        self.scan = self.work = None
        self.best = 0.0

    def scanning(self, done: int, total: int) -> None:
        if self.scan is None:
            self.scan = self.bar.add_task("comparing members", total=total, words="")
        self.bar.update(self.scan, completed=done, total=total, visible=done < total)

    def working(self, tally: dict[str, int], record: Record | None) -> None:
        if self.work is None:
            self.work = self.bar.add_task("sweeping", total=1, words="")
        if record is not None and record["state"] == "done":
            self.best = max(self.best, record["result"].get("score", 0.0))
        ended = sum(n for state, n in tally.items() if state != "pending")
        words = f"{tally.get('failed', 0)} failed, {tally.get('rejected', 0)} rejected, best {self.best:.3f}"
        self.bar.update(self.work, completed=ended, total=ended + tally.get("pending", 0), words=words)


@contextmanager
def progress(wanted: bool | None) -> Iterator[Quiet]:
    """A progress line where it is wanted; by default where standard error is a terminal."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield Quiet()
        return
    from rich import progress as parts
    from rich.console import Console

    columns = (
        parts.TextColumn("{task.description}"), parts.BarColumn(), parts.MofNCompleteColumn(), parts.TimeElapsedColumn(),
        parts.TimeRemainingColumn(), parts.TextColumn("{task.fields[words]}"),
    )  # fmt: skip
    with parts.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Line(bar)
