"""What a search finds and what it does not, within its budget."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import pytest
import torch

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.rewrites.equality import equal
from anatomy.rewrites.library import law, library
from anatomy.rewrites.nearness import apart, differing, profile
from anatomy.rewrites.normal import form
from anatomy.rewrites.search import built_in, derive, search
from tests.ir.samples import read

AXES = "axis n, m = n, d, e, f, r, h, g, l, u, c "
FACTS = Path(__file__).resolve().parents[2] / "examples" / "facts" / "proved.anat"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


BY_SEARCH = {
    "a window by a mask or by places": ("window_by_mask", "window_by_places", {"band_attention_scaled"}),
    "rotations": ("rotated_both", "rotated_by_the_distance", {"rope_relative"}),
    "two keys": ("two_keys", "logistic_gate", {"sigmoid_complement"}),
    "two laws": (
        "(x: [n, d]) -> [n] { out max[d](exp(tanh(-x))) }",
        "(x: [n, d]) -> [n] { out exp(max[d](-tanh(x))) }",
        {"tanh_neg", "max_of_exp"},
    ),
    "three laws": (
        "(x: [n, d], t: [n]) -> [n] { out max[d](relu(relu(x)) + t) + abs(abs(-t)) }",
        "(x: [n, d], t: [n]) -> [n] { out max[d](relu(x)) + t + abs(t) }",
        {"relu_relu", "max_add_constant", "abs_abs"},
    ),
    "a law below a law": (
        "(x: [n, d], w: [d, e]) -> [n, e] { out layernorm[e](dot[d](layernorm[d](-x), w)) }",
        "(x: [n, d], w: [d, e]) -> [n, e] { out -layernorm[e](dot[d](layernorm[d](x), w)) }",
        {"layernorm_neg"},
    ),
}

NOT_EQUAL = {
    "a bias of single scores": (
        "(s: [n, m], t: [m]) -> [n, m] { out softmax[m](s + t) }",
        "(s: [n, m], _t: [m]) -> [n, m] { out softmax[m](s) }",
    ),
    "another bracket across softmax": (
        "(q: [n, r], k: [m, r], v: [m, e]) -> [n, e] { out dot[m](softmax[m](dot[r](q, k)), v) }",
        "(q: [n, r], k: [m, r], v: [m, e]) -> [n, e] { out dot[r](softmax[r](q), dot[m](k, v)) }",
    ),
}


def side(text: str) -> Diagram:
    if text.isidentifier():
        return Program.of_file(FACTS).get(text)
    return read(AXES + f"diagram z{text}", "z")


@pytest.mark.parametrize("name", BY_SEARCH)
def test_equal_by_search(name: str) -> None:
    *texts, laws = BY_SEARCH[name]
    left, right = map(side, texts)
    assert form(left) != form(right)
    found = search(left, right, seconds=60)
    assert found.derivation
    assert laws <= {rule.removesuffix("^") for _, rule in found.derivation}
    assert (found.words, found.complete) == ("", True)
    assert equal(left, right, seconds=0).evaluation is True


@pytest.mark.parametrize("name", BY_SEARCH)
def test_few_diagrams_are_tried(name: str) -> None:
    """The law that is needed is among the first: what one side lacks and the other has comes first."""
    *texts, _ = BY_SEARCH[name]
    assert search(*map(side, texts), seconds=60).tried <= 25


@pytest.mark.parametrize("name", NOT_EQUAL)
def test_what_is_not_equal_has_no_derivation(name: str) -> None:
    left, right = map(side, NOT_EQUAL[name])
    found = search(left, right, steps=60, seconds=30)
    assert found.derivation is None
    assert not found.complete
    assert found.distance > 0
    assert any(found.boxes)
    assert "Within the budget" in found.words
    assert str(found.distance) in found.words
    assert equal(left, right, seconds=0).evaluation is False


def test_the_sides_of_laws_that_the_normal_form_does_not_know_are_found() -> None:
    for name in ("max_add", "tanh_neg", "silu_split", "relu_exp_scale", "shift_shift", "sinkhorn_add"):
        rule = law(name)
        assert not built_in(rule)
        assert derive(rule.left, rule.right, seconds=20) in ((("left", name),), (("right", name + "^"),)), name


def test_what_is_built_in_has_one_normal_form() -> None:
    known = [r.name for r in library() if built_in(r)]
    assert len(known) > 150
    assert {"softmax_add", "linear_attention", "project_cat", "project_heads", "choose_dot", "split_sum"} <= set(known)


def test_a_law_is_needed() -> None:
    left, right = side("window_by_mask"), side("window_by_places")
    rest = [law(n) for n in ("tanh_neg", "max_add", "relu_max")]
    found = search(left, right, rest)
    assert (found.derivation, found.complete, found.waiting) == (None, True, 0)
    assert found.words.startswith("All 2 diagrams that the laws lead to")


@pytest.mark.parametrize("count", [1, 5, 12])
def test_laws_in_places_of_their_own_are_not_tried_in_every_order(count: int) -> None:
    inputs = ", ".join(f"x{k}: [n]" for k in range(count))
    left = " + ".join(f"relu(relu(x{k}))" if k % 2 else f"abs(-x{k})" for k in range(count))
    right = " + ".join(f"relu(x{k})" if k % 2 else f"abs(x{k})" for k in range(count))
    found = search(side(f"({inputs}) -> [n] {{ out {left} }}"), side(f"({inputs}) -> [n] {{ out {right} }}"), seconds=60)
    assert found.derivation
    assert len(found.derivation) == count
    assert found.tried <= 2 * count + 20


def test_a_law_in_a_tower_is_used_at_every_floor() -> None:
    left, right = "-x", "x"
    for _ in range(10):
        left, right = f"tanh({left})", f"tanh({right})"
    found = search(side(f"(x: [n]) -> [n] {{ out {left} }}"), side(f"(x: [n]) -> [n] {{ out -{right} }}"), seconds=60)
    assert found.derivation
    assert {name.removesuffix("^") for _, name in found.derivation} == {"tanh_neg"}
    assert len(found.derivation) == 10


def test_a_set_of_laws_that_never_ends_is_bounded_and_says_so() -> None:
    text = AXES + "rule grow(x: []): tanh(x) == tanh(tanh(x)) diagram z(x: [n]) -> [n] { out tanh(x) } diagram y(x: [n]) -> [n] { out abs(x) }"
    program = Program.of(Source("grow.anat", text))
    grow = program.rule("grow")
    assert grow is not None
    found = search(program.get("z"), program.get("y"), [grow], steps=12, seconds=60)
    assert (found.derivation, found.complete, found.tried) == (None, False, 12)
    assert found.waiting > 0
    assert "still waited" in found.words


def test_a_budget_of_time_bounds_it() -> None:
    left, right = map(side, NOT_EQUAL["a bias of single scores"])
    start = monotonic()
    assert not search(left, right, seconds=0.3).complete
    assert monotonic() - start < 10


def test_the_search_is_deterministic() -> None:
    left, right = map(side, NOT_EQUAL["a bias of single scores"])
    assert search(left, right, steps=20, seconds=60) == search(left, right, steps=20, seconds=60)


def test_distance() -> None:
    left = side("(x: [n, m]) -> [n] { out sum[m](exp(x)) }")
    other = side("(y: [n, m]) -> [m] { out sum[n](exp(y)) }")
    third = side("(x: [n, m]) -> [n] { out sum[m](tanh(x)) }")
    assert apart(profile(left), profile(other)) == 0
    assert apart(profile(left), profile(third)) == 4
    assert differing(left, third) == (("exp", "sum[m]"), ("tanh", "sum[m]"))
