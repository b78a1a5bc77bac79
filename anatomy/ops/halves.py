"""`halves[e -> r](x)`: the lower and the upper contiguous half of an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Halves(Op):
    """Two outputs: positions `0 .. r-1` and `r .. 2r-1`."""

    names: ClassVar[tuple[str, ...]] = ("halves",)
    form = "arrow"
    symmetric = False
    algebra = "linear"
    knows_position = True
    parts: tuple[int, int] = (1, 1)

    @property
    def word(self) -> str:
        return "halves"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 2:
            raise Problem("E311", "`halves` is written `halves[e -> r](x)`, with one axis on each side")

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[:1]), frozenset(own[:1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[1:], own[1:])

    def equations(self, own: tuple[str, ...], size: Callable[[str], Poly], ports: int) -> list[tuple[Poly, Poly, str]]:
        return [(size(own[0]), 2 * size(own[1]), f"`halves` of `{own[0]}` into `{own[1]}`")]

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.named(emit.tensor(0))
        whole, half = emit.node.own
        axes = tuple(half if a == whole else a for a in x.axes)
        at = x.axes.index(whole)
        r = emit.size(half)
        return [
            Operand(f"{x.atom}.narrow({at}, 0, {r})", axes),
            Operand(f"{x.atom}.narrow({at}, {r}, {r})", axes),
        ]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "halves"))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"halves {own[0]} → {own[1]}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
