"""Upper bounds of attention variants against ascent, secants and dense Jacobians; theorem conventions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.regularity import check
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.theorems import softmax
from tests.regularity.oracle import grouping, jacobian, points, worst_quotients
from tests.regularity.variants import NAMES, sizes, variant

torch.set_num_threads(1)
WITHOUT = {"hard_choice", "relu_rows", "by_data", "cosine_without_eps", "given_mask"}
BOUNDED = [n for n in NAMES if n not in WITHOUT]


def drawn(name: str, rng: np.random.Generator, scale: float, **changed: int):
    """A module with random weights, those weights, and its sizes."""
    given = sizes(name, **changed)
    net = build(variant(name), given, dtype=torch.float64, passes=DIFFERENTIABLE)
    with torch.no_grad():
        for p in net.parameters():
            p.requires_grad_(False).copy_(torch.tensor(scale * rng.standard_normal(tuple(p.shape))))
    return net, {k: v.numpy() for k, v in net.state_dict().items()}, given


@pytest.mark.parametrize("name", BOUNDED)
def test_no_quotient_exceeds_the_bound(name: str) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([1, 2, 3, 5]))
        net, weights, given = drawn(name, rng, float(rng.choice([0.3, 1.0, 1.5])), n=n, m=n)
        diagram = variant(name)
        radius = float(rng.choice([0.5, 1.0, 2.0]))
        full = sizes_of(diagram, given)
        found = compose(diagram, full, weights, radius).triple
        shapes = [tuple(full[a] for a in item.layout) for item in diagram.inputs]
        counts = [math.prod(s) for s in shapes]
        outs = grouping([tuple(full[a] for a in diagram.outputs[0].layout)])

        def f(v: torch.Tensor, net=net, counts=counts, shapes=shapes) -> torch.Tensor:
            return net(*(p.reshape(s) for p, s in zip(torch.split(v, counts), shapes, strict=True))).reshape(-1)

        for inputs in points(shapes, radius, rng, 4):
            x = torch.cat([a.reshape(-1) for a in inputs])
            worst = worst_quotients(jacobian(f, x), grouping(shapes), outs, rng)
            for p, limit in ((1.0, found.one), (2.0, found.two), (np.inf, found.inf)):
                assert worst[p] <= limit * (1 + 1e-9), (name, seed, p)


@pytest.mark.parametrize("name", ["plain", "causal_single", "window", "mha", "cross", "sigmoid_attention", "mixer"])
@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
def test_ascent_stays_below_the_bound(name: str, norm: str) -> None:
    rng = np.random.default_rng(3)
    net, weights, given = drawn(name, rng, 1.0, n=3, m=3)
    found = check(variant(name), given, weights, 1.0, norm, net, growth=False)  # type: ignore[arg-type]
    assert found.upper is not None
    assert found.lower is not None
    assert 0 < found.lower <= found.upper
    assert found.ratio == pytest.approx(found.upper / found.lower)


def test_the_score_matrix_is_not_transposed() -> None:
    """With A^T in place of A the max-token bound is violated (C1): a rank-one A tells them apart."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        a = 8 * np.outer(*(u / np.linalg.norm(u) for u in rng.standard_normal((2, 3))))
        v = np.outer(rng.standard_normal(3), np.linalg.svd(a)[2][0])
        v /= np.linalg.norm(v, 2)
        d = 3
        zero = np.zeros(d)
        weights = {"Wq": math.sqrt(d) * a, "Wk": np.eye(d), "Wv": v.T, "Wq.bias": zero, "Wk.bias": zero, "Wv.bias": zero}
        name = "unbiased"
        given = sizes(name, n=5, m=5, d=d, e=d, f=d)
        limit = compose(variant(name), sizes_of(variant(name), given), weights, 1.0).triple.inf

        def f(x: torch.Tensor, a=a, v=v) -> torch.Tensor:
            x = x.reshape(5, 3)
            return (torch.softmax(x @ torch.tensor(a) @ x.T, -1) @ x @ torch.tensor(v.T)).reshape(-1)

        for inputs in points([(5, 3)], 1.0, rng, 8):
            j = jacobian(f, inputs[0].reshape(-1))
            worst = max(worst, worst_quotients(j, [(5, 3)], [(5, 3)], rng)[np.inf] / limit)
    assert 0.3 < worst <= 1.0


@pytest.mark.parametrize("a", [0.1, 0.5, 0.55, 1.0, 4.0, 32.0])
def test_the_closed_forms_are_the_maxima(a: float) -> None:
    t = np.linspace(0, 1, 200_001)
    grid = 0.5 * np.max(1 + (t + a * (1 - t**2)) ** 2)
    assert grid <= softmax.rho(a) <= grid * (1 + 1e-6)
    for pbar in (0.2, 0.5, 0.6, 0.9, 1.0):
        p = np.linspace(0, pbar, 200_001)
        grid = np.max(p * (1 + a * a * np.where(p <= 0.5, 1, 4 * p * (1 - p))))
        assert grid <= softmax.cbar(pbar, a) * (1 + 1e-12)
        assert softmax.cbar(pbar, a) <= grid * (1 + 1e-6)


@pytest.mark.parametrize(
    ("name", "method"),
    [("plain", True), ("single", True), ("causal_single", True), ("window", True), ("alibi", True), ("mha", True), ("gqa", True),
     ("batched", True), ("cross", True), ("sdpa", True), ("prenorm", True), ("gauss", False), ("bahdanau", False),
     ("synthesizer", False), ("efficient", False), ("sigmoid_attention", False)],
)  # fmt: skip
def test_the_theorem_is_recognised_by_structure(name: str, method: bool) -> None:
    rng = np.random.default_rng(0)
    _, weights, given = drawn(name, rng, 0.5)
    found = compose(variant(name), sizes_of(variant(name), given), weights, 1.0)
    assert (found.method == softmax.NAME) == method


def test_folding_the_output_projection_is_tighter_than_the_product_of_norms() -> None:
    """W_O that undoes half of W_V: the product matrix knows, the norms do not."""
    rng = np.random.default_rng(0)
    _, weights, given = drawn("mha", rng, 0.5, n=3, m=3)
    for key in weights:
        if key == "Wo":
            weights[key] = np.zeros_like(weights[key])
            weights[key][0, 0, 0] = 1.0
        if key == "Wv":
            weights[key] = np.zeros_like(weights[key])
            weights[key][:, 1, :] = 5.0
    found = compose(variant("mha"), sizes_of(variant("mha"), given), weights, 1.0)
    assert found.triple.two == 0.0, "head 0 carries no value, and W_O reads head 0 only"


def test_equal_functions_written_in_two_ways_have_equal_bounds() -> None:
    rng = np.random.default_rng(0)
    _, weights, given = drawn("unbiased", rng, 1.0, n=4, m=4)
    one = compose(variant("unbiased"), sizes_of(variant("unbiased"), given), weights, 1.0).triple
    zero = {f"{k}.bias": np.zeros(w.shape[1]) for k, w in weights.items()}
    two = compose(variant("single"), sizes_of(variant("single"), given), {**weights, **zero}, 1.0).triple
    assert one.two == pytest.approx(two.two, rel=1e-12)
