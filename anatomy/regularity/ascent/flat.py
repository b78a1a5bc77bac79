"""A function of several tensors as one of a single vector, its tokens, and its domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

Shape = tuple[int, ...]
Function = Callable[..., Any]
INSIDE = 1 - 1e-15
"""Projected tokens lie this far inside the ball."""


class Flat:
    """A function of several tensors as one of a single vector; outputs are concatenated too."""

    def __init__(self, function: Function, shapes: Sequence[Shape], fixed: Sequence[torch.Tensor | None] | None = None):
        self.function, self.shapes = function, list(shapes)
        self.fixed = list(fixed) if fixed is not None else [None] * len(shapes)
        self.sizes = [math.prod(s) if f is None else 0 for s, f in zip(self.shapes, self.fixed, strict=True)]
        self.length = sum(self.sizes)
        self.free = [(math.prod(s[:-1]), s[-1] if s else 1) for s, f in zip(self.shapes, self.fixed, strict=True) if f is None]
        """Tokens and features of every input that is varied."""

    def parts(self, x: torch.Tensor) -> list[torch.Tensor]:
        pieces = torch.split(x, self.sizes)
        return [p.reshape(s) if f is None else f for p, s, f in zip(pieces, self.shapes, self.fixed, strict=True)]

    def outputs(self, x: torch.Tensor) -> list[torch.Tensor]:
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have one derivative only, and none forward
            out = self.function(*self.parts(x))
        outs = list(out) if isinstance(out, tuple | list) else [out]
        return [o for o in outs if o.is_floating_point()]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([o.reshape(-1) for o in self.outputs(x)])

    def tokens(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The inputs that are varied, each as (..., tokens, features)."""
        pieces = torch.split(x, [n * d for n, d in self.free], dim=-1)
        return [p.reshape(*p.shape[:-1], n, d) for p, (n, d) in zip(pieces, self.free, strict=True)]

    def join(self, tokens: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([t.flatten(-2) for t in tokens], dim=-1)

    def project(self, x: torch.Tensor, radius: float) -> torch.Tensor:
        """The nearest point whose tokens all have norm at most `radius`, a hair inside."""
        rows = []
        for row in self.tokens(x):
            norm = torch.linalg.vector_norm(row, dim=-1, keepdim=True)
            rows.append(row * (torch.clamp(radius / norm.clamp_min(1e-300), max=1.0) * INSIDE))
        return self.join(rows)


def token_norm(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The largest Euclidean norm along the last axis."""
    return torch.stack([torch.linalg.vector_norm(p.reshape(-1, p.shape[-1] if p.ndim else 1), dim=-1).max() for p in parts]).max()
