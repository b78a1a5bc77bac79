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
    f = torch.sigmoid(x @ w["forget.Wf"] + w["forget.Wf.bias"])

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        s = scaled(q, k)
        rows = []
        for i in range(len(x)):
            a = torch.stack([torch.exp(s[i, j] - s[i].max()) * f[j + 1 : i + 1, h].prod() for j in range(i + 1)])
            rows.append(a @ v[: i + 1] / a.sum())
        return torch.stack(rows)

    return multihead(x, x, w, core)


CASES = {
    "alibi": Case(alibi, ("n d",), "d h", (*LAYER, {"n": 9, "h": 8, "e": 1, "d": 8})),
    "rope_mha": Case(rope_mha, ("n d",), "d h", EVEN),
    "xpos": Case(xpos, ("n d",), "d h", EVEN),
    "forgetting": Case(forgetting, ("n d",), "d h", LAYER),
}  # fmt: skip
