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


CASES = {
    "alibi": Case(alibi, ("n d",), "d h", (*LAYER, {"n": 9, "h": 8, "e": 1, "d": 8})),
}  # fmt: skip
