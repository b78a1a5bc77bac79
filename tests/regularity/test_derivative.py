"""The Jacobian at a point by reverse mode alone, against that of `torch.func`; and BLAS in one thread."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anatomy.regularity import threads
from anatomy.regularity.ascent.derivative import Derivative
from anatomy.regularity.ascent.flat import Flat

torch.set_num_threads(1)

W = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def attention(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(3 * x @ x.mT, -1) @ x @ W


def unbatched(x: torch.Tensor) -> torch.Tensor:
    return attention(x) * float(x.detach().sum() > -1e9)  # a branch on values has no batching rule


@pytest.mark.parametrize("function", [attention, unbatched, torch.relu, lambda x: x.sort(-1).values.cumsum(-1)])
def test_it_is_the_jacobian(function: object) -> None:
    generator = torch.Generator().manual_seed(1)
    flat = Flat(function, [(20, 4)])  # type: ignore[arg-type]
    x, u = (torch.randn(80, generator=generator, dtype=torch.float64) for _ in range(2))
    here = Derivative(flat, x)
    exact = torch.func.jacrev(flat)(x)
    v = torch.randn(len(exact), generator=generator, dtype=torch.float64)
    assert torch.allclose(here.push(u), exact @ u, rtol=1e-12, atol=1e-12)
    assert torch.allclose(here.push(u + 1), exact @ (u + 1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(here.pull(v), exact.T @ v, rtol=1e-12, atol=1e-12)
    assert torch.allclose(here.dense(), exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [torch.ones_like, lambda x: x.detach() * 2])
def test_what_depends_on_nothing_has_derivative_0(function: object) -> None:
    here = Derivative(Flat(function, [(2, 2)]), torch.ones(4, dtype=torch.float64))  # type: ignore[arg-type]
    one = torch.ones(4, dtype=torch.float64)
    assert not any(bool(found.any()) for found in (here.push(one), here.pull(one), here.dense()))


def test_threads_are_as_before_after_a_failure_too() -> None:
    control = threads._control()
    before = control[0]() if control else 1
    with pytest.raises(np.linalg.LinAlgError), threads.alone(2):
        np.linalg.cholesky(-np.eye(2) * (1 if control is None else control[0]()))
    assert control is None or control[0]() == before
