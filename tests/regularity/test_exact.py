"""Values known in closed form: section 10 of the notes on Lipschitz constants, items 1, 2, 5, 9 and 10."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anatomy.compiler import build
from anatomy.regularity import check
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.estimate import Flat
from tests.regularity.oracle import jacobian
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)


def attention(x: torch.Tensor, a: torch.Tensor, v: torch.Tensor, causal: bool = False) -> torch.Tensor:
    """Softmax attention written by hand, with s_ij = x_i^T A x_j."""
    s = x @ a @ x.T
    if causal:
        s = s.masked_fill(~torch.tril(torch.ones_like(s, dtype=torch.bool)), -math.inf)
    return torch.softmax(s, -1) @ x @ v


def spectral(f, x: torch.Tensor) -> float:
    flat = Flat(f, [tuple(x.shape)])
    return float(np.linalg.norm(jacobian(flat, x.reshape(-1)), 2))


def weights_of(name: str, a: np.ndarray, v: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of `unbiased` and `causal_single` such that x_i^T A x_j is the score and V the value map."""
    d = len(a)
    scale = math.sqrt(d) if name == "unbiased" else 1.0
    return {"Wq": scale * np.eye(d), "Wk": a.T.copy(), "Wv": v, "Wq.bias": np.zeros(d), "Wk.bias": np.zeros(d), "Wv.bias": np.zeros(v.shape[1])}


def upper(name: str, a: np.ndarray, v: np.ndarray, n: int, radius: float) -> float:
    d = len(a)
    given = sizes(name, n=n, m=n, d=d, e=d, f=v.shape[1])
    return compose(variant(name), sizes_of(variant(name), given), weights_of(name, a, v), radius).triple.two


@pytest.mark.parametrize(
    ("n", "value"),
    [(1, 1.0), (2, 1.144122806), (3, 1.221513005), (4, 1.272287990), (8, 1.379779042), (16, 1.467708849), (64, 1.597854597)],
)
def test_item_1_equal_tokens_under_a_causal_mask_average_like_cesaro(n: int, value: float) -> None:
    v, a = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[-0.7]], dtype=torch.float64)
    x = torch.full((n, 1), 0.4, dtype=torch.float64)
    here = spectral(lambda x: attention(x, a, v, causal=True), x)
    zero = spectral(lambda x: attention(x, a, v, causal=True), torch.zeros(n, 1, dtype=torch.float64))
    assert zero == pytest.approx(2 * value, rel=2e-9)
    assert upper("causal_single", a.numpy(), v.numpy(), n, 0.4) >= max(here, zero)


def test_item_1_equal_tokens_unmasked_give_the_norm_of_the_values() -> None:
    rng = np.random.default_rng(0)
    a, v = rng.standard_normal((3, 3)), rng.standard_normal((3, 2))
    x = torch.zeros(5, 3, dtype=torch.float64)
    here = spectral(lambda x: attention(x, torch.tensor(a), torch.tensor(v)), x)
    assert here == pytest.approx(np.linalg.norm(v, 2), rel=1e-12)
    at_zero = upper("unbiased", a, v, 5, 0.0)
    assert here <= at_zero * (1 + 1e-12)
    assert at_zero == pytest.approx(here, rel=1e-9), "on the single point X = 0 the bound is exact"


@pytest.mark.parametrize(
    ("s", "value"),
    [(0.25, 1.235003712), (0.5, 1.393223866), (1, 1.601542839), (-1, 1.601542839), (2, 1.246630879), (-0.5, 1.248564890)],
)
def test_item_2_two_tokens_on_a_line(s: float, value: float) -> None:
    a, v = np.array([[float(s)]]), np.eye(1)
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    here = spectral(lambda x: attention(x, torch.tensor(a), torch.tensor(v)), x)
    assert here == pytest.approx(value, abs=1e-9)
    assert upper("unbiased", a, v, 2, 1.0) >= here


@pytest.mark.parametrize(
    ("g", "n", "value"), [(1, 5, 2.45840), (2, 65, 11.88612), (3, 257, 32.81993)]
)
def test_item_5_one_token_against_all_others(g: int, n: int, value: float) -> None:
    a, v = -np.eye(1), np.eye(1)
    x = torch.full((n, 1), math.sqrt(g), dtype=torch.float64)
    x[0] *= -1
    here = spectral(lambda x: attention(x, torch.tensor(a), torch.tensor(v)), x)
    assert here == pytest.approx(value, abs=1e-5)
    bound = upper("unbiased", a, v, n, math.sqrt(g))
    assert here <= bound <= 1.75 * here, "the final rule is within 1.75 of the adversary"


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("name", "factor"),
    [("linear_mean", lambda n, r: 3 * r**2), ("relu_mean", lambda n, r: 3 * r**2), ("linear_sum", lambda n, r: 3 * n * r**2),
     ("square_relu_mean", lambda n, r: 5 * r**4)],
)  # fmt: skip
def test_item_9_pointwise_scores_are_exact(name: str, factor, radius: float) -> None:
    n = 4
    given = sizes(name, n=n, m=n, d=1)
    net = build(variant(name), given, dtype=torch.float64)
    found = check(variant(name), given, {}, radius, function=net, growth=False)
    assert found.verdict == "lipschitz_on_domain"
    assert found.upper == pytest.approx(factor(n, radius), rel=1e-9)
    assert found.lower == pytest.approx(factor(n, radius), rel=1e-6)


def test_item_9_sigmoid_at_zero() -> None:
    n = 5
    given = sizes("sigmoid_attention", n=n, m=n, d=2, e=2, f=2)
    eye, zero = np.eye(2), np.zeros(2)
    weights = {"Wq": eye, "Wk": eye, "Wv": eye, "Wq.bias": zero, "Wk.bias": zero, "Wv.bias": zero}
    diagram = variant("sigmoid_attention")
    bound = compose(diagram, sizes_of(diagram, given), weights, 0.0).triple.two
    here = spectral(lambda x: torch.sigmoid(x @ x.T) @ x, torch.zeros(n, 2, dtype=torch.float64))
    assert here == pytest.approx(n / 2, rel=1e-12)
    assert bound == pytest.approx(n / 2, rel=1e-9)


def test_item_10_fixed_mixing_is_the_product_of_norms() -> None:
    rng = np.random.default_rng(1)
    given = sizes("fixed", n=5, p=3, d=4, e=2)
    weights = {"M": rng.standard_normal((5, 3)), "V": rng.standard_normal((4, 2)), "V.bias": rng.standard_normal(2)}
    exact = np.linalg.norm(weights["M"], 2) * np.linalg.norm(weights["V"], 2)
    found = check(variant("fixed"), given, weights, math.inf, function=None)
    assert found.verdict == "globally_lipschitz"
    assert found.upper is not None
    assert exact <= found.upper * (1 + 1e-15)
    assert found.upper <= exact * (1 + 1e-9)


@pytest.mark.parametrize(("n", "d", "value"), [(4, 3, 3.464101615), (8, 4, 5.656854249), (64, 64, 64.0)])
def test_item_10_fnet_is_the_root_of_the_points(n: int, d: int, value: float) -> None:
    found = check(variant("fnet"), {"n": n, "d": d}, {}, 1.0)
    assert found.verdict == "globally_lipschitz"
    assert found.upper == pytest.approx(value, abs=1e-8)
