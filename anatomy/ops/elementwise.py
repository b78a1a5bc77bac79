"""Functions of one real, applied entry by entry: `exp`, `tanh`, `gelu`, unary minus and their like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import (
    INF,
    Bound,
    BoundContext,
    Image,
    Interval,
    Steepness,
    div,
    down,
    enclose,
    gap,
    magnitude,
    mul,
    up,
)
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
    "softplus": "F.softplus({}, threshold=40.0)",
    "elu": "F.elu({})",
    "sin": "torch.sin({})",
    "cos": "torch.cos({})",
    "square": "torch.square({})",
    "stop": "{}.detach()",
}
"""PyTorch code; gelu is exact (erf), elu and softplus have their usual constants (ruling 17).

`softplus` becomes the identity from 40 on, where `log(1 + exp(x))` is `x` in float64; PyTorch's 20 loses 2e-9.
"""

SCALAR_CODE: dict[str, str] = {"neg": "-{}", "sqrt": "math.sqrt({})", "square": "{} ** 2"}
"""Code for Python numbers, where a plain expression says the same."""


# Images of intervals and Lipschitz constants on them -----------------------------------------


def _rising(name: str) -> Image:
    return lambda x: (enclose(name, x[0])[0], enclose(name, x[1])[1])


def _root(x: Interval) -> Interval:
    return (0.0 if x[0] <= 0 else max(0.0, down(math.sqrt(x[0])))), up(math.sqrt(x[1]))


def _root_slope(x: Interval) -> float:
    return div(0.5, down(math.sqrt(x[0]))) if x[0] > 0 else INF


def _logistic(x: Interval) -> float:
    """`s (1 - s)`, which falls away from 0 on both sides."""
    if gap(x) == 0:
        return 0.25
    low, high = enclose("sigmoid", gap(x))
    return min(0.25, mul(high, up(1.0 - low)))


def _tanh_slope(x: Interval) -> float:
    low = max(0.0, enclose("tanh", gap(x))[0])
    return 1.0 if low == 0 else min(1.0, max(0.0, up(1.0 - down(low * low))))


def _jumps(x: Interval, at: bool) -> float:
    """Locally constant functions: 0, or infinite where a jump is not excluded."""
    return INF if at else 0.0


def _dipping(depth: float) -> Image:
    """`gelu` and `silu` lie between min(0, -depth) and max(0, x)."""
    return lambda x: (-depth if x[0] < 0 else 0.0, max(0.0, x[1]))


def _floor(x: Interval) -> Interval:
    return (math.floor(x[0]) if math.isfinite(x[0]) else x[0]) + 0.0, (
        math.floor(x[1]) if math.isfinite(x[1]) else x[1]
    ) + 0.0


def _square(x: Interval) -> Interval:
    low, high = gap(x), magnitude(x)
    return (0.0 if low == 0 else down(low * low)), mul(high, high)


def _elu(x: Interval) -> Interval:
    low, high = (enclose("expm1", e)[k] if e < 0 else e for k, e in enumerate(x))
    return max(-1.0, low), high


def _wave(x: Interval) -> Interval:
    top = min(1.0, magnitude(x))
    return -top, top


CURVES: dict[str, tuple[Image, Steepness]] = {
    "exp": (_rising("exp"), lambda x: enclose("exp", x[1])[1]),
    "log": (_rising("log"), lambda x: div(1.0, x[0])),
    "sqrt": (_root, _root_slope),
    "abs": (lambda x: (gap(x), magnitude(x)), lambda x: 1.0),
    "sign": (lambda x: (-1.0 if x[0] < 0 else 0.0 if x[0] == 0 else 1.0, 1.0 if x[1] > 0 else 0.0 if x[1] == 0 else -1.0),
             lambda x: _jumps(x, x[0] <= 0 <= x[1])),
    "floor": (_floor, lambda x: _jumps(x, _floor(x)[0] != _floor(x)[1])),
    "tanh": (_rising("tanh"), _tanh_slope),
    "sigmoid": (_rising("sigmoid"), _logistic),
    "relu": (lambda x: (max(0.0, x[0]), max(0.0, x[1])), lambda x: 0.0 if x[1] <= 0 else 1.0),
    # sup gelu' = 1.128904... at sqrt 2, min gelu = -.1699711...; sup silu' = 1.0998393..., min silu = -.2784645...
    "gelu": (_dipping(0.17), lambda x: 1.12891),
    "silu": (_dipping(0.27847), lambda x: 1.09984),
    "softplus": (_rising("softplus"), lambda x: enclose("sigmoid", x[1])[1]),
    "elu": (_elu, lambda x: 1.0 if x[1] > 0 else enclose("exp", x[1])[1]),
    "sin": (_wave, lambda x: 1.0),
    "cos": (lambda x: (-1.0, 1.0), lambda x: 1.0),
    "square": (_square, lambda x: mul(2.0, magnitude(x))),
}  # fmt: skip
"""For every function its image of an interval and the supremum of its derivative there, rounded outwards."""

DOMAIN: dict[str, float] = {"log": 0.0, "sqrt": 0.0}
"""Functions that are defined above a point only."""


AT_MINUS_INFINITY: dict[str, int] = {
    "exp": 0, "sigmoid": 0, "relu": 0, "softplus": 0, "tanh": -1, "elu": -1,
}  # fmt: skip
"""Values at a masked score; silu and gelu are not here, for they compute -inf times 0."""


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

    def bound(self, ctx: BoundContext) -> list[Bound]:
        x = ctx.port(0)
        if self.function == "stop":
            return [x]  # The map is the identity; only its gradient in training is 0.
        if self.function == "neg":
            return [ctx.weighted(x, -1)]
        low = DOMAIN.get(self.function)
        if low is not None and (x.entry[0] < low or (self.function == "log" and x.entry[0] <= low)):
            raise ctx.unproved(f"the argument of `{self.function}` is not proved to be positive")
        x, mask = ctx.unmasked(x) if self.function in AT_MINUS_INFINITY else (x, None)
        y = ctx.pointwise(x, self.function, *CURVES[self.function])
        # f(where(p, s, -inf)) = where(p, f(s), f(-inf)), and f(-inf) is a constant.
        return [y if mask is None else ctx.chosen(mask, y, ctx.number(AT_MINUS_INFINITY[self.function]))]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", "−" if self.function == "neg" else self.function, minor=self.function in ("neg", "stop"))
