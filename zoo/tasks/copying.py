"""Selective copying: words are scattered among blanks; after a mark they are to be said again, in order.

After Gu and Dao, Mamba (2023, arXiv:2312.00752), section 4.1.1, and Poli et al., MAD (2024, arXiv:2403.17844): 16 words, rows of 256,
16 words to copy. Here rows are of 64 and 8 words are copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic, blank, distinct


@dataclass(frozen=True, kw_only=True)
class Copying(Synthetic):
    """The blank is 0, the mark 1, words are 2 .. V-1. `copied` words stand at random places in the front; then the mark, and
    blanks at which the words are asked one after the other. With `last` only the last word of all is asked."""

    length: int = 64
    vocabulary: int = 16
    copied: int = 8
    family: ClassVar[str] = "copying"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.copied < 1 or self.length < 2 * self.copied + 1 or self.vocabulary < 3:
            raise ValueError(f"to copy {self.copied} words needs rows of {2 * self.copied + 1} and a vocabulary of 3")

    @property
    def chance(self) -> float:
        return 1 / (self.vocabulary - 2)

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        tokens, targets = blank(count, self.length)
        front = self.length - self.copied - 1
        words = rng.integers(2, self.vocabulary, (count, self.copied))
        places = np.sort(distinct(rng, count, 0, front, self.copied), 1)
        tokens[np.arange(count)[:, None], places] = words
        tokens[:, front] = 1
        targets[:, front + 1 :] = words
        if self.last:
            targets[:, :-1] = -1
        return tokens, targets


task = Copying()
