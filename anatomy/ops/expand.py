"""`expand[a](x)`: repeat a wire along new axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Expand(Op):
    """The same value at every position of the new axes."""

    names: ClassVar[tuple[str, ...]] = ("expand",)
    form = "axes"
    algebra = "linear"

    @property
    def word(self) -> str:
        return "expand"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(), frozenset()

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        own = emit.node.own
        axes = emit.order((*x.axes, *own))
        sizes = ", ".join(emit.size(a) if a in own else "-1" for a in axes)
        return [Operand(f"{emit.align(x, axes).atom}.expand({sizes})", axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "expand"))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"repeat {', '.join(own)}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
