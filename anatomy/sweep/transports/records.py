"""What is known of a job when it is over: made, written as a line of JSON, and read again with doubt.

A line may be torn by a kill, a full disk or a damaged one, and may come from anybody who can write to the folder: a line that is no
sound record is skipped and counted, and its job is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from anatomy.errors import fail
from anatomy.sweep.evaluate import Record, evaluate
from anatomy.sweep.job import Job, evaluator_version
from anatomy.sweep.task import known_data, known_identity

LONGEST = 1 << 26
"""Bytes of a line; longer ones are no records."""
UNWRITABLE = "unwritable"
"""Class of the failure by which a worker process says that it cannot write its journal: the sweep stops."""
NUMBERS = ("score", "loss", "rate")
COUNTS = ("steps", "trials", "parameters")
TRUTHS = ("diverged", "solved", "causal", "finite", "alive")
WORDS = ("reason", "leak", "verdict")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "check": ("reason", "causal", "parameters"), "regularity": ("verdict",), "train": ("score", "steps", "trials", "diverged", "parameters")
}  # fmt: skip


class UnsoundError(ValueError):
    """Why something is no record."""


def finish(job: Job) -> Record:
    """Do a job; a result that no reader would accept is a failure, as it would otherwise be lost and done for ever.

    So is a job whose task, data or code are here not those that its key was made from, of class `changed`: it is pending in the next run.
    """
    words = ""
    with suppress(Exception):  # what is wrong with the task, the job itself will say
        words = changed(job)
    try:
        record = failed(job, "changed", words) if words else evaluate(job)
    except SystemExit as error:
        return failed(job, "error", f"the task asked Python to end: {error!r}")
    if record["state"] == "done":
        try:
            sound(record, job.stage)
            if len(json.dumps(record, sort_keys=True)) >= LONGEST - 1:
                raise UnsoundError("too long")
        except (TypeError, ValueError, RecursionError) as error:
            return {**failed(job, "error", f"the result is no result: {error}"), "seconds": record["seconds"]}
    return record


def failed(job: Job, kind: str, words: str) -> Record:
    return {"key": job.key, "state": "failed", "class": kind, "traceback": words}


def changed(job: Job) -> str:
    """What differs here from what the key of a training was made from, in words: a text that was edited, a task, the code of another version."""
    if job.stage != "train" or not job.identity:
        return ""
    _, _, task, _, _, data, evaluator, *_ = json.loads(job.identity)
    found = (("task or its text", task, known_identity(job.task)), ("data", data, known_data(job.task, job.seed)), ("code", evaluator, evaluator_version("train")))
    names = [name for name, told, here in found if told != here]
    return f"the {' and the '.join(names)} of `{job.task}` changed since the sweep began, or differ on this machine; `anatomy sweep resume` begins it anew" if names else ""


class Journal:
    """A file to which records are appended, each whole or not at all, unless the process is killed in the middle."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
            if torn(path):  # by a kill: the next record gets a line of its own
                os.write(self.file, b"\n")
        except OSError as error:
            raise unwritable(path, error) from None

    def write(self, record: Record) -> None:
        """Append a line and hand it to the operating system. Raises AnatomyError E812 when it does not fit."""
        line = (json.dumps(record, sort_keys=True) + "\n").encode()
        size = os.fstat(self.file).st_size
        try:
            written = os.write(self.file, line)
            while written < len(line):
                written += os.write(self.file, line[written:])
        except OSError as error:
            os.ftruncate(self.file, size)
            raise unwritable(self.path, error) from None

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


def unwritable(path: Path, error: OSError) -> Exception:
    return fail(
        "E812", f"cannot write `{path}`: {error.strerror or error}",
        help="make room, then `anatomy sweep resume` goes on; everything that was finished is kept",
    )  # fmt: skip


def lines(path: Path, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """The complete lines of a file from a place on, each with where it ends; of one that is too long only the beginning."""
    with path.open("rb") as handle:
        handle.seek(start)
        while line := handle.readline(LONGEST):
            rest = line
            while not rest.endswith(b"\n"):
                rest = handle.readline(LONGEST)
                if not rest:
                    return
            if line.strip():
                yield line, handle.tell()


def torn(path: Path) -> bool:
    """Whether a file ends in the middle of a line."""
    with path.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - 1))
        return handle.read(1) not in (b"", b"\n")


def read(line: bytes, stages: Mapping[str, str] | None = None) -> Record:
    """The record of a line; with `stages`, the stage of each key, its result is held against its stage. Raises UnsoundError."""
    if len(line) >= LONGEST:
        raise UnsoundError("too long")

    def refuse(word: str) -> None:
        raise UnsoundError(f"holds {word}")

    try:
        record = json.loads(line, parse_constant=refuse)
    except UnsoundError:
        raise
    except (ValueError, RecursionError):
        raise UnsoundError("not JSON") from None
    return sound(record, (stages or {}).get(record.get("key", ""), "") if isinstance(record, dict) and isinstance(record.get("key"), str) else "")


def sound(record: Any, stage: str = "") -> Record:
    """The record itself, if it is one. Raises UnsoundError with what is wrong with it."""
    if not isinstance(record, dict) or not isinstance(record.get("key"), str):
        raise UnsoundError("no record")
    seconds = record.get("seconds")
    if seconds is not None and not number(seconds):
        raise UnsoundError("`seconds` is no number")
    if record.get("state") == "failed":
        if not isinstance(record.get("class"), str) or not isinstance(record.get("traceback"), str):
            raise UnsoundError("a failure without class or traceback")
    elif record.get("state") == "done":
        result_of(stage, record.get("result"))
    else:
        raise UnsoundError("no state of a job that is over")
    return record


def result_of(stage: str, result: Any) -> dict[str, Any]:
    """A result that a stage can have. Raises UnsoundError."""
    if not isinstance(result, dict):
        raise UnsoundError("the result is no mapping")
    missing = [name for name in NEEDED.get(stage, ()) if name not in result]
    if missing:
        raise UnsoundError(f"the result lacks `{missing[0]}`")
    if stage == "train" and not (number(result["score"]) and 0 <= result["score"] <= 1):
        raise UnsoundError("the score is no number from 0 to 1")
    for names, right, what in (
        (NUMBERS, number, "number"), (COUNTS, count, "count"), (TRUTHS, lambda v: isinstance(v, bool), "truth value"), (WORDS, lambda v: isinstance(v, str), "text")
    ):  # fmt: skip
        for name in names:
            if result.get(name) is not None and not right(result[name]):
                raise UnsoundError(f"`{name}` is no {what}")
    curve = result.get("curve", [])
    if not isinstance(curve, list) or not all(isinstance(p, list) and all(v is None or number(v) for v in p) for p in curve):
        raise UnsoundError("`curve` is no list of points")
    if not finite(result):
        raise UnsoundError("a number is not finite")
    return result


def number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or isfinite(value)
