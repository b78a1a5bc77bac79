"""Families, and which diagrams fit which hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anatomy.ir.graph import Diagram, Node
from anatomy.language import syntax as s
from anatomy.language.calls import interface
from anatomy.language.scope import Module, suggestion
from anatomy.language.weigh import callees
from anatomy.ops import Hole

if TYPE_CHECKING:
    from anatomy.language.program import Program


def fits(node: Node, filler: Diagram, opened: bool = False) -> dict[str, int] | str:
    """The bijection from the filler's header axes to the hole's own axes, or why there is none (ruling 20).

    `opened`: the filler may have holes of its own.
    """
    op = node.op
    assert isinstance(op, Hole)
    face = interface(filler)
    if len(face.params) != len(op.takes_axes):
        return f"it takes {len(face.params)} wires where the hole gives {len(op.takes_axes)}"
    if len(face.results) != len(op.gives_axes):
        return f"it gives {len(face.results)} wires where the hole wants {len(op.gives_axes)}"
    table: dict[str, int] = {}
    ports = [*zip(face.params, op.takes_axes, op.takes_kinds, strict=True), *zip(face.results, op.gives_axes, op.gives_kinds, strict=True)]
    for formal, axes, kind in ports:
        what = f"`{formal.name}`" if formal.name else "the result"
        if len(formal.axes) != len(axes):
            return f"{what} has {len(formal.axes)} axes where the hole has {len(axes)}"
        if formal.kind.name != kind.name:
            return f"{what} is {formal.kind} where the hole has {kind}"
        for mine, theirs in zip(formal.axes, axes, strict=True):
            if table.setdefault(mine, theirs) != theirs:
                return f"its axis `{mine}` would stand for two axes of the hole"
    if len(set(table.values())) < len(table):
        return "two of its axes would stand for one axis of the hole"
    if filler.holes and not opened:
        return f"it has open holes itself: {', '.join(filler.holes)}"
    return table


def members(program: Program, module: Module, name: s.QName) -> list[tuple[str, Diagram]] | None:
    """The diagrams of a family, families in it opened up, or None when it has errors.

    The walk keeps its own stack and remembers what it found, so it costs no more than the text is long.
    """
    result: list[tuple[str, Diagram]] = []
    seen: set[tuple[int, str]] = set()
    path: dict[tuple[int, str], int] = {}
    stack: list[tuple[Module, s.QName] | None] = [(module, name)]
    while stack:
        step = stack.pop()
        if step is None:
            family, start = path.popitem()
            program.families[family] = result[start:]
            continue
        here, asked = step
        found = here.find(asked)
        if found is None:
            near = suggestion(asked.text, here.known())
            here.report("E203", f"there is no diagram or family `{asked.text}`", asked, help=f"did you mean `{near}`?" if near else "")
            return None
        home, word = found
        key = (id(home), word)
        if key in path:
            here.report("E206", f"family `{word}` contains itself", asked)
            return None
        if key in seen:
            here.report("E204", f"`{word}` is offered twice", asked, help="a family names each of its members once, also through other families")
            return None
        seen.add(key)
        declared = home.names[word]
        if key in program.families:
            result.extend(program.families[key])
        elif isinstance(declared, s.FamilyDecl):
            path[key] = len(result)
            stack.append(None)
            stack.extend((home, member) for member in reversed(declared.members))
        elif isinstance(declared, s.DiagramDecl):
            diagram = program.diagram(home, word)
            if diagram is None:
                return None
            result.append((word, diagram))
        else:
            here.report("E601", f"`{asked.text}` is neither a diagram nor a family of diagrams", asked)
            return None
    return result


def called(module: Module, name: str, part: str) -> tuple[str, Module, s.Name] | None:
    """The nearest diagram that one calls, or its callees do, which has a part of this name; with its place."""
    seen = {(id(module), name)}
    queue = [(module, name)]
    for here, word in queue:
        for home, callee, _, _ in callees(here, word):
            if (id(home), callee) in seen:
                continue
            seen.add((id(home), callee))
            queue.append((home, callee))
            found = home.names.get(f"{callee}.{part}")
            if isinstance(found, s.PartDecl):
                return callee, home, found.name
    return None
