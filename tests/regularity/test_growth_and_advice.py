"""The order of a bound, the fit of what is attained, and what a bound is spent on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.regularity import check
from anatomy.regularity.advice import scored_by
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.growth import Measured, slope, symbolic
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)
TINY = Measured(sizes=3, seeds=2, starts=6, steps=8)


def given(name: str, **changed: int):
    table = sizes(name, **changed)
    net = build(variant(name), table, seed=0, dtype=torch.float64, passes=DIFFERENTIABLE)
    return table, {k: v.detach().numpy().copy() for k, v in net.state_dict().items()}


@pytest.mark.parametrize(
    ("law", "order"),
    [
        (lambda x: 7.0, "1"),
        (lambda x: 3 * x**0.5, "sqrt(x)"),
        (lambda x: x, "x"),
        (lambda x: 2 * x**1.5 + x, "x^1.5"),
        (lambda x: x**2 / 5, "x^2"),
        (lambda x: math.exp(min(x, 700)), "exp"),
        (lambda x: math.log(x), "log(x)"),
        (lambda x: math.sqrt(math.log(x)), "sqrt(log(x))"),
        (lambda x: x / (1 + x / 8) + 1, "1"),
    ],
)
def test_the_order_of_a_law(law, order: str) -> None:
    assert symbolic("x", [(x, law(x)) for x in (16.0 * 2**k for k in range(6))]) == order


def test_no_order_is_told_where_none_settles() -> None:
    assert symbolic("x", [(1.0, 1.0), (2.0, 2.0)]) is None
    assert symbolic("x", []) is None
    assert symbolic("x", [(1.0, 1.0), (2.0, math.inf)]) is None


def test_the_slope_is_that_of_least_squares() -> None:
    x = np.array([2.0, 5.0, 11.0, 30.0])
    y = np.array([1.0, 4.0, 3.0, 20.0])
    assert slope(list(zip(x, y, strict=True))) == pytest.approx(np.polyfit(np.log(x), np.log(y), 1)[0], abs=1e-4)


@pytest.mark.parametrize(("name", "axis", "order"), [("linear_sum", "n", "n"), ("linear_sum", "radius", "R^2"), ("fnet", "n", "sqrt(n)"), ("single", "radius", "R^2")])
def test_orders_of_bounds(name: str, axis: str, order: str) -> None:
    table, weights = given(name)
    assert check(variant(name), table, weights).growth[axis]["symbolic"] == order


def test_what_is_attained_is_fitted_and_agrees() -> None:
    table, weights = given("linear_sum", n=6)
    free = {a: n for a, n in table.items() if a != "n"}
    net = build(variant("linear_sum"), free, seed=0, dtype=torch.float64, passes=DIFFERENTIABLE).requires_grad_(False)
    row = check(variant("linear_sum"), table, weights, function=net, growth=TINY).growth["n"]
    assert row["fitted"] == pytest.approx(1.0, abs=0.05)
    assert row["interval"][0] <= row["fitted"] <= row["interval"][1] + 1e-9
    assert row["agrees"] is True
    for (n, low), (m, high) in zip(row["attained"], [b for b in row["bounds"] if b[0] in [a[0] for a in row["attained"]]], strict=False):
        if n == m:
            assert low <= high


def test_exponents_of_weights_are_those_of_the_formula() -> None:
    """A value projection is a factor; a score has two projections that share one exponent."""
    table, weights = given("unbiased")
    advice = check(variant("unbiased"), table, weights, growth=False, advice=True).advice
    exponents = {row["weight"]: row["exponent"] for row in advice["weights"]}
    assert exponents["Wv"] == pytest.approx(1.0, abs=1e-3)
    assert exponents["Wq"] == pytest.approx(exponents["Wk"], abs=1e-3)
    assert 0.1 < exponents["Wq"] < 2


@pytest.mark.parametrize("name", ["single", "mha"])
def test_every_remedy_is_a_bound_computed_anew(name: str) -> None:
    table, weights = given(name)
    diagram = variant(name)
    found = check(diagram, table, weights, growth=False, advice=True)
    assert found.upper is not None
    halves = {row["weight"]: row["halved"] for row in found.advice["weights"]}
    for key, value in halves.items():
        again = compose(diagram, sizes_of(diagram, table), {**weights, key: weights[key] / 2}, 1.0).triple.two
        assert value == again
    for row in found.advice["remedies"]:
        if "norm at most 0.5" in row["change"]:
            assert row["bound"] == compose(diagram, sizes_of(diagram, table), weights, 0.5).triple.two
            break
    else:
        raise AssertionError("smaller tokens reduce the bound of a softmax attention")
    assert any("Lipschitz everywhere" in row["change"] for row in found.advice["remedies"])


def test_the_weights_of_the_scores() -> None:
    keys = {w.keys[0] for w in scored_by(variant("single"))}
    assert {"Wq", "Wk"} <= keys
    assert "Wv" not in keys


def test_a_normalisation_before_is_lipschitz_with_the_constant_that_is_offered() -> None:
    table, weights = given("single", n=3, m=3)
    found = check(variant("single"), table, weights, growth=False, advice=True)
    (offer,) = [row for row in found.advice["remedies"] if "rmsnorm" in row["change"]]
    net = build(variant("single"), table, seed=0, dtype=torch.float64, passes=DIFFERENTIABLE).requires_grad_(False)
    net.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    generator = torch.Generator().manual_seed(1)
    for scale in (1e-3, 0.05, 1.0, 30.0):
        x = scale * torch.randn((3, table["d"]), generator=generator, dtype=torch.float64)
        jacobian = torch.func.jacrev(lambda z: net(z / torch.sqrt(z.square().mean(-1, keepdim=True) + 0.01)))(x)
        top = torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2)
        assert float(top) <= offer["bound"]


@pytest.mark.parametrize(("function", "order"), [
    (lambda n: n**0.05, "n^0.05"), (lambda n: n**0.55, "n^0.56"), (lambda n: 5 + math.log(n), "log(n)"), (math.log, "log(n)"),
    (lambda n: math.sqrt(math.log(n)), "sqrt(log(n))"), (lambda n: 3 + 1 / n, "1"), (lambda n: 3 - 1 / n, "1"), (lambda n: 7.0, "1"),
    (lambda n: 2 * n**0.5 - 1, "sqrt(n)"), (lambda n: n**0.494 * (1 + 0.001 * n**0.5), "sqrt(n)"), (lambda n: 5 - n**-0.5, "1"),
    (lambda n: 1 + 1e-6 * n * n, None), (lambda n: n * n + n, "n^2"),
])  # fmt: skip
def test_an_order_is_never_below_the_slopes_at_the_end(function: Callable[[float], float], order: str | None) -> None:
    assert symbolic("n", [(8 * 2.0**k, function(8 * 2.0**k)) for k in range(7)]) == order
