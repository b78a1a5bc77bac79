"""Maps of measures: constants against what many tokens attain, couplings of measures, what is refused, and the verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anatomy.api import parse
from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ops import Softmax
from anatomy.regularity import check
from anatomy.regularity.compose import Stuck, sizes_of
from anatomy.regularity.measure import measured, wasserstein
from anatomy.regularity.measure.attention import moment
from anatomy.regularity.measure.calculus import Transport
from anatomy.regularity.measure.rules import JUDGED, MeasureRules
from anatomy.regularity.rules import Rules
from tests.regularity.meadow import random_map
from tests.regularity.oracle import jacobian, worst_quotients
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)
ORDERS = (1.0, 2.0, math.inf)
MAPS = [
    "plain", "single", "unbiased", "mha", "residual", "heads", "twice", "prenorm", "linear_mean", "relu_mean", "square_relu_mean",
]  # fmt: skip
OF_SEVERAL = ["sdpa", "cross", "linear", "bahdanau", "gauss", "cosine", "efficient"]
HEAD = "axis n, m = n, d, e, h, k, p, r "


def written(text: str) -> Diagram:
    (found,) = parse(HEAD + text).values()
    return found


PLAIN = written("diagram plain(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z)), z) }")


def drawn(name: str, rng: np.random.Generator, n: int) -> tuple[torch.nn.Module, dict[str, np.ndarray], dict[str, int]]:
    """A module for any number of tokens with random weights, those weights, and sizes with n tokens."""
    given = sizes(name, n=n, m=n)
    net = build(variant(name), {a: s for a, s in given.items() if a not in ("n", "m")}, dtype=torch.float64, passes=DIFFERENTIABLE)
    scale = float(rng.choice([0.3, 1.0, 1.5]))
    with torch.no_grad():
        for p in net.parameters():
            p.requires_grad_(False).copy_(torch.tensor(scale * rng.standard_normal(tuple(p.shape))))
    return net, {k: v.numpy() for k, v in net.state_dict().items()}, sizes_of(variant(name), given)


def atoms(n: int, d: int, radius: float, kind: int, rng: np.random.Generator) -> torch.Tensor:
    """Tokens in the ball: in all directions, one against the others, two groups, one group and a far token."""
    x = rng.standard_normal((n, d))
    u = x[0].copy()
    if kind == 1:
        x[:], x[0] = -u, u
    if kind == 2:
        x[:], x[: int(rng.integers(0, n + 1))] = -u, u
    if kind == 3:
        x[:] = -u + 0.3 * rng.standard_normal((n, d))
        x[0] = u
    x *= radius / np.linalg.norm(x, axis=1, keepdims=True)
    return torch.tensor(x * (rng.random((n, 1)) if kind == 4 else 1.0))


def against(found: Transport, jac: np.ndarray, ins: list[tuple[int, int]], outs: tuple[int, int], rng: np.random.Generator) -> dict[float, float]:
    """Attained over proved, for all three constants."""
    best = worst_quotients(jac, ins, [outs], rng)
    lengthened = {p: ins[0][0] ** (1 / p) if outs[0] == 1 < ins[0][0] else 1.0 for p in ORDERS}
    return {p: best[p] * lengthened[p] / found.constant(p) for p in ORDERS}


@pytest.mark.parametrize("name", MAPS + OF_SEVERAL)
def test_no_number_of_tokens_exceeds_the_constants(name: str) -> None:
    diagram = variant(name)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        n, radius = (2, 3, 5, 12)[seed], float(rng.choice([0.5, 1.0, 2.0]))
        net, weights, full = drawn(name, rng, n)
        found = measured(diagram, full, weights, radius)
        assert found == measured(diagram, full | {a: 999 for a in ("n", "m") if a in full}, weights, radius), "not free of n"
        shapes = [tuple(full[a] for a in item.layout) for item in diagram.inputs]
        counts = [math.prod(s) for s in shapes]
        out = tuple(full[a] for a in diagram.outputs[0].layout)

        def f(v: torch.Tensor, net=net, counts=counts, shapes=shapes) -> torch.Tensor:
            return net(*(p.reshape(s) for p, s in zip(torch.split(v, counts), shapes, strict=True))).reshape(-1)

        for kind in range(5):
            x = torch.cat([atoms(*shape, radius, kind, rng).reshape(-1) for shape in shapes])
            ratios = against(found, jacobian(f, x), shapes, (out[0], math.prod(out[1:])), rng)
            assert max(ratios.values()) <= 1 + 1e-9, (name, seed, kind, ratios)


@pytest.mark.parametrize("name", MAPS)
def test_the_cost_of_any_change_of_the_measure_is_bounded(name: str) -> None:
    """Mass moved, tokens dropped, doubled and added: measures with different numbers of atoms."""
    diagram = variant(name)
    rng = np.random.default_rng(7)
    net, weights, full = drawn(name, rng, 6)
    radius, d = 1.0, full["d"]
    found = measured(diagram, full, weights, radius)
    x = atoms(6, d, radius, 0, rng)
    others = [x[:5], torch.cat([x, x[:2]]), torch.cat([x, atoms(2, d, radius, 0, rng)]), 0.9 * x, x[:1], atoms(4, d, radius, 1, rng)]
    for other in others:
        there, back = (net(t).reshape(len(t), -1).numpy() for t in (x, other))
        for p in ORDERS:
            moved = wasserstein(there, back, p)
            assert moved <= found.error(wasserstein(x.numpy(), other.numpy(), p), p) * (1 + 1e-9), (name, p, len(other))


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 2.0, 4.0])
def test_closed_forms_of_dot_product_attention(a: float) -> None:
    """V = I, A = I, R^2 = a. In W1 it is |V| (e^2a (1 + 2a) + a); in W2 below |V| (e^a sqrt(1 + a^2) + a) and the constant of Castin and others."""
    found = measured(PLAIN, {"n": 2, "m": 2, "d": 3}, {}, math.sqrt(a))
    assert found.one == pytest.approx(math.exp(2 * a) * (1 + 2 * a) + a, rel=1e-9)
    assert found.two < math.exp(a) * math.sqrt(1 + a * a) + a < (1 + 3 * a) * math.exp(2 * a)
    assert found.inf == pytest.approx(math.sqrt(1 + a * a) + a, rel=1e-9)
    assert max(found.output) <= math.sqrt(a) * (1 + 1e-12)
    assert found.constant(1.5) == found.one
    assert found.constant(3) == found.two


def test_the_value_at_one() -> None:
    assert measured(PLAIN, {"n": 2, "m": 2, "d": 3}, {}, 1.0).two <= 4.844231028


def test_the_moment_is_the_greatest_value_of_its_cubic() -> None:
    t = np.linspace(-1, 1, 200_001)
    values = []
    for a in (0.0, 1e-9, 1e-3, 0.03, 0.3, 0.7, 1.0, 1.7, 3.0, 10.0, 40.0):
        greatest = float(np.max((1 + t + (1 - t) * math.exp(2 * a)) * (1 + a * a * (1 - t * t)) / 2))
        assert greatest * (1 - 1e-12) <= moment(a) <= greatest * (1 + 1e-7), a
        values.append(moment(a))
    assert values == sorted(values)
    assert moment(math.inf) == math.inf


def test_the_moment_bounds_every_measure() -> None:
    """D(y) (1 + |g|^2 Var_P(u.x)) for random measures, points y and directions: the inequality of the proof itself."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(4000):
        d, n, a = int(rng.integers(1, 4)), int(rng.integers(2, 9)), float(rng.choice([0.3, 1.0, 2.0, 4.0]))
        x = atoms(n, d, 1.0, int(rng.integers(0, 5)), rng).numpy()
        mass = rng.dirichlet(np.full(n, 0.3))
        g = a * (x[0] if rng.random() < 0.7 else rng.standard_normal(d))
        g *= min(1.0, a / max(np.linalg.norm(g), 1e-9))
        weight = np.exp(x @ g) / (mass @ np.exp(x @ g))
        mean = (mass * weight) @ x
        cov = np.einsum("n,nd,ne->de", mass * weight, x - mean, x - mean)
        value = weight.max() * (1 + (g @ g) * np.linalg.eigvalsh(cov)[-1])
        worst = max(worst, value / moment(a))
    assert 0.9 < worst <= 1 + 1e-9


