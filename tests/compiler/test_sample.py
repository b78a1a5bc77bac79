"""Every diagram of the sample text, compiled, against a float64 formula written by hand; traced and exported too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import anatomy
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program

W = Mapping[str, Tensor]
Sizes = dict[str, int]


def attend(s: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(s, -1) @ v


def multihead(x: Tensor, w: W) -> Tensor:
    """By `nn.functional.multi_head_attention_forward`, whose weights are transposed and packed."""
    d = x.shape[1]
    packed = torch.cat([w[k].flatten(1).T for k in ("Wq", "Wk", "Wv")])
    bias = torch.cat([w[f"{k}.bias"].flatten() for k in ("Wq", "Wk", "Wv")])
    out, _ = functional.multi_head_attention_forward(
        x[:, None], x[:, None], x[:, None], d, w["Wq"].shape[1], packed, bias, None, None, False, 0.0,
        w["Wo"].flatten(0, 1).T, w["Wo.bias"], need_weights=False,
    )  # fmt: skip
    return out[:, 0]


def bahdanau(s: Tensor, x: Tensor, w: W) -> Tensor:
    e = torch.tanh((s @ w["W"] + w["W.bias"])[:, None] + (x @ w["U"] + w["U.bias"])[None]) @ w["u"]
    return attend(e, x)


def linear(q: Tensor, k: Tensor, v: Tensor, w: W) -> Tensor:
    a = (functional.elu(q) + 1) @ (functional.elu(k) + 1).T
    return (a / a.sum(1, keepdim=True)) @ v


def mixer(x: Tensor, w: W) -> Tensor:
    u = functional.layer_norm(x, x.shape[-1:])
    t = x + (functional.gelu(u.T @ w["T1"] + w["T1.bias"]) @ w["T2"] + w["T2.bias"]).T
    u = functional.layer_norm(t, t.shape[-1:])
    return t + functional.gelu(u @ w["C1"] + w["C1.bias"]) @ w["C2"] + w["C2.bias"]


def rope(x: Tensor, w: W | None = None) -> Tensor:
    """x: [..., n, e], rotated as complex numbers."""
    n, e = x.shape[-2:]
    angle = torch.outer(torch.arange(n).double(), 10000.0 ** (-torch.arange(0, e, 2).double() / e))
    z = torch.complex(x[..., : e // 2].contiguous(), x[..., e // 2 :].contiguous()) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], -1)


def gqa(x: Tensor, w: W) -> Tensor:
    """By `scaled_dot_product_attention` with `enable_gqa`: query head i reads key head i // j."""
    def project(key: str) -> Tensor:
        weight = w[key]
        return (x @ weight.flatten(1) + w[f"{key}.bias"].flatten()).view(len(x), -1, weight.shape[-1]).transpose(0, 1)[None]

    o = functional.scaled_dot_product_attention(rope(project("Wq")), rope(project("Wk")), project("Wv"), is_causal=True, enable_gqa=True)
    return o[0].transpose(0, 1).flatten(1) @ w["Wo"].flatten(0, 2) + w["Wo.bias"]


def filled(score: Callable[[Tensor, Tensor, W], Tensor]) -> Callable[..., Tensor]:
    def formula(x: Tensor, w: W) -> Tensor:
        q, k, v = (x @ w[t] + w[f"{t}.bias"] for t in ("Wq", "Wk", "Wv"))
        return attend(torch.stack([torch.stack([score(a, b, w) for b in k]) for a in q]), v)

    return formula


def additive(q: Tensor, k: Tensor, w: W, path: str = "") -> Tensor:
    return torch.tanh(q @ w[path + "W"] + w[path + "W.bias"] + k @ w[path + "U"] + w[path + "U.bias"]) @ w[path + "u"]


@dataclass(frozen=True)
class Case:
    formula: Callable[..., Tensor]
    given: Sizes
    shapes: tuple[tuple[int, ...], ...]


