"""What was measured: one line of JSON for each cell, appended whole, so that a stop at any moment loses one cell at most."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anatomy.errors import fail

NAME = "cells.jsonl"


class Store:
    """The cells of one study in a folder. Raises AnatomyError E811 where the folder holds a study with other settings."""

    def __init__(self, folder: Path, conditions: Mapping[str, Any]):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self.cells: dict[str, dict[str, Any]] = {}
        held: Any = None
        whole = b""
        for line in self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []:
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                record = None
            if not isinstance(record, dict):
                continue  # torn by a stop: its cell is measured again
            whole += line
            if "conditions" in record:
                held = record["conditions"]
            elif "cell" in record:
                self.cells[record["cell"]] = record["value"]
        if held is not None and held != dict(conditions):
            differing = ", ".join(sorted(k for k in {*held, *conditions} if held.get(k) != conditions.get(k)))
            raise fail("E811", f"`{folder}` holds a study that differs in: {differing}", help="name another folder with --out")
        if self.path.exists() and whole != self.path.read_bytes():
            draft = self.path.with_suffix(".draft")
            draft.write_bytes(whole)
            os.replace(draft, self.path)
        if held is None:
            self._append({"conditions": dict(conditions)})

    def __contains__(self, cell: str) -> bool:
        return cell in self.cells

    def put(self, cell: str, value: dict[str, Any]) -> None:
        self._append({"cell": cell, "value": value})
        self.cells[cell] = value

    def _append(self, record: dict[str, Any]) -> None:
        line = (json.dumps(record, sort_keys=True, allow_nan=False) + "\n").encode()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
