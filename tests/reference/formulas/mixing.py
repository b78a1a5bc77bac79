"""Formulas of `zoo/mixing/`, each from its paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat


def synthesizer_dense(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    b = functional.relu(x @ w["B1"] + w["B1.bias"]) @ w["B2"] + w["B2.bias"]
    return attend(b, x @ w["Wv"] + w["Wv.bias"])


def synthesizer_factorised(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(w["R1"].T @ w["R2"], x @ w["Wv"] + w["Wv.bias"])


def synthesizer_factorised_dense(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def mlp(t: Tensor, which: str) -> Tensor:
        return functional.relu(t @ w[f"{which}1"] + w[f"{which}1.bias"]) @ w[f"{which}2"] + w[f"{which}2.bias"]

    rows = [mlp(t, "A").repeat_interleave(z["r"]) * mlp(t, "B").repeat(z["g"]) for t in x]
    return attend(torch.stack(rows), x @ w["Wv"] + w["Wv.bias"])


def synthesizer_random(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(w["R"], x @ w["Wv"] + w["Wv.bias"])


def mixer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def mlp(t: Tensor, first: str, second: str) -> Tensor:
        return functional.gelu(t @ w[first] + w[f"{first}.bias"]) @ w[second] + w[f"{second}.bias"]

    u = x + mlp(functional.layer_norm(x, x.shape[-1:]).T, "mixing.T1", "mixing.T2").T
    return u + mlp(functional.layer_norm(u, u.shape[-1:]), "C1", "C2")


def fnet(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return torch.fft.fft(torch.fft.fft(x.to(torch.complex128), dim=-1), dim=-2).real


def gmlp(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    t = functional.gelu(functional.layer_norm(x, x.shape[-1:]) @ w["U"] + w["U.bias"])
    u, v = t.chunk(2, -1)
    v = functional.layer_norm(v, v.shape[-1:])
    v = functional.conv1d(v[None], w["mixing.W"].T[:, :, None], w["mixing.b"])[0]
    return x + (u * v) @ w["V"] + w["V.bias"]


def pooling(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return functional.avg_pool1d(x.T[None], 3, stride=1, padding=1, count_include_pad=False)[0].T - x


def aft(x: Tensor, w: Weights, bias: Tensor) -> Tensor:
    q, k, v = (x @ w[key] + w[f"{key}.bias"] for key in ("Wq", "Wk", "Wv"))
    rows = []
    for t in range(len(x)):
        a = torch.exp(k + bias[t][:, None])
        rows.append(torch.sigmoid(q[t]) * (a * v).sum(0) / a.sum(0))
    return torch.stack(rows)


def aft_full(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return aft(x, w, w["position.b"])


def aft_local(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    bias = w["position.b"]
    return aft(x, w, bias - bias.tril(-32) - bias.triu(32))


def aft_simple(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return aft(x, w, x.new_zeros(len(x), len(x)))


def fastformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    q, k = x @ w["Wq"].flatten(1) + w["Wq.bias"].flatten(), x @ w["Wk"].flatten(1) + w["Wk.bias"].flatten()
    e = z["e"]
    out = []
    for i in range(z["h"]):
        mine = slice(i * e, (i + 1) * e)
        alpha = torch.softmax(q[:, mine] @ w["pool_q.u"][i] / math.sqrt(e), 0)
        p = (alpha @ q[:, mine]) * k[:, mine]
        beta = torch.softmax(p @ w["pool_k.u"][i] / math.sqrt(e), 0)
        out.append((beta @ p) * q[:, mine])
    return torch.cat(out, 1) @ flat(w["Wo"], 2) + w["Wo.bias"] + q


def gated(x: Tensor, w: Weights) -> Tensor:
    return functional.glu(x @ w["Win"] + w["Win.bias"], -1)


def lightweight_conv(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    kernels = w["W"].softmax(1).repeat_interleave(z["e"], 0)
    y = functional.conv1d(gated(x, w).T[None], kernels[:, None], padding=z["j"] // 2, groups=z["d"])[0]
    return y.T @ flat(w["Wo"], 2) + w["Wo.bias"]


def dynamic_conv(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    y = gated(x, w)
    rows = []
    for n in range(len(y)):
        out = []
        for i in range(z["h"]):
            kernel = (y[n] @ w["Wq"][:, i]).softmax(0)
            mine = y[:, i * z["e"] : (i + 1) * z["e"]]
            around = [(j, n + j - z["j"] // 2) for j in range(z["j"])]
            out.append(torch.stack([kernel[j] * mine[t] for j, t in around if 0 <= t < len(y)]).sum(0))
        rows.append(torch.cat(out))
    return torch.stack(rows) @ flat(w["Wo"], 2) + w["Wo.bias"]


WIDTHS = tuple({**sizes, "j": j} for sizes, j in zip(LAYER, (3, 1, 5, 7), strict=True))
CASES = {
    "synthesizer_dense": Case(synthesizer_dense, ("n d",), "n d c", ({"n": 5, "d": 3, "c": 7}, {"n": 1, "d": 1, "c": 1}, {"n": 3, "d": 7, "c": 1})),
    "synthesizer_random": Case(synthesizer_random, ("n d",), "n d", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 3, "d": 7})),
    "mixer": Case(mixer, ("n d",), "n d p c", ({"n": 5, "d": 3, "p": 7, "c": 2}, {"n": 1, "d": 1, "p": 1, "c": 1}, {"n": 3, "d": 5, "p": 1, "c": 9})),
    "fnet": Case(fnet, ("n d",), "", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 7, "d": 4})),
    "synthesizer_factorised": Case(synthesizer_factorised, ("n d",), "n d c", ({"n": 5, "d": 3, "c": 2}, {"n": 1, "d": 1, "c": 1}, {"n": 3, "d": 7, "c": 5})),
    "synthesizer_factorised_dense": Case(
        synthesizer_factorised_dense, ("n d",), "g r d c", ({"n": 6, "d": 3, "g": 2, "r": 3, "c": 5}, {"n": 1, "d": 1, "g": 1, "r": 1, "c": 1}, {"n": 15, "d": 2, "g": 5, "r": 3, "c": 3})
    ),
    "gmlp": Case(gmlp, ("n d",), "n d r", ({"n": 5, "d": 3, "r": 7}, {"n": 1, "d": 1, "r": 1}, {"n": 3, "d": 5, "r": 2})),
    "pooling": Case(pooling, ("n d",), "", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 2, "d": 4})),
    "aft_full": Case(aft_full, ("n d",), "n d", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 7, "d": 4})),
    "aft_local": Case(aft_local, ("n d",), "n d", ({"n": 35, "d": 3}, {"n": 1, "d": 1}, {"n": 70, "d": 2})),
    "aft_simple": Case(aft_simple, ("n d",), "d", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 7, "d": 4})),
    "fastformer": Case(fastformer, ("n d",), "d h", LAYER),
    "lightweight_conv": Case(lightweight_conv, ("n d",), "d h j", WIDTHS),
    "dynamic_conv": Case(dynamic_conv, ("n d",), "d h j", WIDTHS),
}  # fmt: skip
