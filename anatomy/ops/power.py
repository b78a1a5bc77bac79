"""`a ^ b`: binds tighter than unary minus, and to the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, infix
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Power(Op):
    """`a ^ b` entry by entry."""

    names: ClassVar[tuple[str, ...]] = ("^",)
    arity = (2, 2)

    @property
    def word(self) -> str:
        return "^"

    def lower(self, emit: Emitter) -> list[Operand]:
        return [infix(emit, "**")]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", "^")
