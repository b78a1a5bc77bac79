"""Numbers and maps that a rule leaves open, where an operand or an attribute of a box is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from anatomy.ir.builder import View
from anatomy.ir.op import Op, Problem
from anatomy.ir.quantity import Quantity
from anatomy.language import syntax as s
from anatomy.ops import Literal, Map

if TYPE_CHECKING:
    from anatomy.language.expressions import Expressions


def number(open: Mapping[str, str], e: s.Expr) -> Quantity | None:
    """An expression as a formula, where it is made of numbers and of variables of a rule only."""
    match e:
        case s.Number():
            return Quantity("number", (e.value,))
        case s.Ref(name=s.QName(parts=(only,))) if open.get(only.text) in ("number", "integer"):
            return Quantity("variable", (only.text,))
        case s.Unary(op="-", operand=operand):
            inner = number(open, operand)
            return inner and Quantity("-", (Quantity.of(0), inner))
        case s.Binary(op="+" | "-" | "*" | "/" as op, left=left, right=right):
            a, b = number(open, left), number(open, right)
            return Quantity(op, (a, b)) if a is not None and b is not None else None
    return None


def formula(open: Mapping[str, str], e: s.Expr) -> Quantity | None:
    """The same, where it has a variable."""
    found = number(open, e) if open else None
    return found if found is not None and found.names("variable") else None


def whole(open: Mapping[str, str], value: Quantity) -> bool:
    """Whether it is an integer for all integers."""
    if any(open[v] != "integer" for v in value.names("variable")):
        return False
    return not _divides(value) and all(leaf.form != "number" or leaf.parts[0].denominator == 1 for leaf in value.leaves)  # type: ignore[union-attr]


def _divides(value: Quantity) -> bool:
    return value.form == "/" or any(isinstance(p, Quantity) and _divides(p) for p in value.parts)


def literal(body: Expressions, value: Quantity, at: s.Node) -> list[View | None]:
    """A number that is left open, as a wire."""
    return opened(body, {"value": value}, [*body.add(Literal(), (), (), at)])


def mapped(body: Expressions, e: s.Call) -> list[View | None]:
    """A map that is left open, at work."""
    if e.bracket is not None or e.named or len(e.args) != 1:
        raise body.error("E301", f"`{e.name.text}` is a map of one real: `{e.name.text}(x)`", e)
    view = body.value(e.args[0])
    return [None] if view is None else list(body.add(Map(e.name.text), (), [view], e, e.args))


def made(
    kind: type[Op], word: str, options: Mapping[str, object], given: Mapping[str, Quantity],
    points: list[dict[str, Fraction]], own: list[str], views: list[View],
) -> Op:  # fmt: skip
    """The operation at the first point at which it exists."""
    op = None
    for point in points:
        op = kind.make(word, {**options, **{n: q.at(point) or Fraction(0) for n, q in given.items()}})  # type: ignore[dict-item]
        try:
            op.check(tuple(own), [v.axes for v in views])
        except Problem:
            continue
        break
    assert op is not None
    return op


def opened(body: Expressions, given: Mapping[str, Quantity], views: list[View | None]) -> list[View | None]:
    """The box just made, with formulas as its attributes."""
    nodes = body.builder.nodes
    nodes[-1] = replace(nodes[-1], op=replace(nodes[-1].op, **given))  # type: ignore[type-var]
    return views
