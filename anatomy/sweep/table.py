"""The final table: one row a variant, with nothing in it that depends on when or where it ran."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anatomy.sweep.results import Entry, Results, TaskFacts

Row = dict[str, Any]
HEAD = ("name", "role", "rank", "digest")
CHECK = ("reason", "causal", "finite", "alive", "scale")
BOUND = ("verdict", "upper", "lower", "method", "responsible")
LATER = ("state", "mixer_parameters", "same_as", "pruned", "failures", "aliases", "text")


def rows(found: Results) -> list[Row]:
    """Controls first, then members by rank; the keys of all rows are the same and in the same order.

    `TASK.score` is the mean over seeds with the full budget, `TASK@STEPS.score` with that of a lower rung. A hole whose name is
    that of another column stands under `hole.NAME`. `pruned` is there where halving was asked for.
    """
    measured = tuple(dict.fromkeys(name for e in found.entries for name in e.initialisation))
    taken = {*HEAD, *CHECK, *BOUND, *LATER, *measured}
    holes = {hole: f"hole.{hole}" if hole in taken or "." in hole else hole for hole in found.holes}
    return [_row(found, entry, holes, measured) for entry in found.entries]


def _row(found: Results, entry: Entry, holes: dict[str, str], measured: Sequence[str]) -> Row:
    row: Row = {name: getattr(entry, name) for name in HEAD}
    row |= {column: entry.choices.get(hole, "") for hole, column in holes.items()}
    row["state"] = entry.state
    row |= {name: entry.check.get(name) for name in CHECK}
    row["mixer_parameters"] = entry.check.get("parameters")
    row |= {f"initialisation.{name}": entry.initialisation.get(name) for name in measured}
    row |= {name: entry.bounds.get(name) for name in BOUND}
    for task in found.tasks:
        row |= _trained(entry, task)
    if found.config.halving is not None:
        row["pruned"] = list(dict.fromkeys(f"{r.task}: {r.reason}" for r in entry.runs if r.state == "pruned"))
    row["failures"] = [{"job": f.job, "state": f.state, "class": f.cause, "traceback": f.traceback} for f in entry.failures]
    row["aliases"] = [{"index": index, "reason": reason} for index, reason in entry.aliases]
    row["same_as"] = entry.same_as
    row["text"] = entry.text
    return row


def _trained(entry: Entry, task: TaskFacts) -> Row:
    if not task.budgets:
        return {}
    done, name = entry.at(task), task.label
    lower = {f"{name}@{budget}.score": entry.score(task, budget) for budget in task.budgets[:-1]}
    return {
        **lower,
        f"{name}.score": entry.score(task),
        f"{name}.scores": list(entry.scores(task)),
        f"{name}.trials": [r.trials for r in done],
        f"{name}.steps": [r.steps for r in done],
        f"{name}.loss": [r.loss for r in done],
        f"{name}.diverged": any(r.diverged for r in done) if done else None,
        f"{name}.parameters": done[0].parameters if done else None,
        f"{name}.curves": [r.curve for r in done],
    }


def as_json(table: list[Row]) -> str:
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def as_csv(table: list[Row]) -> str:
    """Numbers in full; lists as JSON; texts, curves and tracebacks stand in the JSON export only."""
    left_out = ("text",)
    names = [k for k in table[0] if k not in left_out and not k.endswith(".curves")] if table else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in table:
        writer.writerow([_cell(k, row[k]) for k in names])
    return out.getvalue()


def _cell(name: str, value: Any) -> str:
    if name == "failures":
        return "; ".join(f"{f['job']}: {f['state']} ({f['class']})" for f in value)
    if name == "pruned":
        return "; ".join(value)
    if name == "aliases":
        return " ".join(str(a["index"]) for a in value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def export(found: Results, path: Path) -> None:
    """Write the table as `.csv` or `.json`, by the name of the file."""
    from anatomy.errors import fail

    writers = {".csv": as_csv, ".json": as_json}
    if path.suffix not in writers:
        raise fail("E806", f"a table is written as .csv or .json, not `{path.suffix or path.name}`")
    path.write_text(writers[path.suffix](rows(found)), "utf-8")
