"""Evidence against a Lipschitz constant: quotients that grow without end along a family of inputs.

Used only where no upper bound is proved. What is found is evidence by numbers and is labelled so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import torch

from anatomy.regularity.ascent.starts import starts
from anatomy.regularity.estimate import Flat, Function, Shape, estimate

STEPS = (1e-2, 1e-4, 1e-6)
PAIRS, PARTS = 12, 24
HALVINGS = (12, 20, 28)
"""A change that stays over sixteen halvings, which shrink what is Lipschitz 65,000 times, counts as a jump."""
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
    begun = starts(flat, reach / 2, 10, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    free = [(s, f) for s, f in zip(flat.shapes, flat.fixed, strict=True) if f is None]
    first = free[0][0][-1] if free[0][0] else 1
    with torch.no_grad():
        for point, name in zip(begun.points, begun.names, strict=True):
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
    with torch.no_grad():
        begun = starts(flat, reach, 10, torch.Generator().manual_seed(seed))
        return _jump(flat, begun.points, begun.names, generator)


def _jump(flat: Flat, points: torch.Tensor, names: Sequence[str], generator: torch.Generator) -> dict[str, Any] | None:
    """A segment that is halved towards a jump: its ends come together and their values do not."""
    pairs = list(combinations(range(len(points)), 2))
    for chosen in torch.randperm(len(pairs), generator=generator).tolist()[:PAIRS]:
        i, j = pairs[chosen]
        a, b = points[i], points[j]
        length = float(torch.linalg.vector_norm(b - a))
        if length == 0:
            continue
        values = [flat(a + k / PARTS * (b - a)) for k in range(PARTS + 1)]
        gaps = [float(torch.linalg.vector_norm(v - u)) for u, v in pairwise(values)]
        if not all(map(math.isfinite, gaps)):
            continue
        for k in sorted(range(PARTS), key=lambda k: -gaps[k])[:2]:
            low, high, left, right = k / PARTS, (k + 1) / PARTS, values[k], values[k + 1]
            changes = []
            for step in range(max(HALVINGS) + 1):
                if step in HALVINGS:
                    changes.append(float(torch.linalg.vector_norm(right - left)))
                middle = (low + high) / 2
                value = flat(a + middle * (b - a))
                if torch.linalg.vector_norm(value - left) > torch.linalg.vector_norm(right - value):
                    high, right = middle, value
                else:
                    low, left = middle, value
            if changes[0] > 1e-6 and changes[-1] > 0.9 * changes[0]:
                distances = [length / PARTS * 2.0**-step for step in HALVINGS]
                return {"evidence": "numerical", "family": f"the segment from `{names[i]}` to `{names[j]}`, halved towards a jump",
                        "t": distances, "secants": [c / d for c, d in zip(changes, distances, strict=True)],
                        "between": [(a + low * (b - a)).tolist(), (a + high * (b - a)).tolist()]}  # fmt: skip
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
