"""`fft_re[n, d](x)` and `fft_im[n, d](x)`: real and imaginary part of the joint discrete Fourier transform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Fourier(Op):
    """Unnormalised DFT over the named axes together."""

    names: ClassVar[tuple[str, ...]] = ("fft_re", "fft_im")
    form = "axes"
    logarithmic = True
    algebra = "linear"
    knows_position = True
    part: Literal["re", "im"] = "re"

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Fourier:
        return cls("re" if word == "fft_re" else "im")

    @property
    def word(self) -> str:
        return f"fft_{self.part}"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        dim = dims(x, emit.node.own, always_tuple=True)
        return [Operand(f"torch.fft.fftn({x.code}, dim={dim}).{'real' if self.part == 're' else 'imag'}", x.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return list(ctx.linear(ctx.port(0), self.word))

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("normalise", f"{'Re' if self.part == 're' else 'Im'} F {', '.join(own)}")

    def flops(self, work: Poly) -> Poly:
        return 10 * work
