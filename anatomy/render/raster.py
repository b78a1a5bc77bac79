"""PNG of an SVG that holds several pictures of Graphviz, which its own raster cannot join: drawn by Pillow, smoothed by drawing it larger.

Reads the same part of SVG as the PDF printer, whose page it takes, and the font that ReportLab brings.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from anatomy.errors import fail
from anatomy.render.pdf import FACE, Page

FINER = 2
"""Pixels drawn for each one that is kept, along both sides."""
PIECES = 12
"""Straight lines for a curve."""
Point = tuple[float, float]


def raster(svg: str, dpi: int = 144) -> bytes:
    """A PNG of an SVG, the same bytes for the same text. Raises AnatomyError E703 where ReportLab or Pillow is missing."""
    try:
        from PIL import Image
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
    except ImportError:
        raise fail("E703", "PNG of a film strip needs the package `reportlab`", help="install it with `pip install reportlab`, or save as .svg") from None
    if FACE not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(FACE, "Vera.ttf"))
    root = ElementTree.fromstring(svg)
    _, _, wide, tall = map(float, root.get("viewBox", "0 0 100 100").split())
    scale = dpi / 72
    size = round(wide * scale), round(tall * scale)
    image = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    Page(_Sheet(image, scale * FINER, tall), tall).draw(root)
    file = io.BytesIO()
    image.resize(size, Image.Resampling.BOX).quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=False)
    return file.getvalue()


class _Line:
    """A line of text before it is drawn."""

    def __init__(self, x: float, y: float):
        self.place, self.words, self.size, self.stretch = (x, y), "", 10.0, 1.0

    def setFont(self, _face: str, size: float) -> None:  # noqa: N802
        self.size = size

    def setHorizScale(self, percent: float) -> None:  # noqa: N802
        self.stretch = percent / 100

    def textOut(self, words: str) -> None:  # noqa: N802
        self.words = words


class _Path:
    """Lines through points; a curve is many of them."""

    def __init__(self) -> None:
        self.lines: list[list[Point]] = []
        self.closed = False

    def moveTo(self, x: float, y: float) -> None:  # noqa: N802
        self.lines.append([(x, y)])

    def lineTo(self, x: float, y: float) -> None:  # noqa: N802
        self.lines[-1].append((x, y))

    def curveTo(self, *given: float) -> None:  # noqa: N802
        a = self.lines[-1][-1]
        b, c, d = zip(given[::2], given[1::2], strict=True)
        for k in range(1, PIECES + 1):
            t = k / PIECES
            w = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            x, y = (sum(v * p[i] for v, p in zip(w, (a, b, c, d), strict=True)) for i in (0, 1))
            self.lines[-1].append((x, y))

    def close(self) -> None:
        self.closed = True


class _Sheet:
    """The part of a ReportLab canvas that a page draws with, on an image."""

    def __init__(self, image: Any, scale: float, tall: float):
        from PIL import ImageDraw

        self.image, self.scale, self.tall = image, scale, tall
        self.pen = ImageDraw.Draw(image)
        self.stroke, self.fill, self.thick = (0, 0, 0), (0, 0, 0), 1.0
        self.dashes: Sequence[float] = ()

    def setStrokeColor(self, colour: Any, alpha: float = 1) -> None:  # noqa: N802
        self.stroke = _mixed(colour, alpha)

    def setFillColor(self, colour: Any, alpha: float = 1) -> None:  # noqa: N802
        self.fill = _mixed(colour, alpha)

    def setLineWidth(self, thick: float) -> None:  # noqa: N802
        self.thick = thick

    def setDash(self, dashes: Sequence[float]) -> None:  # noqa: N802
        self.dashes = dashes

    def beginPath(self) -> _Path:  # noqa: N802
        return _Path()

    def beginText(self, x: float, y: float) -> _Line:  # noqa: N802
        return _Line(x, y)

    def _place(self, p: Point) -> Point:
        return p[0] * self.scale, (self.tall - p[1]) * self.scale

    def drawPath(self, path: _Path, stroke: int = 1, fill: int = 0) -> None:  # noqa: N802
        for line in path.lines:
            points = [self._place(p) for p in line]
            if fill and len(points) > 2:
                self.pen.polygon(points, fill=self.fill)
            if stroke:
                self._stroke([*points, points[0]] if path.closed else points)

    def line(self, x: float, y: float, u: float, v: float) -> None:
        self._stroke([self._place((x, y)), self._place((u, v))])

    def ellipse(self, x: float, y: float, u: float, v: float, stroke: int = 1, fill: int = 0) -> None:
        (a, b), (c, d) = self._place((x, max(y, v))), self._place((u, min(y, v)))
        thick = max(1, round(self.thick * self.scale)) if stroke else 0
        self.pen.ellipse((a, b, c, d), fill=self.fill if fill else None, outline=self.stroke if stroke else None, width=thick)

    def _stroke(self, points: Sequence[Point]) -> None:
        thick = max(1, round(self.thick * self.scale))
        for line in _dashed(points, [d * self.scale for d in self.dashes]):
            self.pen.line(line, fill=self.stroke, width=thick, joint="curve")

    def drawText(self, line: _Line) -> None:  # noqa: N802
        import reportlab
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"), line.size * self.scale)
        wide, up, down = font.getlength(line.words), *font.getmetrics()
        if wide < 1:
            return
        mask = Image.new("L", (round(wide) + 2, up + down), 0)
        ImageDraw.Draw(mask).text((0, 0), line.words, font=font, fill=255)
        mask = mask.resize((max(1, round(mask.width * line.stretch)), mask.height), Image.Resampling.BILINEAR)
        x, y = self._place(line.place)
        self.image.paste(self.fill, (round(x), round(y) - up), mask)


def _mixed(colour: Any, alpha: float) -> tuple[int, int, int]:
    """A colour on white."""
    red, green, blue = (round(255 * (alpha * v + 1 - alpha)) for v in (colour.red, colour.green, colour.blue))
    return red, green, blue


def _dashed(points: Sequence[Point], dashes: Sequence[float]) -> list[list[Point]]:
    """The pieces of a line that are drawn: all of it where there are no dashes.

    >>> _dashed([(0, 0), (10, 0)], [4, 2])
    [[(0, 0), (4.0, 0.0)], [(6.0, 0.0), (10.0, 0.0)]]
    """
    if not dashes or sum(dashes) <= 0:
        return [list(points)]
    lengths = list(dashes) * (1 + len(dashes) % 2)
    pieces: list[list[Point]] = [[points[0]]]
    k, left = 0, lengths[0]
    for (x, y), (u, v) in itertools.pairwise(points):
        whole = ((u - x) ** 2 + (v - y) ** 2) ** 0.5
        done = 0.0
        while whole - done > left:
            done += left
            at = (x + (u - x) * done / whole, y + (v - y) * done / whole)
            if k % 2 == 0:
                pieces[-1].append(at)
            else:
                pieces.append([at])
            k, left = (k + 1) % len(lengths), lengths[(k + 1) % len(lengths)]
        left -= whole - done
        if k % 2 == 0:
            pieces[-1].append((u, v))
    return [p for p in pieces if len(p) > 1]


