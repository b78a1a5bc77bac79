"""`index[r](e)`: reals become indices into an axis, floored and clamped, with gradient 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Kind
from anatomy.ir.op import Op, Problem, refuse_masks
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Index(Op):
    """Floor, then clamp to 0 .. size[r] - 1 (ruling 24). The axis is only counted, never held."""

    names: ClassVar[tuple[str, ...]] = ("index",)
    form = "axes"

    @property
    def word(self) -> str:
        return "index"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 1:
            raise Problem("E311", f"`index` takes one axis, but {len(own)} are named")

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(), frozenset()

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        refuse_masks(self.word, kinds)
        return (Kind("index"),)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        (axis,) = emit.node.own
        code = f"{x.atom}.detach().floor().clamp(0, {emit.size(axis)} - 1).long()"
        return [Operand(code, x.axes, integer=True)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.rounded(ctx.port(0), ctx.node.own[0])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"index {own[0].partition('~')[0]}")

    def flops(self, work: Poly) -> Poly:
        return Poly()  # `work` runs over the axis of the index too, which no entry of the result does.
