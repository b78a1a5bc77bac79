"""Ways in which checks of attention have failed: each as a question with the verdict it must get."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import anatomy
from anatomy.compiler import build
from anatomy.errors import AnatomyError
from anatomy.regularity import Regularity, check
from anatomy.regularity.compose import Composition, Stuck, compose, sizes_of
from tests.regularity import cases
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)
AXES = "axis n, m = n, d, e, h, k\n"
HEAD = "(x: [n, d]) -> [n, d]"
SIZES = {"n": 3, "m": 3, "d": 2, "e": 2, "h": 2, "k": 2}
SELF = "z = x[n -> m] "
DOT = SELF + "out dot[m](softmax[m](dot[d](x, z)), z)"
LEARNED = SELF + "q = lin Q[d -> e, bias=false](x) t = lin K[d -> e, bias=false](z) v = lin V[d -> e, bias=false](z) out dot[m](softmax[m](dot[e](q, t)), v)"


def net(body: str, head: str = HEAD, **changed: int) -> cases.Net:
    diagram = anatomy.parse(f"{AXES}diagram it{head} {{ {body} }}")["it"]
    given = {a: n for a, n in {**SIZES, **changed, **({"m": changed["n"]} if "n" in changed else {})}.items() if a in diagram.sizes}
    module = build(diagram, given, dtype=torch.float64)
    for p in module.parameters():
        p.requires_grad_(False)
    return cases.Net("", "it", diagram, sizes_of(diagram, given), module)


def weights_of(of: cases.Net, changed: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
    with torch.no_grad():
        for key, value in (changed or {}).items():
            of.module.get_parameter(key).copy_(torch.as_tensor(np.asarray(value)))
    return {k: v.numpy().copy() for k, v in of.module.state_dict().items()}


def asked(body: str, radius: float = 1.0, head: str = HEAD, weights: dict[str, Any] | None = None, numbers: bool = False, **changed: int) -> Regularity:
    of = net(body, head, **changed)
    w = weights_of(of, weights)
    return check(of.diagram, of.sizes, w, radius, function=of.module if numbers else None, growth=False)


def proved(body: str, radius: float = 1.0, head: str = HEAD, weights: dict[str, Any] | None = None, tries: int = 8, **changed: int) -> Composition:
    """The bounds, after looking for what contradicts them."""
    of = net(body, head, **changed)
    found = compose(of.diagram, of.sizes, weights_of(of, weights), radius)
    if math.isfinite(radius) and radius > 0:
        wrong, _ = cases.against(of, found, radius, np.random.default_rng(0), 0, tries, 4)
        assert not wrong, wrong
    return found


# numbers that are none, and extreme ones --------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["Q", "K", "V"])
def test_a_weight_that_is_not_finite_gives_no_number(key: str, value: float) -> None:
    matrix = np.eye(2)
    matrix[0, 1] = value
    found = asked(LEARNED, head="(x: [n, d]) -> [n, e]", weights={key: matrix})
    assert found.verdict == "unknown"
    assert found.upper is None
    assert "not finite" in found.certificate["reason"]


@pytest.mark.parametrize("radius", [math.nan, -1.0, -math.inf])
def test_a_radius_that_is_none_is_refused(radius: float) -> None:
    with pytest.raises(AnatomyError, match="E902"):
        asked(DOT, radius)


@pytest.mark.parametrize("eps", ["1e400", "1e-400", "nan", "inf"])
def test_an_eps_that_is_no_number_is_refused(eps: str) -> None:
    with pytest.raises(AnatomyError):
        net(f"out rmsnorm[d, eps={eps}](x)")


@pytest.mark.parametrize("eps", ["1e-300", "1e300"])
@pytest.mark.parametrize("name", ["layernorm", "rmsnorm", "l2norm", "l1norm"])
def test_an_extreme_eps_is_bounded(name: str, eps: str) -> None:
    found = proved(f"out {name}[d, eps={eps}](x)")
    assert 0 < found.triple.two < math.inf


BODIES = {
    "dot": DOT, "sigmoid": SELF + "out dot[m](sigmoid(dot[d](x, z)), z)", "norm": "out rmsnorm[d](x)", "exp": "out exp(x)",
    "linear": SELF + "out dot[m](dot[d](x, z), z)", "lengths": "out x / (sqrt(sum[d](x * x)) + 0.1)",
    "elu": SELF + "f = elu(x) + 1 g = f[n -> m] out dot[m](dot[d](f, g), z) / sum[m](dot[d](f, g))",
    "gauss": SELF + "out dot[m](softmax[m](-sum[d](square(x - z))), z)", "sparse": SELF + "out dot[m](sparsemax[m](dot[d](x, z)), z)",
}  # fmt: skip


@pytest.mark.parametrize("radius", [0.0, 5e-324, 1e-300, 1e-160, 1e-6, 1e6, 1e160, 1e300, math.inf])
@pytest.mark.parametrize("name", BODIES)
def test_an_extreme_radius_gives_a_bound_or_no_verdict_and_valid_json(name: str, radius: float) -> None:
    found = asked(BODIES[name], radius)
    assert found.upper is None or (found.upper > 0 and math.isfinite(found.upper)) or radius == found.upper == 0
    assert "nan" not in json.dumps(json.loads(found.model_dump_json())).lower()
    assert found.upper is not None or found.verdict in ("unknown", "not_globally_lipschitz")
    if radius <= 1e-6:
        assert found.upper is not None
        assert found.verdict in ("lipschitz_on_domain", "globally_lipschitz")


@pytest.mark.parametrize("radius", [0.0, 1e-300])
def test_a_point_has_the_derivative_there(radius: float) -> None:
    """At radius 0 all scores are equal: the derivative is the mean of the values."""
    assert asked(DOT, radius).upper == pytest.approx(1.0, rel=1e-9)


# sizes ------------------------------------------------------------------------------------------------


def test_one_token_is_its_value_whatever_the_scores() -> None:
    rng = np.random.default_rng(0)
    v = rng.standard_normal((2, 2))
    found = asked(LEARNED, math.inf, "(x: [n, d]) -> [n, e]", {"Q": 1e6 * np.eye(2), "K": 1e6 * np.eye(2), "V": v}, n=1)
    assert found.verdict == "globally_lipschitz"
    assert found.upper == pytest.approx(np.linalg.norm(v, 2), rel=1e-9)


def test_two_tokens_in_one_dimension() -> None:
    found = proved(DOT, 1.0, n=2, d=1, tries=32)
    assert found.triple.two < 3


@pytest.mark.parametrize("changed", [{"d": 1, "e": 1, "n": 1}, {"d": 3, "e": 1}, {"d": 1, "e": 4}, {"d": 5, "e": 2}])
def test_thin_and_wide_matrices(changed: dict[str, int]) -> None:
    proved(LEARNED, 2.0, "(x: [n, d]) -> [n, e]", **changed)


@pytest.mark.parametrize("axis", ["n", "d"])
def test_an_axis_of_no_points_is_refused(axis: str) -> None:
    with pytest.raises(AnatomyError):
        net(DOT, **{axis: 0})


# degenerate weights and inputs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "k", "v"),
    [("zero", "one", "one"), ("one", "one", "zero"), ("rank", "one", "rank"), ("one", "one", "one"), ("one", "minus", "one"), ("one", "skew", "one"), ("huge", "one", "tiny")],
)
def test_degenerate_weights_hold_and_are_finite(q: str, k: str, v: str) -> None:
    table = {"zero": np.zeros((2, 2)), "one": np.eye(2), "minus": -np.eye(2), "rank": np.outer([1.0, 2.0], [1.0, -1.0]),
             "skew": np.array([[0.0, 3.0], [-3.0, 0.0]]), "huge": 1e8 * np.eye(2), "tiny": 1e-8 * np.eye(2)}  # fmt: skip
    found = proved(LEARNED, 1.0, "(x: [n, d]) -> [n, e]", {"Q": table[q], "K": table[k], "V": table[v]}, tries=16)
    if q == "zero":
        assert found.triple.two == pytest.approx(1.0, rel=1e-9), "the mean of the values"
    if v == "zero":
        assert found.triple.two == 0.0


@pytest.mark.parametrize("spread", [0.0, 1e-9])
def test_equal_tokens_hold_the_bound(spread: float) -> None:
    """A derivative of rank one, and a repeated singular value."""
    of = net(DOT, n=5)
    found = compose(of.diagram, of.sizes, {}, 2.0)
    rng = np.random.default_rng(0)
    x = np.tile([2.0, 0.0], (5, 1)) * (1 - 1e-9) + spread * rng.standard_normal((5, 2))
    f, flat, ins = cases.flat(of, [torch.tensor(x)], 0)
    seen = cases.worst(cases.jacobian(f, flat), ins, of.outs, rng)
    assert seen[2.0][0] <= found.triple.two
    assert seen[np.inf][0] <= found.triple.inf


@pytest.mark.parametrize("scale", [700.0, 1e5, 1e300])
def test_scores_that_differ_by_700_and_more(scale: float) -> None:
    found = asked(SELF + f"out dot[m](softmax[m]({scale!r} * dot[d](x, z)), z)")
    if scale < 1e6:
        proved(SELF + f"out dot[m](softmax[m]({scale!r} * dot[d](x, z)), z)")
        assert found.upper is not None
        assert found.upper > scale / 10
    assert found.upper is None or math.isfinite(found.upper)


def test_scores_of_a_shared_weight_are_tied() -> None:
    body = SELF + "q = lin Q[d -> e, bias=false](x) t = q[n -> m] out dot[m](softmax[m](dot[e](q, t)), z)"
    for matrix in (np.eye(2), -np.eye(2), np.array([[0.0, 2.0], [-2.0, 0.0]]), np.ones((2, 2))):
        proved(body, 1.5, weights={"Q": matrix}, tries=16)


def test_heads_that_share_their_weights() -> None:
    """One weight read by two heads is not two weights: both move together."""
    body = SELF + (
        "v = lin V[d -> h, e, bias=false](z) s = dot[d](x, z) y = dot[m](softmax[m](s), v) weight o: [h, e] "
        "out sum[h](y * o)[e -> d]"
    )
    v = np.tile(np.eye(2)[:, None, :], (1, 2, 1))
    head = "(x: [n, d]) -> [n, d] where e = d"
    both = proved(body, 1.0, head, {"V": v, "o": np.ones((2, 2))})
    against = proved(body, 1.0, head, {"V": v, "o": np.array([[1.0, 1.0], [-1.0, -1.0]])})
    one = proved(SELF + "out dot[m](softmax[m](dot[d](x, z)), z)", 1.0)
    assert both.triple.two == pytest.approx(2 * one.triple.two, rel=0.3)
    assert against.triple.two <= both.triple.two


def test_a_bias_that_is_broadcast() -> None:
    proved(SELF + "weight b: [m] ~ normal(2) weight c: [d] ~ normal(2) out dot[m](softmax[m](dot[d](x + c, z) + b), z + c)", 1.0)


# masks ---------------------------------------------------------------------------------------------------


def test_a_row_of_which_nothing_is_left_is_zero() -> None:
    found = proved(SELF + "out dot[m](softmax[m](mask(m < 0, dot[d](x, z))), z)")
    assert found.triple.two == 0.0
    proved(SELF + "out dot[m](softmax[m](mask(m < n, dot[d](x, z))), z)", 2.0)


def test_a_row_with_a_single_key_is_its_value() -> None:
    found = asked(SELF + "out dot[m](softmax[m](mask(m == n, 50 * dot[d](x, z))), z)", math.inf)
    assert found.verdict == "globally_lipschitz"
    assert found.upper == pytest.approx(1.0, rel=1e-9)


def test_a_large_negative_bias_is_no_mask() -> None:
    """The one key that is left out by -1e9 still leads beyond the ball; by -inf it does not."""
    soft = SELF + "out dot[m](softmax[m](where(m == n, 0, 0 - 1000000000) + dot[d](x, z)), z)"
    hard = SELF + "out dot[m](softmax[m](mask(m == n, dot[d](x, z))), z)"
    assert asked(hard, math.inf).verdict == "globally_lipschitz"
    assert asked(soft, math.inf).verdict in ("not_globally_lipschitz", "unknown")
    assert proved(soft).triple.two >= proved(hard).triple.two


def test_a_mask_that_depends_on_data_jumps() -> None:
    body = SELF + "s = dot[d](x, z) out dot[m](softmax[m](mask(s <= 0.3, s)), z)"
    assert asked(body).verdict == "unknown"
    found = asked(body, numbers=True)
    assert found.verdict == "not_lipschitz_on_domain"
    assert "mask" in (found.responsible or "")


# what is not defined, or not Lipschitz -------------------------------------------------------------------

UNDEFINED = {
    "1 / x": "out 1 / x",
    "a sum of relu": "z = relu(x) out z / sum[d](z)",
    "features that change sign": SELF + "s = dot[d](x, z) out dot[m](s / sum[m](s), z)",
    "l2norm": "out l2norm[d](x)", "l1norm": "out l1norm[d](x)", "layernorm": "out layernorm[d, eps=0](x)", "rmsnorm": "out rmsnorm[d, eps=0](x)",
    "a hand-made direction": "out x / sqrt(sum[d](x * x))", "x / |x|": "out x / abs(x)",
    "cosine": SELF + "u = l2norm[d](x) out dot[m](softmax[m](dot[d](u, u[n -> m])), z)",
    "divided by 0": "out x / (1 - 1)", "divided by a weight that is 0": "weight c: [] ~ zeros out x / c",
    "sqrt at 0": "out sqrt(abs(x))", "sqrt below 0": "out sqrt(x)", "a power below 1": "out abs(x) ^ 0.5", "log at 0": "out log(abs(x))", "log": "out log(x + 1)",
    "sign": "out sign(x)", "floor": "out floor(4 * x)", "straight through": "y = floor(4 * x) out x + stop(y - x)",
    "hard attention": "v, i = topk[n -> k](dot[d](x, x)) out gather[n](x, i)[k -> n]",
    "hard choice": "out where(x <= 0, x, x + 1)", "a mask as a factor": "out where(x <= 0, 0, 1) * x + where(x <= 0, 0, 1)",
}  # fmt: skip


@pytest.mark.parametrize("name", UNDEFINED)
def test_what_is_undefined_or_jumps_gets_no_bound_and_names_the_operation(name: str) -> None:
    head = "(x: [n, d]) -> [n, d] where k = n" if "topk" in UNDEFINED[name] else HEAD
    for radius in (1.0, 30.0, math.inf):
        found = asked(UNDEFINED[name], radius, head, n=2)
        assert found.upper is None
        assert found.verdict == "unknown", "nothing is claimed without evidence"
        assert found.responsible is not None


@pytest.mark.parametrize("name", ["1 / x", "a sum of relu", "l2norm", "l1norm", "rmsnorm", "layernorm", "a hand-made direction", "x / |x|", "cosine", "sign", "floor", "straight through", "hard choice"])
def test_with_numbers_the_verdict_is_against_with_a_witness(name: str) -> None:
    found = asked(UNDEFINED[name], numbers=True)
    assert found.verdict == "not_lipschitz_on_domain"
    assert found.certificate["against"]["evidence"] == "numerical"


def test_no_steps_of_sinkhorn_are_no_sinkhorn() -> None:
    with pytest.raises(AnatomyError, match="E209"):
        net(SELF + "out dot[m](sinkhorn[n, m](dot[d](x, z), steps=0), z)")


@pytest.mark.parametrize("name", ["exp(elu)", "shifted relu", "squares", "distance"])
def test_denominators_that_stay_away_from_0_are_proved_to(name: str) -> None:
    body = {
        "exp(elu)": "f = exp(elu(x)) out f / sum[d](f)", "shifted relu": "f = relu(x) + 0.25 out f / sum[d](f)",
        "squares": "out x / (sum[d](x * x) + 0.5)", "distance": "out x / (sqrt(sum[d](square(x))) + 0.5)",
    }[name]  # fmt: skip
    assert proved(body, 1.5, tries=16).triple.two < math.inf


def test_a_negative_temperature_is_a_temperature() -> None:
    proved(SELF + "weight t: [] ~ zeros out dot[m](softmax[m](dot[d](x, z) / t), z)", 1.0, weights={"t": -0.5})


# Lipschitz though not differentiable ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "head", "constant"),
    [
        ("out sqrt(sum[d](x * x))", "(x: [n, d]) -> [n]", 1.0),
        ("out sqrt(dot[d](x, x))", "(x: [n, d]) -> [n]", 1.0),
        ("out sqrt(sum[n, d](square(3 * x)))", "(x: [n, d]) -> []", 3.0),
        ("out sqrt(mean[d](x ^ 2))", "(x: [n, d]) -> [n]", math.sqrt(0.5)),
        ("out sqrt(sum[d](x * x) + 0.25) - 0.5", "(x: [n, d]) -> [n]", 1.0),
        ("out relu(x)", HEAD, 1.0), ("out abs(x)", HEAD, 1.0), ("out max(x, 0 - x)", HEAD, None), ("out max[n](x)", "(x: [n, d]) -> [d]", None),
        ("out sparsemax[d](x)", HEAD, 1.0),
    ],
)  # fmt: skip
def test_a_kink_is_not_refused(body: str, head: str, constant: float | None) -> None:
    for radius in (1.0, math.inf):
        found = asked(body, radius, head)
        assert found.verdict == "globally_lipschitz"
        assert found.upper is not None
        assert constant is None or found.upper == pytest.approx(constant, rel=1e-9)
    proved(body, 2.0, head)


def test_automatic_differentiation_at_a_kink_is_no_evidence() -> None:
    """Sparsemax at (-1, 1, .., 1) with scores -x y / 2: the derivative from autograd is twice the bound, secants are not (C5)."""
    of = net(SELF + "out dot[m](sparsemax[m](0 - 0.5 * dot[d](x, z)), z)", n=17, d=1)
    found = compose(of.diagram, of.sizes, {}, 1.0)
    x = np.ones((17, 1))
    x[0] = -1.0
    f, flat, ins = cases.flat(of, [torch.tensor(x)], 0)
    rng = np.random.default_rng(0)
    u = cases.worst(cases.jacobian(f, flat), ins, of.outs, rng)[2.0][1]
    assert cases.secant(f, flat, u, ins, of.outs, 2.0, 1.0) <= found.triple.two
    assert asked(SELF + "out dot[m](sparsemax[m](0 - 0.5 * dot[d](x, z)), z)", numbers=True, n=17, d=1).lower is not None


# which axis, which norm, which growth --------------------------------------------------------------------


def test_the_softmax_over_queries_is_not_the_softmax_over_keys() -> None:
    wrong = SELF + "out dot[m](softmax[n](dot[d](x, z)), z)"
    assert proved(wrong, 1.0, n=6).triple.inf > proved(DOT, 1.0, n=6).triple.inf, "sums over keys are not bounded by 1 then"


def test_a_softmax_over_one_point_is_constant() -> None:
    assert asked("out softmax[d](x)", math.inf, d=1).upper == 0.0


@pytest.mark.parametrize(("body", "growth"), [("dot[d](x, z)", 4.0), ("sigmoid(dot[d](x, z))", 3.0), ("square(relu(dot[d](x, z)))", 4.0), ("exp(dot[d](x, z))", 4.0)])
def test_weights_without_a_normaliser_grow_with_the_length(body: str, growth: float) -> None:
    few, many = (proved(SELF + f"out dot[m]({body}, z)", 1.0, n=n).triple.two for n in (2, 8))
    assert growth * 0.9 <= many / few <= 5.0
    if "sigmoid" not in body:
        assert asked(SELF + f"out dot[m]({body}, z)", math.inf).verdict in ("not_globally_lipschitz", "unknown")


def test_a_softmax_times_the_length_grows_with_it() -> None:
    assert proved(DOT.replace("softmax[m]", "size[m] * softmax[m]"), 1.0, n=8).triple.two == pytest.approx(8 * proved(DOT, 1.0, n=8).triple.two, rel=0.2)


def test_a_residual_adds_at_most_one() -> None:
    found = proved(SELF + "out x + dot[m](softmax[m](dot[d](x, z)), z)", 1.0, n=12)
    assert 1.0 <= found.triple.two <= 1.0 + proved(DOT, 1.0, n=12).triple.two + 1e-9


def test_the_norms_are_told_apart() -> None:
    """The greatest token norm does not grow with the length, the Frobenius norm may; neither is the other."""
    of = net(DOT, n=16)
    two, inf = (check(of.diagram, of.sizes, {}, 4.0, norm, growth=False).upper for norm in ("frobenius", "max_token"))  # type: ignore[arg-type]
    assert two is not None
    assert inf is not None
    assert two != inf
    short = net(DOT, n=4)
    assert check(short.diagram, short.sizes, {}, 4.0, "max_token", growth=False).upper == pytest.approx(inf, rel=0.2)


def test_a_batch_axis_mixes_nothing() -> None:
    """Two sequences side by side have the constant of one; as one sequence they have more."""
    name = "batched"
    given = sizes(name, b=1)
    module = build(variant(name), given, seed=0, dtype=torch.float64)
    weights = {k: v.detach().numpy() for k, v in module.state_dict().items()}
    one, two = (compose(variant(name), sizes_of(variant(name), sizes(name, b=b)), weights, 1.0).triple.two for b in (1, 5))
    assert one == two


def test_the_domain_is_the_ball_and_not_the_sphere() -> None:
    """After a norm without eps tokens lie on a sphere, whose chords leave it: the constant of the whole is not that of the parts."""
    assert asked("u = rmsnorm[d, eps=0.0001](x) z = u[n -> m] out dot[m](softmax[m](dot[d](u, z)), z)", numbers=True).verdict in ("globally_lipschitz", "lipschitz_on_domain")
    proved("u = rmsnorm[d, eps=0.0001](x) z = u[n -> m] out dot[m](softmax[m](dot[d](u, z)), z)", 1.0, tries=24)


def test_a_power_of_a_thousand_million_is_not_multiplied_out() -> None:
    with pytest.raises(Stuck):
        proved("out x ^ 1000000000")
    assert proved("out (abs(x) + 1) ^ 1000000", 1e-6).triple.two < math.inf


def test_a_constant_beyond_floats_is_refused() -> None:
    with pytest.raises(AnatomyError):
        net("out 1e400 * x")
    assert asked("out 1e300 * (1e300 * x)").upper is None
