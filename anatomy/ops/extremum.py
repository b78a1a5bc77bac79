"""`max(a, b)` and `min(a, b)`, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, call
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Extremum(Op):
    """The greater or the smaller of two wires."""

    names: ClassVar[tuple[str, ...]] = ("max", "min")
    arity = (2, 2)
    commutative = True
    which: Literal["max", "min"] = "max"

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Extremum:
        return cls("max" if word == "max" else "min")

    @property
    def word(self) -> str:
        return self.which

    def lower(self, emit: Emitter) -> list[Operand]:
        return [call(emit, "torch.maximum" if self.which == "max" else "torch.minimum")]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        a, b = ctx.port(0), ctx.port(1)
        pick = max if self.which == "max" else min
        entry = pick(a.entry[0], b.entry[0]), pick(a.entry[1], b.entry[1])
        return [replace(ctx.selection([a, b], frozenset()), entry=entry)]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", self.which)
