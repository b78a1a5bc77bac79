"""`zoo map`: which mechanisms of the zoo are one, and which become which, drawn and told."""

from __future__ import annotations

import argparse
import html
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy.cli.output import add_json, emit
from anatomy.errors import fail
from anatomy.library.entry import entries
from anatomy.target import zoo_folder

if TYPE_CHECKING:
    from anatomy.library.atlas import Atlas

SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".html", ".json", ".md")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", action="append", default=[], help=f"{' '.join(SUFFIXES)}; may be repeated")
    parser.add_argument("--fresh", action="store_true", help="compute it, though the map that comes with the zoo is current")
    parser.add_argument("--jobs", type=int, default=max(1, min(8, os.cpu_count() or 1)), metavar="N", help="processes that compute it")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from anatomy.library import record

    for name in options.output:
        if Path(name).suffix.lower() not in SUFFIXES:
            raise fail("E701", f"a map cannot be saved as `{name}`", help=f"its suffix is one of {', '.join(SUFFIXES)}")
    atlas = (None if options.fresh else current()) or computed(max(1, options.jobs))
    for name in options.output:
        save(atlas, Path(name))
        print(name, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        emit(record.data(atlas))
    elif not options.output:
        print("\n".join(told(atlas)))
    return 0


def current() -> Atlas | None:
    """The map that comes with the zoo, if it is of the zoo's texts as they are."""
    from anatomy.library import record

    path = zoo_folder() / "map.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text("utf-8"))
    return record.read(found) if found["texts"] == record.stamps(e.name for e in entries()) else None


def computed(jobs: int) -> Atlas:
    """The map, computed; what was computed before is not computed again."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from anatomy.library.atlas import build

    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        bars: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total)

        return build(jobs=jobs, told=tell)


def told(atlas: Atlas) -> list[str]:
    """The edges between mechanisms in lines, then how many there are of the rest."""
    from anatomy.library import record

    names = {e.name for e in entries()}
    lines = []
    for kind, heading in record.KINDS.items():
        found = [e for e in atlas.edges if e.kind == kind and {e.left, e.right} <= names]
        if found:
            lines.append(f"{heading}:")
            lines += [f"  {e.left} {e.relation} {e.right}" + (f"   {', '.join(e.steps)}" if e.steps else "") for e in found]
    holes = [n for n in atlas.nodes if not n.members]
    fills = [e for e in atlas.edges if e.kind == "fill"]
    lines.append(f"{len(holes)} further diagrams, most with holes, and {len(fills)} ways to fill them; `-o map.svg` draws all, `--json` tells all with their proofs.")
    lines.append(f"{len(atlas.alone)} mechanisms without an edge.")
    return lines


def save(atlas: Atlas, path: Path) -> None:
    """Write the map in the format that the suffix names. Raises AnatomyError E701, E702 or E703."""
    from anatomy.library import record
    from anatomy.library.chart import chart
    from anatomy.render.pdf import pdf
    from anatomy.render.png import png
    from anatomy.render.svg import svg

    match path.suffix.lower():
        case ".json":
            made: str | bytes = json.dumps(record.data(atlas), indent=1, ensure_ascii=False) + "\n"
        case ".md":
            made = record.page(atlas)
        case ".dot":
            made = chart(atlas)
        case ".png":
            made = png(chart(atlas))
        case ".pdf":
            made = pdf(svg(chart(atlas)), "The map of the zoo")
        case ".html":
            made = _page(svg(chart(atlas)), atlas)
        case _:
            made = svg(chart(atlas))
    try:
        path.write_bytes(made if isinstance(made, bytes) else made.encode())
    except OSError as error:
        raise fail("E701", f"cannot write `{path}`: {error.strerror}") from None


STYLE = "body{font:14px Arial,Helvetica,sans-serif;margin:2em;color:#222}td{padding:2px 10px;vertical-align:top}svg{max-width:100%;height:auto}"


def _page(picture: str, atlas: Atlas) -> str:
    """The picture and a table of all edges in one file that needs no other."""
    from anatomy.library import record

    rows = "".join(
        f"<tr><td>{html.escape(e.left)}</td><td>{html.escape(e.relation)}</td><td>{html.escape(e.right)}</td>"
        f"<td>{html.escape(', '.join(e.steps))}</td><td>{html.escape(record.why(e))}</td></tr>"
        for e in atlas.edges
    )
    inline = picture[picture.index("<svg") :]
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>The map of the zoo</title><style>{STYLE}</style>{inline}<table>{rows}</table></html>\n'
