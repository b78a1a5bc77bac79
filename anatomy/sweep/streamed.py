"""Tasks of streamed rows of tokens: any worker can make any batch, and nothing can be learnt by heart.

A task draws rows and says what is asked; the model around the mixer is a diagram (`anatomy.sweep.backbone`), and the
training is the same for all (`anatomy.sweep.fit`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Literal

import numpy as np

from anatomy.sweep.mixer import Mixer

Use = Literal["train", "choose", "report"]
"""What a batch is for: training, choosing the learning rate, and the numbers that are reported; no row serves two."""
Rows = tuple[np.ndarray, np.ndarray]
"""Tokens and targets, both [rows, length]; a target of -1 asks nothing."""


@dataclass(frozen=True, kw_only=True)
class Streamed(ABC):
    """Rows of `length` tokens of a `vocabulary`, in batches, and the factors of the model and of its training.

    Where a row shows an answer after it was asked (`revealing`), mixers that read later tokens would copy it and are rejected;
    with `last` only the last position is asked, and they may take part. `depth`, `width`, `place`, `norm`, `convolution` and `feedforward` are the factors of
    the backbone (zoo/spaces/backbone.anat). `rates` learning rates, a factor of sqrt(10) apart around `rate`, are trained
    side by side; one is chosen on the stream `choose`, and the stream `report` gives the numbers. `beta` and `decay` are those of
    AdamW; a share `warm` of the steps warms the rate up, and it ends at `floor` times itself.
    """

    length: int = 32
    vocabulary: int = 64
    batch: int = 64
    last: bool = False
    budget: int = 800
    rate: float = 3e-3
    rates: int = 3
    stop: float = 0.99
    depth: int = 2
    width: int = 64
    place: str = "learned"
    norm: str = "layer"
    convolution: str = "short"
    feedforward: str = "none"
    beta: float = 0.999
    decay: float = 0.01
    warm: float = 0.1
    floor: float = 0.0
    family: ClassVar[str] = ""
    """What is tested: `recall`, `copying`, `reasoning`, `memory`, `language`."""
    smooth: ClassVar[bool] = False
    """Whether the loss falls smoothly, so that stopping early keeps the order; not so where learning comes all at once."""
    revealing: ClassVar[bool] = False
    """Whether a row shows answers after they were asked."""
    likely: ClassVar[bool] = False
    """Whether the score is exp(-loss), the probability of a right answer, and not the share of right answers."""
    tests: ClassVar[int] = 16
    """Batches of the report."""
    readout: ClassVar[Literal["each", "last"]] = "each"
    """Where the answers are read: each at its own position, or all from the last token."""
    sparing: ClassVar[bool] = False
    """Whether decay spares weights of a single axis, which are gains and biases."""

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @property
    def causal(self) -> bool:
        """Mixers that read later tokens are rejected."""
        return self.revealing and not self.last

    @property
    def chance(self) -> float:
        """The score of guessing."""
        return 1 / self.vocabulary

    def __post_init__(self) -> None:
        for name, least in (("length", 2), ("vocabulary", 2), ("batch", 1), ("rates", 1), ("depth", 1), ("width", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; the least is {least}")

    # data ---------------------------------------------------------------------------------------

    def digest(self) -> str:
        """The identity of the task with all its parameters."""
        return blake2b(repr(sorted(asdict(self).items())).encode(), digest_size=8).hexdigest()

    def source(self) -> str:
        """The identity of the data alone: two backbones see the same rows."""
        apart = {f for f in Streamed.__dataclass_fields__ if f not in ("length", "vocabulary", "last")}
        told = sorted((k, v) for k, v in asdict(self).items() if k not in apart)
        return f"{self.name}/{told!r}"

    def generator(self, use: Use, seed: int, step: int) -> np.random.Generator:
        """The random numbers of one batch; those of held-out batches are the same for every seed, so that variants are compared on one test.

        Counter-based (Philox; Salmon et al., 2011), keyed by the data, the use, the seed and the step.
        """
        told = f"{self.source()}/{use}/{seed if use == 'train' else 0}/{step}"
        key = blake2b(told.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))

    @abstractmethod
    def draw(self, use: Use, seed: int, step: int) -> Rows:
        """The batch of one step, of `batch` rows."""

    def data_digest(self, seed: int) -> str:
        """A hash of the first batch of each use."""
        found = blake2b(digest_size=8)
        for use in ("train", "choose", "report"):
            for array in self.draw(use, seed, 0):
                found.update(array.astype("<i8").tobytes())
        return found.hexdigest()

    # training -----------------------------------------------------------------------------------

    def train(self, mixer: Mixer, seed: int, budget: int) -> dict[str, Any]:
        """Train the model around the mixer for at most `budget` steps."""
        from anatomy.sweep.fit import fit

        return fit(self, mixer, seed, budget)


@dataclass(frozen=True, kw_only=True)
class Synthetic(Streamed):
    """A task whose rows are made up, each afresh."""

    @abstractmethod
    def rows(self, rng: np.random.Generator, count: int) -> Rows:
        """`count` fresh rows; with `last` only their last position is asked."""

    def draw(self, use: Use, seed: int, step: int) -> Rows:
        return self.rows(self.generator(use, seed, step), self.batch)


def blank(count: int, length: int) -> Rows:
    """Rows of token 0 in which nothing is asked."""
    return np.zeros((count, length), np.int64), np.full((count, length), -1, np.int64)


def distinct(rng: np.random.Generator, rows: int, low: int, high: int, count: int) -> np.ndarray:
    """`count` different numbers of low .. high - 1 in every row, in random order."""
    return low + rng.random((rows, high - low)).argsort(1)[:, :count]
