"""The toy task as one whose loss falls smoothly, so that halving may stop variants early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tests.sweep.sweep_toy import Toy


@dataclass(frozen=True)
class Smooth(Toy):
    budget: int = 8
    name: str = "smooth"
    smooth: ClassVar[bool] = True


task = Smooth()
