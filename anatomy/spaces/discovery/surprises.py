"""The equalities that surprise most: members that are one although they were written in the most different ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.spaces.funnel.classes import differing
from anatomy.spaces.funnel.explanation import Explanation, explain
from anatomy.spaces.funnel.record import Funnel

LOOKED_AT = 20_000
"""Merged members that are looked at."""
WEIGHT = {"L1": 0.0, "L2": 1.5, "L3a": 2.0}
"""A merge by laws counts for more than one by names."""


@dataclass(frozen=True)
class Surprise:
    """Two members that are one, how often the same exchange makes two members one, and why they are."""

    why: Explanation
    times: int

    def as_data(self) -> dict[str, Any]:
        return {**self.why.as_data(), "times": self.times}


def surprises(funnel: Funnel, most: int = 10) -> tuple[Surprise, ...]:
    """The merges in which the most decisions differ, one for each exchange of components, with their derivations."""
    found = funnel.found
    aliases = np.flatnonzero(found.algebra != np.arange(funnel.typed))[:LOOKED_AT]
    kinds: dict[tuple[tuple[str, str, str], ...], list[tuple[int, int]]] = {}
    for alias in aliases.tolist():
        kept = int(found.algebra[alias])
        kinds.setdefault(differing(funnel.space, kept, alias), []).append((kept, alias))

    def surprise(item: tuple[tuple[tuple[str, str, str], ...], list[tuple[int, int]]]) -> tuple[float, int]:
        differ, pairs = item
        return -(len(differ) + WEIGHT[funnel.level(pairs[0][1])]), pairs[0][1]

    ordered = sorted(kinds.items(), key=surprise)[:most]
    return tuple(Surprise(explain(funnel.space, *pairs[0]), len(pairs)) for _, pairs in ordered)
