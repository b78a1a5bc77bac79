"""What a bound is spent on, and what would reduce it: every figure is a bound computed anew, none is a rule of thumb.

The exponent of a weight W is d log K(s W) / d log s at s = 1, taken between s = 1 and s = 1/2: 1 for a value projection, about 2
in all for the projections of a score, 0 where the bound does not feel it. A remedy is a changed problem with its bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anatomy.ir.bound import INF, Unproved, mul, root, up
from anatomy.ir.graph import Diagram, Weight
from anatomy.regularity.compose import Composition, Stuck, compose

NORMALISERS = ("softmax", "sparsemax", "entmax", "sinkhorn")
WEIGHTS, PAIRS, SHOWN = 12, 6, 3
EPS = 0.01
"""The eps of the normalisation that is offered as a remedy."""
WORTH = 0.9
"""A remedy is told where it takes at least a tenth off."""


def advise(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float,
    here: Composition, constant: Callable[[Composition], float],
) -> dict[str, Any]:  # fmt: skip
    """`operations` with the factor by which each multiplies the derivative, `weights` with their exponents, `remedies`."""
    bound = constant(here)

    def again(changed: Mapping[str, np.ndarray], r: float = radius) -> float:
        try:
            return constant(compose(diagram, sizes, {**weights, **changed}, r))
        except (Stuck, Unproved):
            return INF

    found: dict[str, Any] = {"operations": _operations(here), "weights": [], "remedies": []}
    if not 0 < bound < INF:
        return found
    half = {}
    for weight in diagram.weights[:WEIGHTS]:
        key = next((k for k in weight.keys if k in weights), None)
        if key is not None and np.any(weights[key]):
            half[key] = again({key: weights[key] / 2})
    table = [{"weight": k, "exponent": round(math.log2(bound / v), 4), "halved": v} for k, v in half.items() if 0 < v < INF]
    found["weights"] = sorted(table, key=lambda row: -row["exponent"])
    found["remedies"] = sorted(_remedies(diagram, sizes, weights, radius, bound, half, again), key=lambda row: row["bound"])
    return found


def _operations(here: Composition) -> list[dict[str, Any]]:
    """The operations that multiply the derivative the most."""
    rows = [{"op": step["op"], "factor": step["factor"]} for step in here.trail if 1 < step.get("factor", 0.0) < INF]
    return sorted(rows, key=lambda row: -row["factor"])[:SHOWN]


def _remedies(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float, bound: float,
    half: Mapping[str, float], again: Callable[..., float],
) -> list[dict[str, Any]]:  # fmt: skip
    rows: list[dict[str, Any]] = []

    def tell(change: str, value: float) -> None:
        if value <= WORTH * bound:
            rows.append({"change": change, "bound": value})

    scoring = [w.keys[0] for w in scored_by(diagram)]
    hot = [k for k in scoring if half.get(k, INF) < INF]
    if hot:
        key = min(hot, key=lambda k: half[k])
        tell(f"scores at half the scale (a temperature of 2, or `{key}` halved)", half[key])
    if 0 < radius < INF:
        tell(f"tokens of norm at most {radius / 2:g}", again({}, radius / 2))
    for first, second in _alike(weights, scoring):
        tell(f"tied projections: `{second}` the same as `{first}`", again({second: weights[first]}))
    real = [i for i in diagram.inputs if diagram.wires[i.wire].kind.name == "real"]
    if again({}, INF) == INF and len(real) == 1 and real[0].layout:
        width = sizes[real[0].layout[-1]]
        # |d rmsnorm| <= 1 / sqrt(eps), and its values have norm at most sqrt(width).
        value = mul(again({}, root(float(width))), up(1 / math.sqrt(EPS)))
        if value < INF:
            rows.append({"change": f"`rmsnorm[{real[0].layout[-1]}, eps={EPS:g}]` before it: Lipschitz everywhere", "bound": value})
    return rows


def _alike(weights: Mapping[str, np.ndarray], keys: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(a, b) for i, a in enumerate(keys) for b in keys[i + 1 :]]
    return [(a, b) for a, b in pairs if a in weights and b in weights and weights[a].ndim > 1 and weights[a].shape == weights[b].shape][:PAIRS]


def scored_by(diagram: Diagram) -> list[Weight]:
    """The weights that a softmax or another normaliser depends on."""
    above: dict[int, set[int]] = {}
    inside: set[int] = set()
    for node in diagram.nodes:
        wires = {port.wire for port in node.ports}
        reach = wires.union(*(above.get(w, set()) for w in wires))
        if node.op.word in NORMALISERS:
            inside |= reach
        for out in node.outs:
            above[out] = reach
    return [w for w in diagram.weights if w.wire in inside]
