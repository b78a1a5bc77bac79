"""How jobs reach the worker function: what every transport does, and the line of JSON that outlives all of them."""

from __future__ import annotations

import json
from typing import IO, Protocol

from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job


class Transport(Protocol):
    """Slots that evaluate jobs."""

    def free(self) -> int:
        """How many jobs may be sent now."""
        ...

    def send(self, job: Job) -> None: ...

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        """Finished jobs, after at most `patience` seconds. A job whose worker died has a record of class `lost`."""
        ...

    def running(self) -> int: ...

    def close(self, kill: bool = False) -> None: ...


def write(journal: IO[str], record: Record) -> None:
    """Append a record as one line and hand it to the operating system."""
    journal.write(json.dumps(record, sort_keys=True) + "\n")
    journal.flush()


def lost(job: Job, words: str) -> Record:
    """The record of a job whose worker is gone: it is tried again."""
    return {"key": job.key, "state": "failed", "class": "lost", "traceback": words}
