"""Contractions of measures: what a layer does when it is applied again and again with the same weights.

Statement (Banach). If F maps P(B_R) into itself and W_p(F(mu), F(nu)) <= tau W_p(mu, nu) with tau < 1, then F has one fixed measure mu* there,
and from every mu in P(B_R), for every number k of applications,

    W_p(F^k(mu), mu*) <= tau^k W_p(mu, mu*) <= tau^k / (1 - tau) W_p(F(mu), mu).

(P(B_R), W_p) is complete for every p >= 1, infinity included. A map of measures sends one point to one point, the points of B_R are a
closed part of P(B_R) that it maps into itself, and so **the fixed measure is one point**: an infinitely deep stack of one
contracting layer makes all tokens equal, at the rate tau. Where tokens are to stay apart, tau must not be less than 1.
Source: Vuckovic, Baratin and Tachet des Combes, "A Mathematical Theory of Attention" (arXiv 2007.02876), for weight-shared stacks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.ir.bound import div, down, mul
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import Stuck, sizes_of
from anatomy.regularity.measure.calculus import Transport, measured


@dataclass(frozen=True)
class Contraction:
    """W_p(F(mu), F(nu)) <= tau W_p(mu, nu) on measures of tokens of norm at most `radius`, which F keeps there if `invariant`."""

    p: float
    tau: float
    radius: float
    output: float

    @property
    def invariant(self) -> bool:
        """Whether the ball is mapped into itself."""
        return self.output <= self.radius

    @property
    def rate(self) -> float | None:
        """The factor by which the distance to the one fixed measure shrinks at each application; None where that is not proved."""
        return self.tau if self.tau < 1 and self.invariant else None

    def distance(self, steps: int, first: float) -> float:
        """An upper bound of W_p(F^k(mu), mu*) after k steps, from the length W_p(F(mu), mu) of the first; infinite where there is no rate."""
        if self.rate is None:
            return math.inf
        power = 1.0
        for _ in range(steps):
            power = mul(power, self.rate)
        return div(mul(power, first), down(1.0 - self.rate))

    def certificate(self) -> dict[str, Any]:
        finite = self.tau if math.isfinite(self.tau) else None
        reach = self.output if math.isfinite(self.output) else None
        return {"p": self.p, "tau": finite, "invariant": self.invariant, "output_radius": reach, "rate": self.rate}


def contraction(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float = 1.0, p: float = 1.0
) -> Contraction:
    """Whether a diagram contracts the measures of tokens in a ball.

    Formula: tau = sup over measures mu, nu on the ball of W_p(F(mu), F(nu)) / W_p(mu, nu), bounded from above. Tokens [n, d] with the Euclidean
    norm, for every n at once. Raises `Stuck` where the diagram is no map of measures, or does not map tokens to tokens of one size.
    Source: Vuckovic, Baratin and Tachet des Combes (arXiv 2007.02876); constants of `measure.attention`.

    >>> from anatomy import parse
    >>> layer = parse("axis n, m = n, d diagram layer(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z)), z) / 4 }")["layer"]
    >>> contraction(layer, {"n": 2, "d": 3}, {}, radius=0.5).rate < 0.76
    True
    """
    return of(diagram, measured(diagram, sizes_of(diagram, sizes), weights, radius), p)


def of(diagram: Diagram, found: Transport, p: float) -> Contraction:
    """The same from the constants of the diagram."""
    if not endomorphic(diagram):
        raise Stuck("output", "it does not map one measure of tokens to one of tokens of the same size")
    return Contraction(p, found.constant(p), found.radius, found.output[0])


def endomorphic(diagram: Diagram) -> bool:
    """Whether there is one input and one output, of one type."""
    if len(diagram.inputs) != 1 or len(diagram.outputs) != 1:
        return False
    before, after = (tuple(diagram.sizes[a] for a in end.layout) for end in (diagram.inputs[0], diagram.outputs[0]))
    return before == after
