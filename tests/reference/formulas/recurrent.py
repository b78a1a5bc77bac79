"""Formulas of `zoo/recurrent/`, each from its paper."""

from __future__ import annotations

import torch
from torch import Tensor

from formulas.common import Case, Sizes, Weights


def monotonic(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Raffel and others (2017), equation 9, entry by entry; alpha_0 is at the first entry of the memory."""
    direction = w["score.v"] / torch.linalg.vector_norm(w["score.v"])
    alpha = [torch.ones((), dtype=x.dtype), *x.new_zeros(len(x) - 1)]
    rows = []
    for s in t:
        e = torch.tanh(s @ w["W"] + w["W.bias"] + x @ w["V"]) @ direction
        p = 1 / (1 + torch.exp(-(w["score.g"] * e + w["score.r"])))
        row: list[Tensor] = []
        for j in range(len(x)):
            left = (1 - p[j - 1]) * row[j - 1] / p[j - 1] if j else 0
            row.append(p[j] * (left + alpha[j]))
        alpha = row
        rows.append(sum(a * h for a, h in zip(row, x, strict=True)))
    return torch.stack(rows)


PAIR = ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})

def mocha(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Chiu and Raffel (2018), equation 13: beta_ij, a sum over the ends of chunks, entry by entry."""
    direction = w["score.v"] / torch.linalg.vector_norm(w["score.v"])
    alpha = [torch.ones((), dtype=x.dtype), *x.new_zeros(len(x) - 1)]
    rows = []
    for s in t:
        e = torch.tanh(s @ w["W"] + w["W.bias"] + x @ w["V"]) @ direction
        p = 1 / (1 + torch.exp(-(w["score.g"] * e + w["score.r0"])))
        u = torch.exp(torch.tanh(s @ w["Wc"] + w["Wc.bias"] + x @ w["Vc"]) @ w["chunk.v"])
        alpha = [p[j] * sum(alpha[k] * torch.prod(1 - p[k:j]) for k in range(j + 1)) for j in range(len(x))]
        row = torch.zeros_like(x[0])
        for j in range(len(x)):
            beta = sum(alpha[k] * u[j] / u[max(0, k - z["r"] + 1) : k + 1].sum() for k in range(j, min(len(x), j + z["r"])))
            row = row + beta * x[j]
        rows.append(row)
    return torch.stack(rows)


CASES: dict[str, Case] = {
    "monotonic": Case(monotonic, ("n d", "m c"), "d c a", PAIR),
    "mocha": Case(mocha, ("n d", "m c"), "d c a r", tuple({**s, "r": r} for s, r in zip(PAIR, (3, 1, 2), strict=True))),
}  # fmt: skip
