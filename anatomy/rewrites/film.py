"""Film strips: the diagrams of a derivation side by side in one SVG, with the relation and the reason between two.

The boxes that a step takes are filled in one colour, those that the step before made in another.
Non-goals: other formats than SVG.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace

from anatomy.ir.graph import Diagram
from anatomy.render import draw
from anatomy.render.metrics import FAMILY, width
from anatomy.render.palette import INK, QUIET
from anatomy.render.svg import svg
from anatomy.rewrites.derive import Derivation, Line

TAKEN, MADE, BOTH = "#D6C6F0", "#BFE6C5", "#B5D3EA"
"""Fills of boxes that the next step takes, that the step before made, and of those that are both."""
SIZE = 11.0
HEAD = 30.0
"""Room above the pictures."""
SIGNS = {"==": "=", "~=": "≅", ">=": "≥"}


def film(derivation: Derivation) -> str:
    """The film strip of a derivation that holds, as SVG; the same bytes for the same derivation.

    Raises AnatomyError E702 or E703 when the engine for pictures fails or there is none.
    """
    assert derivation.start is not None
    frames = [(derivation.left, derivation.start), *((line.name, line.diagram) for line in derivation.lines)]
    pictures = []
    for k, (name, diagram) in enumerate(frames):
        made = derivation.lines[k - 1].after if k else frozenset[int]()
        taken = derivation.lines[k].before if k < len(derivation.lines) else frozenset[int]()
        pictures.append(_picture(name, diagram, k, taken, made))
    tall = max(height for _, _, height in pictures)
    x, parts = 10.0, []
    for k, (text, wide, height) in enumerate(pictures):
        if k:
            gap = _gap(derivation.lines[k - 1])
            parts.append(_between(derivation.lines[k - 1], x, gap, HEAD + tall / 2))
            x += gap
        parts.append(f'<svg x="{x:.1f}" y="{HEAD + (tall - height) / 2:.1f}" width="{wide:.1f}" height="{height:.1f}" {text}')
        x += wide
    total, high = x + 10, HEAD + tall + 26
    notes = " (conjecture)" if derivation.conjecture else ""
    title = html.escape(f"{derivation.name}: {derivation.left} {SIGNS[derivation.relation]} {derivation.right}{notes}")
    legend = _legend(high - 10)
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{total:.1f}pt" height="{high:.1f}pt" '
        f'viewBox="0 0 {total:.1f} {high:.1f}">\n<title>{title}</title>\n<rect width="100%" height="100%" fill="white"/>\n'
        + _text(title, 12, 20, 13, "start", INK) + "".join(parts) + legend + "</svg>\n"
    )


def _picture(name: str, diagram: Diagram, k: int, taken: frozenset[int], made: frozenset[int]) -> tuple[str, float, float]:
    """The SVG of a frame from its view box on, with ids of its own, and its size in points."""
    from anatomy.render.dot import dot

    marked = {i: BOTH if i in taken and i in made else TAKEN if i in taken else MADE for i in taken | made}
    shown = name if name not in ("?", "...") else f"{diagram.name} …"
    scene = draw(replace(diagram, name=shown)).scene
    text = svg(dot(replace(scene, marked=marked)))
    start = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"\s', text)
    assert start is not None
    text = re.sub(r'\bid="', f'id="f{k}-', text[start.end() :])
    return re.sub(r"url\(#", f"url(#f{k}-", text), float(start[1]), float(start[2])


def _words(line: Line) -> list[str]:
    words = list(line.by) or ["definition"]
    return [*words, "conjecture"] if line.conjecture else words


def _gap(line: Line) -> float:
    return max(64.0, *(width(word, SIZE) + 20 for word in _words(line)))


def _between(line: Line, x: float, gap: float, y: float) -> str:
    middle = x + gap / 2
    parts = [_text(html.escape(SIGNS[line.relation]), middle, y, 26, "middle", INK)]
    for k, word in enumerate(_words(line)):
        parts.append(_text(html.escape(word), middle, y + 18 + 13 * k, SIZE, "middle", QUIET))
    return "".join(parts)


def _legend(y: float) -> str:
    x, parts = 12.0, []
    for colour, words in ((TAKEN, "taken by the next step"), (MADE, "made by the step before"), (BOTH, "both")):
        parts.append(f'<rect x="{x:.1f}" y="{y - 8:.1f}" width="14" height="9" fill="{colour}" stroke="{QUIET}" stroke-width="0.5"/>\n')
        parts.append(_text(words, x + 18, y, 9, "start", QUIET))
        x += width(words, 9) + 36
    return "".join(parts)


def _text(words: str, x: float, y: float, size: float, anchor: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-family="{html.escape(FAMILY)}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}">{words}</text>\n'
