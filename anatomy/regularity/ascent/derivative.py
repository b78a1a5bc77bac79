"""The Jacobian at one point, by reverse mode alone: J u is the derivative of w -> J^T w, which is linear, along u.

Forward mode, `torch.func.vjp` and gradients along a given vector import torch's compilers at their first call, two
seconds and more; the gradient of a scalar does not.
"""

from __future__ import annotations

import torch

from anatomy.regularity.ascent.flat import Flat

ROWS = 64
"""Rows of a dense Jacobian that are computed at once."""


class Derivative:
    """`push(u)` is J u and `pull(v)` is J^T v at the point."""

    def __init__(self, flat: Flat, x: torch.Tensor):
        self.flat, self.x = flat, x.detach()
        self.point = self.x.clone().requires_grad_(True)
        with torch.enable_grad():
            self.output = flat(self.point)
        self._linear: tuple[torch.Tensor, torch.Tensor] | None = None

    def pull(self, v: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            return _gradient(self.output, v.detach(), self.point).detach()

    def push(self, u: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            if self._linear is None:
                weight = torch.zeros_like(self.output).requires_grad_(True)
                self._linear = weight, _gradient(self.output, weight, self.point, create=True)
            weight, back = self._linear
            return _gradient(back, u.detach(), weight).detach()

    def dense(self) -> torch.Tensor:
        """All of J, by copies of the point where the function can be batched, else one row after the other."""
        rows = torch.eye(self.output.numel(), dtype=self.x.dtype)
        try:
            with torch.enable_grad():
                parts = []
                for some in rows.split(ROWS):
                    copies = self.x.expand(len(some), -1).clone().requires_grad_(True)
                    parts.append(_gradient(torch.func.vmap(self.flat, randomness="same")(copies), some, copies).detach())
            return torch.cat(parts)
        except (RuntimeError, NotImplementedError, ValueError):
            return torch.stack([self.pull(row) for row in rows])


def _gradient(value: torch.Tensor, weight: torch.Tensor, by: torch.Tensor, create: bool = False) -> torch.Tensor:
    """The gradient of <value, weight>; 0 where nothing depends on `by`."""
    if not value.requires_grad and not weight.requires_grad:
        return torch.zeros_like(by)
    (found,) = torch.autograd.grad((value * weight).sum(), by, retain_graph=True, create_graph=create, allow_unused=True)
    return torch.zeros_like(by) if found is None else found
