"""What a member computes in float64 at the points of comparison, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

import numpy as np

from anatomy.ir.graph import Diagram
from anatomy.rewrites.dual import Duals
from anatomy.rewrites.evaluate import Machine
from anatomy.rewrites.tensor import Abstain, Tensor
from anatomy.spaces.funnel.points import Naming, Point, normals, others, sizes_at

TOLERANCE = 1e-8
"""Difference, relative to the greatest entry, up to which two results count as one."""


@dataclass(frozen=True)
class Values:
    """The outputs at one point as one row of numbers, and whether they move when the inputs do."""

    shapes: tuple[tuple[int, ...], ...]
    row: np.ndarray
    moves: bool


def values(diagram: Diagram, point: Point, naming: Naming, seed: int = 0, scale: float = 1.0) -> Values | None:
    """The outputs where inputs and weights are normal numbers times `scale`; None where they are not computed here.

    The derivative along one random direction of all inputs tells whether the outputs move.
    """
    sizes = sizes_at(diagram, point, naming)
    if sizes is None:
        return None
    wires: dict[int, Tensor] = {}
    for k, item in enumerate(diagram.inputs):
        shape = tuple(sizes[a] for a in item.layout)
        along = normals(seed, f"direction {k}", prod(shape))
        drawn = zip(normals(seed, f"input {k}", prod(shape)), along, strict=True)
        wires[item.wire] = others(diagram, k, sizes, seed) or Tensor(item.layout, shape, [(scale * v, t) for v, t in drawn])
    for k, weight in enumerate(diagram.weights):
        name, axes = naming.weights.get(k, (weight.key, weight.layout))
        shape = tuple(sizes[a] for a in axes)
        wires[weight.wire] = Tensor(axes, shape, [(scale * v, 0.0) for v in normals(seed, f"weight {name}", prod(shape))])
    try:
        found = Machine(diagram, sizes, Duals(), wires).run()
    except (Abstain, OverflowError, ZeroDivisionError, ValueError, KeyError):  # KeyError: a box names an axis that its wire repeats
        return None
    laid = [t.laid(o.layout, sizes) for t, o in zip(found, diagram.outputs, strict=True)]
    entries = [e if isinstance(e, tuple) else (float(e), 0.0) for t in laid for e in t.data]
    moves = any(t != 0.0 for _, t in entries)
    return Values(tuple(t.shape for t in laid), np.array([e for e, _ in entries]), moves)


def alike(a: Values, b: Values, undefined: bool = False) -> bool:
    """Whether two rows are one up to rounding; with `undefined`, what is no number on both sides is not compared."""
    if a.shapes != b.shapes:
        return False
    x, y = a.row, b.row
    if undefined:
        kept = np.isfinite(x) | np.isfinite(y)
        x, y = x[kept], y[kept]
    finite = np.abs(x[np.isfinite(x)])
    most = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE * max(most, 1e-300), equal_nan=True))


def apart(a: Values, b: Values) -> float:
    """The greatest difference of two entries; infinite where one is not a number and the other is, or the shapes differ."""
    if a.shapes != b.shapes:
        return math.inf
    x, y = a.row, b.row
    with np.errstate(invalid="ignore"):
        gap = np.abs(x - y)
    gap[(x == y) | (np.isnan(x) & np.isnan(y))] = 0.0
    return float(np.nan_to_num(gap, nan=math.inf).max(initial=0.0))
