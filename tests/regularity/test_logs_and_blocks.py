"""Logarithms of sums of products, shares of positive wires, norms block by block: against dense Jacobians and SVDs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import anatomy
from anatomy.api import numeric
from anatomy.compiler import build
from anatomy.regularity.blocks import apart
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.tensor import spectral
from tests.regularity.oracle import holds

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, f, h, c, r = 2 * e diagram it(x: [n, d]) -> [n, d] "
KEYS = "q = lin Q[d -> h, e](x) k = lin K[d -> h, e](x)[n -> m] v = lin V[d -> h, f](x)[n -> m] s = dot[e](q, k) "
BODIES = {
    "of weights and exponentials": KEYS + "y = log(sum[m](softmax[m](s) * exp(v)))",
    "moved by a greatest value": KEYS + "c0 = max[m](v) y = log(sum[m](softmax[m](s) * exp(v - c0))) + c0",
    "of three": KEYS + "y = log(sum[m](exp(s) * exp(v) * sigmoid(v)))",
    "of a positive wire": KEYS + "y = log(sum[m](exp(s) * (v * v + 0.5)))",
    "masked": KEYS + "y = log(sum[m](softmax[m](causal[m <= n](s)) * exp(v)) + 0.1)",
    "with a constant": KEYS + "weight b: [m, f] ~ normal(1) y = log(sum[m]((b * b + 0.1) * exp(v) * exp(s)))",
    "of features laid end to end": "u = lin Q[d -> h, e](x) k = lin K[d -> h, e](x)[n -> m] v = lin V[d -> h, f](x)[n -> m] "
    "a = cat[e -> r](exp(u), exp(-u)) b = cat[e -> r](exp(k), sigmoid(k)) y = dot[r](a, dot[m](b, v)) / dot[r](a, sum[m](b))",
    "of elu": KEYS + "a = elu(q) + 1 b = elu(k) + 1 y = dot[e](a, dot[m](b, v)) / dot[e](a, sum[m](b))",
    "of elu and more": KEYS + "a = elu(q) + 2 b = 2 * elu(k) + 2.5 y = dot[e](a, dot[m](b, v)) / dot[e](a, sum[m](b))",
    "twice": KEYS + "w = l1norm[n](softmax[m](s)) y = sum[m](w * v)",
    "of exponentials": KEYS + "y = sum[m](l1norm[m](exp(s)) * v)",
}
SIZES = {"n": 4, "m": 4, "d": 2, "e": 2, "f": 2, "h": 2, "c": 3}


@pytest.mark.parametrize("name", BODIES)
def test_bounds_hold(name: str) -> None:
    d = anatomy.parse(f"{AXES}{{ {BODIES[name]} out lin O[h, f -> d](y) }}")["it"]
    for seed, radius in enumerate((0.3, 1.5)):
        assert holds(d, {**SIZES, "n": 4 - seed, "m": 4 - seed}, radius, np.random.default_rng(seed), 8)


def constant(text: str, radius: float = 1.0) -> float:
    d = anatomy.parse(text)["it"]
    sizes = {"n": 4, "d": 2}
    weights, _ = numeric(build(d, sizes, seed=0, dtype=torch.float64))
    return compose(d, sizes_of(d, sizes), weights, radius).triple.two


def test_a_logarithm_takes_a_mean() -> None:
    body = "axis n, d diagram it(x: [n, d]) -> [d] { out log(sum[n](exp(8 * x))) }"
    assert constant(body) <= 8 * (1 + 1e-9)
    shared = "axis n, d diagram it(x: [n, d]) -> [n, d] { out l1norm[n](exp(x)) }"
    assert constant(shared) <= 0.5 * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_blocks_have_the_norm_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(int(rng.integers(1, 9)), int(rng.integers(1, 9))) for _ in range(16)]
    whole = np.zeros((sum(r for r, _ in shapes) + 3, sum(c for _, c in shapes) + 2))
    i = j = 0
    for r, c in shapes:
        whole[i : i + r, j : j + c] = rng.normal(size=(r, c)) * (rng.random((r, c)) < 0.7) * 10 ** rng.uniform(-3, 3)
        i, j = i + r, j + c
    whole = whole[rng.permutation(whole.shape[0])][:, rng.permutation(whole.shape[1])]
    assert apart(whole) is not None
    true = np.linalg.norm(whole, 2)
    assert true * (1 - 1e-12) <= spectral(whole).max() <= true * (1 + 1e-9)
    assert spectral(whole, 1e-3).max() >= true + 1e-3 * np.sqrt(whole.size) * (1 - 1e-9)
    assert spectral(whole[None]).shape == (1,)


def test_a_matrix_in_one_piece_stays_whole() -> None:
    ring = np.eye(60) + np.roll(np.eye(60), 1, axis=1)
    assert apart(ring) is None
    assert apart(np.ones((60, 60))) is None
    assert apart(np.zeros((60, 60))) == []
    assert spectral(np.zeros((60, 60))) == 0
