"""`shift[n](x, k)`: move entries by `k` places along an axis and fill with 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Shift(Op):
    """`y_i = x_(i-k)`, 0 outside; positive `k` looks into the past."""

    names: ClassVar[tuple[str, ...]] = ("shift",)
    form = "axes"
    algebra = "linear"
    knows_position = True
    static: ClassVar[dict[int, str]] = {1: "by"}
    by: int = 1

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Shift:
        return cls(int(options["by"]))

    @property
    def word(self) -> str:
        return "shift"

    @property
    def written(self) -> tuple[tuple[str, int], ...]:
        return (("", self.by),)

    @property
    def looks(self) -> str:  # type: ignore[override]
        return "past" if self.by >= 0 else "all"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 1:
            raise Problem("E311", f"`shift` takes one axis, but {len(own)} are named")

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        at = x.axes.index(emit.node.own[0])
        return [Operand(f"{emit.helper('shift')}({x.code}, {at}, {self.by})", x.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "shift", by=self.by))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"shift {own[0]} {self.by:+d}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
