"""k-hop induction: from a word go back to where it stood last, one place on, and from the word there again, k times.

After Sanford, Hsu and Telgarsky, Transformers, parallel computation, and logarithmic depth (2024, arXiv:2402.09268), definition 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic


@dataclass(frozen=True, kw_only=True)
class Hops(Synthetic):
    """Words at random. find(i) is the greatest j <= i with x[j-1] = x[i]; where find^k(i) exists, x[find^k(i)] is asked at i.

    No two words that follow each other are equal, so that a hop goes somewhere.
    """

    length: int = 64
    vocabulary: int = 4
    hops: int = 2
    family: ClassVar[str] = "reasoning"
    revealing: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocabulary < 3 or self.hops < 1:
            raise ValueError("hops need a vocabulary of 3, and there is one at least")

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        steps = rng.integers(1, self.vocabulary, (count, self.length))
        steps[:, 0] = rng.integers(0, self.vocabulary, count)
        tokens = steps.cumsum(1) % self.vocabulary
        every = np.arange(count)
        find = np.full((count, self.length), -1)
        after = np.full((count, self.vocabulary), -1)
        for i in range(self.length):
            find[:, i] = after[every, tokens[:, i]]
            after[every, tokens[:, i]] = i + 1
        at = np.broadcast_to(np.arange(self.length), find.shape)
        for _ in range(self.hops):
            at = np.where(at >= 0, np.take_along_axis(find, np.maximum(at, 0), 1), -1)
        targets = np.where(at >= 0, np.take_along_axis(tokens, np.maximum(at, 0), 1), -1)
        if self.last:
            targets[:, :-1] = -1
        return tokens, targets


task = Hops()
