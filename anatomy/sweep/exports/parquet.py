"""Parquet, by DuckDB's writer: typed columns, numbers and lists of numbers as such, infinities as infinities."""

from __future__ import annotations

from pathlib import Path

from anatomy.sweep.exports import frames
from anatomy.sweep.exports.query import connected, quoted
from anatomy.sweep.results import Results


def write(found: Results, path: Path, runs: bool) -> None:
    """Raises AnatomyError E806 where DuckDB is not installed."""
    name = "runs" if runs else "variants"
    db = connected({name: frames.FRAMES[name](found)})
    try:
        db.execute(f"copy {quoted(name)} to '{str(path).replace(chr(39), chr(39) * 2)}' (format parquet)")
    finally:
        db.close()
