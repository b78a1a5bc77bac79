"""Layers of the zoo against the best code for them that we would write ourselves in PyTorch, with the same weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import bench_compiled as written
import torch
from cases_cores import BY_HAND, Case, chunked, past
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


def laser(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    top = v.detach().amax(-2, keepdim=True)
    return torch.log(attend(q, k, torch.exp(v - top))) + top


def efficient(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q, -1) @ (torch.softmax(k, -2).mT @ v)


def inverted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    w = torch.softmax(q * E**-0.5 @ k.mT, -2)
    return (w @ v) / (w.sum(-1, keepdim=True) + 1e-8)


def cog(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    s = q * E**-0.5 @ k.mT
    return (torch.sign(s) * torch.softmax(torch.abs(s), -1)) @ v


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


LAYERS: dict[str, tuple[Layer, dict[str, int]]] = {
    "alibi": (written.alibi, {}), "softmax_one": (written.off_by_one, {}), "learned_sink": (written.sink, {}), "l2": (written.distance, {}),
    "cosine": (cosine, {}), "qk_layernorm": (partial(normed, norm=layer_norm, causal=False), {}),
    "scalable_softmax": (scalable, {}), "gated_attention": (gated, {}),
    "prefix_lm": (around(prefix), {"p": 64}), "sliding_window": (around(chunked(64)), {"w": 64}),
    "laser": (around(laser), {}), "efficient": (around(efficient), {}), "inverted": (around(inverted), {}),
    "cog": (around(cog), {}), "persistent_memory": (memory, {"p": 64}), "forgetting": (forgetting, {}),
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
