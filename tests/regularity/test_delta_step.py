"""The step of the delta rule: against dense Jacobians, without growth in length, and only where its conditions hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import anatomy
from anatomy.regularity.compose import compose, sizes_of
from tests.regularity.oracle import holds

torch.set_num_threads(1)
AXES = "axis n, d, e, f diagram it(x: [n, d]) -> [n, f] "
PARTS = "k = l2norm[e, eps=0.5](lin K[d -> e](x)) v = lin V[d -> f](x) b = sigmoid(lin B[d -> f2](x)) "
BODIES = {
    "plain": "scan n (s: [e, f] = 0) { t = s + k * (v - dot[e](k, s)) next s = t y = dot[e](k, t) } out y",
    "two": "scan n (s: [e, f] = 0) { t = s + 2 * k * (v - dot[e](k, s)) next s = t y = dot[e](k, t) } out y",
    "three": "scan n (s: [e, f] = 0) { t = s + 3 * k * (v - dot[e](k, s)) next s = t y = dot[e](k, t) } out y",
    "beta": "c = sigmoid(sum[d](x)) scan n (s: [e, f] = 0) { t = s + c * k * (v - dot[e](k, s)) next s = t y = dot[e](k, t) } out y",
    "gated": "c = sigmoid(sum[d](x)) scan n (s: [e, f] = 0) { r = c * s t = r + c * k * (v - dot[e](k, r)) next s = t y = dot[e](k, t) } out y",
    "negative": "scan n (s: [e, f] = 0) { t = s - k * (v - dot[e](k, s)) next s = t y = dot[e](k, t) } out y",
    "sum": "scan n (s: [e, f] = 0) { t = s + k * (v + dot[e](k, s)) next s = t y = dot[e](k, t) } out y",
    "of another key": "q = l2norm[e, eps=0.5](lin Q[d -> e](x)) scan n (s: [e, f] = 0) { t = s + k * (v - dot[e](q, s)) next s = t y = dot[e](k, t) } out y",
    "of another state": "scan n (s: [e, f] = 0, r: [e, f] = 1) { t = s + k * (v - dot[e](k, r)) next s = t next r = s y = dot[e](k, t) } out y",
    "one value": "w = 3 * sum[d](x) scan n (s: [e, f] = 0) { t = s + k * (w - dot[e](k, s)) next s = t y = dot[e](k, t) * dot[e](k, t) } out y",
    "long keys": "u = lin U[d -> e](x) * 3 scan n (s: [e, f] = 0) { t = s + u * (v - dot[e](u, s)) next s = t y = dot[e](u, t) } out y",
}
PARTS = PARTS.replace("b = sigmoid(lin B[d -> f2](x)) ", "")
SIZES = {"n": 4, "d": 2, "e": 3, "f": 2}


@pytest.mark.parametrize("name", BODIES)
def test_bounds_hold(name: str) -> None:
    d = anatomy.parse(f"{AXES}{{ {PARTS}{BODIES[name]} }}")["it"]
    for seed, radius in enumerate((0.5, 2.0)):
        assert holds(d, SIZES, radius, np.random.default_rng(seed), 8)


def growth(name: str, n: int) -> float:
    d = anatomy.parse(f"{AXES}{{ {PARTS}{BODIES[name]} }}")["it"]
    full = sizes_of(d, {**SIZES, "n": n})
    rng = np.random.default_rng(0)
    weights = {w.key: rng.standard_normal([full[a] for a in w.layout]) for w in d.weights}
    return compose(d, full, weights, 1.0).triple.two


@pytest.mark.parametrize("name", ["plain", "beta", "gated"])
def test_no_growth_beyond_a_power_of_the_length(name: str) -> None:
    assert growth(name, 80) < 40 * growth(name, 20)


@pytest.mark.parametrize("name", ["three", "negative", "sum", "of another key"])
def test_an_expansion_grows_with_the_length(name: str) -> None:
    assert growth(name, 80) > 1e9 * growth(name, 20)
