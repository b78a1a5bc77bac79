"""Formulas of `zoo/softmax/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, lower, multihead, scaled


def sdpa(q: Tensor, k: Tensor, v: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(scaled(q, k), v)


def mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k), v))


def cross(x: Tensor, y: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, y, w, lambda q, k, v, i: attend(scaled(q, k), v))


def persistent_memory(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        keys, values = torch.cat([w["memory.Mk"][h], k]), torch.cat([w["memory.Mv"][h], v])
        seen = torch.cat([torch.ones(len(x), z["p"], dtype=torch.bool), lower(len(x))], 1)
        return attend(scaled(q, keys).masked_fill(~seen, -math.inf), values)

    return multihead(x, x, w, core)


def hopfield(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Two updates of the state patterns, then the association with the values K W_V."""
    out = []
    for h in range(z["h"]):
        xi, y = x @ w["Wq"][:, h], x @ w["Wk"][:, h]
        for _ in range(2):
            xi = torch.softmax(xi @ y.T / math.sqrt(z["e"]), 1) @ y
        out.append(torch.softmax(xi @ y.T / math.sqrt(z["e"]), 1) @ (y @ w["Wv"][h]))
    return torch.cat(out, 1) @ flat(w["Wo"], 2)


CASES = {
    "sdpa": Case(sdpa, ("n e", "m e", "m f"), "", ({"n": 3, "m": 5, "e": 7, "f": 2}, {"n": 1, "m": 1, "e": 1, "f": 1}, {"n": 4, "m": 1, "e": 3, "f": 5})),
    "mha": Case(mha, ("n d",), "d h", LAYER),
    "cross": Case(cross, ("n d", "m c"), "d h c", tuple({**s, "m": m, "c": c} for s, m, c in zip(LAYER, (3, 5, 1, 7), (5, 1, 3, 2), strict=True))),
    "persistent_memory": Case(persistent_memory, ("n d",), "d h p", tuple({**s, "p": p} for s, p in zip(LAYER, (3, 1, 7, 5), strict=True))),
    "hopfield": Case(hopfield, ("n d",), "d h", LAYER),
}  # fmt: skip
