"""Sparse normalisers against bisection, enumeration of supports and matrices scaled by hand, with their closed Jacobians."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

import anatomy
from anatomy.errors import AnatomyError
from anatomy.ir.analysis import analyse
from anatomy.ir.canonical import digest
from anatomy.language.unparse import unparse

AXES = "axis n, m, p, h\n"
ALPHAS = ("1.1", "1.25", "1.5", "1.9", "2", "2.5", "4")


def build(body: str, head: str = "(s: [n, m]) -> [n, m]", lift: tuple[str, ...] = (), dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    return anatomy.compile(anatomy.parse(f"{AXES}diagram it{head} {{ out {body} }}")["it"], {}, lift=lift, dtype=dtype)


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def bisected(row: list[float], alpha: float) -> list[float]:
    """alpha-entmax of a row of numbers, entry by entry; -inf takes no part."""
    z = [(alpha - 1) * x for x in row]
    low, high = max(z) - 1, max(z)
    for _ in range(200):
        t = (low + high) / 2
        total = sum((x - t) ** (1 / (alpha - 1)) for x in z if x > t)
        low, high = (t, high) if total >= 1 else (low, t)
    return [(x - low) ** (1 / (alpha - 1)) if x > low else 0.0 for x in z]


def rows(x: Tensor, alpha: float) -> Tensor:
    return torch.tensor([bisected(r, alpha) for r in x.tolist()], dtype=torch.float64)


def enumerated(row: list[float]) -> list[float]:
    """The projection onto the simplex: of all supports the one whose point is nearest."""
    best, nearest = [], math.inf
    for size in range(1, len(row) + 1):
        for support in itertools.combinations(range(len(row)), size):
            t = (sum(row[i] for i in support) - 1) / size
            p = [row[i] - t if i in support else 0.0 for i in range(len(row))]
            gap = sum((a - b) ** 2 for a, b in zip(p, row, strict=True))
            if min(p) >= 0 and gap < nearest:
                best, nearest = p, gap
    return best


@pytest.mark.parametrize("scale", [0.01, 1.0, 1e3])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax_is_what_bisection_finds(alpha: str, scale: float) -> None:
    s = draw(9, 7, scale=scale)
    torch.testing.assert_close(build(f"entmax[m](s, {alpha})")(s), rows(s, float(alpha)), rtol=1e-9, atol=1e-12)
    if alpha == "2":
        torch.testing.assert_close(build("sparsemax[m](s)")(s), rows(s, 2.0), rtol=1e-12, atol=1e-12)


def test_sparsemax_is_the_nearest_distribution() -> None:
    for seed in range(5):
        s = draw(4, 6, seed=seed)
        want = torch.tensor([enumerated(r) for r in s.tolist()], dtype=torch.float64)
        torch.testing.assert_close(build("sparsemax[m](s)")(s), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("body", ["sparsemax[m](s)", *(f"entmax[m](s, {a})" for a in ALPHAS)])
def test_ties_single_scores_and_single_precision(body: str) -> None:
    net = build(body)
    same = net(torch.full((2, 5), 3.0, dtype=torch.float64))
    torch.testing.assert_close(same, torch.full((2, 5), 0.2, dtype=torch.float64))
    torch.testing.assert_close(net(draw(3, 1)), torch.ones(3, 1, dtype=torch.float64))
    far = torch.tensor([[0.0, 50.0, 50.0, -1e9]], dtype=torch.float64)
    torch.testing.assert_close(net(far), torch.tensor([[0.0, 0.5, 0.5, 0.0]], dtype=torch.float64))
    s = draw(6, 8)
    torch.testing.assert_close(build(body, dtype=torch.float32)(s.float()).double(), net(s), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_jacobian_is_the_closed_form(alpha: str) -> None:
    """`diag(u) - u u^T / sum u` with `u = p^(2 - alpha)` on the support: Peters et al. 2019, Proposition 2."""
    net = build(f"entmax[m](s, {alpha})")
    for seed in range(4):
        s = draw(1, 6, seed=seed, scale=1.5)
        p = net(s)[0]
        u = torch.where(p > 0, p.clamp(min=1e-300) ** (2 - float(alpha)), 0.0)
        want = torch.diag(u) - torch.outer(u, u) / u.sum()
        have = torch.autograd.functional.jacobian(net, s)[0, :, 0]
        torch.testing.assert_close(have, want, rtol=1e-9, atol=1e-10)


def test_the_jacobian_of_sparsemax_is_a_projection() -> None:
    net = build("sparsemax[m](s)")
    s = draw(1, 8)
    support = (net(s)[0] > 0).double()
    have = torch.autograd.functional.jacobian(net, s)[0, :, 0]
    torch.testing.assert_close(have, torch.diag(support) - torch.outer(support, support) / support.sum(), rtol=0, atol=1e-14)
    torch.testing.assert_close(have @ have, have, rtol=0, atol=1e-14)


MASKED = ["sparsemax[m]({})", "entmax[m]({}, 1.5)", "entmax[m]({}, 1.3)", "entmax[m]({}, 3)", "sinkhorn[n, m]({}, steps=2)"]


@pytest.mark.parametrize("body", MASKED)
@pytest.mark.parametrize("mask", ["s", "mask(m < n, s)", "mask(m != n, s)"])
def test_gradients_of_first_and_second_order(body: str, mask: str) -> None:
    net = build(body.format(mask))
    s = draw(4, 4, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(net, (s,))
    assert torch.autograd.gradgradcheck(net, (s,))


@pytest.mark.parametrize("body", MASKED[:4])
def test_what_is_masked_takes_no_part_and_a_row_of_nothing_is_zero(body: str) -> None:
    s = draw(5, 6).requires_grad_()
    p = build(body.format("causal[m < n](s)"))(s)
    plain = build(body.format("s"))
    for i in range(5):
        want = torch.zeros(6, dtype=torch.float64)
        if i:
            want[:i] = plain(s[i : i + 1, :i])[0]
        torch.testing.assert_close(p[i], want, rtol=1e-12, atol=1e-12)
    (g,) = torch.autograd.grad((p * draw(5, 6, seed=1)).sum(), s)
    assert torch.isfinite(g).all()
    assert (g.triu() == 0).all()


@pytest.mark.parametrize("word", ["sparsemax[{}](s)", "entmax[{}](s, 1.5)", "entmax[{}](s, 1.3)"])
def test_several_axes_are_one_distribution_and_the_rest_are_lifts(word: str) -> None:
    x = draw(2, 5, 4, 3, seed=2)
    one = build(word.format("m"))
    want = one(x.permute(0, 2, 1, 3).reshape(8, 15)).view(2, 4, 5, 3).permute(0, 2, 1, 3)
    for axes in ("n, p", "p, n"):
        have = build(word.format(axes), "(s: [n, m, p]) -> [n, m, p]", ("b",))(x)
        torch.testing.assert_close(have, want, rtol=1e-12, atol=1e-12)
    hidden = build(word.format("n, p").replace("(s", "(mask(n < m, s)"), "(s: [n, m, p]) -> [n, m, p]")(x[0])
    assert (hidden[:, 0] == 0).all()
    torch.testing.assert_close(hidden.sum((0, 2)), torch.tensor([0.0, 1, 1, 1], dtype=torch.float64))


def test_alpha_may_be_a_wire_with_its_own_gradient() -> None:
    net = build("entmax[m](s, 1 + sigmoid(a))", "(s: [n, m], a: [h]) -> [h, n, m]")
    s, a = draw(3, 5).requires_grad_(), draw(2, seed=1).requires_grad_()
    want = torch.stack([rows(s.detach(), 1 + 1 / (1 + math.exp(-x))) for x in a.tolist()])
    torch.testing.assert_close(net(s, a), want, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(net, (s, a))
    masked = build("entmax[m](mask(m < n, s), 1 + sigmoid(a))", "(s: [n, m], a: [h]) -> [h, n, m]")
    assert torch.autograd.gradcheck(masked, (s, a))
    assert (masked(s, a)[:, 0] == 0).all()
    single = build("entmax[m](s, alpha=t)", "(s: [n, m], t: []) -> [n, m]")
    torch.testing.assert_close(single(s, torch.tensor(1.5, dtype=torch.float64)), build("entmax[m](s, 1.5)")(s), rtol=1e-9, atol=1e-12)


def scaled(s: Tensor, steps: int, first: int, last: int) -> Tensor:
    w = torch.exp(s)
    for _ in range(steps):
        for dim in (first, last):
            total = w.sum(dim, keepdim=True)
            w = torch.where(total > 0, w / torch.where(total > 0, total, 1.0), 0.0)
    return w


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_sinkhorn_normalises_the_first_axis_then_the_last(steps: int) -> None:
    s = draw(4, 6)
    torch.testing.assert_close(build(f"sinkhorn[n, m](s, steps={steps})")(s), scaled(s, steps, 0, 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(build(f"sinkhorn[m, n](s, {steps})")(s), scaled(s, steps, 1, 0), rtol=1e-12, atol=1e-12)
    causal = build(f"sinkhorn[n, m](causal[m < n](s), steps={steps})")(s)
    want = scaled(s.masked_fill(~torch.ones(4, 6, dtype=torch.bool).tril(-1), -math.inf), steps, 0, 1)
    torch.testing.assert_close(causal, want, rtol=1e-12, atol=1e-12)
    x = draw(3, 2, 4, 5)
    have = build(f"sinkhorn[n, m](s, steps={steps})", "(s: [n, h, m]) -> [h, n, m]", ("b",))(x.permute(0, 2, 1, 3))
    want = torch.stack([torch.stack([scaled(x[b, h], steps, 0, 1) for h in range(2)]) for b in range(3)])
    torch.testing.assert_close(have, want, rtol=1e-12, atol=1e-12)


def test_sinkhorn_tends_to_a_doubly_stochastic_matrix() -> None:
    w = build("sinkhorn[n, m](s, steps=200)")(draw(6, 6, scale=3.0))
    torch.testing.assert_close(w.sum(0), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(w.sum(1), torch.ones(6, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("body", MASKED)
def test_they_are_mapped_transformed_and_exported(body: str) -> None:
    net = build(body.format("causal[m <= n](s)"))
    x = draw(3, 4, 4)
    torch.testing.assert_close(torch.func.vmap(net)(x), torch.stack([net(s) for s in x]))
    jacobian = torch.func.jacrev(net)(x[0])
    torch.testing.assert_close(torch.func.jacfwd(net)(x[0]), jacobian)
    exported = torch.export.export(net, (x[0],)).module()
    torch.testing.assert_close(exported(x[1]), net(x[1]))


def test_what_is_known_of_them_for_free() -> None:
    def known(body: str):
        text = "axis n, m = n, d\ndiagram it(x: [n, d]) -> [n, d] { z = x[n -> m] s = dot[d](x, z) out dot[m](" + body + ", z) }"
        return analyse(anatomy.parse(text)["it"])

    for body in ("sparsemax[m](causal[m <= n](s))", "entmax[m](causal[m <= n](s), 1.5)", "entmax[m](causal[m <= n](s), 1 + sigmoid(sum[d](x)))"):
        assert known(body).causal
        assert known(body.replace("causal[m <= n](s)", "s")).equivariant
        assert not known(body.replace("causal[m <= n](s)", "s")).causal
    whole = known("sinkhorn[n, m](causal[m <= n](s), steps=2)")
    assert not whole.causal, "the sum over a column sees later rows"
    assert known("sinkhorn[n, m](s, steps=2)").equivariant
    assert str(known("sinkhorn[n, m](s, steps=4)").flops - known("sinkhorn[n, m](s, steps=3)").flops) == "10 * n^2"


def test_they_print_as_what_they_are() -> None:
    for body in (*MASKED, "entmax[m]({}, 1 + sigmoid(sum[m](s)))", "sinkhorn[m, n]({}, 1)", "shift[n]({}, by=2)"):
        it = anatomy.parse(f"{AXES}diagram it(s: [n, m]) -> [n, m] {{ out {body.format('s')} }}")["it"]
        assert digest(anatomy.parse(unparse(it))["it"]) == digest(it)
    assert digest(anatomy.parse(f"{AXES}diagram a(s: [n, m]) -> [n, m] {{ out sinkhorn[n, m](s, 2) }}")["a"]) != digest(
        anatomy.parse(f"{AXES}diagram a(s: [n, m]) -> [n, m] {{ out sinkhorn[m, n](s, 2) }}")["a"]
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("entmax[m](s, 1)", "E209"),
        ("entmax[m](s, -2)", "E209"),
        ("entmax[m](s)", "E302"),
        ("entmax[m](s, 1.5, alpha=2)", "E209"),
        ("entmax[m, alpha=1.5](s, 2)", "E209"),
        ("entmax[m](s, beta=2)", "E209"),
        ("entmax[m](s, s)", "E308"),
        ("sinkhorn[n](s, 2)", "E311"),
        ("sinkhorn[n, m](s, 0)", "E209"),
        ("sinkhorn[n, m](s, 1.5)", "E209"),
        ("sinkhorn[n, m](s)", "E302"),
        ("sparsemax(s)", "E209"),
        ("sparsemax[p](s)", "E306"),
        ("exp(s, by=2)", "E209"),
    ],
)
def test_what_is_refused(body: str, code: str) -> None:
    with pytest.raises(AnatomyError) as caught:
        anatomy.parse(f"{AXES}diagram it(s: [n, m]) -> [n, m] {{ out {body} }}")
    assert [d.code for d in caught.value.diagnostics] == [code]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("excess", [1e-3, 1e-6, 1e-7])
def test_entmax_near_one_is_softmax_also_in_its_gradients(excess: float, dtype: torch.dtype) -> None:
    """`d p_i / d alpha` at 1 is `p_i (E[y^2] - y_i^2) / 2` with `y = log p`; a learned `1 + sigmoid(a)` gets there."""
    net = build("entmax[m](s, a)", "(s: [n, m], a: [n]) -> [n, m]", dtype=dtype)
    s, a = draw(4, 5).to(dtype).requires_grad_(), torch.full((4,), 1 + excess, dtype=dtype, requires_grad=True)
    p = net(s, a)
    soft = torch.softmax(s, -1)
    torch.testing.assert_close(p, soft, rtol=0, atol=3 * excess + 1e-6)
    torch.testing.assert_close(p.sum(-1), torch.ones(4, dtype=dtype), rtol=0, atol=1e-6)
    y = soft.log()
    slopes = soft * ((soft * y.square()).sum(-1, keepdim=True) - y.square()) / 2
    ds, da = torch.autograd.grad(p[:, 1].sum(), (s, a))
    torch.testing.assert_close(da, slopes[:, 1], rtol=0.02, atol=2e-3)
    (want,) = torch.autograd.grad(soft[:, 1].sum(), s)
    torch.testing.assert_close(ds, want, rtol=0, atol=3 * excess + 1e-5)
    assert net(s, torch.ones_like(a)).isfinite().all()
    assert net(torch.full_like(s, math.nan), a).isnan().all()
