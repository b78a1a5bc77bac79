"""A scene as Graphviz DOT: walls are nested clusters, a strand is one edge with a colour for every axis."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager

import graphviz

from anatomy.ir.graph import Frame
from anatomy.render import palette as p
from anatomy.render.metrics import FONT, width
from anatomy.render.scene import Element, Scene, Strand

SIZE = 11.0
"""Points of the letters in boxes."""


def dot(scene: Scene) -> str:
    """The DOT text, the same for equal scenes; no name in it is read as DOT or HTML."""
    graph = graphviz.Digraph(name="diagram")
    graph.attr("graph", rankdir="TB", nodesep="0.28", ranksep="0.32", fontname=FONT, fontsize="10", fontcolor=p.INK,
               bgcolor="white", pad="0.15", labelloc="b", label="" if scene.bare else _legend(scene), tooltip=plain(scene.diagram.name))  # fmt: skip
    graph.attr("node", fontname=FONT, fontsize=f"{SIZE:g}", fontcolor=p.INK, color=p.INK, penwidth="1", fixedsize="true")
    graph.attr("edge", fontname=FONT, fontsize="9", fontcolor=p.QUIET, arrowhead="none", penwidth="1.7")
    for shape, rank in (("input", "source"), ("output", "sink")):
        with _within(graph, None) as row:
            row.attr(rank=rank)
            ends = [e for e in scene.elements if e.shape == shape]
            for e in ends:
                row.node(f"b{e.number}", **_look(e))
            for a, b in itertools.pairwise(ends):
                row.edge(f"b{a.number}", f"b{b.number}", style="invis")
    inner = [e for e in scene.elements if e.shape not in ("input", "output")]
    _walls(scene, graph, inner, 0, [0])
    fed = {s.target for s in scene.strands if not s.back}
    top = next((e for e in scene.elements if e.shape == "input"), None)
    for e in inner:
        if e.shape == "state" and e.number not in fed and top is not None:
            graph.edge(f"b{top.number}", f"b{e.number}", style="invis", weight="0")
    for s in scene.strands:
        if s.back:  # laid out from the state down, like every other strand, and drawn the other way
            graph.edge(f"b{s.target}", f"b{s.source}", **_strand(scene, s))
        elif not s.carry:
            graph.edge(f"b{s.source}", f"b{s.target}", **_strand(scene, s))
    return graph.source


def _within(graph: graphviz.Digraph, name: str | None) -> AbstractContextManager[graphviz.Digraph]:
    """A subgraph to be filled; the library's own signature says it may be None."""
    made = graph.subgraph(name=name)
    assert made is not None
    return made


def _walls(scene: Scene, graph: graphviz.Digraph, elements: Sequence[Element], depth: int, count: list[int]) -> None:
    """Elements at this depth, and a cluster for each wall around the deeper ones."""
    inside: dict[int, list[Element]] = {}
    for e in elements:
        if len(e.walls) == depth:
            graph.node(f"b{e.number}", **_look(e))
        else:
            inside.setdefault(e.walls[depth].serial, []).append(e)
    for group in inside.values():
        wall = group[0].walls[depth]
        name = f"cluster_{count[0]}"
        count[0] += 1
        with _within(graph, name) as cluster:
            cluster.attr("graph", **_wall(scene, wall))
            _walls(scene, cluster, group, depth + 1, count)


def _wall(scene: Scene, wall: Frame) -> dict[str, str]:
    look = {"label": _corner(scene.title(wall)), "labeljust": "l", "labelloc": "b", "fontsize": "10", "margin": "9",
            "tooltip": plain(scene.title(wall)), "penwidth": "1.3"}  # fmt: skip
    if wall.lanes:
        axis = wall.lanes[0]
        colour = scene.colour.get(scene.names.get(axis, axis), p.QUIET)
        return look | {"style": "rounded,filled", "color": colour, "fillcolor": p.tint(colour, 0.94), "fontcolor": colour}
    if wall.kind == "lin":
        return look | {"style": "rounded", "color": p.LEARNER, "fontcolor": p.LEARNER}
    if wall.kind == "part":
        return look | {"style": "rounded,dashed", "color": p.QUIET, "fontcolor": p.QUIET}
    times = scene.repeats.get(wall.serial, 1)
    return look | {"style": "rounded,filled" if times == 1 else "filled", "color": p.FAINT, "fillcolor": p.PAPER,
                   "fontcolor": p.QUIET, "penwidth": "1.3" if times == 1 else "3"}  # fmt: skip


def _corner(title: str) -> str:
    """A wall's title, with as much room on its right again, so that the strand in the middle passes beside it."""
    wide = width(title, 10)
    cell = f'<TD ALIGN="LEFT" WIDTH="{2 * wide + 26:.0f}" HEIGHT="13" FIXEDSIZE="TRUE">{_safe(title)}</TD>'
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{cell}</TR></TABLE>>'


