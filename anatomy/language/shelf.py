"""The files of the zoo, and their labelled parts as things that a space may choose.

Nothing is read before it is asked for, and every file is loaded once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anatomy.errors import AnatomyError, fail
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language import syntax as s
from anatomy.language.program import Program
from anatomy.language.scope import read

_YEAR = re.compile(r"^# year:\s*([0-9]{4})", re.M)


def zoo_folder() -> Path:
    """Where the zoo's files are: installed beside this package or in the checkout."""
    return Path(__file__).resolve().parent.parent.parent / "zoo"


def zoo_files() -> dict[str, Path]:
    """Every zoo file by its name; spaces are named `spaces/NAME`."""
    root = zoo_folder()
    files = {}
    for path in sorted(root.rglob("*.anat")):
        inside = path.relative_to(root)
        files[f"spaces/{path.stem}" if inside.parts[0] == "spaces" else path.stem] = path
    return files


@dataclass(frozen=True)
class ZooPart:
    """A labelled part of an entry: `label` is `entry.part`, or `entry.diagram.part` where two diagrams of a file have one."""

    label: str
    part: str
    diagram: Diagram
    digest: str


def entry_names() -> tuple[str, ...]:
    """The entries of the zoo, the oldest first and those of a year by name.

    A part that several entries have is named after the first of them, so an entry that is added later takes no name away.
    """
    return _sorted(zoo_folder())


@cache
def _entries(root: Path) -> dict[str, Path]:
    return {name: path for name, path in zoo_files().items() if "/" not in name}


@cache
def _sorted(root: Path) -> tuple[str, ...]:
    files = _entries(root)
    years = {name: _YEAR.search(read(path).text) for name, path in files.items()}
    return tuple(sorted(files, key=lambda name: (int(found[1]) if (found := years[name]) else 9999, name)))


@cache
def _program(path: Path) -> Program:
    return Program.of_file(path)


def entry_program(name: str) -> Program:
    """The file of an entry, loaded; nothing in it is built before it is asked for."""
    return _program(_entries(zoo_folder())[name])


def labelled(part: str) -> tuple[ZooPart, ...]:
    """All parts of the zoo with this label, in the order of the entries; those that cannot be built are left out.

    >>> [p.label for p in labelled("pooling")][:2]
    ['memory_compressed.pooling', 'funnel.pooling']
    """
    return _labelled(part, zoo_folder())


@cache
def _labelled(part: str, root: Path) -> tuple[ZooPart, ...]:
    files = _entries(root)
    word = re.compile(rf"\bpart\s+{re.escape(part)}\b")
    found: list[ZooPart] = []
    for name in entry_names():
        if not word.search(read(files[name]).text):
            continue
        try:
            program = entry_program(name)
        except AnatomyError as error:
            raise fail("E207", f"the zoo's `{name}` has errors: {error.diagnostics[0].message}") from None
        places = [p for p in program.names(s.PartDecl) if p.rpartition(".")[2] == part]
        for place in places:
            diagram = program.diagram(program.root, place)
            if diagram is not None:
                label = f"{name}.{part}" if len(places) == 1 else f"{name}.{place}"
                found.append(ZooPart(label, part, diagram, digest(diagram)))
    return tuple(found)


def forget() -> None:
    """Read the zoo anew when it is asked for next: its files have changed."""
    for kept in (_entries, _sorted, _program, _labelled):
        kept.cache_clear()
