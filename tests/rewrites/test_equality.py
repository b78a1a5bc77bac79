"""The four equalities, and how they imply one another."""

from __future__ import annotations

import random

import pytest
import torch

from anatomy.rewrites.equality import Equality, equal
from tests.ir.samples import copy, random_diagram, read, samples

SAMPLES = samples()
AXES = "axis n, m = n, d, e, c, h, r "


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def compare(left: str, right: str, **more: object) -> Equality:
    return equal(read(AXES + left), read(AXES + right), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SAMPLES)
def test_copies(name: str) -> None:
    found = equal(SAMPLES[name], copy(SAMPLES[name], random.Random(2)))
    assert found == Equality(True, True, True, None if name == "generic" else True)


def test_isomorphic_implies_the_rest() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(2, 12))
        found = equal(diagram, copy(diagram, rng), seed)
        assert (found.isomorphic, found.same_term) == (True, True), seed
        assert found.evaluation is not False, seed


def test_merging_implies_evaluation() -> None:
    found = compare(
        "diagram f(x: [n, d]) -> [n, e] { y = lin W[d -> e](x) out y * tanh(y) }",
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) * tanh(lin W(x)) }",
    )
    assert found == Equality(False, True, True, True)


CONJECTURES = {
    "scale slides": (
        "diagram f(q: [n, e], k: [m, e]) -> [n, m] { simd n, m { out dot[e](q, k) / 3 } }",
        "diagram f(q: [n, e], k: [m, e]) -> [n, m] { simd n, m { out dot[e](q / 3, k) } }",
    ),
    "a key bias drops": (
        "diagram f(s: [n, m], t: [n]) -> [n, m] { out softmax[m](s + t) }",
        "diagram f(s: [n, m], _t: [n]) -> [n, m] { out softmax[m](s) }",
    ),
    "weights by key": (
        "diagram f(x: [n, d]) -> [n, e] { weight w: [d -> e] ~ xavier out dot[d](x, w) * 2 }",
        "diagram f(x: [n, d]) -> [n, e] { weight w: [d -> e] ~ xavier out dot[d](x * 2, w) }",
    ),
    "split and merged": (
        "diagram f(x: [n, d]) -> [n, d] where d = h * e { out merge[h, e -> d](exp(split[d -> h, e](x))) }",
        "diagram f(x: [n, d]) -> [n, d] where d = h * e { out exp(x) }",
    ),
    "masks": (
        "diagram f(p: mask[n, m], x: [n, m]) -> [n, m] { out where(not p, x, 0) }",
        "diagram f(p: mask[n, m], x: [n, m]) -> [n, m] { out where(p, 0, x) }",
    ),
    "indices": (
        "diagram f(i: index(d)[n], x: [n]) -> [n] { out x * (i + 1) }",
        "diagram f(i: index(d)[n], x: [n]) -> [n] { out x * i + x }",
    ),
}


@pytest.mark.parametrize("what", CONJECTURES)
def test_conjectures(what: str) -> None:
    found = compare(*CONJECTURES[what])
    assert found == Equality(False, False, True, True)
    assert (found.proved, found.derivation is not None, found.counterexample) == (True, True, None)


DISTINGUISHED = {
    "another function": (
        "diagram f(x: [n, d]) -> [n, d] { out softmax[d](x) }",
        "diagram f(x: [n, d]) -> [n, d] { out softmax[n](x) }",
    ),
    "equal at size 1 only": (
        "diagram f(x: [n, d]) -> [n] { out sum[d](x) }",
        "diagram f(x: [n, d]) -> [n] { out sum[d](x * x) }",
    ),
    "equal at equal sizes only": (
        "diagram f(x: [n, d]) -> [n] { out sum[d](x) / size[d] }",
        "diagram f(x: [n, d]) -> [n] { out sum[d](x) / size[n] }",
    ),
    "another type": (
        "diagram f(x: [n, d]) -> [n] { out sum[d](x) }",
        "diagram f(x: [n, d]) -> [d] { out sum[n](x) }",
    ),
    "another number of inputs": (
        "diagram f(x: [n]) -> [n] { out exp(x) }",
        "diagram f(x: [n], _y: [n]) -> [n] { out exp(x) }",
    ),
    "order of operands": (
        "diagram f(x: [n], y: [n]) -> [n] { out x - y }",
        "diagram f(x: [n], y: [n]) -> [n] { out y - x }",
    ),
}


