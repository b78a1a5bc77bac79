"""Formulas of `zoo/mixing/`, each from its paper."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from formulas.common import Case, Sizes, Weights, attend


def synthesizer_dense(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    b = functional.relu(x @ w["B1"] + w["B1.bias"]) @ w["B2"] + w["B2.bias"]
    return attend(b, x @ w["Wv"] + w["Wv.bias"])


def synthesizer_random(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return attend(w["R"], x @ w["Wv"] + w["Wv.bias"])


def mixer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def mlp(t: Tensor, first: str, second: str) -> Tensor:
        return functional.gelu(t @ w[first] + w[f"{first}.bias"]) @ w[second] + w[f"{second}.bias"]

    u = x + mlp(functional.layer_norm(x, x.shape[-1:]).T, "T1", "T2").T
    return u + mlp(functional.layer_norm(u, u.shape[-1:]), "C1", "C2")


def fnet(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return torch.fft.fft(torch.fft.fft(x.to(torch.complex128), dim=-1), dim=-2).real


CASES = {
    "synthesizer_dense": Case(synthesizer_dense, ("n d",), "n d c", ({"n": 5, "d": 3, "c": 7}, {"n": 1, "d": 1, "c": 1}, {"n": 3, "d": 7, "c": 1})),
    "synthesizer_random": Case(synthesizer_random, ("n d",), "n d", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 3, "d": 7})),
    "mixer": Case(mixer, ("n d",), "n d p c", ({"n": 5, "d": 3, "p": 7, "c": 2}, {"n": 1, "d": 1, "p": 1, "c": 1}, {"n": 3, "d": 5, "p": 1, "c": 9})),
    "fnet": Case(fnet, ("n d",), "", ({"n": 5, "d": 3}, {"n": 1, "d": 1}, {"n": 7, "d": 4})),
}  # fmt: skip
