"""Which theorem speaks of a sum of values under weights, and the sums that are such in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from anatomy.ir.bound import Bound, Slopes, slopes_meet
from anatomy.regularity import tensor
from anatomy.regularity.affine import Base, itself
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems import plan, pointwise, sink, sparse, sticks
from anatomy.regularity.theorems.softmax import Attention
from anatomy.regularity.view import Product, Weights, constant, named

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

_FURTHER = count(-2, -1)
"""Numbers of wires that stand in no diagram, a new one for each: forms add up terms of one number."""
SHARED: dict[str, Any] = {"entmax": sparse, "sinkhorn": plan, "sink": sink, "stick": sticks}
"""Theorems on weights that are shared out over keys, by kind."""


def further() -> int:
    """A number that no wire of any diagram has."""
    return next(_FURTHER)


def scaled(x: Bound, known: Ball, out: Bound) -> Bound:
    """`out`, a constant times `x`, with what `x` says of weights."""
    weights = x.facts.get("weights")
    if isinstance(weights, Weights):
        return replace(out, facts={"weights": replace(weights, grid=tensor.times(weights.grid, known))})
    return replace(out, facts={"weights": Weights(pointwise.LINE, x, x, known)}) if known.axes and _summed(x) else out


def sharpen(
    ctx: Rules, data: Sequence[Bound], known: Ball, summed: frozenset[str], axes: frozenset[str], tokens: frozenset[str], first: bool = True
) -> tuple[Slopes, Attention | None, str] | None:
    """What the theorem says of `sum over summed of known * data`, place by place and, where there is one, of the dot product."""
    for w, v in (data, data[::-1]):
        given = w.facts.get("weights")
        if len(summed) != 1 or not summed <= w.axes & v.axes:
            continue
        if isinstance(given, Weights):
            weights = replace(given, grid=tensor.times(given.grid, known))
        elif summed <= w.tokens & v.tokens and (known.axes or _summed(w)):
            weights = Weights(pointwise.LINE, w, w, known)
        else:
            continue
        theorem = pointwise if weights.own is None else SHARED.get(weights.kind[0])
        if theorem is None or (weights.own is not None and weights.own != summed):
            continue
        try:
            found = theorem.fold(ctx, weights, v, next(iter(summed)))
            slopes = theorem.mean(ctx, weights, v, summed, tokens)
        except TooLarge:
            continue
        if found is not None:
            better = found.slopes(axes, tokens, ctx.sizes)
            slopes = better if slopes is None else slopes_meet(slopes, better)
        if slopes is not None:
            return slopes, found, theorem.NAME
    return _reordered(ctx, data, known, summed, axes, tokens) if first else None  # or two orders would take turns for ever


def _reordered(
    ctx: Rules, data: Sequence[Bound], known: Ball, summed: frozenset[str], axes: frozenset[str], tokens: frozenset[str]
) -> tuple[Slopes, Attention | None, str] | None:
    """`dot[e](q, dot[m](k, v))` as `dot[m](dot[e](q, k), v)`."""
    for q, pairs in (data, data[::-1]):
        inner = pairs.facts.get("product")
        if not isinstance(inner, Product) or len(inner.summed) != 1 or not summed <= q.axes:
            continue
        moving = [f for f in inner.factors if not f.constant]
        fixed = [f for f in inner.factors if f.constant]
        if len(moving) != 2 or len(fixed) > 1 or inner.summed & q.axes:
            continue
        for k, v in (moving, moving[::-1]):
            if summed <= k.axes and not summed & v.axes and inner.summed <= k.axes & v.axes:
                ball = constant(fixed[0]) if fixed else tensor.scalar(1.0)
                if ball is None or summed & (frozenset(ball.axes) | frozenset(known.axes)):
                    continue
                score = apart(ctx.product([q, k], tuple(summed)))
                return sharpen(ctx, [score, v], tensor.times(known, ball), inner.summed, axes, tokens, False)
    return None


def apart(x: Bound) -> Bound:
    """A wire that no diagram has, as the base of a form."""
    number = further()
    if x.form is None and not x.constant:
        x = replace(x, form=itself(Base(number, x)))
    return named(x, number)


def _summed(w: Bound) -> bool:
    fact = w.facts.get("product")
    return isinstance(fact, Product) and bool(fact.summed)
