"""Compression: the last token must take in the whole row, which is then told from it alone.

After Poli et al., MAD (2024, arXiv:2403.17844): 16 words, rows of 32. What can be told is at most what one vector holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic


@dataclass(frozen=True, kw_only=True)
class Compression(Synthetic):
    """Words 0 .. V-2 at random and V-1 at the end, from whose vector a two-layer network tells every word but the last."""

    vocabulary: int = 16
    family: ClassVar[str] = "memory"
    readout: ClassVar[Literal["each", "last"]] = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.last:
            raise ValueError("every word is told from the last token already; there is no `last`")

    @property
    def chance(self) -> float:
        return 1 / (self.vocabulary - 1)

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        tokens = rng.integers(0, self.vocabulary - 1, (count, self.length))
        targets = tokens.copy()
        tokens[:, -1], targets[:, -1] = self.vocabulary - 1, -1
        return tokens, targets


task = Compression()
