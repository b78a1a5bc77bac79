"""Derivations written out: a diagram with a name for every `?`, and the rules that a search found, put into the text.

Converts: a file with derivations that hold into the same text, comments and all, in which nothing is left open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anatomy.errors import AnatomyError, Source, fail
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language import syntax as s
from anatomy.language.parse import parse
from anatomy.language.program import Program
from anatomy.language.scope import RESERVED
from anatomy.language.unparse import Text, unparse
from anatomy.ops import WORDS
from anatomy.rewrites.derive import Derivation, derive


@dataclass(frozen=True)
class Piece:
    """A diagram as text that stands in a file: the axes to be declared, each with its size, and the declaration."""

    axes: tuple[tuple[str, str], ...]
    text: str


def written_out(program: Program, derivations: Sequence[Derivation]) -> str:
    """The text of a file in which every `?` of some derivations is the name of a diagram that stands before the derivation.

    A step without a reason gets the rules that were found. All else stays as it is. What comes out has been checked again: every
    derivation holds there, with the same diagrams. Raises AnatomyError E323 where it does not.

    >>> from anatomy.errors import Source
    >>> text = "axis n\\ndiagram a(x: [n]) -> [n] { out x + 0 }\\ndiagram b(x: [n]) -> [n] { out x }\\n"
    >>> program = Program.of(Source("d.anat", text + "derive d: a == b { a == ? by add_zero == b }\\n"))
    >>> print(written_out(program, [derive(program, "d")]).splitlines()[-1])
    derive d: a == b { a == d_1 by add_zero == b }
    """
    source = program.root.source
    edits: list[tuple[int, int, str]] = []
    taken = {*program.root.names, *program.root.imported, *program.root.uses, *program.root.axes}
    axes = {name: _text(source, item.size) for name, item in program.root.axes.items()}
    new_axes: dict[str, str] = {}
    for derivation in derivations:
        if derivation.diagnostics:
            continue
        declared = program.root.names[derivation.name]
        assert isinstance(declared, s.DeriveDecl)
        pieces: list[str] = []
        above: dict[str, str] = {}
        """The keys of weights that the text of the diagram above has otherwise."""
        steps = declared.body[1:]
        for k, line in enumerate(derivation.lines, 1):
            reason = getattr(steps[k - 1], "reason", None)
            after = _keys(line.diagram) if line.open and line.name == "?" else {}
            if isinstance(reason, s.Reason):
                named = [*(f.hole for f in reason.fills), *(reason.names if reason.word == "tie" else ())]
                edits += [(*n.at, above[n.text]) for n in named if above.get(n.text, n.text) != n.text]
                edits += [(*f.hole.at, after[f.hole.text]) for f in reason.back if after.get(f.hole.text, f.hole.text) != f.hole.text]
            above = after
            if not line.open and not line.left_out:
                continue
            start, end = line.at
            mark = source.text.index("?", start)
            name = line.name
            if name == "?":
                name = _free(f"{derivation.name}_{k}", taken)
                taken.add(name)
                piece = _piece(line.diagram.renamed(name), axes | new_axes, taken)
                new_axes |= {a: size for a, size in piece.axes if a not in axes}
                taken |= new_axes.keys()
                pieces.append(piece.text)
            edits.append((mark, mark + 1, name))
            if line.left_out and line.by:
                edits.append((end, end, f" by {', '.join(line.by)}"))
        if pieces:
            at = _before(source.text, declared.at[0])
            edits.append((at, at, "\n".join(pieces) + "\n"))
    if new_axes:
        at = _after_axes(program.root.file, source.text)
        listed = ", ".join(f"{a} = {size}" if size else a for a, size in new_axes.items())
        edits.append((at, at, f"\naxis {listed}" if at else f"axis {listed}\n"))
    text = source.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    _again(program, derivations, text)
    return text


def _again(program: Program, derivations: Sequence[Derivation], text: str) -> None:
    """Raises AnatomyError E323 where the text does not say what was derived."""
    base = Path(program.root.source.path).resolve().parent
    try:
        second = Program.of(Source(program.root.source.path, text), base)
        errors = [d for d in second.check() if d.severity == "error"]
        found = {d.name: derive(second, d.name) for d in derivations if not d.diagnostics and not errors}
    except AnatomyError as error:
        errors, found = list(error.diagnostics), {}
    for old in derivations:
        if old.diagnostics:
            continue
        new = found.get(old.name)
        same = new is not None and not new.diagnostics and [term(a.diagram) for a in new.lines] == [term(a.diagram) for a in old.lines]
        if not same:
            why = errors[0].message if errors else new.diagnostics[0].message if new is not None and new.diagnostics else "a diagram reads back as another"
            raise fail("E323", f"`{old.name}` cannot be written out: {why}", help="print the diagrams with `--fill`, and name them by hand")


def _keys(diagram: Diagram) -> dict[str, str]:
    """Of every weight its key, and the one that it has in the diagram's own text."""
    text = Text(diagram)
    found = {w.key: name for w in diagram.weights if (name := text.learners.get(w.wire) or text.wires.get(w.wire))}
    biases = {lin.bias.wire: f"{text.learners[lin.weight.wire]}.bias" for lin in text.layout.lins.values() if lin.bias is not None}
    return found | {w.key: biases[w.wire] for w in diagram.weights if w.wire in biases}


def _text(source: Source, size: s.Size | None) -> str:
    return "" if size is None else source.text[size.at[0] : size.at[1]]


def _free(word: str, taken: set[str]) -> str:
    name, k = word, 1
    while name in taken or name in RESERVED or name in WORDS:
        k += 1
        name = f"{word}_{k}"
    return name


def _piece(diagram: Diagram, known: dict[str, str], taken: set[str]) -> Piece:
    """A diagram as text, with other names for axes that the file has in another meaning."""
    text = unparse(diagram)
    source = Source("diagram", text)
    declared = [item for decl in parse(source).items if isinstance(decl, s.AxisDecl) for item in decl.items]
    start = max((decl.at[1] for decl in parse(source).items if isinstance(decl, s.AxisDecl)), default=0)
    sizes = {item.name.text: _text(source, item.size) for item in declared}
    clash = {a for a, size in sizes.items() if (a in known and size and size != known[a]) or (a not in known and a in taken)}
    names = {a: a for a in sizes}
    busy = taken | set(re.findall(r"\w+", text))
    for axis in sorted(clash):
        names[axis] = _free(f"{axis}_1", busy)
        busy.add(names[axis])

    def renamed(part: str) -> str:
        return re.sub(r"\b[A-Za-z_]\w*\b", lambda m: names.get(m[0], m[0]), part)

    body = renamed(text[start:].strip("\n")) + "\n"
    return Piece(tuple((names[a], renamed(size)) for a, size in sizes.items() if names[a] not in known), body)


def _before(text: str, at: int) -> int:
    """The beginning of a declaration with the comment lines right above it."""
    start = text.rfind("\n", 0, at) + 1
    if text[start:at].strip():
        return at
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text[above : start - 1].lstrip().startswith("#"):
            break
        start = above
    return start


def _after_axes(file: s.File, text: str) -> int:
    """Behind the last declaration of axes; 0 where there is none."""
    ends = [item.at[1] for item in file.items if isinstance(item, s.AxisDecl)]
    if not ends:
        return 0
    end = text.find("\n", ends[-1])
    rest = text[ends[-1] : end if end >= 0 else len(text)]
    return (end if end >= 0 else len(text)) if not rest.strip() or rest.lstrip().startswith("#") else ends[-1]
