"""The vocabulary of drawing: what a box looks like, said by its operation and drawn elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal[
    "box",  # a plain operation
    "dot",  # a product of wires: the magma of the tube notation
    "cap",  # a sum that ends an axis: the triangle of the tube notation
    "contract",  # multiply and cap in one
    "normalise",  # the normaliser square
    "source",  # a constant, a position
    "mask",  # a mask
    "structure",  # axes regrouped, nothing computed
    "state",  # where the state of a loop comes in
    "next",  # where the next one goes back
    "hole",  # an interface without a body
]


@dataclass(frozen=True, slots=True)
class Glyph:
    """A shape, a label, and the axes to name beside it; `detail` is shown at full detail only."""

    shape: Shape
    label: str
    detail: str = ""
    minor: bool = False
