"""Finding dot-product softmax attention in what is known of a diagram: by its structure and side conditions alone.

Wanted: softmax over m of (scale * sum over e of q k, and constants), times v, summed over m, where q, k and v are each one
affine function, token by token and with one matrix for all tokens, of one earlier wire; keys and values run along m with the
same axis of their wires; in self-attention queries run along their own axis n with that axis too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flint import arb

from anatomy.certificates.affine import Form, Term, inner
from anatomy.certificates.means import rows_of
from anatomy.certificates.softmax import Attention, norm, product
from anatomy.certificates.state import Scores, State, View
from anatomy.certificates.tensors import Tensor, count, greatest


def named(s: State, scores: Scores, names: dict[str, str]) -> Scores:
    """The scores of a softmax under the names of a node that reads it."""
    allowed = scores.allowed.rename(names) if scores.allowed is not None else None
    return replace(scores, view=s.renamed(scores.view, names), own=frozenset(names[a] for a in scores.own), allowed=allowed)


def match(s: State, scores: Scores, v: View) -> Attention | None:
    """The attention in `sum over own of softmax(scores) v`, or None where a side condition fails."""
    form, axes = scores.view.form, scores.view.axes
    if len(form.terms) != 1 or len(scores.own) != 1 or scores.mass is not None:
        return None
    (m,), outer = scores.own, form.terms[0]
    inside = s.products.get(outer.base)
    if inside is None or len(outer.links) != len(outer.axes) or set(outer.links.values()) != axes:
        return None
    q, k = (s.renamed(f, dict(outer.links)) for f in inside.factors)
    if m in q.axes:
        q, k = k, q
    if m in q.axes or m not in k.axes or m not in v.axes or any(len(x.form.terms) != 1 for x in (q, k, v)):
        return None
    terms = [x.form.terms[0] for x in (q, k, v)]
    facts = [s.facts[t.base] for t in terms]
    if any(not f.tokens <= t.links.keys() for t, f in zip(terms, facts, strict=True)):
        return None
    runs = [{t.links[a]: a for a in f.tokens} for t, f in zip(terms, facts, strict=True)]
    rows, keys = frozenset(runs[0]), frozenset(runs[1])
    shared, e = keys - {m}, inside.summed
    own = rows - shared
    if m not in keys or keys != frozenset(runs[2]) or not shared <= rows or len(own) > 1 or own & (k.axes | v.axes) or e & (rows | keys):
        return None
    bases = (terms[0].base, terms[1].base, terms[2].base)
    if bases[1] == bases[2] and runs[1] != runs[2]:
        return None
    if len(set(bases)) == 1 and (len(own) != 1 or {("" if b in own else b): a for b, a in runs[0].items()} != {("" if b == m else b): a for b, a in runs[1].items()}):
        return None
    tokens = rows | keys
    if any(set(t.map.axes) & tokens for t in (*terms, outer)) or any(x.form.offset is not None and set(x.form.offset.axes) & tokens for x in (k, v)):
        return None
    if not e <= q.axes & k.axes or (q.axes | k.axes) - e - axes or rows - axes:
        return None
    heads = tuple(sorted(axes - rows - {m}))
    value_axes = tuple(sorted(v.axes - keys - set(heads)))
    if set(value_axes) & rows:
        return None
    es = tuple(sorted(e))
    mq, mk, mv = (_maps(s, t, f.tokens, heads, out) for t, f, out in zip(terms, facts, (es, es, value_axes), strict=True))
    scale = outer.map.spread(heads, s.sizes).order(heads).reshape(-1)
    n = next(iter(own), None)
    return Attention(
        bases, (facts[0], facts[1], facts[2]), rows, heads, value_axes,
        [product(x, y.transpose()) * z for x, y, z in zip(mq, mk, scale, strict=True)],
        _tilts(s, q.form.offset, [y * z for y, z in zip(mk, scale, strict=True)], heads, es),
        mv, _shifts(s, v.form.offset, heads, value_axes), _width(scores, form, m), rows_of(s, scores, n, m),
    )  # type: ignore[arg-type]  # fmt: skip


def _maps(s: State, t: Term, tokens: frozenset[str], heads: Sequence[str], out: Sequence[str]) -> Any:
    """The map from the features of the base, as a matrix for every head."""
    for a, b in t.links.items():
        if a not in tokens:
            t = t.explicit(b, s.sizes)
    ins = [inner(a) for a in sorted(t.axes - tokens)]
    wide = dict(s.sizes) | {inner(a): s.sizes[a] for a in t.axes}
    axes = [*heads, *ins, *out]
    array = t.map.spread(axes, wide).order(axes)
    return array.reshape(*(count(group, wide) for group in (heads, ins, out)))


def _tilts(s: State, offset: Tensor | None, keys: Sequence[Any], heads: Sequence[str], es: Sequence[str]) -> list[arb]:
    """|c| for every head: the greatest over positions of the norm of K applied to the bias of the queries."""
    if offset is None:
        return [arb(0) for _ in keys]
    rest = [a for a in offset.axes if a not in heads and a not in es]
    axes = [*heads, *rest, *es]
    array = offset.spread(axes, s.sizes).order(axes).reshape(len(keys), count(rest, s.sizes), -1)
    return [greatest(norm(row) for row in product(b, k.transpose())) for b, k in zip(array, keys, strict=True)]


def _shifts(s: State, offset: Tensor | None, heads: Sequence[str], value_axes: Sequence[str]) -> list[arb]:
    axes = [*heads, *value_axes]
    if offset is None:
        return [arb(0)] * count(heads, s.sizes)
    return [norm(row) for row in offset.spread(axes, s.sizes).order(axes).reshape(count(heads, s.sizes), -1)]


def _width(scores: Scores, form: Form, m: str) -> arb:
    """How much a constant bias of the scores widens the range of a row."""
    if form.offset is None or m not in form.offset.axes:
        return arb(0)
    rows = np.moveaxis(form.offset.data, form.offset.axes.index(m), -1).reshape(-1, form.offset.data.shape[form.offset.axes.index(m)])
    spans = []
    for row in rows:
        low = high = row[0]
        for x in row:
            low, high = low.min(x), high.max(x)
        spans.append(high - low)
    return greatest(spans)
