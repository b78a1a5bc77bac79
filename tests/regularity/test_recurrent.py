"""Bounds of loops: against dense Jacobians in all three norms, and where the constant is known."""

from __future__ import annotations

import numpy as np
import pytest

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.regularity.compose import Stuck, compose, sizes_of
from tests.regularity.oracle import holds

SIZES = {"n": 5, "m": 3, "d": 2, "e": 3, "f": 2, "h": 2}
BODIES = {
    "total": "x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { t = s + x next s = t y = t } out y }",
    "decay": "x: [n, d]) -> [n, d] { weight g: [d] scan n (s: [d] = 0) { next s = sigmoid(g) * s + x y = s } out y }",
    "gate": "x: [n, d]) -> [n, d] { g = sigmoid(lin G[d -> e](x)) b = lin B[d -> e](x) scan n (s: [e] = 0) { t = g * s + b next s = t y = t } out lin O[e -> d](y) }",
    "outer": "x: [n, d]) -> [n, f] { k = lin K[d -> e](x) v = lin V[d -> f](x) q = lin Q[d -> e](x) scan n (s: [e, f] = 0) { t = s / 2 + k * v next s = t y = dot[e](q, t) } out y }",
    "delta": "x: [n, d]) -> [n, f] { k = l2norm[e, eps=1](lin K[d -> e](x)) v = lin V[d -> f](x) scan n (s: [e, f] = 0) { t = s + k * (v - dot[e](k, s)) next s = t y = dot[e](k, t) } out y }",
    "two sums": "x: [n, d]) -> [n, f] { k = exp(lin K[d -> e](x)) v = lin V[d -> f](x) q = exp(lin Q[d -> e](x)) scan n (s: [e, f] = 0, z: [e] = 0) { t = s + k * v r = z + k next s = t next z = r y = dot[e](q, t) / dot[e](q, r) } out y }",
    "sums before": "x: [n, d]) -> [n, f] { k = exp(lin K[d -> e](x)) v = lin V[d -> f](x) q = exp(lin Q[d -> e](x)) scan n (s: [e, f] = 0, z: [e] = 0) { t = s + k * v r = z + k next s = t next z = r y = dot[e](q, s) / (dot[e](q, z) + 1) } out y }",
    "powers": "x: [n, d]) -> [n, f] { weight g: [e] k = lin K[d -> e](x) v = lin V[d -> f](x) scan n (s: [e, f] = 0) { t = g * s + k * v next s = t y = dot[e](k, t) + dot[e](k, s) } out y }",
    "negative powers": "x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { t = x - 2 * s next s = t y = t * s } out y }",
    "crossed": "x: [n, d]) -> [n, d] { scan n (s: [d] = 0, r: [d] = 0) { t = r + x next s = t next r = s y = t } out y }",
    "sum of sums": "x: [n, d]) -> [n, d] { scan n (s: [d] = 0, r: [d] = 0) { t = s + x next s = t next r = r + t y = r } out y }",
    "constants": "x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { t = s + 1 next s = t y = t * x } out y }",
    "two states": "x: [n, d]) -> [n, d] { scan n (s: [d] = 0, r: [d] = 1) { next s = tanh(s + x) / 2 next r = r / 3 + s * x y = r } out y }",
    "nonlinear": "x: [n, d]) -> [n, d] { scan n (s: [e] = 0) { t = tanh(lin U[e -> e2](s)[e2 -> e] + lin W[d -> e](x)) next s = t y = lin O[e -> d](t) } out y }",
    "shared": "x: [n, d], z: [m, d]) -> [n, d] { c = mean[m](z) scan n (s: [d] = 0) { t = (s + x * c) / 2 next s = t y = t } out y }",
    "begun": "x: [n, d], z: [m, d]) -> [n, d] { c = sum[m](z) scan n (s: [d] = c) { t = s / 2 + x next s = t y = t } out y }",
    "last": "x: [n, d]) -> [d] { scan n (s: [d] = 0) { t = s / 2 + x next s = t } out s.last }",
    "lifted": "x: [n, m, d]) -> [n, m, d] { simd m { scan n (s: [d] = 0) { t = sigmoid(s) * x next s = t y = t } } out y }",
    "maximum": "x: [n, d]) -> [n, d] { scan n (s: [d] = -1) { t = max(s, x) next s = t y = t } out y }",
}


def diagram(body: str) -> Diagram:
    return Program.of(Source("loop.anat", f"axis n, m, d, e, e2 = e, f, h diagram loop({body}")).get("loop")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("radius", [0.3, 2.0])
def test_bounds_hold(name: str, radius: float) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sizes = {**SIZES, "n": 1 if seed == 2 else SIZES["n"]}
        assert holds(diagram(BODIES[name]), sizes, radius, rng), "loops have a bound"


def norms(text: str, n: int) -> tuple[float, float, float]:
    d = diagram(text)
    triple = compose(d, sizes_of(d, {**SIZES, "n": n}), {}, 1.0).triple
    return triple.one, triple.two, triple.inf


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_a_decay_is_a_stable_filter(n: int) -> None:
    """The states before a step sum what came earlier with weights 1, 1/2, ...: the norms of a triangle are known."""
    triangle = np.tril(0.5 ** np.maximum(np.subtract.outer(np.arange(n), np.arange(n)), 0))
    found = norms("x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { t = s / 2 + x next s = t y = t } out y }", n)
    for p, value in zip((1, 2, np.inf), found, strict=True):
        true = np.linalg.norm(triangle, p)
        assert true <= value * (1 + 1e-12)
        assert value <= 2.0 * (1 + 1e-9), "1 / (1 - 1/2), however long"


def test_a_running_sum_grows_with_its_length() -> None:
    for n in (3, 30):
        one, two, inf = norms("x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { t = s + x next s = t y = t } out y }", n)
        assert n <= min(one, inf)
        assert max(one, two, inf) <= (n + 2) * (1 + 1e-9)
        assert two >= np.linalg.norm(np.tril(np.ones((n, n))), 2)


def test_what_the_body_lacks_a_rule_for_stays_unknown() -> None:
    d = diagram("x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { t = x / s next s = t y = t } out y }")
    with pytest.raises(Stuck, match="scan"):
        compose(d, sizes_of(d, SIZES), {}, 1.0)


def test_a_loop_that_is_too_long() -> None:
    d = diagram(BODIES["total"])
    with pytest.raises(Stuck, match="5000 steps, more than 4096"):
        compose(d, sizes_of(d, {**SIZES, "n": 5000}), {}, 1.0)


def test_a_loop_that_accumulates_is_bounded_like_a_running_sum() -> None:
    parts = "x: [n, d]) -> [n, f] { k = exp(lin K[d -> e](x)) v = lin V[d -> f](x) q = exp(lin Q[d -> e](x)) "
    loop = "scan n (s: [e, f] = 0, z: [e] = 0) { t = s + k * v r = z + k next s = t next z = r y = dot[e](q, t) / dot[e](q, r) } out y }"
    plain = "out dot[e](q, cumsum[n](k * v)) / dot[e](q, cumsum[n](k)) }"
    sizes, found = {"n": 6, "d": 2, "e": 2, "f": 2}, []
    weights = {k: np.random.default_rng(i).normal(size=(2, 2)) for i, k in enumerate(("K", "V", "Q"))}
    weights |= {f"{k}.bias": np.zeros(2) for k in "KVQ"}
    for body in (loop, plain):
        d = diagram(parts + body)
        found.append(compose(d, sizes_of(d, sizes), weights, 1.0).triple.two)
    assert found[0] <= found[1] * (1 + 1e-6)
