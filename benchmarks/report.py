"""Where a benchmark writes: its figures beside its script, and its table between its marks in the README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def publish(file: str, figures: dict[str, Any], mark: str, script: str, table: str) -> None:
    """Write the figures to a file, and the table in place of what stood between `<!-- mark: written by script -->` and `<!-- mark: end -->`."""
    (HERE / file).write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    page = HERE / "README.md"
    text = page.read_text("utf-8")
    first, last = f"<!-- {mark}: written by {script} -->\n", f"<!-- {mark}: end -->"
    if first not in text or last not in text:
        raise SystemExit(f"{page} has no place for the table: {first.strip()} and {last}")
    page.write_text(f"{text.partition(first)[0]}{first}\n{table}\n\n{last}{text.partition(last)[2]}", "utf-8")
