"""Formulas of `zoo/heads/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import Case, Sizes, Weights, attend, flat, heads, lower, rotate, scaled


def gqa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    groups, per_group = z["g"], z["j"]
    q = list(heads(x, w["Wq"].flatten(1, 2)))
    k, v = list(heads(x, w["Wk"])), list(heads(x, w["Wv"]))
    out = []
    for i in range(groups * per_group):
        s = scaled(rotate(q[i]), rotate(k[i // per_group])).masked_fill(~lower(len(x)), -math.inf)
        out.append(attend(s, v[i // per_group]))
    return torch.cat(out, 1) @ flat(w["Wo"], 3)


CASES = {
    "gqa": Case(gqa, ("n d",), "d g j", ({"n": 5, "g": 3, "j": 2, "d": 12}, {"n": 1, "g": 1, "j": 1, "d": 2}, {"n": 7, "g": 1, "j": 3, "d": 18}, {"n": 3, "g": 3, "j": 1, "d": 30})),
}  # fmt: skip
