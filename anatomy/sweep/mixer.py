"""The mixer under test, as tasks are given it: a diagram, and a module for each layer on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from anatomy.ir.graph import Diagram
from anatomy.sweep.check import lift_name
from anatomy.sweep.sizes import bound_sizes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Mixer:
    """A diagram [tokens, features] -> [tokens, features], the sizes of its other axes, and the seed of its weights."""

    diagram: Diagram
    sizes: Mapping[str, int]
    tokens: int
    features: int
    seed: int

    def __call__(self, layer: int) -> nn.Module:
        """The mixing layer of this number, with weights of its own: it maps [batch, tokens, features] to itself."""
        from anatomy.compiler import generate, instantiate

        bound = bound_sizes(self.diagram, self.tokens, self.features, self.sizes)
        source = generate(self.diagram, bound, (lift_name(self.diagram),))
        return instantiate(source, seed=layer_seed(self.seed, layer))


def layer_seed(seed: int, layer: int) -> int:
    """Each mixing layer draws its weights from its own stream."""
    return int.from_bytes(blake2b(f"mixer/{seed}/{layer}".encode(), digest_size=4).digest(), "big")
