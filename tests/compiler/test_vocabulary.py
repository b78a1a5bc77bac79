"""Every operation of the vocabulary, typed, lowered and compared with PyTorch in float64, plain and with lifts."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import anatomy
from anatomy.ops import OPS

AXES = "axis n, m, p, c, r, e, k\n"


def evaluate(signature: str, body: str, xs: list[Tensor], where: str = "", lift: tuple[str, ...] = (), **given: int) -> Tensor:
    text = f"{AXES}diagram it{signature} {where and 'where ' + where} {{ {body} }}"
    net = anatomy.compile(anatomy.parse(text)["it"], given, lift=lift, dtype=torch.float64)
    return net(*xs)


def draw(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(s, dtype=torch.float64, generator=g) for s in shapes]


def same(have: Tensor, want: Tensor, tolerance: float = 1e-12) -> None:
    assert have.shape == want.shape
    torch.testing.assert_close(have, want, rtol=tolerance, atol=tolerance)


UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp, "abs": torch.abs, "sign": torch.sign, "floor": torch.floor, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "relu": lambda x: x.clamp(min=0), "gelu": lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2, "silu": lambda x: x / (1 + torch.exp(-x)),
    "softplus": lambda x: torch.log1p(torch.exp(x)), "elu": lambda x: torch.where(x > 0, x, torch.expm1(x.clamp(max=0))),
    "sin": torch.sin, "cos": torch.cos, "square": lambda x: x * x, "stop": lambda x: x, "-": lambda x: -x,
    "log": torch.log, "sqrt": torch.sqrt,
}  # fmt: skip


@pytest.mark.parametrize("word", UNARY)
def test_elementwise(word: str) -> None:
    (x,) = draw((5, 4))
    if word in ("log", "sqrt"):
        x = x.abs() + 0.1
    x.requires_grad_(word != "stop")
    have = evaluate("(x: [n, m]) -> [n, m]", f"out {word}(x)", [x])
    want = UNARY[word](x)
    same(have, want)
    if word != "stop":
        (a,) = torch.autograd.grad(have.sum(), x)
        (b,) = torch.autograd.grad(want.sum(), x)
        same(a, b, 1e-10)


@pytest.mark.parametrize("word", UNARY)
def test_elementwise_of_a_number_and_of_a_size(word: str) -> None:
    (x,) = draw((5,))
    value = torch.tensor(5.0, dtype=torch.float64)
    same(evaluate("(x: [n]) -> [n]", f"out x + {word}(5)", [x]), x + UNARY[word](value))
    same(evaluate("(x: [n]) -> [n]", f"out x + {word}(size[n])", [x]), x + UNARY[word](value))
    same(evaluate("(x: [n]) -> [n]", f"out x + {word}(size[n])", [x], n=5), x + UNARY[word](value))
    same(evaluate("(x: [n]) -> [n]", f"out x * {word}(iota[n] + 1)", [x]), x * UNARY[word](torch.arange(1, 6).double()))


def test_stop_stops_the_gradient_and_nothing_else() -> None:
    (x,) = draw((5,))
    x.requires_grad_()
    y = evaluate("(x: [n]) -> [n]", "out x * stop(x)", [x])
    (g,) = torch.autograd.grad(y.sum(), x)
    same(g, x.detach())


BINARY = {"+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div}


@pytest.mark.parametrize("sign", BINARY)
def test_arithmetic_broadcasts_by_name(sign: str) -> None:
    x, y, z = draw((5, 4), (4, 5), (4,))
    same(evaluate("(x: [n, m], y: [m, n]) -> [n, m]", f"out x {sign} y", [x, y]), BINARY[sign](x, y.T))
    same(evaluate("(x: [n, m], y: [m]) -> [m, n]", f"out x {sign} y", [x, z]), BINARY[sign](x, z).T)
    same(evaluate("(x: [n, m]) -> [n, m]", f"out 3 {sign} x", [x]), BINARY[sign](torch.tensor(3.0), x))
    same(evaluate("(x: [n, m]) -> [n, m]", f"out x {sign} size[m]", [x]), BINARY[sign](x, torch.tensor(4.0)))
    same(evaluate("(x: [n]) -> [n]", f"out x + (7 {sign} 2)", [x[:, 0]]), x[:, 0] + BINARY[sign](torch.tensor(7.0), torch.tensor(2.0)).double())


def test_power_and_precedence() -> None:
    (x,) = draw((5,))
    x = x.abs() + 0.5
    same(evaluate("(x: [n]) -> [n]", "out -x ^ 2", [x]), -(x**2))
    same(evaluate("(x: [n]) -> [n]", "out 2 ^ x ^ 2", [x]), 2 ** (x**2))
    same(evaluate("(x: [n]) -> [n]", "out x ^ -0.5", [x]), x**-0.5)
    same(evaluate("(x: [n]) -> [n]", "out x + 2 ^ 10 + 2 ^ -1 + 9 ^ 0.5", [x]), x + 1024 + 0.5 + 3)
    same(evaluate("(x: [n]) -> [n]", "out 2 ^ (-8 * (iota[n] + 1) / size[n]) + x", [x]), 2 ** (-8 * torch.arange(1, 6).double() / 5) + x)
    same(evaluate("(x: [n]) -> [n]", "out x * (-2) ^ 3 - 2 - 3", [x]), x * -8 - 5)
    same(evaluate("(x: [n]) -> [n]", "out x / 2 / 4 - (1 - (2 - x))", [x]), x / 8 - (1 - (2 - x)))


def test_entrywise_extrema_and_where() -> None:
    x, y = draw((5, 4), (4,))
    same(evaluate("(x: [n, m], y: [m]) -> [n, m]", "out max(x, y)", [x, y]), torch.maximum(x, y))
    same(evaluate("(x: [n, m], y: [m]) -> [n, m]", "out min(y, x)", [x, y]), torch.minimum(x, y))
    same(evaluate("(x: [n, m]) -> [n, m]", "out max(0.5, x)", [x]), x.clamp(min=0.5))
    same(evaluate("(x: [n, m], y: [m]) -> [n, m]", "out where(x < y, x, -1)", [x, y]), torch.where(x < y, x, -1.0))
    same(evaluate("(x: [n, m]) -> [n, m]", "simd n, m { out where(m <= n, x, 0) }", [x]), x.tril())
    same(evaluate("(g: mask[n], x: [n, m]) -> [n, m]", "out where(not g, 1, x)", [x[:, 0] > 0, x]), torch.where(x[:, :1] > 0, x, 1.0))


def joint(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The axes moved to the end and made one."""
    rest = [d for d in range(x.dim()) if d not in dims]
    return x.permute(*rest, *dims).flatten(len(rest))


