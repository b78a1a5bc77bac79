"""Formulas of `zoo/mask/`, each from its paper."""

from __future__ import annotations

import math

from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, lower, multihead, scaled


def causal_mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k).masked_fill(~lower(len(x)), -math.inf), v))


CASES = {
    "causal_mha": Case(causal_mha, ("n d",), "d h", LAYER),
}  # fmt: skip
