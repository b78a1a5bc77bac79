"""The lower bound: the largest Rayleigh quotient |J v| / |v| that an ascent over the domain finds.

True for every v, so nothing needs to converge. `torch.func.jvp` returns (output, tangent); the tangent is used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

SAFETY = 1e-9
"""Relative deduction for the rounding of a re-evaluated quotient."""

Shape = tuple[int, ...]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Estimate:
    """A lower bound with its witness: inputs, a direction, and how it was confirmed."""

    value: float
    inputs: list[torch.Tensor] = field(repr=False, default_factory=list)
    direction: list[torch.Tensor] = field(repr=False, default_factory=list)
    confirmed: str = "none"
    start: str = ""

    def witness(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "inputs": [x.tolist() for x in self.inputs],
            "direction": [x.tolist() for x in self.direction],
            "confirmed": self.confirmed,
            "start": self.start,
        }


class Flat:
    """A function of several tensors as one of a single vector; outputs are concatenated too."""

    def __init__(self, function: Function, shapes: Sequence[Shape], fixed: Sequence[torch.Tensor | None] | None = None):
        self.function, self.shapes = function, list(shapes)
        self.fixed = list(fixed) if fixed is not None else [None] * len(shapes)
        self.sizes = [math.prod(s) if f is None else 0 for s, f in zip(self.shapes, self.fixed, strict=True)]
        self.length = sum(self.sizes)

    def parts(self, x: torch.Tensor) -> list[torch.Tensor]:
        pieces = torch.split(x, self.sizes)
        return [p.reshape(s) if f is None else f for p, s, f in zip(pieces, self.shapes, self.fixed, strict=True)]

    def outputs(self, x: torch.Tensor) -> list[torch.Tensor]:
        out = self.function(*self.parts(x))
        outs = list(out) if isinstance(out, tuple | list) else [out]
        return [o for o in outs if o.is_floating_point()]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([o.reshape(-1) for o in self.outputs(x)])

    def project(self, x: torch.Tensor, radius: float) -> torch.Tensor:
        """The nearest point whose tokens all have norm at most `radius`, a hair inside."""
        parts = []
        for piece, shape, fixed in zip(torch.split(x, self.sizes, dim=-1), self.shapes, self.fixed, strict=True):
            if fixed is not None:
                continue
            rows = piece.reshape(*piece.shape[:-1], *(shape or (1,)))
            norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
            factor = torch.clamp(radius / norm.clamp_min(1e-300), max=1.0) * (1 - 1e-15)
            parts.append((rows * factor).reshape(piece.shape))
        return torch.cat(parts, dim=-1)


def estimate(
    function: Function,
    shapes: Sequence[Shape],
    radius: float = 1.0,
    norm: str = "frobenius",
    seed: int = 0,
    starts: int = 12,
    steps: int | None = None,
    fixed: Sequence[torch.Tensor | None] | None = None,
) -> Estimate:
    """A lower bound of the Lipschitz constant on tokens of norm at most `radius` (an infinite one: at most 4).

    `function` takes float64 tensors of the given shapes (last dimension features); `fixed` stands in for inputs
    that are not varied. Norms: "frobenius", or "max_token" (largest token norm in and out).
    """
    flat = Flat(function, shapes, fixed)
    if flat.length == 0:
        return Estimate(0.0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")  # an operation that is batched by a loop
        return _search(flat, radius, norm, seed, starts, steps)


def _search(flat: Flat, radius: float, norm: str, seed: int, starts: int, steps: int | None) -> Estimate:
    reach = 4.0 if math.isinf(radius) else radius
    points, names = _starts(flat, reach, seed, starts)
    if steps is None:
        steps = max(8, min(80, 400_000 // max(1, flat.length * len(points))))
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    u = u / torch.linalg.vector_norm(u, dim=-1, keepdim=True)
    best_value = torch.full((len(points),), -1.0, dtype=torch.float64)
    best_x, best_u = points.clone(), u.clone()
    energy = _energies(flat)
    x = points
    for step in range(steps):
        value, gx, gu = energy(x, u)
        good = torch.isfinite(value) & (value > best_value)
        best_value = torch.where(good, value, best_value)
        best_x = torch.where(good[:, None], x, best_x)
        best_u = torch.where(good[:, None], u, best_u)
        gu, gx = torch.nan_to_num(gu, 0.0, 0.0, 0.0), torch.nan_to_num(gx, 0.0, 0.0, 0.0)
        length = torch.linalg.vector_norm(gu, dim=-1, keepdim=True)
        u = torch.where(length > 0, gu / length.clamp_min(1e-300), u)
        if step % 3 == 2:  # power iterations on J^T J between two moves of the point
            scale = torch.linalg.vector_norm(gx, dim=-1, keepdim=True).clamp_min(1e-300)
            rate = 0.3 * reach * math.sqrt(flat.length) * (1 - step / steps) / 4
            x = flat.project(x + rate * gx / scale, reach)
    order = torch.argsort(best_value, descending=True).tolist()
    best = Estimate(0.0)
    for k in order[:3]:
        found = _settle(flat, best_x[k], best_u[k], reach, norm, names[k], seed)
        if found.value > best.value:
            best = found
    return best


def _energies(flat: Flat) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """|J u| with the gradients of |J u|^2 / 2 by the point and by u (that is J^T J u), for all starts at once."""

    def half_square(x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        tangent = torch.func.jvp(flat, (x,), (u,))[1]
        return 0.5 * tangent.square().sum()

    single = torch.func.grad_and_value(half_square, argnums=(0, 1))
    batched = torch.func.vmap(single)
    state = {"batched": True}

    def run(x: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if state["batched"]:
            try:
                (gx, gu), value = batched(x, u)
                return torch.sqrt(2 * value.detach()), gx.detach(), gu.detach()
            except (RuntimeError, NotImplementedError):
                state["batched"] = False  # an operation without a batching rule: one start after the other
        rows = [single(a, b) for a, b in zip(x, u, strict=True)]
        value = torch.stack([r[1] for r in rows]).detach()
        return torch.sqrt(2 * value), torch.stack([r[0][0] for r in rows]).detach(), torch.stack([r[0][1] for r in rows]).detach()

    return run


def _settle(flat: Flat, x: torch.Tensor, u: torch.Tensor, reach: float, norm: str, start: str, seed: int) -> Estimate:
    """Refine the direction at a point, confirm by a secant (kinks), and round down."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    best = Estimate(0.0)
    for shift in (0.0, 1e-6):
        point = flat.project(x + shift * reach * noise, reach)
        direction = _refine(flat, point, u, norm)
        quotient = rayleigh(flat, point, direction, norm)
        if not math.isfinite(quotient):
            continue
        secant = _secant(flat, point, direction, reach, norm)
        if abs(secant - quotient) <= 1e-3 * quotient:
            value, how = quotient * (1 - SAFETY), "secant agrees"
        else:
            # Automatic differentiation at a kink may leave the Clarke Jacobian; a secant never exceeds the constant.
            value, how = min(quotient, secant) * (1 - 1e-6), "secant alone"
        if value > best.value:
            best = Estimate(max(0.0, value), flat.parts(point), flat.parts(direction), how, start)
        if how == "secant agrees":
            break
    return best


