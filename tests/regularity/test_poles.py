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
}


@pytest.mark.parametrize("name", CASES)
def test_a_pole_is_found_and_none_is_made_up(name: str) -> None:
    function, pole = CASES[name]
    found = on_domain(function, [(4, 3)], 1.0, 0, [None])
    assert (found is not None) == pole
    if found is not None:
        assert found["secants"][-1] > 1e5
