"""Studies of published claims about smoothness, reproduced on our diagrams: `anatomy study`."""

from __future__ import annotations

from anatomy.study.measure import Outcome, smoothness
from anatomy.study.settings import Settings, plan

__all__ = ["Outcome", "Settings", "plan", "smoothness"]
