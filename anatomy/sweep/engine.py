"""The coordinator: sends jobs that may run, stores records, retries what deserves it, drains on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anatomy.errors import fail
from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job
from anatomy.sweep.planning import Plan
from anatomy.sweep.store import Cache, Store
from anatomy.sweep.task import load_task
from anatomy.sweep.transports.base import Transport

RETRIES = {"lost": 2, "out_of_memory": 1}
"""How often a job of a failure class is tried again in one run; out of memory alone, with no other job running."""
PATIENCE = 0.25

Watcher = Callable[[dict[str, int], "Record | None"], None]


class Engine:
    """One run over a plan. The checks of a variant decide which of its other jobs may run."""

    def __init__(self, plan: Plan, store: Store, cache: Cache, transport: Transport, watch: Watcher | None = None):
        self.plan, self.store, self.cache, self.transport = plan, store, cache, transport
        self.watch = watch
        self.waiting: deque[Job] = deque()
        self.alone: deque[Job] = deque()
        self.sent: set[str] = set()
        self.tries: dict[str, int] = {}
        self.solitary = False
        self.draining = False
        self.owners: dict[str, list[tuple[int, int]]] = {}
        for place, variant in enumerate(plan.variants):
            for number, item in enumerate(variant.jobs):
                self.owners.setdefault(item.key, []).append((place, number))

    def run(self) -> bool:
        """Until nothing is left to do; false when it was told to stop before."""
        for variant in self.plan.variants:
            self.offer(variant.jobs[0])
        for place, variant in enumerate(self.plan.variants):
            if self.store.state(variant.jobs[0].key) in ("done", "failed"):
                self.release(place)
        self.tell(None)
        while self.waiting or self.alone or self.transport.running():
            self.dispatch()
            if not self.transport.running():
                break
            for item, record in self.transport.receive(PATIENCE):
                self.take(item, record)
        return not (self.waiting or self.alone)

    # sending ------------------------------------------------------------------------------------

    def offer(self, item: Job) -> None:
        """Queue a job, unless its result is known or comes from the cache."""
        if item.key in self.sent or self.store.state(item.key) != "pending":
            return
        self.sent.add(item.key)
        known = self.cache.get(item.key)
        if known is not None:
            self.store.put(known)
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
        self.solitary = False
        if record["state"] == "failed":
            tried = self.tries[item.key] = self.tries.get(item.key, 0) + 1
            if tried <= RETRIES.get(record["class"], 0) and not self.draining:
                (self.alone if record["class"] == "out_of_memory" else self.waiting).append(item)
                return
        self.store.put(record)
        self.cache.put(record)
        if item.stage == "check":
            for place, _ in self.owners[item.key]:
                self.release(place)
        self.tell(record)

    def release(self, place: int) -> None:
        """The checks of a variant are in: queue its other jobs, or reject them with the reason."""
        variant = self.plan.variants[place]
        found = self.store.result(variant.jobs[0].key)
        for number, item in enumerate(variant.jobs[1:], 1):
            reason = verdict(found, item)
            if reason:
                self.store.reject(place, number, reason)
            else:
                self.offer(item)

    def tell(self, record: Record | None) -> None:
        if self.watch is not None:
            self.watch(self.store.tally(), record)


def verdict(found: dict[str, Any] | None, item: Job) -> str:
    """Why a job is not run, given what the checks found; regularity is an axis and needs only a diagram that compiles."""
    if found is None:
        return "the checks failed"
    if item.stage == "train":
        if found["reason"]:
            return found["reason"]
        if found["causal"] is False and load_task(item.task).causal:
            return f"reads later tokens: {found['leak']}"
    elif found["parameters"] is None:
        return found["reason"]
    return ""


@contextmanager
def draining(engine: Engine) -> Iterator[None]:
    """The first Ctrl-C lets running jobs finish and sends no more; the second stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: object) -> None:
        if engine.draining:
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt
        engine.draining = True

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One coordinator in a folder at a time; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system: SQLite still refuses two writers at once
        yield
        return
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise fail("E804", f"another process works in `{folder}`", help="wait for it, or choose another folder") from None
        yield
    finally:
        os.close(handle)
