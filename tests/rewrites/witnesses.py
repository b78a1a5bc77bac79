"""Weights by fills, in float64: what the tests of witnesses share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.rewrites.reparametrise import Fill

AXES = "axis n, m = n, d, h, e, f, g, j, a, c, r = d + c, hf = h * f "


def read(text: str, name: str) -> Diagram:
    return Program.of(Source("t.anat", AXES + text)).get(name)


def computed(fills: Iterable[Fill], weights: Mapping[str, Tensor], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """The weights that fills give at others."""
    found = {}
    for fill in fills:
        values = {a: p.evaluate(sizes) for a, p in fill.value.sizes.items()}
        module = build(fill.value, values, dtype=torch.float64)
        module.load_state_dict({w.key: weights[w.key] for w in fill.value.weights})
        with torch.no_grad():
            found[fill.key] = module().double()
    return found


def drawn(seed: int, **shapes: tuple[int, ...]) -> dict[str, Tensor]:
    """Standard normal weights; `__` stands for the dot of a key."""
    generator = torch.Generator().manual_seed(seed)
    return {k.replace("__", "."): torch.randn(s, generator=generator, dtype=torch.float64) for k, s in shapes.items()}


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
