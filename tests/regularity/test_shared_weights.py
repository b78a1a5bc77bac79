"""Weights with a sink, sparse weights and Sinkhorn's: against dense Jacobians, their adversaries, and their side conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.theorems import plan, sink, sparse
from tests.regularity.oracle import holds, jacobian

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, f, h diagram it(x: [n, d]) -> [n, d] "
PARTS = "z = x[n -> m] q = lin Q[d -> h, e](x) k = lin K[d -> h, e](z) v = lin V[d -> h, f](z) s = dot[e](q, k) "
PLAIN = PARTS.replace("h, e](z)", "h, e, bias=false](z)").replace("h, f](z)", "h, f, bias=false](z)")
SINKS = {
    "one": "w = exp(s - softplus(logsumexp[m](s)))",
    "one, causal": "r = causal[m <= n](s) w = exp(r - softplus(logsumexp[m](r)))",
    "learned": "weight c: [h] w = softmax[m](s) * sigmoid(logsumexp[m](s) - c)",
    "learned, causal": "weight c: [h] r = causal[m <= n](s) w = softmax[m](r) * sigmoid(logsumexp[m](r) - c)",
    "learned, of another score": "weight c: [h] r = tanh(s) w = softmax[m](r) * sigmoid(logsumexp[m](r) - c)",
    "with a bias": "weight b: [h, n -> m] r = s + b w = exp(r - softplus(logsumexp[m](r)))",
}
OTHERS = {
    "sparsemax": "w = sparsemax[m](s)",
    "entmax": "w = entmax[m](s, 1.5)",
    "entmax, causal": "w = entmax[m](causal[m <= n](s), 1.25)",
    "entmax of another score": "w = entmax[m](3 * tanh(s), 1.75)",
    "sinkhorn": "w = sinkhorn[n, m](s, steps=2)",
    "sinkhorn after a softmax": "w = sinkhorn[n, m](s - logsumexp[m](s), steps=1)",
    "sinkhorn of another score": "w = sinkhorn[n, m](sin(2 * s), steps=1)",
    "sinkhorn, causal": "w = sinkhorn[n, m](causal[m <= n](s), steps=2)",
}
SIZES = {"n": 4, "m": 4, "d": 2, "e": 2, "h": 2, "f": 2}


@pytest.mark.parametrize("parts", [PARTS, PLAIN], ids=["biases", "no biases"])
@pytest.mark.parametrize("name", SINKS)
def test_bounds_hold_with_a_sink(name: str, parts: str) -> None:
    d = anatomy.parse(f"{AXES}{{ {parts}{SINKS[name]} out lin O[h, f -> d](sum[m](w * v)) }}")["it"]
    for seed, radius in enumerate((0.4, 1.5)):
        assert holds(d, {**SIZES, "n": 4 - 3 * seed, "m": 4 - 3 * seed}, radius, np.random.default_rng(seed), 8)


@pytest.mark.parametrize("name", OTHERS)
def test_bounds_hold_for_shared_weights(name: str) -> None:
    d = anatomy.parse(f"{AXES}{{ {PARTS}{OTHERS[name]} out lin O[h, f -> d](sum[m](w * v)) }}")["it"]
    for seed, radius in enumerate((0.4, 1.5)):
        assert holds(d, {**SIZES, "n": 4 - seed, "m": 4 - seed}, radius, np.random.default_rng(seed), 8)


def bound_of(weights: str, a: np.ndarray, n: int, radius: float):
    text = f"axis n, m = n, d, e = d diagram it(x: [n, d]) -> [n, d] {{ weight A: [d -> e] z = x[n -> m] s = dot[d](dot[d](x, A)[e -> d], z) w = {weights} out sum[m](w * z) }}"
    d = anatomy.parse(text)["it"]
    return compose(d, sizes_of(d, {"n": n, "m": n, "d": len(a), "e": len(a)}), {next(w.key for w in d.weights): a}, radius)


def test_a_sink_is_one_key_more() -> None:
    """With scores near 0 the sum of n weights is n / (n + 1): the derivative of equal values has that norm, and the bound nearly so."""
    a = 1e-6 * np.eye(2)
    found = bound_of("exp(s - softplus(logsumexp[m](s)))", a, 5, 1.0)
    assert 5 / 6 <= found.triple.two <= 0.84
    assert bound_of("exp(s - softplus(logsumexp[m](s) + 0.5))", a, 5, 1.0).method != sink.NAME
    assert bound_of("exp(s - softplus(logsumexp[m](2 * s)))", a, 5, 1.0).method != sink.NAME
    assert bound_of("softmax[m](s) * sigmoid(2 * logsumexp[m](s))", a, 5, 1.0).method != sink.NAME


@pytest.mark.parametrize("n", [4, 8, 16])
def test_sparsemax_grows_like_n(n: int) -> None:
    """x_j = (R / sqrt 2) (1, +-1), A = a e1 e1^T: at least n a / 2, and the bound is at most sqrt n + 2 n a."""
    a = np.diag([1.0, 0.0])
    x = np.array([[1.0, (-1.0) ** j] for j in range(n)]) / math.sqrt(2)
    found = bound_of("sparsemax[m](s)", a, n, 1.0)
    assert found.method == sparse.NAME
    assert found.triple.two <= (math.sqrt(n) + 2 * n) * (1 + 1e-9)
    support = torch.ones(n, n) / n  # all keys are in the support near these scores, so that J = I - 1 1^T / n

    def run(x: torch.Tensor) -> torch.Tensor:
        s = x @ torch.tensor(a) @ x.T
        return (s - s.mean(1, keepdim=True) + support) @ x

    lower = float(np.linalg.norm(jacobian(run, torch.tensor(x)), 2))
    assert lower >= n / 2 * (1 - 1e-9)
    assert lower <= found.triple.two
    assert lower > found.triple.two / 5  # a constant without its factor n would lie below


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_truncated_sinkhorn_exceeds_the_converged_constant(steps: int) -> None:
    """The bound counts the half-steps; it holds at inputs that the ascent below finds."""
    rng = np.random.default_rng(steps)
    found = bound_of(f"sinkhorn[n, m](s, steps={steps})", -3 * np.eye(2), 3, 1.0)
    assert found.method == plan.NAME
    assert found.triple.inf <= (1 + 2 * 3 * 2 * steps) * (1 + 1e-9)

    def run(x: torch.Tensor) -> torch.Tensor:
        s = -3 * x @ x.T
        for _ in range(steps):
            s = s - torch.logsumexp(s, 0, keepdim=True)
            s = s - torch.logsumexp(s, 1, keepdim=True)
        return s.exp() @ x

    best = 0.0
    for _ in range(60):
        x = rng.standard_normal((3, 2))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        best = max(best, float(np.linalg.norm(jacobian(run, torch.tensor(x)), 2)))
    assert best <= found.triple.two
