"""Linear operations: axes rearranged, accumulated and transformed, and operands laid end to end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import Bound, Interval, Slopes, add, mul, slopes_after, slopes_sum
from anatomy.regularity import affine, linear, tensor
from anatomy.regularity.affine import Form
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems import powers
from anatomy.regularity.view import Product, rename, widen, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules


def arranged(rules: Rules, x: Bound, name: str, **options: Any) -> tuple[Bound, ...]:
    """One of the linear operations that rearrange, accumulate or transform the node's own axes."""
    rules.open(x)
    own = rules.node.own
    if name == "merge" and not frozenset(own[:-1]) <= x.tokens:
        x = with_tokens(x, x.tokens - frozenset(own), rules.sizes)
    tokens = x.tokens | frozenset(own) if name == "expand" else x.tokens
    what = linear.describe(name, own, rules.sizes, tokens, options)
    axes = (x.axes - frozenset(what.gone)) | frozenset(what.new)
    kept = frozenset(a for a in tokens if a in axes)
    if what.gone != what.new and tokens.intersection(what.gone):
        kept |= frozenset(what.new)
    slopes = slopes_after(what.norms, x.slopes)
    entry = what.image(x.entry)
    radius = mul(what.norms.inf, x.radius)
    outs = []
    needed = {"split": own[:1], "halves": own[:1], "unfold": own[:1], "merge": own[:-1]}.get(name, own)
    for function in what.apply:
        form = None
        if x.form is not None:
            try:
                form = x.form if name == "expand" else affine.apply(x.form, needed, function, rules.sizes)
            except TooLarge:
                form = None
        outs.append(rules.finish(axes, kept, entry, radius, slopes, form))
    if name == "cumsum" and not x.constant:
        outs = [replace(out, facts=_running(rules, x, own[0])) for out in outs]
    if name == "merge" and not x.constant:
        outs = [replace(out, facts=powers.merged(rules, x, own)) for out in outs]
    return tuple(outs)


def _running(rules: Rules, x: Bound, axis: str) -> dict[str, Any]:
    """A running sum as a sum under a mask."""
    size = rules.sizes[axis]
    if size * size > tensor.LIMIT:
        return {}
    table = rules.fresh(frozenset({axis}))
    inner = x.facts.get("product")
    kept = {k: v for k, v in x.facts.items() if k in ("merged", "joined")}
    factors = inner.factors if isinstance(inner, Product) and not inner.summed else (replace(x, facts=kept),)
    mask = rules.known(Ball((axis, table[axis]), np.tri(size)))
    return {"product": Product((*(rename(f, table) for f in factors), mask), frozenset(table.values()))}


def seen(x: Bound, mask: Ball, sizes: dict[str, int]) -> Interval:
    """Where an affine wire lies at the places that a mask leaves, from the intervals of the wires that it is made of."""
    nowhere = -math.inf, math.inf
    if x.form is None or not x.form.terms or any(not all(map(math.isfinite, t.base.bound.entry)) for t in x.form.terms):
        return nowhere
    names = sorted({a for t in x.form.terms for a in t.map.axes if a[0] != "<"} | set(mask.axes) | set(x.form.offset.axes if x.form.offset else ()))
    try:
        tensor.guard(math.prod(sizes[a] for a in names))
        low, high, slack = np.zeros(()), np.zeros(()), 0.0
        for term in x.form.terms:
            base = term.base.bound
            ins = [affine.inside(a) for a in sorted(base.axes) if a not in dict(term.links)]
            ball = term.map.spread(sizes | {affine.inside(a): sizes[a] for a in base.axes}, ins).order([*names, *ins])
            mid = ball.mid.reshape(*ball.mid.shape[: len(names)], -1)
            plus, minus = np.maximum(mid, 0.0).sum(-1), np.minimum(mid, 0.0).sum(-1)
            low, high = low + plus * base.entry[0] + minus * base.entry[1], high + plus * base.entry[1] + minus * base.entry[0]
            top, count = max(map(abs, base.entry)), float(mid.shape[-1])
            slack = add(slack, mul(count, top, add(ball.rad, mul(4 * tensor.UNIT, count + 8, ball.top))))
        if x.form.offset is not None:
            ball = x.form.offset.order(names)
            low, high, slack = low + ball.mid, high + ball.mid, add(slack, ball.rad, mul(4 * tensor.UNIT, ball.top))
        left = np.broadcast_to(mask.order(names).mid > 0, np.broadcast_shapes(low.shape, high.shape, mask.order(names).mid.shape))
    except TooLarge:
        return nowhere
    if not left.any():
        return nowhere
    low, high = np.broadcast_to(low, left.shape)[left], np.broadcast_to(high, left.shape)[left]
    slack = add(slack, mul(8 * tensor.UNIT, max(float(np.max(np.abs(low))), float(np.max(np.abs(high))))))
    return math.nextafter(float(low.min()) - slack, -math.inf), math.nextafter(float(high.max()) + slack, math.inf)