@pytest.mark.parametrize("a", [0.5, 1.0])
def test_the_constants_are_nearly_attained(a: float) -> None:
    """So that a constant that is somewhat too small would be found out: one token, or a few, against very many, with A = I or -I."""
    n, radius = 80, math.sqrt(a)
    found = measured(PLAIN, {"n": n, "m": n, "d": 1}, {}, radius)
    best = dict.fromkeys(ORDERS, 0.0)
    for sign in (1.0, -1.0):
        for few in (1, 2, 8, 40):
            x = torch.full((n, 1), -radius, dtype=torch.float64)
            x[:few] = radius
            jac = jacobian(lambda v, s=sign: (torch.softmax(s * v[:, None] * v, dim=1) @ v[:, None]).reshape(-1), x.reshape(-1))
            for p, order in ((1.0, 1), (2.0, 2), (math.inf, np.inf)):
                best[p] = max(best[p], float(np.linalg.norm(jac, order)))
    for p, share in ((1.0, 0.8), (2.0, 0.6), (math.inf, 0.8)):
        assert share * found.constant(p) < best[p] <= found.constant(p), (p, best[p], found.constant(p))


REFUSED = {
    "positions": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z) - abs(iota[n] - iota[m])), z) }",
    "causal": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m]  simd n { out dot[m](softmax[m](causal[m <= n](dot[d](x, z))), z) } }",
    "a sum": "diagram f(x: [n, d]) -> [d] { out sum[n](x) }",
    "sums that differ": "diagram f(x: [n, d]) -> [d] { out sum[n](x) + mean[n](x) }",
    "a bent sum": "diagram f(x: [n, d]) -> [d] { out tanh(sum[n](x)) }",
    "the number": "diagram f(x: [n, d]) -> [n, d] { out x * size[n] }",
    "its root": "diagram f(x: [n, d]) -> [d] { out sum[n](x) / sqrt(size[n]) }",
    "its logarithm": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](log(size[m]) * dot[d](x, z)), z) }",
    "weights alone": "diagram f(x: [n, d]) -> [n, d] { out softmax[n](x) }",
    "logsumexp": "diagram f(x: [n, d]) -> [d] { out logsumexp[n](x) }",
    "sparsemax": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](sparsemax[m](dot[d](x, z)), z) }",
    "sinkhorn": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](sinkhorn[n, m](dot[d](x, z), steps=2), z) }",
    "a map": "diagram f(x: [n, d]) -> [n, m] { out dot[d](x, x[n -> m]) }",
    "a weight": "diagram f(x: [n, d]) -> [p, d] { out lin M[n -> p](x) }",
    "order": "diagram f(x: [n, d]) -> [n, d] { out cumsum[n](x) }",
    "neighbours": "diagram f(x: [n, d]) -> [n, d] { out shift[n](x, by=1) }",
    "waves": "diagram f(x: [n, d]) -> [n, d] { out fft_re[n](x) }",
    "a norm": "diagram f(x: [n, d]) -> [n, d] { out l2norm[n, eps=0.1](x) }",
    "sorted": "diagram f(x: [n, d]) -> [n, d] { s, i = sort[n](x)  out s }",
    "images": "diagram f(x: [p, n, d]) -> [p, n, d] { out x }",
    "one number": "diagram f(x: [n]) -> [n] { out tanh(x) }",
    "a given mask": "diagram f(x: [n, d], t: mask[n, m]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](mask(t, dot[d](x, z))), z) }",
    "data mask": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] s = dot[d](x, z)  out dot[m](softmax[m](mask(s > 0, s)), z) }",
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_no_function_of_the_measure_has_no_constant(why: str) -> None:
    diagram = written(REFUSED[why])
    full = sizes_of(diagram, {"n": 4, "d": 3, "p": 2})
    weights = {w.key: np.ones([full[a] for a in w.layout]) for w in diagram.weights}
    with pytest.raises(Stuck):
        measured(diagram, full, weights, 1.0)


