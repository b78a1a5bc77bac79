"""Verdicts: fail closed, never call what is not Lipschitz Lipschitz, and survive extreme input."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.compiler import build
from anatomy.errors import AnatomyError
from anatomy.regularity import Regularity, check
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)


def module(name: str, seed: int = 0, **changed: int):
    given = sizes(name, **changed)
    net = build(variant(name), given, seed=seed, dtype=torch.float64)
    for p in net.parameters():
        p.requires_grad_(False)
    return net, {k: v.numpy().copy() for k, v in net.state_dict().items()}, given


def verdict(name: str, radius: float = 1.0, with_function: bool = False, **changed: int) -> Regularity:
    net, weights, given = module(name, **changed)
    return check(variant(name), given, weights, radius, function=net if with_function else None, growth=False)


@pytest.mark.parametrize("name", ["plain", "single", "mha", "causal_single", "residual", "alibi"])
def test_dot_product_softmax_is_not_lipschitz_on_the_whole_space(name: str) -> None:
    _, weights, given = module(name)
    for key in weights:
        if key.endswith(".bias"):
            weights[key][...] = 0
    found = check(variant(name), given, weights, math.inf)
    assert found.verdict == "not_globally_lipschitz"
    assert found.upper is None
    assert check(variant(name), given, weights, 1.0).verdict == "lipschitz_on_domain"


@pytest.mark.parametrize("name", ["hard_choice", "relu_rows", "cosine_without_eps"])
def test_a_jump_or_a_zero_denominator_is_never_lipschitz(name: str) -> None:
    assert verdict(name).verdict == "unknown"
    found = verdict(name, with_function=True)
    assert found.verdict == "not_lipschitz_on_domain"
    assert found.upper is None
    assert found.certificate["against"]["evidence"] == "numerical"
    assert found.responsible is not None
    assert any(word in found.responsible for word in ("sign", "/", "l2norm"))


def test_a_mask_that_depends_on_data_is_unknown_and_names_the_op() -> None:
    found = verdict("by_data")
    assert found.verdict == "unknown"
    assert "mask" in (found.responsible or "")


def test_polynomial_attention_grows_on_the_whole_space() -> None:
    found = verdict("linear_mean", math.inf, with_function=True)
    assert found.verdict == "not_globally_lipschitz"
    assert found.certificate["against"]["quotients"]


@pytest.mark.parametrize("name", ["mixer", "prenorm", "fixed", "fnet"])
def test_norms_and_linear_maps_are_global(name: str) -> None:
    found = verdict(name)
    assert found.verdict == "globally_lipschitz"
    whole = verdict(name, math.inf)
    assert whole.verdict == "globally_lipschitz"
    assert whole.upper is not None
    assert found.upper is not None
    assert found.upper <= whole.upper * (1 + 1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_give_no_number(value: float) -> None:
    _, weights, given = module("single")
    weights["Wk"][0, 0] = value
    found = check(variant("single"), given, weights)
    assert found.verdict == "unknown"
    assert found.upper is None
    assert "not finite" in found.certificate["reason"]


def test_missing_weights_are_unknown_with_a_reason_and_missing_sizes_no_question() -> None:
    _, weights, given = module("single")
    weights.pop("Wv")
    assert "Wv" in check(variant("single"), given, weights).certificate["reason"]
    given.pop("e")
    with pytest.raises(AnatomyError, match=r"E902.*`e` is needed"):
        check(variant("single"), given, weights)
    with pytest.raises(AnatomyError, match=r"E902.*entries at these sizes"):
        check(variant("single"), {**given, "e": 2, "n": 10**6}, weights)


def test_what_levels_off_far_away_is_not_said_to_grow_without_end() -> None:
    program = anatomy.parse("axis n, d diagram capped(x: [n, d]) -> [n, d] { out min(x * x, 1000000) } diagram wild(x: [n, d]) -> [n, d] { out x * x }")
    capped, wild = (anatomy.regularity(program[name], {"n": 2, "d": 2}, math.inf, growth=False) for name in ("capped", "wild"))
    assert capped.verdict == "unknown"
    assert wild.verdict == "not_globally_lipschitz"
    assert wild.certificate["against"]["evidence"] == "numerical"


def test_one_token_is_its_value_map() -> None:
    _, weights, given = module("single", n=1, m=1)
    found = check(variant("single"), given, weights, 1.0)
    assert found.verdict == "globally_lipschitz"
    assert found.upper == pytest.approx(np.linalg.norm(weights["Wv"], 2), rel=1e-9)


@pytest.mark.parametrize("radius", [0.0, 1e-300, 1e-6, 1e6, 1e150])
@pytest.mark.parametrize("name", ["single", "mha", "causal_single", "sigmoid_attention"])
def test_extreme_radii_give_a_number_or_no_verdict_but_never_nonsense(name: str, radius: float) -> None:
    found = verdict(name, radius)
    assert found.verdict in ("lipschitz_on_domain", "unknown")
    if found.upper is not None:
        assert found.upper > 0
        assert math.isfinite(found.upper)
    if radius <= 1e6:
        assert found.upper is not None


def test_the_bound_grows_with_the_radius() -> None:
    bounds = [verdict("single", r).upper for r in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert all(b is not None for b in bounds)
    assert bounds == sorted(bounds)  # type: ignore[type-var]


def test_zero_scores_or_zero_values() -> None:
    _, weights, given = module("unbiased", n=4, m=4)
    still = check(variant("unbiased"), given, {**weights, "Wq": 0 * weights["Wq"]}, math.inf)
    assert still.verdict == "globally_lipschitz"
    assert still.upper == pytest.approx(np.linalg.norm(weights["Wv"], 2), rel=1e-9), "the mean of the values"
    nothing = check(variant("unbiased"), given, {**weights, "Wv": 0 * weights["Wv"]}, math.inf)
    assert nothing.upper == 0.0


def test_a_lower_bound_above_the_upper_one_aborts_with_the_witness() -> None:
    _, weights, given = module("unbiased", n=2, m=2)
    with pytest.raises(AnatomyError, match="soundness") as caught:
        check(variant("unbiased"), given, weights, function=lambda x: 1000 * x)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E901"
    assert any("witness" in note for note in diagnostic.notes)


@pytest.mark.parametrize(("radius", "norm"), [(-1.0, "frobenius"), (math.nan, "frobenius"), (1.0, "nuclear")])
def test_a_malformed_question_is_refused(radius: float, norm: str) -> None:
    _, weights, given = module("single")
    with pytest.raises(AnatomyError, match="E902"):
        check(variant("single"), given, weights, radius, norm)  # type: ignore[arg-type]


def test_the_result_is_json_with_the_promised_fields() -> None:
    net, weights, given = module("mha")
    data = json.loads(check(variant("mha"), given, weights, function=net).model_dump_json())
    assert set(data) == {
        "verdict", "domain", "norm", "upper", "lower", "ratio", "method", "responsible", "growth", "certificate", "advice",
    }  # fmt: skip
    for growth in (data["growth"]["n"], data["growth"]["radius"]):
        assert {"symbolic", "fitted", "interval", "bound"} <= set(growth)
    assert data["certificate"]["frobenius"] == data["upper"]
    assert data["certificate"]["max_token"] > 0
    assert data["lower"] <= data["upper"]


def test_fixed_mixing_does_not_grow_with_the_radius() -> None:
    _, weights, given = module("fixed")
    found = check(variant("fixed"), given, weights)
    assert found.growth["radius"]["bound"] == pytest.approx(0.0, abs=1e-6)
    assert found.growth["radius"]["symbolic"] == "1"
    assert "n" not in found.growth, "a weight carries n, so other lengths have no meaning"


def test_unnormalised_linear_attention_grows_linearly_with_length() -> None:
    _, weights, given = module("linear_sum", n=4)
    growth = check(variant("linear_sum"), given, weights).growth
    assert growth["n"]["bound"] == pytest.approx(1.0, abs=1e-6)
    assert growth["n"]["symbolic"] == "n"
    assert growth["radius"]["bound"] == pytest.approx(2.0, abs=1e-6)
    assert growth["radius"]["symbolic"] == "R^2"
