"""`unfold[n -> c](x)`: a window of entries for every position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Unfold(Op):
    """`y[n, c] = x[n - step (size[c] - 1 - c)]`, 0 outside: the last entry is position n itself, none is later.

    Centred, `y[n, c] = x[n + step (c - h)]` with `h = floor(size[c] / 2)`.
    """

    names: ClassVar[tuple[str, ...]] = ("unfold",)
    form = "arrow"
    symmetric = False
    algebra = "linear"
    knows_position = True
    options: ClassVar[tuple[str, ...]] = ("step", "centred")
    flags: ClassVar[frozenset[str]] = frozenset({"centred"})
    parts: ClassVar[tuple[int, int]] = (1, 1)
    step: int = 1
    centred: bool = False

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Unfold:
        step = Fraction(options.get("step", 1))
        return cls(int(step) if step.denominator == 1 else 0, bool(options.get("centred", False)))

    @property
    def word(self) -> str:
        return "unfold"

    @property
    def looks(self) -> str:  # type: ignore[override]
        return "all" if self.centred else "past"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 2:
            raise Problem("E311", "`unfold` is written `unfold[n -> c](x)`, with one axis on each side")
        if self.step < 1:
            raise Problem("E209", "the `step` of `unfold` is a whole number of at least 1")

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[:1]), frozenset(own[:1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        axis, window = emit.node.own
        back = f"{emit.size(window)} // 2" if self.centred else f"{emit.size(window)} - 1"
        code = f"{emit.helper('unfold')}({x.code}, {x.axes.index(axis)}, {emit.size(window)}, {back}, {self.step})"
        return [Operand(code, (*x.axes, window))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "unfold", step=self.step, centred=self.centred))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        how = " centred" * self.centred + f" step {self.step}" * (self.step > 1)
        return Glyph("structure", f"unfold {own[0]} → {own[0]} {own[1]}{how}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
