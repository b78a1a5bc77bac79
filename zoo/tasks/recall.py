"""Multi-query associative recall: a row shows key-value pairs, then asks for the value of each key.

After Arora et al., Zoology (2023, arXiv:2312.04927). The published rows have 8,192 words, 64 to 512 tokens and 4 to 64 pairs:
`recall:vocabulary=8192,length=512,pairs=64,filler=random`. Here they are shrunk to seconds on one core by a small vocabulary and a
short row, never by a fixed set of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anatomy.sweep.streamed import Rows, Synthetic, blank, distinct


@dataclass(frozen=True, kw_only=True)
class Recall(Synthetic):
    """Keys 1 .. V/2-1 and values V/2 .. V-1, all different in a row; then every key once more, its value asked there.

    Pairs fill the front. Queries stand at even distances 2g behind it, g drawn without replacement with probability
    proportional to (g + 1)^(power - 1): 0.01, as published, asks soon, 1 anywhere. Between them stands the blank 0 or,
    with `filler=random`, as published, any word. With `last` one key is asked, at the end.
    """

    pairs: int = 4
    power: float = 1.0
    filler: str = "blank"
    family: ClassVar[str] = "recall"

    def __post_init__(self) -> None:
        super().__post_init__()
        words = self.vocabulary - self.vocabulary // 2
        if not (0 < self.pairs < self.vocabulary // 2 and self.pairs <= words and 4 * self.pairs <= self.length):
            raise ValueError(f"{self.pairs} pairs need a vocabulary of {2 * self.pairs + 2} and a length of {4 * self.pairs}")
        if self.filler not in ("blank", "random"):
            raise ValueError(f"the filler is `blank` or `random`, not `{self.filler}`")

    @property
    def chance(self) -> float:
        return 1 / self.pairs

    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        half, shown, every = self.vocabulary // 2, 2 * self.pairs, np.arange(count)[:, None]
        tokens, targets = blank(count, self.length)
        keys = distinct(rng, count, 1, half, self.pairs)
        values = distinct(rng, count, half, self.vocabulary, self.pairs)
        space = (self.length - shown) // 2
        # The k smallest of E / p, E exponential, are a sample without replacement with probabilities p (Efraimidis, Spirakis).
        weight = np.arange(1, space + 1) ** (self.power - 1)
        gaps = (rng.exponential(size=(count, space)) / weight).argsort(1)[:, : self.pairs]
        if self.filler == "random":
            tokens[:] = rng.integers(0, self.vocabulary, tokens.shape)
        tokens[:, 0:shown:2], tokens[:, 1:shown:2] = keys, values
        if self.last:
            tokens[:, -1], targets[:, -1] = keys[:, 0], values[:, 0]
        else:
            places = shown + 2 * gaps
            tokens[every, places], targets[every, places] = keys, values
        return tokens, targets


task = Recall()
