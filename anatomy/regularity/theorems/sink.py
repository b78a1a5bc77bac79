"""Attention with a sink: a key of constant score and value 0 beside those of the row, written with logsumexp.

The patterns, in the language, with s = dot[e](q, k) + b, masked or not, or any other score:

    w = exp(s - softplus(logsumexp[m](s)))    w = softmax[m](s) * sigmoid(logsumexp[m](s) - c)    out sum[m](w * v)

Statement. Both are w_ij = e^s_ij / (e^c + sum_l e^s_il), c = 0 in the first: the softmax over the row's keys and one more of score c, whose
value is 0. So every bound of a weighted mean over N + 1 keys holds for N, with the scores' range widened to hold c and values
whose distance is taken from 0: `kernel` place by place, and for dot products without biases of keys and values `softmax`.

Proof. sum_l e^s_il = e^lse, so e^(s - log(1 + e^lse)) = e^s / (1 + Z) and (e^s / Z) / (1 + e^(c - log Z)) = e^s / (Z + e^c). Of a dot product
the further key is that of the token x_0 = 0, which lies in the ball and does not move: the derivative is a restriction of
that of attention over N + 1 keys, with the constant bias c in the place of its score. Source: this project's; weights with
a one in the denominator are softmax_1 of Miller (2023), learned sinks those of gpt-oss (2025).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import Bound, Slopes, down, enclose, meet, up
from anatomy.regularity import tensor
from anatomy.regularity.affine import Form, Term
from anatomy.regularity.rows import counts
from anatomy.regularity.tensor import Ball
from anatomy.regularity.theorems import kernel
from anatomy.regularity.theorems.probe import dot_product, shifted_keys
from anatomy.regularity.theorems.softmax import Attention, Rows
from anatomy.regularity.view import Softmax, Weights, mask_of

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on a sink"


# finding it -----------------------------------------------------------------------------------


def partition(ctx: Rules, x: Bound, own: frozenset[str]) -> Bound:
    """The logarithm of the sum of exponentials over the own axes."""
    allowed = mask_of(x)
    least, most = counts(allowed, own, ctx.sizes)
    x = ctx.filled(x, own)  # -inf does not change it, while something else is left
    low, high = x.entry
    entry = down(low + enclose("log", least)[0]), up(high + enclose("log", most)[1])
    # The gradient over the own axes is in the simplex.
    return replace(ctx.selection([x], own), entry=entry, facts={"partition": Softmax(own, replace(x, facts={}), allowed)})


def noted(x: Bound, out: Bound, name: str) -> Bound:
    """`out`, the function of that name of `x`, with what it says of a sink."""
    if x.form is None:
        return out
    if name in ("softplus", "sigmoid"):
        found = _taken(x.form, "partition", 1.0)
        if found is None or found[1].terms:
            return out
        offset = found[1].offset or tensor.scalar(0.0)
        if name == "softplus" and (offset.rad or bool(np.any(offset.mid))):
            return out
        low, high = offset.interval
        return replace(out, facts={**out.facts, name: Share(found[0], (-high, -low))})
    found = _taken(x.form, "softplus", -1.0) if name == "exp" else None
    if found is None or not isinstance(found[0], Share):
        return out
    inner = found[0].softmax
    if inner.score.form is None or not same(inner.score.form, found[1]) or inner.score.axes != x.axes:
        return out
    weights = Weights(("sink", found[0].sink), inner.score, out, tensor.scalar(1.0), inner.own, inner.allowed)
    return replace(_whole(out) if inner.allowed is None else out, facts={**out.facts, "weights": weights})


@dataclass(frozen=True, eq=False)
class Share:
    """A wire made of a row's logsumexp, and the interval of the sink's score."""

    softmax: Softmax
    sink: tuple[float, float]

    def rename(self, table: dict[str, str]) -> Share:
        return Share(self.softmax.rename(table), self.sink)


def shared(data: Any, known: Ball, out: Bound) -> Bound:
    """`softmax * sigmoid(logsumexp - c)`, with what it says of a sink."""
    if known.axes or known.rad or known.mid != 1:
        return out
    for p, part in (data, data[::-1]):
        fact, share = p.facts.get("softmax"), part.facts.get("sigmoid")
        if isinstance(fact, Softmax) and isinstance(share, Share) and p.axes == out.axes and fact.own == share.softmax.own:
            a, b = fact.score.form, share.softmax.score.form
            if a is not None and b is not None and same(a, b) and _equal(fact.allowed, share.softmax.allowed):
                return replace(_whole(out), facts={**out.facts, "weights": Weights(("sink", share.sink), fact.score, out, known, fact.own, fact.allowed)})
    return out


def without_partition(ctx: Rules, score: Bound, own: frozenset[str]) -> Bound | None:
    """`s`, where the score is `s - logsumexp[own](s)` over all keys."""
    found = _taken(score.form, "partition", -1.0) if score.form is not None else None
    if found is None:
        return None
    inner = found[0]
    if inner.own != own or inner.allowed is not None or inner.score.form is None or not same(inner.score.form, found[1]):
        return None
    return inner.score if inner.score.axes == score.axes else None


def _whole(x: Bound) -> Bound:
    return replace(x, entry=meet(x.entry, (0.0, 1.0)))


def _taken(form: Form, key: str, factor: float) -> tuple[Any, Form] | None:
    """The fact of the one term with this exact factor whose base has it, under the names here, and the rest."""
    for k, term in enumerate(form.terms):
        fact = term.base.bound.facts.get(key)
        links = dict(term.links)
        if fact is None or set(links) != set(term.base.bound.axes) or term.map.axes or term.map.rad or term.map.mid != factor:
            continue
        inner = fact.softmax if isinstance(fact, Share) else fact
        if inner.own & frozenset(links.values()):
            continue
        return fact.rename(links), Form((*form.terms[:k], *form.terms[k + 1 :]), form.offset)
    return None


def same(a: Form, b: Form) -> bool:
    """Whether two forms are one, term by term."""
    if len(a.terms) != len(b.terms) or not _equal(a.offset, b.offset):
        return False
    rest = list(b.terms)
    for term in a.terms:
        twin = next((t for t in rest if _twins(term, t)), None)
        if twin is None:
            return False
        rest.remove(twin)
    return True


def _twins(a: Term, b: Term) -> bool:
    return a.base.wire == b.base.wire and set(a.links) == set(b.links) and _equal(a.map, b.map)


def _equal(a: Any, b: Any) -> bool:
    if not isinstance(a, Ball) or not isinstance(b, Ball):
        return a is None and b is None
    return set(a.axes) == set(b.axes) and a.rad == b.rad and bool(np.array_equal(a.mid, b.order(a.axes).mid))


# what follows ---------------------------------------------------------------------------------


class Sunk(Attention):
    """Attention with one key more in each row."""

    def explodes(self, values: Ball) -> bool:
        return False


def _fits(weights: Weights) -> bool:
    """Whether the mask that stands outside is that of the sums."""
    grid = weights.grid
    return (not grid.axes and not grid.rad and grid.mid == 1) or _equal(grid, weights.allowed)


def fold(ctx: Rules, weights: Weights, v: Bound, m: str) -> Attention | None:
    """The dot product with its matrices; None where a side condition fails."""
    if not _fits(weights) or weights.allowed == "any":
        return None
    found = dot_product(ctx, weights.score, weights.allowed, v, m)
    if found is None or found.value_offset or shifted_keys(weights.score, m) or not found.rows.known or weights.score.form is None:
        return None
    allowed = found.rows.allowed
    if allowed is not None:
        allowed = np.concatenate([allowed, np.ones((len(allowed), 1))], axis=1)
    offset, sink = weights.score.form.offset, weights.kind[1]
    low, high = offset.interval if offset is not None else (0.0, 0.0)
    width = up(max(high, sink[1]) - min(low, sink[0])) if (low, high) != sink or low != high else 0.0
    changed = {"rows": Rows(found.rows.queries, found.rows.keys + 1, allowed, True), "width": width}
    return Sunk(**{f.name: getattr(found, f.name) for f in fields(found)} | changed)


def mean(ctx: Rules, weights: Weights, v: Bound, own: frozenset[str], tokens: frozenset[str]) -> Slopes | None:
    """The derivative of `sum over own of w * v` place by place."""
    if not _fits(weights) or weights.score.axes != weights.plain.axes:
        return None
    return kernel.mean(ctx, Softmax(own, weights.score, weights.allowed), v, tokens, weights.kind[1])

