"""Multiplication and division by name: the result has the union of the axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext, Interval, div, down, gap, up
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

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.product([ctx.port(0), ctx.port(1)])]

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

    def bound(self, ctx: BoundContext) -> list[Bound]:
        a, b = ctx.port(0), ctx.port(1)
        if gap(b.entry) == 0:
            raise ctx.unproved("the denominator is not proved to stay away from 0")
        return [ctx.quotient(a, b, ctx.pointwise(b, "reciprocal", reciprocal, inverse_square))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("dot", "÷")


def reciprocal(x: Interval) -> Interval:
    """`1 / x` on an interval without 0, rounded outwards; its derivative is `-1 / x^2`."""
    return down(1 / x[1]), up(1 / x[0])


def inverse_square(x: Interval) -> float:
    return div(1.0, down(gap(x) * gap(x)))
