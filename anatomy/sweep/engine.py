"""The coordinator: sends jobs that may run, stores records, retries what deserves it, prunes by rung, drains on Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as once
from typing import Any

from anatomy.sweep.book import Book, Place
from anatomy.sweep.cache import Cache
from anatomy.sweep.evaluate import Record
from anatomy.sweep.forecast import cost
from anatomy.sweep.job import Job
from anatomy.sweep.ladder import Standing, pruned
from anatomy.sweep.planning import Plan
from anatomy.sweep.store import Store
from anatomy.sweep.task import load_task
from anatomy.sweep.transports.base import Transport

RETRIES = {"lost": 2, "out_of_memory": 1}
"""How often a job of a failure class is tried again in one run; out of memory alone, with no other job running."""
PATIENCE = 0.25


@dataclass(frozen=True)
class Event:
    """What a watcher is told when a job has ended: by whom it was wanted, and whether its result was known before."""

    record: Record
    job: Job
    name: str
    known: bool = False


Watcher = Callable[[Mapping[str, int], "Event | None", float], None]
"""It is told the jobs by state, what has just ended, and roughly how many CPU-seconds are left."""


class Engine:
    """One run over a plan. The checks of a variant decide which of its other jobs may run, and a rung who comes to the next."""

    def __init__(
        self, plan: Plan, store: Store, cache: Cache, transport: Transport, watch: Watcher | None = None, max_failures: int | None = None
    ):  # fmt: skip
        self.plan, self.store, self.cache, self.transport = plan, store, cache, transport
        self.watch, self.max_failures = watch, max_failures
        self.book = Book(plan, store)
        self.waiting: deque[Job] = deque()
        self.alone: deque[Job] = deque()
        self.sent: set[str] = set()
        self.tries: dict[str, int] = {}
        self.solitary = False
        self.draining = False
        self.failures = 0
        self.stopped = ""
        """Why it stopped before the end, when it was not Ctrl-C."""
        self.settled = dict.fromkeys(plan.ladders, 0)
        """The rung of each task that members have come to."""

    def run(self) -> bool:
        """Until nothing is left to do; false when it was told to stop before."""
        for place, variant in enumerate(self.plan.variants):
            if self.book.states[place, 0] != "pending":
                self.release(place)
            else:
                self.offer(variant.jobs[0])
        for task in self.plan.ladders:
            self.climb(task)
        self.tell(None)
        while self.waiting or self.alone or self.transport.running():
            if self.draining:
                self.transport.withdraw()
            self.dispatch()
            if not self.transport.running():
                break
            for item, record in self.transport.receive(PATIENCE):
                self.take(item, record)
        return not self.book.tally["pending"]

    # sending ------------------------------------------------------------------------------------

    def offer(self, item: Job) -> None:
        """Queue a job, unless its result is known or comes from the cache."""
        if item.key in self.sent or not self.book.pending(item):
            return
        self.sent.add(item.key)
        known = self.cache.get(item.key, item.stage)
        if known is not None:
            self.settle(item, known, known=True)
        else:
            self.waiting.append(item)

    def dispatch(self) -> None:
        while not self.draining and self.transport.free() and not self.solitary:
            if self.waiting:
                self.transport.send(self.waiting.popleft())
            elif self.alone and not self.transport.running():
                self.solitary = True
                self.transport.send(self.alone.popleft())
            else:
                return

    # receiving ----------------------------------------------------------------------------------

    def take(self, item: Job, record: Record) -> None:
        """A record from the transport: try again what may be tried again, and store the rest."""
        self.solitary = False
        if record["state"] == "failed":
            tried = self.tries[item.key] = self.tries.get(item.key, 0) + 1
            if tried <= RETRIES.get(record["class"], 0):
                (self.alone if record["class"] == "out_of_memory" else self.waiting).append(item)
                return
            self.failures += 1
            if self.max_failures is not None and self.failures >= self.max_failures and not self.draining:
                self.draining = True
                self.stopped = f"stopped after {self.failures} failure{'s' if self.failures > 1 else ''}, as was asked; what ran was finished and kept"
        else:
            self.cache.put(record, item.stage)
        self.settle(item, record)

    def settle(self, item: Job, record: Record, known: bool = False) -> None:
        """Store a record and go on with what waited for it."""
        moved = self.book.put(record)
        self.tell(Event(record, item, self.plan.variants[self.book.owners[item.key][0][0]].name, known))
        if item.stage == "check":
            for place, _ in moved:
                self.release(place)
        elif item.stage == "train":
            self.climb(item.task)

    def release(self, place: int) -> None:
        """The checks of a variant are in: queue its other jobs, or reject them with the reason; higher rungs wait."""
        variant = self.plan.variants[place]
        found = self.store.result(variant.jobs[0].key)
        refused: dict[str, list[Place]] = {}
        for number, item in enumerate(variant.jobs[1:], 1):
            reason = verdict(found, item)
            if reason:
                refused.setdefault(reason, []).append((place, number))
            elif item.stage != "train" or item.budget == self.plan.ladders[item.task].budgets[0]:
                self.offer(item)
        for reason, wheres in refused.items():
            self.book.end(wheres, "rejected", reason)
        if refused:
            for task in self.plan.ladders:
                self.climb(task)

    # rungs --------------------------------------------------------------------------------------

    def climb(self, task: str) -> None:
        """Begin the next rung of a task when all jobs of the one below have ended, in whatever way."""
        budgets = self.plan.ladders[task].budgets
        while not self.draining and self.settled[task] + 1 < len(budgets) and not self.book.open[task, budgets[self.settled[task]]]:
            self.settled[task] += 1
            self.decide(task, budgets[self.settled[task] - 1], budgets[self.settled[task] :])

    def decide(self, task: str, budget: int, later: tuple[int, ...]) -> None:
        """Who goes on from a rung: by the results of the rung alone, whatever is known of later ones."""
        assert self.plan.config.halving is not None
        places: dict[int, list[Place]] = {}
        for where in self.book.rungs[task, budget]:
            if self.book.states[where] in ("done", "failed"):
                places.setdefault(where[0], []).append(where)
        controls = {place for place in places if self.plan.variants[place].role == "control"}
        standings = [self.standing(place, wheres) for place, wheres in places.items() if place not in controls]
        gone = pruned(standings, self.plan.config.halving)
        failed = {s.place for s in standings if s.failed}
        for place in places:
            mine = [(place, number) for number, item in enumerate(self.plan.variants[place].jobs) if item.task == task and item.budget in later]
            if place in failed:
                self.book.end(mine, "rejected", f"failed at the rung of {budget} steps")
            elif place in gone:
                self.book.end(mine, "pruned", f"at the rung of {budget} steps {gone[place]}")
            else:
                for where in mine:
                    if self.book.job(where).budget == later[0]:
                        self.offer(self.book.job(where))

    def standing(self, place: int, wheres: list[Place]) -> Standing:
        found = [self.store.result(self.book.job(where).key) for where in wheres]
        scores = tuple(None if f is None else float(f["score"]) for f in found)
        return Standing(place, self.plan.variants[place].stratum, scores, any(f is not None and f["diverged"] for f in found))

    def tell(self, event: Event | None) -> None:
        if self.watch is not None:
            self.watch(self.book.tally, event, self.left())

    def left(self) -> float:
        """CPU-seconds of what is pending, by the forecast; of rungs to come as many jobs as halving will leave."""
        total = 0.0
        for (name, budget), count in self.book.open.items():
            ladder = self.plan.ladders.get(name)
            above = ladder.budgets.index(budget) - self.settled[name] if ladder else 0
            share = float(self.plan.config.halving or 1) ** -max(0, above)
            total += count * share * predicted(name, budget, ladder is not None)
        return total


@once
def predicted(name: str, budget: int, trained: bool) -> float:
    """CPU-seconds of a job of a stage, or of a task with a budget."""
    return cost("train", load_task(name), budget) if trained else cost(name)


@once
def _causal(task: str) -> bool:
    return load_task(task).causal


def verdict(found: dict[str, Any] | None, item: Job) -> str:
    """Why a job is not run, given what the checks found; statistics and regularity need only a diagram that compiles."""
    if found is None:
        return "the checks failed"
    if item.stage == "train":
        if found["reason"]:
            return found["reason"]
        if found["causal"] is False and _causal(item.task):
            return f"reads later tokens: {found['leak']}"
    elif found["parameters"] is None:
        return found["reason"]
    return ""


@contextmanager
def draining(engine: Engine) -> Iterator[None]:
    """The first Ctrl-C, or SIGTERM as batch systems send it, lets running jobs finish and sends no more; the second stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: object) -> None:
        if engine.draining:
            restore()
            raise KeyboardInterrupt
        engine.draining = True

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
