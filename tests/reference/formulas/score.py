"""Formulas of `zoo/score/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, multihead


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


CASES = {
    "bahdanau": Case(bahdanau, ("n d", "m c"), "d c a", ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})),
    "luong_general": Case(luong_general, ("n d", "m c"), "d c", ({"n": 3, "m": 5, "d": 2, "c": 7}, {"n": 1, "m": 1, "d": 1, "c": 1}, {"n": 5, "m": 1, "d": 3, "c": 1})),
    "cosine": Case(cosine, ("n d",), "d h", LAYER),
    "l2": Case(l2, ("n d",), "d h", LAYER),
}  # fmt: skip
