"""Jobs in this process, or in persistent processes of one thread each.

Whoever evaluates a job first appends its record to a journal of its own, one line of JSON, and only then reports it: what is
finished survives the coordinator.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from anatomy.errors import AnatomyError, fail
from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job
from anatomy.sweep.transports.base import lost
from anatomy.sweep.transports.records import UNWRITABLE, Journal, finish


class Inline:
    """Jobs run in this process, one at a time."""

    def __init__(self, journal: Path):
        self.journal = Journal(journal)
        self.job: Job | None = None

    def free(self) -> int:
        return int(self.job is None)

    def running(self) -> int:
        return int(self.job is not None)

    def send(self, job: Job) -> None:
        self.job = job

    def withdraw(self) -> None:
        """What was sent is begun at once."""

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        if self.job is None:
            return []
        job, self.job = self.job, None
        record = finish(job)
        self.journal.write(record)
        return [(job, record)]

    def close(self, kill: bool = False) -> None:
        self.journal.close()


def serve(connection: Connection, journal: str) -> None:
    """The life of a worker: evaluate what comes until the coordinator is gone, and never mind the signals that drain it, which may go to the whole group."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)
    with suppress(OSError):
        connection.send(None)  # ready: from here on time counts
    log: Journal | None = None
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            log = log or Journal(Path(journal))
            record = finish(job)
            log.write(record)
        except AnatomyError as error:
            record = {"key": job.key, "state": "failed", "class": UNWRITABLE, "traceback": error.diagnostics[0].message}
        try:
            connection.send(record)
        except OSError:
            return


@dataclass
class Worker:
    """One process and what it is doing; the time of a job does not count before the process is ready."""

    process: BaseProcess
    connection: Connection
    job: Job | None = None
    ready: bool = False
    started: float = 0.0

    def late(self, timeout: float | None) -> bool:
        return timeout is not None and self.ready and time.monotonic() - self.started > timeout


class Processes:
    """`count` spawned workers, started when they are first needed and replaced when they die."""

    def __init__(self, count: int, journal: Callable[[int], Path], timeout: float | None = None):
        self.count, self.journal, self.timeout = count, journal, timeout
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[Worker] = []
        self.born = 0

    def free(self) -> int:
        return self.count - self.running()

    def running(self) -> int:
        return sum(w.job is not None for w in self.workers)

    def send(self, job: Job) -> None:
        worker = next((w for w in self.workers if w.job is None), None) or self._spawn()
        worker.job, worker.started = job, time.monotonic()
        with suppress(OSError):  # then it is dead, and `receive` finds out and reports the job as lost
            worker.connection.send(job)

    def _spawn(self) -> Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=serve, args=(theirs, str(self.journal(self.born))), daemon=True)
        process.start()
        theirs.close()
        self.born += 1
        worker = Worker(process, ours)
        self.workers.append(worker)
        return worker

    def withdraw(self) -> None:
        """What was sent is begun at once."""

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        busy = [w for w in self.workers if w.job is not None]
        ready = wait([w.connection for w in busy] + [w.process.sentinel for w in busy], patience)
        found: list[tuple[Job, Record]] = []
        for worker in busy:
            job = worker.job
            assert job is not None
            if worker.connection in ready or worker.process.sentinel in ready:
                record = None
                with suppress(EOFError, OSError):
                    if worker.connection.poll():
                        record = worker.connection.recv()
                        if record is None:
                            worker.ready, worker.started = True, time.monotonic()
                            continue
                worker.job = None
                if record is not None and record.get("class") == UNWRITABLE:
                    raise fail("E812", record["traceback"], help="make room, then `anatomy sweep resume` goes on; everything that was finished is kept")
                if record is None:
                    worker.process.join(5)
                    self._bury(worker)
                    code = worker.process.exitcode
                    record = lost(job, f"the worker died with exit status {code}")
                found.append((job, record))
            elif worker.late(self.timeout):
                worker.process.kill()
                worker.process.join(5)
                self._bury(worker)
                words = f"stopped after {self.timeout:g} seconds"
                found.append((job, {"key": job.key, "state": "failed", "class": "timeout", "traceback": words}))
        return found

    def _bury(self, worker: Worker) -> None:
        worker.connection.close()
        if worker.process.is_alive():
            worker.process.kill()
        self.workers.remove(worker)

    def close(self, kill: bool = False) -> None:
        for worker in list(self.workers):
            if kill:
                worker.process.kill()
            worker.connection.close()
        for worker in self.workers:
            worker.process.join(10)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self.workers.clear()
