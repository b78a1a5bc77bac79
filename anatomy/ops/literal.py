"""Numbers: exact rationals, and the size of an axis as a symbolic real scalar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ir.quantity import Quantity


@dataclass(frozen=True)
class Literal(Op):
    """A number literal, kept as an exact rational (ruling 12)."""

    value: Fraction = Fraction(0)
    arity = (0, 0)

    @property
    def word(self) -> str:
        return number(self.value)

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        return (REAL,)

    def lower(self, emit: Emitter) -> list[Operand]:
        value = self.value
        code = str(value.numerator) if value.denominator == 1 and abs(value) < 2**63 else repr(float(value))
        return [Operand(code, scalar=True, bare=value >= 0)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.number(self.value)]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("source", number(self.value), minor=True)

    def flops(self, work: Poly) -> Poly:
        return Poly()


def number(value: Fraction | Quantity) -> str:
    """The shortest text that reads back as this exact rational, where one exists."""
    if isinstance(value, Quantity):
        return str(value)
    if value.denominator == 1:
        return str(value.numerator)
    text = format(float(value), ".17g")
    short = repr(float(value))
    for candidate in (short, text):
        if Fraction(candidate) == value:
            return candidate
    return f"({value.numerator} / {value.denominator})"


@dataclass(frozen=True)
class Size(Op):
    """`size[a]`: the size of an axis, a real scalar that never equals a literal."""

    names: ClassVar[tuple[str, ...]] = ("size",)
    form = "axes"
    arity = (0, 0)

    @property
    def word(self) -> str:
        return "size"

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        return (REAL,)

    def lower(self, emit: Emitter) -> list[Operand]:
        sizes = [emit.size(axis) for axis in emit.node.own]
        return [Operand(" * ".join(sizes), scalar=True, bare=len(sizes) == 1)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.number(ctx.points(ctx.node.own))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("source", f"|{'·'.join(own)}|", minor=True)

    def flops(self, work: Poly) -> Poly:
        return Poly()
