"""`softmax[axes](s)`: one distribution over the product of the named axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Softmax(Op):
    """`exp(s) / sum_own exp(s)`; a row of -inf gives 0 with gradient 0 (ruling 15).

    A primitive, and not exp-then-divide, because the composition loses the factor 1/2 of its Lipschitz
    constant and its shift invariance.
    """

    names: ClassVar[tuple[str, ...]] = ("softmax",)
    form = "axes"

    @property
    def word(self) -> str:
        return "softmax"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        dim = dims(x, emit.node.own)
        if emit.masked(0):
            return [Operand(f"{emit.helper('masked_softmax')}({x.code}, {dim})", x.axes)]
        if len(emit.node.own) == 1:
            return [Operand(f"torch.softmax({x.code}, {dim})", x.axes)]
        x = emit.named(x)
        return [Operand(f"torch.exp({x.atom} - torch.logsumexp({x.code}, {dim}, keepdim=True))", x.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.distribution(ctx.port(0), frozenset(ctx.node.own))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("normalise", f"softmax {', '.join(own)}")

    def flops(self, work: Poly) -> Poly:
        return 5 * work
