"""Every pass keeps the function: optimised source against plain source, forward and backward, and the path that the kernel takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import anatomy
from anatomy.cli import main
from anatomy.compiler import ALL, DIFFERENTIABLE, build, chosen, generate
from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from tests.compiler.agreement import ENTRIES, agree, diagram, numbers, sizes_of
from tests.regularity.idioms import Idioms
from tests.regularity.programs import SIZES, Garden, random_diagram

torch.set_num_threads(1)
FLASH = 1
"""What `torch._fused_sdp_choice` returns for the flash kernel."""
STRIDED = {"xca"}
"""Entries whose values come with strides in their last dimension, which a contraction chose."""
TRAINED_BIAS = {"deberta", "t5_bias", "transformer_xl"}
"""Entries whose bias of rows and keys needs a gradient: the kernel has no fast path for them while they are trained."""


FIXED = [n for n in ENTRIES if n != "gumbel"]  # whose noise is drawn at every forward


@pytest.mark.parametrize("name", FIXED)
def test_the_zoo_keeps_its_functions(name: str) -> None:
    d, sizes = sizes_of(name)
    agree(d, sizes, {"b": 3}, spread=0.5)


@pytest.mark.parametrize("name", [n for n in FIXED if "scaled_dot_product" in generate(*sizes_of(n)).source])
def test_attention_of_the_zoo_without_a_batch_and_with_two_and_strided(name: str) -> None:
    d, sizes = sizes_of(name)
    agree(d, sizes, {}, strided=True, spread=0.5)
    agree(d, sizes, {"lot": 2, "turn": 1}, spread=0.5)


HEADS = """
axis n, m, d, h, e, f, g, u
diagram case(x: [n, d], z: [m, d]{inputs}) -> {out} {{
{body}
}}
"""
CASES: dict[str, tuple[str, str, str, bool]] = {
    # name: further inputs, result, body, whether the kernel is used
    "bare": ("", "[n, f]", "weight q: [d, e]\nweight k: [d, e]\nweight v: [d, f]\n"
             "out dot[m](softmax[m](dot[e](dot[d](x, q), dot[d](z, k))), dot[d](z, v))", True),
    "bilinear": ("", "[n, d]", "s = dot[e](lin A[d -> e, bias=false](x), lin B[d -> e, bias=false](z))\n"
                 "out dot[m](softmax[m](s), z)", True),
    "one_feature": ("", "[n, d]", "s = dot[e](lin A[d -> e](x), lin B[d -> e](z))\nout dot[m](softmax[m](s), z)", True),
    "temperature": ("", "[n, h, d]", "weight t: [h] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                    "out dot[m](softmax[m](dot[e](q, k) * exp(t)), z)", True),
    "divided": ("", "[n, h, d]", "weight t: [n, h] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                "out dot[m](softmax[m](dot[e](q, k) / (1 + square(t))), z)", True),
    "two_products": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\na = lin A[d -> h, u](x)\nb = lin B[d -> u](z)\n"
                     "out dot[m](softmax[m]((dot[e](q, k) + dot[u](a, b)) / sqrt(size[e] + size[u])), z)", True),
    "difference_of_products": (", p: mask[n, m]", "[n, h, d]", "weight t: [h] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                               "a = lin A[d -> h, u](x)\nb = lin B[d -> h, u](z)\n"
                               "out dot[m](softmax[m](mask(p, -(2 * dot[e](q, k) - t * -dot[u](a, b) / 3))), z)", True),
    "three_products": (", b: [n, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nr = lin R[d -> e](z)\n"
                       "out dot[m](softmax[m](dot[e](q, k) + (b + dot[e](q, r)) + dot[d](x, z) / size[d]), z)", True),
    "product_of_keys_beside": ("", "[n, h, d]", "weight t: [h, e] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                               "out dot[m](softmax[m](dot[e](q, k) + dot[e](t, k)), z)", True),
    "one_query_for_all": (", b: [n, m]", "[n, d]", "weight t: [e] ~ normal(1)\nk = lin K[d -> e](z)\nout dot[m](softmax[m](dot[e](t, k) + b), z)", False),
    "divided_by_keys": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nweight t: [m] ~ normal(1)\n"
                        "out dot[m](softmax[m](dot[e](q, k) / (1 + square(t))), z)", False),
    "scaled_keys": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nweight t: [m, h] ~ normal(1)\n"
                    "out dot[m](softmax[m](dot[e](q, k) * t), z)", True),
    "negative": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nout dot[m](softmax[m](-2 * dot[e](q, k) / 3), z)", True),
    "bias_of_keys": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nb = lin B[d -> h](z)\n"
                     "out dot[m](softmax[m](2 * (dot[e](q, k) - b)), z)", True),
    "bias_of_rows": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nb = lin B[d -> h](x)\n"
                     "out dot[m](softmax[m](b + dot[e](q, k)), z)", True),
    "bias_of_both": (", b: [h, n, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                     "out dot[m](softmax[m]((dot[e](q, k) + b) / sqrt(size[e])), z)", True),
    "two_biases": (", b: [n, m], c: [h, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                   "out dot[m](softmax[m](dot[e](q, k) - b + c), z)", True),
    "distance": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                 "out dot[m](softmax[m](-sum[e](square(q - k)) / 2), z)", True),
    "distance_of_heads": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nt = lin T[d -> h](x)\n"
                          "out dot[m](softmax[m](sum[e](square(k - q)) * t), z)", True),
    "hidden": (", p: mask[h, n, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
               "out dot[m](softmax[m](mask(p, dot[e](q, k)) / sqrt(size[e])), z)", True),
    "hidden_keys": (", p: mask[m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                    "out dot[m](softmax[m](mask(p, dot[e](q, k))), z)", True),
    "hidden_twice": (", p: mask[m], r: mask[n, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                     "out dot[m](softmax[m](mask(p, 1 + mask(r, dot[e](q, k)))), z)", True),
    "hidden_and_negated": (", p: mask[n, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                           "out dot[m](softmax[m](mask(p, -dot[e](q, k))), z)", True),
    "hidden_bias": (", p: mask[n, m], b: [h, n, m]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                    "out dot[m](softmax[m](mask(p, dot[e](q, k) + b)), z)", True),
    "two_axes_of_keys": (", y: [m, u, d]", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](y)\n"
                         "out dot[m, u](softmax[m, u](dot[e](q, k)), y)", True),
    "two_axes_of_features": ("", "[n, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nout dot[m](softmax[m](dot[h, e](q, k)), z)", True),
    "two_axes_of_rows": (", y: [n, u, d]", "[n, u, d]", "q = lin Q[d -> e](y)\nk = lin K[d -> e](z)\n"
                         "out dot[m](softmax[m](dot[e](q, k)), z)", True),
    "shared_keys": ("", "[n, h, f]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> e](z)\nv = lin V[d -> f](z)\n"
                    "out dot[m](softmax[m](dot[e](q, k)), v)", True),
    "shared_keys_hidden": (", p: mask[n, m]", "[n, h, f]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> e](z)\nv = lin V[d -> f](z)\n"
                           "out dot[m](softmax[m](mask(p, dot[e](q, k))), v)", True),
    "grouped_hidden": (", p: mask[n, m]", "[n, g, h, f]", "q = lin Q[d -> g, h, e](x)\nk = lin K[d -> g, e](z)\nv = lin V[d -> g, f](z)\n"
                       "out dot[m](softmax[m](mask(p, dot[e](q, k))), v)", True),
    "grouped_biased": (", b: [h, m]", "[n, g, h, f]", "q = lin Q[d -> g, h, e](x)\nk = lin K[d -> g, e](z)\nv = lin V[d -> g, f](z)\n"
                       "out dot[m](softmax[m](dot[e](q, k) + b), v)", True),
    "values_of_heads_alone": ("", "[n, h, f]", "q = lin Q[d -> e](x)\nk = lin K[d -> e](z)\nv = lin V[d -> h, f](z)\n"
                              "out dot[m](softmax[m](dot[e](q, k)), v)", True),
    "numbers_as_values": ("", "[n]", "q = lin Q[d -> e](x)\nk = lin K[d -> e](z)\nweight w: [d]\nv = dot[d](z, w)\nout dot[m](softmax[m](dot[e](q, k)), v)", True),
    "values_of_rows": (", v: [n, m, f]", "[n, f]", "q = lin Q[d -> e](x)\nk = lin K[d -> e](z)\nout dot[m](softmax[m](dot[e](q, k)), v)", False),
    "weights_read_twice": ("", "[n, d]", "q = lin Q[d -> e](x)\nk = lin K[d -> e](z)\nw = softmax[m](dot[e](q, k))\n"
                           "out dot[m](w, z) + dot[m](square(w), z)", False),
    "another_axis": ("", "[n, d]", "q = lin Q[d -> e](x)\nk = lin K[d -> e](z)\nout dot[m](softmax[n](dot[e](q, k)), z)", False),
    "output_matrix": ("", "[n, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nv = lin V[d -> h, f, bias=false](z)\n"
                      "out lin O[h, f -> d, bias=false](dot[m](softmax[m](dot[e](q, k)), v))", True),
    "gated": ("", "[n, h, f]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nv = lin V[d -> h, f](z)\nt = lin T[d -> h](x)\n"
              "out sum[m](softmax[m](dot[e](q, k)) * v * t)", True),
    "sink_of_0": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\ns = dot[e](q, k)\n"
                  "out dot[m](exp(s - softplus(logsumexp[m](s))), z)", True),
    "sink_hidden": (", p: mask[n, m], b: [n, m]", "[n, h, d]", "weight t: [h] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                    "s = mask(p, dot[e](q, k) / 2 + b)\nout dot[m](softmax[m](s) * sigmoid(logsumexp[m](s) - t), z)", True),
    "sink_of_other_scores": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\ns = dot[e](q, k)\n"
                             "out dot[m](softmax[m](s) * sigmoid(logsumexp[m](s + 1)), z)", False),
    "learned_keys": ("", "[n, h, f]", "weight k: [h, u, e] ~ normal(1)\nweight v: [h, u, f] ~ normal(1)\nq = lin Q[d -> h, e](x)\n"
                     "out dot[u](softmax[u](dot[e](q, k)), v)", True),
    "learned_keys_of_all": ("", "[n, h, f]", "weight k: [u, e] ~ normal(1)\nweight v: [u, f] ~ normal(1)\nq = lin Q[d -> h, e](x)\n"
                            "out dot[u](softmax[u](dot[e](q, k) + iota[u]), v)", True),
    "sink_and_bias_of_rows": ("", "[n, h, d]", "q = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\nb = lin B[d -> h](x)\ns = dot[e](q, k) + b\n"
                              "out dot[m](exp(s - softplus(logsumexp[m](s))), z)", False),
    "sink_and_positions": ("", "[n, h, d]", "weight t: [h] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                           "s = dot[e](q, k) - t * (iota[n] - iota[m])\nout dot[m](exp(s - softplus(logsumexp[m](s))), z)", True),
    "positions": ("", "[n, h, d]", "weight t: [h] ~ normal(1)\nq = lin Q[d -> h, e](x)\nk = lin K[d -> h, e](z)\n"
                  "out dot[m](softmax[m](dot[e](q, k) - t * (iota[n] - iota[m]) / 3), z)", True),
}  # fmt: skip
SHAPES = ({"n": 5, "m": 3, "d": 7, "h": 3, "e": 5, "f": 4, "g": 2, "u": 3}, {"n": 1, "m": 1, "d": 1, "h": 1, "e": 1, "f": 1, "g": 1, "u": 1},
          {"n": 2, "m": 9, "d": 3, "h": 2, "e": 2, "f": 6, "g": 3, "u": 1})  # fmt: skip


def case(name: str) -> tuple[Diagram, bool]:
    inputs, out, body, fused = CASES[name]
    return diagram(HEADS.format(inputs=inputs, out=out, body=body)), fused


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_is_used_where_it_may_and_keeps_the_function(name: str) -> None:
    d, fused = case(name)
    for shape in SHAPES:
        sizes = {a: s for a, s in shape.items() if a in d.sizes}
        assert ("scaled_dot_product_attention" in generate(d, sizes).source) == fused
        for lift in ({}, {"b": 2}, {"b": 2, "c": 3}):
            agree(d, sizes, lift, strided=bool(lift))


def test_a_row_without_keys_gives_0_and_no_gradient() -> None:
    d, _ = case("hidden")
    net = build(d, {"d": 7, "h": 3, "e": 4}, (), 0, torch.float64)
    x, z = (torch.randn(5, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    p = torch.ones(3, 5, 5, dtype=torch.bool)
    p[:, 2] = False
    y = net(x, z, p)
    assert torch.equal(y[2], torch.zeros_like(y[2]))
    (g,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(g[2], torch.zeros_like(g[2]))
    assert bool(torch.isfinite(g).all())


def test_positions_as_features_refuse_half_precision() -> None:
    net = anatomy.compile(anatomy.load("zoo:alibi"), {"d": 8, "h": 2}).bfloat16()
    with pytest.raises(ValueError, match="compile without the pass `attention`"):
        net(torch.zeros(4, 8, dtype=torch.bfloat16))
    anatomy.compile(anatomy.load("zoo:alibi"), {"d": 8, "h": 2}, passes=["-attention"]).bfloat16()(torch.zeros(4, 8, dtype=torch.bfloat16))


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which path every call of the kernel takes."""
    paths: list[int] = []
    call = functional.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False) -> Tensor:
        paths.append(torch._fused_sdp_choice(q, k, v, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa))
        return call(q, k, v, attn_mask=attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    return paths


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n][3] and n not in ("distance_of_heads", "sink_and_positions")])  # whose bias needs a gradient
def test_the_kernel_stays_on_its_fast_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    d, _ = case(name)
    paths = calls(monkeypatch)
    for shape in SHAPES[::2]:
        sizes = {a: s for a, s in shape.items() if a in d.sizes}
        for lift in ({}, {"b": 2}, {"b": 2, "c": 3}):
            inputs = numbers(d, sizes, 0, tuple(lift.values()))
            for item, x in zip(d.inputs, inputs, strict=True):
                x.requires_grad_(x.is_floating_point() and item.name != "b")  # a bias that is learned has no fast path
            build(d, sizes, tuple(lift), 0, torch.float64)(*inputs)
    assert paths
    assert set(paths) == {FLASH}


