"""Running sums as masked sums, intervals under masks, and weights normalised twice: against dense Jacobians."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import anatomy
from anatomy.regularity.compose import compose, sizes_of
from tests.regularity.oracle import holds

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, f, h, c diagram it(x: [n, d]) -> [n, d] "
PARTS = "q = lin Q[d -> h, e](x) k = lin K[d -> h, e](x) v = lin V[d -> h, f](x) "
KEYS = PARTS + "k2 = k[n -> m] v2 = v[n -> m] s = dot[e](q, k2) "
BODIES = {
    "causal features": PARTS + "a = elu(q) + 1 b = exp(k) y = dot[e](a, cumsum[n](b * v)) / dot[e](a, cumsum[n](b))",
    "learned decays": KEYS + "t = cumsum[n](-softplus(lin G[d -> h](x))) w = s * exp(causal[m <= n](t - t[n -> m])) y = sum[m](w * v2)",
    "decays of either sign": KEYS + "t = cumsum[n](lin G[d -> h](x)) w = s * exp(causal[m <= n](t - t[n -> m])) y = sum[m](w * v2)",
    "decays the other way": KEYS + "t = cumsum[n](softplus(lin G[d -> h](x))) w = s * exp(mask(m >= n, t - t[n -> m])) y = sum[m](w * v2)",
    "queries compete": KEYS + "w = l1norm[m](softmax[n](s)) y = sum[m](w * v2)",
    "queries compete, eps": KEYS + "w = l1norm[m, eps=0.1](softmax[n](s)) y = sum[m](w * v2)",
    "memories": "q = lin Q[d -> h, e](x) w = l1norm[c](softmax[n](lin M[e -> c](q))) y = lin N[c -> f](w)",
    "logarithm of a mean": KEYS + "y = log(sum[m](softmax[m](s) * exp(v2)))",
}
SIZES = {"n": 4, "m": 4, "d": 2, "e": 2, "f": 2, "h": 2, "c": 3}


@pytest.mark.parametrize("name", BODIES)
def test_bounds_hold(name: str) -> None:
    d = anatomy.parse(f"{AXES}{{ {BODIES[name]} out lin O[h, f -> d](y) }}")["it"]
    for seed, radius in enumerate((0.3, 1.0)):
        assert holds(d, {**SIZES, "n": 4 - seed, "m": 4 - seed}, radius, np.random.default_rng(seed), 8)


def entry_of(body: str, n: int = 5) -> tuple[float, float]:
    d = anatomy.parse(f"axis n, m = n diagram it(x: [n]) -> [n, m] {{ {body} }}")["it"]
    found = compose(d, sizes_of(d, {"n": n, "m": n}), {}, 1.0)
    return found.bounds[d.outputs[0].port.wire].entry


def test_decays_are_at_most_1() -> None:
    low, high = entry_of("t = cumsum[n](-exp(x)) out exp(causal[m <= n](t - t[n -> m]))")
    assert low >= 0
    assert high <= 1 + 1e-9
    assert entry_of("t = cumsum[n](-exp(x)) out exp(mask(m <= n + 1, t - t[n -> m]))")[1] > np.exp(np.e) * (1 - 1e-9)
    assert entry_of("t = cumsum[n](-exp(x)) out exp(causal[m <= n](t[n -> m] - t))")[1] > np.exp(4 * np.exp(0.5)) * (1 - 1e-9)


def test_weights_of_a_softmax_stay_away_from_0() -> None:
    low, high = entry_of("y = x[n -> m] out softmax[m](x * y)")
    worst = 1 / (1 + 4 * np.exp(2))
    assert worst * (1 - 1e-6) <= low <= worst
    assert high >= 1 / (1 + 4 * np.exp(-2))
