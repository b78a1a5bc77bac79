"""PDF: the engine's SVG drawn once more by ReportLab, as vectors with the fonts inside the file.

Reads the part of SVG that Graphviz writes, and film strips of its pictures: moved groups, polygons, paths of straight lines
and cubics, ellipses and text.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any
from xml.etree import ElementTree

from anatomy.errors import fail
from anatomy.render.metrics import width

FACE = "Vera"
"""Bitstream Vera Sans, which ReportLab brings; it may be embedded, and is set narrower to the widths of Arial."""
INSTEAD = {"Σ": "∑"}
SVG = "{http://www.w3.org/2000/svg}"


def pdf(svg: str, title: str) -> bytes:
    """A PDF of one page for an SVG of Graphviz, the same bytes for the same text."""
    try:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
        from reportlab.pdfgen.canvas import Canvas
    except ImportError:
        raise fail("E703", "PDF needs the package `reportlab`", help="install it with `pip install reportlab`, or save as .svg") from None
    if FACE not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(FACE, "Vera.ttf"))
    root = ElementTree.fromstring(svg)
    _, _, wide, tall = map(float, root.get("viewBox", "0 0 100 100").split())
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(wide, tall), invariant=1, pageCompression=1, initialFontName=FACE)  # type: ignore[arg-type]
    canvas.setTitle(title)
    canvas.setLineCap(0)
    Page(canvas, tall).draw(root)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


class Page:
    """A page of that height that draws elements of SVG with the pens of a canvas, whose origin is at the bottom."""

    def __init__(self, canvas: Any, tall: float):
        self.canvas, self.tall = canvas, tall
        self.shift = (0.0, 0.0)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the SVG is on the page."""
        return x + self.shift[0], self.tall - (y + self.shift[1])

    def draw(self, element: ElementTree.Element) -> None:
        """Draw what is in an element."""
        for child in element:
            match child.tag.removeprefix(SVG):
                case "g" | "a":
                    here = self.shift
                    found = re.search(r"translate\(([-\d.]+)[ ,]+([-\d.]+)\)", child.get("transform", ""))
                    if found:
                        self.shift = (here[0] + float(found[1]), here[1] + float(found[2]))
                    self.draw(child)
                    self.shift = here
                case "polygon" | "polyline" as kind:
                    self._points(child, closed=kind == "polygon")
                case "path":
                    self._path(child)
                case "ellipse":
                    self._ellipse(child)
                case "text":
                    self._text(child)

    def _pens(self, element: ElementTree.Element) -> tuple[int, int]:
        """Set the colours; whether to stroke and to fill."""
        from reportlab.lib.colors import toColor

        stroke, fill = element.get("stroke", "none"), element.get("fill", "none")
        drawn, filled = (c not in ("none", "transparent") for c in (stroke, fill))
        thick = float(element.get("stroke-width", "1"))
        drawn = drawn and thick > 0  # PDF draws width 0 as the thinnest line, not as none
        if drawn:
            self.canvas.setStrokeColor(toColor(stroke), alpha=float(element.get("stroke-opacity", "1")))
            self.canvas.setLineWidth(thick)
        if filled:
            self.canvas.setFillColor(toColor(fill), alpha=float(element.get("fill-opacity", "1")))
        self.canvas.setDash([float(v) for v in element.get("stroke-dasharray", "").replace(",", " ").split()])
        return int(drawn), int(filled)

    def _points(self, element: ElementTree.Element, closed: bool) -> None:
        points = [self.at(*map(float, pair.split(","))) for pair in element.get("points", "").split()]
        path = self.canvas.beginPath()
        path.moveTo(*points[0])
        for point in points[1:]:
            path.lineTo(*point)
        if closed:
            path.close()
        stroke, fill = self._pens(element)
        self.canvas.drawPath(path, stroke=stroke, fill=fill)

    def _path(self, element: ElementTree.Element) -> None:
        path = self.canvas.beginPath()
        for letter, numbers in re.findall(r"([MLCZz])([^MLCZz]*)", element.get("d", "")):
            values = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", numbers)]
            points = [self.at(x, y) for x, y in zip(values[::2], values[1::2], strict=True)]
            match letter:
                case "M":
                    path.moveTo(*points[0])
                case "L":
                    for point in points:
                        path.lineTo(*point)
                case "C":
                    for a, b, c in zip(points[::3], points[1::3], points[2::3], strict=True):
                        path.curveTo(*a, *b, *c)
                case _:
                    path.close()
        stroke, fill = self._pens(element)
        self.canvas.drawPath(path, stroke=stroke, fill=fill)

    def _ellipse(self, element: ElementTree.Element) -> None:
        x, y = self.at(float(element.get("cx", "0")), float(element.get("cy", "0")))
        rx, ry = float(element.get("rx", "0")), float(element.get("ry", "0"))
        stroke, fill = self._pens(element)
        self.canvas.ellipse(x - rx, y - ry, x + rx, y + ry, stroke=stroke, fill=fill)

    def _text(self, element: ElementTree.Element) -> None:
        """Text in its place and with the width that the engine gave it; an arrow, which Vera lacks, is drawn."""
        from reportlab.lib.colors import toColor
        from reportlab.pdfbase.pdfmetrics import stringWidth

        words = "".join(INSTEAD.get(c, c) for c in "".join(element.itertext())).replace("\N{NO-BREAK SPACE}", " ")
        size = float(element.get("font-size", "14"))
        colour = toColor(element.get("fill", "black"))
        x, y = self.at(float(element.get("x", "0")), float(element.get("y", "0")))
        anchor = {"middle": 0.5, "end": 1.0}.get(element.get("text-anchor", "start"), 0.0)
        x -= anchor * width(words, size)
        self.canvas.setFillColor(colour)
        for part in re.split("(→)", words):
            wide = width(part, size)
            if part == "→":
                self._arrow(x, y, size, colour)
            elif part.strip():
                line = self.canvas.beginText(x, y)
                line.setFont(FACE, size * 0.95)
                line.setHorizScale(100 * wide / max(stringWidth(part, FACE, size * 0.95), 1e-6))
                line.textOut(part)
                self.canvas.drawText(line)
            x += wide

    def _arrow(self, x: float, y: float, size: float, colour: Any) -> None:
        left, right, up = x + 0.1 * size, x + 0.9 * size, y + 0.3 * size
        head = 0.17 * size
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(0.07 * size)
        self.canvas.setDash([])
        self.canvas.line(left, up, right, up)
        for angle in (math.pi / 4, -math.pi / 4):
            self.canvas.line(right, up, right - head * math.cos(angle), up + head * math.sin(angle))
