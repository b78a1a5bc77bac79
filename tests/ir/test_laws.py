"""The SIMD laws that hold by construction: two texts, one graph. And the non-laws: refused, or another graph."""

from __future__ import annotations

import pytest

from anatomy.ir.canonical import digest
from tests.ir.samples import codes, read

AXES = "axis n, m = n, b, d, e, c, h "


def same(*texts: str) -> bool:
    return len({digest(read(AXES + text)) for text in texts}) == 1


def test_s1_adjacent_boxes_fuse() -> None:
    """S1, SIMD_n(h . g) = SIMD_n h . SIMD_n g.

    --[ g ]--[ h ]--   =   --[ g --- h ]--
       n        n               n
    """
    assert same(
        "diagram f(x: [n, d]) -> [n, d] { simd n { y = softmax[d](x) } simd n { out exp(y) } }",
        "diagram f(x: [n, d]) -> [n, d] { simd n { y = softmax[d](x) out exp(y) } }",
        "diagram f(x: [n, d]) -> [n, d] { out exp(softmax[d](x)) }",
    )


def test_s2_an_empty_box_vanishes() -> None:
    """S2, SIMD_n id = id.

    --[ ------- ]--   =   -------------
         n
    """
    assert same(
        "diagram f(x: [n, d]) -> [n, d] { simd n { } y = exp(x) simd n { simd d { } } out y }",
        "diagram f(x: [n, d]) -> [n, d] { simd n { out exp(x) } }",
        "diagram f(x: [n, d]) -> [n, d] { out exp(x) }",
    )


def test_s3_boxes_side_by_side_merge() -> None:
    """S3, SIMD_n(f * g) = SIMD_n f * SIMD_n g.

    --[ f ]--             --[ f ]--
       n          =         [   ]
    --[ g ]--             --[ g ]--
       n                     n
    """
    assert same(
        "diagram f(x: [n, d], y: [n, e]) -> [n, d], [n, e] { simd n { p = softmax[d](x) } simd n { q = softmax[e](y) } out p, q }",
        "diagram f(x: [n, d], y: [n, e]) -> [n, d], [n, e] { simd n { p = softmax[d](x) q = softmax[e](y) out p, q } }",
    )


def test_s3_copy_delete_and_swap_slide_through_the_wall() -> None:
    """S3, SIMD_n copy = copy, and so for delete and swap.

         +-[ f ]-              [  +- f -]-
    --o--|  n         =     ---[--o     ]
         +-[ g ]-              [  +- g -]-
            n                        n
    """
    assert same(
        "diagram f(x: [n, d], _z: [n]) -> [n], [n, d] { simd n { p = exp(x) } simd n { q = sum[d](x) } out q, p }",
        "diagram f(x: [n, d], _z: [n]) -> [n], [n, d] { simd n { _w = tanh(x) q = sum[d](x) p = exp(x) out q, p } }",
    )


def test_s4_a_broadcast_wire_is_a_repeated_wire() -> None:
    """S4: repeating outside and zipping is the same as broadcasting.

    x ----------[ + ]--        x ----------[ + ]--
    y --repeat--[ n ]     =    y - - - - - [ n ]
    """
    assert same(
        "diagram f(x: [n, d], y: [d]) -> [n, d] { z = expand[n](y) simd n { out x + z } }",
        "diagram f(x: [n, d], y: [d]) -> [n, d] { simd n { out x + y } }",
        "diagram f(x: [n, d], y: [d]) -> [n, d] { out x + y }",
    )


def test_s4_a_box_on_broadcast_wires_may_be_hoisted() -> None:
    """S4': a box that touches only broadcast wires may stand inside or outside.

    x -------------[   + ]--        x -------[ + ]--
    y - - - - - - -[ g-' ]     =    y -[ g ]-[ n ]
                      n
    """
    assert same(
        "diagram f(x: [n, d], y: [d]) -> [n, d] { simd n { g = softmax[d](y) out x * g } }",
        "diagram f(x: [n, d], y: [d]) -> [n, d] { g = softmax[d](y) simd n { out x * g } }",
        "diagram f(x: [n, d], y: [d]) -> [n, d] { g = softmax[d](expand[n](y)) simd n { out x * g } }",
    )


def test_s6_the_order_of_nesting_is_immaterial() -> None:
    """S6, SIMD_n SIMD_h f = swap . SIMD_h SIMD_n f . swap.

    --[ [ f ] ]--   =   --[ [ f ] ]--
         h   n               n   h
    """
    assert same(
        "diagram f(x: [n, h, d]) -> [n, h, d] { simd n { simd h { out softmax[d](x) } } }",
        "diagram f(x: [n, h, d]) -> [n, h, d] { simd h { simd n { out softmax[d](x) } } }",
        "diagram f(x: [n, h, d]) -> [n, h, d] { simd h, n { out softmax[d](x) } }",
    )


def test_s9_a_box_over_broadcast_inputs_is_a_repeat() -> None:
    """S9, SIMD_n f . repeat_n = repeat_n . f.

    --repeat--[ f ]--   =   --[ f ]--repeat--
                n
    """
    assert same(
        "diagram f(x: [d]) -> [n, d] { simd n { out softmax[d](x) } }",
        "diagram f(x: [d]) -> [n, d] { out softmax[d](expand[n](x)) }",
        "diagram f(x: [d]) -> [n, d] { out expand[n](softmax[d](x)) }",
    )