REDUCE = {
    "sum": lambda x: x.sum(-1), "mean": lambda x: x.mean(-1), "max": lambda x: x.max(-1).values, "min": lambda x: x.min(-1).values,
    "logsumexp": lambda x: x.exp().sum(-1).log(),
}  # fmt: skip


@pytest.mark.parametrize("word", REDUCE)
def test_reductions_over_one_and_several_axes(word: str) -> None:
    (x,) = draw((5, 4, 3))
    same(evaluate("(x: [n, m, p]) -> [n, p]", f"out {word}[m](x)", [x]), REDUCE[word](joint(x, (1,))))
    same(evaluate("(x: [n, m, p]) -> [m]", f"out {word}[p, n](x)", [x]), REDUCE[word](joint(x, (0, 2))))
    same(evaluate("(x: [n, m, p]) -> []", f"out {word}[p, n, m](x)", [x]), REDUCE[word](x.flatten()))
    y = draw((2, 5, 4, 3), seed=1)[0]
    same(evaluate("(x: [n, m, p]) -> [m]", f"out {word}[p, n](x)", [y], lift=("b",)), REDUCE[word](joint(y, (1, 3))))


def test_cumsum_is_inclusive() -> None:
    (x,) = draw((5, 4))
    same(evaluate("(x: [n, m]) -> [n, m]", "out cumsum[n](x)", [x]), torch.stack([x[: i + 1].sum(0) for i in range(5)]))
    same(evaluate("(x: [n, m]) -> [m, n]", "out cumsum[m](x)", [x]), x.cumsum(1).T)


