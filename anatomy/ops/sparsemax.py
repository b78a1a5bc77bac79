"""`sparsemax[axes](s)`: the Euclidean projection of scores onto the distributions over the named axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, by_rows
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ops import simplex


@dataclass(frozen=True)
class Sparsemax(Op):
    """`p = argmin |p - s|` over `p >= 0, sum_own p = 1`, that is `max(s - t, 0)` with the `t` that makes the sum 1.

    A row of -inf gives 0 with gradient 0. A projection onto a convex set, so of slope at most 1.
    Source: Martins and Astudillo 2016, arXiv 1602.02068.
    """

    names: ClassVar[tuple[str, ...]] = ("sparsemax",)
    form = "axes"

    @property
    def word(self) -> str:
        return "sparsemax"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        return [by_rows(emit, emit.tensor(0), emit.helper("sparsemax"))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        x, own = ctx.port(0), frozenset(ctx.node.own)
        least, most = ctx.keys(x, own)
        # On a support of k the Jacobian is the projection I - 1 1^T / k (op. cit., section 2.5).
        return [ctx.simplex(x, own, simplex.slope(most, 2.0), simplex.total(most), simplex.peak(least, x.entry), kind=("entmax", 2.0))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("normalise", f"sparsemax {', '.join(own)}")

    def flops(self, work: Poly) -> Poly:
        return 8 * work
