"""Formulas of `zoo/normaliser/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, multihead, scaled


def sigmoid_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: (1 / (1 + torch.exp(math.log(len(x)) - scaled(q, k)))) @ v)


CASES = {
    "sigmoid_attention": Case(sigmoid_attention, ("n d",), "d h", LAYER),
}  # fmt: skip