def token_norm(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([torch.linalg.vector_norm(p.reshape(-1, p.shape[-1] if p.ndim else 1), dim=-1).max() for p in parts]).max()


def rayleigh(flat: Flat, x: torch.Tensor, u: torch.Tensor, norm: str = "frobenius") -> float:
    """|J u| / |u| in the norm asked for."""
    tangent = torch.func.jvp(flat, (x,), (u,))[1]
    return _quotient(flat, x, tangent.detach(), u, norm)


def _quotient(flat: Flat, x: torch.Tensor, change: torch.Tensor, u: torch.Tensor, norm: str) -> float:
    if norm == "frobenius":
        return float(torch.linalg.vector_norm(change) / torch.linalg.vector_norm(u))
    outs = flat.outputs(x)
    pieces = torch.split(change, [o.numel() for o in outs])
    top = token_norm([p.reshape(o.shape) for p, o in zip(pieces, outs, strict=True)])
    free = [p for p, f in zip(flat.parts(u), flat.fixed, strict=True) if f is None]
    return float(top / token_norm(free))


def _secant(flat: Flat, x: torch.Tensor, u: torch.Tensor, reach: float, norm: str) -> float:
    step = 1e-5 * max(min(reach, 1.0), 1e-300) / float(torch.linalg.vector_norm(u))
    a, b = flat.project(x + step * u, reach), flat.project(x - step * u, reach)
    inner = x * (1 - 4e-5)
    a, b = (inner + step * u, inner - step * u) if bool(torch.any(a - b - 2 * step * u != 0)) else (a, b)
    moved = a - b
    if not bool(torch.any(moved != 0)):
        return 0.0
    value = _quotient(flat, x, (flat(a) - flat(b)).detach(), moved, norm)
    return value if math.isfinite(value) else 0.0


def _refine(flat: Flat, x: torch.Tensor, u: torch.Tensor, norm: str) -> torch.Tensor:
    """A better direction at a fixed point: the dense Jacobian where it is small, else power iterations."""
    pulled = torch.func.vjp(flat, x)
    output, pull = pulled[0], pulled[1]
    if flat.length * output.numel() <= 65_536:
        jacobian = torch.func.jacrev(flat)(x).reshape(output.numel(), -1)
        if norm == "frobenius" and bool(torch.isfinite(jacobian).all()):
            return torch.linalg.svd(jacobian, full_matrices=False)[2][0]
    for _ in range(12 if norm == "frobenius" else 6):
        tangent = torch.func.jvp(flat, (x,), (u,))[1]
        if norm != "frobenius":
            tangent = _largest_token(flat, x, tangent)
        (back,) = pull(tangent)
        if norm != "frobenius":
            pieces = torch.split(back, flat.sizes)
            rows = [p.reshape(-1, (s or (1,))[-1]) for p, s, f in zip(pieces, flat.shapes, flat.fixed, strict=True) if f is None]
            back = torch.cat([(r / torch.linalg.vector_norm(r, dim=-1, keepdim=True).clamp_min(1e-300)).reshape(-1) for r in rows])
        length = torch.linalg.vector_norm(back)
        if not bool(torch.isfinite(length)) or float(length) == 0:
            break
        u = back / length
    return u


def _largest_token(flat: Flat, x: torch.Tensor, tangent: torch.Tensor) -> torch.Tensor:
    """The tangent with all but its largest token set to 0."""
    outs = flat.outputs(x)
    pieces = [p.reshape(-1, o.shape[-1] if o.ndim else 1) for p, o in zip(torch.split(tangent, [o.numel() for o in outs]), outs, strict=True)]
    tops = [torch.linalg.vector_norm(p, dim=-1) for p in pieces]
    top = max(float(t.max()) for t in tops)
    return torch.cat([(p * (t == top)[:, None]).reshape(-1) for p, t in zip(pieces, tops, strict=True)])


def _starts(flat: Flat, reach: float, seed: int, count: int) -> tuple[torch.Tensor, list[str]]:
    """Structured points first, then random ones with log-uniform radii."""
    generator = torch.Generator().manual_seed(seed)

    def make(build: Callable[[int, int], torch.Tensor]) -> torch.Tensor:
        pieces = []
        for shape, fixed in zip(flat.shapes, flat.fixed, strict=True):
            if fixed is None:
                d = shape[-1] if shape else 1
                pieces.append(build(math.prod(shape) // d, d).reshape(-1))
        return torch.cat(pieces).to(torch.float64)

    def unit(d: int) -> torch.Tensor:
        v = torch.randn(d, generator=generator, dtype=torch.float64)
        return v / torch.linalg.vector_norm(v).clamp_min(1e-300)

    def split(n: int, d: int) -> torch.Tensor:
        x = unit(d).repeat(n, 1)
        x[: n // 2] *= -1
        return x * reach

    def outlier(n: int, d: int) -> torch.Tensor:
        x = unit(d).repeat(n, 1)
        x[0] *= -1
        return x * reach

    def pair(n: int, d: int) -> torch.Tensor:
        c, z = unit(d), unit(d)
        x = (-c * reach).repeat(n, 1)
        x[0] = 0.05 * reach * c + 0.99 * reach * (z - (z @ c) * c)
        if n > 1:
            x[1] = 0.05 * reach * c - 0.99 * reach * (z - (z @ c) * c)
        return x

    def star(n: int, d: int) -> torch.Tensor:
        x = torch.zeros(n, d, dtype=torch.float64)
        x[-1] = unit(d) * reach
        return x

    structured: list[tuple[str, Callable[[int, int], torch.Tensor]]] = [
        ("equal tokens", lambda n, d: (unit(d) * reach).repeat(n, 1)),
        ("split", split), ("one outlier", outlier), ("balanced pair", pair), ("one far, others zero", star),
        ("zero", lambda n, d: torch.zeros(n, d, dtype=torch.float64)),
        ("ones", lambda n, d: torch.full((n, d), reach / math.sqrt(d), dtype=torch.float64)),
    ]  # fmt: skip
    names, points = [], []
    for name, build in structured:
        names.append(name)
        points.append(make(build))
    for k in range(max(0, count - len(points))):
        scale = reach * 10 ** (-1.3 * float(torch.rand((), generator=generator, dtype=torch.float64))) if k % 2 else reach
        names.append("boundary" if k % 2 == 0 else "random")
        points.append(make(lambda n, d, s=scale: torch.stack([unit(d) * s for _ in range(n)])))
    return flat.project(torch.stack(points), reach), names
