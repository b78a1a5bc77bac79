"""Formulas of `zoo/pooling/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, heads, multihead, scaled


def external(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    out = []
    for q in heads(x, w["Wq"], w["Wq.bias"]):
        a = torch.exp(q @ w["external_core.Mk"])
        a = a / a.sum(0)
        out.append(a / a.sum(1, keepdim=True) @ w["external_core.Mv"])
    return torch.cat(out, 1) @ flat(w["Wo"], 2) + w["Wo.bias"]


def below(w: Weights, path: str) -> Weights:
    """The weights of one call."""
    return {k.removeprefix(path + "."): v for k, v in w.items() if k.startswith(path + ".")}


def norm(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)


def attention(x: Tensor, y: Tensor, w: Weights) -> Tensor:
    return multihead(x, y, w, lambda q, k, v, i: attend(scaled(q, k), v))


def feedforward(x: Tensor, w: Weights) -> Tensor:
    return functional.relu(x @ w["F1"] + w["F1.bias"]) @ w["F2"] + w["F2.bias"]


def mab(x: Tensor, y: Tensor, w: Weights) -> Tensor:
    h = norm(x + attention(x, y, below(w, "multihead")))
    return norm(h + feedforward(h, w))


def sab(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return mab(x, x, below(w, "mab"))


def isab(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return mab(x, mab(w["memory.I"], x, below(w, "pack")), below(w, "unpack"))


def pma(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return mab(w["memory.S"], feedforward(x, w), below(w, "mab"))


def perceiver(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def block(t: Tensor, y: Tensor, v: Weights) -> Tensor:
        t = t + attention(norm(t), norm(y), v)
        return t + functional.gelu(norm(t) @ v["F1"] + v["F1.bias"]) @ v["F2"] + v["F2.bias"]

    t = block(w["memory.L"], x, below(w, "cross"))
    return block(t, t, below(w, "latent"))


def luna(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    v = below(w, "luna_layer")
    packed = attention(w["memory.P"], x, below(v, "pack"))
    return norm(attention(x, packed, below(v, "unpack")) + x)


def lambda_layer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    k, v = (x @ w["Wk"]).softmax(0), x @ w["Wv"]
    rows = []
    for n in range(len(x)):
        lam = sum(torch.outer(k[m] + w["position.E"][n, m], v[m]) for m in range(len(x)))
        rows.append(torch.cat([lam.T @ q[n] for q in heads(x, w["Wq"])]))
    return torch.stack(rows)


LATENT = (
    {"n": 5, "h": 3, "e": 2, "d": 6, "p": 4, "c": 5},
    {"n": 1, "h": 1, "e": 3, "d": 3, "p": 1, "c": 1},
    {"n": 3, "h": 2, "e": 2, "d": 4, "p": 2, "c": 7},
)


def memory_compressed(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def convolve(t: Tensor, name: str) -> Tensor:
        kernel = w[f"{name}.W"].flatten(2).permute(2, 1, 0)
        y = functional.conv1d(t.T[None], kernel, w[f"{name}.W.bias"].flatten(), stride=z["r"])[0].T
        return y.view(len(y), *w[f"{name}.W"].shape[2:])

    k, v = convolve(x @ w["Wk"], "key"), convolve(x @ w["Wv"], "value")
    triples = zip(heads(x, w["Wq"]), k.unbind(1), v.unbind(1), strict=True)
    return torch.cat([attend(scaled(*qk), u) for *qk, u in triples], 1) @ flat(w["Wo"], 2)


def funnel(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    pooled = functional.avg_pool1d(x.T[None], z["r"])[0].T
    return multihead(pooled, x, w, lambda q, k, v, _: attend(scaled(q, k), v))


SHORTER = tuple(
    {**LAYER[k], **more} for k, more in enumerate(({"n": 6, "r": 2}, {"r": 1}, {"n": 9, "r": 3}, {"n": 8, "r": 4}))
)


def slot(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Locatello and others (2020), algorithm 1, with PyTorch's cell; its matrices are stored [out, in], gates r, z, n."""

    def norm(y: Tensor) -> Tensor:
        return functional.layer_norm(y, y.shape[-1:])

    outer, inner = (torch.cat([w[f"gru.{side}{gate}"] for gate in "rzn"], 1).T for side in "IH")
    biases = [torch.cat([w[f"gru.{side}{gate}.bias"] for gate in "rzn"]) for side in "IH"]
    k, v = norm(x) @ w["Wk"], norm(x) @ w["Wv"]
    slots = t
    for _ in range(3):
        share = torch.softmax(k @ (norm(slots) @ w["Wq"]).T / math.sqrt(k.shape[1]), 1) + 1e-8
        updates = (share / share.sum(0)).T @ v
        slots = torch.gru_cell(updates, slots, outer, inner, *biases)
        slots = slots + torch.relu(norm(slots) @ w["M1"] + w["M1.bias"]) @ w["M2"] + w["M2.bias"]
    return slots


CASES = {
    "external": Case(external, ("n d",), "d h c", LATENT),
    "sab": Case(sab, ("n d",), "d h c", LATENT),
    "isab": Case(isab, ("n d",), "d h c p", LATENT),
    "pma": Case(pma, ("n d",), "d h c p", LATENT),
    "perceiver": Case(perceiver, ("n d",), "d h c p e", LATENT),
    "luna": Case(luna, ("n d",), "d h p", LATENT),
    "lambda_layer": Case(
        lambda_layer, ("n d",), "n d h e", ({"n": 5, "h": 3, "e": 2, "d": 6}, {"n": 1, "h": 1, "e": 1, "d": 1}, {"n": 3, "h": 2, "e": 5, "d": 8})
    ),
    "memory_compressed": Case(memory_compressed, ("n d",), "d h r", SHORTER),
    "funnel": Case(funnel, ("n d",), "d h r", SHORTER),
    "slot": Case(slot, ("n d", "m c"), "d c e p", ({"n": 3, "m": 5, "d": 2, "c": 7, "e": 3, "p": 5}, {"n": 1, "m": 1, "d": 1, "c": 1, "e": 1, "p": 1}, {"n": 5, "m": 3, "d": 4, "c": 2, "e": 5, "p": 1})),
}  # fmt: skip
