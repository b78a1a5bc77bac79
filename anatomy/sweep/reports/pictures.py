"""Diagrams as pictures of a page: drawn once, kept in the sweep's folder, and made small."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.sweep.reports.costs import keep
from anatomy.sweep.reports.diagrams import Diagrams
from anatomy.sweep.results import Entry

FONT = "Arial, Helvetica, 'Liberation Sans', Arimo, sans-serif"
NUMBER = re.compile(r"-?\d+\.\d+")


def pictures(entries: Sequence[Entry], diagrams: Diagrams, folder: Path, room: int) -> dict[str, str]:
    """Pictures by name, in this order, until `room` compressed bytes are full."""
    found: dict[str, str] = {}
    for entry in entries:
        if room <= 0:
            break
        svg = picture(entry, diagrams, folder)
        if svg:
            found[entry.name] = svg
            room -= len(gzip.compress(svg.encode(), 6, mtime=0))
    return found


def picture(entry: Entry, diagrams: Diagrams, folder: Path) -> str:
    """The drawn diagram of a variant, or nothing where it cannot be read again."""
    kept = folder / "pictures" / f"{entry.digest}-{entry.name}.svg"
    try:
        return slim(kept.read_text("utf-8"))
    except OSError:
        pass
    from anatomy.render import draw

    try:
        diagram = diagrams(entry)
        svg = draw(diagram).svg if diagram is not None else ""
    except AnatomyError:
        return ""
    if svg:
        keep(kept, svg)
    return slim(svg)


def slim(svg: str) -> str:
    """The same picture in less text: no comments, tooltips, identifiers or digits that no screen shows.

    >>> slim('<?xml?><svg><!-- c --><g id="a"><title>t</title><text x="1.234" font-family="Arial">n</text></g></svg>')
    '<svg><g><text x="1.2" font-family="Arial">n</text></g></svg>'
    """
    if "<svg" not in svg:
        return ""
    svg = svg[svg.index("<svg") :]
    for gone in (r"<!--.*?-->", r"<title>.*?</title>", r"</?a\b[^>]*>", r' (id|class|xml:space)="[^"]*"'):
        svg = re.sub(gone, "", svg, flags=re.DOTALL)
    if f' font-family="{FONT}"' in svg:
        svg = svg.replace(f' font-family="{FONT}"', "").replace("<svg", f'<svg font-family="{FONT}"', 1)
    svg = re.sub(r' (d|points|x|y|cx|cy|rx|ry|transform|viewBox|stroke-width|font-size)="[^"]*"', lambda m: NUMBER.sub(_short, m[0]), svg)
    return re.sub(r">\s+<", "><", svg).strip()


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0").replace("-0", "0") if abs(float(number[0])) < 0.05 else f"{float(number[0]):.1f}".removesuffix(".0")
