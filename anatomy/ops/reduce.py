"""`sum mean max min logsumexp` over named axes: the caps that end an axis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ops.contract import Contract

CODE: dict[str, str] = {
    "sum": "{0}.sum({1})",
    "mean": "{0}.mean({1})",
    "max": "{0}.amax({1})",
    "min": "{0}.amin({1})",
    "logsumexp": "torch.logsumexp({0}, {1})",
}


@dataclass(frozen=True)
class Reduce(Op):
    """One value for each point of the remaining axes."""

    names: ClassVar[tuple[str, ...]] = tuple(CODE)
    form = "axes"
    which: str = "sum"

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Reduce:
        return cls(word)

    @property
    def word(self) -> str:
        return self.which

    @property
    def linear(self) -> bool:
        return self.which in ("sum", "mean")

    def contraction(self) -> Op | None:
        return Contract() if self.which == "sum" else None

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        kept = tuple(a for a in x.axes if a not in emit.node.own)
        return [Operand(CODE[self.which].format(x.atom, dims(x, emit.node.own)), kept)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        x, own = ctx.port(0), frozenset(ctx.node.own)
        if self.which == "sum":
            return [ctx.product([x], ctx.node.own)]
        if self.which == "mean":
            return [ctx.product([x, ctx.number(Fraction(1, ctx.points(own)))], ctx.node.own)]
        if self.which == "logsumexp":
            return [ctx.partition(x, own)]
        if self.which == "max":
            x = ctx.filled(x, own)  # -inf does not change it, while something else is left
        # The Clarke gradient over the own axes is in the simplex.
        return [replace(ctx.selection([x], own), entry=x.entry)]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        sign = {"sum": "Σ", "mean": "mean", "max": "max", "min": "min", "logsumexp": "lse"}[self.which]
        return Glyph("cap", f"{sign} {', '.join(own)}")
