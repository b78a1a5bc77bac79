"""The lower bound: the largest Rayleigh quotient |J v| / |v| that an ascent over the domain finds.

True for every v, so nothing needs to converge.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from anatomy.regularity.ascent.climb import STAGES, climb
from anatomy.regularity.ascent.energy import Energy
from anatomy.regularity.ascent.flat import Flat, Function, Shape
from anatomy.regularity.ascent.settle import Estimate, best_of, rayleigh
from anatomy.regularity.ascent.starts import starts as _points

__all__ = ["Estimate", "Flat", "Function", "Shape", "estimate", "rayleigh"]

BUDGET = 3e7
"""Elements that all steps together may touch, which is about a second on one core."""
CALL = 5_000
"""What one operation costs beside its elements, in elements."""
LOOKED = 28
"""Starts that are looked at before the best are climbed: every pattern at least once."""
SHARE = sum(part * share for part, share in STAGES)


def estimate(
    function: Function,
    shapes: Sequence[Shape],
    radius: float = 1.0,
    norm: str = "frobenius",
    seed: int = 0,
    starts: int | None = None,
    steps: int | None = None,
    fixed: Sequence[torch.Tensor | None] | None = None,
) -> Estimate:
    """A lower bound of the Lipschitz constant on tokens of norm at most `radius` (an infinite one: at most 4).

    `function` takes float64 tensors of the given shapes (last dimension features); `fixed` stands in for inputs
    that are not varied. Norms: "frobenius", or "max_token" (largest token norm in and out). Without `starts` and
    `steps`, as many as a fixed number of operations pays for, so that the answer is the same on every machine.

    >>> estimate(lambda x: 3 * x, [(2, 2)]).value > 2.999
    True
    """
    flat = Flat(function, shapes, fixed)
    if flat.length == 0:
        return Estimate(0.0)
    reach = 4.0 if math.isinf(radius) else radius
    with _quietly():
        energy = Energy(flat, norm)
        if energy.height == 0:
            return Estimate(0.0)
        generator = torch.Generator().manual_seed(seed)
        count, steps = _plan(energy, starts, steps)
        points = _points(flat, reach, max(count, LOOKED), generator, _directions(flat, energy, reach, generator))
        found = climb(flat, energy, points, count, reach, steps, generator)
        return best_of(flat, found.values.tolist(), found.points, found.tangents, found.names, reach, norm, seed)


@contextmanager
def _quietly() -> Iterator[None]:
    """Small operations lose by a second thread, and sums keep one order; batching by a loop goes without a warning."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            yield
    finally:
        torch.set_num_threads(before)


def _plan(energy: Energy, starts: int | None, steps: int | None) -> tuple[int, int]:
    """Starts and steps within the budget."""
    kept, calls = energy.work()
    count = starts
    if count is None:
        count = max(8, min(64, round(BUDGET / (SHARE * 80 * kept))))
    if steps is None:
        one = SHARE * count * kept + CALL * calls * (1 if energy.batched else SHARE * count)
        steps = max(16, min(160, round(BUDGET / one)))
    return count, steps


def _directions(flat: Flat, energy: Energy, reach: float, generator: torch.Generator) -> list[list[torch.Tensor]]:
    """For every varied input, unit vectors of one token that the function itself stretches most, near 0 and elsewhere."""
    x = torch.randn(4, flat.length, generator=generator, dtype=torch.float64)
    x = flat.project(x * 1e3, reach) * torch.tensor([1e-6, 0.3, 1.0, 1.0], dtype=torch.float64)[:, None]
    v = energy.unit(torch.randn(4, energy.height, generator=generator, dtype=torch.float64), torch.zeros(4, energy.height))
    u = torch.zeros_like(x)
    for _ in range(5):
        _, _, v, u = energy(x, v)
    out: list[list[torch.Tensor]] = []
    for rows in flat.tokens(torch.nan_to_num(u)):
        known = []
        for row in rows:
            size = torch.linalg.vector_norm(row, dim=-1)
            if float(size.max()) > 0:
                known.append(row[size.argmax()] / size.max())
        out.append(known)
    return out
