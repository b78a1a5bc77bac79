"""CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from anatomy.sweep import table
from anatomy.sweep.exports import frames
from anatomy.sweep.results import Results


def write_csv(found: Results, path: Path, runs: bool) -> None:
    """Numbers in full, nothing for what is not known; lists as JSON; texts, curves and tracebacks stand in the other formats only."""
    path.write_text(_csv(frames.runs(found)) if runs else table.as_csv(table.rows(found)), "utf-8", newline="")


def write_json(found: Results, path: Path, runs: bool) -> None:
    if not runs:
        path.write_text(table.as_json(table.rows(found)), "utf-8", newline="")
        return
    long = frames.runs(found)
    path.write_text(json.dumps([dict(zip(long.names, row, strict=True)) for row in long.rows], indent=1, ensure_ascii=False) + "\n", "utf-8", newline="")


def _csv(frame: frames.Frame) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(frame.names)
    writer.writerows(["" if v is None else v if isinstance(v, str) else json.dumps(v) for v in row] for row in frame.rows)
    return out.getvalue()
