"""Attention in blocks: what masks are read, that blocks keep the function, and where they are not used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import anatomy
from anatomy.compiler import ALL, build, generate
from anatomy.compiler.passes import reach as reaching
from anatomy.compiler.runtime import FUNCTIONS
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program

torch.set_num_threads(1)
FLASH = 1
"""What `torch._fused_sdp_choice` returns for the flash kernel."""
ENOUGH = "m <= 2 * few + 64"
"""Where the generated code takes the whole mask."""

TEXT = """
axis n, m = n, d, h, e, f = e, g, u, w, l
diagram case(x: [n, d]{inputs}) -> {out} {{
  z = x[n -> m]
{body}
}}
"""
HEAD = "  q = lin Q[d -> h, e](x)\n  k = lin K[d -> h, e](z)\n  v = lin V[d -> h, f](z)\n"


@cache
def diagram(body: str, inputs: str = "", out: str = "[n, h, f]") -> Diagram:
    program = Program.of(Source("test.anat", TEXT.format(inputs=inputs, out=out, body=body)))
    assert not [found for found in program.check() if found.code.startswith("E")]
    return program.get(program.names()[-1])


def masked(mask: str, inputs: str = "", before: str = "") -> Diagram:
    """Softmax attention of heads under a mask."""
    return diagram(f"{HEAD}{before}\n  simd h, n, m {{ s = dot[e](q, k) / sqrt(size[e]) }}\n  t = {mask}\n"
                   "  simd h, n { y = sum[m](softmax[m](t) * v) }\n  out y", inputs)  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of four queries, and always blocks."""
    monkeypatch.setattr(reaching, "BLOCK", 4)
    monkeypatch.setattr(reaching, "SMALL", 3)
    monkeypatch.setattr(reaching, "WIDTH", 2)
    assert ENOUGH in FUNCTIONS["places"]
    monkeypatch.setitem(FUNCTIONS, "places", FUNCTIONS["places"].replace(ENOUGH, "False"))


def used(d: Diagram, sizes: dict[str, int]) -> bool:
    given = {a: s for a, s in sizes.items() if a in d.sizes}
    return "_window(" in generate(d, given).source.partition("class ")[2]


SIZES = {"d": 3, "h": 2, "e": 3, "f": 2, "w": 3, "l": 2, "g": 2, "u": 2}


def agree(d: Diagram, sizes: dict[str, int], lengths: Sequence[int], lift: Sequence[int] = (), strided: bool = False, blocks: bool = True) -> None:
    """Optimised and plain modules, forward and backward, where n is read at run time."""
    given = {a: s for a, s in {**SIZES, **sizes}.items() if a in d.sizes}
    assert used(d, given) == blocks
    plain, ours = (build(d, given, tuple(f"b{k}" for k in range(len(lift))), 0, torch.float64, passes) for passes in ((), ALL))
    g = torch.Generator().manual_seed(3)
    for p in plain.parameters():
        nn.init.normal_(p, generator=g)
    ours.load_state_dict(plain.state_dict())
    for n in lengths:
        inputs: list[Tensor] = []
        for i in d.inputs:
            shape = [*lift, *(given.get(a, n) for a in i.layout)]
            if d.wires[i.wire].kind.name == "mask":
                inputs.append(torch.rand(shape, generator=g) > 0.3)
                continue
            x = torch.randn([*shape[:-1], 2 * shape[-1]], dtype=torch.float64, generator=g)
            inputs.append((x[..., ::2] if strided else x[..., : shape[-1]].contiguous()).requires_grad_(True))
        a, b = (results(net, inputs) for net in (plain, ours))
        for x, y in zip(a, b, strict=True):
            assert torch.isfinite(y).all()
            assert float((x - y).detach().abs().max()) <= 1e-9 * (1 + float(x.detach().abs().max())), n


