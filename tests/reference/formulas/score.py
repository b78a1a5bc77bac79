"""Formulas of `zoo/score/`, each from its paper."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, heads, lower, multihead, scaled


def bahdanau(s: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    t = torch.stack([torch.tanh(row @ w["score.W"] + x @ w["score.U"]) @ w["score.u"] for row in s])
    return attend(t, x)


def luong_general(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(t @ w["score.Wa"] @ x.T, x)


def cosine(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def unit(q: Tensor) -> Tensor:
        return q / torch.sqrt((q * q).sum(-1, keepdim=True) + 1e-6)

    return multihead(x, x, w, lambda q, k, v, i: attend(w["score.g"] * (unit(q) @ unit(k).T), v))


def l2(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Kim et al. (2020), section 4: F = [f^1 W^V1, ..., f^H W^VH] W^O with f^h(X) = P^h X A_h."""
    out = []
    for i in range(z["h"]):
        wq = w["Wq"][:, i]
        y = x @ wq
        p = -((y[:, None] - y[None]) ** 2).sum(-1) / math.sqrt(wq.shape[1])
        a = wq @ wq.T / math.sqrt(wq.shape[1])
        out.append(attend(p, x @ a) @ w["Wv"][i] + w["Wv.bias"][i])
    return torch.cat(out, 1) @ flat(w["Wo"], 2) + w["Wo.bias"]


def luong_dot(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(torch.stack([torch.stack([(a * b).sum() for b in x]) for a in t]), x)


def luong_concat(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    s = [torch.stack([w["score.u"] @ torch.tanh(w["score.Wa"].T @ torch.cat([a, b])) for b in x]) for a in t]
    return attend(torch.stack(s), x)


def luong_location(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(t @ w["score.Wa"], x)


def luong_local_m(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Eq. 7 over the window [p_t - D, p_t + D], p_t = t, cut off at the ends of the source."""
    rows = []
    for i, a in enumerate(t):
        near = x[max(0, i - z["p"]) : i + z["p"] + 1]
        rows.append(attend((near @ (a @ w["score.Wa"]))[None], near)[0] if len(near) else 0 * x.sum(0) + 0 * a.sum())
    return torch.stack(rows)


def luong_local_p(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Eqs. 9 and 10 with sigma = D / 2."""
    rows = []
    for a in t:
        p = len(x) * torch.sigmoid(w["centre.u"] @ torch.tanh(a @ w["centre.Wp"]))
        near = [j for j in range(len(x)) if abs(j - p.item()) <= z["p"]]
        align = torch.softmax(torch.stack([(a @ w["score.Wa"]) @ x[j] for j in near]), 0)
        rows.append(sum(align[k] * torch.exp(-((j - p) ** 2) / (2 * (z["p"] / 2) ** 2)) * x[j] for k, j in enumerate(near)))
    return torch.stack(rows)


def per_head_norm(x: Tensor, w: Weights, mask: bool, norm: Callable[[Tensor], Tensor]) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        s = (norm(q) * w["score.gq"]) @ (norm(k) * w["score.gk"]).T / math.sqrt(q.shape[1])
        return attend(s.masked_fill(~lower(len(x)), -math.inf) if mask else s, v)

    return multihead(x, x, w, core)


def qk_layernorm(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return per_head_norm(x, w, False, lambda q: functional.layer_norm(q, q.shape[-1:]))


def qk_rmsnorm(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return per_head_norm(x, w, True, lambda q: q * torch.rsqrt(q.pow(2).mean(-1, keepdim=True) + 1e-6))


def softcap(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        s = scaled(q, k) / 50.0
        return attend((torch.tanh(s) * 50.0).masked_fill(~lower(len(x)), -math.inf), v)

    return multihead(x, x, w, core)


def two_simplicial(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """The definition, one query, one pair of keys at a time; causal in both keys."""
    q, k, v, k2, v2 = (list(heads(x, w[f"W{name}"])) for name in ("q", "k", "v", "k2", "v2"))
    out = []
    for h in range(z["h"]):
        rows = []
        for i in range(len(x)):
            pairs = [(j, b) for j in range(i + 1) for b in range(i + 1)]
            s = torch.stack([(q[h][i] * k[h][j] * k2[h][b]).sum() for j, b in pairs]) / math.sqrt(z["e"])
            rows.append(attend(s[None], torch.stack([v[h][j] * v2[h][b] for j, b in pairs]))[0])
        out.append(torch.stack(rows))
    return torch.cat(out, 1) @ flat(w["Wo"], 2)


def gat(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    out = []
    for i, t in enumerate(heads(x, w["W"])):
        a = torch.cat([w["score.a"][i], w["score.b"][i]])
        rows = [torch.nn.functional.leaky_relu(torch.stack([a @ torch.cat([p, q]) for q in t]), 0.2) for p in t]
        out.append(torch.nn.functional.elu(attend(torch.stack(rows), t)))
    return torch.cat(out, 1)


CASES = {
    "bahdanau": Case(bahdanau, ("n d", "m c"), "d c a", ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})),
    "luong_general": Case(luong_general, ("n d", "m c"), "d c", ({"n": 3, "m": 5, "d": 2, "c": 7}, {"n": 1, "m": 1, "d": 1, "c": 1}, {"n": 5, "m": 1, "d": 3, "c": 1})),
    "luong_dot": Case(luong_dot, ("n d", "m d"), "", ({"n": 3, "m": 5, "d": 2}, {"n": 1, "m": 1, "d": 1}, {"n": 5, "m": 1, "d": 3})),
    "luong_concat": Case(luong_concat, ("n d", "m c"), "d c a", ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})),
    "luong_location": Case(luong_location, ("n d", "m c"), "d m c", ({"n": 3, "m": 5, "d": 2, "c": 7}, {"n": 1, "m": 1, "d": 1, "c": 1}, {"n": 5, "m": 3, "d": 3, "c": 1})),
    "luong_local_m": Case(luong_local_m, ("n d", "m c"), "d c p", ({"n": 3, "m": 25, "d": 2, "c": 3, "p": 10}, {"n": 1, "m": 1, "d": 1, "c": 1, "p": 1}, {"n": 9, "m": 5, "d": 3, "c": 1, "p": 2})),
    "luong_local_p": Case(luong_local_p, ("n d", "m c"), "d c a p", ({"n": 5, "m": 37, "d": 2, "c": 3, "a": 3, "p": 10}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1, "p": 1}, {"n": 7, "m": 12, "d": 3, "c": 1, "a": 5, "p": 2})),
    "gat": Case(gat, ("n d",), "d h", LAYER),
    "qk_layernorm": Case(qk_layernorm, ("n d",), "d h", LAYER),
    "qk_rmsnorm": Case(qk_rmsnorm, ("n d",), "d h", LAYER),
    "softcap": Case(softcap, ("n d",), "d h", LAYER),
    "two_simplicial": Case(two_simplicial, ("n d",), "d h", LAYER),
    "cosine": Case(cosine, ("n d",), "d h", LAYER),
    "l2": Case(l2, ("n d",), "d h", LAYER),
}  # fmt: skip
