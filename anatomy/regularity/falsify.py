"""Evidence against a Lipschitz constant: quotients that grow without end along a family of inputs.

Used only where no upper bound is proved. What is found is evidence by numbers and is labelled so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from anatomy.regularity.estimate import Flat, Function, Shape, _starts, estimate

STEPS = (1e-2, 1e-4, 1e-6)
FACTOR = 30.0
"""A quotient that grows by this much whenever the distance shrinks a hundredfold counts as unbounded."""


def on_domain(
    function: Function, shapes: Sequence[Shape], radius: float, seed: int, fixed: Sequence[torch.Tensor | None]
) -> dict[str, Any] | None:
    """Pairs of inputs ever closer to one another around 0 in one token, whose secants grow; None if none are found."""
    flat = Flat(function, shapes, fixed)
    reach = 4.0 if math.isinf(radius) else radius
    if flat.length == 0 or reach == 0:
        return None
    points, names = _starts(flat, reach / 2, seed, 10)
    generator = torch.Generator().manual_seed(seed)
    free = [(s, f) for s, f in zip(flat.shapes, flat.fixed, strict=True) if f is None]
    first = free[0][0][-1] if free[0][0] else 1
    with torch.no_grad():
        for point, name in zip(points, names, strict=True):
            u = torch.randn(first, generator=generator, dtype=torch.float64)
            u = u / torch.linalg.vector_norm(u)
            quotients = []
            for step in STEPS:
                a, b = point.clone(), point.clone()
                a[:first], b[:first] = step * reach * u, -step * reach * u
                change = flat(a) - flat(b)
                quotients.append(float(torch.linalg.vector_norm(change)) / (2 * step * reach))
            if all(math.isfinite(q) for q in quotients) and quotients[0] > 0:
                if all(late >= FACTOR * early for early, late in pairwise(quotients)):
                    return {"evidence": "numerical", "family": f"the first token at +-t u, the others as in `{name}`",
                            "t": [s * reach for s in STEPS], "u": u.tolist(), "secants": quotients}  # fmt: skip
    return None


def everywhere(
    function: Function, shapes: Sequence[Shape], seed: int, fixed: Sequence[torch.Tensor | None]
) -> dict[str, Any] | None:
    """Quotients that grow at least threefold with each tenfold radius; None if they do not."""
    radii = (2.0, 20.0, 200.0)
    values = [estimate(function, shapes, r, seed=seed, starts=8, steps=24, fixed=fixed).value for r in radii]
    if all(math.isfinite(v) for v in values) and values[0] > 0 and values[1] >= 3 * values[0] and values[2] >= 3 * values[1]:
        return {"evidence": "numerical", "family": "inputs found by ascent in balls of growing radius", "radius": radii, "quotients": values}
    return None