SAME = {
    "what is divided by the number": (
        "diagram f(x: [n, d]) -> [d] { out sum[n](x) / size[n] }", "diagram f(x: [n, d]) -> [d] { out mean[n](x) }",
    ),
    "a mean of weights times the number": (
        "diagram f(x: [n, d]) -> [d] { w = softmax[n](sum[d](x))  out dot[n](w, x) / size[d] }",
        "diagram f(x: [n, d]) -> [d] { w = softmax[n](sum[d](x)) / size[d]  out mean[n](w * x * size[n]) }",
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", SAME)
def test_powers_of_the_number_cancel(why: str) -> None:
    a, b = (measured(written(t), {"n": 4, "d": 3}, {}, 1.0) for t in SAME[why])
    assert not a.points[0]
    assert all(math.isfinite(x.constant(p)) for x in (a, b) for p in ORDERS)


def test_a_mean_of_scores_is_followed() -> None:
    diagram = written("diagram f(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](dot[d](x, z), z) / size[m] }")
    found = measured(diagram, sizes_of(diagram, {"n": 4, "d": 2}), {}, 1.0)
    assert (found.one, found.two, found.inf) == pytest.approx((3.0, 3.0, 3.0), rel=1e-9)  # attained by equal tokens


def test_a_token_less_its_mean_is_not_zero() -> None:
    """The two terms are linked to their base in different ways; with one token they cancel."""
    diagram = written("diagram f(x: [n, d]) -> [n, d] { out x - mean[n](x) }")
    found = measured(diagram, {"n": 1, "d": 2}, {}, 1.0)
    assert min(found.one, found.two, found.inf) >= 1


def test_an_extremum_over_tokens_is_lipschitz_in_the_maximum_norm_alone() -> None:
    found = measured(written("diagram f(x: [n, d]) -> [d] { out max[n](x) }"), {"n": 3, "d": 2}, {}, 1.0)
    assert found.one == found.two == math.inf
    assert math.sqrt(2) <= found.inf <= 2


def test_a_rule_that_was_not_judged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that counts tokens must not be inherited unseen when the calculus grows one."""
    assert not JUDGED & {k for k in vars(MeasureRules) if not k.startswith("_")}
    monkeypatch.setattr(Rules, "counted", lambda self, x: x, raising=False)
    monkeypatch.setattr(Softmax, "bound", lambda self, ctx: [ctx.counted(ctx.port(0))])
    with pytest.raises(Stuck, match="counted"):
        measured(PLAIN, {"n": 2, "m": 2, "d": 3}, {}, 1.0)


@pytest.mark.parametrize("block", range(4))
def test_random_maps(block: int) -> None:
    """Whatever the calculus admits is a map of measures, and its constants and radius hold."""
    admitted = 0
    for seed in range(30 * block, 30 * block + 30):
        rng = np.random.default_rng(seed)
        try:
            diagram = random_map(seed)
        except IndexError:
            continue
        n, radius = int(rng.choice([1, 2, 3, 5, 8])), float(rng.choice([0.3, 1.0, 2.0]))
        net = build(diagram, {}, dtype=torch.float64, seed=seed, passes=DIFFERENTIABLE)
        for p in net.parameters():
            p.requires_grad_(False)
        try:
            found = measured(diagram, sizes_of(diagram, {"n": n}), {k: v.numpy() for k, v in net.state_dict().items()}, radius)
        except Stuck:
            continue
        admitted += 1
        for kind in range(4):
            x = atoms(n, 3, radius, kind, rng)
            rows = n if found.points[0] else 1
            y = net(x).reshape(rows, -1)
            other = torch.cat([x, x])[torch.randperm(2 * n, generator=torch.Generator().manual_seed(seed))]
            doubled = net(other).reshape(2 * rows if found.points[0] else 1, -1)
            assert wasserstein(y.numpy(), doubled.numpy(), math.inf) <= 1e-8 * (1 + float(y.abs().max())), seed
            assert float(y.norm(dim=1).max()) <= found.output[0] * (1 + 1e-9), seed
            jac = jacobian(lambda v, net=net, n=n: net(v.reshape(n, 3)).reshape(-1), x.reshape(-1))
            best = worst_quotients(jac, [(n, 3)], [(rows, y.shape[1])], rng)
            for p in ORDERS:
                attained = best[p] * (1.0 if found.points[0] else n ** (1 / p))
                assert attained <= found.constant(p) * (1 + 1e-9) + 1e-12, (seed, p)
    assert admitted >= 8


def test_the_verdict_names_norm_domain_and_growth() -> None:
    given = {"n": 4, "m": 4, "d": 2}
    for norm, p in (("wasserstein1", 1.0), ("wasserstein2", 2.0), ("wasserstein_inf", math.inf)):
        found = check(PLAIN, given, {}, 1.0, norm, lambda x: torch.softmax(x @ x.T, 1) @ x)  # type: ignore[arg-type]
        assert found.verdict == "lipschitz_on_domain"
        assert found.norm == norm
        assert found.domain == "measures of tokens of Euclidean norm at most 1"
        assert found.upper == measured(PLAIN, given, {}, 1.0).constant(p)
        assert found.lower is not None
        assert found.upper is not None
        assert 0.2 * found.upper ** 0.5 < found.lower <= found.upper
        assert found.growth["n"]["symbolic"] == "1"
        assert found.certificate["contraction"] == {"p": p, "tau": found.upper, "invariant": True, "output_radius": 1.0, "rate": None}
    linear = written("diagram f(x: [n, d]) -> [n, d] { out 0.5 * x + 0.25 * mean[n](x) }")
    found = check(linear, {"n": 3, "d": 2}, {}, 1.0, "wasserstein2", lambda x: 0.5 * x + 0.25 * x.mean(0))
    assert found.verdict == "globally_lipschitz"
    assert found.lower == pytest.approx(0.75, rel=1e-6)
    assert found.upper == pytest.approx(0.75)
    pooled = written("diagram f(x: [n, d]) -> [d] { out mean[n](x) }")
    for norm in ("wasserstein1", "wasserstein2", "wasserstein_inf"):
        found = check(pooled, {"n": 3, "d": 2}, {}, 1.0, norm, lambda x: x.mean(0))  # type: ignore[arg-type]
        assert found.lower == pytest.approx(1.0, rel=1e-6)
        assert found.upper == 1.0
        assert "contraction" not in found.certificate
    refused = check(variant("causal_single"), sizes("causal_single"), {}, 1.0, "wasserstein2")
    assert refused.verdict == "unknown"
    assert refused.upper is None
    assert refused.certificate["reason"]
    with pytest.raises(AnatomyError, match="E902"):
        check(PLAIN, given, {}, 1.0, "wasserstein3")  # type: ignore[arg-type]


def test_a_lower_bound_above_the_upper_one_is_told() -> None:
    with pytest.raises(AnatomyError, match="E901"):
        check(PLAIN, {"n": 4, "m": 4, "d": 2}, {}, 1.0, "wasserstein2", lambda x: 100 * x)
