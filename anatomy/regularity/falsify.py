"""Evidence against a Lipschitz constant: quotients that grow without end along a family of inputs.

Used only where no upper bound is proved. What is found is evidence by numbers and is labelled so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import torch

from anatomy.ir.graph import Diagram
from anatomy.regularity.ascent.climb import climb
from anatomy.regularity.ascent.energy import Energy
from anatomy.regularity.ascent.starts import Starts, starts
from anatomy.regularity.estimate import Flat, Function, Shape, estimate

STEPS = (1e-2, 1e-4, 1e-6)
PAIRS, PARTS = 12, 24
HALVINGS = (12, 20, 28)
"""A change that stays over sixteen halvings, which shrink what is Lipschitz 65,000 times, counts as a jump."""
CLIMB, NEWTON, GROWN = 40, 16, 1e10
"""Steps of ascent and then of Newton's method towards a pole of the derivative, and how much it must grow to count as one."""
HEAVY = 3e5
"""Elements that a function may keep for its derivatives so that poles are looked for."""
FARTHEST = 1e9
"""No radius at which growth is looked for begins farther out."""
FACTOR = 30.0
"""A quotient that grows by this much whenever the distance shrinks a hundredfold counts as unbounded."""
ROUNDING, LEAST, TREMBLES, FAR_ABOVE = 1e-12, 1e-13, 6, 100.0
"""A change of a value counts where it is more than this share of the value, or of the domain's radius, and this far above what a small trembling does to it."""
SHAKE = 1e-4
"""Trembling beside the distance of the two inputs, or one unit in the last place, whichever is more."""


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
            ends, changes = [], []
            for step in STEPS:
                a, b = point.clone(), point.clone()
                a[:first], b[:first] = step * reach * u, -step * reach * u
                ends.append((a, b))
                changes.append(float(torch.linalg.vector_norm(flat(a) - flat(b))))
            quotients = [change / (2 * step * reach) for change, step in zip(changes, STEPS, strict=True)]
            if all(math.isfinite(q) for q in quotients) and quotients[0] > 0:
                if all(late >= FACTOR * early for early, late in pairwise(quotients)) and changes[-1] > _noise(flat, reach, *ends[-1]):
                    return {"evidence": "numerical", "family": f"the first token at +-t u, the others as in `{name}`",
                            "t": [s * reach for s in STEPS], "u": u.tolist(), "secants": quotients}  # fmt: skip
    with torch.no_grad():
        begun = starts(flat, reach, 10, torch.Generator().manual_seed(seed))
        found = _jump(flat, begun.points, begun.names, reach, generator)
    return _pole(flat, begun, reach, generator) if found is None else found


def _pole(flat: Flat, points: Starts, reach: float, generator: torch.Generator) -> dict[str, Any] | None:
    """Inputs ever closer to one where the derivative has a pole: Newton's method for the zeros of 1 / |J^T v|.

    Nine tenths of a step leave a tenth of the distance to a pole of order one. What is found is confirmed by a secant.
    """
    energy = Energy(flat, "frobenius")
    if energy.height == 0 or energy.work()[0] > HEAVY:
        return None
    begun = climb(flat, energy, points, len(points.names), reach, CLIMB, generator)
    x, names = begun.points, begun.names
    usual = float(energy(points.points, _random(energy, len(points.names), generator))[0].nanmedian())
    v = _random(energy, len(x), generator)
    history: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []
    for step in range(NEWTON + 3):
        value, gradient, v, u = energy(x, v)
        if step < 3:
            continue  # the direction settles first
        history.append(value)
        kept += [x, u]
        x = flat.project(x + 0.9 * gradient / gradient.square().sum(-1, keepdim=True).clamp_min(1e-300), reach)
    values = torch.nan_to_num(torch.stack(history), 0.0, 0.0, 0.0)
    k = int(values.amax(0).argmax())
    top = int(values[:, k].argmax())
    late = [float(values[t, k]) for t in range(max(0, top - 3), top + 1)]
    if not usual > 0 or late[-1] < max(GROWN * usual, 2 * late[0]):
        return None
    at, u = kept[2 * top][k], kept[2 * top + 1][k]
    distance = reach / late[-1]
    secants = []
    with torch.no_grad():
        for scale in (100.0, 10.0, 1.0):
            a, b = at + scale * distance * u, at - scale * distance * u
            secants.append(float(torch.linalg.vector_norm(flat(a) - flat(b)) / torch.linalg.vector_norm(a - b)))
        if not all(map(math.isfinite, secants)) or secants[-1] < 1e-2 * late[-1]:
            return None
        a, b = at + 100 * distance * u, at - 100 * distance * u
        if float(torch.linalg.vector_norm(flat(a) - flat(b))) <= _noise(flat, reach, a, b):
            return None
    return {"evidence": "numerical", "family": f"from `{names[k]}` ever closer to a pole of the derivative",
            "t": [100 * distance, 10 * distance, distance], "secants": secants, "input": at.tolist(), "u": u.tolist()}  # fmt: skip


