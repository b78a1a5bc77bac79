"""One mechanism of the library: its head, its parts with their interfaces, and its text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anatomy.claims.head import Head, read_head
from anatomy.errors import Source, fail
from anatomy.language import syntax as s
from anatomy.language.parse import parse
from anatomy.language.scope import suggestion
from anatomy.target import zoo_files


@dataclass(frozen=True)
class Part:
    """A labelled part: `diagram.name` in its file, its signature as written, and its interface without names.

    The interface numbers axes by their first occurrence, so two parts fit the same places exactly when it is equal.
    """

    diagram: str
    name: str
    signature: str
    interface: str
    text: str

    @property
    def address(self) -> str:
        return f"{self.diagram}.{self.name}"


@dataclass(frozen=True)
class Entry:
    """A file of the library."""

    name: str
    path: Path

    @cached_property
    def source(self) -> Source:
        return Source(str(self.path), self.path.read_text("utf-8"))

    @cached_property
    def head(self) -> Head:
        return read_head(self.source)

    @property
    def folder(self) -> str:
        """What the mechanism changes: the folder it stands in."""
        return self.path.parent.name

    @cached_property
    def diagrams(self) -> tuple[s.DiagramDecl, ...]:
        return tuple(i for i in parse(self.source).items if isinstance(i, s.DiagramDecl))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All parts of all diagrams of the file, in its order."""
        return tuple(_part(self.source, d, p) for d in self.diagrams for p in _parts(d.body))

    def data(self) -> dict[str, Any]:
        """What `anatomy zoo list --json` prints of it."""
        head = self.head
        return {
            "name": self.name,
            "folder": self.folder,
            "title": head["title"] or self.name,
            "authors": head["authors"],
            "year": head.year,
            "arxiv": head["arxiv"],
            "reference": head.reference,
            "idea": head["idea"],
            "claims": head.values(),
            "parts": [{"part": p.address, "signature": p.signature} for p in self.parts],
            "file": str(self.path),
        }


def entries() -> tuple[Entry, ...]:
    """Every mechanism, sorted by name; spaces are not among them.

    >>> [e.name for e in entries() if e.name.startswith("lu")][:2]
    ['luna', 'luong_concat']
    """
    return tuple(Entry(n, p) for n, p in sorted(zoo_files().items()) if "/" not in n)


def entry(name: str) -> Entry:
    """The mechanism of a name. Raises AnatomyError E203."""
    files = zoo_files()
    name = name.removeprefix("zoo:")
    if name not in files:
        near = suggestion(name, files)
        raise fail("E203", f"the zoo has no `{name}`", help=f"did you mean `{near}`?" if near else "`anatomy zoo list` shows all")
    return Entry(name, files[name])


def _parts(body: tuple[s.Statement, ...]) -> list[s.PartDecl]:
    found: list[s.PartDecl] = []
    for statement in body:
        match statement:
            case s.PartDecl():
                found.append(statement)
            case s.Simd(body=inner):
                found.extend(_parts(inner))
            case _:
                pass
    return found


def _part(source: Source, diagram: s.DiagramDecl, part: s.PartDecl) -> Part:
    numbers: dict[str, int] = {}

    def numbered(t: s.Type) -> str:
        axes = "".join(f" {numbers.setdefault(a.text, len(numbers))}" for a in t.axes)
        return f"{t.kind.text if t.kind else 'real'}({axes.strip()})"

    def written(t: s.Type) -> str:
        return source.text[slice(*t.at)]

    params, results = part.signature.params, part.signature.results
    interface = f"{', '.join(numbered(p.type) for p in params)} -> {', '.join(map(numbered, results))}"
    signature = f"({', '.join(f'{p.name.text}: {written(p.type)}' for p in params)}) -> {', '.join(map(written, results))}"
    return Part(diagram.name.text, part.name.text, signature, interface, source.text[slice(*part.at)])
