"""Facts of the literature by normal form or by search, and what is refuted."""

from __future__ import annotations

from time import monotonic

import pytest
import torch

from anatomy.rewrites.equality import equal
from anatomy.rewrites.library import law
from anatomy.rewrites.normal import form
from anatomy.rewrites.search import derive, search
from tests.ir.samples import read

AXES = "axis n, m, d, e, f, r, h, g, l, u, c "


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


BY_NORMAL_FORM = {
    "quadratic and linear attention": (
        "diagram z(q: [n, r], k: [m, r], v: [m, e]) -> [n, e] { s = dot[r](q, k) w = s / sum[m](s) out dot[m](w, v) }",
        "diagram z(q: [n, r], k: [m, r], v: [m, e]) -> [n, e] { out dot[r](q, dot[m](k, v)) / dot[r](q, sum[m](k)) }",
    ),
    "one group of queries": (
        "diagram z(q: [g, h, n, e], k: [g, m, e], v: [g, m, e]) -> [h, n, e] where g = 1 {"
        " a = softmax[m](dot[e](q, k) / sqrt(size[e])) out gather[g](dot[m](a, v), 0) }",
        "diagram z(q: [g, h, n, e], k: [g, m, e], v: [g, m, e]) -> [h, n, e] where g = 1 {"
        " qq = gather[g](q, 0) kk = gather[g](k, 0) vv = gather[g](v, 0)"
        " a = softmax[m](dot[e](qq, kk) / sqrt(size[e])) out dot[m](a, vv) }",
    ),
    "general scores with an absorbed matrix": (
        "diagram z(x: [n, d], a: [d, e], y: [m, f], b: [f, e], v: [m, c]) -> [n, c] {"
        " out dot[m](softmax[m](dot[e](dot[d](x, a), dot[f](y, b))), v) }",
        "diagram z(x: [n, d], a: [d, e], y: [m, f], b: [f, e], v: [m, c]) -> [n, c] {"
        " w = dot[e](a, b) out dot[m](softmax[m](dot[d](x, dot[f](w, y))), v) }",
    ),
    "a scale on the queries or on the weights of the keys": (
        "diagram z(x: [n, d], a: [d, e], y: [m, d], b: [d, e]) -> [n, m] {"
        " q = dot[d](x, a) k = dot[d](y, b) out softmax[m](dot[e](q, k) / sqrt(size[e])) }",
        "diagram z(x: [n, d], a: [d, e], y: [m, d], b: [d, e]) -> [n, m] {"
        " q = dot[d](x, a) k = dot[d](y, b / sqrt(size[e])) out softmax[m](dot[e](q, k)) }",
    ),
    "causal linear attention by running sums": (
        "diagram z(q: [n, r], k: [n, r], v: [n, e]) -> [n, e] where m = n {"
        " out dot[m](where(m <= n, dot[r](q, k[n -> m]), 0), v[n -> m]) }",
        "diagram z(q: [n, r], k: [n, r], v: [n, e]) -> [n, e] { out dot[r](q, cumsum[n](k * v)) }",
    ),
}

BY_SEARCH = {
    "softmax_one is a key and value of 0": (
        "diagram z(s: [n, m], v: [m, e]) -> [n, e] { out dot[m](exp(s), v) / (1 + sum[m](exp(s))) }",
        "diagram z(s: [n, m], v: [m, e]) -> [n, e] where l = m + u, u = 1 {"
        " t = cat[m, u -> l](s, expand[u](0)) w = cat[m, u -> l](v, expand[u](0)) out dot[l](softmax[l](t), w) }",
        {"zero_key"},
    ),
    "heads put end to end and projected, or summed": (
        "diagram z(y: [h, n, f], a: [d, e]) -> [n, e] where d = h * f { out dot[d](merge[h, f -> d](y), a) }",
        "diagram z(y: [h, n, f], a: [d, e]) -> [n, e] where d = h * f { w = split[d -> h, f](a) out sum[h](dot[f](y, w)) }",
        {"project_heads"},
    ),
    "additive and concat scores": (
        "diagram z(x: [n, d], y: [m, e], a: [d, r], b: [e, r], v: [r]) -> [n, m] {"
        " out dot[r](v, tanh(dot[d](x, a) + dot[e](y, b))) }",
        "diagram z(x: [n, d], y: [m, e], a: [d, r], b: [e, r], v: [r]) -> [n, m] where l = d + e {"
        " out dot[r](v, tanh(dot[l](cat[d, e -> l](x, y), cat[d, e -> l](a, b)))) }",
        {"project_cat"},
    ),
    "two laws": (
        "diagram z(x: [n, d]) -> [n] { out max[d](exp(tanh(-x))) }",
        "diagram z(x: [n, d]) -> [n] { out exp(max[d](-tanh(x))) }",
        {"tanh_neg", "max_of_exp"},
    ),
}

