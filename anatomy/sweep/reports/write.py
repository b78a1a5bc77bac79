"""Gathering what a report needs from a sweep's folder, and writing `report.html` or `report.md`."""

from __future__ import annotations

import os
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.sweep.environment import environment
from anatomy.sweep.findings import Findings
from anatomy.sweep.reports.costs import costs
from anatomy.sweep.reports.diagrams import Diagrams
from anatomy.sweep.reports.library import library
from anatomy.sweep.reports.markdown import markdown
from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.page import page
from anatomy.sweep.reports.pictures import pictures
from anatomy.sweep.results import Results
from anatomy.sweep.task import load_task

PICTURES = 100
"""Variants whose picture is put into the page, best first, unless more are asked for."""
ROOM = 600_000
"""Compressed bytes that pictures may take unless more are asked for."""


def gather(results: Results, findings: Findings, folder: Path, most: int | None = None, plots: bool = True) -> Material:
    """The material of a report. `most` pictures: by default `PICTURES`, fewer where they are large. Words alone need no `plots`."""
    diagrams = Diagrams(results.config)
    known, where = costs(results, diagrams, folder)
    made = environment(results.config, results.evaluator, sum(results.seconds.values())) | data(results)
    bare = Material(results, findings, made, known, where)
    best = bare.order[: PICTURES if most is None else most]
    drawn = pictures(best, diagrams, folder, ROOM if most is None else 1 << 40)
    scored = any(r.score is not None for e in results.entries for r in e.runs)
    code = library(Path(results.config.cache)) if scored and plots else ""
    return Material(results, findings, bare.environment, known, where, drawn, code)


def data(results: Results) -> dict[str, str]:
    """The digests of what each task was trained on, with the first seed; those that can no longer be read are left out."""
    found: dict[str, str] = {}
    for task in results.tasks:
        try:
            found[f"data of {task.label}"] = f"{load_task(task.spec).data_digest(results.config.seed)} (digest, seed {results.config.seed})"
        except (AnatomyError, OSError):
            continue
    return found


def write(material: Material, path: Path) -> Path:
    """Write the words to a path that ends in `.md`, else the page; a kill leaves the old file or the new one."""
    text = markdown(material) if path.suffix == ".md" else page(material)
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, "utf-8")
    os.replace(draft, path)
    return path
