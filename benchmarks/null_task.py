"""A task that trains nothing: what is left of a job is the sweep's own work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Nothing:
    length: int = 8
    width: int = 8
    budget: int = 1
    name: str = "nothing"
    causal: bool = True

    def digest(self) -> str:
        return "nothing"

    def data_digest(self, seed: int) -> str:
        return str(seed)

    def train(self, mixer: Callable[[int], Any], seed: int, budget: int) -> dict[str, Any]:
        curve = [[k, 0.5, 0.5] for k in range(20)]
        return {"score": 0.5, "loss": 0.5, "steps": budget, "solved": False, "diverged": False, "trials": 1, "parameters": 0, "curve": curve}


task = Nothing()
