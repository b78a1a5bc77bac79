"""What a rule's `where` says, proved where the rule is to be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from anatomy.ir.builder import View
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.ir.quantity import Quantity
from anatomy.language.rules import Condition
from anatomy.ops import Contract, Multiply
from anatomy.rewrites.finite import Same
from anatomy.rewrites.grouping import Group
from anatomy.rewrites.instance import Unary
from anatomy.rewrites.ranges import ANY, Range, Ranges, of_size, point
from anatomy.rewrites.rows import Rows, never_negative


@dataclass(frozen=True)
class Place:
    """A match as far as conditions see it: sizes and numbers of the rule, its maps, its parameters with the axes that they have there."""

    diagram: Diagram
    sizes: Mapping[str, Poly]
    numbers: Mapping[str, Fraction]
    maps: Mapping[str, Unary]
    wires: Mapping[str, View]
    axes: Mapping[str, str]
    groups: Mapping[int, Group]


def unproved(conditions: Sequence[Condition], at: Place) -> Condition | None:
    """The first condition that is not proved at a match."""
    return next((c for c in conditions if not _proved(c, at)), None)


def _proved(c: Condition, at: Place) -> bool:
    if c.sign == "vanishes":
        f = at.maps.get(str(c.left.parts[0]))
        return f is not None and (f.vanishes or (f.op.word == "/" and f.place == 0 and f.wire is not None and ranges(at.diagram).of(f.wire).nonzero))
    if c.sign == "some":
        view = at.wires.get(str(c.left.parts[0]))
        back = {inner: outer for outer, inner in view.renames} if view is not None else {}
        here = [back.get(at.axes.get(a, "")) for a in c.axes]
        return view is not None and None not in here and Rows(at.diagram, at.groups).some(view.wire, [a for a in here if a])
    if c.wire is None:
        known = c.at(at.numbers)
        if known is not None:
            return known
        left, right = _poly(c.left, at), _poly(c.right, at)
        if left is not None and right is not None:
            return _sizes(c.sign, left, right)
    left, right = _range(c.left, at), _range(c.right, at)
    gap = right - left
    match c.sign:
        case "<" | "<=":
            return gap.above(Fraction(0), c.sign == "<")
        case "!=":
            return gap.nonzero
    return False


def _sizes(sign: str, a: Poly, b: Poly) -> bool:
    match sign:
        case "=":
            return a == b
        case "!=":
            return never_negative(b - a - 1) or never_negative(a - b - 1)
    return never_negative(b - a - (1 if sign == "<" else 0))


def _poly(q: Quantity, at: Place) -> Poly | None:
    """A formula of sizes and whole numbers."""
    if q.form == "size":
        size = q.parts[0]
        known = isinstance(size, Poly) and size.variables() <= at.sizes.keys()
        return at.diagram.settled.of(size.substitute(at.sizes)) if known else None  # type: ignore[union-attr]
    value = q.at(at.numbers)
    if value is not None:
        return Poly.of(int(value)) if value.denominator == 1 else None
    if q.form not in ("+", "-", "*"):
        return None
    a, b = (_poly(p, at) for p in q.parts if isinstance(p, Quantity))
    if a is None or b is None:
        return None
    return a + b if q.form == "+" else a - b if q.form == "-" else a * b


def _range(q: Quantity, at: Place) -> Range:
    value = q.at(at.numbers)
    if value is not None:
        return point(value)
    match q.form:
        case "size":
            size = _poly(q, at)
            return ANY if size is None else of_size(size)
        case "wire":
            view = at.wires.get(str(q.parts[0]))
            return ANY if view is None else range_of(at.diagram, view.wire, at.groups)
        case "+" | "-" | "*" | "/":
            a, b = (_range(p, at) for p in q.parts if isinstance(p, Quantity))
            return a + b if q.form == "+" else a - b if q.form == "-" else a * b if q.form == "*" else a * b.inverse
    return ANY


def range_of(diagram: Diagram, wire: int, groups: Mapping[int, Group]) -> Range:
    """Of a wire, or of a group of operands that a match takes as one."""
    known = ranges(diagram)
    if wire not in groups:
        return known.of(wire)
    group = groups[wire]
    for p in group.ports:
        known.of(p.wire)
    if isinstance(group.op, Multiply | Contract):
        return known.product(group.ports)
    if group.op.word == "+":
        found = known.of(group.ports[0].wire)
        for p in group.ports[1:]:
            found = found + known.of(p.wire)
        return found
    return ANY


def ranges(diagram: Diagram) -> Ranges:
    """Those of a diagram, made once."""
    return _ranges(Same(diagram))


@lru_cache(maxsize=16)
def _ranges(same: Same) -> Ranges:
    assert isinstance(same.thing, Diagram)
    return Ranges(same.thing)
