"""The normal form: it keeps the values, ends by its measure, is its own normal form, and decides laws."""

from __future__ import annotations

import random
from itertools import pairwise
from time import monotonic

import pytest
import torch

from anatomy.language.program import Rule
from anatomy.ops import Mask
from anatomy.rewrites.equality import equal
from anatomy.rewrites.instance import formulas, free
from anatomy.rewrites.library import law, library
from anatomy.rewrites.normal import form, normal, normal_form
from tests.ir.samples import copy, random_diagram, read

AXES = "axis n, m, d, e, r, h, g, l, u "

DECIDED = ["add_sub", "sub_sub", "add_mul", "sub_div", "div_div", "mul_div", "mul_self", "pow_two", "pow_minus_one", "exp_add", "exp_sub", "exp_neg", "square_exp", "log_exp", "sigmoid_definition", "softplus_definition", "silu_definition", "sum_sum", "sum_add", "sum_mul", "sum_add_constant", "sum_expand", "mean_definition", "mean_mean", "mean_add_constant", "logsumexp_definition", "exp_logsumexp", "logsumexp_add", "logsumexp_logsumexp", "logsumexp_expand", "sum_of_product", "dot_of_product", "sum_of_dot", "sum_into_dot", "dot_of_dot", "dot_of_zipped_dot", "dot_mul", "dot_div", "dot_add", "dot_expand", "distance", "reassociate", "score_of_projections", "absorb_into_query", "absorb_scale", "project_after_mixing", "project_after_mean", "project_after_cumsum", "project_after_shift", "choose_sum", "choose_dot", "softmax_definition", "softmax_exp_minus", "log_softmax", "softmax_add", "softmax_sub", "key_bias", "softmax_stages", "divide_after_mixing", "softmax_as_kernel", "distance_scores", "softmax_total", "softmax_constant", "value_bias", "uniform", "uniform_attention", "softmax_mask_add", "mask_bias", "where_not", "where_where", "where_and", "where_or", "where_add", "dot_mask", "sum_of_heads", "one_group", "one_group_mixing", "talking_heads", "slope", "relative_key", "global_query", "decay", "square_features", "feature_total", "linear_attention", "one_sum", "one_mean", "one_max", "one_logsumexp", "pow_half", "sigmoid_ratio", "softplus_split", "log_add_exp", "dot_identity", "silent_heads", "merge_split", "split_merge", "split_sum", "split_dot", "merge_sum", "merge_dot", "cat_sum", "cat_softmax", "project_cat", "zero_key", "project_heads", "choose_relu", "choose_softmax", "choose_choose", "choose_all", "pool_reverse", "softmax_reverse", "split_softmax", "cumsum_difference", "causal_dot", "causal_linear", "one_expand"]


def closed() -> list[Rule]:
    """Laws that leave no number and no function open."""
    return [r for r in library() if not any(free(n.op) or formulas(n.op) for side in (r.left, r.right) for n in side.nodes)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", DECIDED)
def test_the_normal_form_decides_the_law(name: str) -> None:
    rule = law(name)
    assert form(rule.left) == form(rule.right)


def test_it_keeps_values_and_is_its_own_normal_form() -> None:
    for rule in closed()[::4]:
        for side in (rule.left, rule.right):
            found, _ = normal_form(side)
            # A mask may leave nothing of a row: a denominator 0, where no value is promised.
            assert any(isinstance(n.op, Mask) for n in side.nodes) or equal(side, found).evaluation is not False, rule.name
            assert form(found) == form(side), rule.name


def test_random_diagrams_keep_their_values_and_copies_have_one_form() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(2, 12))
        found = normal(diagram)
        assert found.complete, seed
        assert equal(diagram, found.diagram, seed).evaluation is not False, seed
        assert form(copy(diagram, rng)) == form(diagram), seed


def test_every_step_lowers_the_measure() -> None:
    for rule in closed():
        for side in (rule.left, rule.right):
            _, steps = normal_form(side)
            left = [s.left for s in steps]
            assert all(a == b + 1 for a, b in pairwise(left)), rule.name
            assert not left or left[-1] == 0


