"""What a study measures: which models, how many tokens, how many inputs, how long an ascent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from anatomy.errors import fail

MODELS = ("gpt2-random", "smollm2", "minilm")
"""The models that a study knows, each by the name the command line takes."""

HALF = 128
"""Above this many tokens half as many inputs are taken."""

BATCH = 1_600_000
"""Numbers in a batch of inputs; more are measured one batch after the other."""


@dataclass(frozen=True)
class Settings:
    """All that a result depends on, beside the text and the versions."""

    models: tuple[str, ...]
    tokens: tuple[int, ...]
    inputs: int
    layers: str
    steps: int
    seed: int

    def count(self, n: int) -> int:
        """Inputs of n tokens."""
        return self.inputs if n <= HALF else max(2, self.inputs // 2)

    def climb(self, n: int) -> int:
        """Steps of the ascent at n tokens."""
        return self.steps if n <= HALF else max(2, self.steps // 2)

    def batches(self, n: int, width: int) -> list[range]:
        """The inputs of n tokens in batches that fit into memory, the same ones on every machine."""
        size = max(1, BATCH // (n * width))
        return [range(k, min(k + size, self.count(n))) for k in range(0, self.count(n), size)]

    def as_data(self) -> dict[str, Any]:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def plan(models: Sequence[str], quick: bool = False, seed: int = 0) -> Settings:
    """The full study, or one of about a minute. Raises AnatomyError E811 for a model that is not known.

    >>> plan(["gpt2-random"], quick=True).tokens
    (2, 4, 8, 16, 32, 64)
    """
    unknown = [m for m in models if m not in MODELS]
    if unknown or not models:
        what = f"there is no model `{unknown[0]}`" if unknown else "no model is named"
        raise fail("E811", what, help=f"the models are {', '.join(MODELS)}")
    if quick:
        return Settings(tuple(models), (2, 4, 8, 16, 32, 64), 4, "middle", 4, seed)
    return Settings(tuple(models), (2, 4, 8, 16, 32, 64, 128, 256, 512), 10, "first, middle, last", 12, seed)
