"""`entmax[axes](s, alpha)`: between softmax (alpha = 1) and sparsemax (alpha = 2), and beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext, down, up
from anatomy.ir.code import Emitter, Operand, by_rows
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly
from anatomy.ops import simplex

BISECTIONS = 54
"""Halvings of the interval in which the threshold lies: as many as a float64 tells apart."""


@dataclass(frozen=True)
class Entmax(Op):
    """`p_i = [(alpha - 1) s_i - t]_+ ^ (1 / (alpha - 1))` with the `t` that makes the sum over the own axes 1.

    `alpha` is a literal greater than 1, or a wire without the own axes whose values are (nothing checks them).
    1.5 and 2 are solved by sorting, any other by bisection and two steps of Newton, which carry the gradient.
    A row of -inf gives 0 with gradient 0. Sources: Peters, Niculae and Martins 2019, arXiv 1905.05702; alpha
    as a wire: Correia, Niculae and Martins 2019, arXiv 1909.00015.
    """

    names: ClassVar[tuple[str, ...]] = ("entmax",)
    form = "axes"
    static: ClassVar[dict[int, str]] = {1: "alpha"}
    inexact: ClassVar[frozenset[str]] = frozenset({"alpha"})
    wired: ClassVar[frozenset[str]] = frozenset({"alpha"})
    alpha: Fraction | None = Fraction(3, 2)

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Entmax:
        return cls(Fraction(options["alpha"]) if "alpha" in options else None)

    @property
    def word(self) -> str:
        return "entmax"

    @property
    def written(self) -> tuple[tuple[str, Fraction], ...]:
        return () if self.alpha is None else (("", self.alpha),)

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        given = frozenset(own if port == 0 else ())
        return given, given

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if self.alpha is not None and self.alpha <= 1:
            raise Problem("E209", "the `alpha` of `entmax` must be greater than 1", help=f"at 1 it is `softmax[{', '.join(own)}](...)`")

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        if self.alpha == 2:
            return [by_rows(emit, x, emit.helper("sparsemax"))]
        if self.alpha == Fraction(3, 2):
            return [by_rows(emit, x, emit.helper("entmax15"))]
        if self.alpha is not None:
            return [by_rows(emit, x, emit.helper("entmax"), f"{float(self.alpha)!r}, {BISECTIONS}")]
        lifts = emit.order(emit.lifts)
        alpha = emit.align(emit.tensor(1), lifts)
        rows = f"{alpha.atom}.unsqueeze(-1)" if alpha.axes else alpha.code
        return [by_rows(emit, emit.align(x, lifts + emit.order(emit.node.own)), emit.helper("entmax"), f"{rows}, {BISECTIONS}")]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        x, own = ctx.port(0), frozenset(ctx.node.own)
        least, most = ctx.keys(x, own)
        if self.alpha is not None:
            near = float(self.alpha)
            low, high = (near, near) if Fraction(near) == self.alpha else (down(near), up(near))
        else:
            if not ctx.port(1).constant:
                raise ctx.unproved("its alpha depends on the input")
            low, high = ctx.port(1).entry
            if low <= 1:
                raise ctx.unproved("its alpha is not proved to be greater than 1")
            x = ctx.spread(x, ctx.port(1).axes)
        if high > 2 and most > 1:
            raise ctx.unproved("where alpha > 2 its slope grows without bound as two weights reach 0")
        # u = p^(2 - alpha) <= 1, and every bound of `slope` grows with alpha.
        return [ctx.simplex(x, own, simplex.slope(most, min(high, 2.0)), simplex.total(most), simplex.peak(least, x.entry), kind=("entmax", min(high, 2.0)))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        degree = "α" if self.alpha is None else f"{float(self.alpha):g}"
        return Glyph("normalise", f"entmax {degree} {', '.join(own)}")

    def flops(self, work: Poly) -> Poly:
        return (10 if self.alpha in (2, Fraction(3, 2)) else 4 * BISECTIONS + 20) * work
