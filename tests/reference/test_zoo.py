"""Every mechanism of the zoo against a hand-written float64 formula of a few lines, values and gradients.

A formula sees one example and the weights by their keys; nothing of the compiler is used in it. Weights are stored as
[in axes..., out axes...]; heads are an axis of the weight, so a formula for one head is applied to each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import anatomy
import zoo

torch.set_num_threads(1)
Weights = dict[str, Tensor]
Sizes = dict[str, int]


def flat(w: Tensor, rows: int) -> Tensor:
    """A weight as a matrix whose first `rows` axes are one."""
    return w.flatten(0, rows - 1).flatten(1)


def heads(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Iterable[Tensor]:
    """[n, d] through [d, h, e] as h matrices [n, e]."""
    y = x @ w.flatten(1)
    if bias is not None:
        y = y + bias.flatten()
    return y.view(len(x), *w.shape[1:]).unbind(1)


def multihead(x: Tensor, y: Tensor, w: Weights, core: Callable[..., Tensor]) -> Tensor:
    qs, ks, vs = (heads(t, w[k], w.get(f"{k}.bias")) for t, k in ((x, "Wq"), (y, "Wk"), (y, "Wv")))
    z = torch.cat([core(q, k, v, i) for i, (q, k, v) in enumerate(zip(qs, ks, vs, strict=True))], 1)
    return z @ flat(w["Wo"], 2) + w.get("Wo.bias", 0)


def lower(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


def attend(s: Tensor, v: Tensor) -> Tensor:
    p = torch.exp(s - s.max(-1, keepdim=True).values)
    return (p / p.sum(-1, keepdim=True)) @ v


def scaled(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.T / math.sqrt(q.shape[-1])


def rotate(x: Tensor) -> Tensor:
    """Complex multiplication of the pairs (i, i + e/2) by exp(i * position * 10000^(-2i/e))."""
    n, e = x.shape
    angle = torch.arange(n, dtype=x.dtype)[:, None] * 10000.0 ** (-2 * torch.arange(e // 2, dtype=x.dtype) / e)
    z = torch.complex(x[:, : e // 2], x[:, e // 2 :]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], 1)


# the formulas ---------------------------------------------------------------------------------------


def sdpa(q: Tensor, k: Tensor, v: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(scaled(q, k), v)


def mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k), v))


def cross(x: Tensor, y: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, y, w, lambda q, k, v, i: attend(scaled(q, k), v))


def causal_mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k).masked_fill(~lower(len(x)), -math.inf), v))


def gqa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    groups, per_group = z["g"], z["j"]
    q = list(heads(x, w["Wq"].flatten(1, 2)))
    k, v = list(heads(x, w["Wk"])), list(heads(x, w["Wv"]))
    out = []
    for i in range(groups * per_group):
        s = scaled(rotate(q[i]), rotate(k[i // per_group])).masked_fill(~lower(len(x)), -math.inf)
        out.append(attend(s, v[i // per_group]))
    return torch.cat(out, 1) @ flat(w["Wo"], 3)


def alibi(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    j = torch.arange(len(x), dtype=x.dtype)
    slope = [2.0 ** (-8 * (i + 1) / z["h"]) for i in range(z["h"])]

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        return attend((scaled(q, k) - slope[i] * (j[:, None] - j)).masked_fill(~lower(len(x)), -math.inf), v)

    return multihead(x, x, w, core)


def bahdanau(s: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    t = torch.stack([torch.tanh(row @ w["W"] + x @ w["U"]) @ w["u"] for row in s])
    return attend(t, x)


def luong_general(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(t @ w["Wa"] @ x.T, x)


def cosine(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def unit(q: Tensor) -> Tensor:
        return q / torch.sqrt((q * q).sum(-1, keepdim=True) + 1e-6)

    return multihead(x, x, w, lambda q, k, v, i: attend(w["cosine_core.g"] * (unit(q) @ unit(k).T), v))


def l2(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Kim et al. (2020), section 4: F = [f^1 W^V1, ..., f^H W^VH] W^O with f^h(X) = P^h X A_h."""
    out = []
    for i in range(z["h"]):
        wq = w["Wq"][:, i]
        y = x @ wq
        p = -((y[:, None] - y[None]) ** 2).sum(-1) / math.sqrt(wq.shape[1])
        a = wq @ wq.T / math.sqrt(wq.shape[1])
        out.append(attend(p, x @ a) @ w["Wv"][i])
    return torch.cat(out, 1) @ flat(w["Wo"], 2)


