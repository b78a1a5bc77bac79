"""Lanes chosen early and put together late: values stay, and what differs in this only is one diagram."""

from __future__ import annotations

import random

import pytest
import torch

from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.ops import Cat, Contract, Gather, Halves, Merge, Split
from anatomy.rewrites.equality import equal
from anatomy.rewrites.lanes import moved
from anatomy.rewrites.library import law, library
from anatomy.rewrites.normal import form
from anatomy.rewrites.places import inside, never_negative
from tests.ir.samples import random_diagram, read, samples

AXES = "use std.index (reverse, slice) axis n, m = n, d, e, f, r, h, g, l, u, c, b, w "


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def pair(left: str, right: str) -> tuple[Diagram, Diagram]:
    return read(AXES + f"diagram z{left}", "z"), read(AXES + f"diagram z{right}", "z")


ONE = {
    "a function of parts end to end": (
        "(x: [d], y: [e]) -> [l] where l = d + e { out tanh(cat[d, e -> l](x, y)) }",
        "(x: [d], y: [e]) -> [l] where l = d + e { out cat[d, e -> l](tanh(x), tanh(y)) }",
    ),
    "a sum of three parts": (
        "(x: [d], y: [e], z: [f]) -> [] where l = d + e + f { out sum[l](tanh(cat[d, e, f -> l](x, y, z))) }",
        "(x: [d], y: [e], z: [f]) -> [] where l = d + e + f { out sum[f](tanh(z)) + sum[d](tanh(x)) + sum[e](tanh(y)) }",
    ),
    "parts of parts": (
        "(x: [d], y: [e], z: [f]) -> [] where l = d + e, w = l + f { out max[w](cat[l, f -> w](cat[d, e -> l](x, y), z)) }",
        "(x: [d], y: [e], z: [f]) -> [] where l = d + e, w = l + f { out max(max(max[d](x), max[e](y)), max[f](z)) }",
    ),
    "softmax over a seam": (
        "(x: [n, d], y: [e]) -> [n, l] where l = d + e { out softmax[l](cat[d, e -> l](x, y)) }",
        "(x: [n, d], y: [e]) -> [n, l] where l = d + e {"
        " z = sum[d](exp(x)) + sum[e](exp(y)) out cat[d, e -> l](exp(x) / z, exp(y) / z) }",
    ),
    "a part of parts end to end": (
        "(x: [d], y: [e]) -> [e] where l = d + e { out slice[n=l, r=e](cat[d, e -> l](x, y), size[d]) }",
        "(_x: [d], y: [e]) -> [e] where l = d + e { out y }",
    ),
    "halves put together": (
        "(x: [n, e]) -> [n, e] where e = 2 * r { lo, hi = halves[e -> r](x) out cat[r -> e](lo, hi) }",
        "(x: [n, e]) -> [n, e] where e = 2 * r { out x }",
    ),
    "heads of a map": (
        "(x: [n, d], a: [d, l]) -> [h, n, e] where l = h * e { out split[l -> h, e](dot[d](x, a)) }",
        "(x: [n, d], a: [d, l]) -> [h, n, e] where l = h * e { out dot[d](x, split[l -> h, e](a)) }",
    ),
    "an axis taken apart and put together around functions": (
        "(x: [n, d], y: [d]) -> [n, d] where d = h * e { out merge[h, e -> d](tanh(split[d -> h, e](x)) * split[d -> h, e](y)) }",
        "(x: [n, d], y: [d]) -> [n, d] where d = h * e { out tanh(x) * y }",
    ),
    "a sum over all parts": (
        "(x: [n, d], y: [d]) -> [n] where d = h * e { out dot[h, e](split[d -> h, e](tanh(x)), split[d -> h, e](y)) + max[h, e](split[d -> h, e](y)) }",
        "(x: [n, d], y: [d]) -> [n] where d = h * e { out dot[d](tanh(x), y) + max[d](y) }",
    ),
    "a sum over all parts, one wire in parts anyway": (
        "(x: [d], y: [h, e]) -> [] where d = h * e { out dot[h, e](split[d -> h, e](x), y) }",
        "(x: [d], y: [h, e]) -> [] where d = h * e { out dot[d](x, merge[h, e -> d](y)) }",
    ),
    "softmax over parts": (
        "(x: [d]) -> [h, e] where d = h * e { out split[d -> h, e](softmax[d](x)) }",
        "(x: [d]) -> [h, e] where d = h * e { out softmax[h, e](split[d -> h, e](x)) }",
    ),
    "a part of size one": (
        "(x: [d]) -> [] where d = g * c, g = 1 { out sum[g](sum[c](split[d -> g, c](tanh(x)))) }",
        "(x: [d]) -> [] where d = g * c, g = 1 { out sum[d](tanh(x)) }",
    ),
    "reversed twice": ("(x: [n]) -> [n] { out reverse(tanh(reverse(x))) }", "(x: [n]) -> [n] { out tanh(x) }"),
    "what forgets the order": (
        "(x: [n], y: [n]) -> [] { out max[n](tanh(reverse(x))) + dot[n](reverse(y), softmax[n](reverse(x))) }",
        "(x: [n], y: [n]) -> [] { out max[n](tanh(x)) + dot[n](y, softmax[n](x)) }",
    ),
    "a norm carries the order along": (
        "(x: [n], y: [d]) -> [n, d] { out layernorm[n](reverse(x)) * y }",
        "(x: [n], y: [d]) -> [n, d] { out reverse(layernorm[n](x) * y) }",
    ),
    "an entry of a function": (
        "(x: [n, d], y: [d], i: index(n)[c]) -> [c] { out sum[d](tanh(gather[n](x, i)) * y) }",
        "(x: [n, d], y: [d], i: index(n)[c]) -> [c] { out gather[n](sum[d](tanh(x) * y), i) }",
    ),
    "an index of an index": (
        "(x: [n], i: index(n)[c], j: index(c)[u]) -> [u] { out gather[c](gather[n](x, i), j) }",
        "(x: [n], i: index(n)[c], j: index(c)[u]) -> [u] { out gather[n](x, gather[c](i, j)) }",
    ),
    "the last entry": (
        "(x: [n]) -> [] { out gather[n](reverse(x), 0) }",
        "(x: [n]) -> [] { out gather[n](x, size[n] - 1) }",
    ),
    "positions, reversed": (
        "(x: [n]) -> [n] { out reverse(x * iota[n]) }",
        "(x: [n]) -> [n] { out reverse(x) * (size[n] - 1 - iota[n]) }",
    ),
}

