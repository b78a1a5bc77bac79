"""Addresses: `FILE.anat::name`, `FILE.anat` with one diagram or one of the file's name, `zoo:name`, `zoo:spaces/name`."""

from __future__ import annotations

from pathlib import Path

from anatomy.errors import AnatomyError, fail
from anatomy.ir.graph import Diagram
from anatomy.language import syntax as s
from anatomy.language.choices import SpaceDefinition, UnionDefinition
from anatomy.language.program import Program
from anatomy.language.scope import suggestion
from anatomy.language.shelf import zoo_files, zoo_folder

__all__ = ["load_diagram", "load_space", "only", "resolve", "zoo_files", "zoo_folder"]


def resolve(target: str) -> tuple[Program, str | None]:
    """The program of a target and the name it asks for, if it names one.

    Raises AnatomyError: E100 for a file that cannot be read, E203 for a name that is not there.
    """
    if target.startswith("zoo:"):
        word, _, inner = target.removeprefix("zoo:").partition("::")
        files = zoo_files()
        if word not in files:
            near = suggestion(word, files)
            raise fail("E203", f"the zoo has no `{word}`", help=f"did you mean `zoo:{near}`?" if near else "`anatomy zoo list` shows all")
        program = Program.of_file(files[word])
        return program, inner or (word.rpartition("/")[2] if word.rpartition("/")[2] in program.root.names else None)
    file, _, name = target.partition("::")
    return Program.of_file(Path(file)), name or None


def load_diagram(target: str) -> Diagram:
    """The diagram that a target addresses; a file alone declares one, or one that has the file's name."""
    program, name = resolve(target)
    return program.get(name or only(program, s.DiagramDecl, target))


def load_space(target: str) -> SpaceDefinition | UnionDefinition:
    """The space that a target addresses."""
    program, name = resolve(target)
    name = name or only(program, s.AnySpace, target)
    declared = program.root.names.get(name)
    if not isinstance(declared, s.AnySpace):
        _sound(program)
        near = suggestion(name, program.names(s.AnySpace))
        raise fail("E203", f"`{program.root.source.path}` declares no space `{name}`", help=f"did you mean `{near}`?" if near else "")
    found = program.space(name)
    _sound(program)
    assert found is not None
    return found


def _sound(program: Program) -> None:
    errors = [d for d in program.diagnostics() if d.severity == "error"]
    if errors:
        raise AnatomyError(*errors)


def only(program: Program, kind: type[s.Node], target: str) -> str:
    """The name of the one declaration of a kind, or of that with the file's name; the diagnostics of the file come first."""
    names = program.names(kind)
    what = "space" if kind is s.AnySpace else "diagram"
    if len(names) == 1:
        return names[0]
    if (stem := Path(target).stem) in names:
        return stem
    errors = [d for d in program.check() if d.severity == "error"]
    if errors:
        raise AnatomyError(*errors)
    if not names:
        raise fail("E203", f"`{target}` declares no {what}")
    listed = ", ".join(f"`{target}::{n}`" for n in names[:6]) + (" ..." if len(names) > 6 else "")
    raise fail("E203", f"`{target}` declares {len(names)} {what}s; name one", help=listed)
