"""A diagram with parts left open, its own and those of the diagrams that it calls, ready to be decided about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anatomy.ir.graph import Diagram, Node
from anatomy.ir.loop import boxes
from anatomy.language import syntax as s
from anatomy.language.scope import Module
from anatomy.language.weigh import callees
from anatomy.ops import Hole

if TYPE_CHECKING:
    from anatomy.language.program import Program


@dataclass(frozen=True)
class Opened:
    """A diagram, the uses of its holes, and the parts that were in them before they were opened: (label, diagram)."""

    base: Diagram
    uses: dict[str, tuple[Node, ...]]
    defaults: dict[str, tuple[str, Diagram]]


def own_parts(home: Module, word: str) -> dict[str, str]:
    """The parts of a diagram, each with the name under which it is declared."""
    start = f"{word}."
    return {name.removeprefix(start): name for name, item in home.names.items() if name.startswith(start) and isinstance(item, s.PartDecl)}


def parts_below(home: Module, word: str) -> dict[str, str]:
    """The parts of the diagrams of the same file that one calls, or its callees do, the nearest first."""
    found: dict[str, str] = {}
    seen = {(id(home), word)}
    queue = [(home, word)]
    for here, name in queue:
        for place, callee, _, _ in callees(here, name):
            if (id(place), callee) not in seen:
                seen.add((id(place), callee))
                queue.append((place, callee))
                if place is home and "." not in callee:
                    for part, full in own_parts(home, callee).items():
                        found.setdefault(part, full)
    return found


def opened(program: Program, home: Module, word: str, wanted: Iterable[str] | None) -> Opened | None:
    """A diagram with the wanted parts open, or with all that can be (`wanted` is None); None when it has errors.

    A wanted name that is no part is left alone. A part of a called diagram is opened where the diagram has none of the
    name itself; its uses are filled alike.
    """
    closed = program.diagram(home, word)
    if closed is None:
        return None
    own, below = own_parts(home, word), parts_below(home, word)
    below = {part: full for part, full in below.items() if part not in own and part not in closed.holes}
    names = {*own, *below} if wanted is None else set(wanted)
    key = (id(home), word, frozenset(names))
    if key not in program.open:
        program.open[key] = _opened(program, home, word, closed, own, below, names, wanted is None)
    return program.open[key]


def _opened(
    program: Program, home: Module, word: str, closed: Diagram, own: dict[str, str], below: dict[str, str], names: set[str], every: bool
) -> Opened | None:  # fmt: skip
    mine, theirs = frozenset(own.keys() & names), frozenset(below.keys() & names)
    base: Diagram | None = closed
    if mine or theirs:
        base = _elaborated(program, home, word, mine, theirs, quiet=every)
        if base is None and every:
            # A part that stands where no hole may (in turns that share their weights) stays as it is.
            mine = frozenset(p for p in mine if _elaborated(program, home, word, frozenset([p]), frozenset(), True))
            theirs = frozenset(p for p in theirs if _elaborated(program, home, word, frozenset(), frozenset([p]), True))
            base = _elaborated(program, home, word, mine, theirs, True) if mine or theirs else closed
    if base is None:
        return None
    uses: dict[str, list[Node]] = {}
    for node in boxes(base, base.nodes):
        if isinstance(node.op, Hole):
            uses.setdefault(node.op.hole, []).append(node)
    defaults: dict[str, tuple[str, Diagram]] = {}
    for part, full in (*own.items(), *below.items()):
        if part in mine or part in theirs:
            default = program.diagram(home, full)
            if default is None:
                return None
            defaults[part] = (full, default)
    return Opened(base, {hole: tuple(nodes) for hole, nodes in uses.items()}, defaults)


def _elaborated(
    program: Program, home: Module, word: str, mine: frozenset[str], theirs: frozenset[str], quiet: bool
) -> Diagram | None:  # fmt: skip
    """In a program of its own, because what is called is another diagram when it is open."""
    aside = type(program)(home, program.library, through=theirs)
    base = aside.opened(home, word, mine)
    if base is None and not quiet:
        program.found.extend(d for d in aside.found if d not in program.found)
    return base
