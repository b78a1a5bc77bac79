"""Memorisation: one dictionary for all rows, which the weights must learn by heart; nothing in a row helps.

After Poli et al., MAD (2024, arXiv:2403.17844): 256 words, rows of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic


@dataclass(frozen=True, kw_only=True)
class Memorisation(Synthetic):
    """Keys 1 .. W, values W+1 .. 2W, W = (vocabulary - 1) / 2, matched once for all rows by the number `dictionary`. A row is key, 0, key, 0,
    ...; at each 0 the value of the key before it is asked."""

    vocabulary: int = 129
    convolution: str = "direct"
    dictionary: int = 0
    family: ClassVar[str] = "memory"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length % 2 or self.vocabulary < 3:
            raise ValueError("rows are pairs, so their length is even; a vocabulary has three words or more")

    @property
    def chance(self) -> float:
        return 1 / ((self.vocabulary - 1) // 2)

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        words = (self.vocabulary - 1) // 2
        meaning = np.random.Generator(np.random.Philox(key=self.dictionary)).permutation(words)
        keys = rng.integers(0, words, (count, self.length // 2))
        tokens = np.stack([keys + 1, np.zeros_like(keys)], 2).reshape(count, -1)
        targets = np.stack([np.full_like(keys, -1), meaning[keys] + words + 1], 2).reshape(count, -1)
        if self.last:
            targets[:, :-1] = -1
        return tokens, targets


task = Memorisation()
