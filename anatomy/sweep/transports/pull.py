"""Jobs through a folder that several machines share: `anatomy sweep worker DIR` on each, and nothing else between them.

The coordinator offers a job as an empty file named by its key; a worker takes it by renaming the file, which only one can, and
touches it while it works. It appends records to a journal of its own. Every worker makes the plan from the sweep's configuration, so
no code and no object travels. A file that nobody has touched for `LEASE` seconds is lost and offered again.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from anatomy.sweep.evaluate import Record, evaluate
from anatomy.sweep.job import Job
from anatomy.sweep.transports.base import lost, write

OFFERED, TAKEN, INBOX, CLOSED = "offered", "taken", "inbox", "closed"
LEASE = 60.0
"""Seconds after which a worker that shows no sign of life has lost its job."""
BEAT = 5.0
DEPTH = 64
"""Jobs on offer at a time."""


class Pull:
    """The coordinator's side: offers, collects, and takes back what was lost."""

    def __init__(self, folder: Path, lease: float = LEASE):
        self.folder, self.lease = folder, lease
        for name in (OFFERED, TAKEN, INBOX):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for stale in (*(folder / OFFERED).iterdir(), *(folder / TAKEN).iterdir()):
            stale.unlink(missing_ok=True)
        (folder / CLOSED).unlink(missing_ok=True)
        self.jobs: dict[str, Job] = {}
        self.read: dict[Path, int] = {path: path.stat().st_size for path in (folder / INBOX).glob("*.jsonl")}
        self.seen: dict[str, tuple[float, float]] = {}

    def free(self) -> int:
        return DEPTH - len(self.jobs)

    def running(self) -> int:
        return len(self.jobs)

    def send(self, job: Job) -> None:
        self.jobs[job.key] = job
        (self.folder / OFFERED / job.key).touch()

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        end = time.monotonic() + patience
        while True:
            found = [*self._collect(), *self._expired()]
            if found or time.monotonic() >= end:
                return found
            time.sleep(min(0.05, patience))

    def _collect(self) -> list[tuple[Job, Record]]:
        found = []
        for path in sorted((self.folder / INBOX).glob("*.jsonl")):
            start = self.read.get(path, 0)
            with path.open("rb") as handle:
                handle.seek(start)
                text = handle.read()
            whole = text.rfind(b"\n") + 1
            self.read[path] = start + whole
            for line in text[:whole].split(b"\n"):
                record = sound(line)
                job = self.jobs.pop(record["key"], None) if record else None
                if record is not None and job is not None:
                    (self.folder / OFFERED / job.key).unlink(missing_ok=True)
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
        return found

    def close(self, kill: bool = False) -> None:
        for key in self.jobs:
            (self.folder / OFFERED / key).unlink(missing_ok=True)
        (self.folder / CLOSED).touch()


def sound(line: bytes) -> Record | None:
    """A record, or None for a line that is torn or strange: its job is lost, and done again."""
    try:
        record = json.loads(line)
        assert isinstance(record["key"], str)
        assert (record["state"] == "done" and isinstance(record["result"], dict)) or (record["state"] == "failed" and isinstance(record["class"], str))
    except (ValueError, KeyError, TypeError, AssertionError):
        return None
    return record


def work(
    folder: Path, jobs: Callable[[], Mapping[str, Job]], name: str = "", patience: float | None = None, told: Callable[[str], None] = print
) -> int:
    """A worker: take jobs until the coordinator says that it is over, or `patience` seconds pass without any; how many were done.

    `jobs` makes the plan's jobs by key, when the first is needed and again when a key is unknown.
    """
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    known: Mapping[str, Job] = {}
    count, heard = 0, time.monotonic()
    (folder / INBOX).mkdir(parents=True, exist_ok=True)
    with (folder / INBOX / f"{name}.jsonl").open("a", encoding="utf-8") as inbox:
        while True:
            taken = _take(folder, name)
            if taken is None:
                if (folder / CLOSED).exists() or (patience is not None and time.monotonic() - heard > patience):
                    return count
                time.sleep(0.1)
                continue
            key = taken.name.partition("@")[0]
            if key not in known:
                known = jobs()
            job = known.get(key)
            if job is None:
                told(f"job {key} is not in this plan: the coordinator runs another version")
                taken.unlink(missing_ok=True)
                return count
            with _Beating(taken):
                record = evaluate(job)
            write(inbox, record)
            taken.unlink(missing_ok=True)
            count, heard = count + 1, time.monotonic()


def _take(folder: Path, name: str) -> Path | None:
    with suppress(FileNotFoundError):
        for path in sorted((folder / OFFERED).iterdir()):
            goal = folder / TAKEN / f"{path.name}@{name}"
            with suppress(OSError):
                path.rename(goal)
                os.utime(goal)
                return goal
    return None


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