def sigmoid_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: (1 / (1 + torch.exp(math.log(len(x)) - scaled(q, k)))) @ v)


def linear(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """The quadratic form: weights phi(q) . phi(k), rows divided by their sum."""

    def phi(t: Tensor) -> Tensor:
        return torch.where(t > 0, t + 1, torch.exp(torch.minimum(t, torch.zeros_like(t))))

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        a = phi(q) @ phi(k).T
        return (a / a.sum(-1, keepdim=True)) @ v

    return multihead(x, x, w, core)


def efficient(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: (q.softmax(1) @ k.softmax(0).T) @ v)


def synthesizer_dense(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    b = functional.relu(x @ w["B1"] + w["B1.bias"]) @ w["B2"] + w["B2.bias"]
    return attend(b, x @ w["Wv"] + w["Wv.bias"])


def synthesizer_random(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(w["R"], x @ w["Wv"] + w["Wv.bias"])


def mixer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def mlp(t: Tensor, first: str, second: str) -> Tensor:
        return functional.gelu(t @ w[first] + w[f"{first}.bias"]) @ w[second] + w[f"{second}.bias"]

    u = x + mlp(functional.layer_norm(x, x.shape[-1:]).T, "T1", "T2").T
    return u + mlp(functional.layer_norm(u, u.shape[-1:]), "C1", "C2")


def fnet(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return torch.fft.fft(torch.fft.fft(x.to(torch.complex128), dim=-1), dim=-2).real


# the comparison -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A formula, the shapes of its inputs by axis, the sizes to compile with, and sizes to try."""

    formula: Callable[..., Tensor]
    inputs: tuple[str, ...]
    given: str
    trials: tuple[Sizes, ...]


LAYER = ({"n": 5, "h": 3, "e": 2, "d": 6}, {"n": 1, "h": 1, "e": 3, "d": 3}, {"n": 7, "h": 5, "e": 1, "d": 5}, {"n": 3, "h": 4, "e": 5, "d": 20})
CASES = {
    "sdpa": Case(sdpa, ("n e", "m e", "m f"), "", ({"n": 3, "m": 5, "e": 7, "f": 2}, {"n": 1, "m": 1, "e": 1, "f": 1}, {"n": 4, "m": 1, "e": 3, "f": 5})),
    "mha": Case(mha, ("n d",), "d h", LAYER),
    "cross": Case(cross, ("n d", "m c"), "d h c", tuple({**s, "m": m, "c": c} for s, m, c in zip(LAYER, (3, 5, 1, 7), (5, 1, 3, 2), strict=True))),
    "causal_mha": Case(causal_mha, ("n d",), "d h", LAYER),
    "gqa": Case(gqa, ("n d",), "d g j", ({"n": 5, "g": 3, "j": 2, "d": 12}, {"n": 1, "g": 1, "j": 1, "d": 2}, {"n": 7, "g": 1, "j": 3, "d": 18}, {"n": 3, "g": 3, "j": 1, "d": 30})),
    "alibi": Case(alibi, ("n d",), "d h", (*LAYER, {"n": 9, "h": 8, "e": 1, "d": 8})),
    "bahdanau": Case(bahdanau, ("n d", "m c"), "d c a", ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})),
    "luong_general": Case(luong_general, ("n d", "m c"), "d c", ({"n": 3, "m": 5, "d": 2, "c": 7}, {"n": 1, "m": 1, "d": 1, "c": 1}, {"n": 5, "m": 1, "d": 3, "c": 1})),
    "cosine": Case(cosine, ("n d",), "d h", LAYER),
    "l2": Case(l2, ("n d",), "d h", LAYER),
    "sigmoid_attention": Case(sigmoid_attention, ("n d",), "d h", LAYER),
    "linear": Case(linear, ("n d",), "d h", LAYER),
    "efficient": Case(efficient, ("n d",), "d h", LAYER),
    "synthesizer_dense": Case(synthesizer_dense, ("n d",), "n d c", ({"n": 5, "d": 3, "c": 7}, {"n": 1, "d": 1, "c": 1}, {"n": 3, "d": 7, "c": 1})),
    "synthesizer_random": Case(synthesizer_random, ("n d",), "n d", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 3, "d": 7})),
    "mixer": Case(mixer, ("n d",), "n d p c", ({"n": 5, "d": 3, "p": 7, "c": 2}, {"n": 1, "d": 1, "p": 1, "c": 1}, {"n": 3, "d": 5, "p": 1, "c": 9})),
    "fnet": Case(fnet, ("n d",), "", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 7, "d": 4})),
}  # fmt: skip


