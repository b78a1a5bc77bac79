"""Residual blocks that are invertible: x + c f(x) where c Lip(f) < 1, and their inverse by iteration.

Statement. Let f be L-Lipschitz on tokens of norm at most R, L < 1 after scaling by c, and |c f| <= r for every token there. For every z with tokens
of norm at most R - r (any z where R is infinite) the equation y + c f(y) = z has exactly one solution with tokens of norm at most R, and
y_0 = z, y_(k+1) = z - c f(y_k) satisfies |y_k - y| <= L^k / (1 - L) |y_1 - y_0|, in the norm in which L is proved.

Proof. y -> z - c f(y) maps the ball of every token into itself, since |z| + |c f| <= (R - r) + r, and is an L-contraction; Banach. So x -> x + c f(x) has an
inverse there, of constant 1 / (1 - L), and is itself (1 + L)-Lipschitz.
Source: Behrmann, Grathwohl, Chen, Duvenaud and Jacobsen, "Invertible Residual Networks" (arXiv 1811.00995); for attention
Kim, Papamakarios and Mnih (arXiv 2006.04710), section 5, and Vuckovic, Baratin and Tachet des Combes (arXiv 2007.02876).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.errors import fail
from anatomy.ir.bound import INF, div, down, mul
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.regularity.measure.contraction import endomorphic
from anatomy.regularity.view import rename, with_tokens

NORMS = ("frobenius", "max_token")


@dataclass(frozen=True)
class Residual:
    """x + scale * f(x), with scale * f proved `lipschitz`-Lipschitz, less than 1, on tokens of norm at most `radius`; |scale * f| <= `shift` there."""

    scale: float
    lipschitz: float
    norm: str
    radius: float
    shift: float

    @property
    def reach(self) -> float:
        """Tokens of this norm and less are values of the block, and the inverse is proved for them."""
        return INF if self.radius == INF else max(0.0, down(self.radius - self.shift))

    def forward(self, f: Callable[[Any], Any], x: Any) -> Any:
        return x + self.scale * f(x)

    def error(self, steps: int, first: float) -> float:
        """An upper bound of |y_k - y| after k steps, from the length |y_1 - y_0| of the first."""
        power = 1.0
        for _ in range(steps):
            power = mul(power, self.lipschitz)
        return div(mul(power, first), down(1.0 - self.lipschitz))

    def inverse(self, f: Callable[[Any], Any], z: Any, steps: int = 50) -> Inverse:
        """The solution y of y + scale * f(y) = z after so many steps, with the bound of its error.

        `f` is the diagram's function on arrays or tensors like z, tokens [..., features]. Raises AnatomyError E902 where a token of z is longer than
        `reach`, for there need not be a solution.
        """
        longest = float(_tokens(z).max())
        if longest > self.reach:
            raise fail("E902", f"a token of norm {longest:.6g} is beyond {self.reach:.6g}, up to which the inverse is proved")
        y, first = z, 0.0
        for k in range(steps):
            new = z - self.scale * f(y)
            if k == 0:
                first = length(new - y, self.norm)
            y = new
        return Inverse(y, self.error(steps, first) if steps else INF, steps)


@dataclass(frozen=True)
class Inverse:
    """A point, and how far it may be from the solution (without the rounding of the iteration itself)."""

    value: Any
    error: float
    steps: int


def length(x: Any, norm: str) -> float:
    """The Frobenius norm, or the largest norm of a token."""
    tokens = _tokens(x)
    return float((tokens * tokens).sum() ** 0.5 if norm == "frobenius" else tokens.max())


def _tokens(x: Any) -> Any:
    return (x * x).sum(-1) ** 0.5


def residual(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float = 1.0,
    norm: str = "frobenius", share: float | None = None,
) -> Residual:  # fmt: skip
    """The invertible residual block of a diagram f: x + f(x), or x + (share / Lip(f)) f(x) with a share of less than 1.

    Formula: L = scale * K with K the proved constant of f on tokens of norm at most `radius` (infinite: everywhere). Norms: "frobenius" or "max_token".
    Raises AnatomyError E902 where f does not map tokens to tokens of one size, where no constant is proved, and where L is not less than 1.
    Source: see this module.

    >>> from anatomy import parse
    >>> layer = parse("axis n, m = n, d diagram layer(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z)), z) }")["layer"]
    >>> block = residual(layer, {"n": 2, "d": 3}, {}, share=0.5)
    >>> import torch, anatomy
    >>> f, x = anatomy.compile(layer), torch.full((2, 3), 0.25)
    >>> back = block.inverse(f, block.forward(f, x))
    >>> bool((back.value - x).abs().max() < 1e-6), back.error < 1e-9
    (True, True)
    """
    if norm not in NORMS:
        raise fail("E902", f"there is no norm `{norm}` here; use `frobenius` or `max_token`")
    if not endomorphic(diagram):
        raise fail("E902", "a residual block maps tokens to tokens of the same size", diagram.span)
    if share is not None and not 0 < share < 1:
        raise fail("E902", f"the share of the constant must lie between 0 and 1, not {share}")
    try:
        full = sizes_of(diagram, sizes)
        found = compose(diagram, full, weights, radius)
    except Stuck as stuck:
        raise fail("E902", f"no Lipschitz constant is proved: {stuck}", diagram.span) from None
    constant = found.triple.two if norm == "frobenius" else found.triple.inf
    if not math.isfinite(constant):
        raise fail("E902", f"no finite Lipschitz constant is proved on tokens of norm at most {radius:g}", diagram.span)
    scale = 1.0 if share is None or constant == 0 else share / constant
    lipschitz = mul(scale, constant)
    if not lipschitz < 1:
        raise fail("E902", f"x + f(x) is not proved to be invertible: its constant is bounded by {lipschitz:.6g}, not less than 1",
                   diagram.span, help="scale f down: give a share of its constant")  # fmt: skip
    output = diagram.outputs[0]
    seen = rename(found.bounds[output.port.wire], dict(output.port.renames))
    shift = with_tokens(seen, frozenset(output.layout[:-1]), full).radius
    return Residual(scale, lipschitz, norm, radius, mul(scale, shift))