def test_contraction() -> None:
    a, b, c = draw((5, 4), (4, 3), (3, 5))
    same(evaluate("(A: [n, m], B: [m, p]) -> [n, p]", "out dot[m](A, B)", [a, b]), a @ b)
    same(evaluate("(A: [n, m], B: [m, p]) -> [p, n]", "out dot[m](A, B)", [a, b]), (a @ b).T)
    same(evaluate("(A: [n, m], B: [m, p], C: [p, n]) -> []", "out dot[n, m, p](A, B, C)", [a, b, c]), (a @ b @ c).trace())
    same(evaluate("(A: [n, m], B: [m, p], C: [p, n]) -> [n]", "out dot[m, p](A, B, C)", [a, b, c]), (a @ b @ c).diagonal())
    x, y = draw((5,), (5,))
    same(evaluate("(x: [n], y: [n]) -> []", "out dot[n](x, y)", [x, y]), x @ y)
    same(evaluate("(x: [n], y: [n]) -> [n]", "out sum[m](dot[m](expand[m](x), expand[m](y)) * expand[m](x))", [x, y], m=3), 9 * x * y * x)
    same(evaluate("(x: [n], y: [n]) -> []", "out 2 * dot[n](x, 3 * y)", [x, y]), 6 * (x @ y))


def test_lin_is_a_contraction_with_a_bias() -> None:
    (x,) = draw((5, 4))
    net = anatomy.compile(anatomy.parse(AXES + "diagram it(x: [n, m]) -> [n, p, c] { out lin W[m -> p, c](x) }")["it"], {"m": 4, "p": 3, "c": 2}, dtype=torch.float64)
    torch.nn.init.normal_(net.get_parameter("W_bias"))
    state = net.state_dict()
    same(net(x), functional.linear(x, state["W"].flatten(1).T, state["W.bias"].flatten()).view(5, 3, 2))
    lanes = anatomy.compile(anatomy.parse(AXES + "diagram it(x: [n, m]) -> [n, p] { out lin W[n; m -> p](x) }")["it"], {"n": 5, "m": 4, "p": 3}, dtype=torch.float64)
    state = lanes.state_dict()
    assert state["W"].shape == (5, 4, 3)
    assert state["W.bias"].shape == (5, 3)
    same(lanes(x), torch.stack([x[i] @ state["W"][i] + state["W.bias"][i] for i in range(5)]))
    again = anatomy.compile(anatomy.parse(AXES + "diagram it(x: [n, m]) -> [n, p] { out lin W[m -> p](x) + lin W(x * x) }")["it"], {"m": 4, "p": 3}, dtype=torch.float64)
    state = again.state_dict()
    assert set(state) == {"W", "W.bias"}
    same(again(x), (x + x * x) @ state["W"] + 2 * state["W.bias"])


def test_softmax_over_one_and_several_axes() -> None:
    (x,) = draw((5, 4, 3))
    for scale in (1.0, 1e3):
        y = x * scale
        same(evaluate("(x: [n, m, p]) -> [n, m, p]", "out softmax[m](x)", [y]), torch.softmax(y, 1))
        want = torch.softmax(y.permute(1, 0, 2).flatten(1), 1).view(4, 5, 3).permute(1, 0, 2)
        same(evaluate("(x: [n, m, p]) -> [n, m, p]", "out softmax[p, n](x)", [y]), want)
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", "simd n { out mask(m < 2, x) }", [x]), torch.where(torch.arange(4)[:, None] < 2, x, -math.inf))
    want = torch.zeros_like(x)
    want[:, :2] = torch.softmax(x[:, :2].flatten(1), 1).view(5, 2, 3)
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", "out softmax[m, p](mask(m < 2, x))", [x]), want)


NORMS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "layernorm": lambda x, eps: (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps).sqrt(),
    "rmsnorm": lambda x, eps: x / ((x**2).mean(-1, keepdim=True) + eps).sqrt(),
    "l2norm": lambda x, eps: x / ((x**2).sum(-1, keepdim=True) + eps).sqrt(),
    "l1norm": lambda x, eps: x / (x.abs().sum(-1, keepdim=True) + eps),
}


@pytest.mark.parametrize("word", NORMS)
def test_norms_over_one_and_several_axes(word: str) -> None:
    (x,) = draw((5, 4, 3))
    eps = 1e-5 if word in ("layernorm", "rmsnorm") else 0.0
    norm = NORMS[word]
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", f"out {word}[p](x)", [x]), norm(x, eps))
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", f"out {word}[m](x)", [x]), norm(x.transpose(1, 2), eps).transpose(1, 2))
    several = norm(x.permute(1, 0, 2).flatten(1), 0.25).view(4, 5, 3).permute(1, 0, 2)
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", f"out {word}[p, n, eps=0.25](x)", [x]), several)
    y = draw((2, 5, 4))[0]
    same(evaluate("(x: [n, m]) -> [m, n]", f"out {word}[n, m](x)", [y], lift=("b",)), norm(y.flatten(1), eps).view(2, 5, 4).transpose(1, 2))


