"""Static checks of one variant: it compiles, computes finite numbers, moves with its input, reads no later token."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from anatomy.ir.graph import REAL, Diagram
from anatomy.sweep.sizes import bound_sizes

if TYPE_CHECKING:
    import torch
    from torch import nn

LEAK_LENGTH = 64
"""Tokens at most of the row in which every prefix is tested for leaks: a short row would not hold the key that a stride or a chunk lets in."""
TOLERANCE = 1e-9
"""Relative change of a float64 output that counts as a change: rounding is below it, a leak far above."""


def header(diagram: Diagram) -> str | None:
    """Why the diagram is no mixer [tokens, features] -> [tokens, features], or None when it is one."""
    if len(diagram.inputs) != 1 or len(diagram.outputs) != 1:
        return f"a mixer has one input and one output; this has {len(diagram.inputs)} and {len(diagram.outputs)}"
    taken, given = diagram.inputs[0], diagram.outputs[0]
    if diagram.wires[taken.wire].kind != REAL or len(taken.layout) != 2:
        return "a mixer takes a real wire [tokens, features]"
    if given.layout != taken.layout:
        return f"a mixer gives what it takes: [{', '.join(taken.layout)}], not [{', '.join(given.layout)}]"
    return None


def lift_name(diagram: Diagram) -> str:
    """A name for the batch axis that the diagram does not use."""
    name = "b"
    while name in diagram.sizes:
        name += "b"
    return name


def examine(diagram: Diagram, tokens: int, features: int, sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Everything that the checks found, as JSON; `reason` is empty when the variant may be trained.

    finite: output and gradients at initialisation, for inputs of unit scale. alive: the output moves with the
    input. scale: root mean square of the output over that of the input. causal: no output changes when later
    tokens do, tested by changing them, for every prefix of a row.
    """
    import torch

    from anatomy.compiler import build

    problem = header(diagram)
    if problem is not None:
        return {"reason": problem, "causal": None, "finite": None, "alive": None, "scale": None, "parameters": None}
    lift = (lift_name(diagram),)
    net = build(diagram, bound_sizes(diagram, tokens, features, sizes), lift, seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, tokens, features, generator=generator).requires_grad_()
    y = net(x)
    finite = bool(torch.isfinite(y).all())
    if finite and y.requires_grad:
        y.square().mean().backward()
        grads = [x.grad, *(p.grad for p in net.parameters())]
        finite = all(bool(torch.isfinite(g).all()) for g in grads if g is not None)
    scale = (y.detach().square().mean() / x.detach().square().mean()).sqrt().item()
    alive = finite and not torch.equal(y[0].detach(), y[1].detach())
    short = min(tokens, LEAK_LENGTH)
    small = build(diagram, bound_sizes(diagram, short, features, sizes), lift, seed, torch.float64)
    leak = leaks(small, short, features, seed) if finite else None
    return {
        "reason": "" if finite else "output or gradient is not finite at initialisation",
        "causal": None if not finite else leak is None,
        "leak": leak or "",
        "finite": finite,
        "alive": alive,
        "scale": float(f"{scale:.6g}") if isfinite(scale) else None,
        "parameters": sum(p.numel() for p in net.parameters() if p.requires_grad),
    }


def leaks(net: nn.Module, tokens: int, features: int, seed: int) -> str | None:
    """Where an output reads a later token, found by replacing every suffix of a row, or None."""
    import torch

    generator = torch.Generator().manual_seed(seed + 1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, features, generator=generator, dtype=torch.float64)

    with torch.no_grad():
        for size in (1.0, 10.0):
            x = drawn(1, tokens)
            rows = x.repeat(tokens, 1, 1)
            for k in range(1, tokens):
                rows[k, k:] = size * drawn(tokens - k)
            # Row 0 is unchanged and goes through the same batch, so that equal work is compared.
            y = net(rows)
            unit = y.abs().max().item() or 1.0
            for k in range(1, tokens):
                moved = (y[k, :k] - y[0, :k]).abs().amax(-1)
                worst = int(moved.argmax())
                if not moved[worst].item() <= TOLERANCE * unit:
                    return f"the output at token {worst} changes by {moved[worst].item():.3g} when tokens from {k} on change"
    return None
