"""The language model of characters that nanoGPT trains on a laptop: its recipe for the CPU, around any mixer.

Karpathy, nanoGPT, README, "I only have a macbook": four blocks, width 128, rows of 64, batches of 12, 2,000 steps of AdamW (0.9, 0.99) at
1e-3 with 100 steps of warm-up and a cosine down to 1e-4, decay 0.1 of matrices alone, gradients clipped at 1, no dropout, no biases. A loss of 1.88
is published for tinyshakespeare, whose last tenth is held out; four heads are the mixer's affair (`zoo:causal_mha`, h = 4).
What differs is told in README.md beside this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.sweep.text import Text


@dataclass(frozen=True, kw_only=True)
class NanoGPT(Text):
    """Every character asks for the next one; the report is over 200 batches of the held-out text."""

    length: int = 64
    batch: int = 12
    budget: int = 2000
    rate: float = 1e-3
    rates: int = 1
    depth: int = 4
    width: int = 128
    beta: float = 0.99
    decay: float = 0.1
    warm: float = 0.05
    floor: float = 0.1
    norm: str = "scaled"
    feedforward: str = "gelu_plain"
    tests: ClassVar[int] = 200
    sparing: ClassVar[bool] = True


task = NanoGPT()
