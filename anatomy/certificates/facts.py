"""What is proved of a wire: intervals, norms of values and of derivatives, and how they change with the view.

The axes of a wire are parted into tokens and features. |T|_p is the p-norm over all tokens of the Euclidean norms
over the features; a gain holds operator norms of the derivative for p = 1, 2, infinity, from one input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flint import arb

from anatomy.certificates.numbers import root
from anatomy.certificates.tensors import Sizes, count

Triple = tuple[arb, arb, arb]
Gains = dict[int, Triple]


def triple(one: arb, two: arb | None, inf: arb) -> Triple:
    """L2 <= sqrt(L1 Linf), for real l_p sums of Euclidean spaces.

    L2^2 is the greatest eigenvalue of T* T, so at most its norm for p = 1; T* for p = 1 has the norm of T for p = infinity.
    """
    between = root(one) * root(inf)
    return one, between if two is None else two.min(between), inf


def after(f: Triple, g: Triple) -> Triple:
    """The norms of a composition."""
    return triple(f[0] * g[0], f[1] * g[1], f[2] * g[2])


def through(f: Triple, gains: Gains) -> Gains:
    return {k: after(f, g) for k, g in gains.items()}


def sum_of(*parts: Gains) -> Gains:
    out: Gains = {}
    for part in parts:
        for k, g in part.items():
            out[k] = triple(*(x + y for x, y in zip(out[k], g, strict=True))) if k in out else g
    return out


def least_of(a: Gains, b: Gains) -> Gains:
    """Both bound one derivative; where one has no entry, the derivative is 0."""
    return {k: triple(*(x.min(y) for x, y in zip(a[k], b[k], strict=True))) for k in a if k in b}


def scaled(x: arb) -> Triple:
    return x, x, x


def retoken(gain: Triple, old: frozenset[str], new: frozenset[str], sizes: Sizes) -> Triple:
    """The norms of a map when its results are parted by `new` and no more by `old`.

    k features that become tokens: |T|_1 grows by sqrt(k) at most and |T|_inf does not grow; k tokens that become
    features: |T|_1 does not grow and |T|_inf grows by sqrt(k) at most.
    """
    more, less = (root(arb(count(axes, sizes))) for axes in (new - old, old - new))
    return triple(gain[0] * more, gain[1], gain[2] * less)


@dataclass(frozen=True, eq=False)
class Fact:
    """Every entry lies in [low, high], every token has norm at most `radius`."""

    axes: frozenset[str]
    tokens: frozenset[str]
    low: arb
    high: arb
    radius: arb
    gains: Gains = field(default_factory=dict)

    @property
    def features(self) -> frozenset[str]:
        return self.axes - self.tokens

    @property
    def top(self) -> arb:
        """The greatest magnitude of an entry."""
        return abs(self.low).max(abs(self.high))

    def rename(self, table: Mapping[str, str]) -> Fact:
        return replace(self, axes=frozenset(table.get(a, a) for a in self.axes), tokens=frozenset(table.get(a, a) for a in self.tokens))

    def parted(self, tokens: frozenset[str], sizes: Sizes) -> Fact:
        """With these tokens: a token that becomes a feature adds its squares."""
        tokens = tokens & self.axes
        if tokens == self.tokens:
            return self
        radius = self.radius * root(arb(count(self.tokens - tokens, sizes)))
        gains = {k: retoken(g, self.tokens, tokens, sizes) for k, g in self.gains.items()}
        return replace(self, tokens=tokens, radius=radius, gains=gains).tight(sizes)

    def wide(self, axes: frozenset[str], tokens: frozenset[str], sizes: Sizes) -> Fact:
        """Repeated along the axes that it lacks: k times as tokens or as features."""
        x = self.parted(tokens, sizes)
        new = axes - x.axes
        if not new:
            return x
        rows, columns = arb(count(new & tokens, sizes)), root(arb(count(new - tokens, sizes)))
        factor = rows * columns, root(rows) * columns, columns
        return Fact(x.axes | axes, tokens & (x.axes | axes), x.low, x.high, x.radius * columns, through(factor, x.gains))

    def tight(self, sizes: Sizes) -> Fact:
        """Radius and entries bound each other."""
        radius = self.radius.min(root(arb(count(self.features, sizes))) * self.top)
        return replace(self, radius=radius, low=self.low.max(-radius), high=self.high.min(radius))
