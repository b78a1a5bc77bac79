"""How jobs reach the worker function: what every transport does."""

from __future__ import annotations

from typing import Protocol

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

    def withdraw(self) -> None:
        """Take back what was sent and nobody has begun: nothing more is to be begun."""
        ...

    def close(self, kill: bool = False) -> None: ...


def lost(job: Job, words: str) -> Record:
    """The record of a job whose worker is gone: it is tried again."""
    return {"key": job.key, "state": "failed", "class": "lost", "traceback": words}