@pytest.mark.parametrize("what", DISTINGUISHED)
def test_distinguished(what: str) -> None:
    found = compare(*DISTINGUISHED[what])
    assert found == Equality(False, False, False, False)
    assert not found.proved
    if found.counterexample is not None:
        again = compare(*DISTINGUISHED[what]).counterexample
        assert again == found.counterexample
        assert again.difference > 1e-8


UNDECIDED = {
    "other keys": (
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) * 2 }",
        "diagram f(x: [n, d]) -> [n, e] { out lin V[d -> e](x * 2) }",
    ),
    "one key, another type": (
        "diagram f(x: [n, d]) -> [n, d] { weight w: [d] ~ ones out x * w * 2 }",
        "diagram f(x: [n, d]) -> [n, d] { weight w: [n] ~ ones out x * 2 * w }",
    ),
    "a hole": (
        "diagram f(x: [n]) -> [n] { hole g(x: [n]) -> [n] out g(x) * 2 }",
        "diagram f(x: [n]) -> [n] { hole g(x: [n]) -> [n] out 2 * exp(g(x)) }",
    ),
    "nothing but nan": (
        "diagram f(x: [n]) -> [n] { out sqrt(-exp(x)) }",
        "diagram f(x: [n]) -> [n] { out log(-exp(x)) }",
    ),
}


@pytest.mark.parametrize("what", UNDECIDED)
def test_undecided(what: str) -> None:
    assert compare(*UNDECIDED[what]) == Equality(False, False, False, None)


def test_sizes_tried() -> None:
    """At least three assignments, all 1 among them, another pairwise coprime, all within the equations."""
    from math import gcd

    from anatomy.compiler import build

    tried = []

    def module(diagram: object, sizes: dict[str, int]) -> torch.nn.Module:
        tried.append(dict(sizes))
        return build(diagram, sizes, dtype=torch.float64)  # type: ignore[arg-type]

    assert equal(SAMPLES["mha"], SAMPLES["mha"], module=module).evaluation
    assert len({tuple(sorted(t.items())) for t in tried}) >= 3
    assert any(set(t.values()) == {1} for t in tried)
    free = ("n", "h", "e")
    assert any(all(gcd(t[a], t[b]) == 1 < t[a] for a in free for b in free if a < b) for t in tried)
    assert all(t["d"] == t["h"] * t["e"] for t in tried)


def test_the_seed_decides() -> None:
    assert equal(SAMPLES["rope"], SAMPLES["rope"], seed=1) == equal(SAMPLES["rope"], SAMPLES["rope"], seed=1)


def test_inner_sizes_are_one_size() -> None:
    """A size that no input has is given by name, so both sides get the same one."""
    text = "diagram f(x: [n, d]) -> [n] { out sum[d](x) * size[h] } "
    assert compare(text, text) == Equality(True, True, True, True)
    other = "diagram f(x: [n, d]) -> [n] { out size[h] * sum[d](x * 1) }"
    assert compare(text, other) == Equality(False, False, True, True)
    assert compare(text, other.replace("* 1", "* size[h]")).evaluation is False
    assert compare(text, text.replace("[h]", "[r]")) == Equality(True, True, True, True)


@pytest.mark.parametrize(
    ("inputs", "mask"), [(", p: mask[n, m]", "p"), ("", "n != 40"), ("", "m >= 60 or n < 60")], ids=["data", "a position", "late"]
)
def test_a_quotient_is_no_softmax_where_rows_may_be_empty(inputs: str, mask: str) -> None:
    found = compare(
        f"diagram f(s: [n, m]{inputs}, v: [m, e]) -> [n, e] {{ w = softmax[m](s) * where({mask}, 1, 0) out dot[m](w, v) / sum[m](w) }}",
        f"diagram f(s: [n, m]{inputs}, v: [m, e]) -> [n, e] {{ out dot[m](softmax[m](mask({mask}, s)), v) }}",
    )
    assert found.evaluation is False
    assert not found.proved


@pytest.mark.parametrize("body", ["(x + 1 / t) - 1 / t", "softmax[n](x + log(abs(t))) * 0 + x", "x + (1 / t - 1 / t)"])
def test_what_has_no_value_at_zero_is_not_cancelled(body: str) -> None:
    found = compare(f"diagram f(x: [n], t: []) -> [n] {{ out {body} }}", "diagram f(x: [n], _t: []) -> [n] { out x }")
    assert found.evaluation is False
    assert not found.proved