def test_every_mechanism_has_a_formula() -> None:
    assert sorted(CASES) == list(zoo.names())


def close(have: Tensor, want: Tensor, tolerance: float) -> bool:
    assert have.shape == want.shape
    return (have - want).abs().max().item() <= tolerance * max(1.0, want.abs().max().item())


def inputs_of(case: Case, sizes: Sizes, generator: torch.Generator, batch: tuple[int, ...], strided: bool) -> list[Tensor]:
    out = []
    for layout in case.inputs:
        shape = [*batch, *(sizes[a] for a in layout.split())]
        x = torch.randn([2 * s for s in reversed(shape)] if strided else shape, dtype=torch.float64, generator=generator)
        if strided:
            x = x.permute(*reversed(range(len(shape))))[tuple(slice(None, None, 2) for _ in shape)]
        out.append(x.detach().requires_grad_())
    return out


@pytest.mark.parametrize("lift", [(), ("b",)], ids=["plain", "lifted"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_agree_with_the_formula(name: str, lift: tuple[str, ...]) -> None:
    case = CASES[name]
    diagram = anatomy.load(f"zoo:{name}")
    for number, sizes in enumerate(case.trials):
        g = torch.Generator().manual_seed(number)
        net = anatomy.compile(diagram, {a: sizes[a] for a in case.given.split()}, lift=lift, dtype=torch.float64)
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.7, generator=g)
        for strided in (False, True):
            batch = ((3, 1)[strided],) if lift else ()
            xs = inputs_of(case, sizes, g, batch, strided)
            assert not strided or max(x.numel() for x in xs) == 1 or not all(x.is_contiguous() for x in xs)
            have = net(*xs)
            weights = {k: p.detach().clone().requires_grad_() for k, p in net.state_dict().items()}
            twins = [x.detach().clone().requires_grad_() for x in xs]
            rows = [case.formula(*row, weights, sizes) for row in zip(*twins, strict=True)] if lift else []
            want = torch.stack(rows) if lift else case.formula(*twins, weights, sizes)
            assert close(have, want, 1e-12), (name, sizes, strided)
            probe = torch.randn(want.shape, dtype=want.dtype, generator=g)
            names = list(dict(net.named_parameters()))
            mine = torch.autograd.grad((have * probe).sum(), [*xs, *net.parameters()])
            keys = key_order(net, names)
            theirs = torch.autograd.grad((want * probe).sum(), [*twins, *(weights[k] for k in keys)])
            for label, a, b in zip([*case.inputs, *keys], mine, theirs, strict=True):
                assert close(a, b, 1e-10), (name, sizes, label)


def key_order(net: torch.nn.Module, names: list[str]) -> list[str]:
    """The state-dict key of each parameter, found by the storage they share."""
    state = net.state_dict(keep_vars=True)
    by_id = {id(v): k for k, v in state.items()}
    return [by_id[id(p)] for p in (net.get_parameter(n) for n in names)]
