"""`split[n -> c, r]` and `merge[c, r -> n]`: one axis as several and back, row-major, left outermost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Split(Op):
    """`n` becomes `c, r` with `i_n = i_c * size[r] + i_r`."""

    names: ClassVar[tuple[str, ...]] = ("split",)
    form = "arrow"
    symmetric = False
    algebra = "linear"
    knows_position = True
    parts: tuple[int, int] = (1, 2)

    @property
    def word(self) -> str:
        return "split"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[:1]), frozenset(own[:1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[1:],)

    def equations(self, own: tuple[str, ...], size: Callable[[str], Poly], ports: int) -> list[tuple[Poly, Poly, str]]:
        parts = prod((size(a) for a in own[1:]), start=Poly.of(1))
        return [(size(own[0]), parts, f"`split` of `{own[0]}` into {', '.join(f'`{a}`' for a in own[1:])}")]

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        whole, *parts = emit.node.own
        at = x.axes.index(whole)
        sizes = ", ".join(emit.size(a) for a in parts)
        axes = (*x.axes[:at], *parts, *x.axes[at + 1 :])
        return [Operand(f"{x.atom}.unflatten({at}, ({sizes},))", axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "split"))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"{own[0]} → {' '.join(own[1:])}")

    def flops(self, work: Poly) -> Poly:
        return Poly()


@dataclass(frozen=True)
class Merge(Op):
    """`c, r` become `n` with `i_n = i_c * size[r] + i_r`."""

    names: ClassVar[tuple[str, ...]] = ("merge",)
    form = "arrow"
    symmetric = False
    algebra = "linear"
    knows_position = True
    parts: tuple[int, int] = (2, 1)

    @property
    def word(self) -> str:
        return "merge"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[:-1]), frozenset(own[:-1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[-1:],)

    def equations(self, own: tuple[str, ...], size: Callable[[str], Poly], ports: int) -> list[tuple[Poly, Poly, str]]:
        parts = prod((size(a) for a in own[:-1]), start=Poly.of(1))
        return [(size(own[-1]), parts, f"`merge` of {', '.join(f'`{a}`' for a in own[:-1])} into `{own[-1]}`")]

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        *parts, whole = emit.node.own
        rest = tuple(a for a in x.axes if a not in parts)
        x = emit.permute(x, (*rest, *parts))
        return [Operand(f"{x.atom}.flatten({len(rest)})", (*rest, whole))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), "merge"))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"{' '.join(own[:-1])} → {own[-1]}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
