"""What one forward pass of a mixer costs, counted from its diagram at the sizes of the first task."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.ir.analysis import flops
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import concerning, solve
from anatomy.sweep.reports.diagrams import Diagrams
from anatomy.sweep.results import Results
from anatomy.sweep.sizes import bound_sizes
from anatomy.sweep.task import load_task

NAME = "costs.json"


def cost(diagram: Diagram, tokens: int, features: int, sizes: Mapping[str, int]) -> int | None:
    """Floating-point operations of a mixer for one row, or None where its sizes do not fit.

    The model is `anatomy.ir.analysis.flops`: every box at the points of its own axes and lifts.
    """
    try:
        return solve(diagram, bound_sizes(diagram, tokens, features, concerning(diagram, sizes))).size(flops(diagram)).constant()
    except (AnatomyError, ValueError):
        return None


def costs(results: Results, diagrams: Diagrams, folder: Path) -> tuple[dict[str, int], str]:
    """Costs by name, and at which sizes; counted once and kept in the sweep's folder."""
    task = load_task(results.tasks[0].label) if results.tasks else None
    tokens, features = (task.length, task.width) if task else (32, 64)
    where = f"{tokens} tokens of {features} features"
    kept = folder / "pictures" / NAME
    try:
        known: dict[str, int | None] = json.loads(kept.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    found: dict[str, int] = {}
    fresh = False
    for entry in results.entries:
        told = entry.check.get("flops", entry.initialisation.get("flops"))
        if told is None:
            key = f"{entry.digest} {tokens} {features} {json.dumps(results.config.sizes, sort_keys=True)}"
            if key not in known:
                diagram = diagrams(entry)
                known[key] = None if diagram is None else cost(diagram, tokens, features, results.config.sizes)
                fresh = True
            told = known[key]
        if told is not None:
            found[entry.name] = int(told)
    if fresh:
        keep(kept, json.dumps(known, indent=0, sort_keys=True))
    return found, where


def keep(path: Path, text: str) -> None:
    """Write for the next report; a folder that cannot be written to only costs time."""
    try:
        path.parent.mkdir(exist_ok=True)
        draft = path.with_name(path.name + ".draft")
        draft.write_text(text, "utf-8")
        os.replace(draft, path)
    except OSError:
        pass
