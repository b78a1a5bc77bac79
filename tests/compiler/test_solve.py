"""Triangular systems against substitution entry by entry."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import anatomy
from anatomy.errors import AnatomyError
from anatomy.ir.analysis import analyse

AXES = "axis n, m = n, p, h, e, c = n\n"


def build(body: str, head: str, lift: tuple[str, ...] = ()) -> torch.nn.Module:
    return anatomy.compile(anatomy.parse(f"{AXES}diagram it{head} {{ out {body} }}")["it"], {}, lift=lift, dtype=torch.float64)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrix(*shape: int, seed: int = 0) -> Tensor:
    a = draw(*shape, seed=seed)
    return a + 3 * torch.sign(a) * torch.eye(shape[-1], dtype=torch.float64)


def substituted(a: Tensor, b: Tensor, unit: bool) -> Tensor:
    """Rows of one system after another, `a` [n, n], `b` [n, k]."""
    x: list[Tensor] = []
    for i in range(len(a)):
        rest = b[i] - sum((a[i, j] * x[j] for j in range(i)), torch.zeros_like(b[i]))
        x.append(rest if unit else rest / a[i, i])
    return torch.stack(x)


@pytest.mark.parametrize("unit", [False, True])
def test_forward_substitution(unit: bool) -> None:
    option = ", unit=true" if unit else ""
    a, b = matrix(5, 5).requires_grad_(), draw(5, 3, seed=1).requires_grad_()
    net = build(f"solve_triangular[n, m{option}](a, b)", "(a: [n, m], b: [n, p]) -> [m, p]")
    want = substituted(a, b, unit)
    torch.testing.assert_close(net(a, b), want, rtol=1e-12, atol=1e-12)
    seed = draw(5, 3, seed=2)
    have, wanted = (torch.autograd.grad((y * seed).sum(), (a, b), retain_graph=True) for y in (net(a, b), want))
    for one, two in zip(have, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(net, (a, b))
    assert torch.autograd.gradgradcheck(net, (a, b))
    torch.testing.assert_close(build(f"solve_triangular[n, m{option}](a, b)", "(a: [n, m], b: [n]) -> [m]")(a, b[:, 0]), want[:, 0])


@pytest.mark.parametrize("unit", [False, True])
def test_what_stands_above_the_diagonal_is_not_read(unit: bool) -> None:
    net = build(f"solve_triangular[n, m, unit={'true' if unit else 'false'}](a, b)", "(a: [n, m], b: [n, p]) -> [m, p]")
    a, b = matrix(4, 4), draw(4, 2, seed=1)
    want = net(a, b)
    hidden = a.masked_fill(torch.ones(4, 4, dtype=torch.bool).triu(0 if unit else 1), 7.0).requires_grad_()
    torch.testing.assert_close(net(hidden, b), want, rtol=0, atol=0)
    (g,) = torch.autograd.grad(net(hidden, b).sum(), hidden)
    assert (g.triu(0 if unit else 1) == 0).all()


def test_lifts_of_the_matrix_of_the_side_and_of_both() -> None:
    a, b = matrix(2, 3, 4, 4), draw(2, 4, 3, 5, 2, seed=1)
    net = build("solve_triangular[n, m](a, b)", "(a: [h, n, m], b: [n, h, p, e]) -> [h, m, e, p]", ("b",))
    want = torch.stack([torch.stack([substituted(a[i, h], b[i, :, h].flatten(1), False).unflatten(1, (5, 2)) for h in range(3)]) for i in range(2)])
    torch.testing.assert_close(net(a, b), want.permute(0, 1, 2, 4, 3), rtol=1e-12, atol=1e-12)
    alone = build("solve_triangular[n, m](a, b)", "(a: [h, p, n, m], b: [n]) -> [h, p, m]")
    want = torch.stack([torch.stack([substituted(a[i, h], b[0, :, 0, 0, :1], False)[:, 0] for h in range(3)]) for i in range(2)])
    torch.testing.assert_close(alone(a, b[0, :, 0, 0, 0]), want, rtol=1e-12, atol=1e-12)
    side = build("solve_triangular[n, m](a, b)", "(a: [n, m], b: [h, n, p]) -> [m, h, p]")
    one = draw(3, 4, 5, seed=4)
    torch.testing.assert_close(side(a[0, 0], one), substituted(a[0, 0], one.transpose(0, 1).flatten(1), False).unflatten(1, (3, 5)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.func.vmap(side, (None, 0))(a[0, 0], one[None]), side(a[0, 0], one)[None])
    exported = torch.export.export(side, (a[0, 0], one)).module()
    torch.testing.assert_close(exported(a[0, 1], one), side(a[0, 1], one))


def test_the_closed_form_of_the_delta_rule() -> None:
    """`u_t = b_t (v_t - S_(t-1) k_t)`, `S_t = S_(t-1) + u_t k_t^T`: the updates solve a unit triangular system."""
    text = "diagram it(k: [n, e], v: [n, h], b: [n]) -> [n, h] { a = b * dot[e](k, k[n -> m]) out solve_triangular[n, m, unit=true](a, b * v)[m -> n] }"
    it = anatomy.parse(AXES + text)["it"]
    k, v, b = draw(6, 3), draw(6, 2, seed=1), torch.sigmoid(draw(6, seed=2))
    state, want = torch.zeros(2, 3, dtype=torch.float64), []
    for t in range(6):
        want.append(b[t] * (v[t] - state @ k[t]))
        state = state + torch.outer(want[-1], k[t])
    net = anatomy.compile(it, {}, dtype=torch.float64)
    torch.testing.assert_close(net(k, v, b), torch.stack(want), rtol=1e-12, atol=1e-12)
    found = analyse(it)
    assert found.causal
    assert not found.equivariant
    assert not analyse(anatomy.parse(AXES + "diagram it(k: [n, e], v: [n, h]) -> [n, h] { out solve_triangular[n, m](dot[e](k, k[n -> m]), v[n -> m][m -> n])[m -> n] + sum[m](v[n -> m]) }")["it"]).causal


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("solve_triangular[n, p](a[m -> p], b)[p -> m]", "E401"),
        ("solve_triangular[n](a, b)", "E311"),
        ("solve_triangular[n, m](a, b[n -> m])", "E306"),
        ("solve_triangular[n, m](a, a)", "E308"),
        ("solve_triangular[n, m, unit=2](a, b)", "E209"),
        ("solve_triangular[n, m](a)", "E302"),
    ],
)
def test_what_is_refused(body: str, code: str) -> None:
    axes = "axis n, m = n, p, h, e\n" if code != "E401" else "axis n, m, p = m\n"
    with pytest.raises(AnatomyError) as caught:
        anatomy.parse(f"{axes}diagram it(a: [n, m], b: [n]) -> [m] {{ out {body} }}")
    assert [d.code for d in caught.value.diagnostics] == [code]
