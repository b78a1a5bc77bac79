"""`v, i = topk[m -> c](s)`: the greatest entries along an axis, with their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.errors import fail
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op, Problem, refuse_masks


@dataclass(frozen=True)
class Topk(Op):
    """The `size[c]` greatest entries, descending, and their positions along `m`; ties go to the lowest (ruling 17)."""

    names: ClassVar[tuple[str, ...]] = ("topk",)
    form = "arrow"
    symmetric = False
    knows_position = True
    parts: ClassVar[tuple[int, int]] = (1, 1)

    @property
    def word(self) -> str:
        return "topk"

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 2:
            raise Problem("E311", "`topk` is written `topk[m -> c](s)`, with one axis on each side")

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[:1]), frozenset(own[:1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[1:], own[1:])

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        refuse_masks(self.word, kinds)
        return (REAL, Kind("index"))

    def positional(self, own: tuple[str, ...], used: Sequence[bool]) -> tuple[str, ...]:
        return own if used[1] else own[1:]

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        whole, count = emit.node.own
        size, wanted = emit.size(whole), emit.size(count)
        if size.isdigit() and wanted.isdigit() and int(wanted) > int(size):
            raise fail("E405", f"`topk` cannot take {wanted} of the {size} entries of `{whole}`", emit.node.span)
        if not emit.wanted(1):  # nobody asks which of equal entries were taken
            code = f"{emit.helper('greatest')}({x.code}, {x.axes.index(whole)}, {wanted}, {whole!r})"
            values = Operand(code, tuple(count if a == whole else a for a in x.axes))
            return [values, values]
        pair = emit.named(Operand(f"{emit.helper('topk')}({x.code}, {x.axes.index(whole)}, {wanted}, {whole!r})")).code
        axes = tuple(count if a == whole else a for a in x.axes)
        return [Operand(f"{pair}[0]", axes), Operand(f"{pair}[1]", axes, integer=True)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.ranked(ctx.port(0), *ctx.node.own))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"topk {own[0]} → {own[1]}")
