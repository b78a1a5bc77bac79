"""An atlas as a picture: cards of diagrams with holes and what fills them, mechanisms in the colours of their folders, and edges by kind."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterator, Sequence

from anatomy.library.atlas import Atlas, Edge, Node
from anatomy.library.entry import entries
from anatomy.library.forms import entry
from anatomy.library.record import KINDS, why
from anatomy.render import palette as p
from anatomy.render.dot import plain
from anatomy.render.metrics import FONT, width

SIZE = 10.0
ACROSS = 3
"""Chips in a row of a card."""
LOOK: dict[str, dict[str, str]] = {
    "same": {"color": "#222222:#FFFFFF:#222222", "dir": "none", "penwidth": "1.4", "fontcolor": "#222222"},
    "sizes": {"color": "#0072B2", "penwidth": "1.6", "fontcolor": "#0072B2", "arrowhead": "normal"},
    "inputs": {"color": "#009E73", "penwidth": "1.6", "fontcolor": "#009E73", "arrowhead": "normal"},
    "weights": {"color": "#B3261E", "penwidth": "1.6", "fontcolor": "#B3261E", "arrowhead": "normal"},
    "fill": {"color": "#9A9A9A", "penwidth": "1.1", "fontcolor": "#666666", "arrowhead": "vee"},
}
"""How an edge of each kind is drawn."""
MEANING = {
    "same": "the same set of functions",
    "sizes": "equal where sizes are restricted",
    "inputs": "one input for two",
    "weights": "values for weights",
    "fill": "parts for holes",
}


def chart(atlas: Atlas) -> str:
    """The DOT text of an atlas, the same for equal ones; links are relative to the folder of the zoo."""
    return _Chart(atlas).text()


class _Chart:
    def __init__(self, atlas: Atlas):
        self.atlas = atlas
        self.folders = sorted({e.folder for e in entries()})
        self.names = {e.name for e in entries()}
        self.inside: dict[str, str] = {}
        """For a mechanism that stands on a card, the diagram with holes whose card it is."""
        over: dict[str, list[Edge]] = defaultdict(list)
        for e in atlas.edges:
            if e.kind == "fill":
                over[e.right].append(e)
        for node in atlas.nodes:
            above = over[node.name]
            if len(node.members) == 1 and len(above) == 1 and above[0].left not in self.names and above[0].proof.relation == "==":
                self.inside[node.name] = above[0].left
        self.number = {n.name: f"n{k}" for k, n in enumerate(atlas.nodes)}

    def text(self) -> str:
        lines = [
            "digraph map {",
            f'graph [rankdir=TB, nodesep=0.22, ranksep=0.55, bgcolor=white, pad=0.25, fontname="{FONT}", newrank=true, outputorder=edgesfirst, tooltip="the map of the zoo"]',
            f'node [shape=plain, fontname="{FONT}", fontsize={SIZE:g}, fontcolor="{p.INK}"]',
            f'edge [fontname="{FONT}", fontsize=8, arrowsize=0.6]',
        ]
        lone = set(self.atlas.alone)
        for node in self.atlas.nodes:
            if node.name not in self.inside and not (len(node.members) == 1 and node.members[0] in lone):
                lines.append(f"{self.number[node.name]} [label=<{self.card(node)}>]")
        drawn = {n.name: n for n in self.atlas.nodes}
        for e in self.atlas.edges:
            if (self.inside.get(e.right) == e.left and e.kind == "fill") or not (e.left in drawn and e.right in drawn):
                continue
            look = LOOK[e.kind] | {"label": plain(self.words(e)), "edgetooltip": self.tip(e), "labeltooltip": self.tip(e)}
            lines.append(f"{self.at(e.left)} -> {self.at(e.right)} [{', '.join(f'{k}={_quoted(v)}' for k, v in look.items())}]")
        lines += [f"legend [label=<{self.legend()}>]", f"alone [label=<{self.apart()}>]", *self.stacked(), "}"]
        return "\n".join(lines) + "\n"

    def stacked(self) -> Iterator[str]:
        """Invisible edges: what is not tied to the greatest part stands below it, and what has no edge below all."""
        home = {n.name: self.inside.get(n.name, n.name) for n in self.atlas.nodes}
        links = [(home[e.left], home[e.right]) for e in self.atlas.edges if e.left in home and e.right in home]
        lone = set(self.atlas.alone)
        groups: list[set[str]] = []
        for name in dict.fromkeys(h for n, h in home.items() if n not in lone):
            joined = [g for g in groups if any({a, b} & g and name in (a, b) for a, b in links)]
            groups = [g for g in groups if g not in joined] + [set().union({name}, *joined)]
        groups.sort(key=lambda g: (-len(g), sorted(g)))
        depth: dict[str, int] = {}
        for _ in range(len(home)):
            for a, b in links:
                if a != b and depth.get(b, 0) < depth.get(a, 0) + 1 <= len(groups[0]):
                    depth[b] = depth.get(a, 0) + 1

        def ends(group: set[str], last: bool) -> str:
            return self.number[sorted(group, key=lambda n: (-depth.get(n, 0) if last else depth.get(n, 0), n))[0]]

        hidden = "[style=invis, weight=0]"
        if groups:
            yield f"legend -> {ends(groups[0], False)} [style=invis, weight=5]"
            bottom = ends(groups[0], True)
            for group in groups[1:]:
                tops = [n for n in sorted(group) if not any(b == n and a != n for a, b in links)] or sorted(group)[:1]
                for n in tops:
                    yield f"{bottom} -> {self.number[n]} {hidden}"
                yield f"{ends(group, True)} -> alone {hidden}"
            yield f"{bottom} -> alone {hidden}"

    def at(self, name: str) -> str:
        return f"{self.number[self.inside[name]]}:{self.number[name]}" if name in self.inside else self.number[name]

    # nodes ------------------------------------------------------------------------------------

    def card(self, node: Node) -> str:
        chips = [n for n, home in self.inside.items() if home == node.name]
        rows: list[str] = []
        across = ACROSS if len(chips) <= 9 else 4
        if not node.members:
            first, second = self.title(node)
            span = max(1, min(across, len(chips)))
            rows.append(f'<TR><TD COLSPAN="{span}" BORDER="0" CELLPADDING="3" TOOLTIP="{_safe(node.name)}" HREF=" ">'
                        f'<FONT POINT-SIZE="12"><B>{_safe(first)}</B></FONT><BR/><FONT POINT-SIZE="8" COLOR="{p.QUIET}">{_safe(second)}</FONT></TD></TR>')  # fmt: skip
        else:
            cells = "".join(self.chip(m, node) for m in node.members)
            if len(node.members) == 1:
                return _table(f"<TR>{cells}</TR>", border=0, padding=0)
            joint = "==" if all(e.relation == "==" for e in self.atlas.edges if e.kind == "same" and e.left == node.members[0]) else "~="
            parts = f'<TD BORDER="0">{joint}</TD>'.join(self.chip(m, node) for m in node.members)
            return _table(f"<TR>{parts}</TR>", border=1, padding=2, colour=p.INK)
        for k in range(0, len(chips), across):
            rows.append("<TR>" + "".join(self.chip(c, None) for c in chips[k : k + across]) + "</TR>")
        return _table("".join(rows), border=1, padding=2, colour=p.FAINT, fill="#FAFAFA")

    def title(self, node: Node) -> tuple[str, str]:
        best = node.best
        if best.open:
            opened = " · ".join(best.open)
            also = sorted({f.entry for f in node.forms})
            return f"any {opened}", f"{best.entry}" + (f" and {len(also) - 1} more" if len(also) > 1 else "") + (f", {', '.join(best.moves)}" if best.moves else "")
        return f"{best.entry}", ", ".join(best.moves)

    def chip(self, name: str, node: Node | None) -> str:
        found = entry(name)
        colour = p.axis_colour(self.folders.index(found.folder))
        wide = width(name, SIZE) + 12
        port = f' PORT="{self.number[name]}"' if node is None else ""
        tip = f"{found.head['title']} ({found.head.year or ''})"
        return (
            f'<TD{port} BORDER="1" COLOR="{colour}" BGCOLOR="{p.tint(colour, 0.8)}" STYLE="ROUNDED" HREF="{found.folder}/{name}.anat" TOOLTIP="{_safe(tip)}" '
            f'FIXEDSIZE="TRUE" WIDTH="{wide:.0f}" HEIGHT="18">{_safe(name)}</TD>'
        )

    # edges ------------------------------------------------------------------------------------

    def words(self, e: Edge) -> str:
        """A few words on an edge; the tooltip says all."""
        if e.kind == "same":
            return e.relation
        if e.kind == "fill":
            found = [s.replace(" := identity", " := id") for s in e.steps if s.endswith(":= identity") or " := " not in s]
            return _few(found)
        tied = [r for r in e.restrictions if r not in e.steps and "~=" not in r]
        return _few([s.partition(" and ")[0].replace(" := identity", " := id") for s in e.steps]) + (f", if {', '.join(tied)}" if tied else "")

    def tip(self, e: Edge) -> str:
        done = "".join(f"\\n  {plain(s)}" for s in e.steps)
        at = f"\\nat {plain(', '.join(e.restrictions))}" if e.restrictions else ""
        return f"{plain(e.left)} {e.relation} {plain(e.right)}{done}{at}\\n{plain(why(e))}"

    # the rest ---------------------------------------------------------------------------------

    def legend(self) -> str:
        cells = []
        for kind in KINDS:
            colour = LOOK[kind]["color"].partition(":")[0]
            mark = "===" if kind == "same" else "---→"
            cells.append(f'<TD ALIGN="RIGHT"><FONT COLOR="{colour}">{mark}</FONT></TD><TD ALIGN="LEFT">{_safe(MEANING[kind])}</TD>')
        rows = "".join(f"<TR>{c}</TR>" for c in cells)
        swatches = []
        for k, folder in enumerate(self.folders):
            colour = p.axis_colour(k)
            swatches.append(f'<TD BORDER="1" STYLE="ROUNDED" COLOR="{colour}" BGCOLOR="{p.tint(colour, 0.8)}" CELLPADDING="3">{folder}</TD>')
        for k in range(0, len(swatches), 5):
            line = "".join(swatches[k : k + 5])
            rows += f'<TR><TD COLSPAN="2">{_table(f"<TR>{line}</TR>", border=0, padding=2)}</TD></TR>'
        head = '<TR><TD COLSPAN="2" ALIGN="LEFT"><FONT POINT-SIZE="15"><B>The map of the zoo</B></FONT></TD></TR>'
        said = '<TR><TD COLSPAN="2" ALIGN="LEFT">an arrow goes from what has more functions to what has fewer; every one is proved</TD></TR>'
        return _table(head + said + rows, border=0, padding=1)

    def apart(self) -> str:
        groups: dict[str, list[str]] = defaultdict(list)
        for name in self.atlas.alone:
            groups[entry(name).folder].append(name)
        rows = [f'<TR><TD COLSPAN="2" ALIGN="LEFT"><B>No relation was found</B> ({len(self.atlas.alone)}): this does not say that there is none</TD></TR>']
        for folder, names in sorted(groups.items()):
            lines: list[list[str]] = [[]]
            room = 0.0
            for n in names:
                room += width(n, SIZE) + 20
                if room > 900:
                    lines.append([])
                    room = width(n, SIZE) + 20
                lines[-1].append(n)
            for k, line in enumerate(lines):
                chips = "".join(self.chip(n, Node("", (), ())) for n in line)
                cell = _table(f"<TR>{chips}</TR>", border=0, padding=2)
                rows.append(f'<TR><TD ALIGN="RIGHT"><FONT COLOR="{p.QUIET}">{folder if not k else ""}</FONT></TD><TD ALIGN="LEFT">{cell}</TD></TR>')
        return _table("".join(rows), border=1, padding=1, colour=p.FAINT)


def _few(words: Sequence[str]) -> str:
    """Not more than fits beside an arrow."""
    kept: list[str] = []
    for w in words:
        if len(", ".join([*kept, w])) > 34 and kept:
            return ", ".join(kept) + " …"
        kept.append(w)
    return ", ".join(kept)


def _table(rows: str, border: int, padding: int, colour: str = "", fill: str = "") -> str:
    look = f' COLOR="{colour}"' if colour else ""
    look += f' BGCOLOR="{fill}"' if fill else ""
    return f'<TABLE BORDER="{border}" CELLBORDER="0" CELLSPACING="{padding}" CELLPADDING="1"{look}>{rows}</TABLE>'


def _safe(text: str) -> str:
    return html.escape("".join(c if c.isprintable() else " " for c in text), quote=True) or " "


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
