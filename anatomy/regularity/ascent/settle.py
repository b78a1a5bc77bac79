"""What is claimed of a find: the quotient |J u| / |u| evaluated anew, confirmed by a secant, and rounded down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from anatomy.regularity.ascent.derivative import Derivative
from anatomy.regularity.ascent.flat import Flat, token_norm

SAFETY = 1e-9
"""Least relative deduction for the rounding of a re-evaluated quotient."""
SPREADS = 8.0
"""How often the spread over neighbours that differ by rounding only is deducted."""
DENSE = 65_536
"""Entries up to which a Jacobian is written out."""
STEPS = (1e-5, 1e-4, 1e-6, 1e-7)
"""Lengths of secants, relative to the radius: at a kink none of them agrees with a wrong derivative."""


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


def settle(flat: Flat, x: torch.Tensor, u: torch.Tensor, reach: float, norm: str, start: str, seed: int) -> Estimate:
    """Refine the direction at a point, confirm by secants (kinks), and round down."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    best = Estimate(0.0)
    for shift in (0.0, 1e-6, 1e-4):
        point = flat.project(x + shift * reach * noise, reach)
        here = Derivative(flat, point)
        direction = refine(here, u, norm)
        quotient = _quotient(flat, point, here.push(direction), direction, norm)
        if not math.isfinite(quotient) or quotient <= 0:
            continue
        # Automatic differentiation at a kink may leave the Clarke Jacobian; a secant never exceeds the constant.
        agreed, longest = False, 0.0
        for step in STEPS:
            secant = _secant(flat, point, direction, reach, norm, step)
            agreed, longest = abs(secant - quotient) <= 1e-3 * quotient, max(longest, secant if step >= 1e-5 else 0.0)
            if agreed:
                break
        if agreed:
            value, how = _rounded(flat, point, direction, norm, quotient), "secant agrees"
        else:
            value, how = min(quotient, longest) * (1 - 1e-6), "secant alone"
        if value > best.value:
            best = Estimate(value, flat.parts(point), flat.parts(direction), how, start)
        if agreed:
            break
    return best


def _rounded(flat: Flat, x: torch.Tensor, u: torch.Tensor, norm: str, quotient: float) -> float:
    """The quotient less what rounding is seen to do to it: its spread over inputs that are equal but for rounding."""
    values = [quotient]
    for factor in (1 - 2.0**-50, 1 - 2.0**-49):
        again = rayleigh(flat, x * factor, u * factor, norm)
        values.append(again if math.isfinite(again) else 0.0)
    low = min(values)
    return max(0.0, low - SPREADS * (max(values) - low) - SAFETY * low)


def rayleigh(flat: Flat, x: torch.Tensor, u: torch.Tensor, norm: str = "frobenius") -> float:
    """|J u| / |u| in the norm asked for."""
    return _quotient(flat, x, Derivative(flat, x).push(u), u, norm)


def _quotient(flat: Flat, x: torch.Tensor, change: torch.Tensor, u: torch.Tensor, norm: str) -> float:
    if norm == "frobenius":
        return float(torch.linalg.vector_norm(change) / torch.linalg.vector_norm(u))
    return float(token_norm(_rows(flat, x, change)) / token_norm(flat.tokens(u)))


def _rows(flat: Flat, x: torch.Tensor, change: torch.Tensor) -> list[torch.Tensor]:
    """A change of the outputs as tokens of each output."""
    with torch.no_grad():
        outs = flat.outputs(x)
    pieces = torch.split(change, [o.numel() for o in outs])
    return [p.reshape(-1, o.shape[-1] if o.ndim else 1) for p, o in zip(pieces, outs, strict=True)]


def _secant(flat: Flat, x: torch.Tensor, u: torch.Tensor, reach: float, norm: str, relative: float) -> float:
    step = relative * max(min(reach, 1.0), 1e-300) / float(torch.linalg.vector_norm(u))
    a, b = flat.project(x + step * u, reach), flat.project(x - step * u, reach)
    if bool(torch.any(a - b - 2 * step * u != 0)):
        inner = x * (1 - 4 * relative)
        a, b = inner + step * u, inner - step * u
    moved = a - b
    if not bool(torch.any(moved != 0)):
        return 0.0
    with torch.no_grad():
        value = _quotient(flat, x, flat(a) - flat(b), moved, norm)
    return value if math.isfinite(value) else 0.0


def refine(here: Derivative, u: torch.Tensor, norm: str) -> torch.Tensor:
    """A better direction at a fixed point: the dense Jacobian where it is small, else power iterations."""
    flat, x = here.flat, here.x
    if flat.length * here.output.numel() <= DENSE:
        jacobian = here.dense()
        if bool(torch.isfinite(jacobian).all()):
            if norm == "frobenius":
                return torch.linalg.svd(jacobian, full_matrices=False)[2][0]
            return _rowwise(flat, x, jacobian, u)
    for _ in range(4):
        tangent = here.push(u)
        if norm != "frobenius":
            rows = _rows(flat, x, tangent)
            tops = [torch.linalg.vector_norm(r, dim=-1) for r in rows]
            top = max(float(t.max()) for t in tops if t.numel())
            tangent = torch.cat([(r * (t == top)[:, None]).reshape(-1) for r, t in zip(rows, tops, strict=True)])
        back = here.pull(tangent)
        if norm != "frobenius":
            back = _units(flat, back)
        length = torch.linalg.vector_norm(back)
        if not bool(torch.isfinite(length)) or float(length) == 0:
            break
        u = back / length
    return u


def _rowwise(flat: Flat, x: torch.Tensor, jacobian: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """In the largest token norm: the largest over output tokens i and unit w of sum_j |J_ij^T w|, by alternation."""
    best, kept = -1.0, u
    row = 0
    for d in [r.shape[-1] for r in _rows(flat, x, x.new_zeros(len(jacobian))) for _ in range(r.shape[0])]:
        block = jacobian[row : row + d]
        row += d
        w = torch.cat([(block @ u)[None], torch.linalg.svd(block, full_matrices=False)[0].mT[:4]])
        unit = _units(flat, w @ block)
        for _ in range(12):
            w = unit @ block.mT
            w = w / torch.linalg.vector_norm(w, dim=-1, keepdim=True).clamp_min(1e-300)
            unit = _units(flat, w @ block)
        sizes = torch.linalg.vector_norm(unit @ block.mT, dim=-1)
        k = int(sizes.argmax())
        if float(sizes[k]) > best:
            best, kept = float(sizes[k]), unit[k]
    return kept


def _units(flat: Flat, x: torch.Tensor) -> torch.Tensor:
    """Each token at norm 1."""
    return flat.join([t / torch.linalg.vector_norm(t, dim=-1, keepdim=True).clamp_min(1e-300) for t in flat.tokens(x)])


def best_of(flat: Flat, values: Sequence[float], points: torch.Tensor, tangents: torch.Tensor, names: Sequence[str],
            reach: float, norm: str, seed: int, least: int = 3) -> Estimate:  # fmt: skip
    """The greatest confirmed value: finds are settled from the best down until no other promises more."""
    best = Estimate(0.0)
    for place, k in enumerate(sorted(range(len(values)), key=lambda k: -values[k])):
        if place >= least and (best.value > 0.999 * values[k] or place >= 3 * least):
            break
        found = settle(flat, points[k], tangents[k], reach, norm, names[k], seed)
        if found.value > best.value:
            best = found
    return best
