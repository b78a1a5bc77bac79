"""Tables read at a position that moves: against dense Jacobians, and diagrams that jump."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.api import numeric
from anatomy.compiler import build
from anatomy.regularity.compose import Stuck, compose, sizes_of
from tests.regularity.oracle import holds

torch.set_num_threads(1)
AXES = "axis n, d, p diagram it(x: [n, d]) -> [n] "
TABLE = "weight E: [p, d] ~ normal(1) z = dot[d](x, E) weight w: [d] ~ normal(1) "
READ = "i = index[p](t) out (1 - t + i) * gather[p](z, i) + (t - i) * gather[p](z, index[p](i + 1))"
BODIES = {
    "inside": TABLE + "t = 3 * sigmoid(dot[d](x, w)) " + READ,
    "below and above": TABLE + "t = 6 * tanh(dot[d](x, w)) " + READ,
    "clamped": TABLE + "t = min(5 * sigmoid(dot[d](x, w)), size[p] - 1) " + READ,
    "of a constant table": "weight z: [p] ~ normal(1) weight w: [d] ~ normal(1) t = 4 * sigmoid(dot[d](x, w)) " + READ,
    "and more": TABLE + "t = 3 * sigmoid(dot[d](x, w)) " + READ.replace("out", "out dot[d](x, w) +"),
}
JUMPS = {
    "floored": TABLE + "t = 3 * sigmoid(dot[d](x, w)) i = index[p](t) out gather[p](z, i)",
    "the wrong way round": TABLE + "t = 3 * sigmoid(dot[d](x, w)) i = index[p](t) out (t - i) * gather[p](z, i) + (1 - t + i) * gather[p](z, index[p](i + 1))",
    "two steps": TABLE + "t = 3 * sigmoid(dot[d](x, w)) " + READ.replace("i + 1)", "i + 2)"),
    "another position": TABLE + "t = 3 * sigmoid(dot[d](x, w)) u = t / 2 i = index[p](t) out (1 - u + i) * gather[p](z, i) + (u - i) * gather[p](z, index[p](i + 1))",
    "another table": TABLE + "weight F: [p, d] ~ normal(1) y = dot[d](x, F) t = 3 * sigmoid(dot[d](x, w)) " + READ.replace("gather[p](z, index", "gather[p](y, index"),
    "twice": TABLE + "t = 3 * sigmoid(dot[d](x, w)) " + READ.replace("(t - i)", "2 * (t - i)"),
}
SIZES = {"n": 3, "d": 2, "p": 4}


def upper(body: str) -> float:
    d = anatomy.parse(f"{AXES}{{ {body} }}")["it"]
    weights, _ = numeric(build(d, SIZES, seed=0, dtype=torch.float64))
    try:
        return compose(d, sizes_of(d, SIZES), weights, 1.0).triple.two
    except Stuck:
        return math.inf


@pytest.mark.parametrize("name", BODIES)
def test_bounds_hold(name: str) -> None:
    d = anatomy.parse(f"{AXES}{{ {BODIES[name]} }}")["it"]
    assert upper(BODIES[name]) < math.inf
    for seed, radius in enumerate((0.3, 1.0, 3.0)):
        assert holds(d, SIZES, radius, np.random.default_rng(seed), 12)


@pytest.mark.parametrize("name", JUMPS)
def test_what_jumps_has_no_bound(name: str) -> None:
    assert upper(JUMPS[name]) == math.inf
