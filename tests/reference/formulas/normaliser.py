"""Formulas of `zoo/normaliser/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, multihead, scaled


def sigmoid_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: (1 / (1 + torch.exp(math.log(len(x)) - scaled(q, k)))) @ v)


def scalable_softmax(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Row by row, over the keys that position i sees: n^(s z_j) / sum n^(s z_l) with n = i + 1."""

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        rows = []
        for i in range(len(x)):
            s = w["temperature.g"][h] * (k[: i + 1] @ q[i] / math.sqrt(z["e"]))
            a = torch.tensor(float(i + 1), dtype=x.dtype) ** (s - s.max())
            rows.append(a @ v[: i + 1] / a.sum())
        return torch.stack(rows)

    return multihead(x, x, w, core)


CASES = {
    "sigmoid_attention": Case(sigmoid_attention, ("n d",), "d h", LAYER),
    "scalable_softmax": Case(scalable_softmax, ("n d",), "d h", LAYER),
}  # fmt: skip
