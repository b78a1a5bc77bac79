"""Comparisons of positions, indices and reals: they make masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import MASK, Kind
from anatomy.ir.op import Op, refuse_masks

SIGNS: dict[str, str] = {"<": "<", "<=": "≤", "==": "=", "!=": "≠"}


@dataclass(frozen=True)
class Compare(Op):
    """`a < b`, `a <= b`, `a == b` or `a != b`; `>` and `>=` are these with the operands swapped."""

    names: ClassVar[tuple[str, ...]] = tuple(SIGNS)
    arity = (2, 2)
    sign: str = "<="

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Compare:
        return cls(word)

    @property
    def word(self) -> str:
        return self.sign

    @property
    def commutative(self) -> bool:  # type: ignore[override]
        return self.sign in ("==", "!=")

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        refuse_masks(self.sign, kinds)
        return (MASK,)

    def lower(self, emit: Emitter) -> list[Operand]:
        a, b = emit.operand(0), emit.operand(1)
        if a.scalar and b.scalar:
            a, b = emit.tensor(0), b
        axes = emit.order(emit.lifts)
        a, b = emit.align(a, axes), emit.align(b, axes)
        return [Operand(f"{a.atom} {self.sign} {b.atom}", axes, bare=False)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.predicate(self.sign, [ctx.port(0), ctx.port(1)])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("mask", SIGNS[self.sign], minor=True)
