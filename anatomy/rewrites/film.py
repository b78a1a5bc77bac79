"""Film strips: the diagrams of a derivation one after the other in one picture, with the relation and the reason between two.

What the next step takes is shaded, what the step before made has another fill, and a letter on both sides of a step
tells that a box is the same. Axes have one colour in all frames. As SVG, PNG or PDF.
"""

from __future__ import annotations

import html
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase
from xml.etree import ElementTree as Tree

from anatomy.errors import fail
from anatomy.language.program import Rule
from anatomy.render.metrics import width
from anatomy.render.palette import INK, QUIET, axis_colour
from anatomy.rewrites.captions import MEANING, SIGNS, Words, caption, tall, wrapped
from anatomy.rewrites.correspondence import Box, correspondence, named
from anatomy.rewrites.derive import Derivation, Line
from anatomy.rewrites.frames import GONE, LINK, MADE, SVG, TAKEN, Marks, frame, scene, text
from anatomy.rewrites.library import library

GAP, ROOM = 176.0, 1240.0
"""Points between two frames, and for a row of frames."""
SUFFIXES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Film:
    """The film strip of a derivation that holds; every format is made when it is asked for, and once."""

    derivation: Derivation
    rules: tuple[Rule, ...] = ()
    """The rules of the file, which are looked for before those of the library."""

    @cached_property
    def svg(self) -> str:
        """The SVG text. Raises AnatomyError E702 or E703 when the engine fails or there is none."""
        return _Strip(self.derivation, self.rules).svg()

    @cached_property
    def png(self) -> bytes:
        """The PNG file. Raises AnatomyError E702 or E703."""
        from anatomy.render.raster import raster

        return raster(self.svg)

    @cached_property
    def pdf(self) -> bytes:
        """The PDF file, of one page. Raises AnatomyError E702 or E703."""
        from anatomy.render.pdf import pdf

        return pdf(self.svg, self.derivation.name)

    def save(self, path: str | Path) -> Path:
        """Write the file in the format that its suffix names. Raises AnatomyError E701 for another suffix or a place that cannot be written."""
        path, suffix = Path(path), self.suffix(path)
        data = self.svg if suffix == ".svg" else self.png if suffix == ".png" else self.pdf
        try:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        except OSError as error:
            raise fail("E701", f"cannot write `{path}`: {error.strerror}") from None
        return path

    @staticmethod
    def suffix(path: str | Path) -> str:
        """The suffix of a path. Raises AnatomyError E701 where it is of no format that there is."""
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            raise fail("E701", f"a film strip cannot be saved as `{Path(path).name}`", help=f"its suffix is one of {', '.join(SUFFIXES)}")
        return suffix


def film(derivation: Derivation, rules: Sequence[Rule] = ()) -> str:
    """The film strip of a derivation that holds, as SVG; the same bytes for the same derivation.

    Raises AnatomyError E702 or E703 when the engine for pictures fails or there is none.
    """
    return Film(derivation, tuple(rules)).svg


def summary(derivation: Derivation) -> str:
    """How many steps it has of each relation, and what they rest on beside laws."""
    count = Counter(line.relation for line in derivation.lines)
    n = len(derivation.lines)
    said = f"{n} step{'s' * (n != 1)} ({', '.join(f'{count[r]} {SIGNS[r]}' for r in SIGNS if count[r])})"
    limits = sum(line.limit for line in derivation.lines)
    if limits:
        said += f", {limits} of them up to limits, by universal approximation"
    return said + (", a conjecture: a step rests on evaluation" if derivation.conjecture else "")


def changes(derivation: Derivation) -> list[list[dict[str, object]]]:
    """For every step what became of the boxes that are not kept, as data: the kind of change and the boxes on both sides, by their words.

    The boxes are those that are drawn: a loop is opened, weights that nothing reads are left out.
    """
    assert derivation.start is not None
    drawn = [scene(d).diagram for d in (derivation.start, *(line.diagram for line in derivation.lines))]
    return [
        [
            {"kind": c.kind, "before": [named(a, box) for box in c.before], "after": [named(b, box) for box in c.after]}
            for c in correspondence(a, b).changes if c.kind != "kept"
        ]
        for a, b in itertools.pairwise(drawn)
    ]  # fmt: skip


@dataclass(frozen=True)
class _Cell:
    """A frame with the words before it; `wide` and `high` count both."""

    number: int
    picture: str
    wide: float
    high: float
    words: Sequence[Words]


