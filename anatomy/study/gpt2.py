"""GPT-2 at its initialisation: the published initial scales, words of the text as its vocabulary.

Weights N(0, 0.02), those that write into the residual stream divided by sqrt(2 depth), biases 0; Radford et al. 2019,
section 2.3, in the released initialisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from anatomy.api import compile, load
from anatomy.compiler import DIFFERENTIABLE
from anatomy.study.model import Attention, frozen
from anatomy.study.text import text, windows, words

SCALE = 0.02
POSITIONS = 1024


class RandomGPT2:
    """A GPT-2 that has learnt nothing; its attention is `causal_mha` of the zoo."""

    name = "gpt2-random"
    title = "GPT-2, randomly initialised"
    source = "drawn by the seed"

    def __init__(self, seed: int = 0, width: int = 768, heads: int = 12, depth: int = 12):
        self.seed, self.width, self.count, self.depth = seed, width, heads, depth
        self.tokens, vocabulary = words(text())
        self.embedding = self._draw(0, (vocabulary, width))
        self.positions = self._draw(1, (POSITIONS, width))

    def _draw(self, place: int, shape: tuple[int, ...], deep: bool = False) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + place)
        return torch.randn(shape, generator=generator) * (SCALE / (2 * self.depth) ** 0.5 if deep else SCALE)

    def weights(self, layer: int) -> dict[str, Tensor]:
        """The attention weights of a layer, by the names of the diagram."""
        d, h = self.width, self.count
        e = d // h
        place = 10 + 10 * layer
        drawn = {name: self._draw(place + k, (d, h, e)) for k, name in enumerate(("Wq", "Wk", "Wv"))}
        drawn["Wo"] = self._draw(place + 3, (h, e, d), deep=True)
        biases = {f"{name}.bias": torch.zeros(h, e) for name in ("Wq", "Wk", "Wv")}
        return drawn | biases | {"Wo.bias": torch.zeros(d)}

    @cached_property
    def _module(self) -> nn.Module:
        return frozen(compile(load("zoo:causal_mha"), self._sizes, lift=("b",), passes=DIFFERENTIABLE))

    @property
    def _sizes(self) -> dict[str, int]:
        return {"d": self.width, "h": self.count}

    def windows(self, n: int, count: int, seed: int) -> Tensor:
        return torch.tensor([self.tokens[k : k + n] for k in windows(len(self.tokens), n, count, seed)])

    @torch.no_grad()
    def inputs(self, tokens: Tensor, layers: Sequence[int]) -> dict[int, Tensor]:
        """What enters the attention of each layer, after its normalisation."""
        x = self.embedding[tokens] + self.positions[: tokens.shape[1]]
        found = {}
        for layer in range(max(layers) + 1):
            entering = nn.functional.layer_norm(x, (self.width,))
            if layer in layers:
                found[layer] = entering
            if layer < max(layers):
                self._module.load_state_dict(self.weights(layer))
                x = x + self._module(entering)
                up = self._draw(10 + 10 * layer + 4, (self.width, 4 * self.width))
                down = self._draw(10 + 10 * layer + 5, (4 * self.width, self.width), deep=True)
                inner = nn.functional.layer_norm(x, (self.width,)) @ up
                x = x + nn.functional.gelu(inner, approximate="tanh") @ down
        return found

    def attention(self, layer: int, masked: bool) -> Attention:
        diagram = load("zoo:causal_mha" if masked else "zoo:mha")
        module = frozen(compile(diagram, self._sizes, lift=("b",), passes=DIFFERENTIABLE))
        module.load_state_dict(self.weights(layer))
        return Attention(diagram, self._sizes, module, masked, plain=True)

    def agreement(self, tokens: Tensor, layer: int) -> float | None:
        """There is no other party: the model is made of our diagrams."""
        return None
