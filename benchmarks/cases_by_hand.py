"""Layers of the zoo against the best code for them that we would write ourselves in PyTorch, with the same weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import bench_compiled as written
import torch
from cases_cores import BY_HAND, Case, chunked, features, past
from cases_modules import HEADS, ByHand, contest
from timing import Contest
from torch import Tensor
from torch.nn import functional

N, E = 512, 64
attend = functional.scaled_dot_product_attention
Layer = Callable[[Any, Tensor], Tensor]


def around(core: Callable[..., Tensor]) -> Layer:
    """A core between the usual projections."""
    return lambda net, x: written.out(net, core(*written.projected(net, x)))


def unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def cosine(net: Any, x: Tensor) -> Tensor:
    q, k, v = written.projected(net, x)
    return written.out(net, attend(net.score_g * unit(q), unit(k), v, scale=1.0))


def normed(net: Any, x: Tensor, norm: Callable[[Tensor, Tensor], Tensor], causal: bool) -> Tensor:
    q, k, v = written.projected(net, x)
    return written.out(net, attend(norm(q, net.score_gq), norm(k, net.score_gk), v, is_causal=causal))


def layer_norm(x: Tensor, g: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], g)


def rms_norm(x: Tensor, g: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:], g, 1e-6)


def turned(x: Tensor) -> Tensor:
    n, e = x.shape[-2:]
    t = torch.outer(torch.arange(n), 10000 ** (-torch.arange(e // 2) / (e // 2)))
    a, b, c, s = x[..., ::2], x[..., 1::2], t.cos(), t.sin()
    return torch.stack((a * c - b * s, a * s + b * c), -1).flatten(-2)


def scalable(net: Any, x: Tensor) -> Tensor:
    q, k, v = written.projected(net, x)
    more = net.temperature_g[:, None, None] * torch.log(torch.arange(x.shape[1]) + 1.0)[:, None]
    return written.out(net, attend(q * more, k, v, is_causal=True))


def gated(net: Any, x: Tensor) -> Tensor:
    y = attend(*written.projected(net, x))
    return written.out(net, y * torch.sigmoid(written.heads(x, net.Wg, None)))


def prefix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = past(N)
    mask[:, :64] = True
    return attend(q, k, v, attn_mask=mask)


def softcap(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    s = (50 * torch.tanh(written.scores(q, k) / 50)).masked_fill_(~past(N), float("-inf"))
    return torch.softmax(s, -1) @ v


def sigmoid(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.sigmoid(q * E**-0.5 @ k.mT - math.log(N)) @ v


def relu(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.relu(q * (E**-0.5 / N) @ k.mT) @ v


def laser(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    top = v.detach().amax(-2, keepdim=True)
    return torch.log(attend(q, k, torch.exp(v - top))) + top


def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = features(q), features(k)
    return (q @ (k.mT @ v)) / (q @ k.sum(-2)[..., None])


def efficient(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q, -1) @ (torch.softmax(k, -2).mT @ v)


def inverted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    w = torch.softmax(q * E**-0.5 @ k.mT, -2)
    return (w @ v) / (w.sum(-1, keepdim=True) + 1e-8)


def cog(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    s = q * E**-0.5 @ k.mT
    return (torch.sign(s) * torch.softmax(torch.abs(s), -1)) @ v


def mqa(net: Any, x: Tensor) -> Tensor:
    q = written.heads(x, net.Wq, net.Wq_bias)
    k, v = ((x @ w + b)[:, None].expand(-1, HEADS, -1, -1) for w, b in ((net.Wk, net.Wk_bias), (net.Wv, net.Wv_bias)))
    return written.out(net, attend(q, k, v))


def talking(net: Any, x: Tensor) -> Tensor:
    q, k, v = written.projected(net, x)
    s = torch.einsum("bhnm,hg->bgnm", q * E**-0.5 @ k.mT, net.before_Pl)
    return written.out(net, torch.einsum("bgnm,gj->bjnm", torch.softmax(s, -1), net.after_Pw) @ v)


def memory(net: Any, x: Tensor) -> Tensor:
    q, k, v = written.projected(net, x)
    k, v = (torch.cat((m.expand(len(x), -1, -1, -1), y), 2) for m, y in ((net.memory_Mk, k), (net.memory_Mv, v)))
    seen = functional.pad(past(N), (k.shape[2] - N, 0), value=True)
    return written.out(net, attend(q, k, v, attn_mask=seen))


def forgetting(net: Any, x: Tensor) -> Tensor:
    q, k, v = written.projected(net, x)
    c = functional.logsigmoid(x @ net.log_forget_Wf + net.log_forget_Wf_bias).cumsum(1).transpose(1, 2)[..., None]
    k = torch.cat((k, -c * math.sqrt(E)), -1)
    y = attend(functional.pad(q, (0, 1), value=1.0), k, functional.pad(v, (0, 1)), is_causal=True, scale=E**-0.5)
    return written.out(net, y[..., :E])


def retention(net: Any, x: Tensor) -> Tensor:
    q, k, v, g = (written.heads(x, getattr(net, f"W{i}"), None) for i in "qkvg")
    at = torch.arange(N)
    decay = torch.log(1 - 2.0 ** (-5 - torch.arange(HEADS)))[:, None, None] * (at[:, None] - at)
    w = (turned(q) @ turned(k).mT) * torch.exp(decay.masked_fill(~past(N), float("-inf")))
    y = functional.layer_norm(w @ v, (E,)) * functional.silu(g)
    return y.transpose(1, 2).flatten(2) @ net.Wo.flatten(0, 1)


def xca(net: Any, x: Tensor) -> Tensor:
    q, k = (functional.normalize(written.heads(x, w, None), dim=-2) for w in (net.Wq, net.Wk))
    v = written.heads(x, net.Wv, getattr(net, "Wv_bias", None))
    return written.out(net, v @ torch.softmax(net.t[:, None, None] * (q.mT @ k), -1).mT)


LAYERS: dict[str, tuple[Layer, dict[str, int]]] = {
    "alibi": (written.alibi, {}), "softmax_one": (written.off_by_one, {}), "learned_sink": (written.sink, {}), "l2": (written.distance, {}),
    "cosine": (cosine, {}), "qk_rmsnorm": (partial(normed, norm=rms_norm, causal=True), {}), "qk_layernorm": (partial(normed, norm=layer_norm, causal=False), {}),
    "rope_mha": (around(lambda q, k, v: attend(turned(q), turned(k), v)), {}), "scalable_softmax": (scalable, {}), "gated_attention": (gated, {}),
    "prefix_lm": (around(prefix), {"p": 64}), "sliding_window": (around(chunked(64)), {"w": 64}), "softcap": (around(softcap), {}), "sigmoid_attention": (around(sigmoid), {}),
    "relu_attention": (around(relu), {}), "laser": (around(laser), {}), "linear": (around(linear), {}), "efficient": (around(efficient), {}), "inverted": (around(inverted), {}),
    "cog": (around(cog), {}), "mqa": (mqa, {}), "talking_heads": (talking, {"g": HEADS, "j": HEADS}), "persistent_memory": (memory, {"p": 64}), "forgetting": (forgetting, {}),
    "retention": (retention, {}), "xca": (xca, {}),
}  # fmt: skip
"""Entries with the code and the sizes that they need beside d and h."""


def by_hand(entry: str, gradient: bool) -> Contest:
    function, sizes = LAYERS[entry]
    found, net = contest(entry, N, gradient, h=HEADS, **sizes)
    return found.against("by hand", lambda: ByHand(net, function), BY_HAND)


def cases() -> Iterator[Case]:
    for entry in LAYERS:
        make = partial(by_hand, entry)
        make.__name__ = make.__qualname__ = entry  # type: ignore[attr-defined]
        yield make, (False, True)