def test_s11_a_box_of_size_one_is_its_inside() -> None:
    """S11, SIMD_1 f = f: with size 1 the box is the same graph, and its values are those of the inside.

    --[ f ]--   =   --- f ---
        1
    """
    assert same(
        "diagram f(x: [n, d]) -> [n, d] where n = 1 { simd n { out softmax[d](x) } }",
        "diagram f(x: [n, d]) -> [n, d] where n = 1 { out softmax[d](x) }",
    )
    import torch

    from anatomy.compiler import build

    inside = build(read(AXES + "diagram f(x: [d]) -> [d] { out softmax[d](x) }"), {"d": 5}, dtype=torch.float64)
    box = build(
        read(AXES + "diagram f(x: [n, d]) -> [n, d] where n = 1 { simd n { out softmax[d](x) } }"), {"d": 5}, dtype=torch.float64
    )
    x = torch.linspace(-1, 2, 5, dtype=torch.float64)
    assert torch.equal(box(x[None])[0], inside(x))


def test_calls_take_lifts_from_any_nesting() -> None:
    """A called diagram inside a box is the called diagram over one more axis."""
    callee = "diagram g(x: [n, d]) -> [n, d] { out softmax[n](x) * x } "
    assert same(
        callee + "diagram f(x: [h, n, d]) -> [h, n, d] { simd h { out g(x) } }",
        callee + "diagram f(x: [h, n, d]) -> [h, n, d] { out g(x) }",
        "diagram f(x: [h, n, d]) -> [h, n, d] { out softmax[n](x) * x }",
    )


# non-laws -------------------------------------------------------------------------------------

REFUSED = {
    "softmax across its own wall": ("E303", "diagram f(x: [n, d]) -> [n, d] { simd n { out softmax[n](x) } }"),
    "a norm across its own wall": ("E303", "diagram f(x: [n, d]) -> [n, d] { simd d { out layernorm[d](x) } }"),
    "a sum across its own wall": ("E303", "diagram f(x: [n, d]) -> [n, d] { simd n { out sum[n](x) } }"),
    "a shift across its own wall": ("E303", "diagram f(x: [n, d]) -> [n, d] { simd n { out shift[n](x, 1) } }"),
    "renaming a lane": ("E303", "diagram f(x: [n, d]) -> [m, d] { simd n { y = x[n -> m] } out y }"),
    "a new axis that is a lane": ("E303", "diagram f(x: [n, d]) -> [n, d] { simd h { y = expand[h](x) } out y }"),
    "a learner with a lane in its type": ("E303", "diagram f(x: [n, d]) -> [n, e] { simd n { out lin W[n, d -> e](x) } }"),
    "a call that works on a lane": (
        "E303", "diagram g(x: [n]) -> [n] { out softmax[n](x) } diagram f(x: [n, d]) -> [n, d] { simd n { out g(x) } }"
    ),
}  # fmt: skip
DIFFERENT = {
    "softmax past its own axis (S5)": (
        "diagram f(x: [n, d]) -> [n, d] { out cumsum[n](softmax[n](x)) }",
        "diagram f(x: [n, d]) -> [n, d] { out softmax[n](cumsum[n](x)) }",
    ),
    "a shift past a softmax over its axis": (
        "diagram f(x: [n, d]) -> [n, d] { out shift[n](softmax[n](x), 1) }",
        "diagram f(x: [n, d]) -> [n, d] { out softmax[n](shift[n](x, 1)) }",
    ),
    "a permutation past a causal mask": (
        "diagram f(s: [n, m], p: [m, n]) -> [n, m] { out causal[m <= n](s) }",
        "diagram f(s: [n, m], p: [m, n]) -> [n, m] { out mask(n <= m, s) }",
    ),
    "a nonlinear box past a sum (S10)": (
        "diagram f(x: [n, d]) -> [n] { out exp(sum[d](x)) }",
        "diagram f(x: [n, d]) -> [n] { out sum[d](exp(x)) }",
    ),
    "reassociating across softmax": (
        "diagram f(q: [n, e], k: [m, e], v: [m, d]) -> [n, d] { out dot[m](softmax[m](dot[e](q, k)), v) }",
        "diagram f(q: [n, e], k: [m, e], v: [m, d]) -> [n, d] { out dot[e](q, dot[m](softmax[m](k), v)) }",
    ),
    "a repeat that is summed": (
        "diagram f(x: [d]) -> [d] { out sum[n](expand[n](x)) }",
        "diagram f(x: [d]) -> [d] { out x }",
    ),
    "a shared learner and one for each lane": (
        "diagram f(x: [h, d]) -> [h, e] { simd h { out lin W[d -> e, bias=false](x) } }",
        "diagram f(x: [h, d]) -> [h, e] { out lin W[h; d -> e, bias=false](x) }",
    ),
    "softmax over two axes and over one after the other": (
        "diagram f(x: [n, d]) -> [n, d] { out softmax[n, d](x) }",
        "diagram f(x: [n, d]) -> [n, d] { out softmax[n](softmax[d](x)) }",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_wall_refuses(what: str) -> None:
    code, text = REFUSED[what]
    assert code in codes(AXES + text)


@pytest.mark.parametrize("what", DIFFERENT)
def test_no_law(what: str) -> None:
    """Different graphs, and (with the sum of a repeat, which is n times the wire) different functions."""
    from anatomy.rewrites.equality import equal

    left, right = (read(AXES + text) for text in DIFFERENT[what])
    assert digest(left) != digest(right)
    assert equal(left, right).evaluation is not True
