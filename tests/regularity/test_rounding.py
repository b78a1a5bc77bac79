"""Rounding: every scalar, constant and norm of an upper bound against ball arithmetic at 200 bits or exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

import anatomy
from anatomy.ir import bound
from anatomy.ir.bound import (
    Bound,
    Unproved,
    add,
    defined,
    div,
    enclose,
    geometric,
    hull_of_products,
    mul,
    plus,
    root,
    times,
)
from anatomy.ops import simplex
from anatomy.regularity import constants, linear, tensor
from anatomy.regularity.compose import Stuck, compose
from anatomy.regularity.rows import peak
from anatomy.regularity.rules import Rules
from anatomy.regularity.tensor import Ball, frobenius, spectral
from anatomy.regularity.theorems import softmax

HARD = [0.0, 5e-324, 3e-310, 1e-300, 1e-200, 1e-16, 1 / 3, 1 - 2**-53, 1.0, 1 + 2**-52, 3.0, 1e16 + 2, 1e200, 1e300, 1.7e308]
"""Subnormal, tiny, next to 1, inexact, huge."""


@pytest.fixture
def bits():
    """Ball arithmetic at 200 bits."""
    before = ctx.prec
    ctx.prec = 200
    yield
    ctx.prec = before


def exact(x: float) -> Fraction | float:
    return x if math.isinf(x) else Fraction(x)


@pytest.mark.parametrize("a", HARD)
def test_scalars_are_never_below_the_truth(a: float) -> None:
    for b in HARD:
        assert exact(add(a, b)) >= Fraction(a) + Fraction(b)
        assert exact(mul(a, b)) >= Fraction(a) * Fraction(b)
        assert (mul(a, b) == 0) == (Fraction(a) * Fraction(b) == 0), "what underflows is not 0"
        if b > 0:
            assert exact(div(a, b)) >= Fraction(a) / Fraction(b)
        g = geometric(a, b)
        assert math.isinf(g) or Fraction(g) ** 2 >= Fraction(a) * Fraction(b)
    assert Fraction(root(a)) ** 2 >= Fraction(a)


SIGNED = [s * x for s in (1, -1) for x in HARD]


def test_intervals_hold_every_product_and_sum_of_their_ends() -> None:
    ends = [(min(p), max(p)) for p in product(SIGNED[::3], repeat=2)]
    for a in ends[::5]:
        for b in ends[::7]:
            low, high = hull_of_products(a, b)
            values = [Fraction(x) * Fraction(y) for x in a for y in b]
            assert exact(low) <= min(values)
            assert exact(high) >= max(values)
            low, high = plus(a, b)
            assert exact(low) <= Fraction(a[0]) + Fraction(b[0])
            assert exact(high) >= Fraction(a[1]) + Fraction(b[1])
        low, high = times(a, 7)
        assert exact(low) <= 7 * Fraction(a[0])
        assert exact(high) >= 7 * Fraction(a[1])


def test_a_product_that_underflows_keeps_its_sign_and_is_not_zero() -> None:
    assert hull_of_products((1e-200, 1e-200), (1e-200, 1e-200)) == (0.0, 5e-324)
    assert hull_of_products((-1e-200, -1e-200), (1e-200, 1e-200)) == (-5e-324, 0.0)


def test_infinite_ends_stay_intervals() -> None:
    for a, b in product([(0.0, math.inf), (-math.inf, math.inf), (-math.inf, -1.0), (0.0, 0.0)], repeat=2):
        for low, high in (hull_of_products(a, b), plus(a, b)):
            assert low <= high


@pytest.mark.parametrize("function", [lambda: add(math.nan), lambda: mul(1.0, math.nan), lambda: mul(0.0, math.nan), lambda: add(math.inf, math.nan),
                                      lambda: root(math.nan), lambda: defined(math.nan), lambda: div(math.inf, math.inf)])  # fmt: skip
def test_what_is_not_a_number_is_refused(function: Callable[[], float]) -> None:
    with pytest.raises(Unproved):
        function()


@pytest.mark.parametrize("name", ["exp", "tanh", "sin", "cos", "expm1", "erf", "sigmoid", "softplus"])
def test_enclosures_hold_at_200_bits(name: str, bits: None) -> None:
    for x in [*SIGNED, 0.1, -0.1, 20.0, -20.0, 700.0, -700.0, 710.0, -745.5, 1e6, -1e6]:
        if name in ("sin", "cos") and abs(x) > 1e17:
            continue
        ctx.prec = 53
        low, high = enclose(name, x)
        ctx.prec = 400
        true = _true(name, arb(x))
        assert not (arb(low) > true)
        assert not (arb(high) < true)
        if abs(x) <= 200:
            assert arb(low) <= true <= arb(high), "the oracle decides"


def _true(name: str, x: Any) -> Any:
    if name == "relu":
        return x if x > 0 else arb(0)
    if name == "square":
        return x * x
    if name == "reciprocal":
        return 1 / x
    if name == "sigmoid":
        return 1 / (1 + (-x).exp()) if x > 0 else x.exp() / (1 + x.exp())
    if name == "silu":
        return x * _true("sigmoid", x)
    if name == "softplus":
        return x + (-x).exp().log1p() if x > 0 else x.exp().log1p()
    if name == "gelu":
        return x / 2 * (1 + (x / arb(2).sqrt()).erf()) if abs(x) < 5 else x / 2 * (-x / arb(2).sqrt()).erfc()
    if name == "elu":
        return x if x >= 0 else x.expm1()
    if name.startswith("power"):
        return x ** int(name.split()[1])
    return getattr(x, name)()


FUNCTIONS = ["exp", "tanh", "sigmoid", "relu", "gelu", "silu", "softplus", "elu", "sin", "cos", "square", "sqrt", "log", "reciprocal", "power 3", "power 0", "power 7"]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scale", [1e-308, 1e-20, 1.0, 30.0, 700.0, 1e15, 1e300])
def test_functions_of_constants_are_within_their_radius(name: str, scale: float, bits: None) -> None:
    rng = np.random.default_rng(0)
    x = scale * np.concatenate([rng.uniform(-1, 1, 12), [1.0, -1.0, 0.5]])
    x = np.abs(x) if name in ("sqrt", "log", "reciprocal") else np.append(x, 0.0)
    ctx.prec = 53
    found = constants.evaluate(name, Ball(("a",), x), 1.0)
    if found is None:
        assert scale > 1e2 or name == "reciprocal"
        return
    ctx.prec = 400
    for v, mid in zip(x.tolist(), found.mid.tolist(), strict=True):
        assert abs(_true(name, arb(v)) - arb(mid)) <= arb(found.rad) + arb(0, 1e-330), (v, mid, found.rad)


def test_an_uncertain_argument_spreads_by_the_slope() -> None:
    found = constants.evaluate("tanh", Ball(("a",), np.array([0.3]), 0.01), 1.0)
    assert found is not None
    assert abs(math.tanh(0.31) - found.mid[0]) <= found.rad
    assert constants.evaluate("sqrt", Ball(("a",), np.array([0.0]), 1e-20), math.inf) is None


def test_too_many_values_are_left_to_intervals() -> None:
    assert constants.evaluate("exp", Ball(("a",), np.linspace(0, 1, constants.MOST + 1)), 3.0) is None
    assert constants.evaluate("exp", Ball(("a",), np.zeros(constants.MOST + 1)), 3.0) is not None


@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [700.0, 0.0, -700.0], [1e300, -1e300, 0.0], [1e-300, 0.0, 0.0], [1e16 + 2, 1e16, 0.0], [-745.0, 0.0, 1e-16]])
def test_a_constant_softmax_holds_the_truth(scores: list[float], bits: None) -> None:
    ctx.prec = 53
    rad = 1e-9
    found = constants.softmax(Ball(("a",), np.array(scores), rad), None, (0,), 3)
    sharp = constants.softmax(Ball(("a",), np.array(scores)), None, (0,), 3)
    ctx.prec = 2000
    for sign in (-1, 0, 1):
        weights = [(arb(s) - arb(max(scores)) + sign * arb(rad) * (-1) ** k).exp() for k, s in enumerate(scores)]
        for k, w in enumerate(weights):
            true = w / sum(weights[1:], weights[0])
            assert abs(true - arb(float(found.mid[k]))) <= arb(found.rad)
            if sign == 0:
                assert abs(true - arb(float(sharp.mid[k]))) <= arb(sharp.rad)
    assert sharp.rad < 1e-14


def test_a_row_of_which_nothing_is_allowed_has_weight_0() -> None:
    found = constants.softmax(Ball(("n", "m"), np.ones((2, 2))), np.array([[True, True], [False, False]]), (1,), 2)
    assert found.mid[1].tolist() == [0.0, 0.0]
    assert abs(found.mid[0] - 0.5).max() <= found.rad


@pytest.mark.parametrize("points", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("part", ["re", "im"])
def test_a_fourier_transform_of_constants_holds_the_truth(points: int, part: str, bits: None) -> None:
    rng = np.random.default_rng(points)
    x = rng.standard_normal((points, 3)) * 10.0 ** rng.integers(-12, 12, (points, 3))
    ctx.prec = 53
    found = constants.fourier(Ball(("a", "b"), x), ("a",), part).order(("a", "b"))
    joint = constants.fourier(Ball(("a", "b"), x), ("a", "b"), part).order(("a", "b"))
    ctx.prec = 200
    for k, b in product(range(points), range(3)):
        angle = [arb(-2 * j * k) / points for j in range(points)]
        true = sum((arb(float(x[j, b])) * (t.cos_pi() if part == "re" else t.sin_pi()) for j, t in enumerate(angle)), arb(0))
        assert abs(true - arb(float(found.mid[k, b]))) <= arb(found.rad)
        angle = [arb(-2 * j * k) / points + arb(-2 * c * b) / 3 for j in range(points) for c in range(3)]
        true = sum((arb(v) * (t.cos_pi() if part == "re" else t.sin_pi()) for v, t in zip(x.reshape(-1).tolist(), angle, strict=True)), arb(0))
        assert abs(true - arb(float(joint.mid[k, b]))) <= arb(joint.rad)


def test_whole_numbers_that_cancel_are_not_called_exact() -> None:
    """(2^40 + 1)(2^40 - 1) - 2^80 is -1; float64 says 0."""
    a, b = Ball(("k",), np.array([2.0**40 + 1, 2.0**40])), Ball(("k",), np.array([2.0**40 - 1, -(2.0**40)]))
    out = tensor.times(a, b, ["k"])
    assert abs(float(out.mid) - -1.0) <= out.rad


def test_small_whole_numbers_stay_exact() -> None:
    a = Ball(("i", "k"), np.arange(12.0).reshape(3, 4))
    assert tensor.times(a, Ball(("k",), np.arange(4.0)), ["k"]).rad == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-20, 1.0, 1e20, 1e150])
def test_products_sums_and_running_sums_enclose_exact_fractions(scale: float) -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal((2, 5)) * scale * 10.0 ** rng.integers(-6, 6, (2, 5))
    b = rng.standard_normal((5, 2)) * 10.0 ** rng.integers(-6, 6, (5, 2))
    b[-1] = -b[0]
    a[:, -1] = a[:, 0] * (1 + 1e-15)  # cancels all but the last digits
    out = tensor.times(Ball(("i", "k"), a), Ball(("k", "j"), b), ["k"])
    for i, j in product(range(2), range(2)):
        true = sum(Fraction(float(a[i, k])) * Fraction(float(b[k, j])) for k in range(5))
        assert abs(Fraction(float(out.mid[i, j])) - true) <= Fraction(out.rad)
    whole = tensor.plus(Ball(("i", "k"), a), Ball(("k", "i"), b))
    for i, k in product(range(2), range(5)):
        assert abs(Fraction(float(whole.mid[i, k])) - Fraction(float(a[i, k])) - Fraction(float(b[k, i]))) <= Fraction(whole.rad)
    run = linear._cumsum(Ball(("i", "k"), a), "k")
    for i, k in product(range(2), range(5)):
        true = sum(Fraction(float(v)) for v in a[i, : k + 1])
        assert abs(Fraction(float(run.mid[i, k])) - true) <= Fraction(run.rad)


def test_running_sums_and_products_that_overflow_are_refused() -> None:
    with pytest.raises(Unproved):
        linear._cumsum(Ball(("a",), np.full(3, 1e308)), "a")
    with pytest.raises(Unproved), np.errstate(all="ignore"):
        tensor.times(Ball(("a",), np.full(3, 1e200)), Ball(("a",), np.full(3, 1e200)), ["a"])


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-300, 1e-160, 1.0, 1e160, 1e300, 1e307])
def test_norms_are_never_below_exact_quotients(scale: float) -> None:
    rng = np.random.default_rng(2)
    shapes: list[np.ndarray] = [
        rng.standard_normal((4, 4)), np.ones((3, 5)), np.eye(4), np.outer(rng.standard_normal(5), rng.standard_normal(3)), np.diag([1.0, 1 - 2**-52, 1e-9]),
        np.array([[1.0, 1.0], [1.0, 1.0 + 2**-52]]), np.array([[1.0, 1e8], [1e-8, 1.0]]), np.zeros((2, 3)), rng.standard_normal((1, 6)),
    ]  # fmt: skip
    for base in shapes:
        with np.errstate(over="ignore", under="ignore"):
            x = base * scale
        if not np.isfinite(x).all():
            continue
        whole = sum(Fraction(v) ** 2 for v in x.reshape(-1).tolist())
        out = float(frobenius(x, 2))
        assert math.isinf(out) or Fraction(out) ** 2 >= whole
        limit = float(spectral(x[None])[0])
        v = [Fraction(float(c)) for c in np.linalg.svd(base)[2][0]]
        image = [sum(Fraction(float(x[i, j])) * v[j] for j in range(x.shape[1])) for i in range(x.shape[0])]
        assert math.isinf(limit) or Fraction(limit) ** 2 * sum(c * c for c in v) >= sum(c * c for c in image)
        if 1e-290 < scale < 1e290 and whole:
            assert limit <= np.linalg.norm(base, 2) * scale * (1 + 1e-9)


def test_an_error_of_the_entries_counts_in_the_norm() -> None:
    x = np.zeros((2, 3, 3))
    assert float(spectral(x, 0.5)[0]) >= 1.5, "all entries 1/2 have norm 3/2"
    assert float(spectral(np.zeros((1, 1, 4)), 0.5)[0]) >= 1.0


@pytest.mark.parametrize("width", [0.0, 1e-300, 1e-16, 0.3, 20.0, 700.0, 745.0, 1e6, 1e300, math.inf])
@pytest.mark.parametrize("keys", [1, 2, 3, 1000, 1e15])
def test_the_greatest_weight_is_rounded_up(keys: float, width: float, bits: None) -> None:
    ctx.prec = 53
    found = peak(keys, width)
    ctx.prec = 400
    true = arb(1) if math.isinf(width) else 1 / (1 + (arb(keys) - 1) * (-arb(width)).exp())
    assert true <= arb(found) or found == 1.0
    assert found <= float(true.upper()) * (1 + 1e-12) + 1e-300


@pytest.mark.parametrize("a", [0.0, 1e-300, 0.1, 0.5, 0.5 + 2**-53, 0.55, 1.0, 8.0, 1e6, 1e150, 1e300, math.inf])
def test_the_factors_of_the_theorem_are_rounded_up(a: float, bits: None) -> None:
    ctx.prec = 53
    rho, cbars = softmax.rho(a), {p: softmax.cbar(p, a) for p in (1e-300, 0.3, 0.5, 0.7, 1.0)}
    if math.isinf(a):
        assert rho == math.inf
        return
    ctx.prec = 4000
    x = arb(a)
    true = arb(1) if a <= 0.5 else (1 + (x + 1 / (4 * x)) ** 2) / 2
    assert math.isinf(rho) or true <= arb(rho)
    for p, found in cbars.items():
        for k in range(1, 40):
            q = arb(p) * k / 40
            value = q * (1 + x * x * (1 if q <= 0.5 else 4 * q * (1 - q)))
            assert math.isinf(found) or value <= arb(found)


@pytest.mark.parametrize("alpha", [1 + 2**-52, 1.1, 1.5, 1.9, 2.0])
@pytest.mark.parametrize("keys", [2, 3, 100, 1e12])
def test_the_slope_of_entmax_is_rounded_up(alpha: float, keys: float, bits: None) -> None:
    ctx.prec = 53
    found = simplex.slope(keys, alpha).inf
    ctx.prec = 400
    b = 2 - arb(alpha)
    r = (arb(keys) - 1) ** ((1 - b) / (1 + b))
    assert 2 * (r / (1 + r)) ** (1 + b) <= arb(found)


def test_an_index_is_known_only_where_no_whole_number_is_near() -> None:
    rules = Rules(None, [], {"k": 4})  # type: ignore[arg-type]
    for mid, rad, known in ((1.0, 0.0, True), (1.0, 1e-20, False), (1.5, 1e-20, True), (1.5, 0.5, False), (1.5, 0.49, True)):
        x = rules.known(Ball((), np.array(mid), rad))
        assert (rules.rounded(x, "k").form is not None) == known, (mid, rad)


AXES = "axis n, d\n"


def _upper(body: str, radius: float, weights: dict[str, np.ndarray] | None = None, **sizes: int) -> float:
    diagram = anatomy.parse(f"{AXES}diagram it(x: [n, d]) -> [n, d] {{ {body} }}")["it"]
    return compose(diagram, {"n": 1, "d": 1, **sizes}, weights or {}, radius).triple.two


def test_what_underflows_inside_a_diagram_is_found_again_outside() -> None:
    """d/dx 1e250 |1e250 |x^2|| = 2e500 x; at radius 1e-250 that is 2e250, while x^2 is 0 in float64."""
    for square in ("x * x", "square(x)", "x ^ 2"):
        assert _upper(f"out 1e250 * abs(1e250 * abs({square}))", 1e-250) >= 2e250
    assert _upper("y = x * x out 1e300 * abs(1e300 * abs(y * y))", 1e-150) >= 4e150


def test_extreme_weights_give_a_bound_or_none_but_no_wrong_one() -> None:
    body = "weight w: [d] weight v: [d] out v * (w * x)"
    for w, v in product([1e-300, 1e-160, 1.0, 1e160, 1e300], repeat=2):
        with np.errstate(all="ignore"):
            try:
                found = _upper(body, 1.0, {"w": np.array([w]), "v": np.array([v])})
            except Stuck:
                continue
        assert exact(found) >= Fraction(w) * Fraction(v)


def test_sums_that_cancel_keep_their_error() -> None:
    """(1 + 1e-17) x - x is not 0 in exact arithmetic, and the calculus must not say so."""
    found = _upper("weight w: [d] weight v: [d] out (w * v) * x - x", 1.0, {"w": np.array([1 + 2**-30]), "v": np.array([1 - 2**-30])})
    assert Fraction(found) >= abs((1 + Fraction(1, 2**30)) * (1 - Fraction(1, 2**30)) - 1)


def test_the_old_mistakes_are_caught_by_these_values() -> None:
    """What was wrong once: products of ends without the underflow, and whole numbers judged by their result."""
    assert 1e-200 * 1e-200 == 0.0
    assert float(np.dot([2.0**40 + 1, 2.0**40], [2.0**40 - 1, -(2.0**40)])) != -1.0
    assert np.floor(1.0 - 1e-20) == 1.0
    assert isinstance(bound.INF, float)
    assert Bound(frozenset()).radius == math.inf
