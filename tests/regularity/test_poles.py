"""Verdicts against by a pole of the derivative, and none where the derivative is only large."""

from __future__ import annotations

import pytest
import torch

from anatomy.regularity.falsify import on_domain

torch.set_num_threads(1)


def direction(x: torch.Tensor, eps: float = 0.0) -> torch.Tensor:
    return x / torch.sqrt((x * x).sum(0) + eps)


CASES = {
    "columns without length": (lambda x: torch.softmax(direction(x).T @ direction(x), -1) @ x.T, True),
    "columns with one": (lambda x: torch.softmax(direction(x, 1e-6).T @ direction(x, 1e-6), -1) @ x.T, False),
    "a root of a square": (lambda x: (x * x + 1e-10).sum(0).sqrt(), False),
    "smooth": (lambda x: torch.tanh(3 * x) @ x.T, False),
    "flat": (lambda x: 0 * x, False),
    "flat by cancellation": (lambda x: torch.exp(x) * torch.exp(-x), False),
    "flat, a mean of equal values": (lambda x: (weight(x) @ torch.full((4, 2), 0.3, dtype=torch.float64)) / weight(x).sum(-1, keepdim=True), False),
    "flat, far from zero": (lambda x: (x + 1e8) - x, False),
    "flat, a sum of weights": (lambda x: torch.softmax(x @ x.T, -1).sum(-1) - 1, False),
    "flat, the root of rounding": (lambda x: (torch.softmax(x @ x.T, -1).sum(-1) - 1).relu().sqrt(), False),
    "a pole that is off the middle": (lambda x: (x - 0.2) / ((x - 0.2) ** 2).sum(-1, keepdim=True).sqrt(), True),
    "smooth, by cancellation": (lambda x: (((x + 1000) ** 2).mean(-1) - (x + 1000).mean(-1) ** 2).clamp_min(0).sqrt(), False),
    "a pole beside a great constant": (lambda x: 1e3 + torch.softmax(direction(x).T @ direction(x), -1) @ x.T, True),
}


def weight(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x @ x.T)



@pytest.mark.parametrize("name", CASES)
def test_a_pole_is_found_and_none_is_made_up(name: str) -> None:
    function, pole = CASES[name]
    found = on_domain(function, [(4, 3)], 1.0, 0, [None])
    assert (found is not None) == pole
    if found is not None:
        assert found["secants"][-1] > 1e5
