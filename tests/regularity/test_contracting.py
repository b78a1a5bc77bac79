"""Stacks of one layer that converge, residual blocks that are inverted, and the distance that both are measured in."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from anatomy.api import parse
from anatomy.compiler import build
from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.regularity.measure import contraction, measured, residual, wasserstein

torch.set_num_threads(1)
HEAD = "axis n, m = n, d, e, a = d "
LAYER = "diagram layer(x: [n, d]) -> [n, d] { z = x[n -> m]  weight W: [d, a]  weight t: [d]  " \
        "out dot[d](dot[m](softmax[m](0.5 * dot[d](x, z)), z), W)[a -> d] / 4 + t / 8 }"  # fmt: skip
TIED = "diagram l2(x: [n, d]) -> [n, d] { z = x[n -> m]  " \
       "s = 2 * dot[d](x, z) - sum[d](z * z)  out dot[m](softmax[m](s), z) }"  # fmt: skip
PLAIN = "diagram plain(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z)), z) }"


def written(text: str) -> Diagram:
    (found,) = parse(HEAD + text).values()
    return found


def cloud(n: int, d: int, radius: float, seed: int) -> torch.Tensor:
    x = np.random.default_rng(seed).standard_normal((n, d))
    return torch.tensor(radius * x / np.linalg.norm(x, axis=1, keepdims=True))


# distances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 7.0, math.inf])
def test_the_distance_is_that_of_the_best_permutation(p: float) -> None:
    for seed in range(6):
        x, y = (cloud(5, 2, 1.0, 2 * seed + k).numpy() * (1 + k) for k in range(2))
        cost = np.linalg.norm(x[:, None] - y[None], axis=2)
        each = [cost[np.arange(5), list(s)] for s in itertools.permutations(range(5))]
        best = min(c.max() if math.isinf(p) else np.mean(c**p) ** (1 / p) for c in each)
        assert wasserstein(x, y, p) == pytest.approx(best, rel=1e-12)
        assert wasserstein(y[::-1], x, p) == pytest.approx(best, rel=1e-12)


def test_the_distance_counts_mass_not_atoms() -> None:
    x = cloud(6, 3, 1.0, 0).numpy()
    for p in (1.0, 2.0, math.inf):
        assert wasserstein(x, np.concatenate([x, x]), p) == 0
        assert wasserstein(x, x + np.array([3.0, 4.0, 0.0]), p) == pytest.approx(5.0)
        assert wasserstein(x, x[:4], p) <= wasserstein(x, x[4:], p) + wasserstein(x[4:], x[:4], p) + 1e-12
    for bad in (x[:0], x[:, :2], x[0]):
        with pytest.raises(ValueError):
            wasserstein(x, bad)
    with pytest.raises(ValueError):
        wasserstein(x, x, 0.5)
    with pytest.raises(ValueError):
        wasserstein(np.zeros((997, 1)), np.zeros((991, 1)))


# contraction ----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_a_stack_of_one_layer_converges_at_the_rate(p: float) -> None:
    diagram = written(LAYER)
    net = build(diagram, {"d": 3}, dtype=torch.float64, seed=5)
    for parameter in net.parameters():
        parameter.requires_grad_(False).div_(max(1.0, float(torch.linalg.matrix_norm(torch.atleast_2d(parameter), 2))))
    weights = {k: v.numpy() for k, v in net.state_dict().items()}
    found = contraction(diagram, {"n": 6, "d": 3}, weights, 0.5, p)
    assert found.invariant
    assert found.rate is not None
    assert found.rate < 1
    x, y = cloud(6, 3, 0.5, 1), cloud(4, 3, 0.5, 2)
    first = wasserstein(net(x).numpy(), x.numpy(), p)
    far = x
    for _ in range(200):
        far = net(far)
    assert float((far - far[0]).abs().max()) < 1e-12, "the fixed measure is one point"
    point = far[:1].numpy()
    for k in range(1, 12):
        apart = wasserstein(x.numpy(), y.numpy(), p)
        x, y = net(x), net(y)
        assert float(x.norm(dim=1).max()) <= found.output + 1e-12
        assert wasserstein(x.numpy(), y.numpy(), p) <= found.rate * apart * (1 + 1e-9) + 1e-14
        assert wasserstein(x.numpy(), point, p) <= found.distance(k, first) * (1 + 1e-9) + 1e-14


def test_turns_of_a_tied_repeat_multiply() -> None:
    """Composition through the turns of a loop in the language gives what powers of the rate give, or less."""
    body = "z = s[n -> m]  next s = dot[m](softmax[m](0.5 * dot[d](s, z)), z) / 8"
    once = written("diagram f(x: [n, d]) -> [n, d] { repeat tied 1 (s = x) { " + body + " } out s }")
    thrice = written("diagram f(x: [n, d]) -> [n, d] { repeat tied 3 (s = x) { " + body + " } out s }")
    given = {"n": 3, "m": 3, "d": 2}
    one, three = contraction(once, given, {}, 1.0), contraction(thrice, given, {}, 1.0)
    assert one.rate is not None
    assert three.tau <= one.rate**3 * (1 + 1e-12)
    assert three.output == pytest.approx(1 / 512)


def test_what_does_not_contract_has_no_rate() -> None:
    given = {"n": 3, "m": 3, "d": 2}
    loose = contraction(written(PLAIN), given, {}, 1.0)
    assert loose.invariant
    assert loose.tau > 1
    assert loose.rate is None
    assert loose.distance(5, 1.0) == math.inf
    out = contraction(written("diagram f(x: [n, d]) -> [n, d] { out 0.5 * x + 3 }"), given, {}, 1.0)
    assert out.tau == 0.5
    assert not out.invariant
    assert out.rate is None
    wide = contraction(written("diagram f(x: [n, d]) -> [n, d] { out 0.5 * x + 3 }"), given, {}, 10.0)
    assert wide.rate == 0.5
    with pytest.raises(Stuck):
        contraction(written("diagram f(x: [n, d]) -> [d] { out mean[n](x) / 2 }"), given, {}, 1.0)


def test_an_error_of_the_input_is_carried_no_further() -> None:
    diagram = written(LAYER)
    net = build(diagram, {"d": 3}, dtype=torch.float64, seed=1)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    found = measured(diagram, sizes_of(diagram, {"n": 2, "d": 3}), {k: v.numpy() for k, v in net.state_dict().items()}, 1.0)
    rng = np.random.default_rng(3)
    x = cloud(8, 3, 1.0, 0)
    for k in range(20):
        wrong = x[torch.tensor(rng.integers(0, 8, int(rng.choice([3, 5, 8, 12]))))] * float(rng.uniform(0.7, 1.0))
        if k % 2:
            wrong = torch.cat([wrong, cloud(1, 3, 1.0, k)])
        for p in (1.0, 2.0):
            apart = wasserstein(net(x).numpy(), net(wrong).numpy(), p)
            assert apart <= found.error(wasserstein(x.numpy(), wrong.numpy(), p), p) * (1 + 1e-9)


# inverses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
@pytest.mark.parametrize("text", [PLAIN, TIED], ids=["dot product", "L2, tied"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_a_residual_block_is_inverted_as_fast_as_proved(text: str, norm: str, share: float) -> None:
    diagram = written(text)
    given = {"n": 5, "m": 5, "d": 3}
    radius = 1.5
    block = residual(diagram, given, {}, radius, norm, share)
    constant = compose(diagram, sizes_of(diagram, given), {}, radius).triple
    assert block.lipschitz == pytest.approx(share)
    assert block.scale * (constant.two if norm == "frobenius" else constant.inf) < share * (1 + 1e-12)
    f = build(diagram, {"d": 3}, dtype=torch.float64)
    x = cloud(5, 3, (radius - 2 * block.shift), 4)
    z = block.forward(f, x)
    before = math.inf
    for steps in range(1, 40):
        back = block.inverse(f, z, steps)
        gap = back.value - x
        error = float(gap.norm()) if norm == "frobenius" else float(gap.norm(dim=1).max())
        assert error <= back.error * (1 + 1e-9) + 1e-13
        assert error <= before * block.lipschitz * (1 + 1e-9) + 1e-13, "each step shrinks the error by L"
        before = error
    assert float((block.inverse(f, z, 400).value - x).abs().max()) < 1e-12


def test_what_is_not_proved_to_be_invertible_is_refused() -> None:
    given = {"n": 4, "m": 4, "d": 3}
    for bad in (
        lambda: residual(written(PLAIN), given, {}, 1.0),  # its constant is above 1
        lambda: residual(written(PLAIN), given, {}, math.inf, share=0.5),  # not Lipschitz on the whole space
        lambda: residual(written(PLAIN), given, {}, 1.0, share=1.0),
        lambda: residual(written(PLAIN), given, {}, 1.0, share=-0.5),
        lambda: residual(written(PLAIN), given, {}, 1.0, norm="wasserstein1"),
        lambda: residual(written("diagram f(x: [n, d]) -> [d] { out mean[n](x) / 2 }"), given, {}, 1.0),
        lambda: residual(written("diagram f(x: [n, d]) -> [n, d] { out floor(x) }"), given, {}, 1.0, share=0.5),
    ):
        with pytest.raises(AnatomyError, match="E902"):
            bad()
    block = residual(written(PLAIN), given, {}, 1.0, share=0.5)
    with pytest.raises(AnatomyError, match="beyond"):
        block.inverse(lambda y: y, np.ones((4, 3)))


def test_a_contraction_everywhere_is_invertible_everywhere() -> None:
    diagram = written("diagram f(x: [n, d]) -> [n, d] { out tanh(x) / 2 + mean[n](x) / 4 }")
    block = residual(diagram, {"n": 4, "d": 3}, {}, math.inf)
    assert block.reach == math.inf
    assert block.scale == 1
    assert block.lipschitz == pytest.approx(0.75)

    def f(y: np.ndarray) -> np.ndarray:
        return np.tanh(y) / 2 + y.mean(0) / 4

    x = 10 * cloud(4, 3, 1.0, 0).numpy()
    back = block.inverse(f, block.forward(f, x), 60)
    assert np.linalg.norm(back.value - x) <= back.error < 1e-4
