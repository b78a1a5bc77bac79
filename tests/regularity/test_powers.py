"""Squares of dot products as features: against dense Jacobians, ascent, and diagrams that only look like them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.api import numeric
from anatomy.compiler import build
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.regularity.estimate import estimate
from tests.regularity.oracle import holds

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, f, a = e, p = a * e, o = 1, r = 1 + e + a * e diagram it(x: [n, d]) -> [n, f] "
PARTS = "q = lin Q[d -> e](x) k = lin K[d -> e](x)[n -> m] v = lin V[d -> f](x)[n -> m] "
SQUARES = "qq = merge[a, e -> p](q[e -> a] * q) kk = merge[a, e -> p](k[e -> a] * k) "
TAYLOR = "fq = cat[o, e, p -> r](expand[o](1), q, qq / sqrt(2)) fk = cat[o, e, p -> r](expand[o](1), k, kk / sqrt(2)) "
MEAN = "out dot[r](fq, dot[m](fk, v)) / dot[r](fq, sum[m](fk))"
BODIES = {
    "taylor": PARTS + SQUARES + TAYLOR + MEAN,
    "taylor, running": PARTS + SQUARES + TAYLOR + "g = fk[m -> n] w = cumsum[n](g * v[m -> n]) t = cumsum[n](g) out dot[r](fq, w) / dot[r](fq, t)",
    "other factors": PARTS + SQUARES + TAYLOR.replace("qq / sqrt(2)", "qq * 2").replace("expand[o](1), q", "expand[o](3), q") + MEAN,
    "squares with eps": PARTS + SQUARES + "out dot[p](qq, dot[m](kk, v)) / (dot[p](qq, sum[m](kk)) + 0.1)",
    "squares with eps, running": PARTS + SQUARES + "g = kk[m -> n] w = cumsum[n](g * v[m -> n]) t = cumsum[n](g) out dot[p](qq, w) / (dot[p](qq, t) + 0.01)",
}
OTHER = {
    "squares without eps": PARTS + SQUARES + "out dot[p](qq, dot[m](kk, v)) / dot[p](qq, sum[m](kk))",
    "of different vectors": "c = lin C[d -> e](x) " + PARTS + SQUARES + TAYLOR.replace("expand[o](1), q,", "expand[o](1), c,") + MEAN,
    "not squares": "c = lin C[d -> e](x) " + PARTS + SQUARES.replace("q[e -> a] * q", "c[e -> a] * q") + TAYLOR + MEAN,
    "less than nothing": PARTS + SQUARES + TAYLOR.replace("expand[o](1)", "expand[o](0.5)") + MEAN,
    "of another sign": PARTS + SQUARES + TAYLOR.replace("qq / sqrt(2)", "-qq") + MEAN,
    "weighted": "weight g: [r] ~ normal(1) " + PARTS + SQUARES + TAYLOR + MEAN.replace("dot[r](fq,", "dot[r](fq * g,"),
}
SIZES = {"n": 4, "d": 2, "e": 2, "f": 2}


def parse(body: str) -> anatomy.Diagram:
    return anatomy.parse(f"{AXES}{{ {body} }}")["it"]


@pytest.mark.parametrize("name", BODIES)
def test_bounds_hold(name: str) -> None:
    for seed, radius in enumerate((0.3, 1.0, 2.5)):
        assert holds(parse(BODIES[name]), SIZES, radius, np.random.default_rng(seed), 8)


@pytest.mark.parametrize("name", OTHER)
def test_what_only_looks_like_it_is_refused(name: str) -> None:
    d = parse(OTHER[name])
    weights, _ = numeric(build(d, SIZES, seed=0, dtype=torch.float64))
    with pytest.raises(Stuck):
        compose(d, sizes_of(d, SIZES), weights, 3.0)


@pytest.mark.parametrize("name", BODIES)
def test_ascent_stays_below(name: str) -> None:
    d = parse(BODIES[name])
    weights, function = numeric(build(d, SIZES, seed=1, dtype=torch.float64))
    upper = compose(d, sizes_of(d, SIZES), weights, 1.0).triple.two
    lower = estimate(function, [(4, 2)], starts=16, steps=60).value
    assert lower <= upper <= 60 * lower


def test_the_constant_of_eps_is_attained_in_order() -> None:
    # One token: y = v x s^2 / (s^2 + eps) with s = a x^2, steepest where s is near sqrt(eps).
    eps = 1e-4
    d = parse(PARTS + SQUARES + f"out dot[p](qq, dot[m](kk, v)) / (dot[p](qq, sum[m](kk)) + {eps})")
    one = {"n": 1, "d": 1, "e": 1, "f": 1}
    weights, function = numeric(build(d, one, seed=0, dtype=torch.float64))
    upper = compose(d, sizes_of(d, one), weights, 1.0).triple.two
    a = abs(float(np.prod([weights[k].reshape(()) for k in ("Q", "K")])))
    v = abs(float(weights["V"].reshape(())))
    xs = torch.linspace(1e-3, 1, 4001, dtype=torch.float64)
    ys = torch.stack([function(x.reshape(1, 1)).reshape(()) for x in xs])
    true = float((ys.diff() / xs.diff()).abs().max())
    assert true <= upper
    assert upper <= v + 4 * v * a / math.sqrt(eps) * (1 + 1e-9)
