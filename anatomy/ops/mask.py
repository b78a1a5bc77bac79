"""`mask(p, s)`: scores outside the mask become -inf, so that a softmax gives them no weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op, Problem, refuse_masks


@dataclass(frozen=True)
class Mask(Op):
    """`where(p, s, -inf)` (ruling 15); `causal[p](s)` is the same with `p` checked to be causal."""

    names: ClassVar[tuple[str, ...]] = ("mask",)
    arity = (2, 2)

    @property
    def word(self) -> str:
        return "mask"

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        if kinds[0].name != "mask":
            raise Problem("E307", f"`mask` wants a mask first, but operand 1 is {kinds[0]}", 0)
        refuse_masks("mask", [REAL, kinds[1]])
        return (REAL,)

    def lower(self, emit: Emitter) -> list[Operand]:
        axes = emit.order(emit.lifts)
        p, s = emit.align(emit.operand(0), axes), emit.align(emit.tensor(1), axes)
        return [Operand(f'torch.where({p.code}, {s.code}, float("-inf"))', axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.masked(ctx.port(0), ctx.port(1))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("mask", "mask")
