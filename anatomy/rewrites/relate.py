"""Whether two diagrams have the same functions, or one has all those of the other, and by which weights.

Converts: two diagrams of one type into the strongest relation that is found, with its witnesses; every claim is checked
by putting the witness in and comparing normal forms.
Non-goals: refuting a relation; limits of functions (steps by universal approximation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from time import monotonic
from typing import Literal

from anatomy.errors import AnatomyError
from anatomy.ir.builder import Builder
from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import Diagram, Output
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.ir.term import term
from anatomy.rewrites.absorb import Absorbed, absorbed
from anatomy.rewrites.normal import Normal, form, normal, written
from anatomy.rewrites.reparametrise import Fill, chained, composed, reparametrised
from anatomy.rewrites.specialise import Special, at, joined, specialisations
from anatomy.rewrites.variants import distance, variants

Derivation = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Relation:
    """`left relation right`, or `right >= left` where `greater` is "right".

    `restrictions` are equations of sizes of the greater side; `forth` are fills of the left weights that give the right diagram, `back`
    fills of the right weights that give the left one. Where the `conditions` on sizes hold, `>=` is `~=`, and the fills that lead back from
    the greater side are those of then. `derivation` are the laws used, each with its side.
    `conjecture` says that a claim rests on values at random points only.
    """

    relation: Literal["==", "~=", ">="]
    greater: Literal["", "left", "right"] = ""
    restrictions: tuple[str, ...] = ()
    forth: tuple[Fill, ...] = ()
    back: tuple[Fill, ...] = ()
    conditions: tuple[str, ...] = ()
    derivation: Derivation = ()
    conjecture: bool = False


def comparable(a: Diagram, b: Diagram) -> str:
    """Why two diagrams cannot have a function in common; nothing where they can."""
    if len(a.inputs) != len(b.inputs):
        return f"`{a.name}` has {_count(len(a.inputs), 'input')}, `{b.name}` {_count(len(b.inputs), 'input')}"
    if len(a.outputs) != len(b.outputs):
        return f"`{a.name}` has {_count(len(a.outputs), 'result')}, `{b.name}` {_count(len(b.outputs), 'result')}"
    for i, j in zip(a.inputs, b.inputs, strict=True):
        mine, theirs = a.wires[i.wire].kind, b.wires[j.wire].kind
        if len(i.layout) != len(j.layout) or mine.name != theirs.name:
            return f"input `{i.name}` is {_type(mine.name, i.layout)} in `{a.name}`, and `{j.name}` is {_type(theirs.name, j.layout)} in `{b.name}`"
    for i, j in zip(a.outputs, b.outputs, strict=True):
        mine, theirs = a.wires[i.port.wire].kind, b.wires[j.port.wire].kind
        if len(i.layout) != len(j.layout) or (mine.name == "mask") != (theirs.name == "mask"):
            return f"the result is {_type(mine.name, i.layout)} in `{a.name}`, and {_type(theirs.name, j.layout)} in `{b.name}`"
    return ""


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _type(kind: str, layout: tuple[str, ...]) -> str:
    return f"{'' if kind == 'real' else kind}[{', '.join(layout)}]"


def relate(a: Diagram, b: Diagram, seconds: float = 2.0) -> Relation | None:
    """The strongest relation found between the functions of two diagrams; None where none is, or their types differ.

    `==`: one term, or one normal form. `~=`: the same after all that depends on weights only has become weights of
    their own. `>=`: a specialisation of one side is the other: weights that are 0, 1, the identity, equal, or the same along an axis,
    sizes that are 1.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d, e diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e, bias=false](x) / 2 } "
    >>> text += "diagram g(x: [n, d]) -> [n, e] { out lin V[d -> e, bias=false](x) }"
    >>> program = Program.of(Source("two.anat", text))
    >>> found = relate(program.get("f"), program.get("g"))
    >>> found.relation, [f.text for f in found.forth], [f.text for f in found.back]
    ('~=', ['W := 2 * V'], ['V := 0.5 * W'])
    """
    if comparable(a, b) or a.holes or b.holes:
        return None
    until = monotonic() + seconds
    try:
        return _same(a, b) or _absorbed(a, b) or _greater(a, b, until)
    except AnatomyError as error:
        if any(d.code == "E505" for d in error.diagnostics):
            return None
        raise


def _same(a: Diagram, b: Diagram) -> Relation | None:
    if term(a) == term(b) or (form(a) == form(b)):
        return Relation("==") if _flags(a) == _flags(b) else None
    return None


def _flags(d: Diagram) -> int:
    return sum(w.frozen for w in d.weights)


# the same functions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Reduced:
    """A diagram, what absorption makes of it, and the form of that."""

    source: Diagram
    absorbed: Absorbed
    form: Canonical


def reduced(diagram: Diagram, conditional: bool | frozenset[str] = False) -> Reduced:
    """A diagram absorbed, with what is compared."""
    found = absorbed(diagram, conditional)
    return Reduced(diagram, found, written(Normal(found.diagram, (), True)))


def _absorbed(a: Diagram, b: Diagram) -> Relation | None:
    mine, theirs = reduced(a), reduced(b)
    if mine.form != theirs.form or not _paired(mine, theirs):
        return None
    forth, back = witness(mine, theirs), witness(theirs, mine)
    both = checked(a, forth, sizes(mine, theirs), b), checked(b, back, sizes(theirs, mine), a)
    if False in both:
        return None
    return Relation("~=", forth=short(forth), back=short(back), conjecture=None in both)


def _paired(mine: Reduced, theirs: Reduced) -> bool:
    """Frozen weights stand for frozen ones only."""
    a, b = mine.absorbed.diagram, theirs.absorbed.diagram
    return all(a.weights[i].frozen == b.weights[j].frozen for i, j in zip(mine.form.weights, theirs.form.weights, strict=True))


def _fits(mine: Reduced, theirs: Reduced) -> bool:
    """No frozen weight of the first would have to be a learned one of the second."""
    a, b = mine.absorbed.diagram, theirs.absorbed.diagram
    return not any(a.weights[i].frozen > b.weights[j].frozen for i, j in zip(mine.form.weights, theirs.form.weights, strict=True))


def sizes(mine: Reduced, theirs: Reduced) -> dict[str, Poly]:
    """The size variables of the first in those of the second."""
    return {x: Poly.var(y) for x, y in zip(mine.form.sizes, theirs.form.sizes, strict=True)}


def witness(mine: Reduced, theirs: Reduced) -> tuple[Fill, ...]:
    """The weights of the first diagram in those of the second, where both have one absorbed form."""
    a, b = mine.absorbed.diagram, theirs.absorbed.diagram
    names: list[Fill] = []
    table = sizes(mine, theirs)
    for i, j, here, there in zip(mine.form.weights, theirs.form.weights, mine.form.axes, theirs.form.axes, strict=True):
        one, other = a.weights[i], b.weights[j]
        to = dict(zip(here, there, strict=True))
        builder = Builder()
        for axis, size in b.sizes.items():
            if size != Poly.var(axis):
                builder.sizes.define(axis, size)
        for axis in other.layout:
            for v in (*sorted(b.sizes[axis].variables()), axis):
                builder.axis(v)
        view = builder.weight(other.key, other.lanes, other.fan_in, other.fan_out, other.init, other.frozen)
        names.append(Fill(one.key, builder.finish("value", [Output(view.port, tuple(to[x] for x in one.layout))])))
    frozen = {w.key for w in mine.source.weights if w.frozen}
    outer = composed(mine.absorbed.fills, names, table)
    outer = (*outer, *(f for f in names if f.key in frozen))
    return composed(outer, theirs.absorbed.reads)


def short(fills: tuple[Fill, ...]) -> tuple[Fill, ...]:
    """The fills with what they compute in normal form, where that is shorter to read."""
    found = (Fill(f.key, normal(f.value).diagram) for f in fills)
    return tuple(min(pair, key=lambda f: len(f.expression)) for pair in zip(fills, found, strict=True))


def checked(diagram: Diagram, fills: tuple[Fill, ...], table: Mapping[str, Poly], goal: Diagram) -> bool | None:
    """Whether the diagram with the fills is the goal: proved (True), not (False), or by values only (None)."""
    try:
        made = reparametrised(diagram, fills, table)
        if term(made) == term(goal) or form(made) == form(goal):
            return True
        from anatomy.rewrites.equality import equal

        found = equal(made, goal, seconds=0.5)
        return True if found.proved else None if found.evaluation else False
    except (AnatomyError, Problem):
        return False


# more functions ---------------------------------------------------------------------------------


def contains(a: Diagram, b: Diagram, seconds: float = 2.0) -> Relation | None:
    """The relation `a >= b`, or a stronger one, where one is found; what `relate` gives may be the other direction, by fewer restrictions."""
    if comparable(a, b) or a.holes or b.holes:
        return None
    until = monotonic() + seconds
    try:
        return _same(a, b) or _absorbed(a, b) or next((found for found in _special(a, b, until) if found is not None), None)
    except AnatomyError as error:
        if any(d.code == "E505" for d in error.diagnostics):
            return None
        raise


def _greater(a: Diagram, b: Diagram, until: float) -> Relation | None:
    """Both directions in turns; where both hold, the one with fewer restrictions."""
    left, right = _special(a, b, until), _special(b, a, until)
    for mine, theirs in zip_longest(left, right):
        found = [mine] if mine is not None else []
        if theirs is not None:
            found.append(replace(theirs, greater="right", forth=theirs.back, back=theirs.forth))
        if found:
            return min(found, key=lambda r: (r.conjecture, len(r.restrictions)))
    return None


def wider(diagram: Diagram, like: Diagram, most: int = 12) -> list[Reduced]:
    """The diagram absorbed, and what it is under conditions on sizes that bring its weights nearer to those of another diagram.

    Each has all functions of the diagram, whether the conditions hold or not.
    """
    found = [reduced(diagram)]
    tried: set[frozenset[str]] = set()
    for one in found:
        for condition in one.absorbed.open:
            chosen = frozenset((*one.absorbed.conditions, condition))
            if chosen in tried or len(found) >= most:
                continue
            tried.add(chosen)
            more = reduced(diagram, chosen)
            if distance(more.absorbed.diagram, like) <= distance(one.absorbed.diagram, like) + 3:
                found.append(more)
    return found


def _special(a: Diagram, b: Diagram, until: float) -> Iterator[Relation | None]:
    """`a >= b`, by specialisations of a: one answer for each."""
    start = joined(a, b)
    if start is None:
        return
    restrictions, here = start
    first = reduced(here)
    goals = wider(b, first.absorbed.diagram)
    for goal in goals[1:]:
        if first.form == goal.form and goal.absorbed.conditions and _fits(first, goal):
            forth = witness(first, goal)
            known = checked(here, forth, sizes(first, goal), b)
            if known is not False:
                back, conditions = short(witness(goal, first)), goal.absorbed.conditions
                yield Relation(">=", "left", restrictions, short(forth), back, conditions, conjecture=known is None)
    for special in variants(first.absorbed.diagram, [g.absorbed.diagram for g in goals], until):
        yield None if special is None else _arrives(here, first, special, goals, b, restrictions)


def _arrives(
    here: Diagram, first: Reduced, special: Special, goals: list[Reduced], b: Diagram, restrictions: tuple[str, ...],
) -> Relation | None:  # fmt: skip
    last = reduced(special.diagram)
    for goal in goals:
        if last.form != goal.form or not _fits(last, goal):
            continue
        inner = chained(special.fills, witness(last, goal), sizes(last, goal))
        outer = composed(tuple(Fill(f.key, at(f.value, special.sizes)) for f in first.absorbed.fills), inner, sizes(last, goal))
        known = checked(at(here, special.sizes), outer, sizes(last, goal), b)
        if known is not False:
            return Relation(">=", "left", (*restrictions, *special.words), short(outer), conjecture=known is None)
    return None


__all__ = ["Reduced", "Relation", "absorbed", "comparable", "reduced", "relate", "specialisations", "witness"]
