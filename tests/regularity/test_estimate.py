"""The lower bound: tangents and not outputs, against dense Jacobians, and honest at kinks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anatomy.regularity.estimate import Flat, estimate, rayleigh
from tests.regularity.oracle import jacobian

torch.set_num_threads(1)


def test_item_14_the_tangent_is_used_and_not_the_output() -> None:
    double = lambda x: 2 * x  # noqa: E731
    x = torch.tensor([3.0, 0.0], dtype=torch.float64)
    buggy = math.sqrt(float(torch.linalg.vector_norm(2 * double(x))))
    assert buggy == pytest.approx(3.4641, abs=1e-4)
    assert estimate(double, [(1, 2)], 3.0).value == pytest.approx(2.0, rel=1e-8)


def test_item_14_fixed_mixing() -> None:
    rng = np.random.default_rng(0)
    m, v = torch.tensor(rng.standard_normal((3, 5))), torch.tensor(rng.standard_normal((4, 2)))
    found = estimate(lambda x: m @ x @ v, [(5, 4)])
    exact = float(torch.linalg.matrix_norm(m, 2) * torch.linalg.matrix_norm(v, 2))
    assert found.value <= exact
    assert found.value == pytest.approx(exact, rel=1e-6)
    assert found.confirmed == "secant agrees"


def attention(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(-1.5 * x @ x.T, -1) @ x


@pytest.mark.parametrize("seed", range(4))
def test_the_quotient_reaches_the_norm_of_the_dense_jacobian_at_the_witness(seed: int) -> None:
    found = estimate(attention, [(4, 2)], 1.2, seed=seed)
    flat = Flat(attention, [(4, 2)])
    x = torch.cat([t.reshape(-1) for t in found.inputs])
    assert found.value == pytest.approx(np.linalg.norm(jacobian(flat, x), 2), rel=1e-6)
    assert float(torch.linalg.vector_norm(found.inputs[0], dim=-1).max()) <= 1.2


def test_ascent_beats_random_points() -> None:
    rng = torch.Generator().manual_seed(0)
    flat = Flat(attention, [(4, 2)])
    best = 0.0
    for _ in range(20):
        x = flat.project(torch.randn(8, generator=rng, dtype=torch.float64), 1.2)
        best = max(best, float(np.linalg.norm(jacobian(flat, x), 2)))
    assert estimate(attention, [(4, 2)], 1.2).value > best


def test_same_seed_same_witness() -> None:
    a, b = (estimate(attention, [(3, 2)], seed=5) for _ in range(2))
    assert a.value == b.value
    assert a.witness() == b.witness()


def test_a_kink_is_confirmed_by_a_secant() -> None:
    class Steep(torch.autograd.Function):
        """|x| whose derivative at 0 claims 100."""

        generate_vmap_rule = True

        @staticmethod
        def forward(x: torch.Tensor) -> torch.Tensor:
            return x.abs()

        @staticmethod
        def setup_context(ctx, inputs, output) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * torch.where(x == 0, 100.0, torch.sign(x))

        @staticmethod
        def jvp(ctx, tangent):
            (x,) = ctx.saved_tensors
            return tangent * torch.where(x == 0, 100.0, torch.sign(x))

    flat = Flat(Steep.apply, [(2, 1)])
    zero = torch.zeros(2, dtype=torch.float64)
    assert rayleigh(flat, zero, torch.ones(2, dtype=torch.float64)) == pytest.approx(100)
    assert estimate(Steep.apply, [(2, 1)]).value <= 1.0


def test_the_largest_token_norm() -> None:
    m = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, 0.0]], dtype=torch.float64)
    found = estimate(lambda x: m @ x, [(3, 2)], norm="max_token")
    assert found.value == pytest.approx(6.0, rel=1e-6), "the greatest absolute row sum"


def test_several_inputs_are_varied_together() -> None:
    found = estimate(lambda x, y: x + 2 * y, [(2, 3), (2, 3)])
    assert found.value == pytest.approx(math.sqrt(5), rel=1e-6)
