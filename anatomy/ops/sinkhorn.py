"""`sinkhorn[n, m](s, steps=k)`: a matrix of scores made doubly stochastic by normalising rows and columns in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext, Triple, mul
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly

MOST = 1000


@dataclass(frozen=True)
class Sinkhorn(Op):
    """`s <- s - logsumexp_n s`, then `s <- s - logsumexp_m s`, `steps` times; the result is `exp(s)` (ruling 17).

    The sums over the second axis are 1; those over the first tend to the ratio of the sizes. A row or a column of -inf
    stays empty and gives 0 with gradient 0. Source: Sinkhorn 1964; as attention: Sander et al. 2022, arXiv 2110.11773.
    """

    names: ClassVar[tuple[str, ...]] = ("sinkhorn",)
    form = "axes"
    symmetric = False
    static: ClassVar[dict[int, str]] = {1: "steps"}
    steps: int = 1

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Sinkhorn:
        return cls(int(options["steps"]))

    @property
    def word(self) -> str:
        return "sinkhorn"

    @property
    def written(self) -> tuple[tuple[str, int], ...]:
        return (("steps", self.steps),)

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 2:
            raise Problem("E311", f"`sinkhorn` takes two axes, but {len(own)} {'is' if len(own) == 1 else 'are'} named")
        if not 1 <= self.steps <= MOST:
            raise Problem("E209", f"`sinkhorn` makes 1 to {MOST} steps, not {self.steps}")

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        first, last = (x.axes.index(a) for a in emit.node.own)
        emit.helper("log_normal")
        return [Operand(f"{emit.helper('sinkhorn')}({x.code}, {first}, {last}, {self.steps})", x.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        x, own = ctx.port(0), frozenset(ctx.node.own)
        rows, columns = ctx.node.own
        # The result is softmax_m(s + g) with a potential g over m. In the maximum norm logsumexp has slope 1, so each of
        # the 2 k updates of a potential adds |ds| once: |dg| <= (2k - 1) |ds|, |d(s + g)| <= 2k |ds|. A softmax takes
        # that to entries of half the size and, summed over m, to at most its size; there are `size n` rows.
        # A column of the Jacobian is the answer to one |ds_ij| = 1, so the sum over all rows bounds its absolute sum.
        reach = 2.0 * self.steps if ctx.points(own) > 1 else 0.0
        slope = Triple.of(mul(reach, float(ctx.size(rows))), None, reach / 2)
        return [ctx.simplex(x, own, slope, reach, 1.0, over=frozenset({columns}), kind=("sinkhorn", 2 * self.steps))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("normalise", f"sinkhorn {', '.join(own)}", detail=f"{self.steps} steps")

    def flops(self, work: Poly) -> Poly:
        return (10 * self.steps + 1) * work