@pytest.mark.parametrize("name", [n for n in FIXED if "scaled_dot_product" in generate(*sizes_of(n)).source])
def test_the_zoo_stays_on_the_fast_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    d, sizes = sizes_of(name)
    if name == "gqa":  # halves of size 1 make `torch.cat` think of channels that come last
        sizes = sizes | {"e": 4}
    paths = calls(monkeypatch)
    inputs = numbers(d, sizes, 0, (2,))
    net = build(d, sizes, ("b",), 0, torch.float64)
    net(*inputs)
    assert (set(paths) == {FLASH}) == (name not in TRAINED_BIAS | STRIDED)


def test_derivatives_of_derivatives_need_the_other_passes() -> None:
    d = anatomy.load("zoo:mha")
    sizes = {"d": 4, "h": 2}
    x = torch.randn(3, 4, dtype=torch.float64)
    smooth = build(d, sizes, (), 0, torch.float64, DIFFERENTIABLE)
    tangent = torch.func.jvp(smooth, (x,), (x,))[1]
    moved = (smooth(x * (1 + 1e-6)) - smooth(x * (1 - 1e-6))) / 2e-6
    torch.testing.assert_close(tangent, moved, rtol=1e-6, atol=1e-8)
    with pytest.raises(NotImplementedError):
        torch.func.jvp(build(d, sizes, (), 0, torch.float64), (x,), (x,))