QKV = ((3, 4), (5, 4), (5, 2))
CASES = {
    "sdpa": Case(lambda q, k, v, w: functional.scaled_dot_product_attention(q, k, v), {}, QKV),
    "mha": Case(multihead, {"d": 6, "h": 3}, ((5, 6),)),
    "bahdanau": Case(bahdanau, {"d": 2, "c": 3, "a": 4}, ((5, 2), (4, 3))),
    "linear": Case(linear, {}, QKV),
    "mixer": Case(mixer, {"n": 5, "d": 4, "p": 3, "c": 7}, ((5, 4),)),
    "rope": Case(rope, {}, ((5, 6),)),
    "gqa": Case(gqa, {"d": 12, "g": 3, "j": 2}, ((5, 12),)),
    "dot_score": Case(lambda q, k, w: q @ k / 2, {}, ((4,), (4,))),
    "additive_score": Case(additive, {"e": 3, "a": 5}, ((3,), (3,))),
    "gauss_score": Case(lambda q, k, w: -((q - k) ** 2).sum(), {}, ((4,), (4,))),
    "scale_slides.lhs": Case(lambda q, k, t, w: t * (q @ k), {}, ((4,), (4,), ())),
    "scale_slides.rhs": Case(lambda q, k, t, w: t * (q @ k), {}, ((4,), (4,), ())),
    "key_bias_drops.lhs": Case(lambda s, t, w: torch.softmax(s + t, 0), {}, ((4,), ())),
    "key_bias_drops.rhs": Case(lambda s, t, w: torch.softmax(s, 0), {}, ((4,), ())),
    "assoc.lhs": Case(lambda q, k, v, w: q @ k.T @ v, {}, QKV),
    "assoc.rhs": Case(lambda q, k, v, w: q @ (k.T @ v), {}, QKV),
    "scores.dot_score": Case(filled(lambda q, k, w: q @ k / math.sqrt(len(q))), {"d": 4, "e": 3, "f": 2}, ((5, 4),)),
    "scores.additive_score": Case(filled(lambda q, k, w: additive(q, k, w, "score.")), {"d": 4, "e": 3, "f": 2, "a": 3}, ((5, 4),)),
    "scores.gauss_score": Case(filled(lambda q, k, w: -((q - k) ** 2).sum()), {"d": 4, "e": 3, "f": 2}, ((5, 4),)),
}  # fmt: skip


def diagram_of(sample: Program, name: str) -> Diagram:
    base, _, option = name.partition(".")
    if base != "scores":
        return sample.get(name)
    from anatomy.spaces import Space

    definition = sample.space("scores")
    assert definition is not None
    order = [c.label for c in definition.decisions[0].domain.components]
    found = Space(definition)[order.index(option)]
    return getattr(found, "diagram", found)


