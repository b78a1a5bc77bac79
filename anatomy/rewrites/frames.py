"""One frame of a film strip: the picture of a diagram with what the next step takes, what the last one made, and letters for what moved.

Converts: a diagram and what became of its boxes on both sides into SVG without a header.
Non-goals: what stands around it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree as Tree

from anatomy.ir.graph import Diagram
from anatomy.render import draw
from anatomy.render.dot import dot
from anatomy.render.metrics import FAMILY
from anatomy.render.palette import INK, QUIET
from anatomy.render.scene import Element, Scene
from anatomy.render.svg import svg
from anatomy.rewrites.correspondence import Box

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
TAKEN, MADE, GONE = "#E3D8F7", "#BFE6C5", "#B3261E"
"""What the next step takes, what the step before made, the mark on what goes."""
Tree.register_namespace("", SVG)
Tree.register_namespace("xlink", LINK)


@dataclass(frozen=True)
class Marks:
    """What a reader is shown of the boxes of a frame; letters are `arrived` with the step before or `leaving` with the next one."""

    taken: frozenset[Box] = frozenset()
    made: frozenset[Box] = frozenset()
    gone: frozenset[Box] = frozenset()
    arrived: Mapping[Box, str] = field(default_factory=dict)
    leaving: Mapping[Box, str] = field(default_factory=dict)


def scene(diagram: Diagram) -> Scene:
    """The scene of a frame: as a picture of the diagram alone, without weights that nothing reads any more, each by the end of its key."""
    read = {p.wire for n in diagram.nodes for p in n.ports} | {o.port.wire for o in diagram.outputs}
    weights = [w for w in diagram.weights if w.wire in read]
    ends = Counter(w.key.rpartition(".")[2] for w in weights)
    short = [replace(w, keys=(end,)) if ends[end := w.key.rpartition(".")[2]] == 1 and end != "bias" else w for w in weights]
    return draw(replace(diagram, weights=tuple(short))).scene


def frame(shown: Scene, marks: Marks, palette: Mapping[str, str], number: int) -> tuple[Tree.Element, float, float]:
    """A group of SVG with its place at the origin, its width and its height in points; its ids begin with the number of the frame.

    Raises AnatomyError E702 or E703 when the engine for pictures fails or there is none.
    """
    shown = replace(shown, palette=palette, bare=True)
    root = Tree.fromstring(svg(dot(shown)))
    _, _, wide, tall = map(float, root.attrib["viewBox"].split())
    group = next(e for e in root if e.tag == f"{{{SVG}}}g")
    shift = re.search(r"translate\(([-\d.]+)[ ,]+([-\d.]+)\)", group.attrib["transform"])
    assert shift is not None
    group.attrib["transform"] = f"translate({float(shift[1]):.2f} {float(shift[2]):.2f})"
    for e in group.iter():
        if "id" in e.attrib:
            e.attrib["id"] = f"f{number}-{e.attrib['id']}"
    for child in list(group):
        if child.attrib.get("class") is None:
            group.remove(child)  # the ground and the title of the graph
    parts = {e.findtext(f"{{{SVG}}}title", ""): e for e in group if e.attrib.get("class") in ("node", "edge")}
    first = next((k for k, e in enumerate(group) if e.attrib.get("class") in ("node", "edge")), 0)
    boxes = _boxes(shown)
    taken = {e.number for e in shown.elements if boxes[e.number] & marks.taken}
    under = [_halo(parts[f"b{n}"]) for n in sorted(taken) if f"b{n}" in parts]
    for s in shown.strands:
        name = f"b{s.source}->b{s.target}"
        if {s.source, s.target} <= taken and name in parts:
            under += [_band(path) for path in parts[name].iter(f"{{{SVG}}}path")]
    for k, e in enumerate(under):
        group.insert(first + k, e)
    for e in shown.elements:
        mine = boxes[e.number]
        if not mine or f"b{e.number}" not in parts:
            continue
        part = parts[f"b{e.number}"]
        if mine <= marks.made:
            shape = next((s for s in part.iter() if s.tag.rpartition("}")[2] in ("polygon", "ellipse", "path")), None)
            if shape is not None:
                shape.attrib["fill"] = MADE
        x, y, right, _ = _bounds(part)
        arrived, leaving = _letters(mine, marks.arrived), _letters(mine, marks.leaving)
        if arrived:
            group.append(_badge(arrived, x, y, INK))
        if mine <= marks.gone:
            group.append(_badge("×", right, y, GONE))
        elif leaving:
            group.append(_badge(leaving, right, y, INK))
    return group, wide, tall


def _boxes(shown: Scene) -> dict[int, frozenset[Box]]:
    """For each element its boxes; numbers written into a box are not counted where it has others."""
    nodes = shown.diagram.nodes
    kept = {w.wire: k for k, w in enumerate(shown.diagram.weights)}
    assert len(kept) == len(shown.diagram.weights)

    def of(e: Element) -> frozenset[Box]:
        found: list[Box] = [("node", i) for i in e.nodes if nodes[i].ports] or [("node", i) for i in e.nodes]
        return frozenset([*found, *(() if found else [("weight", k) for k in e.weights])])

    return {e.number: of(e) for e in shown.elements}


def _letters(boxes: Iterable[Box], table: Mapping[Box, str]) -> str:
    return " ".join(sorted({table[b] for b in boxes if b in table}))


def _numbers(text: str) -> list[float]:
    return [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", text)]


def _bounds(part: Tree.Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the shape of a node; of its text where it has none."""
    for e in part.iter():
        kind = e.tag.rpartition("}")[2]
        if kind == "ellipse":
            cx, cy, rx, ry = (float(e.attrib[k]) for k in ("cx", "cy", "rx", "ry"))
            return cx - rx, cy - ry, cx + rx, cy + ry
        if kind in ("polygon", "path"):
            values = _numbers(e.attrib["points" if kind == "polygon" else "d"])
            xs, ys = values[::2], values[1::2]
            return min(xs), min(ys), max(xs), max(ys)
    texts = [e for e in part.iter() if e.tag.rpartition("}")[2] == "text"]
    xs, ys = [float(t.attrib["x"]) for t in texts] or [0.0], [float(t.attrib["y"]) for t in texts] or [0.0]
    return min(xs) - 12, min(ys) - 10, max(xs) + 12, max(ys) + 4


