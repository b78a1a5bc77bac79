"""Verified norms and enclosures: never below the truth, and close to it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy.ir.bound import Unproved, add, div, enclose, mul, root
from anatomy.regularity import tensor
from anatomy.regularity.tensor import Ball, frobenius, spectral

finite = st.floats(min_value=0, max_value=1e150, allow_nan=False)


@given(finite, finite)
@settings(max_examples=200, deadline=None)
def test_scalars_round_outwards(a: float, b: float) -> None:
    assert Fraction(add(a, b)) >= Fraction(a) + Fraction(b)
    if math.isfinite(mul(a, b)):
        assert Fraction(mul(a, b)) >= Fraction(a) * Fraction(b)
    assert Fraction(root(a)) ** 2 >= Fraction(a)
    if b > 0 and math.isfinite(div(a, b)):
        assert Fraction(div(a, b)) * Fraction(b) >= Fraction(a)


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "expm1"])
@pytest.mark.parametrize("x", [-700.0, -30.0, -1e-300, 0.0, 1e-9, 0.5, 3.0, 40.0])
def test_transcendental_enclosures_hold_and_are_narrow(name: str, x: float) -> None:
    low, high = enclose(name, x)
    value = {"exp": math.exp, "tanh": math.tanh, "expm1": math.expm1, "sigmoid": lambda t: 1 / (1 + math.exp(-t))}[name](x)
    slack = 1e-15 * abs(value) + 5e-324  # of the library function
    assert low <= value + slack
    assert high >= value - slack
    assert high - low <= 1e-14 * max(abs(value), 1e-300)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 3), (8, 3), (3, 8), (40, 40), (64, 8)])
@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e160])
def test_the_spectral_norm_is_enclosed_from_above(shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(sum(shape))
    for x in (rng.standard_normal(shape), np.ones(shape), np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1]))):
        exact = np.linalg.norm(x, 2) * scale
        bound = float(spectral((x * scale)[None])[0])
        assert exact * (1 - 1e-14) <= bound <= exact * (1 + 1e-9)


def test_a_stack_keeps_small_matrices_apart_from_large_ones() -> None:
    stack = np.stack([np.eye(3) * 1e200, np.eye(3) * 1e-200, np.zeros((3, 3))])
    bounds = spectral(stack)
    assert bounds[0] >= 1e200
    assert bounds[1] >= 1e-200
    assert bounds[2] == 0.0


def test_entries_that_are_not_finite_are_refused() -> None:
    with pytest.raises(Unproved):
        spectral(np.array([[[np.nan, 1.0], [0.0, 1.0]]]))


@pytest.mark.parametrize("seed", range(5))
def test_products_enclose_the_exact_product(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((3, 6)), rng.standard_normal((6, 2))
    out = tensor.times(Ball(("i", "k"), a), Ball(("k", "j"), b), ["k"])
    for i in range(3):
        for j in range(2):
            exact = sum(Fraction(a[i, k]) * Fraction(b[k, j]) for k in range(6))
            assert abs(Fraction(out.mid[i, j]) - exact) <= Fraction(out.rad)
    assert out.rad < 1e-13


def test_integers_stay_exact() -> None:
    n = Ball(("n",), np.arange(4.0))
    m = Ball(("m",), np.arange(3.0))
    assert tensor.plus(n, tensor.times(m, tensor.scalar(-1.0))).rad == 0.0


def test_frobenius_norms_of_tiny_entries_do_not_vanish() -> None:
    assert frobenius(np.array([[1e-200, 1e-200], [1.0, 1.0]]), 1)[0] >= math.sqrt(2) * 1e-200
