"""Multiplication and division by name: the result has the union of the axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, infix
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ops.contract import Contract


@dataclass(frozen=True)
class Multiply(Op):
    """`a * b`, the magma of the tube notation."""

    names: ClassVar[tuple[str, ...]] = ("*",)
    arity = (2, 2)
    commutative = True
    algebra = "multilinear"

    @property
    def word(self) -> str:
        return "*"

    def contraction(self) -> Op:
        return Contract()

    def lower(self, emit: Emitter) -> list[Operand]:
        return [infix(emit, "*")]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("dot", "×")


@dataclass(frozen=True)
class Divide(Op):
    """`a / b`: linear in `a` only, and undefined where `b` vanishes."""

    names: ClassVar[tuple[str, ...]] = ("/",)
    arity = (2, 2)

    @property
    def word(self) -> str:
        return "/"

    def lower(self, emit: Emitter) -> list[Operand]:
        return [infix(emit, "/")]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("dot", "÷")
