"""`iota[a]`: the position along an axis, 0 to size - 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Kind
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Iota(Op):
    """Positions; the only way, with predicates, by which a diagram knows where it is."""

    names: ClassVar[tuple[str, ...]] = ("iota",)
    form = "axes"
    arity = (0, 0)
    knows_position = True

    @property
    def word(self) -> str:
        return "iota"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 1:
            raise Problem("E311", f"`iota` takes one axis, but {len(own)} are named")

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        return (Kind("index"),)

    def lower(self, emit: Emitter) -> list[Operand]:
        (axis,) = emit.node.own
        return [Operand(f"torch.arange({emit.size(axis)}, {emit.device})", (axis,), integer=True)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.positions(ctx.node.own[0])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("source", f"iota {own[0]}", minor=True)

    def flops(self, work: Poly) -> Poly:
        return Poly()
