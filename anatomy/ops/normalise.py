"""`layernorm`, `rmsnorm`, `l2norm`, `l1norm`: a vector over the named axes divided by its own size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext, add, div, down, gap, root, up
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly

EPS: dict[str, Fraction] = {
    "layernorm": Fraction("1e-5"),
    "rmsnorm": Fraction("1e-5"),
    "l2norm": Fraction(0),
    "l1norm": Fraction(0),
}
"""Default `eps`, inside the root (ruling 17)."""


@dataclass(frozen=True)
class Normalise(Op):
    """Norms without weights; several axes act jointly.

    layernorm: `(x - mean) / sqrt(var + eps)`, biased variance; rmsnorm: `x / sqrt(mean x^2 + eps)`;
    l2norm: `x / sqrt(sum x^2 + eps)`; l1norm: `x / (sum |x| + eps)`.
    """

    names: ClassVar[tuple[str, ...]] = tuple(EPS)
    form = "axes"
    options: ClassVar[tuple[str, ...]] = ("eps",)
    which: str = "layernorm"
    eps: Fraction = Fraction("1e-5")

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Normalise:
        return cls(word, Fraction(options.get("eps", EPS[word])))

    @property
    def word(self) -> str:
        return self.which

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.named(emit.tensor(0))
        dim, eps = dims(x, emit.node.own), float(self.eps)
        plus = f" + {eps!r}" if eps else ""
        match self.which:
            case "layernorm" if emit.node.own == x.axes[-1:]:
                code = f"F.layer_norm({x.code}, {x.atom}.shape[-1:], eps={eps!r})"
                return [Operand(code, x.axes)]
            case "layernorm":
                centred = emit.named(Operand(f"{x.atom} - {x.atom}.mean({dim}, keepdim=True)", x.axes, bare=False)).code
                code = f"{centred} * torch.rsqrt(torch.square({centred}).mean({dim}, keepdim=True){plus})"
            case "rmsnorm" if emit.node.own == x.axes[-1:]:
                return [Operand(f"F.rms_norm({x.code}, {x.atom}.shape[-1:], eps={eps!r})", x.axes)]
            case "rmsnorm":
                code = f"{x.atom} * torch.rsqrt(torch.square({x.code}).mean({dim}, keepdim=True){plus})"
            case "l2norm":
                code = f"{x.atom} * torch.rsqrt(torch.square({x.code}).sum({dim}, keepdim=True){plus})"
            case _:
                code = f"{x.atom} / (torch.abs({x.code}).sum({dim}, keepdim=True){plus})"
        return [Operand(code, x.axes, bare=False)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        x, own = ctx.port(0), frozenset(ctx.node.own)
        points = ctx.points(own)
        width = root(float(points))
        # All four are c / s with a linear c of norm at most 1 in x; the least s decides the slope:
        # layernorm, rmsnorm, l2norm: D = (I - c c^T / s^2) / s up to that scale, a contraction over s.
        # l1norm: D = I / s - x sign(x)^T / s^2, of norm at most (1 + sqrt(points)) / s.
        least = 0.0 if self.which == "layernorm" else gap(x.entry)
        eps = max(0.0, down(float(self.eps)))
        if self.which == "l1norm":
            floor = max(eps, down(least * points))
            slope, radius, top = div(add(1.0, width), floor), 1.0, 1.0
        else:
            scale = 1.0 if self.which == "l2norm" else width
            norm = down(least * down(math.sqrt(points))) / (scale if scale <= 1 else up(scale)) if least else 0.0
            floor = max(down(math.sqrt(eps)) if eps else 0.0, down(norm) if norm else 0.0)
            slope, radius, top = div(1.0, floor), scale, scale
        if floor == 0:
            raise ctx.unproved("its size is not proved to stay away from 0; give it an `eps`")
        out = ctx.normalised(x, own, slope, radius, (-top, top))
        return [ctx.shared(x, out, own, float(self.eps)) if self.which == "l1norm" else out]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("normalise", f"{self.which} {', '.join(own)}", detail=f"eps={float(self.eps):g}")

    def flops(self, work: Poly) -> Poly:
        return 4 * work
