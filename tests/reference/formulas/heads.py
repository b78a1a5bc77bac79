"""Formulas of `zoo/heads/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, heads, lower, multihead, rotate, scaled


def gqa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    groups, per_group = z["g"], z["j"]
    q = list(heads(x, w["Wq"].flatten(1, 2), w["Wq.bias"]))
    k, v = (list(heads(x, w[t], w[f"{t}.bias"])) for t in ("Wk", "Wv"))
    out = []
    for i in range(groups * per_group):
        s = scaled(rotate(q[i]), rotate(k[i // per_group])).masked_fill(~lower(len(x)), -math.inf)
        out.append(attend(s, v[i // per_group]))
    return torch.cat(out, 1) @ flat(w["Wo"], 3) + w["Wo.bias"]


def mqa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    k, v = (x @ w[t] + w[f"{t}.bias"] for t in ("Wk", "Wv"))
    return torch.cat([attend(scaled(q, k), v) for q in heads(x, w["Wq"], w["Wq.bias"])], 1) @ flat(w["Wo"], 2) + w["Wo.bias"]


def mla(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """DeepSeek-V2, equations 37 to 47; one long query and key for each head."""

    def norm(c: Tensor) -> Tensor:
        return c / torch.sqrt((c * c).mean(1, keepdim=True) + 1e-5)

    cq, ckv = norm(x @ w["Dq"]), norm(x @ w["Dkv"])
    shared = rotate(x @ w["Rk"])
    out = []
    for i in range(z["h"]):
        q = torch.cat([cq @ w["Uq"][:, i], rotate(cq @ w["Rq"][:, i])], 1)
        k = torch.cat([ckv @ w["Uk"][:, i], shared], 1)
        out.append(attend(scaled(q, k).masked_fill(~lower(len(x)), -math.inf), ckv @ w["Uv"][:, i]))
    return torch.cat(out, 1) @ flat(w["Wo"], 2)


def talking_heads(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    logits = [scaled(q, k) for q, k in zip(*(heads(x, w[t], w[f"{t}.bias"]) for t in ("Wq", "Wk")), strict=True)]
    mixed = [sum(w["before.Pl"][i, g] * s for i, s in enumerate(logits)) for g in range(z["g"])]
    soft = [torch.softmax(s, 1) for s in mixed if isinstance(s, Tensor)]
    out = []
    for j, v in enumerate(heads(x, w["Wv"], w["Wv.bias"])):
        out.append(sum(w["after.Pw"][g, j] * p for g, p in enumerate(soft)) @ v)
    return torch.cat(out, 1) @ flat(w["Wo"], 2) + w["Wo.bias"]


def differential(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    first, second = (torch.exp((w[f"lambda.q{i}"] * w[f"lambda.k{i}"]).sum()) for i in (1, 2))
    weight = first - second + (0.8 - 0.6 * math.exp(-0.3 * 0))
    out = []
    for i, v in enumerate(heads(x, w["Wv"], w["Wv.bias"])):
        a1, a2 = (torch.softmax(scaled(*(x @ w[k][:, t, i] + w[f"{k}.bias"][t, i] for k in ("Wq", "Wk"))), 1) for t in (0, 1))
        y = (a1 - weight * a2) @ v
        out.append((1 - 0.2) * y / torch.sqrt((y * y).mean(1, keepdim=True) + 1e-5) * w["norm.g"])
    return torch.cat(out, 1) @ flat(w["Wo"], 2) + w["Wo.bias"]


def gated_attention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    opened = list(heads(x, w["Wg"]))
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k), v) / (1 + torch.exp(-opened[i])))


def value_residual(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def layer(x: Tensor, values: list[Tensor], key: str) -> Tensor:
        q, k = (heads(x, w[f"{key}.W{t}"], w[f"{key}.W{t}.bias"]) for t in "qk")
        y = torch.cat([attend(scaled(*qk), v) for *qk, v in zip(q, k, values, strict=True)], 1)
        return y @ flat(w[f"{key}.Wo"], 2) + w[f"{key}.Wo.bias"]

    v1 = list(heads(x, w["Wu"], w["Wu.bias"]))
    y = x + layer(x, v1, "first")
    v2 = [w["value.a"] * u + w["value.b"] * v for u, v in zip(v1, heads(y, w["Wv"], w["Wv.bias"]), strict=True)]
    return layer(y, v2, "second")


def tpa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """One token at a time: the mean over the rank of a_r (x) b_r, as a matrix [heads, features]."""

    def tensor(name: str) -> Tensor:
        rows = []
        for row in x:
            a, b = torch.tensordot(row, w[f"A{name}"], 1), torch.tensordot(row, w[f"B{name}"], 1)
            rows.append(sum(torch.outer(s, t) for s, t in zip(a, b, strict=True)) / len(a))
        return torch.stack(rows, 1)

    out = []
    for q, k, v in zip(tensor("q"), tensor("k"), tensor("v"), strict=True):
        out.append(attend(scaled(rotate(q), rotate(k)).masked_fill(~lower(len(x)), -math.inf), v))
    return torch.cat(out, 1) @ flat(w["Wo"], 2)


EVEN = ({"n": 5, "h": 3, "e": 2, "d": 6}, {"n": 1, "h": 1, "e": 2, "d": 2}, {"n": 7, "h": 2, "e": 4, "d": 8}, {"n": 3, "h": 1, "e": 6, "d": 6})
LATENT = tuple({**s, "a": a, "c": c, "p": p, "t": 2 * p} for s, a, c, p in zip(LAYER, (3, 1, 2, 5), (4, 1, 3, 2), (1, 1, 3, 2), strict=True))
TALK = tuple({**s, "g": g, "j": j} for s, g, j in zip(LAYER, (2, 1, 3, 5), (4, 1, 2, 1), strict=True))
PAIRS = ({"n": 5, "h": 3, "e": 2, "f": 4, "d": 12}, {"n": 1, "h": 1, "e": 1, "f": 2, "d": 2}, {"n": 7, "h": 1, "e": 3, "f": 6, "d": 6})
RANKS = tuple({**s, "a": a, "p": p, "c": c} for s, a, p, c in zip(EVEN, (3, 1, 2, 5), (2, 1, 3, 1), (1, 1, 2, 3), strict=True))


def multi_token(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Golovneva and others (2025), sections 3.1 to 3.3, with PyTorch's convolution, which is a correlation."""
    n, keys = len(x), z["t"]
    q, k, v = (torch.einsum("nd,dgje->gjne", x, w[name]) for name in ("Wq", "Wk", "Wv"))
    s = (q @ k.transpose(-1, -2) / math.sqrt(z["e"])).masked_fill(~lower(n), 0).flatten(0, 1)
    padded = functional.pad(s, (keys // 2, keys - 1 - keys // 2, z["u"] - 1, 0))
    identity = torch.zeros(z["u"], keys, dtype=x.dtype)
    identity[-1, keys // 2] = 1
    kernel = (identity + w["convolution.theta"]).flatten(0, 1)[:, None]
    a = functional.conv2d(padded[None], kernel, groups=len(s))[0].masked_fill(~lower(n), -math.inf)
    a = torch.softmax(a, -1).unflatten(0, (z["g"], z["j"]))
    out = []
    for i in range(z["g"]):
        for j in range(z["j"]):
            y = sum(w["Wh"][i, o, j] * a[i, o] for o in range(z["j"])) @ v[i, j]
            out.append(y / torch.sqrt((y * y).mean(1, keepdim=True) + 1e-5) * w["norm.a"])
    return torch.cat(out, 1) @ flat(w["Wo"], 3)


KERNELS = ({"n": 5, "g": 3, "j": 2, "e": 2, "d": 12, "u": 2, "t": 3}, {"n": 1, "g": 1, "j": 1, "e": 3, "d": 3, "u": 2, "t": 2}, {"n": 7, "g": 1, "j": 3, "e": 1, "d": 3, "u": 3, "t": 4})


CASES = {
    "gqa": Case(gqa, ("n d",), "d g j", ({"n": 5, "g": 3, "j": 2, "d": 12}, {"n": 1, "g": 1, "j": 1, "d": 2}, {"n": 7, "g": 1, "j": 3, "d": 18}, {"n": 3, "g": 3, "j": 1, "d": 30})),
    "mqa": Case(mqa, ("n d",), "d h", LAYER),
    "mla": Case(mla, ("n d",), "d h a c p", LATENT),
    "talking_heads": Case(talking_heads, ("n d",), "d h g j", TALK),
    "differential": Case(differential, ("n d",), "d h", PAIRS),
    "gated_attention": Case(gated_attention, ("n d",), "d h", LAYER),
    "value_residual": Case(value_residual, ("n d",), "d h", LAYER),
    "tpa": Case(tpa, ("n d",), "d h a p c", RANKS),
    "multi_token": Case(multi_token, ("n d",), "d g j u t", KERNELS),
}  # fmt: skip
