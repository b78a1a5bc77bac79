"""The best code that we could write by hand for entries of the zoo, on the weights of the compiled module.

Projections are `functional.linear` on flattened weights; heads come by `view` and `transpose`; softmax attention is one call of the kernel, on as few
features as may be; tables of positions are made once; feature maps, pooling and convolutions use what PyTorch has for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Forward = Callable[[Any, Tensor], Tensor]
HEADS, FEATURES = 8, 64
sdpa = functional.scaled_dot_product_attention


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, ends: int = 1) -> Tensor:
    """x W + b for a weight whose first axes end."""
    rows = weight.flatten(0, ends - 1).flatten(1)
    return functional.linear(x, rows.t(), None if bias is None else bias.flatten())


def split(x: Tensor, heads: int = HEADS) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def heads(net: Any, x: Tensor, name: str) -> Tensor:
    """One of Wq, Wk, Wv with heads in front."""
    weight = getattr(net, name)
    return split(linear(x, weight, getattr(net, f"{name}_bias", None)), weight.shape[1])


def qkv(net: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return heads(net, x, "Wq"), heads(net, x, "Wk"), heads(net, x, "Wv")


def out(net: Any, y: Tensor) -> Tensor:
    """Heads go together and through Wo."""
    return linear(y.transpose(1, 2).flatten(2), net.Wo, getattr(net, "Wo_bias", None), 2)


@cache
def turns(n: int, e: int) -> Tensor:
    """Unit complex numbers by position and pair of features."""
    t = torch.arange(n)[:, None] * 10000 ** (-torch.arange(e // 2) / (e // 2))
    return torch.polar(torch.ones_like(t), t)


@cache
def halves(n: int, e: int) -> tuple[Tensor, Tensor]:
    z = turns(n, e)
    return torch.cat((z.real, z.real), -1), torch.cat((-z.imag, z.imag), -1)


def rope(x: Tensor) -> Tensor:
    """Neighbouring features turn: x is [b, n, h, e]."""
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(z * turns(x.shape[1], x.shape[-1])[:, None]).flatten(-2)


def rope_halves(x: Tensor) -> Tensor:
    """A feature of the first half turns with one of the second: x is [b, n, e] or [b, n, h, e]."""
    cos, sin = (t if x.dim() == 3 else t[:, None] for t in halves(x.shape[1], x.shape[-1]))
    a, b = x.chunk(2, -1)
    return torch.addcmul(x * cos, torch.cat((b, a), -1), sin)


@cache
def causal(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).triu(1)


def mha(net: Any, x: Tensor) -> Tensor:
    return out(net, sdpa(*qkv(net, x)))


def mqa(net: Any, x: Tensor) -> Tensor:
    q = heads(net, x, "Wq")
    k, v = (linear(x, w, b)[:, None] for w, b in ((net.Wk, net.Wk_bias), (net.Wv, net.Wv_bias)))
    return out(net, sdpa(q, k, v, enable_gqa=True))


def gqa(net: Any, x: Tensor) -> Tensor:
    e = net.Wq.shape[-1]
    q = linear(x, net.Wq, net.Wq_bias).unflatten(-1, (-1, e))
    k = linear(x, net.Wk, net.Wk_bias).unflatten(-1, (-1, e))
    v = linear(x, net.Wv, net.Wv_bias).unflatten(-1, (-1, e))
    y = sdpa(rope_halves(q).transpose(1, 2), rope_halves(k).transpose(1, 2), v.transpose(1, 2), is_causal=True, enable_gqa=True)
    return linear(y.transpose(1, 2).flatten(2), net.Wo, net.Wo_bias, 3)


def rope_mha(net: Any, x: Tensor) -> Tensor:
    q, k = (rope(linear(x, w, b).unflatten(-1, (HEADS, -1))).transpose(1, 2) for w, b in ((net.Wq, net.Wq_bias), (net.Wk, net.Wk_bias)))
    return out(net, sdpa(q, k, heads(net, x, "Wv")))


def normed(x: Tensor, eps: float) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:], eps=eps)


def mla(net: Any, x: Tensor) -> Tensor:
    e, t = net.Uq.shape[-1], net.Rq.shape[-1]
    cq, ckv = normed(linear(x, net.Dq), 1e-5), normed(linear(x, net.Dkv), 1e-5)
    kr, qr = rope_halves(linear(x, net.Rk)), rope_halves(linear(cq, net.Rq).unflatten(-1, (HEADS, t)))
    q, k, v = (linear(c, w).unflatten(-1, (HEADS, -1)) for c, w in ((cq, net.Uq), (ckv, net.Uk), (ckv, net.Uv)))
    q = torch.cat((q, qr), -1).transpose(1, 2)
    k = torch.cat((k, kr[:, :, None].expand(-1, -1, HEADS, -1)), -1).transpose(1, 2)
    y = sdpa(q, k, functional.pad(v, (0, t)).transpose(1, 2), is_causal=True, scale=1 / math.sqrt(e + t))[..., :e]
    return out(net, y)


def qk_rmsnorm(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    q, k = functional.rms_norm(q, q.shape[-1:], net.score_gq, 1e-6), functional.rms_norm(k, k.shape[-1:], net.score_gk, 1e-6)
    return out(net, sdpa(q, k, v, is_causal=True))


@cache
def decay(n: int) -> Tensor:
    at = torch.arange(n)
    log = torch.log(1 - 2.0 ** (-5 - torch.arange(HEADS)))
    power = (at[:, None] - at) * log[:, None, None]
    return torch.exp(power.masked_fill(causal(n), -math.inf))


def retention(net: Any, x: Tensor) -> Tensor:
    q, k = (rope(linear(x, w).unflatten(-1, (HEADS, -1))).transpose(1, 2) for w in (net.Wq, net.Wk))
    w = (q @ k.mT) * decay(x.shape[1])
    y = (w @ heads(net, x, "Wv")).transpose(1, 2)
    g = linear(x, net.Wg)
    return linear(functional.layer_norm(y, y.shape[-1:]).flatten(2) * functional.silu(g), net.Wo, None, 2)


def talking_heads(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    s = (q / math.sqrt(FEATURES)) @ k.mT
    s = (net.before_Pl.t() @ s.flatten(2)).view_as(s)
    w = torch.softmax(s, -1)
    w = (net.after_Pw.t() @ w.flatten(2)).view_as(s)
    return out(net, w @ v)


def differential(net: Any, x: Tensor) -> Tensor:
    e = net.Wq.shape[-1]
    q, k = (linear(x, w, b).unflatten(-1, (2 * HEADS, e)).transpose(1, 2) for w, b in ((net.Wq, net.Wq_bias), (net.Wk, net.Wk_bias)))
    v = heads(net, x, "Wv")
    q, k = functional.pad(q, (0, e)), functional.pad(k, (0, e))
    one = sdpa(q[:, :HEADS], k[:, :HEADS], v, scale=1 / math.sqrt(e))
    two = sdpa(q[:, HEADS:], k[:, HEADS:], v, scale=1 / math.sqrt(e))
    weight = torch.exp(net.lambda_q1 @ net.lambda_k1) - torch.exp(net.lambda_q2 @ net.lambda_k2) + 0.2
    return out(net, functional.rms_norm(one - weight * two, one.shape[-1:], 0.8 * net.norm_g, 1e-5))


def scores(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    q, k, v = qkv(net, x)
    return (q / math.sqrt(FEATURES)) @ k.mT, v


def sigmoid_attention(net: Any, x: Tensor) -> Tensor:
    s, v = scores(net, x)
    return out(net, torch.sigmoid(s - math.log(x.shape[1])) @ v)


def relu_attention(net: Any, x: Tensor) -> Tensor:
    s, v = scores(net, x)
    return out(net, functional.relu(s) @ (v / x.shape[1]))


def softcap(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    s = 50 * torch.tanh((q / (50 * math.sqrt(FEATURES))) @ k.mT)
    return out(net, torch.softmax(s.masked_fill(causal(x.shape[1]), -math.inf), -1) @ v)


def features(fq: Tensor, fk: Tensor, v: Tensor) -> Tensor:
    return (fq @ (fk.mT @ v)) / (fq @ fk.sum(-2)[..., None])


def linear_attention(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    return out(net, features(functional.elu(q) + 1, functional.elu(k) + 1, v))


def performer(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    by = net.performer_core_phi_q_Q * net.performer_core_phi_q_G.square().sum(1, keepdim=True).sqrt()  # [c, e, a]
    by = by.transpose(0, 1).flatten(1)
    root = FEATURES**0.25

    def mapped(x: Tensor) -> Tensor:
        x = x / root
        return torch.exp(x @ by - x.square().sum(-1, keepdim=True) / 2) / math.sqrt(by.shape[1])

    return out(net, features(mapped(q), mapped(k), v))


def pooled(x: Tensor, count: int) -> Tensor:
    """Means of `count` stretches of [b, h, n, e]."""
    return functional.adaptive_avg_pool1d(x.transpose(2, 3).flatten(0, 1), count).unflatten(0, x.shape[:2]).transpose(2, 3)


def agent(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    a = pooled(q, 49)
    return out(net, sdpa(q, a, sdpa(a, k, v)))


def linformer(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    return out(net, sdpa(q, net.keys_E.mT @ k, net.values_E.mT @ v))


def nystromformer(net: Any, x: Tensor) -> Tensor:
    q, k, v = qkv(net, x)
    u, w = pooled(q, 64), pooled(k, 64)
    a = torch.softmax((u / math.sqrt(FEATURES)) @ w.mT, -1)
    z = (a / (a.sum(-2).amax(-1) * a.sum(-1).amax(-1))[..., None, None]).mT
    i = torch.eye(64)
    for _ in range(6):
        az = a @ z
        z = z @ (13 * i - az @ (15 * i - az @ (7 * i - az))) / 4
    return out(net, sdpa(q, w, z @ sdpa(u, k, v)))


def fnet(net: Any, x: Tensor) -> Tensor:
    return torch.fft.fftn(x, dim=(1, 2)).real


def mixer(net: Any, x: Tensor) -> Tensor:
    u = functional.layer_norm(x, x.shape[-1:]).mT
    t = x + linear(functional.gelu(linear(u, net.mixing_T1, net.mixing_T1_bias)), net.mixing_T2, net.mixing_T2_bias).mT
    w = functional.layer_norm(t, t.shape[-1:])
    return t + linear(functional.gelu(linear(w, net.C1, net.C1_bias)), net.C2, net.C2_bias)


def gmlp(net: Any, x: Tensor) -> Tensor:
    u, v = functional.gelu(linear(functional.layer_norm(x, x.shape[-1:]), net.U, net.U_bias)).chunk(2, -1)
    w = net.mixing_W.t() @ functional.layer_norm(v, v.shape[-1:]) + net.mixing_b[:, None]
    return x + linear(w * u, net.V, net.V_bias)


def lightweight_conv(net: Any, x: Tensor) -> Tensor:
    t = functional.glu(linear(x, net.Win, net.Win_bias), -1)
    e = t.shape[-1] // HEADS
    taps = torch.softmax(net.W, -1).repeat_interleave(e, 0)[:, None]
    y = functional.conv1d(t.mT, taps, padding=taps.shape[-1] // 2, groups=t.shape[-1]).mT
    return linear(y, net.Wo, net.Wo_bias, 2)


def dynamic_conv(net: Any, x: Tensor) -> Tensor:
    t = functional.glu(linear(x, net.Win, net.Win_bias), -1)
    count = net.Wq.shape[-1]
    w = torch.softmax(linear(t, net.Wq).unflatten(-1, (HEADS, count)), -1)
    n, z = x.shape[1], functional.pad(t, (0, 0, count // 2, count - 1 - count // 2)).unflatten(-1, (HEADS, -1))
    y = w[..., 0:1] * z[:, :n]
    for j in range(1, count):
        y = torch.addcmul(y, w[..., j : j + 1], z[:, j : j + n])
    return linear(y.flatten(2), net.Wo, net.Wo_bias, 2)


def aft_simple(net: Any, x: Tensor) -> Tensor:
    q, k, v = linear(x, net.Wq, net.Wq_bias), linear(x, net.Wk, net.Wk_bias), linear(x, net.Wv, net.Wv_bias)
    return torch.sigmoid(q) * (torch.softmax(k, 1) * v).sum(1, keepdim=True)


def synthesizer_dense(net: Any, x: Tensor) -> Tensor:
    s = linear(functional.relu(linear(x, net.B1, net.B1_bias)), net.B2, net.B2_bias)
    return torch.softmax(s, -1) @ linear(x, net.Wv, net.Wv_bias)


def synthesizer_random(net: Any, x: Tensor) -> Tensor:
    return torch.softmax(net.R, -1) @ linear(x, net.Wv, net.Wv_bias)


def hopfield(net: Any, x: Tensor) -> Tensor:
    q, k = heads(net, x, "Wq"), heads(net, x, "Wk")
    for _ in range(2):
        q = sdpa(q, k, k)
    return out(net, sdpa(q, k, k) @ net.Wv)


def xca(net: Any, x: Tensor) -> Tensor:
    q, k, v = (linear(x, w).mT.unflatten(1, (HEADS, -1)) for w in (net.Wq, net.Wk, net.Wv))  # [b, h, e, n]
    w = torch.softmax((q / q.norm(dim=-1, keepdim=True)) @ (k / k.norm(dim=-1, keepdim=True)).mT * net.t[:, None, None], -1)
    return linear((w @ v).flatten(1, 2).mT, net.Wo, net.Wo_bias, 2)


def external(net: Any, x: Tensor) -> Tensor:
    q = linear(x, net.Wq, net.Wq_bias).unflatten(-1, (HEADS, -1))
    w = torch.softmax(linear(q, net.external_core_Mk), 1)
    y = linear(w / w.sum(-1, keepdim=True), net.external_core_Mv)
    return linear(y.flatten(2), net.Wo, net.Wo_bias, 2)


def perceiver(net: Any, x: Tensor) -> Tensor:
    def attend(z: Tensor, x: Tensor, name: str) -> Tensor:
        w = {k: getattr(net, f"{name}_{k}") for k in ("Wq", "Wq_bias", "Wk", "Wk_bias", "Wv", "Wv_bias", "Wo", "Wo_bias", "F1", "F1_bias", "F2", "F2_bias")}
        y, c = functional.layer_norm(x, x.shape[-1:]), functional.layer_norm(z, z.shape[-1:])
        q, k, v = (split(linear(a, w[k], w[f"{k}_bias"])) for a, k in ((c, "Wq"), (y, "Wk"), (y, "Wv")))
        u = z + linear(sdpa(q.expand(len(k), -1, -1, -1), k, v).transpose(1, 2).flatten(2), w["Wo"], w["Wo_bias"], 2)
        return u + linear(functional.gelu(linear(functional.layer_norm(u, u.shape[-1:]), w["F1"], w["F1_bias"])), w["F2"], w["F2_bias"])

    z = attend(net.memory_L[None], x, "cross")
    return attend(z, z, "latent")


def hydra(net: Any, x: Tensor) -> Tensor:
    q, k, v = linear(x, net.Wq), linear(x, net.Wk), linear(x, net.Wv)
    q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
    return linear(q * (k * v).sum(1, keepdim=True), net.Wo)


D = {"d": HEADS * FEATURES}
H = D | {"h": HEADS}
CASES: dict[str, tuple[Forward, Callable[[int], dict[str, int]]]] = {
    "mha": (mha, lambda n: H), "mqa": (mqa, lambda n: H), "gqa": (gqa, lambda n: D | {"g": 2, "j": 4, "e": 64}), "rope_mha": (rope_mha, lambda n: H),
    "mla": (mla, lambda n: H | {"a": 192, "c": 128, "p": 16}), "qk_rmsnorm": (qk_rmsnorm, lambda n: H), "retention": (retention, lambda n: H),
    "talking_heads": (talking_heads, lambda n: H | {"g": HEADS, "j": HEADS}), "differential": (differential, lambda n: H),
    "sigmoid_attention": (sigmoid_attention, lambda n: H), "relu_attention": (relu_attention, lambda n: H), "softcap": (softcap, lambda n: H),
    "linear": (linear_attention, lambda n: H), "performer": (performer, lambda n: H), "agent": (agent, lambda n: H),
    "linformer": (linformer, lambda n: H | {"n": n}), "nystromformer": (nystromformer, lambda n: H), "fnet": (fnet, lambda n: {}),
    "mixer": (mixer, lambda n: D | {"n": n}), "gmlp": (gmlp, lambda n: D | {"n": n}), "lightweight_conv": (lightweight_conv, lambda n: H),
    "dynamic_conv": (dynamic_conv, lambda n: H), "aft_simple": (aft_simple, lambda n: D), "synthesizer_dense": (synthesizer_dense, lambda n: D | {"n": n}),
    "synthesizer_random": (synthesizer_random, lambda n: D | {"n": n}), "hopfield": (hopfield, lambda n: H), "xca": (xca, lambda n: H),
    "external": (external, lambda n: H), "perceiver": (perceiver, lambda n: D | {"n": n, "c": 512}), "hydra": (hydra, lambda n: D),
}  # fmt: skip
"""For entries of the zoo the code by hand and the sizes at a number of tokens."""
