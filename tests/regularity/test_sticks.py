"""Stick breaking: against dense Jacobians and ascent, and diagrams that only look like it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import anatomy
from anatomy.api import numeric
from anatomy.compiler import build
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.estimate import estimate
from tests.regularity.oracle import holds

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, f, h diagram it(x: [n, d]) -> [n, d] "
PARTS = "q = lin Q[d -> h, e](x) k = lin K[d -> h, e](x)[n -> m] v = lin V[d -> h, f](x)[n -> m] s = dot[e](q, k) "
END = " y = sum[m](w * v) out lin O[h, f -> d](y)"
NEAR = "w = exp(s - (sum[m](t) - cumsum[m](t)) - t)"
BODIES = {
    "nearest last": "t = softplus(s) " + NEAR,
    "nearest first": "t = softplus(s) w = exp(s - cumsum[m](t))",
    "masked": "r = causal[m < n](s) t = softplus(r) w = exp(r - (sum[m](t) - cumsum[m](t)) - t)",
    "masked here, not there": "r = causal[m < n](s) t = softplus(r) w = exp(s - cumsum[m](t))",
    "masked there, not here": "t = softplus(s) w = exp(causal[m < n](s) - cumsum[m](t))",
    "shifted": "b = s + 1 t = softplus(b) w = exp(b - cumsum[m](t))",
    "of another score": "t = softplus(2 * s) w = exp(s - cumsum[m](t))",
    "too much": "t = softplus(s) w = exp(s - cumsum[m](t) + t)",
    "too little": "t = softplus(s) w = exp(s - 2 * cumsum[m](t))",
}
FOUND = ("nearest last", "nearest first", "masked", "shifted")
SIZES = {"n": 4, "d": 2, "e": 2, "f": 2, "h": 2}


def parse(name: str) -> anatomy.Diagram:
    return anatomy.parse(f"{AXES}{{ {PARTS}{BODIES[name]}{END} }}")["it"]


@pytest.mark.parametrize("name", BODIES)
def test_bounds_hold(name: str) -> None:
    for seed, radius in enumerate((0.3, 1.0, 2.5)):
        assert holds(parse(name), SIZES, radius, np.random.default_rng(seed), 6)


@pytest.mark.parametrize("name", BODIES)
def test_the_theorem_holds_where_it_is_meant_to(name: str) -> None:
    d = parse(name)
    weights, function = numeric(build(d, SIZES, seed=1, dtype=torch.float64))
    found = compose(d, sizes_of(d, SIZES), weights, 1.0)
    assert (found.method == "theorem on stick breaking") == (name in FOUND)
    lower = estimate(function, [(4, 2)], starts=12, steps=40).value
    assert lower <= found.triple.two
    assert name not in FOUND or found.triple.two <= 40 * lower


def test_it_does_not_grow_like_an_exponential_of_keys() -> None:
    d, found = parse("nearest last"), []
    for n in (4, 16):
        sizes = {**SIZES, "n": n}
        weights, _ = numeric(build(d, sizes, seed=1, dtype=torch.float64))
        found.append(compose(d, sizes_of(d, sizes), weights, 1.0).triple.two)
    assert found[1] <= 2 * found[0] * (1 + 1e-9)
