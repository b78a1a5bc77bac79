"""Finished results that sweeps share: one small file for each key."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from anatomy.sweep.evaluate import Record
from anatomy.sweep.transports.records import Journal, UnsoundError, read


class Cache:
    """Finished results of other sweeps, one small file for each key, written whole or not at all.

    What is taken from it goes to a journal of the sweep, so that the journals hold all that the sweep's store holds.
    """

    def __init__(self, folder: Path, journal: Path | None = None):
        self.folder, self.path_of_journal = folder, journal
        self.journal: Journal | None = None
        self.refused = ""
        """Why results could not be written; the sweep itself has them."""

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str, stage: str = "") -> Record | None:
        """A sound result of the key, or None."""
        record = self._there(key, stage)
        if record is None:
            return None
        if self.path_of_journal is not None:
            self.journal = self.journal or Journal(self.path_of_journal)
            self.journal.write(record)
        return record

    def _there(self, key: str, stage: str) -> Record | None:
        try:
            record = read(self.path(key).read_bytes(), {key: stage})
        except (OSError, UnsoundError):
            return None
        return record if record["key"] == key and record["state"] == "done" else None

    def put(self, record: Record, stage: str = "") -> None:
        """Share a result; another sweep may do so at the same time, and what `get` would not take is replaced."""
        if record["state"] != "done" or self._there(record["key"], stage) is not None:
            return
        path = self.path(record["key"])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.draft")
            draft.write_text(json.dumps(record, sort_keys=True), "utf-8")
            os.replace(draft, path)
        except OSError as error:
            self.refused = f"results could not be shared through `{self.folder}`: {error.strerror or error}"

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()
