"""Linear operations: axes rearranged, accumulated and transformed, and operands laid end to end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import Bound, Slopes, add, mul, slopes_after, slopes_sum
from anatomy.regularity import affine, linear, tensor
from anatomy.regularity.affine import Form
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.view import Product, Steps, rename, widen, with_tokens

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
    return tuple(outs)


def _running(rules: Rules, x: Bound, axis: str) -> dict[str, Any]:
    """A running sum as a sum under a mask, and the steps that it is made of."""
    facts: dict[str, Any] = {"steps": Steps(axis, x.entry)}
    size = rules.sizes[axis]
    if size * size <= tensor.LIMIT:
        table = rules.fresh(frozenset({axis}))
        inner = x.facts.get("product")
        factors = inner.factors if isinstance(inner, Product) and not inner.summed else (replace(x, facts={}),)
        mask = rules.known(Ball((axis, table[axis]), np.tri(size)))
        facts["product"] = Product((*(rename(f, table) for f in factors), mask), frozenset(table.values()))
    return facts


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
    return rules.finish(axes, tokens, entry, radius, slopes, form)


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