def test_norms_do_not_depend_on_the_order_of_their_axes() -> None:
    (x,) = draw((5, 4))
    for word in NORMS:
        same(evaluate("(x: [n, m]) -> [n, m]", f"out {word}[n, m](x)", [x]), evaluate("(x: [n, m]) -> [n, m]", f"out {word}[m, n](x)", [x]))


def test_renames_and_expand() -> None:
    (x,) = draw((5, 5))
    text = "axis n, m = n, p\ndiagram it(x: [n, m]) -> [n, m] { out x[n -> m, m -> n] }"
    same(anatomy.compile(anatomy.parse(text)["it"], {})(x), x.T)
    same(evaluate("(x: [n, m]) -> [p, n, m, c]", "out expand[p, c](x)", [x], p=3, c=2), x[None, :, :, None].expand(3, 5, 5, 2))


def test_structure() -> None:
    (x,) = draw((5, 6))
    lo, hi = x[:, :3], x[:, 3:]
    same(evaluate("(x: [n, e]) -> [n, r]", "a, b = halves[e -> r](x)\n out a * b", [x], "e = 2 * r"), lo * hi)
    same(evaluate("(x: [n, e]) -> [n, e]", "a, b = halves[e -> r](x)\n out cat[r -> e](b, a)", [x], "e = 2 * r"), torch.cat([hi, lo], 1))
    y = draw((4, 3), (2, 3))
    same(evaluate("(x: [m, r], y: [c, r]) -> [r, k]", "out cat[m, c -> k](x, y)", y, "k = m + c"), torch.cat(y).T)
    z = draw((4, 3), (2,))
    same(evaluate("(x: [m, r], y: [c]) -> [k, r]", "out cat[m, c -> k](x, y)", z, "k = m + c"), torch.cat([z[0], z[1][:, None].expand(2, 3)]))
    u = draw((2, 4, 3))[0]
    one = torch.ones(2, 1, 3, dtype=u.dtype)
    same(evaluate("(x: [m, r]) -> [k, r]", "out cat[c, m -> k](expand[c](1), x)", [u], "k = 1 + m, c = 1", lift=("b",)), torch.cat([one, u], 1))
    same(evaluate("(x: [n, e]) -> [n, c, r]", "out split[e -> c, r](x)", [x], "e = c * r", r=3), x.view(5, 2, 3))
    same(evaluate("(x: [n, e]) -> [r, n, c]", "out split[e -> c, r](x)", [x], "e = c * r", c=2), x.view(5, 2, 3).permute(2, 0, 1))
    w = draw((2, 5, 3))[0]
    same(evaluate("(x: [c, n, r]) -> [n, e]", "out merge[c, r -> e](x)", [w], "e = c * r"), w.transpose(0, 1).reshape(5, 6))
    same(evaluate("(x: [c, n, r]) -> [n, e]", "out merge[r, c -> e](x)", [w], "e = c * r"), w.permute(1, 2, 0).reshape(5, 6))


@pytest.mark.parametrize("by", [0, 1, 3, 5, 9, -2, -7, 10**6])
def test_shift_fills_with_zeros(by: int) -> None:
    (x,) = draw((5, 4))
    want = torch.zeros_like(x)
    for i in range(5):
        if 0 <= i - by < 5:
            want[i] = x[i - by]
    same(evaluate("(x: [n, m]) -> [m, n]", f"out shift[n](x, {by})", [x]), want.T)


def test_positions_and_indices() -> None:
    (x,) = draw((5,))
    same(evaluate("(x: [n]) -> [n]", "out x * iota[n] + size[n]", [x]), x * torch.arange(5) + 5)
    same(evaluate("(x: [n]) -> [n]", "out index[r](x * 3) + 0 * x", [x], r=4), (x * 3).floor().clamp(0, 3))
    same(evaluate("(x: [n], i: index(r)[n]) -> [n]", "out x * i", [x, torch.tensor([0, 1, 2, 0, 1])], r=3), x * torch.tensor([0, 1, 2, 0, 1]))
    out = evaluate("(x: [n]) -> index(r)[n]", "out index[r](x)", [x], r=4)
    assert not out.requires_grad


