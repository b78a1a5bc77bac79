"""Two hundred random questions over all families; `make fuzz-regularity` asks ten thousand."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from anatomy.ir.bound import Triple
from anatomy.regularity.compose import compose, sizes_of
from tests.regularity import cases
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)


@pytest.mark.parametrize("chunk", range(10))
def test_no_case_contradicts_the_check(chunk: int) -> None:
    for seed in range(20 * chunk, 20 * chunk + 20):
        found = cases.run(seed, count=3, climb=2)
        assert found is None or not found.violations, (seed, found)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_no_case_of_a_thousand_contradicts_the_check(chunk: int) -> None:
    for seed in range(100_000 + 50 * chunk, 100_050 + 50 * chunk):
        found = cases.run(seed)
        assert found is None or not found.violations, (seed, found)


@pytest.mark.parametrize("name", ["plain", "mha", "sigmoid_attention", "cosine", "mixer", "linear"])
def test_a_bound_that_is_too_small_is_caught(name: str) -> None:
    """The same evidence against the same bound divided by what it is loose by, and a little more."""
    given = sizes(name, n=2, m=2)
    module = cases.build(variant(name), given, dtype=torch.float64)
    for p in module.parameters():
        p.requires_grad_(False)
    full = sizes_of(variant(name), given)
    net = cases.Net("variants", name, variant(name), full, module)
    weights = cases.draw(net, np.random.default_rng(1))
    found = compose(net.diagram, full, weights, 0.5)
    wrong, ratio = cases.against(net, found, 0.5, np.random.default_rng(0), 0, 6, 4)
    assert not wrong
    assert 0 < ratio <= 1
    small = replace(found, triple=Triple(found.triple.one, found.triple.two * ratio * 0.99, found.triple.inf))
    wrong, _ = cases.against(net, small, 0.5, np.random.default_rng(0), 0, 6, 4)
    assert any("above" in w for w in wrong)


def test_all_families_are_asked() -> None:
    families = {family for family, _ in cases.names()}
    assert {"variants", "random", "kernel", "mask", "mixing", "normaliser", "position", "recurrent", "score", "softmax"} <= families
    rng = random.Random(0)
    assert len({rng.choice(cases.names()) for _ in range(3000)}) > 0.9 * len(set(cases.names()))


def test_the_evidence_finds_what_is_attained() -> None:
    """A linear map: the norm itself, in all three norms."""
    given = sizes("fixed")
    module = cases.build(variant("fixed"), given, dtype=torch.float64)
    for p in module.parameters():
        p.requires_grad_(False)
    full = sizes_of(variant("fixed"), given)
    net = cases.Net("variants", "fixed", variant("fixed"), full, module)
    weights = cases.draw(net, np.random.default_rng(0))
    found = compose(net.diagram, full, weights, 1.0)
    _, ratio = cases.against(net, found, 1.0, np.random.default_rng(0), 0, 2, 0)
    assert ratio == pytest.approx(1.0, rel=1e-6)
    assert math.isfinite(found.triple.one)


def test_two_orders_of_sums_do_not_take_turns_for_ever() -> None:
    found = cases.run(500124)
    assert found is not None
    assert not found.violations
