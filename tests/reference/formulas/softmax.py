"""Formulas of `zoo/softmax/`, each from its paper."""

from __future__ import annotations

from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, multihead, scaled


def sdpa(q: Tensor, k: Tensor, v: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(scaled(q, k), v)


def mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k), v))


def cross(x: Tensor, y: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, y, w, lambda q, k, v, i: attend(scaled(q, k), v))


CASES = {
    "sdpa": Case(sdpa, ("n e", "m e", "m f"), "", ({"n": 3, "m": 5, "e": 7, "f": 2}, {"n": 1, "m": 1, "e": 1, "f": 1}, {"n": 4, "m": 1, "e": 3, "f": 5})),
    "mha": Case(mha, ("n d",), "d h", LAYER),
    "cross": Case(cross, ("n d", "m c"), "d h c", tuple({**s, "m": m, "c": c} for s, m, c in zip(LAYER, (3, 5, 1, 7), (5, 1, 3, 2), strict=True))),
}  # fmt: skip
