"""The theorem on pointwise weights: against dense Jacobians, attained where it says so, and with its side conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.ir.bound import INF
from anatomy.regularity.compose import compose, sizes_of
from tests.regularity.oracle import holds, jacobian

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, f, h diagram it(x: [n, d]) -> [n, d] "
PARTS = "z = x[n -> m] q = lin Q[d -> h, e](x) k = lin K[d -> h, e](z) v = lin V[d -> h, f](z) s = dot[e](q, k) "
WEIGHTS = {
    "sigmoid": "w = sigmoid(s - log(size[m]))",
    "sigmoid of a bias": "weight b: [h] w = sigmoid(s + b)",
    "relu": "w = relu(s) / size[m]",
    "squared relu": "w = square(relu(s)) / size[m]",
    "square": "w = square(s)",
    "identity": "w = s / size[m]",
    "causal": "w = sigmoid(causal[m <= n](s))",
    "decay": "w = s * exp(causal[m <= n]((iota[n] - iota[m]) * log(0.7)))",
    "decay of heads": "w = s * exp(causal[m <= n]((iota[n] - iota[m]) * log(1 - 2 ^ (-1 - iota[h]))))",
    "signs": "w = tanh(s) * (1 - 2 * where(m < n, 1, 0)) * (1 + iota[h])",
    "bias of positions": "weight b: [h, n -> m] w = gelu(s + b)",
    "gate of queries": "w = sigmoid(s * tanh(lin G[d -> h](x)))",
    "gate of keys": "w = s * sigmoid(lin G[d -> h](z))",
    "without keys' bias": "t = dot[e](q, lin T[d -> h, e, bias=false](z)) w = relu(t)",
    "twice": "w = relu(tanh(s)) * 3",
}
SIZES = {"n": 4, "m": 4, "d": 3, "e": 2, "h": 2, "f": 2}
OTHERS = {
    "keys and values first": PARTS + "out lin O[h, f -> d](dot[e](q, dot[m](k, v)) / size[m])",
    "features first": PARTS + "a = elu(q) + 1 b = elu(k) + 1 out lin O[h, f -> d](dot[e](a, dot[m](b, v)))",
    "values by row": PARTS + "u = v * sigmoid(lin G[d -> h](x)) out lin O[h, f -> d](sum[m](relu(s) * u))",
    "channels": PARTS + "w = sigmoid(lin Y[d -> h, f](x) + lin Z[d -> h, f](z)) out lin O[h, f -> d](sum[m](w * v))",
    "keys of every row": "z = x[n -> m] s = cumsum[n](dot[d](x, z)) out sum[m](tanh(s) * z)",
}


@pytest.mark.parametrize("radius", [0.5, 2.0])
@pytest.mark.parametrize("name", WEIGHTS)
def test_bounds_hold_for_weights(name: str, radius: float) -> None:
    text = f"{AXES}{{ {PARTS}{WEIGHTS[name]} out lin O[h, f -> d](sum[m](w * v)) }}"
    for seed in range(2):
        assert holds(anatomy.parse(text)["it"], {**SIZES, "n": 4 - seed, "m": 4 - seed}, radius, np.random.default_rng(seed))


@pytest.mark.parametrize("radius", [0.5, 2.0])
@pytest.mark.parametrize("name", OTHERS)
def test_bounds_hold_in_other_shapes(name: str, radius: float) -> None:
    for seed in range(2):
        assert holds(anatomy.parse(f"{AXES}{{ {OTHERS[name]} }}")["it"], {**SIZES, "n": 4 - seed, "m": 4 - seed}, radius, np.random.default_rng(seed))


SINGLE = "axis n, m = n, d, e = d diagram it(x: [n, d]) -> [n, d] { z = x[n -> m] s = dot[d](dot[d](x, A)[e -> d], z) "


def bound_of(weights: str, a: np.ndarray, n: int, radius: float):
    text = SINGLE.replace("{ z", "{ weight A: [d -> e] z") + f"out sum[m](({weights}) * z) }}"
    d = anatomy.parse(text)["it"]
    key = next(w.key for w in d.weights)
    return compose(d, sizes_of(d, {"n": n, "m": n, "d": len(a), "e": len(a)}), {key: a}, radius)


CLOSED = {
    "relu(s) / size[m]": lambda a, n: 3 * a,
    "square(relu(s)) / size[m]": lambda a, n: 5 * a * a,
    "s / size[m]": lambda a, n: 3 * a,
    "sigmoid(s - log(size[m]))": lambda a, n: n * (1 / (1 + n * math.exp(-a)) + 2 * a * max((lambda t: t * (1 - t))(1 / (1 + math.exp(-t))) for t in np.linspace(-a - math.log(n), a - math.log(n), 20001))),
}


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("weights", CLOSED)
def test_one_head_has_the_closed_form(weights: str, n: int) -> None:
    a = np.random.default_rng(0).standard_normal((3, 3))
    r = 0.8
    size = float(np.linalg.norm(a, 2)) * r * r
    found = bound_of(weights, a, n, r)
    assert found.triple.two == pytest.approx(CLOSED[weights](size, n), rel=1e-6)
    assert found.triple.inf == pytest.approx(found.triple.two, rel=1e-9)


@pytest.mark.parametrize(("weights", "f"), [("relu(s) / size[m]", lambda s, n: torch.relu(s) / n), ("square(relu(s)) / size[m]", lambda s, n: torch.relu(s) ** 2 / n), ("s / size[m]", lambda s, n: s / n)])
def test_equal_tokens_attain_it(weights: str, f) -> None:
    """u^T A u = ||A|| and x_i = R u: no smaller constant is sound, so that any mutation of it downwards is caught."""
    n, r, u = 5, 1.3, np.array([0.6, 0.8])
    a = 2.0 * np.outer(u, u) + 0.5 * np.outer([-0.8, 0.6], [-0.8, 0.6])
    m = torch.tensor(a)
    x = r * torch.tensor(np.tile(u, (n, 1)))

    def run(x: torch.Tensor) -> torch.Tensor:
        return f(x @ m @ x.T, n) @ x

    attained = float(np.linalg.norm(jacobian(run, x), 2))
    upper = bound_of(weights, a, n, r).triple.two
    assert attained <= upper * (1 + 1e-12)
    assert attained == pytest.approx(upper, rel=1e-9)


@pytest.mark.parametrize("g", [0.5, 0.8, 0.99])
def test_decays_add_up_to_their_sums(g: float) -> None:
    n, a = 12, np.array([[0.7, 0.2], [-0.1, 0.4]])
    found = bound_of(f"s * exp(causal[m <= n]((iota[n] - iota[m]) * log({g})))", a, n, 1.0)
    total = (1 - g**n) / (1 - g)
    assert found.triple.inf == pytest.approx(3 * float(np.linalg.norm(a, 2)) * total, rel=1e-6)
    assert found.triple.two <= 3 * float(np.linalg.norm(a, 2)) * total * (1 + 1e-9)


def test_growing_weights_have_no_constant_everywhere() -> None:
    assert bound_of("relu(s) / size[m]", np.eye(2), 3, INF).triple.two == INF
    assert bound_of("relu(s) / size[m]", np.zeros((2, 2)), 3, 1.0).triple.two == 0


def test_the_convention_of_the_matrix_in_the_largest_norm() -> None:
    """With A transposed the bound of the max norm would be too small for a lopsided A and V."""
    rng = np.random.default_rng(3)
    a = np.array([[0.0, 2.0], [0.0, 0.0]])
    upper = bound_of("relu(s) / size[m]", a, 3, 1.0).triple.inf
    m = torch.tensor(a)
    for _ in range(40):
        x = torch.tensor(rng.standard_normal((3, 2)))
        x = x / x.norm(dim=1, keepdim=True)
        j = jacobian(lambda x: torch.relu(x @ m @ x.T) / 3 @ x, x).reshape(3, 2, 3, 2)
        blocks = np.array([[np.linalg.norm(j[i, :, k, :], 2) for k in range(3)] for i in range(3)])
        assert float(np.max(np.linalg.norm(j.reshape(3, 2, 6), 2, axis=(1, 2)))) <= upper * (1 + 1e-9)
        assert float(np.max(blocks)) <= upper * (1 + 1e-9)