PREDICATES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "m <= n": lambda i, j: j <= i, "m < n": lambda i, j: j < i, "m == n": lambda i, j: j == i, "m != n": lambda i, j: j != i,
    "m >= n": lambda i, j: j >= i, "m > n": lambda i, j: j > i, "n - m < 2": lambda i, j: i - j < 2, "abs(n - m) <= 1": lambda i, j: (i - j).abs() <= 1,
    "m <= n and n - m < 2": lambda i, j: (j <= i) & (i - j < 2), "m < 1 or m == n": lambda i, j: (j < 1) | (j == i),
    "not (m <= n)": lambda i, j: ~(j <= i), "not m <= n or m + 1 == n and n < 3": lambda i, j: ~(j <= i) | ((j + 1 == i) & (i < 3)),
    "2 * m <= n + 1": lambda i, j: 2 * j <= i + 1,
}  # fmt: skip


@pytest.mark.parametrize("predicate", PREDICATES)
def test_predicates_over_positions(predicate: str) -> None:
    (x,) = draw((5, 4))
    keep = PREDICATES[predicate](torch.arange(5)[:, None], torch.arange(4)[None])
    have = evaluate("(x: [n, m]) -> [n, m]", f"out mask({predicate}, x)", [x])
    same(have, x.masked_fill(~keep, -math.inf))
    same(evaluate("(x: [n, m]) -> [n, m]", f"simd n {{ simd m {{ out where({predicate}, x, 0) }} }}", [x]), x * keep)


def test_comparisons_of_wires_are_masks() -> None:
    x, y = draw((5, 4), (5, 4))
    same(evaluate("(x: [n, m], y: [n, m]) -> [n, m]", "out where(x < y and not (x < 0), x, y)", [x, y]), torch.where((x < y) & ~(x < 0), x, y))
    have = evaluate("(x: [n, m]) -> mask[n, m]", "out x <= 0", [x])
    assert have.dtype == torch.bool
    assert torch.equal(have, x <= 0)


def test_causal_in_every_direction_of_writing() -> None:
    (x,) = draw((5, 5))
    for predicate in ("m <= n", "n >= m", "m < n", "m <= n and n - m < 2", "m == n"):
        i, j = torch.arange(5)[:, None], torch.arange(5)[None]
        keep = {"m <= n": j <= i, "n >= m": j <= i, "m < n": j < i, "m == n": j == i}.get(predicate, (j <= i) & (i - j < 2))
        same(evaluate("(x: [n, m]) -> [n, m]", f"out causal[{predicate}](x)", [x]), x.masked_fill(~keep, -math.inf))


@pytest.mark.parametrize("axes", ["n", "m", "n, m", "m, n", "n, m, p"])
def test_fourier(axes: str) -> None:
    (x,) = draw((5, 4, 3))
    dims = tuple("nmp".index(a) for a in axes.split(", "))
    want = x.to(torch.complex128)
    for d in dims:  # one at a time, by the matrix of the transform
        size = x.shape[d]
        k = torch.arange(size, dtype=torch.float64)
        matrix = torch.polar(torch.ones(size, size, dtype=torch.float64), -2 * math.pi * torch.outer(k, k) / size)
        want = torch.tensordot(want, matrix, dims=([d], [0])).movedim(-1, d)
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", f"out fft_re[{axes}](x)", [x]), want.real)
    same(evaluate("(x: [n, m, p]) -> [n, m, p]", f"out fft_im[{axes}](x)", [x]), want.imag)


def test_several_results_and_constant_results() -> None:
    (x,) = draw((5, 4))
    text = AXES + "diagram it(x: [n, m]) -> [n], [m, n], [m] { out sum[m](x), x, iota[m] + 0 }"
    a, b, c = anatomy.compile(anatomy.parse(text)["it"], {}, lift=("b",))(x[None].expand(2, 5, 4))
    same(a, x.sum(1).expand(2, 5))
    same(b, x.T.expand(2, 4, 5))
    same(c, torch.arange(4).double().expand(2, 4))


def test_a_diagram_without_inputs() -> None:
    text = AXES + "diagram it() -> [n, m] { out iota[n] * 2 - iota[m] }"
    have = anatomy.compile(anatomy.parse(text)["it"], {"n": 3, "m": 2})()
    assert have.tolist() == [[0, -1], [2, 1], [4, 3]]


def test_every_operation_that_is_not_deferred_is_tried_here() -> None:
    import re
    from pathlib import Path

    text = "".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py")))
    words = {w for op in OPS for w in op.names if w[0].isalpha()}
    assert {w for w in words if not re.search(rf"\b{w}\b", text)} <= {"neg"}
