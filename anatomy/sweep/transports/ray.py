"""Jobs through Ray, for more than one machine: plain Ray core, one actor of one thread for each slot.

Ray is an optional extra, `pip install attention-anatomy[ray]`. Without an address a cluster is started on this machine and stopped
again; with one it is joined, and every node needs this package in the same version. Ray listens on all network interfaces, whatever
it is told: use it in networks that you trust. Checks take milliseconds and a message as long, so they travel in chunks.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy.errors import fail
from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job
from anatomy.sweep.transports.base import lost
from anatomy.sweep.transports.records import Journal

if TYPE_CHECKING:
    from types import ModuleType

CHUNK = 16
"""Checks in one message; every other job travels alone."""


def evaluate_all(jobs: list[Job]) -> list[Record]:
    """What an actor does with a message."""
    from anatomy.sweep.transports.records import finish

    return [finish(job) for job in jobs]


class Ray:
    """`count` actors on a cluster. Records are journalled here as they arrive; an actor that dies is replaced."""

    def __init__(self, count: int, journal: Path, address: str | None = None):
        self.ray = _ray()
        self.count = count
        self.started = not self.ray.is_initialized()
        if self.started:
            quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
            try:
                self.ray.init(address=address, **quiet) if address else self.ray.init(num_cpus=count, include_dashboard=False, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise fail("E805", f"no Ray cluster answers at `{address}`: {error}", help="`ray start --head` begins one") from None
        work = self.ray.remote(num_cpus=1, max_restarts=0, max_concurrency=1)(_Worker)
        self.actor = work
        self.journal = Journal(journal)
        self.queue: deque[Job] = deque()
        self.idle: list[Any] = []
        self.busy: dict[Any, tuple[Any, list[Job]]] = {}
        self.born = 0
        self.apart: set[str] = set()
        """Jobs that an actor died over, with others: they travel alone from now on."""

    def free(self) -> int:
        return max(0, self.count * CHUNK - self.running())

    def running(self) -> int:
        return len(self.queue) + sum(len(jobs) for _, jobs in self.busy.values())

    def send(self, job: Job) -> None:
        self.queue.append(job)

    def withdraw(self) -> None:
        self.queue.clear()

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        self._hand_out()
        if not self.busy:
            return []
        ready, _ = self.ray.wait(list(self.busy), num_returns=1, timeout=patience)
        found: list[tuple[Job, Record]] = []
        for reference in ready:
            actor, jobs = self.busy.pop(reference)
            try:
                records = self.ray.get(reference)
            except self.ray.exceptions.RayError as error:
                if len(jobs) > 1:  # one of them did it; apart, the others are not lost with it
                    self.apart |= {job.key for job in jobs}
                    self.queue.extendleft(reversed(jobs))
                else:
                    found.append((jobs[0], lost(jobs[0], f"the Ray actor died: {str(error).partition(chr(10))[0]}")))
                with suppress(Exception):
                    self.ray.kill(actor)
                self.born -= 1
                continue
            self.idle.append(actor)
            for job, record in zip(jobs, records, strict=True):
                self.journal.write(record)
                found.append((job, record))
        self._hand_out()
        return found

    def _hand_out(self) -> None:
        while self.queue and (self.idle or self.born < self.count):
            if not self.idle:
                self.idle.append(self.actor.remote())
                self.born += 1
            jobs = [self.queue.popleft()]
            while self._short(jobs[0]) and self.queue and self._short(self.queue[0]) and len(jobs) < CHUNK:
                jobs.append(self.queue.popleft())
            actor = self.idle.pop()
            self.busy[actor.evaluate.remote(jobs)] = (actor, jobs)

    def _short(self, job: Job) -> bool:
        return job.stage == "check" and job.key not in self.apart

    def close(self, kill: bool = False) -> None:
        for actor in [*self.idle, *(actor for actor, _ in self.busy.values())]:
            with suppress(Exception):
                self.ray.kill(actor)
        self.journal.close()
        if self.started:
            self.ray.shutdown()


class _Worker:
    """An actor: a process that keeps torch loaded."""

    def evaluate(self, jobs: list[Job]) -> list[Record]:
        return evaluate_all(jobs)


def _ray() -> ModuleType:
    try:
        ray = import_module("ray")
        import_module("ray.exceptions")
    except ImportError:
        raise fail("E805", "Ray is not installed", help="`pip install 'attention-anatomy[ray]'`, or another `--transport`") from None
    return ray
