"""Inputs that stretch attention as much as could be found, with every token in the ball of radius R.

Starts: the construction of Castin, Ablin and Peyré (one token against all others, along an eigenvector of a head's score
matrix), the balanced pair, and text moved onto the sphere; then an ascent of the stretch over the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anatomy.study.jacobian import Function, norms, steepest
from anatomy.study.model import Attention, Head


@dataclass(frozen=True)
class Direction:
    """A unit vector u of a head, with g = max(-least, largest / 8) of the eigenvalues of the symmetric part of its scores."""

    head: int
    u: Tensor
    g: float
    gain: float
    opposed: bool


def product_norm(left: Tensor, right: Tensor) -> float:
    """The spectral norm of left @ right^T, both tall."""
    a, b = torch.linalg.qr(left).R, torch.linalg.qr(right).R
    return float(torch.linalg.matrix_norm(a @ b.mT, 2))


def direction(index: int, head: Head) -> Direction:
    """Where one token against all others moves this head's output most."""
    frame = torch.linalg.qr(torch.cat([head.query, head.key], 1)).Q
    scores = (frame.mT @ head.query) @ (frame.mT @ head.key).mT
    eigenvalues, eigenvectors = torch.linalg.eigh((scores + scores.mT) / 2)
    least, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    opposed = -least >= largest / 8
    u = frame @ eigenvectors[:, 0 if opposed else -1]
    u = u / torch.linalg.vector_norm(u)
    return Direction(index, u, -least if opposed else largest / 8, float(torch.linalg.vector_norm(u @ head.value @ head.output)), opposed)


def foreseen(found: Direction, n: int, radius: float) -> float:
    """What the construction stretches by in one head: |V u| sqrt(n-1) p (1 + 2 g R^2 (1-p)), p = 1/(1 + (n-1) e^(-2 g R^2))."""
    a = found.g * radius**2
    p = 1 / (1 + (n - 1) * math.exp(-2 * a))
    return found.gain * math.sqrt(n - 1) * p * (1 + 2 * a * (1 - p))


def starts(directions: Sequence[Direction], n: int, radius: float, written: Tensor, many: bool) -> tuple[Tensor, list[str]]:
    """Points to begin from, the published construction first; `written` are inputs of the layer on text."""
    ranked = sorted(directions, key=lambda f: -foreseen(f, n, radius))
    points, names = [], []
    for found in ranked[: 2 if many else 1]:
        u = found.u * radius
        first, rest = (-u, u) if found.opposed else (u, u / 2)
        points.append(torch.cat([first[None], rest.expand(n - 1, -1)]))
        names.append(f"one against all, head {found.head}")
    u = ranked[0].u
    across = next((f.u - (f.u @ u) * u for f in ranked[1:]), torch.roll(u, 1) - (torch.roll(u, 1) @ u) * u)
    across = across / torch.linalg.vector_norm(across).clamp_min(1e-300)
    pair = [0.05 * u + 0.99 * across, 0.05 * u - 0.99 * across]
    points.append(radius * torch.cat([torch.stack(pair), -u.expand(max(0, n - 2), -1)]))
    names.append(f"balanced pair, head {ranked[0].head}")
    for k in range(2 if many else 1):
        x = written[k % len(written)].double()
        points.append(radius * x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-300))
        names.append("text on the sphere")
    return torch.stack(points), names


def inside(points: Tensor, radius: float) -> Tensor:
    """The nearest points whose tokens have norm at most `radius`, so far inside that float32 keeps them there."""
    sizes = torch.linalg.vector_norm(points, dim=-1, keepdim=True).clamp_min(1e-300)
    return points * torch.clamp(radius * (1 - 1e-6) / sizes, max=1.0)


def ascend(function: Function, points: Tensor, radius: float, steps: int) -> Tensor:
    """The steepest points of an ascent from each start; directions follow by one power iteration a step."""
    x = points
    v = steepest(function, x, most=8, tolerance=1e-3, least=4).directions
    v = v / torch.linalg.vector_norm(v.flatten(1), dim=1)[:, None, None].clamp_min(1e-30)
    best = torch.full((len(x),), -1.0)
    best_points = x.clone()
    reach = 0.3 * radius * math.sqrt(points.shape[1])
    for step in range(steps + 1):
        value, rise, turned = _energy(function, x, v)
        better = torch.isfinite(value) & (value > best)
        best = torch.where(better, value, best)
        best_points = torch.where(better[:, None, None], x, best_points)
        v = turned / torch.linalg.vector_norm(turned.flatten(1), dim=1)[:, None, None].clamp_min(1e-30)
        size = torch.linalg.vector_norm(rise.flatten(1), dim=1)[:, None, None].clamp_min(1e-30)
        x = inside(x + reach * (1 - step / (steps + 1)) * torch.nan_to_num(rise) / size, radius)
    return best_points


def _energy(function: Function, points: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """|J v| of every point, the gradient of |J v|^2 / 2 by the point, and J^T J v."""
    x = points.detach().clone().requires_grad_(True)
    value = function(x)
    probe = torch.zeros_like(value, requires_grad=True)
    (back,) = torch.autograd.grad(value, x, probe, create_graph=True)
    (stretched,) = torch.autograd.grad(back, probe, v, create_graph=True)
    (rise,) = torch.autograd.grad(0.5 * stretched.square().sum(), x, retain_graph=True)
    (turned,) = torch.autograd.grad(value, x, stretched.detach())
    return torch.linalg.vector_norm(stretched.detach().flatten(1), dim=1), rise.detach(), turned.detach()


@dataclass(frozen=True)
class Found:
    """The largest stretch, where its ascent began, and the largest of the published construction as it stands."""

    value: float
    start: str
    constructed: float


def adversarial(layer: Attention, radius: float, n: int, written: Tensor, steps: int, many: bool, seed: int) -> Found:
    """The largest |J(X)|_2 that was found with all tokens of X in the ball, from below."""
    directions = [direction(k, head) for k, head in enumerate(layer.heads)]
    points, names = starts(directions, n, radius, written, many)
    points = inside(points, radius)
    first = norms(layer.module, layer.double, points.to(written.dtype), seed, 24, 1e-4)
    climbed = ascend(layer.module, points.to(written.dtype), radius, steps)
    last = norms(layer.module, layer.double, climbed, seed, 24, 1e-4)
    values = torch.maximum(first, last)
    k = int(values.argmax())
    built = [float(first[i]) for i, name in enumerate(names) if name.startswith("one against all")]
    return Found(float(values[k]), names[k], max(built))


def castin(layer: Attention, radius: float, n: int) -> float | None:
    """The finite-n bound of Castin, Ablin and Peyré (2024, theorem 3.3), summed over heads, evaluated without rounding control.

    sum_h sqrt(3) |V_h| sqrt(|A_h|^2 R^4 (4 n + 1) + n), Frobenius norms; it is stated without biases and positions.
    """
    if not layer.plain:
        return None
    total = 0.0
    for head in layer.heads:
        score, value = product_norm(head.query, head.key), product_norm(head.value, head.output.mT)
        total += math.sqrt(3) * value * math.sqrt(score**2 * radius**4 * (4 * n + 1) + n)
    return total