REFUTED = {
    "softmax over the other axis": (
        "diagram z(s: [n, m]) -> [n, m] { out softmax[m](s) }",
        "diagram z(s: [n, m]) -> [n, m] { out softmax[n](s) }",
    ),
    "another bracket across softmax": (
        "diagram z(q: [n, r], k: [m, r], v: [m, e]) -> [n, e] { out dot[m](softmax[m](dot[r](q, k)), v) }",
        "diagram z(q: [n, r], k: [m, r], v: [m, e]) -> [n, e] { out dot[r](softmax[r](q), dot[m](k, v)) }",
    ),
    "a bias of single scores": (
        "diagram z(s: [n, m], t: [m]) -> [n, m] { out softmax[m](s + t) }",
        "diagram z(s: [n, m], _t: [m]) -> [n, m] { out softmax[m](s) }",
    ),
}


def sides(texts: tuple[str, ...]) -> tuple[object, object]:
    return read(AXES + texts[0], "z"), read(AXES + texts[1], "z")


@pytest.mark.parametrize("name", BY_NORMAL_FORM)
def test_equal_by_normal_form(name: str) -> None:
    left, right = sides(BY_NORMAL_FORM[name])
    found = equal(left, right, seconds=0)
    assert (found.same_term, found.normal_form, found.evaluation, found.counterexample) == (False, True, True, None)
    assert found.proved
    assert all(law(rule) for _, rule in found.derivation)


@pytest.mark.parametrize("name", BY_SEARCH)
def test_equal_by_search(name: str) -> None:
    *texts, laws = BY_SEARCH[name]
    left, right = sides(texts)
    assert form(left) != form(right)
    start = monotonic()
    found = search(left, right, seconds=20)
    assert monotonic() - start < 21
    assert found.derivation
    assert laws & {rule.removesuffix("^") for _, rule in found.derivation}
    assert equal(left, right, seconds=0).evaluation is True


@pytest.mark.parametrize("name", REFUTED)
def test_refuted(name: str) -> None:
    left, right = sides(REFUTED[name])
    found = equal(left, right)
    assert (found.normal_form, found.evaluation, found.derivation, found.proved) == (False, False, None, False)
    assert found.counterexample.difference > 1e-3


def test_the_sides_of_laws_that_the_normal_form_does_not_know_are_found() -> None:
    for name in ("max_add", "tanh_neg", "cat_sum", "merge_split", "shift_shift"):
        rule = law(name)
        assert form(rule.left) != form(rule.right), name
        assert derive(rule.left, rule.right, seconds=20), name


def test_a_law_is_needed() -> None:
    left, right = sides(BY_SEARCH["softmax_one is a key and value of 0"][:2])
    rest = [law(n) for n in ("tanh_neg", "max_add", "relu_max")]
    found = search(left, right, rest)
    assert (found.derivation, found.complete) == (None, True)


def test_a_budget_bounds_it_and_says_so() -> None:
    left, right = sides(REFUTED["a bias of single scores"])
    found = search(left, right, steps=5, seconds=20)
    assert (found.derivation, found.complete) == (None, False)
    assert found.tried <= 5
    start = monotonic()
    assert not search(left, right, seconds=0.3).complete
    assert monotonic() - start < 5
