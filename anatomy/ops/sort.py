"""`v, i = sort[m](s)`: the entries along an axis in ascending order, with the positions they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op, Problem, refuse_masks


@dataclass(frozen=True)
class Sort(Op):
    """Ascending and stable: equal entries keep their order (ruling 17)."""

    names: ClassVar[tuple[str, ...]] = ("sort",)
    form = "axes"
    logarithmic = True
    knows_position = True
    logarithmic = True

    @property
    def word(self) -> str:
        return "sort"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 1:
            raise Problem("E311", f"`sort` takes one axis, but {len(own)} are named")

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own, own)

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        refuse_masks(self.word, kinds)
        return (REAL, Kind("index"))

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        pair = emit.named(Operand(f"torch.sort({x.code}, dim={dims(x, emit.node.own)}, stable=True)")).code
        return [Operand(f"{pair}[0]", x.axes), Operand(f"{pair}[1]", x.axes, integer=True)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        (axis,) = ctx.node.own
        return list(ctx.ranked(ctx.port(0), axis, axis))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"sort {own[0]}")