def test_laws_in_steps_are_those_of_the_library() -> None:
    known = {rule.name for rule in library()}
    used = {name for rule in closed() for side in (rule.left, rule.right) for s in normal_form(side)[1] for name in s.laws}
    assert used <= known
    assert {"softmax_definition", "dot_of_dot", "exp_mask", "add_neg"} <= used


def test_a_budget_bounds_it_and_says_so() -> None:
    text = "x" + " * (x + y)" * 30
    diagram = read(AXES + f"diagram f(x: [n], y: [n]) -> [n] {{ out {text} }}")
    assert normal(diagram).complete
    cut = normal(diagram, boxes=10)
    assert (cut.complete, len(cut.steps)) == (False, 10)
    assert equal(diagram, cut.diagram).evaluation is not False
    assert not normal(diagram, seconds=0.0).complete


def test_a_long_chain_is_quick() -> None:
    text = "x" + "".join(f" + {k} * x" for k in range(100))
    diagram = read(AXES + f"diagram f(x: [n]) -> [n] {{ out {text} }}")
    start = monotonic()
    found, _ = normal_form(diagram)
    assert monotonic() - start < 5
    assert len(found.nodes) == 2, [n.op.word for n in found]


PAIRS = {
    "brackets of a product": ("diagram f(x: [n], y: [n], z: [n]) -> [n] { out x * (y * z) }", "diagram f(x: [n], y: [n], z: [n]) -> [n] { out (z * x) * y }"),
    "exact numbers": ("diagram f(x: [n]) -> [n] { out x * 0.1 + x * 0.2 }", "diagram f(x: [n]) -> [n] { out 3 * x / 10 }"),
    "three maps in a row": (
        "diagram f(a: [n, d], b: [d, e], c: [e, r]) -> [n, r] { out dot[e](dot[d](a, b), c) }",
        "diagram f(a: [n, d], b: [d, e], c: [e, r]) -> [n, r] { out dot[d](a, dot[e](b, c)) }",
    ),
    "the transpose is another axis": (
        "diagram f(x: [n, d], w: [d, e]) -> [n] { y = dot[d](x, w) out sum[e](y * y) }",
        "diagram f(x: [n, d], w: [d, e]) -> [n] { out dot[d](dot[e](dot[d](x, w), w), x) }",
    ),
    "online softmax": (
        "diagram f(s: [n, m], v: [m, e]) -> [n, e] { a = exp(s - 3) out dot[m](a, v) / sum[m](a) }",
        "diagram f(s: [n, m], v: [m, e]) -> [n, e] { out dot[m](softmax[m](s), v) }",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_with_one_form(name: str) -> None:
    left, right = (read(AXES + text) for text in PAIRS[name])
    assert form(left) == form(right)


APART = {
    "softmax over the other axis": ("diagram f(s: [n, m]) -> [n, m] { out softmax[m](s) }", "diagram f(s: [n, m]) -> [n, m] { out softmax[n](s) }"),
    "a row that a mask may empty": (
        "diagram f(p: mask[n], s: [n, m], t: [n]) -> [n, m] { out softmax[m](s + mask(p, t)) }",
        "diagram f(p: mask[n], s: [n, m], t: [n]) -> [n, m] { out softmax[m](s) }",
    ),
    "x / x": ("diagram f(x: [n]) -> [n] { out x / x }", "diagram f(x: [n]) -> [n] { out 1 + 0 * x }"),
    "another axis of a square": (
        "diagram f(x: [n, d], y: [n, d]) -> [n] { out sum[d](x) * sum[d](y) }",
        "diagram f(x: [n, d], y: [n, d]) -> [n] { out sum[d](x * y) }",
    ),
    "a guarded quotient": (
        "diagram f(p: mask[n], x: [n], y: [n]) -> [n] { out where(p, x / y, 0) }",
        "diagram f(p: mask[n], x: [n], y: [n]) -> [n] { out where(p, 1, 0) * x / y }",
    ),
}


@pytest.mark.parametrize("name", APART)
def test_pairs_with_two_forms(name: str) -> None:
    left, right = (read(AXES + text) for text in APART[name])
    assert form(left) != form(right)
