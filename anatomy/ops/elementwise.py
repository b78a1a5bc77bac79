"""Functions of one real, applied entry by entry: `exp`, `tanh`, `gelu`, unary minus and their like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op

CODE: dict[str, str] = {
    "neg": "-{}",
    "exp": "torch.exp({})",
    "log": "torch.log({})",
    "sqrt": "torch.sqrt({})",
    "abs": "torch.abs({})",
    "sign": "torch.sign({})",
    "floor": "torch.floor({})",
    "tanh": "torch.tanh({})",
    "sigmoid": "torch.sigmoid({})",
    "relu": "F.relu({})",
    "gelu": "F.gelu({})",
    "silu": "F.silu({})",
    "softplus": "F.softplus({})",
    "elu": "F.elu({})",
    "sin": "torch.sin({})",
    "cos": "torch.cos({})",
    "square": "torch.square({})",
    "stop": "{}.detach()",
}
"""PyTorch code; gelu is exact (erf), elu and softplus have their usual constants (ruling 17)."""

SCALAR_CODE: dict[str, str] = {"neg": "-{}", "sqrt": "math.sqrt({})", "square": "{} ** 2"}
"""Code for Python numbers, where a plain expression says the same."""


@dataclass(frozen=True)
class Map(Op):
    """One function of `CODE`, entry by entry."""

    names: ClassVar[tuple[str, ...]] = tuple(CODE)
    function: str = "exp"

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Map:
        return cls(word)

    @property
    def word(self) -> str:
        return self.function

    @property
    def linear(self) -> bool:
        return self.function == "neg"

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.real(0)
        if x.scalar and self.function in SCALAR_CODE and not (self.function == "sqrt" and x.code.startswith("-")):
            return [Operand(SCALAR_CODE[self.function].format(x.atom), scalar=True, bare=self.function == "sqrt")]
        x = emit.tensor(0)
        prefix = self.function in ("neg", "stop")
        return [Operand(CODE[self.function].format(x.atom if prefix else x.code), x.axes, bare=self.function != "neg")]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", "−" if self.function == "neg" else self.function, minor=self.function in ("neg", "stop"))
