"""Finding dot-product softmax attention in a diagram: by structure and side conditions, never by a name.

The pattern, in the language, up to isomorphism, constant factors, biases and masks over positions:

    q = lin Q[d -> h, e](x)   k = lin K[d -> h, e](x[n -> m])   v = lin V[d -> h, f](x[n -> m])
    out dot[m](softmax[m](mask(p, c * dot[e](q, k) + b)), v)

Side conditions: q, k and v are affine, token by token and with one matrix for all tokens, in one or several wires;
the summed axis is the softmax's only one; keys and values are linked to it by the same axis of their wire; for one
wire the queries are linked by that axis too; the mask and b are constant; biases of keys and values are the same at
every position.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anatomy.ir.bound import Bound, add, mul, root
from anatomy.regularity import tensor
from anatomy.regularity.affine import Term, inside
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems.softmax import Attention, Rows
from anatomy.regularity.view import Product, Softmax, constant, rename


def match(data: Sequence[Bound], known: Ball, summed: frozenset[str], sizes: dict[str, int]) -> Attention | None:
    """The attention in `sum over summed of P * v`, or None where a side condition fails."""
    for p, v in (data, data[::-1]):
        fact = p.facts.get("softmax")
        if isinstance(fact, Softmax) and fact.own == summed and len(summed) == 1 and known.axes == ():
            try:
                return _match(fact, v, known, next(iter(summed)), sizes)
            except TooLarge:
                return None
    return None


def _match(fact: Softmax, v: Bound, known: Ball, m: str, sizes: dict[str, int]) -> Attention | None:
    score = fact.score
    if score.form is None or len(score.form.terms) != 1:
        return None
    outer = score.form.terms[0]
    links = dict(outer.links)
    product = outer.base.bound.facts.get("product")
    if not isinstance(product, Product) or set(links) != set(outer.base.bound.axes) or set(links.values()) != set(score.axes):
        return None
    factors = [rename(f, links) for f in product.factors]
    scale = outer.map
    moving = []
    for factor in factors:
        ball = constant(factor)
        if ball is None:
            moving.append(factor)
        else:
            scale = tensor.times(scale, ball)
    if len(moving) != 2 or any(len(f.form.terms) != 1 if f.form else True for f in (*moving, v)):
        return None
    q, k = moving if m not in moving[0].axes else moving[::-1]
    if m in q.axes or m not in k.axes or m not in v.axes:
        return None
    terms = [f.form.terms[0] for f in (q, k, v)]
    bases = [t.base for t in terms]
    linked = []
    for t in terms:
        table = dict(t.links)
        if not t.base.bound.tokens <= table.keys():
            return None
        linked.append({table[a] for a in t.base.bound.tokens})
    q_tokens, k_tokens, v_tokens = linked
    contracted = product.summed
    shared = k_tokens - {m}
    if m not in k_tokens or k_tokens != v_tokens or contracted & (q_tokens | k_tokens):
        return None
    own_tokens = q_tokens - shared
    if not shared <= q_tokens or len(own_tokens) > 1 or own_tokens & (k.axes | v.axes) or m in own_tokens:
        return None
    natural = q_tokens
    # Every key of a row must come from one input position of the same base axis.
    if bases[1].wire == bases[2].wire and _positions(terms[1]) != _positions(terms[2]):
        return None
    if bases[0].wire == bases[1].wire and own_tokens:
        n = next(iter(own_tokens))
        if {**_positions(terms[0]), n: ""} != {**{b: a for b, a in _positions(terms[1]).items() if b != m}, n: ""}:
            return None
        if _positions(terms[0])[n] != _positions(terms[1])[m]:
            return None
    if len({b.wire for b in bases}) == 1 and len(own_tokens) != 1:
        return None
    heads = tuple(sorted(score.axes - natural - {m}))
    value_axes = tuple(sorted(v.axes - v_tokens - set(heads)))
    if set(value_axes) & natural or not contracted <= (q.axes & k.axes) or (q.axes | k.axes) - contracted - score.axes:
        return None
    moving_tokens = natural | k_tokens
    if any(set(t.map.axes) & moving_tokens for t in terms) or set(scale.axes) & moving_tokens:
        return None
    offsets = [f.form.offset for f in (q, k, v)]
    if any(o is not None and set(o.axes) & moving_tokens for o in offsets[1:]):
        return None
    e = tuple(sorted(contracted))
    queries = _array(terms[0], q, heads, e, sizes)
    keys = _array(terms[1], k, heads, e, sizes)
    values = _array(terms[2], v, heads, value_axes, sizes)
    count = math.prod(sizes[a] for a in heads)
    factor = Ball(("h",), scale.spread(sizes, heads).order(heads).mid.reshape(count), scale.rad)
    scores = tensor.times(tensor.times(queries.rename({"o": "e"}), factor), keys.rename({"d": "c", "o": "e"}), ["e"])
    tilt = np.zeros(count)
    if offsets[0] is not None:
        tilt = _tilt(offsets[0], keys, factor, heads, e, sizes)
    values = tensor.times(values, known)
    v_offset = 0.0
    if offsets[2] is not None:
        wide = offsets[2].spread(sizes, (*heads, *value_axes))
        v_offset = mul(known.top, add(float(tensor.frobenius(wide.mid, wide.mid.ndim)), mul(wide.rad, root(float(wide.mid.size)))))
    rows = _rows(fact.allowed, next(iter(own_tokens), None), m, sizes)
    return Attention(
        (bases[0], bases[1], bases[2]), next(iter(own_tokens), ""), natural, heads, value_axes, scores.order(["h", "d", "c"]), tilt,
        values.order(["h", "d", "o"]).rename({"o": "f"}),
        v_offset, _width(score.form.offset, m), rows,
    )  # fmt: skip


def _positions(term: Term) -> dict[str, str]:
    return {b: a for a, b in term.links if a in term.base.bound.tokens}


def _array(term: Term, x: Bound, heads: tuple[str, ...], out: tuple[str, ...], sizes: dict[str, int]) -> Ball:
    """The feature map of a wire as [heads, features in, features out]."""
    base = term.base.bound
    for a, b in term.links:
        if a not in base.tokens:
            term = term.explicit(b, sizes)
    ins = [inside(a) for a in sorted(base.features)]
    axes = [*heads, *ins, *out]
    wide = sizes | {inside(a): sizes[a] for a in base.features}
    map_ = term.map.spread(wide, axes).order(axes)
    shape = [math.prod(wide[a] for a in group) for group in (heads, ins, out)]
    return Ball(("h", "d", "o"), map_.mid.reshape(shape), map_.rad)


def _tilt(offset: Ball, keys: Ball, factor: Ball, heads: tuple[str, ...], e: tuple[str, ...], sizes: dict[str, int]) -> np.ndarray:
    """||c|| for every head: the greatest over positions of the norm of K applied to the bias of the queries."""
    rest = [a for a in offset.axes if a not in heads and a not in e]
    wide = offset.spread(sizes, (*heads, *e)).order([*heads, *rest, *e])
    count, width = (math.prod(sizes[a] for a in group) for group in (heads, e))
    bias = Ball(("h", "n", "e"), wide.mid.reshape(count, -1, width), wide.rad)
    c = tensor.times(tensor.times(bias, factor), keys.rename({"o": "e"}), ["e"]).order(["h", "n", "d"])
    extra = mul(c.rad, root(float(c.mid.shape[2])))
    norms = np.max(tensor.frobenius(c.mid, 1), axis=1)
    return np.where(norms + extra > 0, (norms + extra) * (1 + 4 * tensor.UNIT), 0.0)


def _width(offset: Ball | None, m: str) -> float:
    """How much a constant bias of the scores can widen the range of a row."""
    if offset is None or m not in offset.axes:
        return 0.0
    at = offset.axes.index(m)
    spans = np.max(offset.mid, axis=at) - np.min(offset.mid, axis=at)
    return add(float(np.max(spans)) * (1 + 4 * tensor.UNIT), mul(2.0, offset.rad))


def _rows(allowed: Any, n: str | None, m: str, sizes: dict[str, int]) -> Rows:
    queries = sizes[n] if n else 1
    if allowed is None:
        return Rows(queries, sizes[m], None, True)
    if isinstance(allowed, Ball) and set(allowed.axes) <= {n, m} - {None}:
        names = [a for a in (n, m) if a]
        grid = np.broadcast_to(allowed.order(names).mid, [sizes[a] for a in names]).reshape(queries, sizes[m])
        return Rows(queries, sizes[m], grid, True)
    return Rows(queries, sizes[m], None, False)

