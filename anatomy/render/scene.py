"""What a picture is made of, before any format: elements inside walls, joined by strands; all frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from anatomy.ir.glyph import Shape
from anatomy.ir.graph import Diagram, Frame

Drawn = Shape | Literal["input", "output", "weight", "lin"]


@dataclass(frozen=True, slots=True)
class Element:
    """One drawn thing, and everything of the diagram that it stands for.

    `nodes`, `weights`, `inputs` and `outputs` are indices into the diagram: the coverage check reads them.
    `text` is the right-hand side in a listing, with `{k}` for the operand on its k-th incoming strand.
    """

    number: int
    shape: Drawn
    lines: tuple[str, ...]
    tooltip: str
    walls: tuple[Frame, ...] = ()
    nodes: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    text: str = ""
    head: int = -1
    """The node whose place in the text is the element's."""


@dataclass(frozen=True, slots=True)
class Strand:
    """A wire from one element to another, with its axes as the reader at the end sees them.

    `lanes` are those of its axes that are lanes of SIMD boxes around both of its ends; `place` says
    which operand it is where the order matters, as (position, number of operands).
    """

    source: int
    target: int
    wire: int
    reads: tuple[tuple[int, int], ...]
    axes: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    lanes: frozenset[str]
    label: str
    tooltip: str
    place: tuple[int, int] | None = None
    carry: bool = False
    """From one copy of a repeated call to the next: not drawn, the number on the wall says it."""
    back: bool = False
    """From the next state of a loop to the state: what has gone round, read by no node of the diagram."""


@dataclass(frozen=True)
class Scene:
    """A picture without a format. `axes` are the drawn names in the order of their colours, each with its size."""

    diagram: Diagram
    full: bool
    elements: tuple[Element, ...]
    strands: tuple[Strand, ...]
    names: Mapping[str, str]
    axes: Mapping[str, str]
    repeats: Mapping[int, int]
    """Serial of the frame of a call or a turn that is drawn once and stands for so many in a row."""
    palette: Mapping[str, str] = field(default_factory=dict)
    """Colours of axes that are given, so that several pictures agree."""
    bare: bool = False
    """Without the title and the legend of the axes, which something around the picture says."""

    @cached_property
    def colour(self) -> dict[str, str]:
        from anatomy.render.palette import axis_colour

        return {axis: self.palette.get(axis) or axis_colour(i) for i, axis in enumerate(self.axes)}

    def title(self, wall: Frame) -> str:
        """The words on a wall."""
        if wall.lanes:
            return f"{wall.kind} " + ", ".join(self.names.get(a, a) for a in wall.lanes)
        label = f"lin {wall.label}" if wall.kind == "lin" else wall.label
        times = self.repeats.get(wall.serial, 1)
        return f"{label}  ×{times}" if times > 1 else label

    def lanes(self, walls: tuple[Frame, ...]) -> frozenset[str]:
        """The axes that are lanes inside these walls, under their drawn names."""
        return frozenset(self.names.get(a, a) for w in walls for a in w.lanes)
