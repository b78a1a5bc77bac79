"""Compiled loops against recurrences written by hand in float64: values, gradients, lifts, one step and many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

import anatomy
from anatomy.compiler import build
from anatomy.compiler.passes import ALL
from anatomy.errors import Source
from anatomy.ir.analysis import analyse
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program

AXES = "axis n, m, d, h, e, f = e, c, r, l, j = 4 "
LOOPS = tuple(n for n in ALL if n != "closed")
SIZES = {"n": 7, "m": 3, "d": 3, "h": 2, "e": 4, "f": 4, "c": 2, "r": 2}


def diagram(text: str) -> Diagram:
    program = Program.of(Source("loop.anat", AXES + text))
    assert not [d for d in program.check() if d.severity == "error"]
    return program.get(program.names()[-1])


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    n = q.shape[0]
    return torch.stack([sum((q[i] @ k[j]) * v[j] for j in range(i + 1)) for i in range(n)])  # type: ignore[misc]


def retention(q: Tensor, k: Tensor, v: Tensor, gamma: Tensor) -> Tensor:
    """Heads in front, by the parallel form of the paper: (Q K^T * D) V, D_nm = gamma^(n - m)."""
    n = q.shape[0]
    i = torch.arange(n)
    decay = gamma[:, None, None] ** (i[:, None] - i[None]).clamp(min=0) * (i[:, None] >= i[None])
    return torch.einsum("nhe,mhe,hnm,mhf->nhf", q, k, decay, v)


def gated(k: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    s, out = torch.zeros(k.shape[1], v.shape[1], dtype=k.dtype), []
    for i in range(k.shape[0]):
        out.append(s)
        s = torch.diag(a[i]) @ s + torch.outer(k[i], v[i])
    return torch.stack(out), s


def delta(q: Tensor, k: Tensor, v: Tensor, b: Tensor) -> Tensor:
    s, out = torch.zeros(v.shape[1], k.shape[1], dtype=k.dtype), []
    for i in range(k.shape[0]):
        s = s @ (torch.eye(k.shape[1], dtype=k.dtype) - b[i] * torch.outer(k[i], k[i])) + b[i] * torch.outer(v[i], k[i])
        out.append(s @ q[i])
    return torch.stack(out)


def gated_delta(q: Tensor, k: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    s, out = torch.full((k.shape[1], v.shape[1]), 0.5, dtype=k.dtype), []
    for i in range(k.shape[0]):
        s = a[i] * (s - 0.3 * torch.outer(k[i], k[i] @ s)) + 0.3 * torch.outer(k[i], v[i])
        out.append(s.T @ q[i])
    return torch.stack(out), s


def average(x: Tensor, p: Tensor) -> Tensor:
    n = x.shape[0]
    return torch.stack([0.75**i * p + sum((0.25 * 0.75 ** (i - 1 - j) * x[j] for j in range(i)), 0 * p) for i in range(n)])


def written_over(x: Tensor, r: Tensor) -> Tensor:
    s, out = torch.full_like(x[0], 2.0), []
    for row, sign in zip(x, r, strict=True):
        s = row / 2 if sign > 0 else -s
        out.append(s)
    return torch.stack(out)


def elman(x: Tensor, u: Tensor, w: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    out = []
    for row in x:
        h = torch.tanh(row @ u + h @ w)
        out.append(h)
    return torch.stack(out), h


def lstm(x: Tensor, w: Tensor) -> Tensor:
    """x: [n, d], w: [d + e, 4, e]"""
    e = w.shape[2]
    y, s, out = torch.zeros(e, dtype=x.dtype), torch.zeros(e, dtype=x.dtype), []
    for row in x:
        i, o, f, z = torch.einsum("a,abc->bc", torch.cat([row, y]), w)
        s = f.sigmoid() * s + i.sigmoid() * z.tanh()
        y = o.sigmoid() * s.tanh()
        out.append(y)
    return torch.stack(out)


def fibonacci(x: Tensor) -> Tensor:
    a, b, out = 0.0 * x[0], 1.0 + 0.0 * x[0], []
    for row in x:
        out.append(a)
        a, b = b + row, a * row
    return torch.stack(out)


def grid(x: Tensor) -> Tensor:
    """Two loops, one in the other: x: [n, c, d]."""
    s, out = torch.zeros(x.shape[2], dtype=x.dtype), []
    for plane in x:
        for row in plane:
            s = torch.tanh(s + row)
        out.append(s)
    return torch.stack(out)


def delayed(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cat([torch.full_like(x[:1], 0.5), x[:-1]]), x[-1]


def running_softmax(s: Tensor, v: Tensor) -> Tensor:
    return torch.stack([torch.softmax(s[: i + 1], 0) @ v[: i + 1] for i in range(s.shape[0])])


def normalised(x: Tensor) -> Tensor:
    s, out = torch.ones(x.shape[1], dtype=x.dtype), []
    for row in x:
        s = torch.softmax(s * row, 0)
        out.append(s)
    return torch.stack(out)


@dataclass(frozen=True)
class Case:
    text: str
    inputs: tuple[str, ...]
    oracle: Callable[..., object]


CASES = {
    "linear attention": Case(
        "diagram t(q: [n, e], k: [n, e], v: [n, d]) -> [n, d] { scan n (s: [e, d] = 0) { s2 = s + k * v next s = s2 out dot[e](q, s2) } }",
        ("ne", "ne", "nd"), linear_attention,
    ),
    "retention": Case(
        "diagram t(q: [n, h, e], k: [n, h, e], v: [n, h, d], a: [h]) -> [n, h, d] {"
        "simd h { scan n (s: [e, d] = 0) { s2 = a * s + k * v next s = s2 y = dot[e](q, s2) } } out y }",
        ("nhe", "nhe", "nhd", "h"), retention,
    ),
    "gated": Case(
        "diagram t(k: [n, e], v: [n, d], a: [n, e]) -> [n, e, d], [e, d] { scan n (s: [e, d] = 0) { next s = a * s + k * v } out s, s.last }",
        ("ne", "nd", "ne"), gated,
    ),
    "delta rule": Case(
        "diagram t(q: [n, e], k: [n, e], v: [n, d], b: [n]) -> [n, d] {"
        "scan n (s: [e, d] = 0) { s2 = s + b * k * (v - dot[e](k, s)) next s = s2 out dot[e](q, s2) } }",
        ("ne", "ne", "nd", "n"), delta,
    ),
    "gated delta rule": Case(
        "diagram t(q: [n, e], k: [n, e], v: [n, d], a: [n]) -> [n, d], [e, d] {"
        "scan n (s: [e, d] = 0.5) { old = a * s s2 = old + 0.3 * k * (v - dot[e](k, old)) next s = s2 y = dot[e](q, s2) } out y, s.last }",
        ("ne", "ne", "nd", "n"), gated_delta,
    ),
    "moving average": Case(
        "diagram t(x: [n, d], p: [d]) -> [n, d] { scan n (s: [d] = p) { next s = s + (x - s) * 0.25 } out s }", ("nd", "d"), average,
    ),
    "written over": Case(
        "diagram t(x: [n, d], z: [n]) -> [n, d] { scan n (s: [d] = 2) { s2 = where(0 < z, x / 2, -s) next s = s2 } out s2 }", ("nd", "n"), written_over,
    ),
    "rnn": Case(
        "diagram t(x: [n, d], u: [d, e], w: [e, f], h0: [e]) -> [n, e], [e] {"
        "scan n (s: [e] = h0) { s2 = tanh(dot[d](x, u) + dot[e](s, w)[f -> e]) next s = s2 } out s2, s.last }",
        ("nd", "de", "ef", "e"), elman,
    ),
    "lstm": Case(
        "diagram t(x: [n, d], w: [l, j, e]) -> [n, e] where l = d + e { scan n (y: [e] = 0, s: [e] = 0) {"
        "z = dot[l](cat[d, e -> l](x, y), w) i = sum[j](where(iota[j] == 0, z, 0)) o = sum[j](where(iota[j] == 1, z, 0))"
        "p = sum[j](where(iota[j] == 2, z, 0)) t = sum[j](where(iota[j] == 3, z, 0))"
        "s2 = sigmoid(p) * s + sigmoid(i) * tanh(t) next s = s2 y2 = sigmoid(o) * tanh(s2) next y = y2 } out y2 }",
        ("nd", "L"), lstm,
    ),
    "two states": Case(
        "diagram t(x: [n, d]) -> [n, d] { scan n (s: [d] = 0, z: [d] = 1) { next s = z + x next z = s * x } out s }", ("nd",), fibonacci
    ),
    "a loop in a loop": Case(
        "diagram t(x: [n, c, d]) -> [n, d] { scan n (s: [d] = 0) { scan c (z: [d] = s) { next z = tanh(z + x) } s2 = z.last next s = s2 } out s2 }",
        ("ncd",), grid,
    ),
    "delay": Case("diagram t(x: [n, d]) -> [n, d], [d] { scan n (s: [d] = 0.5) { next s = x } out s, s.last }", ("nd",), delayed),
    "running softmax": Case(
        "diagram t(s: [n], v: [n, d]) -> [n, d] { scan n (top: [] = -100, z: [] = 0, y: [d] = 0) { t2 = max(top, s)"
        "old = exp(top - t2) new = exp(s - t2) z2 = z * old + new y2 = y * old + new * v next top = t2 next z = z2 next y = y2 } out y2 / z2 }",
        ("n", "nd"), running_softmax,
    ),
    "a box over an axis of the state": Case(
        "diagram t(x: [n, d]) -> [n, d] { scan n (s: [d] = 1) { s2 = softmax[d](s * x) next s = s2 } out s2 }", ("nd",), normalised
    ),
}  # fmt: skip


CLOSED = {"linear attention", "retention", "gated", "delta rule", "gated delta rule", "delay", "moving average", "written over"}
"""Those that have a closed form."""


def tensors(case: Case, sizes: dict[str, int], seed: int = 0, lift: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for axes in case.inputs:
        shape = [sizes["d"] + sizes["e"], 4, sizes["e"]] if axes == "L" else [sizes[a] for a in axes]
        value = torch.randn(*([lift] if lift else []), *shape, generator=generator, dtype=torch.float64)
        made.append((0.9 * torch.sigmoid(value) if axes in ("h", "n") and len(case.inputs) == 4 else value).requires_grad_())
    return made


def results(given: object) -> list[Tensor]:
    return list(given) if isinstance(given, tuple) else [given]  # type: ignore[list-item]


def compare(found: object, wanted: object, inputs: list[Tensor]) -> None:
    for a, b in zip(results(found), results(wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
        seed = torch.randn(b.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for p, q in zip(*(gradients(y, seed, inputs) for y in (a, b)), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-9)


def gradients(y: Tensor, seed: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Zeros where there is no way from an input to the result."""
    if not y.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad((y * seed).sum(), inputs, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", CASES)
def test_the_recurrence(name: str, steps: int) -> None:
    case = CASES[name]
    sizes = SIZES | {"n": steps}
    inputs = tensors(case, sizes)
    for parallel in (False, True):
        net = build(diagram(case.text), sizes, passes=ALL if parallel else LOOPS)
        assert (" in " not in net.source.partition("def forward")[2]) == (parallel and name in CLOSED)
        compare(net(*inputs), case.oracle(*inputs), inputs)


@pytest.mark.parametrize("name", CASES)
def test_a_batch_in_front(name: str) -> None:
    case = CASES[name]
    inputs = tensors(case, SIZES, lift=3)
    one_by_one = [results(case.oracle(*(x[i] for x in inputs))) for i in range(3)]
    wanted = tuple(torch.stack(column) for column in zip(*one_by_one, strict=True))
    for parallel in (False, True):
        net = build(diagram(case.text), SIZES, lift=("b",), passes=ALL if parallel else LOOPS)
        compare(net(*inputs), wanted if len(wanted) > 1 else wanted[0], inputs)


@pytest.mark.parametrize("name", CASES)
def test_the_dtype_follows_the_inputs(name: str) -> None:
    case = CASES[name]
    net = anatomy.compile(diagram(case.text), SIZES)
    inputs = [x.detach().float() for x in tensors(case, SIZES)]
    for y in results(net(*inputs)):
        assert y.dtype == torch.float32


@pytest.mark.parametrize("name", CASES)
def test_the_past_only(name: str) -> None:
    """A result at position n depends on inputs up to n; analysis says so, and so do the derivatives."""
    case = CASES[name]
    d = diagram(case.text)
    inputs = tensors(case, SIZES)
    y = results(anatomy.compile(d, SIZES)(*inputs))[0]
    if all(axes.count("n") or len(axes) == 1 for axes in case.inputs) and name not in ("a loop in a loop", "lstm"):
        assert analyse(replace(d, outputs=d.outputs[:1])).causal
    y[3].sum().backward()
    for axes, x in zip(case.inputs, inputs, strict=True):
        if axes.startswith("n") and x.grad is not None:
            assert not x.grad[4:].any()
            if name in ("gated", "delay", "two states"):
                assert not x.grad[3:].any(), "the state before the step knows nothing of the step"


def test_many_steps() -> None:
    net = anatomy.compile(diagram(CASES["rnn"].text))
    inputs = tensors(CASES["rnn"], SIZES | {"n": 2000})
    compare(net(*inputs), elman(*inputs), inputs)


@pytest.mark.parametrize("name", CASES)
def test_exported_with_a_fixed_number_of_steps(name: str) -> None:
    case = CASES[name]
    net = anatomy.compile(diagram(case.text), SIZES)
    inputs = [x.detach() for x in tensors(case, SIZES)]
    exported = torch.export.export(net, tuple(inputs)).module()
    for a, b in zip(results(exported(*inputs)), results(net(*inputs)), strict=True):
        torch.testing.assert_close(a, b)
