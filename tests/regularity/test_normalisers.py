"""Bounds of the sparse normalisers, of Sinkhorn's and of triangular systems: sound against Jacobians, and how sharp they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.compiler import build
from anatomy.ops.simplex import peak, slope
from anatomy.regularity.compose import Stuck, compose, sizes_of
from tests.regularity.oracle import grouping, jacobian, points, worst_quotients

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, p, h\n"
SELF = "z = x[n -> m] s = lin Q[d -> e](x) t = lin K[d -> e](z) "
BODIES = {
    "sparsemax": SELF + "out dot[m](sparsemax[m](dot[e](s, t)), z)",
    "causal": SELF + "out dot[m](sparsemax[m](causal[m <= n](dot[e](s, t))), z)",
    "strict": SELF + "out dot[m](entmax[m](mask(m < n, dot[e](s, t)), 1.5), z)",
    "entmax": SELF + "out dot[m](entmax[m](dot[e](s, t), 1.25), z)",
    "features": "out sparsemax[d](3 * x)",
    "features_entmax": "out entmax[d](2 * x, 1.5)",
    "tokens": "out sparsemax[n](2 * x)",
    "joint": "out entmax[n, d](2 * x, 1.75)",
    "alpha": "weight a: [d] out sum[d](entmax[n](x, 1 + sigmoid(a)) * x) + x",
    "sinkhorn": SELF + "out dot[m](sinkhorn[n, m](dot[e](s, t), steps=3), z)",
    "sinkhorn_causal": SELF + "out dot[m](sinkhorn[n, m](causal[m <= n](dot[e](s, t)), steps=2), z)",
    "sinkhorn_features": "out sinkhorn[d, n](x, steps=2)",
    "solve": SELF + "out solve_triangular[n, m, unit=true](tanh(dot[e](s, t)), x)[m -> n]",
    "delta": SELF + "out solve_triangular[n, m, unit=true](dot[e](s, t), x)[m -> n]",
    "repeat": "repeat 2 (y = x) { next y = tanh(lin W[d -> e](y)[e -> d]) + sparsemax[d](y) } out y",
}  # fmt: skip
SIZES = {"n": 3, "m": 3, "d": 2, "e": 2}


def text(name: str) -> str:
    square = AXES.replace("e,", "e = d,")
    return f"{square}diagram it(x: [n, d]) -> [n, d] {{ {BODIES[name]} }}"


@pytest.mark.parametrize("name", BODIES)
def test_no_quotient_exceeds_the_bound(name: str) -> None:
    diagram = anatomy.parse(text(name))["it"]
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([1, 2, 4]))
        given = {k: v for k, v in {**SIZES, "n": n, "m": n}.items() if k in diagram.sizes}
        net = build(diagram, given, dtype=torch.float64)
        with torch.no_grad():
            for p in net.parameters():
                p.requires_grad_(False).copy_(torch.tensor(float(rng.choice([0.5, 1.5])) * rng.standard_normal(tuple(p.shape))))
        weights = {k: v.numpy() for k, v in net.state_dict().items()}
        radius = float(rng.choice([0.5, 1.0, 3.0]))
        found = compose(diagram, sizes_of(diagram, given), weights, radius).triple
        shapes = [(n, 2)]

        def f(v: torch.Tensor, net=net, n=n) -> torch.Tensor:
            return net(v.reshape(n, 2)).reshape(-1)

        for inputs in points(shapes, radius, rng, 6):
            worst = worst_quotients(jacobian(f, inputs[0].reshape(-1)), grouping(shapes), grouping(shapes), rng)
            for p, limit in ((1.0, found.one), (2.0, found.two), (np.inf, found.inf)):
                assert worst[p] <= limit * (1 + 1e-9), (name, seed, p)


@pytest.mark.parametrize("alpha", [1.0001, 1.25, 1.5, 1.75, 2.0])
@pytest.mark.parametrize("keys", [2, 3, 8, 100])
def test_the_slopes_of_entmax_hold_and_their_row_sums_are_attained(alpha: float, keys: int) -> None:
    """Against the closed Jacobian at random and at the worst distributions: one weight p, the others equal."""
    found = slope(keys, alpha)
    rng = np.random.default_rng(keys)
    tops = {"sums": 0.0, "norm": 0.0}
    r = (keys - 1) ** ((alpha - 1) / (3 - alpha))
    ends = [r / (1 + r), 0.5, 0.9, 0.999999]
    rows = [np.array([q] + [(1 - q) / (keys - 1)] * (keys - 1)) for q in ends] + [rng.dirichlet(np.full(keys, c)) for c in (0.1, 1.0, 5.0)]
    rows += [np.array([q] + [(1 - q) / (few - 1)] * (few - 1)) for few in (2, 3, keys) if few <= keys for q in (0.3, 0.5, 0.7, 0.9)]
    for p in rows:
        u = p ** (2 - alpha)
        jac = np.diag(u) - np.outer(u, u) / u.sum()
        tops = {"sums": max(tops["sums"], np.abs(jac).sum(1).max()), "norm": max(tops["norm"], np.linalg.norm(jac, 2))}
    assert tops["sums"] <= found.inf * (1 + 1e-9)
    assert tops["norm"] <= found.two * (1 + 1e-9)
    assert found.inf <= tops["sums"] * (1 + 1e-6), "the row sums are attained"
    assert found.two <= tops["norm"] * 1.75


def test_the_ends_are_softmax_and_sparsemax() -> None:
    assert slope(7, 1 + 1e-9).inf == pytest.approx(0.5, rel=1e-6)
    assert slope(7, 2.0).inf == pytest.approx(2 * (1 - 1 / 7), rel=1e-12)
    assert slope(7, 2.0).two == 1
    assert slope(1, 1.5).inf == 0
    assert [slope(7, a).inf for a in (1.1, 1.3, 1.6, 1.9)] == sorted(slope(7, a).inf for a in (1.1, 1.3, 1.6, 1.9))


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0])
def test_scores_of_a_width_give_no_weight_above_the_peak(alpha: float) -> None:
    net = build(anatomy.parse(f"axis n, m\ndiagram it(s: [n, m]) -> [n, m] {{ out entmax[m](s, {alpha}) }}")["it"], {}, dtype=torch.float64)
    for width in (0.0, 0.05, 0.2, 0.5, 2.0):
        for keys in (1, 2, 5):
            s = torch.zeros(1, keys, dtype=torch.float64)
            s[0, 0] = width
            top = net(s).max().item()
            assert top <= peak(keys, (0.0, width)) * (1 + 1e-12)
            if alpha == 2.0:
                assert peak(keys, (0.0, width)) == pytest.approx(top, rel=1e-9)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("out solve_triangular[n, m](x[n -> m, d -> n], x)[m -> n]", "diagonal"),
        ("out entmax[d](x, 3)", "alpha > 2"),
        ("out entmax[d](x, 1 + sigmoid(sum[d](x)))", "depends on the input"),
        ("weight a: [] ~ zeros out entmax[d](x, a)", "greater than 1"),
    ],
)
def test_what_is_not_proved_says_why(body: str, words: str) -> None:
    axes = "axis n, m = n, d = n\n"
    diagram = anatomy.parse(f"{axes}diagram it(x: [n, d]) -> [n, d] where d = n {{ {body} }}")["it"]
    net = build(diagram, {"n": 3}, dtype=torch.float64)
    with pytest.raises(Stuck, match=words):
        compose(diagram, sizes_of(diagram, {"n": 3}), {k: v.numpy() for k, v in net.state_dict().items()}, 1.0)


def test_a_projection_has_slope_one_and_one_key_has_none() -> None:
    diagram = anatomy.parse("axis n, d\ndiagram it(x: [n, d]) -> [n, d] { out sparsemax[d](x) }")["it"]
    assert compose(diagram, {"n": 3, "d": 4}, {}, math.inf).triple.two == 1
    assert compose(diagram, {"n": 3, "d": 1}, {}, math.inf).triple.two == 0
    found = anatomy.regularity(diagram, sizes={"n": 3, "d": 4}, radius=math.inf)
    assert found.verdict == "globally_lipschitz"
    assert found.upper == 1
    assert found.lower == pytest.approx(1, rel=1e-6)
