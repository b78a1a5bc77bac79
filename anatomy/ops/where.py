"""`where(mask, a, b)`: one of two wires, entry by entry, chosen by a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, call
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op, Problem, refuse_masks


@dataclass(frozen=True)
class Where(Op):
    """`a` where the mask holds, else `b`."""

    names: ClassVar[tuple[str, ...]] = ("where",)
    arity = (3, 3)

    @property
    def word(self) -> str:
        return "where"

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        if kinds[0].name != "mask":
            raise Problem("E307", f"`where` wants a mask first, but operand 1 is {kinds[0]}", 0)
        refuse_masks("where", [REAL, *kinds[1:]])
        return (REAL,)

    def lower(self, emit: Emitter) -> list[Operand]:
        return [call(emit, "torch.where", first_is_mask=True)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.chosen(ctx.port(0), ctx.port(1), ctx.port(2))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("mask", "where")
