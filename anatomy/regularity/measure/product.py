"""Products, sums and integrals over tokens on measures: the product rule, the folding of linear maps, and the theorems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anatomy.ir.bound import Bound, Slopes, slopes_meet
from anatomy.regularity import affine, tensor
from anatomy.regularity.affine import Form
from anatomy.regularity.local import of_product
from anatomy.regularity.measure import attention
from anatomy.regularity.multilinear import _fact, _flat, rule
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems.recognise import match
from anatomy.regularity.view import Softmax, constant

if TYPE_CHECKING:
    from anatomy.regularity.measure.rules import MeasureRules


def product(ctx: MeasureRules, factors: Sequence[Bound], summed: frozenset[str]) -> Bound:
    """`integral over tokens, and sum over further axes, of prod factors`."""
    axes = frozenset().union(*(f.axes for f in factors)) - summed
    data, known = [], tensor.scalar(1.0)
    for factor in _flat(factors) if summed else factors:
        ball = constant(factor)
        if ball is None:
            data.append(factor)
        else:
            known = tensor.times(known, ball)
    held = frozenset().union(*(f.axes for f in data))
    known = _lonely(known, summed - held - ctx.many, ctx.sizes)
    summed &= held
    if not data:
        return ctx.known(known, axes)
    over, within = summed & ctx.many, summed - ctx.many
    if len(data) > 1:
        return _several(ctx, data, known, axes, summed)
    one = data[0] if over and not within and _trivial(known) else _folded(ctx, data[0], known, axes | over, within)
    return _several(ctx, [one], tensor.scalar(1.0), axes, over) if over else one


def _lonely(known: Ball, summed: frozenset[str], sizes: dict[str, int]) -> Ball:
    """The constants summed over the counted axes that nothing else has."""
    if not summed:
        return known
    found = affine.product(Form((), known), tensor.scalar(1.0), summed, sizes).constant
    assert found is not None
    return found


def _trivial(known: Ball) -> bool:
    return known.axes == () and known.mid == 1 and known.rad == 0


def _folded(ctx: MeasureRules, x: Bound, known: Ball, axes: frozenset[str], within: frozenset[str]) -> Bound:
    """One wire times constants, summed over counted axes: matrices fold."""
    parts = [x] if _trivial(known) else [x, ctx.known(known)]
    entry, radius, slopes = rule(ctx, parts, x.tokens, within)
    form = None
    if x.form is not None:
        try:
            form = affine.product(x.form, known, within, ctx.sizes)
        except TooLarge:
            form = None
    out = ctx.finish(axes, x.tokens & axes, entry, radius, slopes, form)
    facts: dict[str, Any] = {}
    if not within and known.mid.size and float(known.mid.min()) > known.rad and "log" in x.facts:
        more = ctx.logarithm(ctx.known(known))
        if more is not None:
            facts["log"] = ctx.total([x.facts["log"], more])
    elif within and len(parts) == 1:
        facts["product"] = _fact(ctx, parts, within)
    return replace(out, facts=facts, local=of_product(ctx, parts, within))


def _several(ctx: MeasureRules, data: list[Bound], known: Ball, axes: frozenset[str], summed: frozenset[str]) -> Bound:
    parts = data if _trivial(known) else [*data, ctx.known(known)]
    tokens = frozenset().union(*(f.tokens for f in data))
    entry, radius, slopes = rule(ctx, parts, tokens, summed)
    tokens &= axes
    facts: dict[str, Any] = {}
    over = summed & ctx.many
    if len(data) == 2 and parts is data and over and summed == over:
        slopes, radius, facts = _theorems(ctx, data, axes, tokens, summed, slopes, radius)
    out = ctx.finish(axes, tokens, entry, radius, slopes, None)
    if len(parts) <= 4 and "attention" not in facts:
        facts["product"] = _fact(ctx, parts, summed)
    # A part of an integral would have an axis of tokens that is not linked.
    return replace(out, facts=facts, local=None if over else of_product(ctx, parts, summed))


def _theorems(
    ctx: MeasureRules, data: list[Bound], axes: frozenset[str], tokens: frozenset[str], summed: frozenset[str], slopes: Slopes, radius: float
) -> tuple[Slopes, float, dict[str, Any]]:
    method = {}
    for p, v in (data, data[::-1]):
        fact = p.facts.get("softmax")
        if isinstance(fact, Softmax) and fact.own == summed and fact.score.axes == p.axes:
            found = attention.mean(ctx, fact, v, tokens)
            if found is not None:
                sharper = any(found[key].two < slopes[key].two for key in slopes if key in found)
                method = {"method": attention.KERNEL} if sharper else {}
                slopes = slopes_meet(slopes, found)
                break
    found = match(data, tensor.scalar(1.0), summed, ctx.sizes)
    if found is None or found.rows.allowed is not None:
        return slopes, radius, method
    here = attention.of_measures(found)
    slopes = slopes_meet(slopes, here.slopes(axes, tokens, ctx.sizes))
    return slopes, min(radius, here.radius(axes, tokens, ctx.sizes)), {"attention": here.fold, "method": attention.SOFTMAX}