def compiled(sample: Program, name: str, lift: tuple[str, ...] = ()) -> tuple[nn.Module, list[Tensor]]:
    case = CASES[name]
    net = anatomy.compile(diagram_of(sample, name), case.given, lift=lift, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    for p in net.parameters():
        nn.init.normal_(p, generator=g)
    return net, [torch.randn(s, dtype=torch.float64, generator=g) for s in case.shapes]


def test_every_diagram_of_the_text_has_a_formula(sample: Program) -> None:
    missing = {n for n in sample.names() if n not in CASES}
    assert missing == {"generic"}  # it has a hole; its members stand as scores.*


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_formula(sample: Program, name: str) -> None:
    net, xs = compiled(sample, name)
    want = CASES[name].formula(*xs, net.state_dict())
    have = net(*xs)
    assert have.shape == want.shape
    assert have.dtype == torch.float64
    assert (have - want).abs().max() <= 1e-12 * max(1.0, want.abs().max())


@pytest.mark.parametrize("name", CASES)
def test_lifted_axes_come_first_and_are_vectorised(sample: Program, name: str) -> None:
    net, _ = compiled(sample, name, lift=("b", "t"))
    g = torch.Generator().manual_seed(1)
    xs = [torch.randn((2, 3, *s), dtype=torch.float64, generator=g) for s in CASES[name].shapes]
    have = net(*xs)
    for i in range(2):
        for j in range(3):
            want = CASES[name].formula(*(x[i, j] for x in xs), net.state_dict())
            assert (have[i, j] - want).abs().max() <= 1e-12 * max(1.0, want.abs().max())


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_every_weight_and_are_right(sample: Program, name: str) -> None:
    net, xs = compiled(sample, name)
    xs = [x.requires_grad_() for x in xs]
    y = net(*xs)
    probe = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
    params = dict(net.named_parameters())
    grads = torch.autograd.grad((y * probe).sum(), [*xs, *params.values()], allow_unused=name.startswith("key_bias_drops"))
    state = {k: v.detach().clone().requires_grad_() for k, v in net.state_dict().items()}
    twins = [x.detach().clone().requires_grad_() for x in xs]
    by_id = {id(v): k for k, v in net.state_dict(keep_vars=True).items()}
    keys = [by_id[id(p)] for p in params.values()]
    want = torch.autograd.grad((CASES[name].formula(*twins, state) * probe).sum(), [*twins, *(state[k] for k in keys)], allow_unused=True)
    for a, b in zip(grads, want, strict=True):
        if a is None or b is None:
            assert name.startswith("key_bias_drops")
            continue
        assert (a - b).abs().max() <= 1e-10 * max(1.0, b.abs().max())


@pytest.mark.parametrize("name", CASES)
def test_torch_compile_traces_it_whole(sample: Program, name: str) -> None:
    net, xs = compiled(sample, name)
    torch._dynamo.reset()
    want = net(*xs)
    assert torch.equal(torch.compile(net, fullgraph=True, backend="eager")(*xs), want)


@pytest.mark.parametrize("name", ["mha", "gqa"])
def test_torch_compile_differentiates_it(sample: Program, name: str) -> None:
    net, xs = compiled(sample, name)
    torch._dynamo.reset()
    traced = torch.compile(net, fullgraph=True, backend="aot_eager")
    want = torch.autograd.grad(net(*xs).square().sum(), list(net.parameters()))
    have = torch.autograd.grad(traced(*xs).square().sum(), list(net.parameters()))
    for a, b in zip(have, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mha", "bahdanau", "linear", "mixer", "gqa"])
def test_inductor_without_its_attention_patterns_agrees(sample: Program, name: str) -> None:
    """pytorch#196468: the patterns misread a softmax over another axis than the last."""
    net, xs = compiled(sample, name)
    torch._dynamo.reset()
    have = torch.compile(net, fullgraph=True, options={"pattern_matcher": False})(*xs)
    torch.testing.assert_close(have, net(*xs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_torch_export_takes_it(sample: Program, name: str) -> None:
    net, xs = compiled(sample, name)
    program = torch.export.export(net, tuple(xs))
    torch.testing.assert_close(program.module()(*xs), net(*xs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sdpa", "mha", "gqa", "rope"])
def test_torch_export_keeps_the_tokens_free(sample: Program, name: str) -> None:
    net, xs = compiled(sample, name)
    tokens = torch.export.Dim("n", min=2, max=64)
    axes = [({0: tokens} if k == 0 else {}) for k in range(len(xs))]
    program = torch.export.export(net, tuple(xs), dynamic_shapes=tuple(axes))
    longer = [torch.randn(9, *xs[0].shape[1:], dtype=torch.float64), *xs[1:]]
    torch.testing.assert_close(program.module()(*longer), net(*longer), rtol=1e-12, atol=1e-12)


def test_an_open_diagram_is_refused_with_its_holes(sample: Program) -> None:
    with pytest.raises(anatomy.AnatomyError, match=r"E501.*score"):
        anatomy.compile(sample.get("generic"), {"d": 4, "e": 2, "f": 2})


def test_the_source_stands_alone(sample: Program, tmp_path: object) -> None:
    """It needs torch and nothing of this package, and says where each line comes from."""
    import subprocess
    import sys
    from pathlib import Path

    net, xs = compiled(sample, "mha")
    file = Path(str(tmp_path)) / "made.py"
    file.write_text(net.source)
    torch.save({"state": net.state_dict(), "x": xs, "y": net(*xs)}, file.with_suffix(".pt"))
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); from made import Mha; saved = torch.load(sys.argv[1] + '/made.pt');"
        "net = Mha(dtype=torch.float64); net.load_state_dict(saved['state']);"
        "assert torch.equal(net(*saved['x']), saved['y']); assert 'anatomy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(file.parent)], check=True, cwd=tmp_path)  # type: ignore[arg-type]
    assert "  # 20: q = lin Wq[d -> h, e](x)" in net.source or "q = lin Wq[d -> h, e](x)" in net.source


def test_the_same_diagram_gives_the_same_text(sample: Program) -> None:
    first = anatomy.source(sample.get("gqa"), {"d": 12, "g": 3, "j": 2}, lift=("b",))
    assert first == anatomy.source(replace(sample.get("gqa")), {"d": 12, "g": 3, "j": 2}, lift=("b",))
