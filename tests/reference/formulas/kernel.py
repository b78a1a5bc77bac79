"""Formulas of `zoo/kernel/`, each from its paper."""

from __future__ import annotations

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, multihead


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


CASES = {
    "linear": Case(linear, ("n d",), "d h", LAYER),
    "efficient": Case(efficient, ("n d",), "d h", LAYER),
}  # fmt: skip