def results(net: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """The output, and gradients of a random linear function of it."""
    y: Any = net(*inputs)
    seed = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    by = [x for x in inputs if x.requires_grad] + list(net.parameters())
    grads = torch.autograd.grad((y * seed).sum(), by, allow_unused=True)
    return [y, *(torch.zeros_like(x) if a is None else a for x, a in zip(by, grads, strict=True))]


# what is converted ----------------------------------------------------------------------------------

BANDS = {
    "causal": "causal[m <= n and n - m < size[w]](s)",
    "other order": "causal[n - m < size[w] and m <= n](s)",
    "swapped": "mask(size[w] > n - m and n >= m, s)",
    "moved": "mask(m > n - size[w] and m <= n, s)",
    "negated": "mask(not (n - m >= size[w]) and not (m > n), s)",
    "negated together": "mask(not (m > n or n - m >= size[w]), s)",
    "two masks": "mask(m <= n, mask(n < m + size[w], s))",
    "literal": "causal[m <= n and n - m < 3](s)",
    "halves": "causal[m <= n and (n - m) / 2 < 1.5](s)",
    "thirds": "causal[m <= n and (n - m) / 3 <= 1](s)",
    "symmetric": "mask(abs(n - m) <= size[w], s)",
    "symmetric, twice": "mask(abs(m - n) < 2 * size[w], s)",
    "symmetric by max": "mask(max(n - m, m - n) <= size[w], s)",
    "one side": "mask(n - m <= size[w] and m - n <= 1, s)",
    "apart": "mask(n - m > 1 and n - m <= 1 + size[w], s)",
    "ahead": "mask(m - n > 1 and m - n <= 1 + size[w], s)",
    "self": "mask(n == m, s)",
    "but self": "mask(abs(n - m) <= size[w] and n != m, s)",
    "blocks": "mask(floor(n / size[w]) == floor(m / size[w]), s)",
    "blocks, causal": "causal[m <= n and floor(iota[n] / size[w]) == floor(iota[m] / size[w])](s)",
    "block and the last": "mask(floor(n / size[w]) - floor(m / size[w]) >= 0 and floor(n / size[w]) - floor(m / size[w]) <= 1, s)",
    "near blocks": "mask(abs(floor(n / size[w]) - floor(m / size[w])) <= 1, s)",
    "blocks of distance": "mask(floor(abs(n - m) / size[w]) == 0, s)",
    "blocks from 1": "mask(floor((n + 1) / size[w]) == floor((m + 1) / size[w]), s)",
    "dilated": "mask(floor((iota[n] - iota[m]) / size[l]) == (iota[n] - iota[m]) / size[l] and abs(n - m) <= size[w] * size[l], s)",
    "dilated, causal": "causal[m <= n and n - m <= 6 and (n - m) - 3 * floor((n - m) / 3) == 0](s)",
    "strided": "mask(floor((iota[n] - iota[m]) / size[l]) == (iota[n] - iota[m]) / size[l], s)",
    "strided, causal": "causal[m <= n and floor((n - m) / 3) * 3 == n - m](s)",
    "prefix": "causal[m <= n and (n - m < size[w] or m < size[l])](s)",
    "global": "mask(abs(n - m) <= size[w] or m < size[l] or n < 2, s)",
    "global keys": "mask(abs(n - m) <= size[w] or m < 5, s)",
    "summary": "causal[m <= n and (floor(n / size[w]) == floor(m / size[w]) or m - 5 * floor(m / 5) >= 4)](s)",
    "parity and window": "mask(abs(n - m) <= size[w] and (n + m) - 2 * floor((n + m) / 2) == 0, s)",
    "window by half": "mask(n - floor(n / 2) - floor(n / 2) <= m and abs(n - m) <= size[w], s)",
}
WIDTHS = (1, 2, 3, 5, 8)


def lengths(w: int) -> list[int]:
    return sorted({1, 2, 3, max(1, w - 1), w, w + 1, 2 * w, 5 * w + 3})


@pytest.mark.parametrize("name", BANDS)
def test_blocks_keep_the_function(name: str, small: None) -> None:
    d = masked(BANDS[name])
    for w in WIDTHS if "w" in d.sizes else (3,):
        agree(d, {"w": w}, lengths(w), strided=bool(w % 2))
    agree(d, {"w": 3}, [11], (2,))
    agree(d, {"w": 3, "d": 1, "h": 1, "e": 1, "f": 1}, [7], (2, 1), strided=True)
    agree(d, {"w": 3, "h": 1, "f": 5}, [10], (3,))


@pytest.mark.parametrize("name", ["causal", "symmetric", "dilated", "prefix", "global", "summary", "blocks", "apart"])
def test_blocks_of_the_usual_size_and_where_they_begin(name: str) -> None:
    """Around the length from which on there are blocks."""
    d = masked(BANDS[name])
    agree(d, {"w": 5}, (127, 128, 129, 170, 300, 413), (2,))


OTHERS = {
    "one head": "  q = lin Q[d -> e](x)\n  k = lin K[d -> e](z)\n  v = lin V[d -> h, f](z)\n  s = causal[m <= n and n - m < 3](dot[e](q, k))\n"
                "  out dot[m](softmax[m](s), v)",
    "one key for all heads": "  q = lin Q[d -> h, e](x)\n  k = lin K[d -> e](z)\n  v = lin V[d -> f](z)\n"
                             "  s = causal[m <= n and n - m < 3](dot[e](q, k))\n  out dot[m](softmax[m](s), v)",
    "key bias": HEAD + "  b = lin B[d -> h](z)\n  s = causal[m <= n and n - m < 3](dot[e](q, k) + b)\n  out dot[m](softmax[m](s), v)",
    "row bias": HEAD + "  b = lin B[d -> h](x)\n  s = causal[m <= n and n - m < 3](dot[e](q, k) + b)\n  out dot[m](softmax[m](s), v)",
    "slopes": HEAD + "  weight t: [h] ~ normal(1)\n  s = causal[m <= n and n - m < 3](dot[e](q, k) / 2 - t * (iota[n] - iota[m]))\n"
              "  out dot[m](softmax[m](s), v)",
    "sink of 0": HEAD + "  s = causal[m <= n and n - m < 3](dot[e](q, k))\n  out dot[m](exp(s - softplus(logsumexp[m](s))), v)",
    "sink of 0 and empty rows": HEAD + "  s = mask(m < n - 1 and n - m < 4, dot[e](q, k))\n  out dot[m](exp(s - softplus(logsumexp[m](s))), v)",
    "learned sink": HEAD + "  weight t: [h] ~ normal(1)\n  s = causal[m <= n and n - m < 3](dot[e](q, k) / 2)\n"
                    "  out dot[m](softmax[m](s) * sigmoid(logsumexp[m](s) - t), v)",
    "learned sink and prefix": HEAD + "  weight t: [h] ~ normal(1)\n  s = causal[m <= n and (n - m < 3 or m < 2)](dot[e](q, k) / 2)\n"
                               "  out dot[m](softmax[m](s) * sigmoid(logsumexp[m](s) - t), v)",
    "learned sink and first rows": HEAD + "  weight t: [h] ~ normal(1)\n  s = mask(abs(n - m) < 3 or n < 2, dot[e](q, k) / 2)\n"
                                   "  out dot[m](softmax[m](s) * sigmoid(logsumexp[m](s) - t), v)",
    "temperature": HEAD + "  weight t: [h] ~ normal(1)\n  s = causal[m <= n and n - m < 3](dot[e](q, k) * exp(t))\n  out dot[m](softmax[m](s), v)",
    "distance": HEAD + "  s = causal[m <= n and n - m < 3](-sum[e](square(q - k)) / 2)\n  out dot[m](softmax[m](s), v)",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_blocks_beside_what_else_the_kernel_does(name: str, small: None) -> None:
    d = diagram(OTHERS[name])
    agree(d, {}, (1, 2, 3, 4, 7, 12, 18))
    agree(d, {"f": 5}, (1, 2, 5, 14), (2,), strided=True)
    agree(d, {"d": 1, "h": 1, "e": 1, "f": 1}, [9], (2, 3))


def test_blocks_for_groups_of_heads(small: None) -> None:
    body = ("  q = lin Q[d -> g, h, e](x)\n  k = lin K[d -> g, e](z)\n  v = lin V[d -> g, f](z)\n"
            "  s = causal[m <= n and n - m < 3](dot[e](q, k))\n  out dot[m](softmax[m](s), v)")  # fmt: skip
    d = diagram(body, out="[n, g, h, f]")
    agree(d, {}, (1, 5, 11), (2,))


def test_keys_of_another_length(small: None) -> None:
    text = ("axis n, m, d, e\ndiagram case(x: [n, d], z: [m, d]) -> [n, d] {\n  q = lin Q[d -> e](x)\n  k = lin K[d -> e](z)\n"
            "  out dot[m](softmax[m](mask(abs(n - m) < 3 or m < 2, dot[e](q, k))), z)\n}")  # fmt: skip
    program = Program.of(Source("test.anat", text))
    d = program.get("case")
    sizes = {"d": 3, "e": 2}
    assert used(d, sizes)
    plain, ours = (build(d, sizes, (), 0, torch.float64, passes) for passes in ((), ALL))
    g = torch.Generator().manual_seed(1)
    for n, m in product((1, 4, 9, 14), repeat=2):
        x, z = (torch.randn(s, 3, dtype=torch.float64, generator=g, requires_grad=True) for s in (n, m))
        a, b = (torch.autograd.grad((net(x, z) ** 2).sum(), (x, z)) for net in (plain, ours))
        torch.testing.assert_close(plain(x, z), ours(x, z), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_a_row_that_sees_no_key_gives_0_and_no_gradient(small: None) -> None:
    d = masked("mask(m < n - 1 and n - m < 5 and n != 6, s)")
    agree(d, {}, [13])
    net = build(d, {a: s for a, s in SIZES.items() if a in d.sizes}, (), 0, torch.float64)
    x = torch.randn(13, 3, dtype=torch.float64, requires_grad=True)
    y = net(x)
    assert torch.equal(y[6], torch.zeros_like(y[6]))
    assert bool(torch.isfinite(torch.autograd.grad(y.sum(), x)[0]).all())


# what is left alone ---------------------------------------------------------------------------------

LEFT = {
    "causal alone": ("causal[m <= n](s)", "", ""),
    "not a window": ("mask(n - m < 3, s)", "", ""),
    "window on the wrong side": ("mask(m <= n or n - m < 3, s)", "", ""),
    "sums of positions": ("mask(n + m < 3 or n == m, s)", "", ""),  # a prefix of keys would do, and is not looked for
    "values": ("mask(m <= n and n - m < 3 and p, s)", ", p: mask[n, m]", ""),
    "values of keys": ("mask(m <= n and n - m < 3 and p > 0, s)", ", p: [m]", ""),
    "learned positions": ("mask(m <= n and n - p < 3, s)", ", p: [m]", ""),
    "learned width": ("mask(m <= n and n - m < c, s)", "", "  weight c: [h] ~ normal(1)\n"),
    "width of a head": ("mask(m <= n and n - m < h, s)", "", ""),
    "width of the length": ("mask(m <= n and n - m < size[n] / 4, s)", "", ""),
    "tenths": ("mask(m <= n and (n - m) * 0.1 < 0.3, s)", "", ""),
    "sum of thirds": ("mask(m <= n and n / 3 - m / 3 < 1, s)", "", ""),
    "window or stride": ("causal[m <= n and (n - m < 3 or floor((n - m) / 4) * 4 == n - m)](s)", "", ""),
    "every other key": ("causal[m <= n and (n == m or m - 2 * floor(m / 2) == 1)](s)", "", ""),
    "bias of both": ("mask(m <= n and n - m < 3, s + b)", ", b: [n, m]", ""),
}


@pytest.mark.parametrize("name", LEFT)
def test_near_misses_are_left_alone(name: str, small: None) -> None:
    mask, inputs, before = LEFT[name]
    agree(masked(mask, inputs, before), {}, [9], blocks=False)


def test_a_mask_that_is_read_without_end_is_left_alone() -> None:
    doubled = "".join(f"  p{k + 1} = not (p{k} and not p{k}) and p{k}\n" for k in range(40))
    folded = "".join(f"  t{k + 1} = abs(t{k} - {k})\n" for k in range(40))
    body = f"  simd n, m {{ p0 = m <= n and n - m < 3 }}\n{doubled}"
    assert not used(masked("mask(p40, s)", "", body), {**SIZES})
    body = f"  simd n, m {{ t0 = iota[n] - iota[m] }}\n{folded}"
    assert not used(masked("mask(t40 < 3, s)", "", body), {**SIZES})


def test_short_sequences_of_known_length_keep_their_mask() -> None:
    d = masked(BANDS["causal"])
    sizes = {a: s for a, s in {**SIZES, "w": 16}.items() if a in d.sizes}
    assert not used(d, {**sizes, "n": 160})
    assert used(d, {**sizes, "n": 161})


CHOSEN = {
    "first rows": ("n < 3", True),
    "written otherwise": ("not (size[l] <= n)", True),
    "all but the first": ("n >= 3", False),
    "rows of values": ("p > 0", False),
    "no row": ("n < 0", False),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_attention_of_rows_that_are_chosen(name: str) -> None:
    rows, narrow = CHOSEN[name]
    body = f"{HEAD}  a = dot[m](softmax[m](dot[e](q, k)), v)\n  out where({rows}, a, lin W[d -> h, f](x))"
    d = diagram(body, ", p: [n]")
    assert ("sym_max" in generate(d, {a: s for a, s in SIZES.items() if a in d.sizes}).source) == narrow
    for lift in ((), (2,)):
        agree(d, {"l": 3}, (1, 2, 3, 4, 9), lift, blocks=False)


def test_what_is_said() -> None:
    d = anatomy.load("zoo:streaming_llm")
    made = generate(d, {"d": 4, "h": 2, "mask.w": 128, "mask.p": 4})
    assert "blocks of 64 queries read 192 keys each and the first 4" in [n.text for n in made.notes if n.name == "window"]
    assert "lambda i, j: (j <= i) & ((i - j < 128) | (j < 4))" in made.source


# the kernel, export, the zoo ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["causal", "dilated", "strided", "prefix", "global", "blocks, causal"])
def test_the_kernel_stays_on_its_fast_path(name: str, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    paths: list[int] = []
    call = functional.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, scale: float | None = None) -> Tensor:
        paths.append(torch._fused_sdp_choice(q, k, v, attn_mask, 0.0, False, scale=scale))
        assert q.shape[1] > 1
        return call(q, k, v, attn_mask=attn_mask, scale=scale)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    d = masked(BANDS[name])
    net = build(d, {a: s for a, s in SIZES.items() if a in d.sizes}, ("b",), 0, torch.float64)
    net(torch.randn(2, 40, 3, dtype=torch.float64, requires_grad=True))
    assert paths
    assert set(paths) == {FLASH}


@pytest.mark.parametrize("name", ["causal", "symmetric", "dilated", "prefix", "global", "summary", "strided"])
def test_export_with_a_free_length(name: str) -> None:
    d = masked(BANDS[name])
    net = build(d, {a: s for a, s in SIZES.items() if a in d.sizes}, ("b",), 0, torch.float64)
    dims = ({0: torch.export.Dim("b", min=2, max=8), 1: torch.export.Dim("n", min=5, max=500)},)
    x = torch.randn(2, 40, 3, dtype=torch.float64)
    exported = torch.export.export(net, (x,), dynamic_shapes=dims).module()
    for n in (6, 31, 40, 64, 65, 200):
        x = torch.randn(3, n, 3, dtype=torch.float64)
        torch.testing.assert_close(exported(x), net(x), rtol=1e-12, atol=1e-12)


ENTRIES = {
    "sliding_window": {"mask.w": 5},
    "streaming_llm": {"mask.w": 5, "mask.p": 3},
    "longformer": {"mask.w": 4, "g": 3},
    "dilated": {"mask.w": 4, "mask.l": 3},
    "sparse_fixed": {"mask.l": 8, "mask.p": 2},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_the_zoo(name: str, small: None) -> None:
    d = anatomy.load(f"zoo:{name}")
    agree(d, {"d": 4, "h": 2, "e": 2, "f": 2, **ENTRIES[name]}, (1, 7, 16, 43), (2,))
