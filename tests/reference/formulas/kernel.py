"""Formulas of `zoo/kernel/`, each from its paper: kernels in their quadratic form, weights phi(q_i) . phi(k_j) made row by row."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, heads, lower, multihead, scaled

Map = Callable[[Tensor], Tensor]


def share(a: Tensor, v: Tensor, least: float = 0.0) -> Tensor:
    """Rows of `a` divided by their sums."""
    return a @ v / a.sum(-1, keepdim=True).clamp_min(least) if least else a @ v / a.sum(-1, keepdim=True)


def similar(x: Tensor, w: Weights, on_q: Map, on_k: Map, causal: bool = False, eps: float = 0.0) -> Tensor:
    """Attention whose weights are the inner products of features."""

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        rows = []
        for n in range(len(q)):
            past = n + 1 if causal else len(k)
            a = torch.stack([on_q(q[n]) @ on_k(k[m]) for m in range(past)])
            rows.append((a @ v[:past]) / (a.sum() + eps))
        return torch.stack(rows)

    return multihead(x, x, w, core)


def elu_plus_one(t: Tensor) -> Tensor:
    return torch.where(t > 0, t + 1, torch.exp(torch.minimum(t, torch.zeros_like(t))))


def linear(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return similar(x, w, elu_plus_one, elu_plus_one)


def causal_linear(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return similar(x, w, elu_plus_one, elu_plus_one, causal=True)


def efficient(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: (q.softmax(1) @ k.softmax(0).T) @ v)


def performer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Choromanski and others (2020), section 2.4: features with the lengths of Gaussians along the given directions."""
    directions, drawn = (w[f"performer_core.phi_k.{k}"] for k in "QG")
    omega = torch.stack([q[:, i] * g[:, i].norm() for q, g in zip(directions, drawn, strict=True) for i in range(q.shape[1])], 1)

    def phi(t: Tensor) -> Tensor:
        t = t / len(t) ** 0.25
        return 1 / math.sqrt(omega.shape[1]) * torch.exp(-(t @ t) / 2) * torch.exp(omega.T @ t)

    return similar(x, w, phi, phi)


def rfa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    omega, sigma = w["rfa_core.phi_k.W"], w["rfa_core.phi_k.sigma"]

    def phi(t: Tensor) -> Tensor:
        angles = [(sigma * omega[:, i]) @ (t / t.norm()) for i in range(omega.shape[1])]
        return torch.stack([a.sin() for a in angles] + [a.cos() for a in angles]) / math.sqrt(len(angles))

    return similar(x, w, phi, phi)


def cosformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    place = torch.arange(len(x), dtype=x.dtype)
    bend = torch.cos(math.pi / 2 * (place[:, None] - place) / len(x))
    return multihead(x, x, w, lambda q, k, v, i: share(q.clamp_min(0) @ k.clamp_min(0).T * bend, v, 1e-6))


def based(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        s = scaled(q, k)
        return share((1 + s + s**2 / 2).where(lower(len(q)), torch.zeros_like(s)), v)

    return multihead(x, x, w, core)


def rebased(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def affine(t: Tensor, which: str) -> Tensor:
        return torch.nn.functional.layer_norm(
            t, t.shape[1:], w[f"rebased_core.phi_{which}.g"], w[f"rebased_core.phi_{which}.b"]
        )

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        a = (affine(q, "q") @ affine(k, "k").T).square().tril()
        return a @ v / (a.sum(-1, keepdim=True) + 1e-6)

    return multihead(x, x, w, core)


def hedgehog(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        a, b = (t @ w[f"phi_{n}.W"][i] + w[f"phi_{n}.W.bias"][i] for t, n in ((q, "q"), (k, "k")))
        return share(a.exp() @ b.exp().T + (-a).exp() @ (-b).exp().T, v)

    return multihead(x, x, w, core)


def linformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, w["keys.E"][i].T @ k), w["values.E"][i].T @ v))


def segments(x: Tensor, count: int) -> Tensor:
    return torch.nn.functional.adaptive_avg_pool1d(x.T[None], count)[0].T


def nystromformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        u, t = segments(q, z["p"]), segments(k, z["p"])
        a = scaled(u, t).softmax(1)
        one = torch.eye(len(a), dtype=x.dtype)
        b = a.T / (torch.linalg.matrix_norm(a, 1) * torch.linalg.matrix_norm(a, math.inf))
        for _ in range(6):
            b = b @ (13 * one - a @ b @ (15 * one - a @ b @ (7 * one - a @ b))) / 4
        return scaled(q, t).softmax(1) @ b @ attend(scaled(u, k), v)

    return multihead(x, x, w, core)


def agent(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        a = segments(q, z["p"])
        return attend(scaled(q, a), attend(scaled(a, k), v))

    return multihead(x, x, w, core)


def xca(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    out = []
    for i, (q, k, v) in enumerate(zip(*(heads(x, w[key]) for key in ("Wq", "Wk", "Wv")), strict=True)):
        a = (k / k.norm(dim=0)).T @ (q / q.norm(dim=0)) * w["t"][i]
        out.append(v @ torch.softmax(a, 0))
    return torch.cat(out, 1) @ flat(w["Wo"], 2) + w["Wo.bias"]


def hydra(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    q, k, v = (x @ w[key] for key in ("Wq", "Wk", "Wv"))
    total = sum(k[t] / k[t].norm() * v[t] for t in range(len(x)))
    return torch.stack([row / row.norm() * total for row in q]) @ w["Wo"]


SEGMENTS = (
    {"n": 6, "h": 3, "e": 2, "d": 6, "p": 3},
    {"n": 1, "h": 1, "e": 3, "d": 3, "p": 1},
    {"n": 15, "h": 2, "e": 4, "d": 8, "p": 5},
    {"n": 7, "h": 1, "e": 2, "d": 2, "p": 3},
    {"n": 2, "h": 2, "e": 1, "d": 2, "p": 3},
)
PROJECTED = (
    {"n": 5, "h": 3, "e": 2, "d": 6, "p": 2},
    {"n": 1, "h": 1, "e": 3, "d": 3, "p": 3},
    {"n": 3, "h": 2, "e": 1, "d": 2, "p": 1},
)
CASES = {
    "linear": Case(linear, ("n d",), "d h", LAYER),
    "causal_linear": Case(causal_linear, ("n d",), "d h", LAYER),
    "efficient": Case(efficient, ("n d",), "d h", LAYER),
    "performer": Case(performer, ("n d",), "d h", LAYER),
    "rfa": Case(rfa, ("n d",), "d h", LAYER),
    "cosformer": Case(cosformer, ("n d",), "d h", LAYER),
    "based": Case(based, ("n d",), "d h", LAYER),
    "rebased": Case(rebased, ("n d",), "d h", LAYER),
    "hedgehog": Case(hedgehog, ("n d",), "d h", LAYER),
    "linformer": Case(linformer, ("n d",), "n d h p", PROJECTED),
    "nystromformer": Case(nystromformer, ("n d",), "d h p", SEGMENTS),
    "agent": Case(agent, ("n d",), "d h p", SEGMENTS),
    "xca": Case(xca, ("n d",), "d h", LAYER),
    "hydra": Case(hydra, ("n d",), "d", LAYER),
}  # fmt: skip
