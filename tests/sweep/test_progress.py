"""The line of progress: counts, failures as they come, a rate and the time left by the forecast."""

from typing import Any

from anatomy.sweep.engine import Event, predicted
from anatomy.sweep.job import Job
from anatomy.sweep.progress import Line


class Bar:
    """What the line does with rich."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}
        self.printed: list[str] = []
        self.console = self

    def add_task(self, name: str, **_: object) -> int:
        return 0

    def update(self, task: int, **shown: object) -> None:
        self.shown = shown

    def print(self, words: str, **_: object) -> None:
        self.printed.append(words)


def trained(seed: int, score: float | None) -> Event:
    job = Job("k", "train", "v", "recall", 100, seed, ())
    done = {"key": "k", "state": "done", "result": {"score": score}}
    failed = {"key": "k", "state": "failed", "class": "error", "traceback": "Traceback ...\n  in f\nValueError: [bold]no[/bold]"}
    return Event(failed if score is None else done, job, f"member_{seed}")


def test_the_line() -> None:
    bar, now = Bar(), [0.0]
    line = Line(bar, lambda: now[0])
    each = predicted("recall", 100, True)
    line.working({"pending": 4}, None, 4 * each)
    assert bar.shown["words"] == "0 done"
    now[0] = 30.0
    line.working({"pending": 3, "done": 1}, trained(0, 0.25), 3 * each)
    assert bar.shown["words"] == "1 done, 2 jobs/min, about 90 s left, best recall 0.250 (member_0)"
    now[0] = 60.0
    line.working({"pending": 2, "done": 1, "failed": 1}, trained(1, None), 2 * each)
    assert bar.printed == ["member_1, recall seed 1: error: ValueError: [bold]no[/bold]"]
    known = trained(2, 0.5)
    line.working({"pending": 1, "done": 2, "failed": 1, "pruned": 1}, Event(known.record, known.job, known.name, known=True), each)
    assert bar.shown["words"] == "2 done, 1 failed, 1 pruned, 2 jobs/min, about 30 s left, best recall 0.500 (member_2)"
    assert (bar.shown["completed"], bar.shown["total"]) == (4, 5)
