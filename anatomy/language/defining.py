"""Spaces by name: `space S of D { ... }`, sub-spaces of a space, unions, the neighbourhood of every entry of the zoo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError, Label
from anatomy.language import syntax as s
from anatomy.language.bindings import Refused
from anatomy.language.calls import interface
from anatomy.language.choices import SpaceDefinition, UnionDefinition
from anatomy.language.guards import condition, refuse
from anatomy.language.neighbourhoods import Defined, near, picked
from anatomy.language.requirements import Requirements
from anatomy.language.rooms import Room
from anatomy.language.scope import Module, suggestion
from anatomy.language.spaces import members

if TYPE_CHECKING:
    from anatomy.language.program import Program

MAX_VIEWS = 500
"""Conditions that one sub-space may gather from those it is made of."""
MAX_UNION = 5000
MAX_NESTED = 100


Result = tuple[Defined, ...] | None
"""The spaces of a union, or one; None after errors."""


def define_space(program: Program, name: str) -> SpaceDefinition | UnionDefinition | None:
    """The space that a program declares under a name, checked; None when it has errors, which are reported."""
    module = program.root
    declared = module.names[name]
    if isinstance(declared, s.FamilyDecl):
        if not declared.members:
            module.report("E608", f"family `{name}` has no members", declared, help="name at least one diagram in the braces")
        members(program, module, s.QName(declared.name.at, (declared.name,)))
        return None
    if isinstance(declared, s.MemberDecl):
        check_member(program, module, declared)
        return None
    assert isinstance(declared, s.AnySpace)
    found = spaces(program, module, name, ())
    if found is None:
        return None
    if _united(program, module, name):
        return UnionDefinition(name, tuple(d.definition for d in found), module.span(declared))
    return found[0].definition


def _united(program: Program, module: Module, name: str) -> bool:
    """Whether a space is a union, or made of one."""
    for _ in range(MAX_NESTED):
        declared = module.names[name]
        if isinstance(declared, s.SpaceDecl):
            return _of_zoo(module, declared)
        assert isinstance(declared, s.SpaceView)
        if declared.united:
            return True
        found = module.find(declared.sources[0])
        assert found is not None
        module, name = found
    return False


def _of_zoo(module: Module, declared: s.SpaceDecl) -> bool:
    return declared.of.text == "zoo" and module.find(declared.of) is None


def spaces(program: Program, module: Module, name: str, path: tuple[tuple[int, str], ...]) -> Result:
    """What a name of a space stands for, each once; `path` are the spaces that are being defined."""
    key = (id(module), name)
    if key not in program.spaces:
        declared = module.names[name]
        try:
            if isinstance(declared, s.SpaceView):
                program.spaces[key] = _view(program, module, declared, (*path, key))
            elif isinstance(declared, s.SpaceDecl) and _of_zoo(module, declared):
                program.spaces[key] = _zoo(program, module, declared)
            else:
                assert isinstance(declared, s.SpaceDecl)
                program.spaces[key] = _space(program, module, declared)
        except Refused:
            program.spaces[key] = None
        except AnatomyError as error:
            program.found.extend(d if d.span else replace(d, span=module.span(declared.name)) for d in error.diagnostics)
            program.spaces[key] = None
    return program.spaces[key]


# a space of a diagram -------------------------------------------------------------------------------


def _space(program: Program, module: Module, declared: s.SpaceDecl) -> Result:
    found = members(program, module, declared.of)
    if not found:
        return None
    home, word = module.find(declared.of) or (module, "")
    if not isinstance(home.names[word], s.DiagramDecl):
        if len(found) > 1:
            raise refuse(module, "E601", f"`{declared.of.text}` is a family of {len(found)} diagrams, and a space is of one", declared.of)
        word = found[0][0]
        if word not in home.names:
            raise refuse(module, "E601", f"`{declared.of.text}` is a family; name its diagram", declared.of)
    made = _room(program, module, home, word, declared, declared.name.text)
    return None if made is None else (made,)


def _room(program: Program, module: Module, home: Module, word: str, declared: s.SpaceDecl, name: str) -> Defined | None:
    room = Room.of(program, module, home, word, declared.items, inner=False)
    if room is None:
        return None
    if room.left and not room.failed:
        room.error(
            "E605", f"nothing is chosen for hole `{room.left[0]}` of `{room.opened.base.name}`", declared.name,
            help=f"`choose {room.left[0]} in {{ ... }}`",
        )  # fmt: skip
    axes = dict.fromkeys(a for a in (*room.opened.base.sizes, *home.axes) if "." not in a)
    requires = Requirements(module, axes)
    excepts = []
    for item in declared.items:
        try:
            if isinstance(item, s.Except):
                excepts.append(room.condition(item.guard))
            elif isinstance(item, s.Require):
                before = len(module.diagnostics)
                requires.add(item)
                room.failed |= len(module.diagnostics) > before
        except Refused:
            room.failed = True
    if room.failed:
        return None
    definition = SpaceDefinition(
        name, room.opened.base, tuple(room.decisions), tuple(excepts), (), tuple(r for r, _ in requires.found), (), False,
        tuple(room.refused), module.span(declared),
    )  # fmt: skip
    made = Defined(definition, room.known, room.defaults)
    for item in declared.items:
        if isinstance(item, s.Near):
            made = near(module, made, item)
    return made


def _zoo(program: Program, module: Module, declared: s.SpaceDecl) -> Result:
    """`space N of zoo { parts from zoo within 2 }`: the same decisions about every entry that has parts."""
    from anatomy.language.shelf import entry_names, entry_program

    for item in declared.items:
        if not (isinstance(item, s.Take) and not item.names) and not isinstance(item, s.Require | s.Near):
            raise refuse(module, "E614", "of the whole zoo only what all of its entries have can be said", item, help="`parts from zoo`, `require ...`, `within ...`")
        if isinstance(item, s.Near) and item.centre is not None:
            raise refuse(module, "E619", "every entry is a centre of its own here", item, help=f"`within {item.distance}`")
    if not any(isinstance(item, s.Take) for item in declared.items):
        raise refuse(module, "E608", "nothing is open in a space of the zoo", declared.name, help="`parts from zoo` opens the parts of every entry")
    result = []
    for name in entry_names():
        aside = entry_program(name)
        if name not in aside.root.names or not isinstance(aside.root.names[name], s.DiagramDecl):
            continue
        before = len(module.diagnostics)
        room = _room_of_entry(aside, module, name, declared)
        if len(module.diagnostics) > before:
            return None
        if room is not None and room.definition.decisions:
            result.append(room)
    return tuple(result)


def _room_of_entry(aside: Program, module: Module, name: str, declared: s.SpaceDecl) -> Defined | None:
    """An entry has a program of its own, and what is wrong is reported where the space is written."""
    return _room(aside, module, aside.root, name, declared, name)


# spaces of spaces -----------------------------------------------------------------------------------


def _view(program: Program, module: Module, declared: s.SpaceView, path: tuple[tuple[int, str], ...]) -> Result:
    if not declared.sources:
        raise refuse(module, "E608", f"`{declared.name.text}` is a union of nothing", declared, help="name at least one space in the braces")
    found: list[Defined] = []
    names: dict[str, s.QName] = {}
    for source in declared.sources:
        parts = _source(program, module, source, path)
        if parts is None:
            return None
        for part in parts:
            label = part.definition.name
            if label in names:
                raise refuse(
                    module, "E204", f"space `{label}` is here twice", source,
                    secondary=(Label(module.span(names[label]), "it is in this one too"),) if names[label] is not source else (),
                )  # fmt: skip
            names[label] = source
            if found and declared.united and len(declared.sources) > 1:
                _same_header(module, found[0].definition, part.definition, source)
            found.append(part)
        if len(found) > MAX_UNION:
            raise refuse(module, "E610", f"a union of more than {MAX_UNION:,} spaces", source)
    several = declared.united or len(found) > 1
    for view in declared.views:
        found = [_restricted(module, part, view, several) for part in found]
    if declared.pairs:
        found = [replace(p, definition=replace(p.definition, pairs=True)) for p in found]
    if not several:
        found = [replace(p, definition=replace(p.definition, name=declared.name.text, span=module.span(declared))) for p in found]
    return tuple(found)


def _source(program: Program, module: Module, name: s.QName, path: tuple[tuple[int, str], ...]) -> Result:
    found = module.find(name)
    if found is None or not isinstance(found[0].names[found[1]], s.AnySpace):
        close = suggestion(name.text, [n for n, item in module.names.items() if isinstance(item, s.AnySpace)])
        if found is not None:
            raise refuse(module, "E601", f"`{name.text}` is not a space", name, help=f"`space ... of {name.text} {{ ... }}` makes one of a diagram")
        raise refuse(module, "E203", f"there is no space `{name.text}`", name, help=f"did you mean `{close}`?" if close else "")
    home, word = found
    if (id(home), word) in path:
        circle = [w for _, w in path]
        names = " → ".join([*circle[circle.index(word) :], word][:10])
        raise refuse(module, "E206", f"space `{word}` is made of itself: {names}", name)
    if len(path) > MAX_NESTED:
        raise refuse(module, "E104", f"spaces are made of spaces more than {MAX_NESTED} deep", name)
    return spaces(program, home, word, path)


def _same_header(module: Module, first: SpaceDefinition, other: SpaceDefinition, at: s.Node) -> None:
    """Members of a union stand for each other, so they have one header, up to the names of axes."""
    shapes = []
    for definition in (first, other):
        face = interface(definition.base)
        number: dict[str, int] = {}
        shapes.append([
            (port.kind.name, tuple(number.setdefault(a, len(number)) for a in port.axes)) for port in (*face.params, *face.results)
        ] + [(str(len(face.params)), ())])  # fmt: skip
    if shapes[0] != shapes[1]:
        raise refuse(
            module, "E620", f"`{other.name}` and `{first.name}` have different headers", at,
            help="the diagrams of a union take and give the same, up to the names of axes",
        )  # fmt: skip


def _restricted(module: Module, part: Defined, view: s.Guard | s.Near, several: bool) -> Defined:
    definition = part.definition
    if len(definition.where) + len(definition.within) >= MAX_VIEWS:
        raise refuse(module, "E610", f"a space of more than {MAX_VIEWS} conditions", view)
    if isinstance(view, s.Near):
        if several:
            raise refuse(module, "E619", "a union has no centre", view, help="take the neighbourhood of each space, then their union")
        return near(module, part, view)
    made = condition(module, view, part.known, {})
    return replace(part, definition=replace(definition, where=(*definition.where, made)))


def check_member(program: Program, module: Module, declared: s.MemberDecl) -> None:
    """A `member` declaration: every decision has a value that it may have."""
    try:
        found = _source(program, module, declared.of, ())
        if found is None:
            return
        if _united(program, *(module.find(declared.of) or (module, ""))):
            raise refuse(module, "E619", f"`{declared.of.text}` is a union; name the space that the member is of", declared.of)
        (only,) = found
        picked(module, only, declared.picks, declared)
    except Refused:
        return
