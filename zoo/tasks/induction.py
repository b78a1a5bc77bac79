"""Induction heads: a marked word is followed by another; at the end of the row the mark asks for it.

After Fu et al., Hungry Hungry Hippos (2023, arXiv:2212.14052), table 1, and Gu and Dao, Mamba (2023, arXiv:2312.00752), section 4.1.2: 16 words,
rows of 256. Here rows are of 64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic, blank


@dataclass(frozen=True, kw_only=True)
class Induction(Synthetic):
    """Words 1 .. V-1 at random, the mark 0 at one place before the last two and at the end, where the word after the first is asked."""

    length: int = 64
    vocabulary: int = 17
    last: bool = True
    family: ClassVar[str] = "recall"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 4 or self.vocabulary < 3:
            raise ValueError("induction needs rows of 4 and a vocabulary of 3")

    @property
    def chance(self) -> float:
        return 1 / (self.vocabulary - 1)

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        tokens, targets = blank(count, self.length)
        every = np.arange(count)
        tokens[:] = rng.integers(1, self.vocabulary, tokens.shape)
        place = rng.integers(0, self.length - 2, count)
        tokens[every, place] = 0
        tokens[:, -1], targets[:, -1] = 0, tokens[every, place + 1]
        return tokens, targets


task = Induction()
