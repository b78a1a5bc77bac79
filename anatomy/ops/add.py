"""Addition and subtraction by name: the result has the union of the axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, infix
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Add(Op):
    """`a + b`."""

    names: ClassVar[tuple[str, ...]] = ("+",)
    arity = (2, 2)
    commutative = True
    algebra = "linear"

    @property
    def word(self) -> str:
        return "+"

    def lower(self, emit: Emitter) -> list[Operand]:
        return [infix(emit, "+")]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.total([ctx.port(0), ctx.port(1)])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("dot", "+")


@dataclass(frozen=True)
class Subtract(Op):
    """`a - b`."""

    names: ClassVar[tuple[str, ...]] = ("-",)
    arity = (2, 2)
    algebra = "linear"

    @property
    def word(self) -> str:
        return "-"

    def lower(self, emit: Emitter) -> list[Operand]:
        return [infix(emit, "-")]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.total([ctx.port(0), ctx.weighted(ctx.port(1), -1)])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("dot", "−")
