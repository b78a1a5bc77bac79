"""Jumps: what refutes continuity, and with it every Lipschitz constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anatomy.claims.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

SEGMENTS, STEPS = 6, 48
FIRST, LAST = 12, 32
"""Halvings: over the last twenty, a continuous gap shrinks a million times, and a jump stays."""
LEAST = 1e-7


def jump(trial: Trial) -> float:
    """The largest change of the output that no halving of a segment makes smaller; 0 where none was found."""
    import torch

    real = trial.real
    best = 0.0
    for seed in range(SEGMENTS):
        a, b = trial.inputs(seed, 2.0), trial.inputs(seed + 50, 2.0)

        def at(t: float, a: list[Tensor] = a, b: list[Tensor] = b) -> Tensor:
            with torch.no_grad():
                mixed = [(1 - t) * x + t * y if k in real else x for k, (x, y) in enumerate(zip(a, b, strict=True))]
                return torch.cat([y.reshape(-1).nan_to_num() for y in trial.run(mixed)])

        values = [at(i / STEPS) for i in range(STEPS + 1)]
        gaps = [(values[i + 1] - values[i]).norm().item() for i in range(STEPS)]
        for i in sorted(range(STEPS), key=lambda i: -gaps[i])[:3]:
            low, high, left, right = i / STEPS, (i + 1) / STEPS, values[i], values[i + 1]
            before = 0.0
            for halving in range(LAST):
                if halving == FIRST:
                    before = (right - left).norm().item()
                middle = (low + high) / 2
                value = at(middle)
                if (value - left).norm() > (right - value).norm():
                    high, right = middle, value
                else:
                    low, left = middle, value
            after = (right - left).norm().item()
            if after > max(LEAST, 0.1 * before):
                best = max(best, after)
    return best