def joined(rules: Rules, parts: list[Bound]) -> Bound:
    """Operands laid end to end, with what their masks allow."""
    *given, whole = rules.node.own
    names = given if len(given) > 1 else given * len(parts)
    if any("mask" in p.facts for p in parts):
        bare = [replace(p, facts={k: v for k, v in p.facts.items() if k != "mask"}) for p in parts]
        return replace(joined(rules, bare), facts={"mask": _masks(rules, parts, names, whole)})
    as_token = all(n in p.tokens for n, p in zip(names, parts, strict=True) if not p.constant)
    rest = frozenset().union(*(p.axes - {n} for n, p in zip(names, parts, strict=True)))
    tokens = frozenset().union(*(p.tokens - {n} for n, p in zip(names, parts, strict=True)))
    wide = [
        widen(p, rest | {n}, tokens | ({n} if as_token else frozenset()), rules.sizes)
        for n, p in zip(names, parts, strict=True)
    ]
    slopes: Slopes = {}
    for p in wide:
        slopes = slopes_sum(slopes, p.slopes)
    radius = max(p.radius for p in wide) if as_token else add(*(p.radius for p in wide))
    entry = min(p.entry[0] for p in wide), max(p.entry[1] for p in wide)
    axes, tokens = rest | {whole}, tokens | ({whole} if as_token else frozenset())
    form: Form | None = Form()
    before = 0
    for n, p in zip(names, parts, strict=True):
        try:
            if form is None or p.form is None:
                form = None
                break
            start = before
            piece = affine.apply(
                p.form, (n,), lambda b, n=n, s=start: linear.pad(b, n, whole, s, rules.sizes[whole]), rules.sizes
            )
            form = piece if before == 0 else affine.total(form, piece, rules.sizes)
        except TooLarge:
            form = None
        before += rules.sizes[n]
    out = rules.finish(axes, tokens, entry, radius, slopes, form)
    facts = {} if out.constant or len(set(names)) < len(names) else powers.joined(rules, parts, names, whole)
    if not out.constant and any("log" in p.facts for p in parts):
        logs = [rules.logarithm(p) for p in parts]
        if all(x is not None for x in logs):
            facts["log"] = replace(joined(rules, [x for x in logs if x is not None]), facts={})
    return replace(out, facts=facts) if facts else out


def _masks(rules: Rules, parts: list[Bound], names: list[str], whole: str) -> Any:
    """What is allowed of operands laid end to end; "any" where one of the masks is not known."""
    total, before = None, 0
    for n, p in zip(names, parts, strict=True):
        mask = p.facts.get("mask", tensor.scalar(1.0))
        if not isinstance(mask, Ball):
            return "any"
        piece = linear.pad(mask.spread(rules.sizes, [n]), n, whole, before, rules.sizes[whole])
        total = piece if total is None else tensor.plus(total.spread(rules.sizes, piece.axes), piece.spread(rules.sizes, total.axes))
        before += rules.sizes[n]
    return total
