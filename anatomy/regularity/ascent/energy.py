"""What the ascent climbs: |J(x)^T v|, for many points at once, with its gradients by x and by v.

The transpose has the norm of J: in Frobenius norm |J^T v| / |v| <= |J|, and in the largest token norm, whose dual is
the sum of token norms, sum_j |(J^T v)_j| <= |J| for every v of norm 1 that lies in one token. Reverse mode twice
needs one pass of Python over the function, and the rest runs in the engine.
"""

from __future__ import annotations

import torch

from anatomy.regularity.ascent.flat import Flat

TINY = 1e-300


class Energy:
    """Values of all rows, and new directions: `v` by a power step, `u` = J^T v as a tangent, and the gradient by x."""

    def __init__(self, flat: Flat, norm: str):
        self.flat, self.norm = flat, norm
        self.batched: bool | None = None
        probe = flat.outputs(torch.zeros(flat.length, dtype=torch.float64))
        self.outs = [(o.numel() // (o.shape[-1] if o.ndim else 1), o.shape[-1] if o.ndim else 1) for o in probe if o.numel()]
        self.height = sum(n * d for n, d in self.outs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.batched is not False:
            try:
                out = torch.func.vmap(self.flat, randomness="same")(x)
                self.batched = True
                return out
            except (RuntimeError, NotImplementedError, ValueError):
                if self.batched:
                    raise
                self.batched = False  # an operation without a batching rule: one start after the other
        return torch.stack([self.flat(row) for row in x])

    def __call__(self, x: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Value, gradient of its logarithm by x, next v, and the tangent u that belongs to v; rows are starts."""
        x, v = x.detach().requires_grad_(True), v.detach().requires_grad_(True)
        with torch.enable_grad():
            y = self.forward(x)
            if not y.requires_grad:
                return torch.zeros(len(x), dtype=x.dtype), torch.zeros_like(x), v.detach(), torch.zeros_like(x)
            # the gradient of a scalar: one along a given vector first imports sympy, most of a second
            (pulled,) = torch.autograd.grad((y * v).sum(), x, create_graph=True)
            value = self.size(pulled)
            total = value.clamp_min(TINY).log().sum()
            if not total.requires_grad:
                gx, gv = None, None
            else:
                gx, gv = torch.autograd.grad(total, (x, v), allow_unused=True)
        gx = torch.zeros_like(x) if gx is None else torch.nan_to_num(gx, 0.0, 0.0, 0.0)
        pulled, value = pulled.detach(), value.detach()
        following = v.detach() if gv is None else self.unit(torch.nan_to_num(gv, 0.0, 0.0, 0.0), v.detach())
        return value, gx, following, self.tangent(pulled)

    def size(self, pulled: torch.Tensor) -> torch.Tensor:
        if self.norm == "frobenius":
            return torch.linalg.vector_norm(pulled, dim=-1)
        return torch.stack([(t.square().sum(-1) + TINY).sqrt().sum(-1) for t in self.flat.tokens(pulled)]).sum(0)

    def tangent(self, pulled: torch.Tensor) -> torch.Tensor:
        """The direction of the input that a pulled-back v stands for."""
        if self.norm == "frobenius":
            return pulled / torch.linalg.vector_norm(pulled, dim=-1, keepdim=True).clamp_min(TINY)
        return self.flat.join([t / torch.linalg.vector_norm(t, dim=-1, keepdim=True).clamp_min(TINY) for t in self.flat.tokens(pulled)])

    def unit(self, g: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        """A unit vector along g, in the largest token norm along its largest token; the old one where g is 0."""
        if self.norm != "frobenius":
            pieces = [p.reshape(len(g), n, d) for p, (n, d) in zip(torch.split(g, [n * d for n, d in self.outs], -1), self.outs, strict=True)]
            sizes = torch.cat([torch.linalg.vector_norm(p, dim=-1) for p in pieces], -1)
            only = torch.nn.functional.one_hot(sizes.argmax(-1), sizes.shape[-1]).to(g.dtype)
            parts = torch.split(only, [n for n, _ in self.outs], -1)
            g = torch.cat([(p * o[:, :, None]).flatten(1) for p, o in zip(pieces, parts, strict=True)], -1)
        length = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
        return torch.where(length > 0, g / length.clamp_min(TINY), old)

    def work(self) -> tuple[int, int]:
        """Elements and tensors that one start keeps for its derivatives: what a step costs, on any machine the same."""
        kept, calls = 0, 0

        def pack(t: torch.Tensor) -> torch.Tensor:
            nonlocal kept, calls
            kept, calls = kept + t.numel(), calls + 1
            return t

        x = torch.full((1, self.flat.length), 0.1, dtype=torch.float64, requires_grad=True)
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            self.forward(x)
        return max(kept, self.flat.length), calls
