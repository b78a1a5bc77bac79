"""Jobs through a folder that several machines share: `anatomy sweep worker DIR` on each, and nothing else between them.

The coordinator offers a job as an empty file named by its key; a worker takes it by renaming the file, which only one can, and
touches it while it works. It appends records to a journal of its own. Every worker makes the plan from the sweep's configuration, so
no code and no object travels. A file that nobody has touched for `LEASE` seconds is lost and offered again.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from anatomy.errors import fail
from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job
from anatomy.sweep.transports.base import lost
from anatomy.sweep.transports.records import Journal, UnsoundError, finish, lines, read, sound

OFFERED, TAKEN, INBOX, CLOSED = "offered", "taken", "inbox", "closed"
LEASE = 60.0
"""Seconds after which a worker that shows no sign of life has lost its job."""
BEAT = 5.0
DEPTH = 64
"""Jobs on offer at a time."""


class Pull:
    """The coordinator's side: offers, collects, and takes back what was lost."""

    def __init__(self, folder: Path, lease: float = LEASE, *, known: Mapping[Path, int] | None = None):
        """`known`: how far each journal of the inbox has been read already."""
        self.folder, self.lease = folder, lease
        for name in (OFFERED, TAKEN, INBOX):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for stale in (*(folder / OFFERED).iterdir(), *(folder / TAKEN).iterdir()):
            stale.unlink(missing_ok=True)
        (folder / CLOSED).unlink(missing_ok=True)
        self.jobs: dict[str, Job] = {}
        self.ends: dict[Path, int] = dict(known or {})
        self.early: dict[str, Record] = {}
        self.gone: dict[str, float] = {}
        self.skipped = 0
        self.seen: dict[str, tuple[float, float]] = {}

    def free(self) -> int:
        return DEPTH - len(self.jobs)

    def running(self) -> int:
        return len(self.jobs)

    @property
    def warnings(self) -> tuple[str, ...]:
        return (f"{self.skipped} damaged lines of the inbox were skipped; their jobs were done again",) if self.skipped else ()

    def send(self, job: Job) -> None:
        self.jobs[job.key] = job
        if job.key in self.early:
            return
        (self.folder / OFFERED / job.key).touch()

    def withdraw(self) -> None:
        """Whoever removes an offer has it; what a worker was faster to take runs to its end."""
        for key in list(self.jobs):
            with suppress(FileNotFoundError):
                (self.folder / OFFERED / key).unlink()
                del self.jobs[key]

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        end = time.monotonic() + patience
        while True:
            found = [*self._collect(), *self._expired()]
            if found or time.monotonic() >= end:
                return found
            time.sleep(min(0.05, patience))

    def _collect(self) -> list[tuple[Job, Record]]:
        """What has come in; a result of a job that has not been offered yet waits for it: a worker may outlive its coordinator."""
        found = []
        stages = {key: job.stage for key, job in self.jobs.items()}
        for path in sorted((self.folder / INBOX).glob("*.jsonl")):
            for line, end in lines(path, self.ends.get(path, 0)):
                self.ends[path] = end
                try:
                    record = read(line, stages)
                except UnsoundError:
                    self.skipped += 1
                    continue
                if record["key"] in self.jobs or record["state"] == "done":
                    self.early[record["key"]] = record
        for key in [key for key in self.early if key in self.jobs]:
            job, record = self.jobs.pop(key), self.early.pop(key)
            try:
                sound(record, job.stage)
            except UnsoundError:
                self.skipped += 1
                self.send(job)
                continue
            (self.folder / OFFERED / key).unlink(missing_ok=True)
            found.append((job, record))
        return found

    def _expired(self) -> list[tuple[Job, Record]]:
        """Jobs whose file has not changed for a lease, by this machine's clock alone: clocks of others may differ."""
        found, now = [], time.monotonic()
        for path in list((self.folder / TAKEN).iterdir()):
            key = path.name.partition("@")[0]
            with suppress(OSError):
                touched = path.stat().st_mtime
                before = self.seen.get(path.name)
                if before is None or before[0] != touched:
                    self.seen[path.name] = (touched, now)
                elif now - before[1] > self.lease:
                    path.unlink(missing_ok=True)
                    job = self.jobs.pop(key, None)
                    if job is not None:
                        found.append((job, lost(job, f"worker {path.name.partition('@')[2]} has not been heard of for {self.lease:g} seconds")))
        return [*found, *self._vanished(now)]

    def _vanished(self, now: float) -> list[tuple[Job, Record]]:
        """Jobs that are neither offered nor taken for a lease: whoever did them left no record that can be read."""
        there = {path.name.partition("@")[0] for place in (OFFERED, TAKEN) for path in (self.folder / place).iterdir()}
        self.gone = {key: self.gone.get(key, now) for key in self.jobs if key not in there}
        late = [key for key, since in self.gone.items() if now - since > self.lease]
        return [(job, lost(job, "its worker left no record")) for job in map(self.jobs.pop, late)]

    def close(self, kill: bool = False) -> None:
        for key in self.jobs:
            (self.folder / OFFERED / key).unlink(missing_ok=True)
        (self.folder / CLOSED).touch()


def work(
    folder: Path, jobs: Callable[[], Mapping[str, Job]], name: str = "", patience: float | None = None, told: Callable[[str], None] = print
) -> int:
    """A worker: take jobs until the coordinator says that it is over, or `patience` seconds pass without any; how many were done.

    `jobs` makes the plan's jobs by key, when the first is needed and again when a key is unknown. Raises AnatomyError E815 when a key
    is unknown then too.
    """
    name = name or f"{socket.gethostname()}-{os.getpid()}-{token_hex(2)}"  # machines made of one image may share a name
    known: Mapping[str, Job] = {}
    count, heard = 0, time.monotonic()
    (folder / INBOX).mkdir(parents=True, exist_ok=True)
    inbox = Journal(folder / INBOX / f"{name}.jsonl")
    try:
        while True:
            taken = _take(folder, name)
            if taken is None:
                if (folder / CLOSED).exists():
                    if not known:
                        told("this sweep is over, or its coordinator has not begun; start that first, with `--transport pull`")
                    return count
                if patience is not None and time.monotonic() - heard > patience:
                    return count
                time.sleep(0.1)
                continue
            key = taken.name.partition("@")[0]
            try:
                with _Beating(taken):
                    if key not in known:
                        known = jobs()
                    job = known.get(key)
                    if job is None:
                        raise fail("E815", f"job {key} is not in the plan that is made here: the coordinator runs another version, or the space or a text differ on this machine")
                    inbox.write(finish(job))
            except BaseException:  # Ctrl-C, a full disk, a space that cannot be read here: another worker shall have it at once
                _return(taken, folder)
                raise
            taken.unlink(missing_ok=True)
            count, heard = count + 1, time.monotonic()
    finally:
        inbox.close()


def _take(folder: Path, name: str) -> Path | None:
    with suppress(FileNotFoundError):
        for path in sorted((folder / OFFERED).iterdir()):
            goal = folder / TAKEN / f"{path.name}@{name}"
            with suppress(OSError):
                path.rename(goal)
                os.utime(goal)
                return goal
    return None


def _return(taken: Path, folder: Path) -> None:
    with suppress(OSError):
        taken.rename(folder / OFFERED / taken.name.partition("@")[0])


class _Beating:
    """Touches a file while a job runs."""

    def __init__(self, path: Path):
        self.path, self.over = path, threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def _beat(self) -> None:
        while not self.over.wait(BEAT):
            with suppress(OSError):
                os.utime(self.path)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
