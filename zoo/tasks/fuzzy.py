"""Fuzzy in-context recall: keys and values are motifs of one to three words, and nothing says where they end.

After Poli et al., MAD (2024, arXiv:2403.17844): 16 words, rows of 128, motifs of up to three different words. Here rows are of 64 and
have a few motifs each, so that keys of all lengths are seen again; the published ones draw them from all motifs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic, distinct


@dataclass(frozen=True, kw_only=True)
class Fuzzy(Synthetic):
    """The blank is 0, keys are of the words 1 .. K, K = (vocabulary - 1) / 2, and values of the others.

    Every row draws `pairs` different keys and a value for each, of 1 to `motif` different words, all lengths alike; the row is key, value,
    key, value, ... at random with repetition. Wherever a key has been seen before, each word of its value is asked at the word
    before it. With `last` the row ends at the last word of a key that was seen before, and starts with blanks.
    """

    length: int = 64
    vocabulary: int = 16
    pairs: int = 4
    motif: int = 3
    family: ClassVar[str] = "recall"
    revealing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        words, least = (self.vocabulary - 1) // 2, 2 * self.motif * (self.pairs + 2)
        if not 1 <= self.motif <= words:
            raise ValueError(f"motifs of {self.motif} words need a vocabulary of {2 * self.motif + 1}")
        # Keys are drawn until all of a row differ; so many are quickly found.
        if not 1 <= self.pairs**2 <= 4 * words or self.length < least:
            raise ValueError(f"{self.pairs} pairs need a vocabulary of {2 * -(-(self.pairs**2) // 4) + 1} and a length of {least}")

    @property
    def chance(self) -> float:
        return 1 / (self.vocabulary - 1 - (self.vocabulary - 1) // 2)

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        half, every = (self.vocabulary - 1) // 2, np.arange(count)[:, None]
        keys = self.motifs(rng, count, 1, half + 1)
        while len(again := np.flatnonzero([len(np.unique(k, axis=0)) < self.pairs for k in keys])):
            keys[again] = self.motifs(rng, len(again), 1, half + 1)
        values = self.motifs(rng, count, half + 1, self.vocabulary)
        order = rng.integers(0, self.pairs, (count, self.length // 2))
        before = np.arange(order.shape[1])[:, None] > np.arange(order.shape[1])
        seen = ((order[:, :, None] == order[:, None, :]) & before).any(2)
        words = np.concatenate([keys[every, order], values[every, order]], 2)
        asked = np.broadcast_to(seen[:, :, None], words.shape) & (np.arange(2 * self.motif) >= self.motif)
        words, asked = words.reshape(count, -1), asked.reshape(count, -1)
        there = (words == 0).argsort(1, kind="stable")[:, : self.length + 1]
        words, asked = np.take_along_axis(words, there, 1), np.take_along_axis(asked, there, 1)
        tokens, targets = words[:, :-1].copy(), np.where(asked[:, 1:], words[:, 1:], -1)
        if self.last:
            first = (targets >= 0) & (tokens <= half)
            end = self.length - 1 - first[:, ::-1].argmax(1)[:, None]
            place = np.arange(self.length) - (self.length - 1 - end)
            targets = np.where(place == end, targets[every, np.maximum(place, 0)], -1)
            tokens = np.where(place >= 0, tokens[every, np.maximum(place, 0)], 0)
        return tokens, targets

    def motifs(self, rng: np.random.Generator, count: int, low: int, high: int) -> np.ndarray:
        """Motifs of the words low .. high - 1, filled up with blanks: [count, pairs, motif]."""
        words = distinct(rng, count * self.pairs, low, high, self.motif).reshape(count, self.pairs, self.motif)
        sizes = rng.integers(1, self.motif + 1, (count, self.pairs, 1))
        return np.where(np.arange(self.motif) < sizes, words, 0)


task = Fuzzy()
