"""Indices: constants that become one, axes that a lookup must keep apart, and tables of rows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from anatomy.ir.builder import View
from anatomy.ir.poly import Poly
from anatomy.language import syntax as s
from anatomy.ops import Gather, Index, Literal, Size
from anatomy.ops.add import Add, Subtract
from anatomy.ops.elementwise import Map
from anatomy.ops.multiply import Multiply

if TYPE_CHECKING:
    from anatomy.language.expressions import Expressions


def whole(body: Expressions, view: View) -> Poly | None:
    """The value of a wire that is a polynomial of sizes with whole coefficients."""
    if view.axes:
        return None
    for node in reversed(body.builder.nodes):
        if view.wire in node.outs:
            break
    else:
        return None
    parts = [whole(body, View(p.wire, p.renames)) for p in node.ports]
    if any(p is None for p in parts):
        return None
    given = [p for p in parts if p is not None]
    match node.op:
        case Literal(value=value) if Fraction(value).denominator == 1:
            return Poly.of(int(value))
        case Size():
            return body.builder.axis(node.own[0])
        case Add():
            return given[0] + given[1]
        case Subtract():
            return given[0] - given[1]
        case Multiply():
            return given[0] * given[1]
        case Map() if node.op.word == "neg":
            return -given[0]
        case _:
            return None


def inside(body: Expressions, axis: str, view: View, at: s.Node, *, always: bool = False) -> None:
    """Refuse a constant that is outside of an axis whatever the sizes are; `always`, one that is for some."""
    value = whole(body, view)
    if value is None:
        return
    norm = body.builder.sizes.norm
    value, size = norm(value), norm(body.builder.axis(axis))
    if never_negative(value - size) or never_negative(-value - 1):
        word = axis.partition("~")[0]
        raise body.error(
            "E316", f"`{value}` is no position of axis `{word}`: they are 0 to `{size}` - 1", at,
            help=f"the last one is `size[{word}] - 1`",
        )  # fmt: skip
    if always and not (never_negative(value) and never_negative(size - value - 1)):
        word = axis.partition("~")[0]
        raise body.error(
            "E316", f"`{value}` is no position of axis `{word}` for some sizes: they are 0 to `{size}` - 1", at,
            help=f"state a size that is large enough, `where {word} = ...`, or take the nearest position there is, `index[{word}](...)`",
        )  # fmt: skip


def never_negative(value: Poly) -> bool:
    """Whether a polynomial is at least 0 for all sizes: with every size as 1 + u, no coefficient is negative."""
    shifted = value.substitute({v: Poly.var(v) + 1 for v in value.variables()})
    return all(c >= 0 for _, c in shifted.terms)


def pointed(body: Expressions, own: list[str], views: list[View], at: s.Node, operands: tuple[s.Node, ...]) -> tuple[list[str], list[View]]:
    """The operands of `gather`: a constant becomes an index, and an axis that the index has too gets a name of its own."""
    if len(own) != 1:
        raise body.error("E311", f"`gather` takes one axis, but {len(own)} are named", at)
    (axis,), (x, i) = own, views
    place = operands[1] if len(operands) > 1 else at
    if body.builder.kind(i).name == "real" and whole(body, i) is not None:
        inside(body, axis, i, place, always=True)
        (i,) = body.add(Index(), (axis,), (i,), place)
    if axis in i.axes and axis in x.axes:
        other = apart(body, axis)
        return [other], [x.rename({axis: other}), i]
    return own, [x, i]


def apart(body: Expressions, axis: str) -> str:
    """A new axis of the same size, for a box that works on an axis and is vectorised over it too."""
    other = f"{axis.partition('~')[0]}~{len(body.builder.axes)}"
    body.builder.sizes.define(other, body.builder.axis(axis))
    body.builder.axis(other)
    return other


def table(body: Expressions, e: s.Table) -> View | None:
    """`table E[v -> d](i)`: a weight whose rows are looked up."""
    learner, i = body.applied(e, "i")
    if i is None:
        return None
    own, views = pointed(body, list(learner.left), [learner.weight, i], e, (e.name, *e.args))
    (y,) = body.add(Gather(), own, views, e, (e.name, *e.args))
    return y


