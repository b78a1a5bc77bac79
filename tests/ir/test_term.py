"""Merging equal boxes: copying and recomputing are one term."""

from __future__ import annotations

import random

import pytest

from anatomy.ir.canonical import canonical
from anatomy.ir.term import merged, term
from tests.ir.samples import copy, random_diagram, read, samples

AXES = "axis n, m = n, d, e, c, h "

SAME = {
    "computed twice": (
        "diagram f(x: [n]) -> [n] { a = exp(x) out a * a }",
        "diagram f(x: [n]) -> [n] { out exp(x) * exp(x) }",
    ),
    "under other names": (
        "diagram f(x: [n], y: [n]) -> [n] { a = x + y out tanh(a) * a }",
        "diagram f(x: [n], y: [n]) -> [n] where m = n { out tanh(x + y) * (y[n -> m] + x[n -> m])[m -> n] }",
    ),
    "numbers": (
        "diagram f(x: [n]) -> [n] { c2 = 2 out x * c2 + c2 }",
        "diagram f(x: [n]) -> [n] { out x * 2 + 2.0 }",
    ),
    "positions": (
        "diagram f(x: [n, d]) -> [n, d] { i = iota[n] out x * i - i }",
        "diagram f(x: [n, d]) -> [n, d] { out x * iota[n] - iota[n] }",
    ),
    "two results": (
        "diagram f(x: [d]) -> [e] where d = 2 * e { a, b = halves[d -> e](x) out a - b }",
        "diagram f(x: [d]) -> [e] where d = 2 * e { a, _p = halves[d -> e](x) _q, b = halves[d -> e](x) out a - b }",
    ),
    "initialisers": (
        "diagram f(x: [n, d]) -> [n, e] { weight w: [d -> e] ~ xavier out dot[d](x, w) }",
        "diagram f(x: [n, d]) -> [n, e] { frozen weight w: [d -> e] ~ kaiming out dot[d](x, w) }",
    ),
    "a symmetric wire": (
        "diagram f(x: [n]) -> [n, m] { s = x * x[n -> m] out exp(s) + exp(s[n -> m, m -> n]) }",
        "diagram f(x: [n]) -> [n, m] { s = exp(x * x[n -> m]) out s + s }",
    ),
}
DIFFERENT = {
    "untied weights": (
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) * lin V[d -> e](x) }",
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) * lin W(x) }",
    ),
    "a transposed wire": (
        "diagram f(x: [n], y: [n]) -> [n, m] { s = x * y[n -> m] out s + s[n -> m, m -> n] }",
        "diagram f(x: [n], y: [n]) -> [n, m] { s = x * y[n -> m] out s + s }",
    ),
    "sizes and numbers": (
        "diagram f(x: [n]) -> [n] where n = 2 { out x * size[n] + 2 }",
        "diagram f(x: [n]) -> [n] where n = 2 { out x * 2 + 2 }",
    ),
    "positions of other axes": (
        "diagram f(x: [n, d]) -> [n, d] { out x * iota[n] - iota[d] }",
        "diagram f(x: [n, d]) -> [n, d] { out x * iota[n] - iota[n] }",
    ),
    "uses of a hole": (
        "diagram f(x: [n]) -> [n] { hole g(x: [n]) -> [n] out g(x) * g(x) }",
        "diagram f(x: [n]) -> [n] { hole g(x: [n]) -> [n] y = g(x) out y * y }",
    ),
}


@pytest.mark.parametrize("what", SAME)
def test_one_term(what: str) -> None:
    left, right = (read(AXES + text) for text in SAME[what])
    assert canonical(left) != canonical(right)
    assert term(left) == term(right)


@pytest.mark.parametrize("what", DIFFERENT)
def test_two_terms(what: str) -> None:
    left, right = (read(AXES + text) for text in DIFFERENT[what])
    assert term(left) != term(right)


def test_copies_have_one_term() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(2, 40))
        assert term(copy(diagram, rng)) == term(diagram), seed


def test_merging_again_changes_nothing() -> None:
    for diagram in samples().values():
        once = merged(diagram)
        assert canonical(merged(once)) == canonical(once)
    assert len(merged(samples()["gqa"]).nodes) < len(samples()["gqa"].nodes)
