"""`and`, `or`, `not` on masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import MASK, Kind
from anatomy.ir.op import Op, Problem


def want_masks(word: str, kinds: Sequence[Kind]) -> None:
    for port, kind in enumerate(kinds):
        if kind.name != "mask":
            raise Problem("E307", f"`{word}` wants masks, but operand {port + 1} is {kind}", port)


@dataclass(frozen=True)
class Both(Op):
    """`p and q`, `p or q`."""

    names: ClassVar[tuple[str, ...]] = ("and", "or")
    arity = (2, 2)
    commutative = True
    which: str = "and"

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Both:
        return cls(word)

    @property
    def word(self) -> str:
        return self.which

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        want_masks(self.which, kinds)
        return (MASK,)

    def lower(self, emit: Emitter) -> list[Operand]:
        axes = emit.order(emit.lifts)
        a, b = emit.align(emit.operand(0), axes), emit.align(emit.operand(1), axes)
        return [Operand(f"{a.atom} {'&' if self.which == 'and' else '|'} {b.atom}", axes, bare=False)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.predicate(self.which, [ctx.port(0), ctx.port(1)])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("mask", self.which, minor=True)


@dataclass(frozen=True)
class Not(Op):
    """`not p`."""

    names: ClassVar[tuple[str, ...]] = ("not",)

    @property
    def word(self) -> str:
        return "not"

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        want_masks("not", kinds)
        return (MASK,)

    def lower(self, emit: Emitter) -> list[Operand]:
        p = emit.operand(0)
        return [Operand(f"~{p.atom}", p.axes, bare=False)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.predicate("not", [ctx.port(0)])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("mask", "not", minor=True)
