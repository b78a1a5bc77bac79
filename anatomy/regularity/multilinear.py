"""The product rule: every product, contraction, sum and scaling of the language.

Values and derivatives rest on one inequality. For non-negative tensors in which every summed index occurs at
least twice and every kept one at least once, ||sum prod T_l||_F <= prod ||T_l||_F (Finner's inequality with all
weights 1/2, for counting measures). It is used over the features at fixed tokens; sums over tokens are counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import (
    Bound,
    Interval,
    Slopes,
    Triple,
    hull_of_products,
    magnitude,
    meet,
    mul,
    root,
    slopes_after,
    slopes_meet,
    slopes_sum,
    times,
)
from anatomy.regularity import affine, tensor
from anatomy.regularity.local import of_product
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems import length
from anatomy.regularity.view import Product, Softmax, Via, Weights, constant, rename, seen_through, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules


def product(ctx: Rules, factors: Sequence[Bound], summed: frozenset[str]) -> Bound:
    """`sum over summed of prod factors`, bounded through the explicit form, the product rule and the theorems."""
    factors = _flat(factors) if summed else list(factors)
    axes = frozenset().union(*(f.axes for f in factors)) - summed
    data, known = [], tensor.scalar(1.0)
    for factor in factors:
        ball = constant(factor)
        try:
            if ball is None:
                raise TooLarge
            known = tensor.times(known, ball)
        except TooLarge:
            data.append(factor)
    held = frozenset().union(*(f.axes for f in data))
    # Axes that only constants have, and those that nothing explicit has, are summed at once.
    lonely = summed - held
    known = affine.product(affine.Form((), known), tensor.scalar(1.0), lonely, ctx.sizes).constant or known
    summed = summed & held
    if not data:
        return ctx.known(known, axes)
    parts = data if known.axes == () and known.mid == 1 and known.rad == 0 else [*data, ctx.known(known)]
    tokens = frozenset().union(*(f.tokens for f in data))
    if len(data) == 1:
        tokens |= _new_tokens(data[0], known, summed)
    entry, radius, slopes = rule(ctx, parts, tokens, summed)
    form = None
    method: dict[str, Any] = {}
    if len(data) == 1 and data[0].form is not None:
        try:
            form = affine.product(data[0].form, known, summed, ctx.sizes)
        except TooLarge:
            form = None
    elif len(data) == 2 and summed:
        from anatomy.regularity.theorems import kernel, mixing, powers, softmax, tied
        from anatomy.regularity.theorems.recognise import match

        mean = _mean(ctx, data, known, summed, tokens & axes)
        entry = meet(meet(entry, _hull(ctx, data, known, summed)), powers.entry(ctx, data, known, summed))
        if mean is not None:
            sharper = any(mean[key].two < slopes[key].two for key in slopes if key in mean)
            method = {"method": kernel.NAME} if sharper else {}
            slopes = slopes_meet(slopes, mean)
        distances = tied.tied(ctx, data, known, summed)
        if distances is not None:
            slopes = slopes_meet(slopes, distances.slopes(axes, tokens & axes, ctx.sizes))
            method = {"method": tied.NAME, "attention": distances.fold}
        theorem = match(data, known, summed, ctx.sizes)
        if theorem is not None:
            slopes = slopes_meet(slopes, theorem.slopes(axes, tokens & axes, ctx.sizes))
            out = ctx.finish(axes, tokens & axes, entry, min(radius, theorem.radius(axes, tokens & axes, ctx.sizes)), slopes, None)
            return replace(out, facts={"attention": theorem.fold, "method": softmax.NAME})
        sharp = None if mean is not None else mixing.sharpen(ctx, data, known, summed, axes, tokens & axes)
        if sharp is not None:
            sharper = any(sharp[0][key].two < slopes[key].two for key in slopes if key in sharp[0])
            method = {"method": sharp[2]} if sharper else {}
            slopes = slopes_meet(slopes, sharp[0])
            if sharp[1] is not None:
                method["attention"] = sharp[1].fold
    out = ctx.finish(axes, tokens & axes, entry, radius, slopes, form)
    if len(data) <= 2 and not summed:
        from anatomy.regularity.theorems import mixing, powers, sink, sticks

        out = mixing.scaled(data[0], known, out) if len(data) == 1 else sink.shared(data, known, out)
        out = replace(out, facts={**out.facts, **powers.times(data[0], known), **sticks.times(data[0], known)}) if len(data) == 1 else out
    if len(data) == 1 and not summed and known.mid.size and float(np.min(known.mid)) > known.rad and "log" in data[0].facts:
        more = ctx.logarithm(ctx.known(known))
        if more is not None:
            out = replace(out, facts={**out.facts, "log": ctx.total([data[0].facts["log"], more])})
    scaled = not summed and known.axes == () and any("softmax" in d.facts for d in data)
    if (len(data) >= 2 or scaled or (summed and parts is data)) and len(parts) <= 4:
        out = replace(out, facts={**out.facts, "product": _fact(ctx, parts, summed), **method})
    if len(data) == 1 and form is not None and form.terms:
        out = replace(out, facts={**out.facts, "via": _via(ctx, data[0], known, summed)})
    return out if out.constant else replace(out, local=of_product(ctx, parts, summed))


def _mean(ctx: Rules, data: Sequence[Bound], known: Ball, summed: frozenset[str], tokens: frozenset[str]) -> Slopes | None:
    """What the theorem on weighted means says, where it holds."""
    from anatomy.regularity.theorems import kernel

    for p, v in (data, data[::-1]):
        fact = p.facts.get("softmax")
        if isinstance(fact, Softmax) and fact.own == summed and fact.score.axes == p.axes and known.axes == ():
            found = kernel.mean(ctx, fact, v, tokens)
            scale = magnitude(known.interval)
            return None if found is None else slopes_after(Triple.all(scale), found)
    return None


def _via(ctx: Rules, x: Bound, known: Ball, summed: frozenset[str]) -> Via:
    """The result over wires on the way of its operand."""
    found = []
    for form in seen_through(x, ctx.sizes) if known.mid.size <= 2**16 else ():
        # Forms that mix positions serve no theorem, and can be large.
        kept = all(t.base.bound.tokens <= {a for a, b in t.links if b not in summed} and t.map.mid.size <= 2**16 for t in form.terms)
        try:
            found += [affine.product(form, known, summed, ctx.sizes)] if kept else []
        except TooLarge:
            continue
    return Via(tuple(found))


def _hull(ctx: Rules, data: Sequence[Bound], known: Ball, summed: frozenset[str]) -> Interval:
    """Where the entries of a mean lie: between the least and the greatest value, or at 0 where a row has no weights."""
    for p, v in (data, data[::-1]):
        fact = p.facts.get("softmax")
        if isinstance(fact, Softmax) and fact.own == summed and summed <= v.axes and known.axes == ():
            low, high = v.entry
            if fact.allowed is not None:
                low, high = min(low, 0.0), max(high, 0.0)
            return hull_of_products((low, high), known.interval)
    return -math.inf, math.inf


def _flat(factors: Sequence[Bound]) -> list[Bound]:
    """Products without sums dissolve into their factors, so that `sum[m](w * v)` is `dot[m](w, v)`."""
    out: list[Bound] = []
    for factor in factors:
        fact = factor.facts.get("product")
        weights = factor.facts.get("weights")
        if isinstance(fact, Product) and not fact.summed and not (isinstance(weights, Weights) and weights.own is not None):
            wide = frozenset().union(*(f.axes for f in fact.factors))
            if wide == factor.axes:
                out += fact.factors
                continue
        out.append(factor)
    return out


KEPT = ("softmax", "log", "weights", "via", "square", "length", "made", "merged", "joined", "looked")
"""What theorems read of the factors of a product."""


def _fact(ctx: Rules, parts: Sequence[Bound], summed: frozenset[str]) -> Product:
    fresh = ctx.fresh(summed)
    shallow = []
    for part in parts:
        kept = {k: v for k, v in part.facts.items() if k in KEPT}
        inner = part.facts.get("product")
        if isinstance(inner, Product):
            bare = [replace(f, facts={k: v for k, v in f.facts.items() if k in KEPT}) for f in inner.factors]
            kept["product"] = Product(tuple(bare), inner.summed)
        shallow.append(rename(replace(part, facts=kept), fresh))
    return Product(tuple(shallow), frozenset(fresh.values()))


def _new_tokens(x: Bound, known: Ball, summed: frozenset[str]) -> frozenset[str]:
    """Axes that a constant brings count positions where they stand in for tokens (`lin T[n -> p]`)."""
    ended = summed & x.axes & frozenset(known.axes)
    if ended and ended <= x.tokens:
        return frozenset(known.axes) - x.axes - summed
    return frozenset()


def rule(ctx: Rules, parts: Sequence[Bound], tokens: frozenset[str], summed: frozenset[str]) -> tuple[Interval, float, Slopes]:
    """Entries, radius and slopes of `sum over summed of prod parts`."""
    points = ctx.points
    entry = _entries(parts)
    entry = times(entry, points(summed))
    seen = [_parted(ctx, part, tokens) for part in parts]
    across = summed & tokens
    within = summed - tokens
    once = frozenset(a for a in within if sum(a in p.axes for p in seen) == 1)
    lone = root(float(points(once)))
    radius = mul(float(points(across)), lone, *(p.radius for p in seen))
    if len(seen) == 2:
        for p, v in (seen, seen[::-1]):
            if summed in p.mass and not p.features and across == summed:
                radius = min(radius, mul(p.mass[summed], v.radius))
    slopes: Slopes = {}
    for k, part in enumerate(seen):
        if part.slopes:
            others = seen[:k] + seen[k + 1 :]
            slopes = slopes_sum(slopes, _varying(ctx, part, others, tokens, summed, lone))
    return entry, radius, slopes


def _entries(parts: Sequence[Bound]) -> Interval:
    """Where the products lie; a wire times itself is a square."""
    left, entry = list(parts), (1.0, 1.0)
    while left:
        part = left.pop(0)
        here = part.entry
        for k, other in enumerate(left):
            if length.same(part, other):
                here = hull_of_products(here, left.pop(k).entry)
                here = max(here[0], 0.0), here[1]
                break
        entry = here if entry == (1.0, 1.0) else hull_of_products(entry, here)
    return entry


def _parted(ctx: Rules, part: Bound, tokens: frozenset[str]) -> Bound:
    ball = constant(part)
    if ball is None:
        return with_tokens(part, tokens & part.axes, ctx.sizes)
    radius = mul(ctx._rows(ball, tokens), root(float(ctx.points(part.axes - set(ball.axes) - tokens))))
    return replace(part, tokens=tokens & part.axes, radius=min(radius, part.radius))


def _varying(
    ctx: Rules, part: Bound, others: Sequence[Bound], tokens: frozenset[str], summed: frozenset[str], lone: float
) -> Slopes:
    """The derivative in one factor: the map dT -> sum dT G, G the product of the others."""
    points = ctx.points
    rest = frozenset().union(*(o.axes for o in others)) if others else frozenset()
    within = summed - tokens
    by_norm = mul(lone, *(o.radius for o in others))
    by_entry = mul(
        *(magnitude(o.entry) for o in others),
        root(float(points(within & part.axes))),
        root(float(points((rest - part.axes) - tokens - summed))),
        float(points(within - part.axes)),
    )
    block = min(by_norm, by_entry)
    across = summed & tokens
    # Row sums: for one output token every summed token counts; column sums: for one token of T every other token.
    inf = mul(float(points(across)), block)
    one = mul(float(points((rest - part.axes) & tokens)), block)
    if len(others) == 1 and not others[0].features:
        for axes, mass in others[0].mass.items():
            if axes <= across:
                inf = min(inf, mul(mass, float(points(across - axes)), root(float(points(within & part.axes)))))
    factor = Triple.of(one, None, inf)
    if inf == one:
        factor = Triple.all(inf)
    slopes = dict(slopes_after(factor, part.slopes))
    flow = part.flow.get(across) if across and not part.features else None
    if flow is not None:
        for key, value in flow.items():
            triple = slopes[key]
            slopes[key] = Triple.of(triple.one, triple.two, min(triple.inf, mul(value, block)))
    return slopes
