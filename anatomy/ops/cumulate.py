"""`cumsum[a](x)`: the inclusive running sum along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem


@dataclass(frozen=True)
class Cumsum(Op):
    """`y_i = sum_(j <= i) x_j`."""

    names: ClassVar[tuple[str, ...]] = ("cumsum",)
    form = "axes"
    algebra = "linear"
    knows_position = True
    looks = "past"

    @property
    def word(self) -> str:
        return "cumsum"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 1:
            raise Problem("E311", f"`cumsum` takes one axis, but {len(own)} are named")

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        return [Operand(f"torch.cumsum({x.code}, {dims(x, emit.node.own)})", x.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "cumsum"))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"cumsum {own[0]}")
