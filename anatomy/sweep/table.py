"""The final table: one row a variant, from the store alone, with nothing in it that depends on when or where it ran."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from anatomy.sweep.store import Store

Row = dict[str, Any]


def rows(store: Store) -> list[Row]:
    """Controls first, then members by rank; the keys of all rows are the same and in the same order."""
    found: list[Row] = []
    tasks = [t for (t,) in store.db.execute("select distinct task from jobs where stage = 'train' order by number")]
    variants = list(store.db.execute("select place, role, name, rank, digest, choices, aliases, text from variants order by place"))
    holes = list(dict.fromkeys(h for v in variants for h in json.loads(v[5])))
    jobs: dict[int, list[tuple[Any, ...]]] = {}
    for job in store.db.execute(
        "select j.place, j.stage, j.task, j.seed, j.state, j.class, r.result, f.traceback, j.key "
        "from jobs j left join results r on r.key = j.key left join failures f on f.key = j.key order by j.place, j.number"
    ):
        jobs.setdefault(job[0], []).append(job)
    for place, role, name, rank, digest, choices, aliases, text in variants:
        mine = jobs.get(place, [])
        picked = json.loads(choices)
        row: Row = {"name": name, "role": role, "rank": rank, "digest": digest, **{h: picked.get(h, "") for h in holes}}
        row["state"] = _state(mine)
        check = _result(mine, "check")
        row |= {k: check.get(k) for k in ("reason", "causal", "finite", "alive", "scale")}
        row["mixer_parameters"] = check.get("parameters")
        bound = _result(mine, "regularity")
        row |= {k: bound.get(k) for k in ("verdict", "upper", "lower", "method", "responsible")}
        for task in tasks:
            row |= _trained(task, [j for j in mine if j[1] == "train" and j[2] == task])
        row["failures"] = [
            {"job": " ".join(filter(None, (j[1], j[2], f"seed {j[3]}"))), "state": j[4], "class": j[5], "traceback": j[7] or ""}
            for j in mine
            if j[4] in ("failed", "rejected")
        ]
        row["aliases"] = [{"index": i, "reason": why} for i, why in json.loads(aliases)]
        row["text"] = text
        found.append(row)
    return found


def _result(jobs: list[tuple[Any, ...]], stage: str) -> dict[str, Any]:
    return next((json.loads(j[6]) for j in jobs if j[1] == stage and j[4] == "done"), {})


def _state(jobs: list[tuple[Any, ...]]) -> str:
    """The worst state of a variant's jobs."""
    states = {j[4] for j in jobs}
    return next((s for s in ("pending", "failed", "rejected") if s in states), "done")


def _trained(task: str, jobs: list[tuple[Any, ...]]) -> Row:
    done = [json.loads(j[6]) for j in jobs if j[4] == "done"]
    scores = [d["score"] for d in done]
    mean = sum(scores) / len(scores) if scores else None
    return {
        f"{task}.score": mean,
        f"{task}.scores": scores,
        f"{task}.trials": [d["trials"] for d in done],
        f"{task}.steps": [d["steps"] for d in done],
        f"{task}.loss": [d.get("loss") for d in done],
        f"{task}.diverged": any(d["diverged"] for d in done) if done else None,
        f"{task}.parameters": done[0]["parameters"] if done else None,
        f"{task}.curves": [d.get("curve", []) for d in done],
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
    if name == "aliases":
        return " ".join(str(a["index"]) for a in value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def export(store: Store, path: Path) -> None:
    """Write the table as `.csv` or `.json`, by the name of the file."""
    from anatomy.errors import fail

    writers = {".csv": as_csv, ".json": as_json}
    if path.suffix not in writers:
        raise fail("E806", f"a table is written as .csv or .json, not `{path.suffix or path.name}`")
    path.write_text(writers[path.suffix](rows(store)), "utf-8")
