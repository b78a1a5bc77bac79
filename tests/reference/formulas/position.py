"""Formulas of `zoo/position/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, lower, multihead, scaled


def alibi(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    j = torch.arange(len(x), dtype=x.dtype)
    slope = [2.0 ** (-8 * (i + 1) / z["h"]) for i in range(z["h"])]

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        return attend((scaled(q, k) - slope[i] * (j[:, None] - j)).masked_fill(~lower(len(x)), -math.inf), v)

    return multihead(x, x, w, core)


EVEN = ({"n": 5, "h": 3, "e": 2, "d": 6}, {"n": 1, "h": 1, "e": 2, "d": 2}, {"n": 7, "h": 1, "e": 6, "d": 6}, {"n": 3, "h": 5, "e": 4, "d": 20})


def turned(x: Tensor, zeta: Tensor | None = None) -> Tensor:
    """Neighbouring pairs as complex numbers, times exp(i * n * theta_i) and zeta_i^n."""
    n, e = x.shape
    z = torch.view_as_complex(x.reshape(n, e // 2, 2).contiguous())
    rows = []
    for at in range(n):
        theta = torch.tensor([at * 10000.0 ** (-2 * i / e) for i in range(e // 2)], dtype=x.dtype)
        rows.append(z[at] * torch.exp(1j * theta) * (1 if zeta is None else zeta**at))
    return torch.view_as_real(torch.stack(rows)).flatten(1)


def rope_mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(turned(q), turned(k)), v))


def xpos(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        zeta = (torch.arange(0, z["e"], 2, dtype=x.dtype) + 0.4 * z["e"]) / (1.4 * z["e"])
        s = scaled(turned(q, zeta ** (1 / 512)), turned(k, zeta ** (-1 / 512)))
        return attend(s.masked_fill(~lower(len(x)), -math.inf), v)

    return multihead(x, x, w, core)


def forgetting(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """The weights exp(s_ij) times the product of the gates f_l, j < l <= i, divided by their sum."""
    f = torch.sigmoid(x @ w["log_forget.Wf"] + w["log_forget.Wf.bias"])

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        s = scaled(q, k)
        rows = []
        for i in range(len(x)):
            a = torch.stack([torch.exp(s[i, j] - s[i].max()) * f[j + 1 : i + 1, h].prod() for j in range(i + 1)])
            rows.append(a @ v[: i + 1] / a.sum())
        return torch.stack(rows)

    return multihead(x, x, w, core)


def t5_bucket(offset: int) -> int:
    """T5's bucket of `memory position - query position`, by integer comparisons: bucket 8 + k begins at 8 * 2^(k/2)."""
    a = abs(offset)
    bucket = a if a < 8 else 8 + max(k for k in range(8) if a * a >= 64 * 2**k)
    return bucket + (16 if offset > 0 else 0)


def t5_bias(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    bucket = torch.tensor([[t5_bucket(j - i) for j in range(len(x))] for i in range(len(x))])
    return multihead(x, x, w, lambda q, k, v, h: attend(q @ k.T + w["position.B"][:, h][bucket], v))


def shaw(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    clip = z["c"]

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        rows = []
        for i in range(len(x)):
            at = [min(clip, max(-clip, j - i)) + clip for j in range(len(x))]
            s = torch.stack([q[i] @ (k[j] + w["position.K"][r]) for j, r in enumerate(at)]) / math.sqrt(z["e"])
            rows.append(attend(s[None], v + w["position.V"][at])[0])
        return torch.stack(rows)

    return multihead(x, x, w, core)


def transformer_xl(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """The four terms of section 3.3, one pair of positions at a time."""
    d = z["d"]

    def sinusoid(pos: int) -> Tensor:
        angle = [pos / 10000 ** (2 * (i // 2) / d) for i in range(d)]
        return torch.tensor([(math.cos if i % 2 else math.sin)(a) for i, a in enumerate(angle)], dtype=x.dtype)

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        rows = []
        for i in range(len(x)):
            s = []
            for j in range(i + 1):
                kr = sinusoid(i - j) @ w["Wr"][:, h]
                s.append(q[i] @ k[j] + q[i] @ kr + w["u"][h] @ k[j] + w["t"][h] @ kr)
            rows.append(attend(torch.stack(s)[None] / math.sqrt(z["e"]), v[: i + 1])[0])
        return torch.stack(rows)

    return multihead(x, x, w, core)


def deberta(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Eqs. 2 to 4."""
    c = z["c"]

    def delta(i: int, j: int) -> int:
        return 0 if i - j <= -c else 2 * c - 1 if i - j >= c else i - j + c

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        qr, kr = w["P"] @ w["Wqr"][:, h], w["P"] @ w["Wkr"][:, h]
        n = range(len(x))
        s = [[q[i] @ k[j] + q[i] @ kr[delta(i, j)] + k[j] @ qr[delta(j, i)] for j in n] for i in n]
        return attend(torch.stack([torch.stack(row) for row in s]) / math.sqrt(3 * z["e"]), v)

    return multihead(x, x, w, core)


def cope(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """The listing of the paper, one pair of positions at a time."""
    top = z["p"] - 1

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        rows = []
        for i in range(len(x)):
            s = scaled(q[i : i + 1], k[: i + 1])[0]
            bias = []
            for j in range(i + 1):
                p = torch.clamp(torch.sigmoid(s[j:]).sum(), max=top)
                low, high = math.floor(p.item()), math.ceil(p.item())
                e = w["position.E"]
                bias.append(q[i] @ e[high] * (p - low) + q[i] @ e[low] * (1 - p + low))
            rows.append(attend((s + torch.stack(bias))[None], v[: i + 1])[0])
        return torch.stack(rows)

    return multihead(x, x, w, core)


CASES = {
    "alibi": Case(alibi, ("n d",), "d h", (*LAYER, {"n": 9, "h": 8, "e": 1, "d": 8})),
    "rope_mha": Case(rope_mha, ("n d",), "d h", EVEN),
    "xpos": Case(xpos, ("n d",), "d h", EVEN),
    "forgetting": Case(forgetting, ("n d",), "d h", LAYER),
    "t5_bias": Case(t5_bias, ("n d",), "d h", (*LAYER, {"n": 150, "h": 1, "e": 1, "d": 1})),
    "shaw": Case(shaw, ("n d",), "d h c", tuple({**s, "c": c} for s, c in zip(LAYER, (2, 1, 3, 5), strict=True))),
    "transformer_xl": Case(transformer_xl, ("n d",), "d h", LAYER),
    "deberta": Case(deberta, ("n d",), "d h c", tuple({**s, "c": c} for s, c in zip(LAYER, (2, 1, 3, 5), strict=True))),
    "cope": Case(cope, ("n d",), "d h p", tuple({**s, "p": p} for s, p in zip(LAYER, (5, 3, 3, 1), strict=True))),
}  # fmt: skip
