"""Turns in planes as one box, numbers that scale what is small, and contractions in pairs keep the function."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

import anatomy
from anatomy.compiler import ALL, build, generate
from tests.compiler.agreement import agree, diagram

torch.set_num_threads(1)
D = torch.float64


PAIRS = """
axis n, h, r, e = 2 * r, pair = 2, one = 1
diagram turned(x: [n, h, e]{more}) -> [n, h, e] {{
  a, b = halves[pair -> one](split[e -> r, pair](x))
  {angle}
  y = cat[one -> pair]({first}, {second})
  out merge[r, pair -> e](y)
}}
"""
HALVES = """
axis n, h, r, e = 2 * r
diagram turned(x: [n, h, e]{more}) -> [n, h, e] {{
  a, b = halves[e -> r](x)
  {angle}
  out cat[r -> e]({first}, {second})
}}
"""
ANGLES = {
    "positions": ("", "t = iota[n] * 0.5 ^ iota[r]"),
    "learned": ("", "weight u: [h, r] ~ normal(1)\n  t = iota[n] * u"),
    "given": (", t: [n, r]", ""),
    "given_for_heads": (", t: [r, h, n]", ""),
}
WAYS = {
    "plain": ("a * cos(t) - b * sin(t)", "a * sin(t) + b * cos(t)"),
    "commuted": ("cos(t) * a - sin(t) * b", "b * cos(t) + sin(t) * a"),
    "no_turn": ("a * cos(t) - b * sin(t)", "a * cos(t) + b * sin(t)"),
    "back": ("a * cos(t) + b * sin(t)", "b * cos(t) - a * sin(t)"),
    "twice_the_first": ("a * cos(t) - a * sin(t)", "a * sin(t) + b * cos(t)"),
}


@pytest.mark.parametrize("text", [PAIRS, HALVES], ids=["pairs", "halves"])
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("way", WAYS)
def test_turns(text: str, angle: str, way: str) -> None:
    more, line = ANGLES[angle]
    first, second = WAYS[way]
    d = diagram(text.format(more=more, angle=line, first=first, second=second))
    fused = any(n.name == "turn" for n in generate(d, {"h": 3, "r": 2}).notes)
    assert fused == (way in ("plain", "commuted"))
    for sizes in ({"h": 3, "r": 5}, {"h": 1, "r": 1}):
        for lift in ({}, {"b": 3}, {"b": 2, "c": 3}):
            agree(d, sizes, lift, strided=bool(lift))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_turns_in_other_precisions(dtype: torch.dtype) -> None:
    d = anatomy.load("zoo:rope_mha")
    net = build(d, {"d": 16, "h": 2}, ("b",), 0, dtype, tuple(p for p in ALL if p != "attention"))
    plain = build(d, {"d": 16, "h": 2}, ("b",), 0, dtype, ())
    x = torch.randn(2, 9, 16).to(dtype)
    y = net(x)
    assert y.dtype == dtype
    assert float((y - plain(x)).detach().double().abs().max()) < 30 * torch.finfo(dtype).eps


def test_turns_of_odd_strides() -> None:
    first, second = WAYS["plain"]
    d = diagram(PAIRS.format(more="", angle=ANGLES["positions"][1], first=first, second=second))
    net, plain = build(d, {"h": 1, "r": 2}, (), 0, D), build(d, {"h": 1, "r": 2}, (), 0, D, ())
    whole = torch.randn(50, dtype=D)
    for start, steps in ((0, (5, 4, 1)), (1, (4, 4, 1)), (3, (7, 1, 1)), (0, (4, 3, 2))):
        x = whole.as_strided((4, 1, 4), steps, start)
        torch.testing.assert_close(net(x), plain(x), rtol=1e-12, atol=1e-12)


def test_turns_under_transforms_and_tracers() -> None:
    d = anatomy.load("zoo:rope_mha")
    smooth = build(d, {"d": 8, "h": 2}, (), 0, D, tuple(p for p in ALL if p != "attention"))
    x = torch.randn(3, 5, 8, dtype=D)
    wanted = torch.stack([smooth(row) for row in x])
    torch.testing.assert_close(torch.func.vmap(smooth)(x), wanted)
    torch.func.jvp(smooth, (x[0],), (x[0],))
    torch.autograd.gradgradcheck(lambda a: smooth(a), (x[0, :2].clone().requires_grad_(),))
    program = torch.export.export(smooth, (x[0],), dynamic_shapes={"x": {0: torch.export.Dim("n", min=2, max=64)}})
    torch.testing.assert_close(program.module()(x[1, :4]), smooth(x[1, :4]))
    assert "complex" not in str(program.graph)


SCALED: Mapping[str, tuple[str, str, bool]] = {
    # name: result, body, whether a number moves
    "score": ("[n, m]", "out sigmoid(dot[d](x, z) / sqrt(size[d]))", True),
    "twice": ("[n, m]", "out sigmoid(dot[d](x, z) / 3 / 5 * 2)", True),
    "factor": ("[n, m]", "out relu(3 * dot[d](x, z))", True),
    "negative": ("[n, m]", "out relu(-0.5 * dot[d](x, z))", True),
    "read_twice": ("[n, m]", "s = dot[d](x, z)\n out s / 3 + s", False),
    "huge": ("[n, m]", "out relu(dot[d](x, z) / 1000000)", False),
    "nought": ("[n, m]", "out relu(dot[d](x, z) * 0)", False),
    "learned": ("[n, m]", "weight t: [] ~ normal(1)\n out relu(dot[d](x, z) / (2 + square(t)))", False),
    "three": ("[n, m]", "weight w: [d, e] ~ normal(1)\n out relu(dot[d, e](x, w, z * w) / size[n])", True),
}


@pytest.mark.parametrize("name", SCALED)
def test_numbers_scale_what_is_small(name: str) -> None:
    out, body, moves = SCALED[name]
    d = diagram(f"axis n, m, d, e\ndiagram scaled(x: [n, d], z: [m, d]) -> {out} {{ {body} }}")
    sizes = {"d": 3, "e": 2}
    sizes = {a: s for a, s in sizes.items() if a in d.sizes}
    assert any(n.name == "scale" for n in generate(d, sizes).notes) == moves
    for lift in ({}, {"b": 2}):
        agree(d, sizes, lift)


def test_a_sum_of_products_that_no_matrix_product_is() -> None:
    for body in ("dot[n](x, x * 2)", "dot[n](x, exp(x))", "dot[d](x, exp(x))", "dot[n, d](x, exp(x))", "dot[n, d](x, w, exp(x))"):
        own = body[4 : body.index("]")].split(", ")
        out = ", ".join(a for a in ("n", "d") if a not in own)
        d = diagram(f"axis n, d\ndiagram total(x: [n, d]) -> [{out}] {{ weight w: [d] ~ normal(1)\n out {body} + 0 * sum[d](w) }}")
        for lift in ({}, {"b": 2}):
            agree(d, {"d": 3}, lift)
