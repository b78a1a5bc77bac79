"""Statistics at initialisation: how a mixer scales what goes through it, and how much of the tokens' variety it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from anatomy.ir.graph import Diagram
from anatomy.sweep.check import lift_name
from anatomy.sweep.sizes import bound_sizes

if TYPE_CHECKING:
    import torch

SEEDS = 4
"""Draws of the weights."""
ROWS = 4
"""Rows of tokens, the same for all draws."""
STATISTICS = ("gain", "input_gradient", "weight_gradient", "similarity", "stable_rank", "effective_rank")


def initialisation(diagram: Diagram, tokens: int, features: int, sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Statistics of a mixer before training, as JSON: the mean over `SEEDS` draws of the weights, and `_spread`, their standard deviation.

    The input x [rows, n, d] is standard normal, y is the output, and g, of its shape, a standard normal cotangent.
    gain: rms(y) / rms(x). input_gradient: rms(J^T g) / rms(g), J the derivative by the input; weight_gradient: the Euclidean norm of the
    gradient of <g, y> in all weights, over that of g (Glorot and Bengio, AISTATS 2010). similarity: the mean cosine between the outputs at
    two tokens, 1 where all tokens have become one (rank collapse: Dong et al., arXiv:2103.03404; Noci et al., arXiv:2206.03126).
    stable_rank: |Y|_F^2 / |Y|_2^2 of the matrix [n, d] of a row (Rudelson and Vershynin, J. ACM 54, 2007); effective_rank: the exponential of
    the entropy of its normalised singular values (Roy and Vetterli, EUSIPCO 2007); both over those of the input, so that 1 is what the
    identity has. None stands for what is no finite number. A mixer without weights has a weight gradient of 0.
    Raises what building the diagram raises.

    >>> from anatomy.api import load
    >>> found = initialisation(load("zoo:softmax_attention").diagram, 8, 4, {}, 0)
    >>> sorted(found) == sorted(f"{name}{end}" for name in STATISTICS for end in ("", "_spread"))
    True
    """
    import torch

    from anatomy.compiler import build

    seeds = [seed + k for k in range(SEEDS)]
    net = build(diagram, bound_sizes(diagram, tokens, features, sizes), (lift_name(diagram),), seeds, ensemble=SEEDS)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, ROWS, tokens, features, generator=generator).expand(SEEDS, -1, -1, -1).contiguous().requires_grad_()
    y = net(x)
    g = torch.randn(1, ROWS, tokens, features, generator=generator).expand(SEEDS, -1, -1, -1)
    learnt = [p for p in net.parameters() if p.requires_grad]
    grads = torch.autograd.grad((g * y).sum(), [x, *learnt], allow_unused=True) if y.requires_grad else [None] * (1 + len(learnt))
    back = grads[0] if grads[0] is not None else torch.zeros_like(x)
    squares = sum((w.reshape(SEEDS, -1).to(torch.float64).square().sum(1) for w in grads[1:] if w is not None), torch.zeros(SEEDS, dtype=torch.float64))
    y, x = y.detach(), x.detach()
    given, made = ranks(x), ranks(y)
    found = {
        "gain": _rms(y) / _rms(x),
        "input_gradient": _rms(back) / _rms(g),
        "weight_gradient": (squares / g.to(torch.float64).flatten(1).square().sum(1)).sqrt(),
        "similarity": similarity(y),
        "stable_rank": made[0] / given[0],
        "effective_rank": made[1] / given[1],
    }
    return {f"{name}{end}": _plain(number) for name in STATISTICS for end, number in (("", found[name].mean()), ("_spread", found[name].std()))}


def similarity(y: torch.Tensor) -> torch.Tensor:
    """The mean cosine of two different tokens: [members, rows, n, d] -> [members]; a token of 0 has the cosine 0 with all."""
    import torch

    unit = torch.nn.functional.normalize(y.to(torch.float64), dim=-1)
    count = y.shape[-2]
    # The sum over all pairs is the square of the sum of the tokens; each with itself makes their squared lengths.
    both = unit.sum(-2).square().sum(-1) - unit.square().sum((-2, -1))
    return (both / max(1, count * (count - 1))).mean(1)


def ranks(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Stable and effective rank, means over rows: [members, rows, n, d] -> [members] each; a row of zeros has rank 0."""
    import torch

    y = y.to(torch.float64)
    if not bool(torch.isfinite(y).all()):
        nothing = torch.full((y.shape[0],), float("nan"), dtype=torch.float64)
        return nothing, nothing
    values = torch.linalg.svdvals(y)
    largest, total = values[..., 0], values.sum(-1)
    dead = largest == 0
    stable = values.square().sum(-1) / torch.where(dead, 1.0, largest).square()
    share = values / torch.where(dead, 1.0, total)[..., None]
    entropy = -torch.special.xlogy(share, share).sum(-1)
    effective = torch.where(dead, 0.0, entropy.exp())
    return stable.mean(1), effective.mean(1)


def _rms(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    return tensor.detach().to(torch.float64).flatten(1).square().mean(1).sqrt()


def _plain(number: torch.Tensor) -> float | None:
    value = number.item()
    return float(f"{value:.6g}") if isfinite(value) else None
