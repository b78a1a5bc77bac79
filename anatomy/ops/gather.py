"""`gather[m](x, i)`: the entries of an axis that an index wire points at."""

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
class Gather(Op):
    """`y = x at m = i`: the axes of `x` without `m` and those of `i`; axes that both have are zipped (ruling 24).

    Entries of any kind are moved: reals, masks and indices. The derivative is that of `x`; none flows to `i`.
    """

    names: ClassVar[tuple[str, ...]] = ("gather",)
    form = "axes"
    arity = (2, 2)
    knows_position = True
    into: ClassVar[dict[int, int]] = {1: 0}

    @property
    def word(self) -> str:
        return "gather"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 1:
            raise Problem("E311", f"`gather` takes one axis, but {len(own)} are named")

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        axes = frozenset(own) if port == 0 else frozenset()
        return axes, axes

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        return (kinds[0],)

    def lower(self, emit: Emitter) -> list[Operand]:
        x, i = emit.operand(0), emit.operand(1)
        if x.scalar:
            x = emit.tensor(0)
        (axis,) = emit.node.own
        shared = emit.order(tuple(a for a in x.axes if a in i.axes))
        new = emit.order(tuple(a for a in i.axes if a not in shared))
        rest = emit.order(tuple(a for a in x.axes if a not in shared and a != axis))
        x, i = emit.permute(x, (*shared, axis, *rest)), emit.permute(i, (*shared, *new))
        code = f"{emit.helper('gather')}({x.code}, {i.code}, {len(shared)})"
        return [Operand(code, (*shared, *new, *rest), integer=x.integer)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.picked(ctx.port(0), ctx.port(1), ctx.node.own[0])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"gather {own[0].partition('~')[0]}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
