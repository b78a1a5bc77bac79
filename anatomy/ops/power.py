"""`a ^ b`: binds tighter than unary minus, and to the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext, Image, Interval, Steepness, hull_of_products, magnitude, mul
from anatomy.ir.code import Emitter, Operand, infix
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ops.elementwise import CURVES

GREATEST = 1024
"""The greatest exponent that is taken as a product; beyond it a power is `exp(b log a)`."""


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

    def bound(self, ctx: BoundContext) -> list[Bound]:
        a, b = ctx.port(0), ctx.port(1)
        exponent = ctx.single(b)
        if exponent is not None and 0 <= exponent <= GREATEST and exponent == int(exponent):
            return [ctx.pointwise(a, f"power {int(exponent)}", *integer_power(int(exponent)))]
        if a.entry[0] <= 0:
            raise ctx.unproved("the base of a power is not proved to be positive")
        logarithm = ctx.pointwise(a, "log", *CURVES["log"])
        return [ctx.pointwise(ctx.product([b, logarithm]), "exp", *CURVES["exp"])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", "^")


def integer_power(p: int) -> tuple[Image, Steepness]:
    """`x^p` for p >= 0: image and `p max|x|^(p - 1)`, rounded outwards."""

    def image(x: Interval) -> Interval:
        out = (1.0, 1.0)
        for _ in range(p):
            out = hull_of_products(out, x)
        return (max(out[0], 0.0), out[1]) if p % 2 == 0 else out

    def slope(x: Interval) -> float:
        return mul(float(p), *[magnitude(x)] * (p - 1)) if p else 0.0

    return image, slope
