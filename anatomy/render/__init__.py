"""Pictures of diagrams: DOT, SVG, PNG, PDF and text, each by one printer from one scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.render.coverage import uncovered
from anatomy.render.fold import fold
from anatomy.render.scene import Scene

__all__ = ["Picture", "draw"]


@dataclass(frozen=True)
class Picture:
    """A drawn diagram; every format is made when it is asked for, and once."""

    scene: Scene

    @cached_property
    def dot(self) -> str:
        """The Graphviz DOT text."""
        from anatomy.render.dot import dot

        return dot(self.scene)

    @cached_property
    def svg(self) -> str:
        """The SVG text. Raises AnatomyError E702 or E703 when the engine fails or there is none."""
        from anatomy.render.svg import svg

        return svg(self.dot)

    @cached_property
    def png(self) -> bytes:
        """The PNG file. Raises AnatomyError E702 or E703."""
        from anatomy.render.png import png

        return png(self.dot)

    @cached_property
    def pdf(self) -> bytes:
        """The PDF file, with its fonts in it. Raises AnatomyError E702 or E703."""
        from anatomy.render.pdf import pdf

        return pdf(self.svg, self.scene.diagram.name)

    @cached_property
    def text(self) -> str:
        """The listing for a terminal."""
        from anatomy.render.text import text

        return text(self.scene)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the file in the format that its suffix names.

        Raises AnatomyError E701 for another suffix or a place that cannot be written.
        """
        path = Path(path)
        make = PRINTERS.get(path.suffix.lower())
        if make is None:
            known = ", ".join(PRINTERS)
            raise fail("E701", f"a picture cannot be saved as `{path.name}`", help=f"its suffix is one of {known}")
        data = make(self)
        try:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        except OSError as error:
            raise fail("E701", f"cannot write `{path}`: {error.strerror}") from None
        return path

    def __repr__(self) -> str:
        return f"<picture of {self.scene.diagram.name}: {len(self.scene.elements)} elements>"


PRINTERS: dict[str, Callable[[Picture], str | bytes]] = {
    ".svg": lambda picture: picture.svg,
    ".png": lambda picture: picture.png,
    ".pdf": lambda picture: picture.pdf,
    ".dot": lambda picture: picture.dot,
    ".txt": lambda picture: picture.text,
}


def draw(diagram: Diagram, full: bool = False) -> Picture:
    """A picture of a diagram, folded as in a paper or with every box.

    >>> from anatomy.language.program import Program
    >>> from anatomy.errors import Source
    >>> program = Program.of(Source("a.anat", "axis n diagram twice(x: [n]) -> [n] { out 2 * x }"))
    >>> print(draw(program.get("twice")).text, end="")
    twice(x: [n]) → [n]
    _1 = 2 × x  : [n]
    out _1  : [n]
    """
    scene = fold(diagram, full)
    missing = uncovered(scene)
    assert not missing, missing
    return Picture(scene)
