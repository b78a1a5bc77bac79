"""The ascent: its energy against dense Jacobians, its starts in the ball, and what it finds against other searches."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from anatomy.regularity.ascent.energy import Energy
from anatomy.regularity.ascent.flat import Flat
from anatomy.regularity.ascent.starts import PATTERNS, starts
from anatomy.regularity.estimate import estimate

torch.set_num_threads(1)


def head(n: int, d: int, seed: int, scale: float):
    rng = torch.Generator().manual_seed(seed)
    form, value = (torch.randn(d, d, generator=rng, dtype=torch.float64) / math.sqrt(d) for _ in range(2))
    return lambda x: torch.softmax(scale * x @ form @ x.mT, -1) @ (x @ value)


def point(flat: Flat, seed: int) -> torch.Tensor:
    return flat.project(torch.randn(flat.length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), 1.0)


@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
@pytest.mark.parametrize("seed", range(3))
def test_the_energy_never_exceeds_the_norm_of_the_jacobian_and_its_power_steps_climb(norm: str, seed: int) -> None:
    flat = Flat(head(3, 2, seed, 3.0), [(3, 2)])
    x = point(flat, seed)[None]
    jacobian = torch.func.jacrev(flat)(x[0])
    blocks = jacobian.reshape(3, 2, 3, 2)
    if norm == "frobenius":
        exact = float(torch.linalg.matrix_norm(jacobian, 2))
    else:  # of each output token, the best of many unit vectors of the plane
        angle = torch.linspace(0, math.pi, 4001, dtype=torch.float64)
        w = torch.stack([angle.cos(), angle.sin()], -1)
        exact = max(float(torch.linalg.vector_norm(torch.einsum("ka,ajb->kjb", w, blocks[i]), dim=-1).sum(-1).max()) for i in range(3))
    energy = Energy(flat, norm)
    v = energy.unit(torch.randn(1, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), torch.zeros(1, 6))
    values = []
    for _ in range(200):
        value, _, v, _ = energy(x, v)
        values.append(float(value))
    assert all(b >= a * (1 - 1e-9) for a, b in pairwise(values))
    assert max(values) <= exact * (1 + 1e-6)
    if norm == "frobenius":
        assert values[-1] == pytest.approx(exact, rel=1e-4)


def test_the_gradient_of_the_energy_is_that_of_a_difference() -> None:
    flat = Flat(head(4, 3, 1, 2.0), [(4, 3)])
    energy = Energy(flat, "frobenius")
    x, v = point(flat, 2)[None], torch.ones(1, 12, dtype=torch.float64)
    _, gx, _, _ = energy(x, v)
    move = torch.randn(1, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ahead, behind = (float(energy(x + s * 1e-6 * move, v)[0].log()) for s in (1, -1))
    assert float((gx * move).sum()) == pytest.approx((ahead - behind) / 2e-6, rel=1e-5)


def test_starts_lie_in_the_ball_and_have_every_pattern() -> None:
    flat = Flat(lambda x, y: x, [(5, 3), (1, 2)])
    begun = starts(flat, 0.7, 64, torch.Generator().manual_seed(0))
    for tokens in flat.tokens(begun.points):
        assert float(torch.linalg.vector_norm(tokens, dim=-1).max()) <= 0.7
    assert set(begun.names) == {name for name, _ in PATTERNS} | {"boundary", "random"}


def dense_ascent(flat: Flat, tries: int, steps: int, seed: int) -> float:
    """Ascent of the largest singular value itself, by the gradient through its vectors, one start after the other."""
    best = 0.0
    for k in range(tries):
        x = point(flat, 1000 * seed + k) * (0.4 if k % 3 == 0 else 1.0)
        for step in range(steps):
            x = x.detach().requires_grad_(True)
            sigma = torch.linalg.matrix_norm(torch.func.jacrev(flat)(x), 2)
            best = max(best, float(sigma.detach()))
            (g,) = torch.autograd.grad(sigma, x)
            x = flat.project(x.detach() + 0.4 * (1 - step / steps) * g / torch.linalg.vector_norm(g).clamp_min(1e-300), 1.0)
    return best


@pytest.mark.parametrize(("n", "d", "seed", "scale"), [(4, 3, 0, 1.0), (5, 2, 3, 8.0)])
def test_the_estimate_reaches_what_an_ascent_of_singular_values_finds(n: int, d: int, seed: int, scale: float) -> None:
    function = head(n, d, seed, scale)
    assert estimate(function, [(n, d)]).value >= 0.99 * dense_ascent(Flat(function, [(n, d)]), 6, 60, seed)


def test_a_narrow_slope_is_found() -> None:
    normalised = lambda x: x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-5)  # noqa: E731
    assert estimate(normalised, [(3, 4)]).value == pytest.approx(1e5**0.5, rel=1e-3)
    assert estimate(lambda x: torch.layer_norm(x, (4,)), [(3, 4)]).value == pytest.approx(1e5**0.5, rel=1e-2)


@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
def test_a_function_that_cannot_be_batched(norm: str) -> None:
    plain = head(3, 2, 0, 2.0)

    def branching(x: torch.Tensor) -> torch.Tensor:
        return plain(x) if float(x.detach().sum()) < 1e9 else x

    assert estimate(branching, [(3, 2)], norm=norm).value == pytest.approx(estimate(plain, [(3, 2)], norm=norm).value, rel=0.02)


def test_both_inputs_of_cross_attention_and_both_of_its_roles() -> None:
    rng = torch.Generator().manual_seed(5)
    form, value = (torch.randn(3, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    cross = lambda x, y: torch.softmax(x @ form @ y.mT, -1) @ (y @ value)  # noqa: E731
    both = estimate(cross, [(4, 3), (5, 3)])
    one = estimate(cross, [(4, 3), (5, 3)], fixed=[both.inputs[0], None])
    assert one.value <= both.value * (1 + 1e-9)
    flat = Flat(cross, [(4, 3), (5, 3)])
    assert both.value >= 0.99 * dense_ascent(flat, 4, 40, 1)


def test_a_constant_function_has_the_bound_zero() -> None:
    assert estimate(lambda x: torch.ones(2, 2, dtype=torch.float64), [(2, 2)]).value == 0.0
    assert estimate(lambda x: 0 * x, [(2, 2)]).value == 0.0


def test_threads_are_left_as_they_were() -> None:
    torch.set_num_threads(2)
    estimate(lambda x: x, [(2, 2)])
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
