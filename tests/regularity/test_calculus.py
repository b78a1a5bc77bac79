"""The compositional calculus against dense Jacobians of random diagrams, in all three norms."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from anatomy.compiler import build
from anatomy.regularity.compose import Stuck, compose, sizes_of
from tests.regularity.oracle import grouping, jacobian, points, shapes_of, worst_quotients
from tests.regularity.programs import SIZES, random_diagram

torch.set_num_threads(1)


def attack(seed: int) -> bool:
    """Bounds of one random diagram hold at structured and random points; False where no bound is given."""
    rng = np.random.default_rng(seed)
    diagram = random_diagram(seed, steps=int(rng.integers(1, 8)))
    radius = float(rng.choice([0.3, 1.0, 2.0]))
    net = build(diagram, {}, dtype=torch.float64)
    with torch.no_grad():
        for p in net.parameters():
            p.requires_grad_(False).copy_(torch.tensor(rng.standard_normal(tuple(p.shape))))
    weights = {k: v.numpy() for k, v in net.state_dict().items()}
    try:
        found = compose(diagram, sizes_of(diagram, {}), weights, radius)
    except Stuck:
        return False
    shapes = shapes_of(diagram, SIZES)
    outs = grouping([tuple(SIZES[a] for a in diagram.outputs[0].layout)])
    bound = found.bounds[diagram.outputs[0].port.wire]
    counts = [math.prod(s) for s in shapes]

    def f(v: torch.Tensor) -> torch.Tensor:
        return net(*(p.reshape(s) for p, s in zip(torch.split(v, counts), shapes, strict=True))).reshape(-1)

    for inputs in points(shapes, radius, rng, 4):
        x = torch.cat([a.reshape(-1) for a in inputs])
        y = f(x)
        slack = 1e-9 * (1 + float(y.abs().max()))
        assert bound.entry[0] - slack <= float(y.min()), seed
        assert float(y.max()) <= bound.entry[1] + slack, seed
        j = jacobian(f, x + 1e-9 * torch.tensor(rng.standard_normal(len(x))))  # off the kinks
        if not np.isfinite(j).all():
            continue
        worst = worst_quotients(j, grouping(shapes), outs, rng)
        for p, limit in ((1.0, found.triple.one), (2.0, found.triple.two), (np.inf, found.triple.inf)):
            assert worst[p] <= limit * (1 + 1e-6) + 1e-9, (seed, p)
    return True


@pytest.mark.parametrize("block", range(10))
def test_bounds_of_random_diagrams_hold(block: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bounded = sum(attack(seed) for seed in range(30 * block, 30 * block + 30))
    assert bounded >= 20, "most random diagrams have every rule"


@pytest.mark.slow
@pytest.mark.parametrize("block", range(40))
def test_bounds_of_many_random_diagrams_hold(block: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sum(attack(seed) for seed in range(10_000 + 250 * block, 10_250 + 250 * block)) >= 180
