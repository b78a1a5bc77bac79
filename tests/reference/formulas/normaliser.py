"""Formulas of `zoo/normaliser/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, heads, multihead, scaled


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


def softmax_one(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """A key of score 0 whose value is 0."""

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        return attend(torch.cat([scaled(q, k), q.new_zeros(len(q), 1)], 1), torch.cat([v, v.new_zeros(1, v.shape[1])]))

    return multihead(x, x, w, core)


def relu_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: scaled(q, k).clamp(min=0) @ v / len(x))


def rela(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    rows = []
    for q, k, v in zip(*(heads(x, w[name], w[f"{name}.bias"]) for name in ("Wq", "Wk", "Wv")), strict=True):
        rows.append(scaled(q, k).clamp(min=0) @ v)
    y = torch.cat(rows, 1)
    y = y / torch.sqrt((y * y).mean(1, keepdim=True) + 1e-5) * w["norm.g"].flatten()
    return y @ flat(w["Wo"], 2) + w["Wo.bias"]


def sparse_row(s: Tensor) -> Tensor:
    """Martins and Astudillo (2016), algorithm 1."""
    u = torch.sort(s, descending=True).values
    k = max(j for j in range(1, len(s) + 1) if 1 + j * u[j - 1] > u[:j].sum())
    return torch.clamp(s - (u[:k].sum() - 1) / k, min=0)


def sparsemax_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: torch.stack([sparse_row(s) for s in scaled(q, k)]) @ v)


def entmax_row(s: Tensor) -> Tensor:
    """Peters, Niculae and Martins (2019), algorithm 2: alpha = 1.5, the support by trying every size of it."""
    t = s / 2
    u = torch.sort(t, descending=True).values
    for k in range(len(s), 0, -1):
        mean, spread = u[:k].mean(), ((u[:k] - u[:k].mean()) ** 2).sum()
        if spread <= 1:
            tau = mean - torch.sqrt((1 - spread) / k)
            if tau <= u[k - 1]:
                return torch.clamp(t - tau, min=0) ** 2
    raise AssertionError("one entry is always a support")


def entmax_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: torch.stack([entmax_row(s) for s in scaled(q, k)]) @ v)


def topk_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        rows = []
        for s in scaled(q, k):
            kept = sorted(range(len(s)), key=lambda j: -s[j].item())[: z["r"]]
            rows.append(attend(s[kept][None], v[kept]))
        return torch.cat(rows)

    return multihead(x, x, w, core)


def cog(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        s = scaled(q, k)
        e = torch.sign(s) * torch.exp(abs(s) - abs(s).amax(1, keepdim=True))
        return (e / abs(e).sum(1, keepdim=True)) @ v

    return multihead(x, x, w, core)


def laser(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: torch.log(attend(scaled(q, k), torch.exp(v))))


def inverted(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        shares = torch.stack([torch.exp(t) / torch.exp(t).sum() for t in scaled(q, k).T], 1)
        return torch.stack([(p @ v) / (p.sum() + 1e-8) for p in shares])

    return multihead(x, x, w, core)


def hard(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """The annotation of the best score; no gradient comes back through the choice."""
    rows = [x[(torch.tanh(row @ w["W"] + x @ w["U"]) @ w["score.u"]).argmax()] for row in t]
    return torch.stack(rows)


class Straight(torch.autograd.Function):
    """One-hot of the greatest forward, the identity backward."""

    @staticmethod
    def forward(ctx: object, y: Tensor) -> Tensor:
        return torch.eye(len(y), dtype=y.dtype)[y.argmax()]

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return gradients[0]


def gumbel(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Jang and others (2016), equation 1 and section 2.2, with draws from PyTorch's generator."""
    rows = []
    for row in t:
        s = torch.tanh(row @ w["W"] + x @ w["U"]) @ w["score.u"]
        noise = -torch.log(-torch.log(torch.rand(len(x), dtype=x.dtype)))
        rows.append(Straight.apply(torch.softmax(s + noise, 0)) @ x)
    return torch.stack(rows)


def stick_breaking(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        beta, rows = 1 / (1 + torch.exp(-scaled(q, k))), []
        for j in range(len(x)):
            left, row = q.new_ones(()), torch.zeros_like(v[0])
            for i in reversed(range(j)):
                row = row + left * beta[j, i] * v[i]
                left = left * (1 - beta[j, i])
            rows.append(row)
        return torch.stack(rows)

    return multihead(x, x, w, core)


def sinkformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        p = torch.exp(scaled(q, k))
        for axis in (1, 0, 1, 0, 1):
            p = p / p.sum(axis, keepdim=True)
        return p @ v

    return multihead(x, x, w, core)


PICK = ({**LAYER[0], "r": 2}, {**LAYER[1], "r": 1}, {**LAYER[2], "r": 5}, {**LAYER[3], "r": 3})
CROSS = ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})

CASES = {
    "sigmoid_attention": Case(sigmoid_attention, ("n d",), "d h", LAYER),
    "scalable_softmax": Case(scalable_softmax, ("n d",), "d h", LAYER),
    "softmax_one": Case(softmax_one, ("n d",), "d h", LAYER),
    "relu_attention": Case(relu_attention, ("n d",), "d h", LAYER),
    "rela": Case(rela, ("n d",), "d h", LAYER),
    "sparsemax_attention": Case(sparsemax_attention, ("n d",), "d h", LAYER),
    "entmax_attention": Case(entmax_attention, ("n d",), "d h", LAYER),
    "topk_attention": Case(topk_attention, ("n d",), "d h r", PICK),
    "cog": Case(cog, ("n d",), "d h", LAYER),
    "laser": Case(laser, ("n d",), "d h", LAYER),
    "inverted": Case(inverted, ("n d",), "d h", LAYER),
    "hard": Case(hard, ("n d", "m c"), "d c a", CROSS),
    "gumbel": Case(gumbel, ("n d", "m c"), "d c a", CROSS),
    "stick_breaking": Case(stick_breaking, ("n d",), "d h", LAYER),
    "sinkformer": Case(sinkformer, ("n d",), "d h", LAYER),
}  # fmt: skip
