"""Members, estimates and tables in words, as the README shows them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from saved import load, task, told

from anatomy.sweep.findings import Estimate
from anatomy.sweep.results import Entry


def named(entry: Entry) -> str:
    """A member in words: its choices without the space."""
    if entry.role == "control":
        return f"*{entry.name}*"
    return " ".join(v for k, v in entry.choices.items() if k != "space")


def score(entry: Entry, name: str) -> str:
    mine = told(name).scores.get(entry.name)
    return "-" if mine is None else f"{mine.value:.3f}"


def loss(entry: Entry) -> str:
    """Mean loss of the language task, nats a character."""
    runs = [r.loss for r in entry.at(task("characters")) if r.loss is not None]
    return f"{sum(runs) / len(runs):.3f}" if runs else "-"


def rank_of(entry: Entry, name: str) -> int:
    """1 for the best of all members by mean score."""
    mine = entry.score(task(name)) or 0.0
    return 1 + sum((e.score(task(name)) or 0.0) > mine for e in load().members)


def spread(e: Estimate, digits: int = 3) -> str:
    return (
        f"{e.value:+.{digits}f} ({e.low:+.{digits}f} to {e.high:+.{digits}f})"
        if e.low is not None
        else f"{e.value:+.{digits}f}"
    )


def percent(e: Estimate) -> str:
    return f"{e.value:.0%}" + (f" ({max(0.0, e.low):.0%} to {e.high:.0%})" if e.low is not None else "")


def chance(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: Any) -> float | None:
    try:
        value = float(value)
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) else None


def grid(head: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join("---:" if k in right else "---" for k in range(len(head))) + "|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])
