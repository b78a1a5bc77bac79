"""`noise z: [m] ~ gumbel`: numbers that are drawn anew at every forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import INF, Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op

LAWS: dict[str, tuple[int, int]] = {"normal": (0, 1), "uniform": (1, 2), "gumbel": (0, 0)}
"""Distributions with the number of their arguments."""


@dataclass(frozen=True)
class Noise(Op):
    """Independent entries: normal(s), uniform(a) on (-a, a), uniform(a, b), or standard Gumbel, -log(-log u).

    Its axes are those it declares and the lanes and lifts it stands in; at compile time it has every lift. It is
    never merged with another (ruling 16). Bounds and derivatives are those for a fixed draw.
    """

    names: ClassVar[tuple[str, ...]] = ()
    arity = (0, 0)
    symmetric = False
    knows_position = True
    random = True
    law: str = "normal"
    args: tuple[float, ...] = ()

    @property
    def word(self) -> str:
        return "noise"

    def __str__(self) -> str:
        return f"{self.law}({', '.join(f'{a:g}' for a in self.args)})" if self.args else self.law

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    @property
    def interval(self) -> tuple[float, float]:
        if self.law != "uniform":
            return -INF, INF
        a, b = self.args if len(self.args) == 2 else (-self.args[0], self.args[0])
        return min(a, b), max(a, b)

    def lower(self, emit: Emitter) -> list[Operand]:
        axes = (*emit.lift, *emit.node.own)
        shape = f"({', '.join(emit.extent(a) for a in axes)}{',' if len(axes) == 1 else ''})"
        match self.law:
            case "gumbel":
                code = f"{emit.helper('gumbel')}({shape}, {emit.like})"
            case "normal":
                code = f"torch.randn({shape}, {emit.like})" + (f" * {self.args[0]!r}" if self.args and self.args[0] != 1 else "")
            case _:
                low, high = self.interval
                code = f"torch.rand({shape}, {emit.like}) * {high - low!r} + {low!r}"
        # Bound to a name at its place, so that noises are drawn in the order of the text.
        return [emit.named(Operand(code, axes, bare=False))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.drawn(ctx.node.own, self.interval)]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("source", f"noise {self}")