def _random(energy: Energy, rows: int, generator: torch.Generator) -> torch.Tensor:
    v = torch.randn(rows, energy.height, generator=generator, dtype=torch.float64)
    return energy.unit(v, torch.zeros_like(v))


def _jump(flat: Flat, points: torch.Tensor, names: Sequence[str], reach: float, generator: torch.Generator) -> dict[str, Any] | None:
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
            ends = (a + low * (b - a), a + high * (b - a))
            if changes[0] > 1e-6 and changes[-1] > 0.9 * changes[0] and changes[-1] > _noise(flat, reach, *ends):
                distances = [length / PARTS * 2.0**-step for step in HALVINGS]
                return {"evidence": "numerical", "family": f"the segment from `{names[i]}` to `{names[j]}`, halved towards a jump",
                        "t": distances, "secants": [c / d for c, d in zip(changes, distances, strict=True)],
                        "between": [e.tolist() for e in ends]}  # fmt: skip
    return None


def _noise(flat: Flat, reach: float, a: torch.Tensor, b: torch.Tensor) -> float:
    """The change of the value that rounding alone may make between two inputs: quotients of such changes grow as the distance shrinks, whatever the function.

    What rounding makes is as large for a small trembling of an input as for the step to the other; what a jump or a pole between them makes is not.
    A value that is not finite tells nothing and is left out.
    """
    generator = torch.Generator().manual_seed(0)
    shake = SHAKE * float((a - b).abs().max())
    found = [LEAST * reach]
    for x in (a, b):
        value = flat(x)
        found.append(ROUNDING * float(torch.linalg.vector_norm(value)))
        for _ in range(TREMBLES):
            signs = torch.randint(0, 2, x.shape, generator=generator).to(x.dtype) * 2 - 1
            near = x + signs * (torch.finfo(x.dtype).eps * x.abs()).clamp_min(shake)
            found.append(FAR_ABOVE * float(torch.linalg.vector_norm(flat(near) - value)))
    return max(f for f in found if math.isfinite(f))


def everywhere(
    function: Function, shapes: Sequence[Shape], seed: int, fixed: Sequence[torch.Tensor | None], scale: float = 1.0
) -> dict[str, Any] | None:
    """Quotients that grow at least threefold with each tenfold radius; None if they do not.

    `scale` is the greatest constant that inputs meet (`scale_of`): what levels off where they reach it is looked at beyond it.
    """
    radii = (2.0 * scale, 20.0 * scale, 200.0 * scale)
    values: list[float] = []
    for radius in radii:
        found = estimate(function, shapes, radius, seed=seed, starts=8, steps=24, fixed=fixed).value
        if not math.isfinite(found) or found <= 0 or (values and found < 3 * values[-1]):
            return None
        values.append(found)
    return {"evidence": "numerical", "family": "inputs found by ascent in balls of growing radius", "radius": radii, "quotients": values}


def scale_of(diagram: Diagram) -> float:
    """The greatest number, or inverse of one, that the text puts beside data: as a bound, a summand or a factor; at least 1.

    >>> import anatomy
    >>> scale_of(anatomy.parse("axis n diagram capped(x: [n]) -> [n] { out min(x * x, 1000 * 50) }")["capped"])
    50000.0
    """
    sizes: dict[int, float | None] = {}
    """For a wire that no input and no weight reaches its size, None for data."""
    most = 1.0
    for w in (*(i.wire for i in diagram.inputs), *(w.wire for w in diagram.weights)):
        sizes[w] = None
    for node in diagram.nodes:
        given = [sizes.get(p.wire) for p in node.ports]
        known = [g for g in given if g is not None]
        if len(known) < len(given):
            most = max(most, *known, 1.0)
            made = None
        elif not node.ports and (value := abs(float(getattr(node.op, "value", 0)))):
            made = max(value, 1 / value)
        elif node.op.word in ("*", "/", "square"):
            made = math.prod(known) if node.op.word != "square" else known[0] ** 2
        elif node.op.word in ("+", "-", "neg", "max", "min"):
            made = sum(known)
        else:
            made = 1.0  # positions and functions of them
        sizes.update((w, made) for w in node.outs)
    return min(most, FARTHEST)
