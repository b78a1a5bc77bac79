"""The theorem on weighted means with scores of any kind: against dense Jacobians, and against its closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.theorems import features
from tests.regularity.oracle import holds

SIZES = {"n": 4, "m": 4, "p": 3, "d": 2, "e": 2, "h": 2, "a": 3, "f": 2}
HEAD = "q = lin Q[d -> h, e](x) z = x[n -> m] k = lin K[d -> h, e](z) v = lin V[d -> h, f](z) s = dot[e](q, k) "
TAIL = " y = sum[m](softmax[m](r) * v) out lin O[h, f -> d](y) }"
SCORES = {
    "softcap": "r = 2 * tanh(s / 2)",
    "bias of positions": "weight b: [h, n -> m] r = s + b",
    "scaled by position": "r = s * (1 + iota[n])",
    "gate of keys": "r = s + log(sigmoid(lin G[d -> h](z)))",
    "gate of queries": "r = s * sigmoid(lin G[d -> h](x))",
    "relative vectors": "weight u: [n, m -> e] r = s + dot[e](q, u)",
    "absolute value": "r = abs(s) / 2",
    "causal": "r = causal[m <= n](tanh(s))",
    "window": "r = causal[m <= n and n - m < 2](tanh(s))",
    "heads mixed before": "r = lin T[h -> h2](tanh(s))[h2 -> h]",
    "distances": "r = -sum[e](square(q - k))",
    "additive": "weight u: [a] r = dot[a](u, tanh(lin A[d -> a](x) + lin B[d -> a](z))) + 0 * s",
    "a sink": "u = causal[m <= n](tanh(s)) r = u - softplus(logsumexp[m](u))",
    "the greatest off": "u = causal[m <= n](tanh(s)) r = u - max[m](u) / 2",
    "broken stick": "u = softplus(causal[m < n](s)) r = s - sum[m](u) + cumsum[m](u) - u",
    "of the query alone": "r = lin A[d -> m2](x)[m2 -> m] + 0 * s",
}
OTHERS = {
    "two inputs": "x: [n, d], z: [m, d]) -> [n, d] { s = sin(dot[d](x, z)) out sum[m](softmax[m](s) * z) }",
    "shared keys": "x: [n, h, d], z: [m, d]) -> [n, h, d] { s = dot[d](x, z) simd h, n { out sum[m](softmax[m](tanh(s)) * z) } }",
    "two axes": "x: [n, d], z: [m, d], y: [p, d]) -> [n, d] { s = sum[d](x * z * y) out sum[m, p](softmax[m, p](tanh(s)) * (z + y)) }",
    "values of a network": "x: [n, d]) -> [n, d] { z = x[n -> m] v = tanh(lin V[d -> a](z)) s = sin(dot[d](x, z)) out lin O[a -> d](sum[m](softmax[m](s) * v)) }",
    "layernorm of both": "x: [n, d]) -> [n, d] { q = layernorm[d, eps=1](x) z = x[n -> m] out sum[m](softmax[m](tanh(dot[d](q, q[n -> m]))) * z) }",
    "scores that mix queries": "x: [n, d]) -> [n, d] { z = x[n -> m] s = cumsum[n](dot[d](x, z)) out sum[m](softmax[m](s) * z) }",
    "memory beside": "x: [n, d]) -> [n, d] { weight Z: [p -> d] z = x[n -> m] w = causal[m <= n](tanh(dot[d](x, z))) r = softmax[g](cat[m, p -> g](w, dot[d](x, Z))) out sum[g](r * cat[m, p -> g](z, Z)) }",
    "exp of a sink": "x: [n, d]) -> [n, d] { z = x[n -> m] s = causal[m <= n](dot[d](x, z)) out sum[m](exp(s - softplus(logsumexp[m](s))) * z) }",
    "scores that mix keys": "x: [n, d]) -> [n, d] { z = x[n -> m] s = cumsum[m](dot[d](x, z)) out sum[m](softmax[m](tanh(s)) * z) }",
}


def diagram(body: str) -> Diagram:
    return Program.of(Source("mean.anat", f"axis n, m = n, p, d, e, h, h2 = h, m2 = m, a, f, g = m + p diagram average({body}")).get("average")


@pytest.mark.parametrize("radius", [0.4, 2.0])
@pytest.mark.parametrize("name", SCORES)
def test_bounds_hold_for_scores(name: str, radius: float) -> None:
    for seed in range(2):
        text = f"x: [n, d]) -> [n, d] {{ {HEAD}{SCORES[name]}{TAIL}"
        assert holds(diagram(text), {**SIZES, "n": 1 + 3 * (seed == 0), "m": 1 + 3 * (seed == 0)}, radius, np.random.default_rng(seed))


@pytest.mark.parametrize("radius", [0.4, 2.0])
@pytest.mark.parametrize("name", OTHERS)
def test_bounds_hold_for_other_means(name: str, radius: float) -> None:
    for seed in range(2):
        assert holds(diagram(OTHERS[name]), SIZES, radius, np.random.default_rng(seed))


@pytest.mark.parametrize(("n", "m"), [(3, 5), (7, 2), (1, 4)])
def test_three_inputs_have_the_closed_form(n: int, m: int) -> None:
    """tanh keeps the dot product from the sharper theorem; its slope is at most 1."""
    text = "axis n, m, d diagram average(q: [n, d], k: [m, d], v: [m, d]) -> [n, d] { out sum[m](softmax[m](tanh(dot[d](q, k))) * v) }"
    d = Program.of(Source("mean.anat", text)).get("average")
    found = compose(d, sizes_of(d, {"n": n, "m": m, "d": 3}), {}, 0.5).triple
    w = 2 * math.tanh(0.25)
    kappa = n / (1 + (m - 1) * math.exp(-w))
    rho, query, key = 0.5, 0.5, 0.5
    closed = math.sqrt(kappa + kappa * (rho * key) ** 2 + (rho * query) ** 2)
    assert found.two <= closed * (1 + 1e-9)
    if n <= m:  # else the interpolation of the other norms is sharper
        assert found.two == pytest.approx(closed, rel=1e-9)
    assert found.inf == pytest.approx(1 + rho * key + rho * query, rel=1e-9)


FEATURES = {
    "elu": ("elu(q) + 1", "elu(k) + 1"),
    "exp": ("exp(q)", "exp(k)"),
    "softplus": ("softplus(q)", "softplus(k)"),
    "exp with a norm": ("exp(q - sum[e](square(q)) / 2) / 3", "exp(k - sum[e](square(k)) / 2) / 3"),
    "another map for keys": ("2 + tanh(q)", "1 + square(k)"),
    "scaled by head": ("exp(q) * (1 + iota[h])", "exp(k)"),
}


@pytest.mark.parametrize("radius", [0.4, 2.0])
@pytest.mark.parametrize("name", FEATURES)
def test_bounds_hold_for_features(name: str, radius: float) -> None:
    fq, fk = FEATURES[name]
    core = f"a2 = {fq} b = {fk} y = dot[e](a2, dot[m](b, v)) / dot[e](a2, sum[m](b)) "
    text = f"x: [n, d]) -> [n, d] {{ {HEAD}{core}out lin O[h, f -> d](y) }}"
    for seed in range(2):
        assert holds(diagram(text), {**SIZES, "n": 5, "m": 5}, radius, np.random.default_rng(seed))


@pytest.mark.parametrize("below", ["dot[e](exp(q), sum[m](exp(-k)))", "dot[e](exp(-q), sum[m](exp(k)))", "dot[e](exp(q), sum[m](exp(k) * 2))", "dot[e](exp(q), mean[m](exp(k)))"])
def test_another_denominator_is_no_mean(below: str) -> None:
    """The theorem holds for one denominator only; with others its constant could be too small."""
    text = f"x: [n, d]) -> [n, h, f] {{ {HEAD}y = dot[e](exp(q), dot[m](exp(k), v)) / ({below}) out y + 0 * sum[m](s) }}"
    d = diagram(text)
    net = build(d, {k: v for k, v in SIZES.items() if k in d.sizes})
    weights = {k: v.double().numpy() for k, v in net.state_dict().items()}
    found = compose(d, sizes_of(d, SIZES), weights, 1.0)
    assert all(b.facts.get("method") != features.NAME for b in found.bounds.values())
    assert holds(d, SIZES, 1.0, np.random.default_rng(0))
