"""What the formulas share: one example at a time, weights by their keys, nothing of the compiler.

Weights are stored as [in axes..., out axes...]; heads are an axis of the weight, so a formula for one head is applied to each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Sizes = dict[str, int]


@dataclass(frozen=True)
class Case:
    """A formula, the shapes of its inputs by axis, the sizes to compile with, and sizes to try."""

    formula: Callable[..., Tensor]
    inputs: tuple[str, ...]
    given: str
    trials: tuple[Sizes, ...]


LAYER = ({"n": 5, "h": 3, "e": 2, "d": 6}, {"n": 1, "h": 1, "e": 3, "d": 3}, {"n": 7, "h": 5, "e": 1, "d": 5}, {"n": 3, "h": 4, "e": 5, "d": 20})


def flat(w: Tensor, rows: int) -> Tensor:
    """A weight as a matrix whose first `rows` axes are one."""
    return w.flatten(0, rows - 1).flatten(1)


def heads(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Iterable[Tensor]:
    """[n, d] through [d, h, e] as h matrices [n, e]."""
    y = x @ w.flatten(1)
    if bias is not None:
        y = y + bias.flatten()
    return y.view(len(x), *w.shape[1:]).unbind(1)


def multihead(x: Tensor, y: Tensor, w: Weights, core: Callable[..., Tensor]) -> Tensor:
    qs, ks, vs = (heads(t, w[k], w.get(f"{k}.bias")) for t, k in ((x, "Wq"), (y, "Wk"), (y, "Wv")))
    z = torch.cat([core(q, k, v, i) for i, (q, k, v) in enumerate(zip(qs, ks, vs, strict=True))], 1)
    return z @ flat(w["Wo"], 2) + w.get("Wo.bias", 0)


def lower(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


def attend(s: Tensor, v: Tensor) -> Tensor:
    p = torch.exp(s - s.max(-1, keepdim=True).values)
    return (p / p.sum(-1, keepdim=True)) @ v


def scaled(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.T / math.sqrt(q.shape[-1])


def rotate(x: Tensor) -> Tensor:
    """Complex multiplication of the pairs (i, i + e/2) by exp(i * position * 10000^(-2i/e))."""
    n, e = x.shape
    angle = torch.arange(n, dtype=x.dtype)[:, None] * 10000.0 ** (-2 * torch.arange(e // 2, dtype=x.dtype) / e)
    z = torch.complex(x[:, : e // 2], x[:, e // 2 :]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], 1)
