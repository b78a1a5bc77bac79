"""Recurrences in chunks against loops by hand in float64: values, gradients, starts, lanes, zeros among decays, and when they are used."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch
from torch import Tensor

import anatomy
from anatomy.compiler import ALL, build, generate
from anatomy.compiler.passes.recurrence import Recurrence
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import solve
from anatomy.language.program import Program
from tests.compiler.agreement import agree, sizes_of

torch.set_num_threads(1)
SIZES = {"h": 2, "g": 3, "e": 8, "f": 8, "u": 3, "r": 2}
HEAD = "axis n, m, d, h, g, e, f, u, r\n"
RECURRENT = [
    "causal_linear", "linear_recurrent", "ssd", "gla", "delta_rule", "kda", "gated_delta", "abc", "gsa", "hgrn2", "lightning",
    "retention_recurrent", "rebased", "based",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_states_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["anatomy.compiler.passes.chunk"], "WORTH", {"": 0, "keys": 0, "values": 1})


def diagram(text: str) -> Diagram:
    program = Program.of(Source("chunks.anat", HEAD + text))
    assert [found.message for found in program.check() if found.severity == "error"] == []
    return program.get(program.names()[-1])


def body(text: str) -> str:
    return text.partition("def forward")[2]


def loop(axes: str, step: str, out: str, start: str = "0", more: str = "", result: str = "[n, h, f]", last: str = "") -> str:
    """A recurrence over n with a state of keys e and values f, in heads h."""
    return (
        f"diagram t({axes}) -> {result} {{ simd h {{ scan n (s: [e, f] = {start}) {{ {step} next s = s2 y = {out} }} {more} }} out y{last} }}"
    )


QKV = "q: [n, h, e], k: [n, h, e], v: [n, h, f]"
CASES: dict[str, str] = {
    "a running sum": loop(QKV, "s2 = s + k * v", "dot[e](q, s2)"),
    "read before it is written": loop(QKV, "s2 = s + k * v", "dot[e](q, s)"),
    "from a start": loop(QKV + ", s0: [h, e, f]", "s2 = s + k * v", "dot[e](q, s2)", "s0"),
    "from a start, read before": loop(QKV + ", s0: [h, e, f], a: [n, h]", "s2 = a * s + k * v", "dot[e](q, s)", "s0"),
    "from a number": loop(QKV, "s2 = s + k * v", "dot[e](q, s2)", "0.5"),
    "a decay of steps": loop(QKV + ", a: [n, h]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a decay without steps": loop(QKV + ", a: [h]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a decay without heads": loop(QKV + ", a: [n]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a number as decay": loop(QKV, "s2 = 0.9 * s + k * v", "dot[e](q, s2)"),
    "a negative decay": loop(QKV, "s2 = k * v - 0.9 * s", "dot[e](q, s2)"),
    "a decay of keys": loop(QKV + ", a: [n, h, e]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a decay of keys without steps": loop(QKV + ", a: [h, e]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a decay of keys, read before": loop(QKV + ", a: [n, h, e]", "s2 = a * s + k * v", "dot[e](q, s)"),
    "a decay of values": loop(QKV + ", a: [n, h, f]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a decay of values without steps and heads": loop(QKV + ", a: [f]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "a decay of values, from a start, read before": loop(QKV + ", s0: [h, e, f], a: [n, h, f]", "s2 = a * s + k * v", "dot[e](q, s)", "s0"),
    "a decay of values, values of their own": loop(QKV + ", a: [n, h, f]", "s2 = a * s + k * (1 - a)", "dot[e](q, s2)"),
    "one key for all heads": loop("q: [n, h, e], k: [n, e], v: [n, h, f]", "s2 = s + k * v", "dot[e](q, s2)"),
    "one query for all heads": loop("q: [n, e], k: [n, e], v: [n, h, f], a: [n, h]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "signs and divisors": loop(QKV + ", z: [n, h], c: [e]", "s2 = s - k * v / z / c", "dot[e](q, s2 / (1 + z ^ 2))"),
    "divided by keys": loop(QKV + ", c: [n, h, e]", "s2 = s + k * v", "dot[e](q, s2 / (1 + c ^ 2))"),
    "three factors": loop(QKV + ", b: [n, h]", "s2 = s + b * k * v", "dot[e](q, s2)"),
    "sum of products": loop(QKV, "s2 = s + k * v", "sum[e](s2 * q)"),
    "the last state too": loop(QKV + ", a: [n, h]", "s2 = a * s + k * v", "dot[e](q, s2)", result="[n, h, f], [h, e, f]", more="z = s.last", last=", z"),
    "two readers": loop(QKV + ", p: [n, h, e]", "s2 = s + k * v", "dot[e](q, s2) * dot[e](p, s2)"),
    "the delta rule": loop(QKV + ", b: [n, h]", "s2 = s + b * k * (v - dot[e](k, s))", "dot[e](q, s2)"),
    "the delta rule, read before": loop(QKV + ", b: [n, h]", "s2 = s + b * k * (v - dot[e](k, s))", "dot[e](q, s)"),
    "the delta rule from a start": loop(QKV + ", b: [n, h], s0: [h, e, f]", "s2 = s + b * k * (v - dot[e](k, s))", "dot[e](q, s2)", "s0"),
    "the delta rule, with other weights of what is taken": loop(
        QKV + ", b: [n, h], c: [n, h]", "s2 = s + b * k * v - c * b * k * dot[e](k, s)", "dot[e](q, s2)"
    ),
    "gated": loop(QKV + ", b: [n, h], a: [n, h]", "old = a * s s2 = old + b * k * (v - dot[e](k, old))", "dot[e](q, s2)"),
    "gated by keys": loop(QKV + ", b: [n, h], a: [n, h, e]", "old = a * s s2 = old + b * k * (v - dot[e](k, old))", "dot[e](q, s2)"),
    "gated by keys, the last state too": loop(
        QKV + ", b: [n, h], a: [n, h, e]", "old = a * s s2 = old + b * k * (v - dot[e](k, old))", "dot[e](q, s2)",
        result="[n, h, f], [h, e, f]", more="z = s.last", last=", z",
    ),
    "two axes of keys": (
        "diagram t(q: [n, e, u], k: [n, e, u], v: [n, f, r], c: [n, e]) -> [n, f, r] {"
        "scan n (s: [e, u, f, r] = 0) { s2 = c * s + k * v next s = s2 y = dot[e, u](q, s2) } out y }"
    ),
    "more queries than keys": (
        "diagram t(q: [n, g, e], k: [n, e], v: [n, f]) -> [n, g, f] { scan n (s: [e, f] = 0) { s2 = s + k * v next s = s2 y = dot[e](q, s2) } out y }"
    ),
    "written as running sums": (
        "diagram t(q: [n, h, e], k: [n, h, e], v: [n, h, f]) -> [n, h, f] { simd h { y = dot[e](q, cumsum[n](k * v)) / (1 + dot[e](q, cumsum[n](k)) ^ 2) } out y }"
    ),
}  # fmt: skip
PLAIN: dict[str, str] = {
    "a decay of keys and values": loop(QKV + ", a: [n, h, e, f]", "s2 = a * s + k * v", "dot[e](q, s2)"),
    "queries that do not change": loop("q: [h, e], k: [n, h, e], v: [n, h, f]", "s2 = s + k * v", "dot[e](q, s2)"),
    "not a product": loop(QKV, "s2 = s + (k + v)", "dot[e](q, s2)"),
    "gated from outside": loop(QKV + ", b: [n, h], a: [n, h]", "s2 = a * (s + b * k * (v - dot[e](k, s)))", "dot[e](q, s2)"),
    "two keys": loop(QKV + ", p: [n, h, e]", "s2 = s + p * v - k * dot[e](k, s)", "dot[e](q, s2)"),
    "a nonlinear reading": loop(QKV, "s2 = s + k * v", "dot[e](q, tanh(s2))"),
    "a state that is an output": loop(QKV, "s2 = s + k * v", "s2", result="[n, h, e, f]"),
}


@pytest.mark.parametrize("name", CASES)
def test_chunks_keep_the_function(name: str) -> None:
    d = diagram(CASES[name])
    assert "_recurrence" in body(generate(d, {a: s for a, s in SIZES.items() if a in d.sizes}).source)
    sizes = {a: s for a, s in SIZES.items() if a in d.sizes}
    for n, lift in itertools.chain(((n, {}) for n in (1, 2, 7)), [(5, {"b": 3}), (130, {"b": 1, "c": 2})]):
        agree(d, sizes | {"n": n}, lift, strided=n == 7)


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_left_alone(name: str) -> None:
    d = diagram(PLAIN[name])
    sizes = {a: s for a, s in SIZES.items() if a in d.sizes}
    assert "_recurrence" not in body(generate(d, sizes).source)
    for n in (1, 5, 70):
        agree(d, sizes | {"n": n}, {"b": 2})


@pytest.mark.parametrize("name", RECURRENT)
def test_the_zoo_in_chunks(name: str) -> None:
    d, sizes = sizes_of(name)
    wide = {"d": 32, "h": 2}
    for axis, size in sizes.items():
        if axis != "n" and solve(d, wide).size(d.sizes[axis]).constant() is None:
            wide[axis] = size
    assert "_recurrence" in body(generate(d, wide).source)
    agree(d, wide | {"n": 67}, {"b": 2}, spread=0.5)


def test_decays_of_0_and_below() -> None:
    """Where a state is forgotten whole, nothing is divided by what is left of it."""
    for axes in ("n, h", "n, h, e"):
        d = diagram(loop(QKV + f", a: [{axes}]", "s2 = a * s + k * v", "dot[e](q, s2)"))
        nets = [build(d, SIZES, (), 0, torch.float64, passes) for passes in ((), ALL)]
        g = torch.Generator().manual_seed(0)
        shapes = ((150, 2, 8),) * 3 + ((150, 2) if axes == "n, h" else (150, 2, 8),)
        q, k, v, a = (torch.randn(s, dtype=torch.float64, generator=g) for s in shapes)
        a = torch.where(a.abs() < 0.5, 0.0, a.clamp(-1.2, 1.2))
        assert (a == 0).any()
        assert (a < 0).any()
        found = []
        for net in nets:
            given = [x.clone().requires_grad_(True) for x in (q, k, v, a)]
            y = net(*given)
            found.append((y, *torch.autograd.grad((y * y.detach().cos()).sum(), given)))
        for x, y in zip(*found, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9)


def test_strong_decays_keep_their_precision() -> None:
    """Sixty-four steps with decays of 1e-30 each: quotients of products would be 0 over 0."""
    d = diagram(loop(QKV + ", a: [n, h, e]", "s2 = a * s + k * v", "dot[e](q, s2)"))
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(100, 2, 8, generator=g) for _ in range(3))
    a = torch.full((100, 2, 8), 1e-30)
    y: Tensor = build(d, SIZES)(q, k, v, a)
    torch.testing.assert_close(y, torch.einsum("nhe,nhe,nhf->nhf", q, k, v), rtol=1e-5, atol=1e-5)


def test_no_state_for_every_step_is_kept() -> None:
    """What is saved for the backward pass is a small part of steps times keys times values."""
    d, _ = sizes_of("causal_linear")
    net = anatomy.compile(d, {"d": 128, "h": 2})
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        net(torch.randn(1024, 128, requires_grad=True))
    assert sum(kept.values()) < 0.35 * 1024 * 2 * 64 * 64 * 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs(dtype: torch.dtype) -> None:
    """As the loop does; the triangular system is solved in float32."""
    for name in ("gated by keys", "gated", "a decay of values"):
        d = diagram(CASES[name])
        g = torch.Generator().manual_seed(0)
        shapes = {"e": 8, "f": 8, "h": 2, "n": 70}
        given = [torch.rand([shapes[a] for a in i.layout], generator=g) / 8 for i in d.inputs]
        net = build(d, SIZES)
        y = net(*(x.to(dtype) for x in given))
        assert y.dtype == dtype
        torch.testing.assert_close(y.float(), net(*given), rtol=0.1, atol=0.02)


def test_derivatives_of_derivatives() -> None:
    d = diagram(CASES["gated by keys"])
    net = build(d, SIZES, (), 0, torch.float64)
    shapes = [(5, 2, 8)] * 3 + [(5, 2), (5, 2, 8)]
    given = [torch.rand(s, dtype=torch.float64).requires_grad_(True) for s in shapes]
    assert torch.autograd.gradgradcheck(net, given)


def test_the_box_tells_its_results() -> None:
    assert Recurrence(2, 1).gives(("n", "e", "u", "f")) == (("n", "f"),)
    assert Recurrence(1, 2, end=True).gives(("n", "e", "f", "r")) == (("n", "f", "r"), ("e", "f", "r"))