@dataclass
class _Strip:
    derivation: Derivation
    rules: Sequence[Rule]

    def __post_init__(self) -> None:
        assert self.derivation.start is not None
        self.lines = self.derivation.lines
        self.diagrams = [self.derivation.start, *(line.diagram for line in self.lines)]
        self.scenes = [scene(d) for d in self.diagrams]
        self.found = [correspondence(a.diagram, b.diagram) for a, b in itertools.pairwise(self.scenes)]
        order = dict.fromkeys(a for s in self.scenes for a in s.axes)
        self.palette = {a: axis_colour(k) for k, a in enumerate(order)}
        self.marks = self._marks()

    # what is shown of the boxes ---------------------------------------------------------------

    def _marks(self) -> list[Marks]:
        """Every group of boxes that a step moves, copies or merges has a letter, the same on both sides of the step."""
        taken: list[set[Box]] = [set() for _ in self.scenes]
        made, gone = ([set[Box]() for _ in self.scenes] for _ in range(2))
        arrived, leaving = ([dict[Box, str]() for _ in self.scenes] for _ in range(2))
        letters = _alphabet()
        for k, (line, found) in enumerate(zip(self.lines, self.found, strict=True)):
            taken[k] |= self._flat(k, line.before)
            for change in found.changes:
                if change.kind == "kept":
                    continue
                taken[k] |= set(change.before)
                if change.kind == "born":
                    made[k + 1] |= set(change.after)
                elif change.kind == "dead":
                    gone[k] |= set(change.before)
                elif self._drawn(k, change.before) and self._drawn(k + 1, change.after):
                    letter = next(letters)
                    leaving[k] |= dict.fromkeys(change.before, letter)
                    arrived[k + 1] |= dict.fromkeys(change.after, letter)
        return [Marks(frozenset(t), frozenset(m), frozenset(g), a, v) for t, m, g, a, v in zip(taken, made, gone, arrived, leaving, strict=True)]

    def _flat(self, k: int, nodes: frozenset[int]) -> set[Box]:
        """Boxes of a diagram among those that are drawn; a loop is drawn as its body, and is left out."""
        places = {node.outs: i for i, node in enumerate(self.scenes[k].diagram.nodes)}
        outs = [self.diagrams[k].nodes[i].outs for i in nodes]
        return {("node", places[o]) for o in outs if o in places}

    def _drawn(self, k: int, boxes: Sequence[Box]) -> bool:
        """Some of the boxes have a place of their own: a number that is written into another box has none."""
        return any(kind == "weight" or self.scenes[k].diagram.nodes[i].ports for kind, i in boxes)

    # where everything stands ------------------------------------------------------------------

    def svg(self) -> str:
        head, top = self._head()
        body: list[str] = []
        right = 0.0
        for row in self._rows():
            x, high = 10.0, max(cell.high for cell in row)
            for cell in row:
                if cell.number:
                    body += self._between(cell, x, top + high / 2)
                    x += GAP
                body.append(text(self._title(cell.number), x + 8, top + 12, 11, "start", INK, bold=True))
                body.append(f'<g transform="translate({x:.2f} {top + 18:.2f})">{cell.picture}</g>\n')
                x += cell.wide - (GAP if cell.number else 0)
            right, top = max(right, x), top + high + 22
        wide = max(right + 10, 780.0, width(self._relation(), 16) + 30)
        body += self._legend(top + 4)
        high = top + 18
        title = html.escape(f"{self.derivation.name}: {self._relation()}")
        return (
            '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
            f'<svg xmlns="{SVG}" xmlns:xlink="{LINK}" width="{wide:.1f}pt" height="{high:.1f}pt" viewBox="0 0 {wide:.1f} {high:.1f}">\n'
            f'<title>{title}</title>\n<polygon fill="white" stroke="none" points="0,0 {wide:.1f},0 {wide:.1f},{high:.1f} 0,{high:.1f}"/>\n'
            + "".join((*head, *body)) + "</svg>\n"
        )  # fmt: skip

    def _rows(self) -> list[list[_Cell]]:
        """The frames, each with the words before it, in rows that fit."""
        rows: list[list[_Cell]] = [[]]
        for k, shown in enumerate(self.scenes):
            group, wide, high = frame(shown, self.marks[k], self.palette, k)
            words: list[Words] = []
            if k:
                line = self.lines[k - 1]
                words = caption(line, self.diagrams[k - 1], self.found[k - 1], self._named(line), GAP - 24)
            for e in group.iter():
                e.tail = None
            picture = Tree.tostring(group, encoding="unicode").replace(f' xmlns="{SVG}"', "").replace(f' xmlns:xlink="{LINK}"', "")
            wide = max(wide, width(self._title(k), 11) * 1.1 + 16) + (GAP if k else 0)
            cell = _Cell(k, picture, wide, max(high + 20, tall(words) + 60), words)
            if rows[-1] and sum(c.wide for c in rows[-1]) + wide > ROOM:
                rows.append([])
            rows[-1].append(cell)
        return rows

    def _title(self, k: int) -> str:
        name = self.derivation.left if k == 0 else self.lines[k - 1].name
        return f"{k}" if name in ("?", "...") else f"{k}  {name}"

    def _relation(self) -> str:
        d = self.derivation
        return f"{d.left}  {SIGNS[d.relation]}  {d.right}"

    def _named(self, line: Line) -> list[Rule]:
        known = {r.name: r for r in (*library(), *self.rules)}
        return [known[name] for name in line.by if name in known]

    def _between(self, cell: _Cell, x: float, y: float) -> list[str]:
        """The sign, with the words of the step under it."""
        line, middle = self.lines[cell.number - 1], x + GAP / 2
        y -= tall(cell.words) / 2
        parts = _sign(line.relation, middle, y, 30)
        y += 8
        for words in cell.words:
            y += words.size * 1.28
            parts.append(text(words.text, middle, y, words.size, "middle", QUIET if words.look == "quiet" else INK, words.look == "strong"))
        return parts

    def _head(self) -> tuple[list[str], float]:
        """The whole relation, what it says, how many steps are of which kind, and the axes."""
        d = self.derivation
        parts = [text(d.name, 12, 18, 10, "start", QUIET), *_relation(d, 12, 37)]
        says = f"{summary(d)}; {SIGNS[d.relation]} says: {MEANING[d.relation]}"
        y = 37.0
        for row in wrapped(says, 9.5, 760):
            y += 14
            parts.append(text(row, 12, y, 9.5))
        x, y = 12.0, y + 16
        for axis, colour in self.palette.items():
            sizes = list(dict.fromkeys(s.axes[axis] for s in self.scenes if axis in s.axes))
            words = axis if len(sizes) > 1 or sizes[0] == axis else f"{axis} = {sizes[0]}"
            if x + width(words, 9.5) + 40 > 780:
                x, y = 12.0, y + 15
            parts.append(f'<polygon fill="{colour}" stroke="none" points="{x:.1f},{y - 5.5:.1f} {x + 16:.1f},{y - 5.5:.1f} {x + 16:.1f},{y - 1:.1f} {x:.1f},{y - 1:.1f}"/>\n')
            parts.append(text(words, x + 21, y, 9.5))
            x += width(words, 9.5) + 38
        return parts, y + 22

    def _legend(self, y: float) -> list[str]:
        x, parts = 12.0, list[str]()
        for colour, words in ((TAKEN, "what the next step takes"), (MADE, "what the step before made")):
            parts.append(f'<polygon fill="{colour}" stroke="{QUIET}" stroke-width="0.5" points="{x:.1f},{y - 8:.1f} {x + 15:.1f},{y - 8:.1f} {x + 15:.1f},{y + 1:.1f} {x:.1f},{y + 1:.1f}"/>\n')
            parts.append(text(words, x + 20, y, 9))
            x += width(words, 9) + 38
        marks = (("a", INK, "on both sides of a step: one box, moved (several: copied or merged); right of a box before, left after"), ("×", GONE, "gone after the next step"))
        for sign, colour, words in marks:
            parts.append(f'<ellipse cx="{x + 6:.1f}" cy="{y - 3:.1f}" rx="6" ry="6" fill="white" stroke="{colour}" stroke-width="0.8"/>\n')
            parts.append(text(sign, x + 6, y, 8.5, "middle", colour))
            parts.append(text(words, x + 17, y, 9))
            x += width(words, 9) + 34
        return parts