def _halo(part: Tree.Element) -> Tree.Element:
    """A round box behind a node."""
    x, y, u, v = _bounds(part)
    x, y, u, v, r = x - 7, y - 6, u + 7, v + 6, 8.0
    points = (
        f"M{x + r:.2f},{y:.2f}L{u - r:.2f},{y:.2f}C{u:.2f},{y:.2f} {u:.2f},{y:.2f} {u:.2f},{y + r:.2f}L{u:.2f},{v - r:.2f}"
        f"C{u:.2f},{v:.2f} {u:.2f},{v:.2f} {u - r:.2f},{v:.2f}L{x + r:.2f},{v:.2f}C{x:.2f},{v:.2f} {x:.2f},{v:.2f} {x:.2f},{v - r:.2f}"
        f"L{x:.2f},{y + r:.2f}C{x:.2f},{y:.2f} {x:.2f},{y:.2f} {x + r:.2f},{y:.2f}Z"
    )
    return Tree.Element(f"{{{SVG}}}path", {"fill": TAKEN, "stroke": "none", "d": points})


def _band(path: Tree.Element) -> Tree.Element:
    """A broad band under a strand."""
    return Tree.Element(f"{{{SVG}}}path", {"fill": "none", "stroke": TAKEN, "stroke-width": "13", "d": path.attrib["d"]})


def _badge(letters: str, x: float, y: float, colour: str) -> Tree.Element:
    group = Tree.Element(f"{{{SVG}}}g")
    wide = max(6.0, 3.2 * len(letters) + 2)
    Tree.SubElement(group, f"{{{SVG}}}ellipse", {"cx": f"{x:.2f}", "cy": f"{y:.2f}", "rx": f"{wide:.2f}", "ry": "6", "fill": "white",
                                                "stroke": colour, "stroke-width": "0.8"})  # fmt: skip
    text = Tree.SubElement(group, f"{{{SVG}}}text", {"x": f"{x:.2f}", "y": f"{y + 2.8:.2f}", "text-anchor": "middle", "font-family": FAMILY,
                                                    "font-size": "8.5", "fill": colour})  # fmt: skip
    text.text = letters
    return group


def text(words: str, x: float, y: float, size: float, anchor: str = "start", colour: str = QUIET, bold: bool = False) -> str:
    """A line of text as SVG."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{html.escape(FAMILY)}" font-size="{size:g}"{weight} text-anchor="{anchor}" '
        f'fill="{colour}">{html.escape(words)}</text>\n'
    )
