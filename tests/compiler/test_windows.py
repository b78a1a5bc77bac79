"""Windows, and the library of positions, against loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import anatomy
from anatomy.language.unparse import unparse

HEAD = "use std.index (reverse, slice, with_previous, with_neighbours)\naxis n, m, c, d, r, b, w, e\n"


def module(signature: str, body: str, lift: tuple[str, ...] = (), **given: int) -> torch.nn.Module:
    diagram = anatomy.parse(f"{HEAD}diagram it{signature} {{ {body} }}")["it"]
    again = anatomy.parse(unparse(diagram))["it"]
    assert anatomy.equal(diagram, again).isomorphic, unparse(diagram)
    return anatomy.compile(diagram, given, lift=lift, dtype=torch.float64)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def same(have: Tensor, want: Tensor, x: Tensor) -> None:
    assert have.shape == want.shape
    torch.testing.assert_close(have, want, rtol=0, atol=0)
    u = draw(*have.shape, seed=9).detach()
    a, b = (torch.autograd.grad((y * u).sum(), x)[0] for y in (have, want))
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def windows(x: Tensor, count: int, step: int, centred: bool) -> Tensor:
    """Along the first dimension, as a last one."""
    zero = torch.zeros_like(x[0])
    rows = []
    for n in range(len(x)):
        places = [n + step * (c - count // 2) if centred else n - step * (count - 1 - c) for c in range(count)]
        rows.append(torch.stack([x[p] if 0 <= p < len(x) else zero for p in places], -1))
    return torch.stack(rows)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize(("n", "c"), [(6, 3), (6, 4), (1, 1), (1, 5), (5, 1), (3, 7)])
def test_unfold(n: int, c: int, step: int, centred: bool) -> None:
    x = draw(n, 2)
    options = (f", step={step}" if step > 1 else "") + (", centred=true" if centred else "")
    run = module("(x: [n, d]) -> [n, d, c]", f"out unfold[n -> c{options}](x)", c=c)
    same(run(x), windows(x, c, step, centred), x)
    y = draw(3, 2, n)
    run = module("(x: [d, n]) -> [c, n, d]", f"out unfold[n -> c{options}](x)", lift=("e",), c=c)
    same(run(y), torch.stack([windows(z.T, c, step, centred) for z in y]).permute(0, 3, 1, 2), y)


def test_local_attention_by_windows_is_local_attention_by_a_mask() -> None:
    by_windows = module(
        "(q: [n, e], k: [n, e], x: [n, d]) -> [n, d]",
        "s = dot[e](q, unfold[n -> c](k)) t = mask(n + c >= size[c] - 1, s) out dot[c](softmax[c](t), unfold[n -> c](x))", c=3,
    )  # fmt: skip
    q, k, x = draw(7, 4), draw(7, 4, seed=1), draw(7, 2, seed=2)
    at = torch.arange(7)
    near = (at[None] <= at[:, None]) & (at[:, None] - at[None] < 3)
    want = torch.softmax((q @ k.T).masked_fill(~near, -torch.inf), -1) @ x
    torch.testing.assert_close(by_windows(q, k, x), want, rtol=1e-12, atol=1e-12)


def test_windows_are_causal_and_centred_ones_are_not() -> None:
    for options, causal in (("", True), (", step=3", True), (", centred=true", None)):
        text = f"axis n, c, d diagram it(x: [n, d]) -> [n, d] {{ out sum[c](unfold[n -> c{options}](x)) }}"
        found = anatomy.parse(text)["it"]
        from anatomy.ir.analysis import analyse

        facts = analyse(found)
        assert facts.causal is causal
        assert facts.equivariant is None


def test_reverse_and_slice() -> None:
    x = draw(6, 3)
    same(module("(x: [n, d]) -> [n, d]", "out reverse(x)")(x), x.flip(0), x)
    same(module("(x: [n, d]) -> [n, d]", "out reverse[n=d](x)")(x), x.flip(1), x)
    same(module("(x: [n, d]) -> [r, d]", "out slice(x, 2)", r=3)(x), x[2:5], x)
    same(module("(x: [n, d]) -> [r, d]", "out slice(x, size[n] - size[r])", r=4)(x), x[2:], x)
    same(module("(x: [n, d]) -> [r, d]", "out slice(x, 4)", r=4)(x), x[[4, 5, 5, 5]], x)


def test_blocks_with_those_beside_them() -> None:
    x = draw(12, 2)
    blocks = x.view(4, 3, 2)
    zero = torch.zeros(1, 3, 2, dtype=torch.float64)
    before, after = torch.cat((zero, blocks[:-1])), torch.cat((blocks[1:], zero))
    run = module("(x: [n, d]) -> [b, w, d] where n = b * c, w = 2 * c", "out with_previous(split[n -> b, c](x))", c=3)
    same(run(x), torch.cat((before, blocks), 1), x)
    run = module("(x: [n, d]) -> [b, w, d] where n = b * c, w = 3 * c", "out with_neighbours(split[n -> b, c](x))", c=3)
    same(run(x), torch.cat((before, blocks, after), 1), x)


@pytest.mark.parametrize(
    ("body", "code"),
    [("out unfold[n -> c, step=0](x)", "E209"), ("out unfold[n -> c, step=0.5](x)", "E209"), ("out unfold[n](x)", "E209"),
     ("out unfold[n -> c, d](x)", "E311"), ("out unfold[n -> m](x)", "E308"), ("out unfold[c -> d](x)", "E306"), ("out unfold[n -> c, wide=2](x)", "E209")],
)  # fmt: skip
def test_what_is_refused(body: str, code: str) -> None:
    with pytest.raises(anatomy.AnatomyError) as error:
        anatomy.parse(f"axis n, m, c, d diagram it(x: [n, m]) -> [n, m, c] {{ {body} }}")
    assert [d.code for d in error.value.diagnostics] == [code]


def test_a_name_of_a_library_says_where_it_is() -> None:
    with pytest.raises(anatomy.AnatomyError, match=r"use std.index \(reverse\)"):
        anatomy.parse("axis n diagram it(x: [n]) -> [n] { out reverse(x) }")