def _relation(d: Derivation, x: float, y: float) -> list[str]:
    """Both ends of a derivation with the sign between them."""
    parts = [text(d.left, x, y, 16, "start", INK)]
    x += width(d.left, 16) + 18
    parts += _sign(d.relation, x, y, 18)
    return [*parts, text(d.right, x + 18, y, 16, "start", INK)]


def _sign(relation: str, x: float, y: float, size: float) -> list[str]:
    """The sign of a relation around a middle; the one for two sets that are the same is drawn, as few fonts have it."""
    if relation != "~=":
        return [text(SIGNS[relation], x, y, size, "middle", INK)]
    w, top = 0.27 * size, y - 0.62 * size
    wave = f"M{x - w:.2f},{top:.2f}C{x - 0.4 * w:.2f},{top - 0.3 * size:.2f} {x + 0.4 * w:.2f},{top + 0.3 * size:.2f} {x + w:.2f},{top:.2f}"
    return [text("=", x, y, size, "middle", INK), f'<path fill="none" stroke="{INK}" stroke-width="{0.07 * size:.2f}" d="{wave}"/>\n']


def _alphabet() -> Iterator[str]:
    """a to z, then aa, ab and so on."""
    for size in itertools.count(1):
        for letters in itertools.product(ascii_lowercase, repeat=size):
            yield "".join(letters)
