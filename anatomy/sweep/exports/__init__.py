"""What a sweep found, for other programs: one file a format, each from `Results` alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from anatomy.errors import fail
from anatomy.sweep.exports import parquet, studies, text
from anatomy.sweep.results import Results

FORMATS: dict[str, Callable[[Results, Path, bool], None]] = {
    ".csv": text.write_csv, ".json": text.write_json, ".parquet": parquet.write, ".sqlite": studies.write, ".db": studies.write
}  # fmt: skip


def write(found: Results, path: Path, runs: bool = False) -> None:
    """Write the table, one row a variant, or with `runs` one row a training; a kill leaves the old file or the new one.

    Raises AnatomyError E806 where there is no such format, or what writes it is not installed.
    """
    writer = FORMATS.get(path.suffix)
    if writer is None:
        known = ", ".join(FORMATS)
        raise fail("E806", f"no results are written as `{path.suffix or path.name}`", help=f"the suffix of the file chooses among {known}")
    draft = path.with_name(f".{path.stem}.draft{path.suffix}")
    try:
        writer(found, draft, runs)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
