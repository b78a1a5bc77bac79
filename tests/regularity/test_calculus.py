"""The compositional calculus against dense Jacobians of random diagrams, in all three norms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.regularity.oracle import holds
from tests.regularity.programs import SIZES, random_diagram


def attack(seed: int) -> bool:
    """Bounds of one random diagram hold at structured and random points; False where no bound is given."""
    rng = np.random.default_rng(seed)
    diagram = random_diagram(seed, steps=int(rng.integers(1, 8)))
    return holds(diagram, SIZES, float(rng.choice([0.3, 1.0, 2.0])), rng)


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
