"""The data of a page: columns for the table and the plots, details by variant, learning curves; plain JSON without a decision in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.rounding import outward
from anatomy.sweep.results import Entry, TaskFacts

Column = dict[str, Any]
INITIALISATION = {
    "gain": "at initialisation: root mean square of the output over that of the input",
    "input_gradient": "at initialisation: how much the gradient grows on its way to the input",
    "weight_gradient": "at initialisation: norm of the gradient in all weights over that of the cotangent",
    "similarity": "at initialisation: mean cosine between the outputs at two tokens; 1 where all have become one",
    "stable_rank": "at initialisation: stable rank of the output over that of the input",
    "effective_rank": "at initialisation: effective rank of the output over that of the input",
}
MOST_POINTS, MOST_RUNS = 40, 1_000
"""Points of a learning curve; a third of them when there are more runs than this."""


def core(material: Material) -> dict[str, Any]:
    """What the table, the plots and the filters need, column by column, in the order of the entries.

    A column is {key, title, kind, hint, shown, values}: kind `text`, `number` (values are numbers, null, or text for what is
    not finite), or `choice` (`options`, and values are their indices). Columns of scores also hold `low` and `high`.
    """
    results = material.results
    entries = results.entries
    columns = [
        _text("name", "variant", [e.name for e in entries], "the name by which it is swept"),
        _choice("role", "role", [e.role for e in entries], "a member of the space, or a control that is in every sweep", shown=False),
        *(_choice(f"hole.{h}", h, [e.choices.get(h) for e in entries], f"option of the part {h}") for h in results.holes),
    ]
    for task in results.tasks:
        columns += _task(material, task)
    columns += _facts(material)
    columns += _initialisation(entries)
    columns.append(_choice("state", "state", [e.state for e in entries], "the worst state of its jobs", shown=any(e.state != "done" for e in entries)))
    return {
        "space": results.config.space,
        "holes": list(results.holes),
        "tasks": [
            {"label": t.label, "budgets": list(t.budgets), "chance": t.chance, "likely": t.likely, "supported": material.ranks(t),
             "front": {key: front(material, t, key) if material.ranks(t) else [] for key in ("parameters", "flops", "upper")}}
            for t in results.tasks
        ],
        "columns": columns,
        "pictured": [k for k, e in enumerate(entries) if e.name in material.pictures],
        "best": [e.place for e in material.order[:5]],
        "agreements": [[a.first, a.second] for a in material.findings.agreements],
        "measured": material.measured,
    }  # fmt: skip


def _text(key: str, title: str, values: list[str], hint: str) -> Column:
    return {"key": key, "title": title, "kind": "text", "hint": hint, "shown": True, "values": values}


def _choice(key: str, title: str, values: Sequence[str | None], hint: str, shown: bool = True) -> Column:
    options = sorted({v for v in values if v is not None})
    at = {v: k for k, v in enumerate(options)}
    found = [None if v is None else at[v] for v in values]
    return {"key": key, "title": title, "kind": "choice", "hint": hint, "shown": shown, "options": options, "values": found}


def _number(key: str, title: str, values: Sequence[Any], hint: str, form: str, shown: bool = True, **more: Any) -> Column:
    return {"key": key, "title": title, "kind": "number", "hint": hint, "shown": shown, "form": form, "values": [number(v) for v in values], **more}


def number(value: Any) -> Any:
    """A number in six digits, as JSON can hold it.

    >>> number(0.12345678), number(float("inf")), number("inf"), number(None), number(3)
    (0.123457, 'inf', 'inf', None, 3)
    """
    if isinstance(value, float):
        return float(f"{value:.6g}") if isfinite(value) else str(value)
    return value


def _task(material: Material, task: TaskFacts) -> Iterable[Column]:
    entries = material.results.entries
    found = [material.estimate(e, task) for e in entries]
    yield _number(
        f"score.{task.label}", task.label, [f and f.value for f in found],
        f"score on {task.label}, mean over seeds; 0 to 1, higher is better" + (f"; chance is {task.chance:.3g}" if task.chance is not None else ""),
        "score", task=task.label, low=[number(f and f.low) for f in found], high=[number(f and f.high) for f in found],
    )  # fmt: skip
    told = material.findings_of.get(task.label)
    groups = told.groups if told else ()
    group = {name: k + 1 for k, names in enumerate(groups) for name in names}
    letters = told.letters if told else {}
    if letters:
        hint = f"letters on {task.label}: variants that share none can be told apart"
        yield _choice(f"letters.{task.label}", "letters", [letters.get(e.name) for e in entries], hint, shown=len(set(letters.values())) <= 40)
    if group:
        hint = f"group on {task.label}: members of one cannot be told from its best"
        yield _number(f"group.{task.label}", "group", [group.get(e.name) for e in entries], hint, "count", shown=not letters or len(set(letters.values())) > 40)
    if told and told.solved:
        steps = [told.solved.get(e.name) for e in entries]
        low, high = [number(s and s.low) for s in steps], [number(s and s.high) for s in steps]
        yield _number(f"solved.{task.label}", "solved at", [s and s.value for s in steps], f"steps until {task.label} was solved, where every seed solved it", "steps", low=low, high=high)
    losses = [[r.loss for r in e.at(task) if r.loss is not None] if task.budgets else [] for e in entries]
    if any(losses):
        means = [sum(x) / len(x) if x else None for x in losses]
        yield _number(f"loss.{task.label}", f"loss {task.label}", means, f"loss on {task.label}, mean over seeds", "short", shown=False)
    if any(r.diverged for e in entries for r in e.runs if r.task == task.label):
        counts = [sum(r.diverged for r in e.at(task)) if task.budgets else 0 for e in entries]
        yield _number(f"diverged.{task.label}", f"diverged {task.label}", counts, f"trainings on {task.label} that diverged", "count", shown=False)


def _facts(material: Material) -> Iterable[Column]:
    results = material.results
    entries = results.entries
    yield _number("parameters", "parameters", [e.check.get("parameters") for e in entries], "learned numbers of one mixing layer", "count")
    if material.costs:
        hint = f"floating-point operations of one forward pass of the mixer, {material.measured}"
        yield _number("flops", "FLOPs", [material.costs.get(e.name) for e in entries], hint, "big")
    if any(e.bounds for e in entries):
        where = f"radius {results.config.radius:g}, norm {results.config.norm}, at initialisation"
        yield _choice("verdict", "regularity", [_words(e.bounds.get("verdict")) for e in entries], f"what is known of its Lipschitz constant; {where}")
        upper = [bound(e, "upper", True) for e in entries]
        yield _number("upper", "bound ≤", upper, f"proved upper bound of the Lipschitz constant, rounded up; {where}", "bound")
        lower = [bound(e, "lower", False) for e in entries]
        yield _number("lower", "attained ≥", lower, f"attained lower bound of the Lipschitz constant, rounded down; {where}", "bound", shown=False)
    yield _choice("causal", "causal", [_words(e.check.get("causal")) for e in entries], "no output reads a later token: tested by changing them", shown=False)
    yield _number("scale", "scale", [e.check.get("scale") for e in entries], "root mean square of the output over that of the input at initialisation", "short", shown=False)  # fmt: skip
    yield _number("merged", "same", [len(e.aliases) or None for e in entries], "members that are the same diagram and were not trained again", "count", shown=False)  # fmt: skip


def _initialisation(entries: Sequence[Entry]) -> Iterable[Column]:
    keys = dict.fromkeys(k for e in entries for k, v in e.initialisation.items() if isinstance(v, int | float) and not isinstance(v, bool))
    for key in keys:
        if key not in ("flops", "scale") and not key.endswith("_spread"):
            values = [e.initialisation.get(key) for e in entries]
            yield _number(f"init.{key}", key.replace("_", " "), values, INITIALISATION.get(key, f"at initialisation: {key.replace('_', ' ')}"), "short", shown=False)


def bound(entry: Entry, key: str, up: bool) -> Any:
    """A bound rounded outward; `inf` stays text, and a lower bound above which nothing is known stays None."""
    return outward(entry.bounds.get(key), up)


def _words(value: Any) -> str | None:
    return None if value is None else {True: "yes", False: "no"}.get(value, str(value).replace("_", " "))


def front(material: Material, task: TaskFacts, key: str) -> list[int]:
    """The entries that no other beats in score and cost, by cost: none is as cheap with a higher score, or cheaper with as high a score."""
    points: list[tuple[float, float, int]] = []
    for k, entry in enumerate(material.results.entries):
        found = material.estimate(entry, task)
        cost = {"parameters": entry.check.get("parameters"), "flops": material.costs.get(entry.name), "upper": bound(entry, "upper", True)}[key]
        if found is not None and isinstance(cost, int | float) and isfinite(cost):
            points.append((cost, -found.value, k))
    best: list[int] = []
    top = float("-inf")
    for _, y, k in sorted(points):
        if -y > top:
            best.append(k)
            top = -y
    return best


def details(material: Material) -> list[dict[str, Any]]:
    """What an opened row shows, by entry. Runs are [task, budget, seed, state, reason, score, loss, steps, diverged, rate, edge]."""
    config = material.results.config
    place = {t.label: k for k, t in enumerate(material.results.tasks)}
    return [
        {
            "digest": e.digest,
            "text": e.text,
            "command": config.command(rank=e.rank) if e.rank is not None else "",
            "aliases": [list(a) for a in e.aliases],
            "check": dict(e.check),
            "init": dict(e.initialisation),
            "bounds": {**e.bounds, "upper": number(bound(e, "upper", True)), "lower": number(bound(e, "lower", False)), "ratio": number(e.bounds.get("ratio"))} if e.bounds else {},
            "same": e.same_as,
            "runs": [[place.get(r.task, r.task), r.budget, r.seed, r.state, r.reason, number(r.score), number(r.loss), r.steps, r.diverged, number(r.rate), r.edge] for r in e.runs],
            "failures": [[f.job, f.state, f.cause, f.traceback] for f in e.failures],
        }
        for e in material.results.entries
    ]  # fmt: skip


def curves(material: Material) -> dict[str, Any]:
    """Learning curves: `runs` by entry is a list of [task, seed, steps, scores, losses]; `thinned` says whether points were left out."""
    place = {t.label: k for k, t in enumerate(material.results.tasks)}
    count = sum(bool(r.curve) for e in material.results.entries for r in e.runs)
    most = MOST_POINTS if count <= MOST_RUNS else MOST_POINTS // 3
    thinned = False
    runs: list[list[Any]] = []
    for entry in material.results.entries:
        mine: list[Any] = []
        for r in entry.runs:
            points = thin([p for p in r.curve if len(p) >= 2], most)
            thinned |= len(points) < len(r.curve)
            if len(points) > 1:
                short = [[_four(p[1]) for p in points], [_four(p[2]) if len(p) > 2 else None for p in points]]
                mine.append([place.get(r.task, 0), r.seed, [int(p[0]) for p in points], *short])
        runs.append(mine)
    return {"runs": runs, "thinned": thinned, "most": most}


def thin(points: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly, with the first and the last.

    >>> thin(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(points) <= most:
        return list(points)
    return [points[round(k * (len(points) - 1) / (most - 1))] for k in range(most)]


def _four(value: float) -> Any:
    return float(f"{value:.4g}") if isfinite(value) else None


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
