"""Regularity as a column of a sweep: bounds at initialisation. It is measured for all and never prunes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from anatomy.ir.graph import Diagram
from anatomy.sweep.sizes import bound_sizes

if TYPE_CHECKING:
    from anatomy.regularity import Norm

TOKENS, FEATURES = 16, 16
"""The sizes at which every mixer is certified; constants grow with both, so one sweep uses one pair."""
KEPT = ("verdict", "domain", "norm", "upper", "lower", "ratio", "method", "responsible")


def certify(diagram: Diagram, sizes: Mapping[str, int], radius: float, norm: str, seed: int) -> dict[str, Any]:
    """Verdict and bounds of a mixer with weights drawn by its initialisers.

    Whatever goes wrong in the check, a lower bound above the upper one included, is raised and becomes a failed
    job with its traceback: it is never softened to `unknown`.
    """
    from anatomy.api import regularity

    found = regularity(diagram, bound_sizes(diagram, TOKENS, FEATURES, sizes), radius, cast("Norm", norm), seed)
    data = found.model_dump(mode="python")
    return {key: plain(data.get(key)) for key in KEPT}


def plain(value: Any) -> Any:
    """As JSON: numbers that are not finite as text, everything that is no number or text as text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value) if isfinite(value) else str(float(value))
    return str(value)