APART = {
    "an index that is clamped": (
        "(x: [n]) -> [n] { out gather[n](x, index[n](iota[n] + 1)) }",
        "(x: [n]) -> [n] { out x }",
    ),
    "a slice that begins elsewhere": (
        "(x: [d], y: [e]) -> [e] where l = d + e { out slice[n=l, r=e](cat[d, e -> l](x, y), 0) }",
        "(_x: [d], y: [e]) -> [e] where l = d + e { out y }",
    ),
    "one of two reversed": (
        "(x: [n], y: [n]) -> [] { out dot[n](reverse(x), y) }",
        "(x: [n], y: [n]) -> [] { out dot[n](x, y) }",
    ),
    "a running sum knows the order": (
        "(x: [n]) -> [n] { out cumsum[n](reverse(x)) }",
        "(x: [n]) -> [n] { out reverse(cumsum[n](x)) }",
    ),
    "other parts of one size": (
        "(x: [d]) -> [h, e] where d = h * e { out split[d -> h, e](x) }",
        "(x: [d]) -> [h, e] where d = h * e { out split[d -> e, h](x) }",
    ),
    "a causal mask knows the order": (
        "(x: [n]) -> [n] { s = mask(m <= n, reverse(x) * reverse(x)[n -> m]) out dot[m](softmax[m](s), reverse(x)[n -> m]) }",
        "(x: [n]) -> [n] { s = mask(m <= n, x * x[n -> m]) out reverse(dot[m](softmax[m](s), x[n -> m])) }",
    ),
    "a sum over some parts": (
        "(x: [d], _y: [h]) -> [h] where d = h * e { out sum[e](split[d -> h, e](x)) }",
        "(x: [d], y: [h]) -> [h] where d = h * e { out sum[d](x) + 0 * y }",
    ),
    "softmax of a part": (
        "(x: [d], y: [e]) -> [d] where l = d + e { out slice[n=l, r=d](softmax[l](cat[d, e -> l](x, y)), 0) }",
        "(x: [d], _y: [e]) -> [d] where l = d + e { out softmax[d](x) }",
    ),
}


@pytest.mark.parametrize("what", ONE)
def test_one(what: str) -> None:
    left, right = pair(*ONE[what])
    assert form(left) == form(right)
    for d in (left, right):
        after, laws = moved(d)
        assert equal(d, after, seconds=0).evaluation is True
        assert all(law(name) for name in laws)


@pytest.mark.parametrize("what", APART)
def test_apart(what: str) -> None:
    left, right = pair(*APART[what])
    assert form(left) != form(right)
    assert equal(left, right, seconds=0).evaluation is False
    for d in (left, right):
        assert equal(d, moved(d)[0], seconds=0).evaluation is True


@pytest.mark.parametrize("name", samples())
def test_values_stay(name: str) -> None:
    diagram = samples()[name]
    assert equal(diagram, moved(diagram)[0], seconds=0).evaluation in ((None,) if diagram.holes else (True,))


def test_values_of_random_diagrams_stay() -> None:
    several = 0
    for seed in range(80):
        diagram = random_diagram(random.Random(seed), 12)
        after, laws = moved(diagram)
        several += bool(laws)
        assert equal(diagram, after, seed, seconds=0).evaluation is not False, seed
    assert several


def test_both_sides_of_laws_stay() -> None:
    moves = {Cat, Gather, Halves, Merge, Split}
    sides = [d for r in library() if not r.variables for d in (r.left, r.right) if moves & d.by_op.keys()]
    assert len(sides) > 40
    for d in sides:
        assert equal(d, moved(d)[0], seconds=0).evaluation is not False


def test_moving_again_moves_nothing() -> None:
    for name, texts in ONE.items():
        for d in pair(*texts):
            once = moved(d)[0]
            assert form(moved(once)[0]) == form(once), name


def test_seams_are_gone_below_a_contraction() -> None:
    text = "(q: [l], x: [d], y: [e]) -> [] where l = d + e { out dot[l](q, cat[d, e -> l](x, y)) }"
    after, _ = moved(read(AXES + f"diagram z{text}", "z"))
    assert [len(after.by_op.get(op, ())) for op in (Cat, Contract)] == [0, 2]


def test_positions_that_are_never_outside() -> None:
    n, d = Poly.var("n"), Poly.var("d")
    assert never_negative(n * d - n)
    assert not never_negative(n - d)
    assert inside(n - 1, -1, n, n)
    assert inside(d, 1, n, n + d)
    assert not inside(d + 1, 1, n, n + d)
    assert not inside(Poly.of(1), 0, Poly.of(1), n)
