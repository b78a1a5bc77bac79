"""The five tables of a sweep, with named and typed columns: variants, runs, curves, failures, holes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from anatomy.sweep.results import Results
from anatomy.sweep.table import rows

SPECIAL = frozenset(("inf", "-inf", "nan"))
RUN = ("task", "budget", "seed", "key", "state", "reason", "score", "loss", "trials", "steps", "diverged", "solved", "rate", "parameters")


@dataclass(frozen=True)
class Frame:
    """A table. `kinds` are SQL types: boolean, bigint, double, double[] or varchar; lists of anything else are JSON in text."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    columns: tuple[tuple[Any, ...], ...]

    @property
    def rows(self) -> Iterable[tuple[Any, ...]]:
        return zip(*self.columns, strict=True)


def variants(found: Results) -> Frame:
    """The wide table: one row a variant, controls first."""
    table = rows(found)
    return frame(tuple(table[0]) if table else ("name",), (tuple(row.values()) for row in table))


def runs(found: Results) -> Frame:
    """The long table: one row a training, with the choices of its variant."""
    holes = tuple(f"hole.{h}" for h in found.holes)
    full = {task.label: task.budgets[-1] for task in found.tasks if task.budgets}
    names = ("variant", "role", "rank", *holes, *RUN, "full_budget")
    return frame(
        names,
        (
            (e.name, e.role, e.rank, *(e.choices.get(h) for h in found.holes), *(getattr(r, name) for name in RUN), r.budget == full.get(r.task))
            for e in found.entries
            for r in e.runs
        ),
    )


def curves(found: Results) -> Frame:
    """Every point of every learning curve."""
    names = ("variant", "task", "budget", "seed", "step", "score", "loss")
    return frame(names, ((e.name, r.task, r.budget, r.seed, *(*p, None, None, None)[:3]) for e in found.entries for r in e.runs for p in r.curve))


def failures(found: Results) -> Frame:
    names = ("variant", "job", "state", "cause", "traceback")
    return frame(names, ((e.name, f.job, f.state, f.cause, f.traceback) for e in found.entries for f in e.failures))


def holes(found: Results) -> Frame:
    """One row a choice."""
    return frame(("variant", "rank", "hole", "option"), ((e.name, e.rank, h, o) for e in found.entries for h, o in e.choices.items()))


FRAMES: dict[str, Callable[[Results], Frame]] = {"variants": variants, "runs": runs, "curves": curves, "failures": failures, "holes": holes}


def frame(names: Sequence[str], data: Iterable[Sequence[Any]]) -> Frame:
    """Columns of rows, each with the narrowest kind that holds all its values."""
    columns = tuple(zip(*data, strict=True)) or tuple(() for _ in names)
    typed = [_typed(name, column) for name, column in zip(names, columns, strict=True)]
    return Frame(tuple(names), tuple(kind for kind, _ in typed), tuple(column for _, column in typed))


USUAL = {
    "rank": "bigint", "budget": "bigint", "seed": "bigint", "step": "bigint", "steps": "bigint", "trials": "bigint", "parameters": "bigint", "score": "double",
    "loss": "double", "rate": "double", "upper": "double", "lower": "double", "scale": "double", "causal": "boolean", "diverged": "boolean", "solved": "boolean",
}  # fmt: skip
"""Kinds of columns that may be empty, so that a table has the same ones in every sweep."""


def _typed(name: str, column: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    values = [v for v in column if v is not None]
    if not values:
        return USUAL.get(name, "varchar"), tuple(column)
    if all(isinstance(v, bool) for v in values):
        return "boolean", tuple(column)
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return ("double" if USUAL.get(name) == "double" else "bigint"), tuple(column)
    if all(_number(v) or (isinstance(v, str) and v in SPECIAL) for v in values) and (USUAL.get(name) == "double" or any(map(_number, values))):
        return "double", tuple(None if v is None else float(v) for v in column)
    if all(isinstance(v, list | tuple) and all(w is None or _number(w) for w in v) for v in values):
        return "double[]", tuple(None if v is None else [None if w is None else float(w) for w in v] for v in column)
    return "varchar", tuple(v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in column)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
