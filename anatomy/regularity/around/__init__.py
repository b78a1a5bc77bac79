"""Bounds on one ball round given inputs, and branch and bound over small domains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.ir.bound import INF, Unproved, add
from anatomy.ir.graph import Diagram
from anatomy.regularity.around.branch import Branched, branch
from anatomy.regularity.around.nodes import Cells
from anatomy.regularity.around.remainder import greatest
from anatomy.regularity.around.trace import trace
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.regularity.tensor import TooLarge, frobenius

__all__ = ["NAME", "Around", "Branched", "bound", "branch", "narrowed"]

NAME = "local rule"


@dataclass(frozen=True)
class Around:
    """A sound upper bound on a ball, the rule that gave it, and what every rule gave."""

    value: float
    method: str
    trail: list[dict[str, Any]]


def bound(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], centre: Sequence[np.ndarray], radius: float
) -> Around:
    """The Lipschitz constant near given inputs: an upper bound in the Frobenius norms.

    sup ||J(x)|| over ||x - centre||_F <= radius, where all real inputs, [their layouts], are one vector.
    Raises `Stuck` where no rule applies.
    """
    full = sizes_of(diagram, sizes)
    real = [i for i in diagram.inputs if diagram.wires[i.wire].kind.name == "real"]
    arrays = {i.wire: np.asarray(x, dtype=np.float64) for i, x in zip(real, centre, strict=True)}
    for item in real:
        shape = tuple(full[a] for a in item.layout)
        if arrays[item.wire].shape != shape:
            raise Stuck("inputs", f"`{item.name}` has shape {arrays[item.wire].shape}, wanted {shape}")
        if not np.all(np.isfinite(arrays[item.wire])):
            raise Stuck("inputs", f"`{item.name}` holds a value that is not finite")
    if not (0 <= radius < INF):
        raise Stuck("inputs", f"a ball of radius {radius} has no local rule")
    reach = max((float(frobenius(x, 1).max(initial=0.0)) if x.ndim else abs(float(x)) for x in arrays.values()), default=0.0)
    reach = add(reach, radius)
    trail: list[dict[str, Any]] = []
    found: list[tuple[float, str]] = []
    why: Stuck | None = None
    known = None
    try:
        whole = compose(diagram, full, weights, reach)
        known = whole.bounds
        if math.isfinite(whole.triple.two):
            found.append((whole.triple.two, whole.method))
        trail.append({"rule": f"every token of norm at most {reach:g}: {whole.method}", "lipschitz": whole.triple.two})
    except Stuck as stuck:
        why = stuck
        trail.append({"rule": f"every token of norm at most {reach:g}", "reason": str(stuck)})
    for order in (3, 2, 1):
        cells = Cells({w: x[None] for w, x in arrays.items()}, np.array([radius]), order, dict(full))
        if _entries(cells, arrays, order) > 2_000_000:
            continue
        try:
            program = trace(diagram, full, weights, reach, known, cells)
            value = float(greatest(program.outputs, cells)[0])
        except TooLarge:
            continue
        except (Stuck, Unproved) as stuck:
            why = why or (stuck if isinstance(stuck, Stuck) else Stuck("local rule", str(stuck)))
            trail.append({"rule": NAME, "reason": str(stuck)})
            break
        trail.append({"rule": f"{NAME}, derivatives to order {order} at the centre", "lipschitz": value})
        if math.isfinite(value):
            found.append((value, f"{NAME} of order {order}"))
        break
    if not found:
        raise why or Stuck("local rule", "no bound is finite")
    value, method = min(found)
    return Around(value, method, trail)


def narrowed(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float, seconds: float, upper: float, method: str
) -> tuple[float, str]:
    """A bound on token balls and its method, improved by branch and bound in that time where it can be."""
    try:
        found = branch(diagram, sizes, weights, radius, seconds=seconds)
    except Stuck:
        return upper, method
    return (found.upper, f"branch and bound ({found.cells} cells)") if found.upper < upper else (upper, method)


def _entries(cells: Cells, arrays: Mapping[int, np.ndarray], order: int) -> float:
    """The entries of the greatest derivative of a wire as large as all inputs together."""
    return float(cells.length) ** (order + 1)
