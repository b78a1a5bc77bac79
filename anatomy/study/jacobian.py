"""Spectral norms of the Jacobian at given inputs, many inputs at once, and the published functional.

The true quantity is |J(X)|_2, from below: any direction u gives |J u| / |u| <= |J|. Directions are found by Lanczos'
iteration on J^T J (power iteration in which no earlier vector is forgotten), in the precision of the module; the quotient
that is reported is evaluated anew in float64 by `torch.func.jvp`, whose second result is J u.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SAFETY = 1e-9
"""Relative deduction for rounding."""

Function = Callable[[Tensor], Tensor]


class Linearised:
    """J and its transpose at a batch of inputs; the forward pass is made once.

    J u is the derivative of w -> J^T w, which is linear, in the direction of u.
    """

    def __init__(self, function: Function, points: Tensor):
        self.points = points.detach().clone().requires_grad_(True)
        self.value = function(self.points)
        self.probe = torch.zeros_like(self.value, requires_grad=True)
        (self.back,) = torch.autograd.grad(self.value, self.points, self.probe, create_graph=True)

    def push(self, u: Tensor) -> Tensor:
        """J u for every input of the batch."""
        return torch.autograd.grad(self.back, self.probe, u, retain_graph=True)[0].detach()

    def pull(self, v: Tensor) -> Tensor:
        """J^T v for every input of the batch."""
        return torch.autograd.grad(self.value, self.points, v, retain_graph=True)[0].detach()


@dataclass(frozen=True)
class Steepest:
    """For each input of a batch the direction of largest stretch that was found, and how many steps it took."""

    values: Tensor
    directions: Tensor
    steps: int


def steepest(function: Function, points: Tensor, seed: int = 0, most: int = 48, tolerance: float = 1e-4, least: int = 6) -> Steepest:
    """The largest stretch of the Jacobian at every input; `points` and the function's value have the batch first.

    Stops when no estimate has grown by more than `tolerance` of itself in a step, after `most` steps at the latest.
    The estimates are the square roots of the largest Ritz values of J^T J.
    """
    linear = Linearised(function, points)
    batch, shape = points.shape[0], points.shape[1:]
    length = shape.numel()
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(1, length, generator=generator, dtype=torch.float64).to(points.dtype).expand(batch, length)
    q = q / torch.linalg.vector_norm(q, dim=1, keepdim=True)
    basis = points.new_empty(batch, min(most, length), length)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    previous = torch.zeros(batch, dtype=torch.float64)
    values, vectors = previous, torch.empty(0)
    step = 0
    for step in range(1, min(most, length) + 1):
        basis[:, step - 1] = q
        stretched = linear.push(q.reshape(batch, *shape))
        diagonal.append(stretched.double().flatten(1).square().sum(1))
        values, vectors = _top(diagonal, beside)
        if step >= least and bool((values - previous <= tolerance * values).all()):
            break
        previous = values
        rest = linear.pull(stretched).reshape(batch, length)
        for _ in range(2):  # twice is enough to stay orthogonal to all earlier vectors
            rest = rest - _combine(basis[:, :step], torch.bmm(basis[:, :step], rest[:, :, None])[:, :, 0])
        size = torch.linalg.vector_norm(rest, dim=1, keepdim=True)
        alive = size > 1e-6 * values.to(rest.dtype)[:, None].square().clamp_min(1e-30)
        beside.append((size * alive)[:, 0].double())
        q = torch.where(alive, rest / size.clamp_min(1e-30), torch.zeros_like(rest))
    directions = _combine(basis[:, : vectors.shape[1]], vectors.to(points.dtype))
    return Steepest(values, directions.reshape(batch, *shape), step)


def _combine(basis: Tensor, weights: Tensor) -> Tensor:
    return torch.bmm(weights[:, None], basis)[:, 0]


def _top(diagonal: list[Tensor], beside: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Root of the largest eigenvalue of each tridiagonal matrix, and its eigenvector."""
    matrix = torch.diag_embed(torch.stack(diagonal, 1))
    if beside:
        off = torch.diag_embed(torch.stack(beside, 1), 1)
        matrix = matrix + off + off.mT
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix)
    return eigenvalues[:, -1].clamp_min(0).sqrt(), eigenvectors[:, :, -1]


def attained(function: Function, points: Tensor, directions: Tensor) -> Tensor:
    """|J u| / |u| of every input, rounded down: a lower bound of |J|_2 whatever u is; call it in float64."""
    u = directions.to(points.dtype)
    tangent: Tensor = torch.func.jvp(function, (points,), (u,))[1]
    sizes = torch.linalg.vector_norm(u.flatten(1), dim=1)
    quotient = torch.linalg.vector_norm(tangent.detach().flatten(1), dim=1) / sizes.clamp_min(1e-300)
    return quotient * (1 - SAFETY)


def norms(function: Function, double: Function, points: Tensor, seed: int = 0, most: int = 48, tolerance: float = 1e-4) -> Tensor:
    """|J|_2 at every input from below: the direction from `function`, the quotient from `double`, the same in float64."""
    found = steepest(function, points, seed, most, tolerance)
    return attained(double, points.double(), found.directions)


def published(function: Function, points: Tensor) -> Tensor:
    """sqrt(|J^T f|_2) at every input, the quantity that the released code of "How Smooth Is Attention?" computes.

    Its power iteration takes the first result of `jvp`, which is f(X) and not J u, so that its second step is its last.
    """
    value, pull = torch.func.vjp(function, points)[:2]
    (back,) = pull(value)
    return torch.linalg.vector_norm(back.flatten(1), dim=1).sqrt().detach()
