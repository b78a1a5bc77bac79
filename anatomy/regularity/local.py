"""Derivatives place by place: how much one entry of a wire moves when earlier wires move at the same places.

A wire T may have parts: earlier wires W with factors c, such that at every place t (a point of all axes of T)

    |dT_t| <= sum over parts of c |dW_s|,   s = t restricted to the axes that W and T are linked by,

Euclidean over the remaining axes of W. So a score keeps apart what it reads of its query and of its key, which norms
of the whole derivative confound. Rules, each by the triangle inequality: a function of one real of slope L multiplies
by L; a sum joins the parts; in `sum over S of T * others` the part of W is multiplied by the product of the norms of the
others over S, and those axes of S that link W become features (Cauchy and Schwarz; each axis of S that no other factor
has counts sqrt(size), for sum_a |x_a| <= sqrt(size) |x|). A wire that meets others with more axes is a part of its own, so that
what has fewer axes than the result stays a unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anatomy.ir.bound import Bound, mul, root
from anatomy.regularity.view import constant, rename, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

MOST = 8
"""Parts of a wire that are kept apart; where there are more, it stands for itself."""


@dataclass(frozen=True, eq=False)
class Part:
    """`source` under the axis names of the wire where it is linked, under names of its own elsewhere."""

    source: Bound
    linked: frozenset[str]
    factor: float

    def rename(self, table: dict[str, str]) -> Part:
        return Part(rename(self.source, table), frozenset(table.get(a, a) for a in self.linked), self.factor)


def itself(x: Bound) -> tuple[Part, ...]:
    """The wire as its own part: every axis links."""
    return () if x.constant else (Part(replace(x, local=None), x.axes, 1.0),)


def parts_of(x: Bound) -> tuple[Part, ...]:
    """What is known of a wire place by place."""
    return itself(x) if x.local is None or len(x.local) > MOST else x.local


def at(x: Bound, axes: frozenset[str]) -> tuple[Part, ...]:
    """The parts of an operand of something with these axes."""
    return parts_of(x) if x.axes == axes else itself(x)


def scaled(parts: Sequence[Part], factor: float) -> tuple[Part, ...]:
    return tuple(replace(p, factor=mul(p.factor, factor)) for p in parts)


def parted(ctx: Rules, x: Bound, tokens: frozenset[str]) -> Bound:
    """The wire with its axes parted anew, as tightly as its affine form tells."""
    if tokens == x.tokens:
        return x
    wide = with_tokens(x, tokens, ctx.sizes)
    if x.form is None or not x.form.terms:
        return wide
    found = ctx.finish(x.axes, tokens, wide.entry, wide.radius, wide.slopes, x.form)
    return replace(found, facts=x.facts, mass=x.mass, flow=x.flow)


def reach(ctx: Rules, x: Bound, features: frozenset[str]) -> float:
    """The greatest Euclidean norm over some axes."""
    ball = constant(x)
    if ball is not None:
        rows = ctx._rows(ball, x.axes - features)
        return mul(rows, root(float(ctx.points(features - frozenset(ball.axes)))))
    return parted(ctx, x, x.axes - features).radius


def of_sum(parts: Sequence[Bound], axes: frozenset[str]) -> tuple[Part, ...]:
    return tuple(p for x in parts for p in at(x, axes))


def of_mixture(ctx: Rules, terms: Sequence[Bound], summed: frozenset[str]) -> tuple[Part, ...]:
    """The parts of something whose derivative is a mixture, over some axes, of that of the sum of the terms."""
    found = []
    for x in terms:
        for part in itself(x):
            source = rename(part.source, ctx.fresh(summed & part.linked))
            found.append(Part(source, part.linked - summed, part.factor))
    return tuple(found)


def of_mixtures(ctx: Rules, wires: Sequence[Bound], over: frozenset[str]) -> tuple[Part, ...] | None:
    """The parts of any convex combination of entries over some axes: what moves there by at most so much, each and all."""
    axes = frozenset().union(*(x.axes for x in wires))
    found = []
    for x in wires:
        for part in at(x, axes):
            found.append(Part(rename(part.source, ctx.fresh(over & part.linked)), part.linked - over, part.factor))
    return tuple(found) if len(found) <= MOST else None


def of_product(ctx: Rules, factors: Sequence[Bound], summed: frozenset[str]) -> tuple[Part, ...] | None:
    """The parts of `sum over summed of prod factors`."""
    whole = frozenset().union(*(f.axes for f in factors))
    found: list[Part] = []
    for k, factor in enumerate(factors):
        others = [o for j, o in enumerate(factors) if j != k]
        for part in at(factor, whole):
            bridge = summed & part.linked
            held = [o.axes & summed for o in others]
            once = [a for a in summed if (a in bridge) + sum(a in h for h in held) == 1]
            # An axis of the sum that neither the part nor another factor has counts the points of the factor itself.
            none = [a for a in summed if a not in bridge and not any(a in h for h in held)]
            size = mul(
                part.factor,
                root(float(math.prod(ctx.sizes[a] for a in once))),
                float(math.prod(ctx.sizes[a] for a in none)),
                *(reach(ctx, o, h) for o, h in zip(others, held, strict=True)),
            )
            found.append(Part(rename(part.source, ctx.fresh(bridge)), part.linked - summed, size))
            if len(found) > MOST:
                return None
    return tuple(found)