def _look(e: Element) -> dict[str, str]:
    """Shape, size and colours of an element; the size comes from the text, not from the engine's fonts."""
    wide = max(width(line, SIZE) for line in e.lines)
    tall = 13.5 * len(e.lines)
    look = {"label": "\\n".join(plain(line) for line in e.lines), "tooltip": "\\n".join(plain(t) for t in e.tooltip.split("\n"))}
    match e.shape:
        case "input" | "output":
            size, style = (wide + 8, tall + 4), {"shape": "box", "penwidth": "0"}
        case "weight":
            size = (max(2.7 * width(e.lines[0], SIZE), 1.7 * width(e.lines[1], SIZE)) + 12, 54)
            look["label"] += "\\n "  # Graphviz centres text on the box around the triangle, which sits lower than the room in it
            style = {"shape": "triangle", "style": "filled", "color": p.LEARNER, "fillcolor": p.LEARNER_FILL, "fontcolor": p.LEARNER}
        case "lin":
            size = (wide + 16, tall + 8)
            style = {"shape": "box", "style": "filled", "color": p.LEARNER, "fillcolor": p.LEARNER_FILL}
        case "dot":
            size = (max(18, wide + 9), max(18, wide + 9))
            style = {"shape": "circle", "style": "filled", "fillcolor": p.PAPER, "fontsize": "12"}
        case "cap":
            size, style = (1.45 * wide + 22, 32 + 13.5 * (len(e.lines) - 1)), {"shape": "invtriangle", "style": "filled", "fillcolor": p.PAPER}
        case "contract":
            size, style = (wide + 18, tall + 16), {"shape": "invhouse", "style": "filled", "fillcolor": p.PAPER}
        case "normalise":
            size = (wide + 16, tall + 13)
            style = {"shape": "box", "style": "filled", "color": p.NORMALISER, "fillcolor": p.NORMALISER_FILL}
        case "mask":
            size, style = (wide + 16, tall + 9), {"shape": "box", "style": "filled", "fillcolor": p.MASK_FILL}
        case "source":
            size = (wide + 16, tall + 7)
            style = {"shape": "box", "style": "rounded,filled", "color": p.FAINT, "fillcolor": p.SOURCE_FILL}
        case "structure":
            size, style = (wide + 14, tall + 6), {"shape": "box", "style": "filled", "color": p.FAINT, "fillcolor": p.PAPER}
        case "state" | "next":
            size, style = (wide + 20, tall + 9), {"shape": "box", "style": "filled,bold", "fillcolor": p.STATE_FILL}
        case "hole":
            size, style = (wide + 22, tall + 14), {"shape": "box", "style": "rounded,dashed", "penwidth": "1.4"}
        case _:
            size, style = (wide + 16, tall + 9), {"shape": "box", "style": "rounded,filled", "fillcolor": p.PAPER}
    return look | style | {"width": f"{size[0] / 72:.3f}", "height": f"{size[1] / 72:.3f}"}


def _strand(scene: Scene, s: Strand) -> dict[str, str]:
    colours = [p.tint(scene.colour[a], 0.62) if a in s.lanes else scene.colour[a] for a in s.axes]
    look = {"tooltip": plain(s.tooltip), "edgetooltip": plain(s.tooltip)}
    if colours:
        look["color"] = ":".join(colours)
    else:
        look |= {"color": p.SCALAR, "penwidth": "0.9"}
    if scene.diagram.wires[s.wire].kind.name == "mask":
        look["style"] = "dashed"
    if scene.elements[s.source].walls == scene.elements[s.target].walls:
        look["weight"] = "4"
    entered = [w.kind for w in scene.elements[s.target].walls if w not in scene.elements[s.source].walls]
    if "lin" in entered:
        look["minlen"] = "2"  # so that the weights inside do not have to stand beside the walls above
    if s.back:
        return look | {"style": "dashed", "weight": "0", "dir": "back", "arrowtail": "normal", "arrowsize": "0.7", "penwidth": "1.2",
                       "label": plain(f" {s.label} "), "color": p.INK, "fontcolor": p.INK}  # fmt: skip
    if s.label:
        look |= {"label": plain(f"   {s.label} "), "labeltooltip": plain(s.tooltip)}
    if s.place and s.place[1] == 2:
        look["headport"] = ("nw", "ne")[s.place[0]]
    elif s.place:
        look |= {"headlabel": str(s.place[0] + 1), "labeldistance": "1.2", "labelfontsize": "7"}
    return look


def plain(text: str) -> str:
    """Text as text: no escapes, no HTML, no control characters, which XML cannot hold.

    >>> plain("<b>"), plain("a" + chr(92) + "N")
    ('<b>', 'a\\\\\\\\N')
    """
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return graphviz.escape(clean) or " "


def _legend(scene: Scene) -> str:
    """The title, and a swatch with name and size for every axis."""
    cells = []
    for axis, size in scene.axes.items():
        words = axis if size == axis else f"{axis} = {size}"
        cells.append(
            '<TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
            f'<TD BGCOLOR="{scene.colour[axis]}" WIDTH="14" HEIGHT="5" FIXEDSIZE="TRUE"></TD></TR></TABLE></TD>'
            f'<TD ALIGN="LEFT" WIDTH="{width(words, 10) + 10:.0f}" HEIGHT="14" FIXEDSIZE="TRUE">{_safe(words)}</TD>'
        )
    columns = -(-len(cells) // max(1, -(-len(cells) // 6)))
    rows = "".join(f"<TR>{''.join(cells[i : i + columns])}</TR>" for i in range(0, len(cells), columns or 1))
    title = f'<TR><TD HEIGHT="20" VALIGN="BOTTOM"><FONT POINT-SIZE="12">{_safe(scene.diagram.name)}</FONT></TD></TR>'
    axes = f'<TR><TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2" CELLPADDING="0">{rows}</TABLE></TD></TR>' if rows else ""
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{title}{axes}</TABLE>>'


def _safe(text: str) -> str:
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return html.escape(clean) or " "