def test_regularity_of_a_module_with_the_kernel() -> None:
    d = anatomy.load("zoo:sdpa")
    sizes = {"n": 3, "m": 3, "e": 2, "f": 2}
    found = anatomy.regularity(d, sizes, growth=False)
    given = anatomy.regularity(d, sizes, growth=False, module=anatomy.compile(d, sizes))
    assert given.lower == found.lower


# random diagrams ------------------------------------------------------------------------------------


def randomly(seed: int) -> None:
    """A diagram of any operations, or of phrases that look like attention, at the sizes of the garden."""
    d = random_diagram(seed, 2 + seed % 5, Idioms if seed % 2 else Garden)
    sizes = {a: n for a, n in SIZES.items() if a in d.sizes}
    agree(d, sizes, ({}, {"lot": 2})[seed % 2], strided=seed % 3 == 0, spread=0.7)


@pytest.mark.parametrize("seed", range(40))
def test_random_diagrams_keep_their_functions(seed: int) -> None:
    randomly(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 1040))
def test_a_thousand_random_diagrams_keep_their_functions(seed: int) -> None:
    randomly(seed)


# what a person sees ---------------------------------------------------------------------------------


def test_lists_of_passes() -> None:
    assert chosen(["all"]) == ALL
    assert chosen(["none"]) == chosen([]) == ()
    assert chosen(["sink", "closed"]) == ("closed", "sink")
    assert chosen(["all", "-attention"]) == chosen(["-attention"]) == DIFFERENTIABLE
    for wrong in (["fast"], ["all", "-fast"], [""]):
        with pytest.raises(AnatomyError, match="there is no pass"):
            chosen(wrong)
    d = anatomy.load("zoo:mha")
    assert "einsum" in anatomy.source(d, {"d": 4, "h": 2}, passes=())
    assert "scaled_dot_product" not in anatomy.source(d, {"d": 4, "h": 2}, passes=["all", "-attention"])


def test_the_command_tells_what_was_rewritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = ["compile", "zoo:alibi", "--size", "d=12", "--size", "h=4"]
    assert main([*target, "--explain"]) == 0
    out = capsys.readouterr().out
    assert "line 30   attention    softmax attention becomes scaled_dot_product_attention with is_causal" in out
    assert main([*target, "--explain", "--json", "-o", str(tmp_path / "a.py")]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"pass", "line", "text"} == set(rows[0])
    assert "scaled_dot_product_attention" in (tmp_path / "a.py").read_text()
    assert main([*target, "--passes", "none"]) == 0
    assert "scaled_dot_product_attention" not in capsys.readouterr().out
    assert main([*target, "--passes", "swift"]) == 1
    assert "E409" in capsys.readouterr().err
