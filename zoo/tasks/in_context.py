"""In-context recall: every row has a dictionary of its own, and words are followed by what it says; the next word is asked.

After Poli et al., MAD (2024, arXiv:2403.17844): 16 words, rows of 128, several queries. Here rows are of 64. Only repeated keys are asked, in
training and in tests alike; the published training also asks for words that nobody can know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic


@dataclass(frozen=True, kw_only=True)
class InContext(Synthetic):
    """Keys 0 .. W/2-1 and values W/2 .. W-1, W = vocabulary - noises. A row is key, value, key, value, ...; keys are drawn at random
    with repetition, the value of a key is drawn once for the row, and is asked at the key wherever the key has been seen before.

    A share `noise` of the pairs, never the first, are two words of a vocabulary of their own, of which nothing is asked. With
    `last` the row ends at a key that was seen before, whose value is asked.
    """

    length: int = 64
    vocabulary: int = 16
    noises: int = 0
    noise: float = 0.0
    family: ClassVar[str] = "recall"
    revealing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocabulary - self.noises < 4 or not 0 <= self.noise < 1 or (self.noise > 0) > (self.noises > 0):
            raise ValueError("keys and values need four words, and noise a vocabulary of its own")
        if self.length % 2 != self.last:
            raise ValueError("rows are pairs, so their length is even; with `last`, which ends at a key, it is odd")

    @property
    def chance(self) -> float:
        words = self.vocabulary - self.noises
        return 1 / (words - words // 2)

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        words = self.vocabulary - self.noises
        half, pairs, every = words // 2, (self.length + self.last) // 2, np.arange(count)[:, None]
        meaning = rng.integers(half, words, (count, half))
        keys = rng.integers(0, half, (count, pairs))
        noisy = rng.random((count, pairs)) < self.noise
        noisy[:, 0] = False
        if self.last:
            earlier = np.where(noisy[:, :-1], np.inf, rng.random((count, pairs - 1))).argmin(1)
            keys[:, -1], noisy[:, -1] = keys[every[:, 0], earlier], False
        values = meaning[every, keys]
        known = np.where(noisy, -1, keys)
        before = np.arange(pairs)[:, None] > np.arange(pairs)
        seen = ((known[:, :, None] == known[:, None, :]) & before).any(2) & ~noisy
        if self.last:
            seen[:, :-1] = False
        shown = values
        if self.noises:
            noise = rng.integers(words, self.vocabulary, (2, count, pairs))
            keys, shown = np.where(noisy, noise[0], keys), np.where(noisy, noise[1], values)
        tokens = np.stack([keys, shown], 2).reshape(count, -1)
        targets = np.stack([np.where(seen, values, -1), np.full_like(keys, -1)], 2).reshape(count, -1)
        return tokens[:, : self.length].copy(), targets[:, : self.length].copy()


task = InContext()
