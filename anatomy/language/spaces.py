"""Families and spaces of the language: which diagrams fit which hole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anatomy.errors import Label
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.loop import boxes
from anatomy.language import syntax as s
from anatomy.language.calls import interface
from anatomy.language.choices import Component, Decision, Domain, Refusal, SpaceDefinition
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


def define_space(program: Program, name: str) -> SpaceDefinition | None:
    """Check a space: every hole has a choice, every option fits, none is named twice."""
    from anatomy.language.filling import refusal

    module = program.root
    declared = module.names[name]
    if isinstance(declared, s.FamilyDecl):
        members(program, module, s.QName(declared.name.at, (declared.name,)))
        return None
    assert isinstance(declared, s.SpaceDecl)
    found = members(program, module, declared.of)
    if not found:
        return None
    base = found[0][1]
    chosen = frozenset(c.hole.text for c in declared.choices if isinstance(c, s.Choose))
    home, word = module.find(declared.of) or (module, "")
    parts = frozenset(p for p in chosen if f"{word}.{p}" in home.names)
    if parts and len(found) == 1:
        base = program.opened(home, word, parts) or base
    uses = {n.op.hole: n for n in boxes(base, base.nodes) if n.op.hole}
    decisions: list[Decision] = []
    refused: list[Refusal] = []
    failed = False
    for choice in declared.choices:
        if isinstance(choice, s.Later):
            module.report("E106", f"`{choice.word}` in a space waits for a later version", choice)
            failed = True
            continue
        hole = choice.hole.text
        if hole not in uses:
            near = suggestion(hole, uses)
            help = f"did you mean `{near}`?" if near else f"its holes are: {', '.join(uses) or 'none'}"
            inner = called(home, word, hole)
            if inner is not None:
                label, owner, part = inner
                secondary = (Label(owner.span(part), f"a part of `{label}`"),)
                help = f"`{base.name}` calls `{label}`, whose part it is: make the {declared.word} of `{label}`, or give `{base.name}` a hole of its own"
            else:
                secondary = ()
            module.report("E603", f"`{base.name}` has no hole `{hole}`", choice.hole, secondary=secondary, help=help)
            failed = True
            continue
        if any(hole == d.name for d in decisions):
            module.report("E204", f"hole `{hole}` is chosen twice", choice.hole)
            failed = True
            continue
        options: dict[str, Component] = {}
        for option in (*choice.options, *((choice.family,) if choice.family else ())):
            inner = members(program, module, option)
            if inner is None:
                failed = True
                continue
            for label, filler in inner:
                table = fits(uses[hole], filler)
                if isinstance(table, str):
                    module.report("E604", f"`{label}` does not fit hole `{hole}`: {table}", option)
                    failed = True
                elif label in options:
                    module.report("E204", f"`{label}` is offered twice to hole `{hole}`", option)
                    failed = True
                else:
                    options[label] = Component(label, filler, (), module.span(option))
        legal = []
        for label, component in () if failed else options.items():
            reason = refusal(base, hole, component.diagram)  # type: ignore[arg-type]
            if reason is None:
                legal.append(component)
            else:
                refused.append(Refusal(hole, label, reason))
        if options and not legal and not failed:
            module.report("E604", f"no option of hole `{hole}` fits: {refused[-1].reason}", choice)
            failed = True
        decisions.append(Decision(hole, "hole", Domain("one", tuple(legal)), (hole,), span=module.span(choice)))
    open_holes = [h for h in uses if not any(h == d.name for d in decisions)]
    if open_holes and not failed:
        module.report("E605", f"nothing is chosen for hole `{open_holes[0]}` of `{base.name}`", declared.name)
        failed = True
    return None if failed else SpaceDefinition(name, base, tuple(decisions), refused=tuple(refused), span=module.span(declared))
