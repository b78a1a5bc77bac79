"""Lipschitz bounds of a few variants, kept by the hash of the diagram."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.spaces.discovery.matching import sizes
from anatomy.spaces.funnel.work import Progress, whole

RADIUS = 1.0
SEED = 0


def bounds(diagrams: Iterable[tuple[int, Diagram]], count: int, folder: Path | None, progress: Progress) -> dict[int, dict[str, Any]]:
    """For every member: verdict, bound, domain, norm and sizes, weights drawn by their initialisers; what is kept is not asked again."""
    found: dict[int, dict[str, Any]] = {}
    progress("certifying", 0, count)
    for done, (rank, diagram) in enumerate(diagrams, 1):
        path = None if folder is None else folder / "bounds" / f"{digest(diagram)}.json"
        if path is not None and path.exists():
            found[rank] = json.loads(path.read_text())
        else:
            found[rank] = bound(diagram)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                whole(path, json.dumps(found[rank]).encode())
        progress("certifying", done, count)
    return found


def bound(diagram: Diagram) -> dict[str, Any]:
    """The verdict on tokens of norm at most 1, with the upper bound in the Frobenius norm and a lower one that is attained."""
    import torch

    from anatomy.compiler import DIFFERENTIABLE, build
    from anatomy.regularity.verdict import check

    at = sizes(diagram)
    if at is None:
        return {"verdict": "unknown", "why": "no sizes"}
    try:
        module = build(diagram, at, seed=SEED, dtype=torch.float64, passes=DIFFERENTIABLE)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        weights = {k: v.detach().numpy() for k, v in module.state_dict().items()}
        made = check(diagram, at, weights, RADIUS, "frobenius", module, SEED, growth=False)
    except AnatomyError as error:
        return {"verdict": "unknown", "why": str(error.diagnostics[0].message)}
    shown = {a: n for a, n in at.items() if "." not in a and "~" not in a}
    return {
        "verdict": made.verdict, "upper": made.upper, "lower": made.lower, "domain": made.domain, "norm": made.norm,
        "method": made.method, "whole_space": made.certificate.get("whole_space"), "sizes": shown,
    }  # fmt: skip
