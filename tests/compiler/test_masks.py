"""Masked rows: a softmax over nothing gives 0 with gradient 0, and masked entries take no part (ruling 15)."""

from __future__ import annotations

import math

import pytest
import torch

import anatomy

AXES = "axis n, m, p, e\n"


def build(body: str, head: str = "(s: [n, m]) -> [n, m]") -> torch.nn.Module:
    return anatomy.compile(anatomy.parse(f"{AXES}diagram it{head} {{ {body} }}")["it"], {"p": 2} if "expand" in body else {}, dtype=torch.float64)


@pytest.mark.parametrize(
    "body",
    [
        "out softmax[m](mask(m < n, s))",
        "out softmax[m](causal[m < n](s))",
        "simd n { w = softmax[m](mask(m < n, s)) out w }",
        "t = mask(m < n, s) out softmax[m](2 * t + 1)",
        "t = mask(m < n, s) out softmax[m](t / 3 - iota[m])",
        "out softmax[m](max(mask(m < n, s), mask(m + 1 < n, s)))",
        "out softmax[m](where(m < n, s, mask(m < 0, s)))",
        "out softmax[m](mean[p](expand[p](mask(m < n, s))))",
        "out softmax[m](max[p](expand[p](mask(m < n, s))))",
    ],
)
def test_a_row_of_nothing_is_zero_with_gradient_zero(body: str) -> None:
    net = build(body)
    s = torch.randn(5, 5, dtype=torch.float64, requires_grad=True)
    w = net(s)
    assert (w[0] == 0).all()
    assert torch.isfinite(w).all()
    assert (w.triu() == 0).all()
    torch.testing.assert_close(w.sum(1), torch.tensor([0.0, 1, 1, 1, 1], dtype=torch.float64))
    (g,) = torch.autograd.grad((w * torch.randn_like(w)).sum(), s)
    assert torch.isfinite(g).all()
    assert (g.triu() == 0).all()
    assert g.tril(-1).abs().sum() > 0


def test_through_a_whole_attention_layer() -> None:
    head = "(q: [n, e], k: [m, e], v: [m, p]) -> [n, p]"
    net = build("s = dot[e](q, k) simd n { out sum[m](softmax[m](mask(m < n, s)) * v) }", head)
    q, k, v = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(3))
    y = net(q, k, v)
    assert (y[0] == 0).all()
    grads = torch.autograd.grad(y.square().sum(), (q, k, v))
    assert all(torch.isfinite(g).all() for g in grads)
    assert (grads[0][0] == 0).all()
    twins = [t.detach().clone().requires_grad_() for t in (q, k, v)]
    rows = [torch.zeros(3, dtype=torch.float64)]
    rows += [torch.softmax(twins[0][i] @ twins[1][:i].T, -1) @ twins[2][:i] for i in range(1, 4)]
    want = torch.stack(rows)
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
    theirs = torch.autograd.grad(want.square().sum(), twins, allow_unused=True)
    for a, b in zip(grads, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_joint_softmax_over_nothing() -> None:
    net = build("out softmax[m, p](mask(n > 0 and m < n, s))", "(s: [n, m, p]) -> [n, m, p]")
    s = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    w = net(s)
    assert (w[0] == 0).all()
    torch.testing.assert_close(w.sum((1, 2)), torch.tensor([0.0, 1, 1], dtype=torch.float64))
    (g,) = torch.autograd.grad(w.square().sum(), s)
    assert torch.isfinite(g).all()
    assert (g[0] == 0).all()


def test_a_mask_may_be_an_input() -> None:
    net = build("out softmax[m](mask(g, s))", "(g: mask[m], s: [n, m]) -> [n, m]")
    s = torch.randn(3, 4, dtype=torch.float64)
    keep = torch.tensor([True, False, True, False])
    torch.testing.assert_close(net(keep, s), torch.softmax(s.masked_fill(~keep, -math.inf), 1))
    assert (net(torch.zeros(4, dtype=torch.bool), s) == 0).all()


def test_infinite_scores_from_outside_are_not_hidden() -> None:
    """The rule is about masks of the diagram: a plain softmax is PyTorch's."""
    net = build("out softmax[m](s)")
    assert torch.isnan(net(torch.full((2, 3), -math.inf, dtype=torch.float64))).all()
