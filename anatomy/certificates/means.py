"""Softmax, and weighted means whose weights are a softmax of scores of any kind.

Statement. y_i = sum_j P_ij v_j, P_i the softmax over the allowed keys of row i, whose scores have range at most w there, N keys
at least; |v_j - c| <= r; and at each place |ds_ij| <= sum over query parts a |dq_i| + sum over key parts b |dk_ij|, where
a query part is one for all keys of a row. With k_n = n / (1 + (N - 1) e^-w) for n rows that share a key (for a mask the greatest
sum over the rows that may use the key), n' the rows that share a query, for p = 1, 2, infinity

    |dy|_p <= (k, sqrt k, 1) |dv|_p + sum r b (2 k, sqrt k, 1) |dk|_p + sum r a (n', sqrt n', 1) |dq|_p.

Proof. dy_i = sum_j P_ij dv_j + sum_j P_ij (v_j - m_i) ds_ij, m_i the mean. Under P_i, by Cauchy and Schwarz, the second sum is at
most (max over unit u of Var u.v)^(1/2) (sum_j P_ij ds_ij^2)^(1/2), and a variance is at most the mean square about c, r^2. Query part:
r a |dq_i|. Key part: r b (sum_j P_ij |dk_ij|^2)^(1/2); squared and summed over rows, each |dk|^2 counts with the weights that
rows give it, at most k. In the 1-norm |v_j - m_i| <= 2 r. Values likewise, with sum_j P_ij = 1 and convexity.

For entmax, 1 < alpha <= 2 (sparsemax: 2), dP_ij = u_ij (ds_ij - mean under u) with u = P^(2 - alpha) on the support, at most 1,
and sum_j u_ij <= M = n^(alpha - 1) for n keys (power means). The same argument under u: k counts rows in place of weights, and
factors are r b (2 k, sqrt(M k), M) and r a M (n', sqrt n', 1). It is piecewise smooth, so that bounds of the pieces suffice.

The softmax itself: diag(p) - p p^T has norm at most 1/2, and absolute row and column sums 2 p (1 - p) <= 1/2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from flint import arb

from anatomy.certificates.affine import Form
from anatomy.certificates.facts import Fact, Gains, retoken, scaled, sum_of, through, triple
from anatomy.certificates.model import Node
from anatomy.certificates.numbers import root
from anatomy.certificates.places import Place, parts
from anatomy.certificates.softmax import Rows, peak
from anatomy.certificates.state import Lacking, Scores, State, View
from anatomy.certificates.tensors import Tensor, count, spend, times


def row_counts(s: State, allowed: Tensor | None, known: bool, own: frozenset[str]) -> tuple[int, bool, bool]:
    """The least number of keys in a row that has any, whether some row has many, and whether some row has none."""
    total = count(own, s.sizes)
    if not known:
        return 1, total > 1, True
    if allowed is None:
        return total, total > 1, False
    missing = count(own - set(allowed.axes), s.sizes)
    grid = allowed.order([*(a for a in allowed.axes if a not in own), *(a for a in allowed.axes if a in own)])
    rows = [a for a in allowed.axes if a not in own]
    found = grid.reshape(count(rows, s.sizes), -1)
    counts = {missing * sum(1 for y in row if not y.is_zero()) for row in found}
    return min((c for c in counts if c), default=0), max(counts, default=0) > 1, 0 in counts


def distribution(s: State, n: Node) -> None:
    """`softmax[own]`; what it was taken of is kept for the rules on means."""
    x = s.view(n.ports[0], masked=True)
    own, allowed, known = frozenset(n.own), None, True
    if x.wire in s.masks:
        mask, inside = s.masks[x.wire]
        allowed, known = (mask.rename(x.names) if mask is not None else None), mask is not None
        x = replace(s.renamed(inside, x.names), wire=x.wire)
    if x.value is not None:
        _constant(s, n, x, own, allowed, known)
        return
    least, many, empty = row_counts(s, allowed, known, own)
    fact = s.fact(x)
    width = fact.high - fact.low
    tokens = fact.tokens if own <= fact.features else fact.axes
    fact = fact.parted(tokens, s.sizes)
    top = peak(max(least, 1), width)
    steep = scaled(arb(0.5) if many else arb(0))
    radius = root(arb(count(fact.features - own, s.sizes))) if own <= fact.features else arb(1)
    # Without a mask a weight is least where its score is w below all others.
    low = peak(count(own, s.sizes), -width) if known and allowed is None and count(own, s.sizes) else arb(0)
    out = Fact(fact.axes, tokens, low, top, radius, through(steep, fact.gains))
    s.base(n.outs[0], out.tight(s.sizes))
    s.scores[n.outs[0]] = Scores(x, own, allowed, known, width, 0 if empty and known else least, many)


def _constant(s: State, n: Node, x: View, own: frozenset[str], allowed: Tensor | None, known: bool) -> None:
    value = x.value
    assert value is not None
    if not known:
        raise Lacking("a softmax of a constant by a mask that is not known")
    weights = value.each(arb.exp)
    if allowed is not None:
        weights = times(weights, allowed)
    weights = weights.spread(own, s.sizes)
    at = tuple(k for k, a in enumerate(weights.axes) if a in own)
    total = weights.data
    for k in sorted(at, reverse=True):
        total = np.add.reduce(total, axis=k, initial=arb(0), keepdims=True)
    safe = Tensor(weights.axes, np.broadcast_to(total, weights.data.shape)).each(lambda y: arb(1) if y.is_zero() else y)  # a row without keys gives 0
    s.constant(n.outs[0], times(weights, safe.each(lambda y: 1 / y)))


def hull(scores: Scores, low: arb, high: arb) -> tuple[arb, arb]:
    """Where means of values in [low, high] lie; a row without keys gives 0, which need not be among them."""
    return (low, high) if scores.known and scores.least > 0 else (low.min(arb(0)), high.max(arb(0)))


def rows_of(s: State, scores: Scores, n: str | None, m: str) -> Rows:
    """The mask as a table of rows and keys."""
    queries = s.sizes[n] if n else 1
    spend(queries)
    axes = [a for a in (n, m) if a]
    if not scores.known or (scores.allowed is not None and not set(scores.allowed.axes) <= set(axes)):
        return Rows(queries, s.sizes[m], None, False)
    if scores.allowed is None:
        return Rows(queries, s.sizes[m], None, True)
    grid = scores.allowed.spread(axes, s.sizes).order(axes).reshape(queries, s.sizes[m])
    return Rows(queries, s.sizes[m], np.array([[not y.is_zero() for y in row] for row in grid], dtype=int).reshape(grid.shape), True)


def mean(s: State, scores: Scores, v: View, tokens: frozenset[str], places: list[Place] | None = None) -> Fact | None:
    """The bound on `sum over own of softmax(scores) v`, by tokens; None where a part is linked to some keys only."""
    own, axes = scores.own, scores.view.axes
    if not own <= v.axes:
        return None
    rows = axes - own

    def kappa(linked: frozenset[str]) -> arb:
        shared = rows - linked
        found = scores.peak(max(scores.least, 1)) * count(shared, s.sizes)
        if scores.allowed is not None and len(own) == 1 and len(shared & set(scores.allowed.axes)) == 1:
            (q,), (m,) = shared & set(scores.allowed.axes), own
            if set(scores.allowed.axes) <= {q, m}:
                table = rows_of(s, scores, q, m)
                value = {c: scores.peak(c) for c in set(table.counts)}
                found = found.min(table.columns(value) * count(shared - {q}, s.sizes))
        return found

    at = v.axes & axes
    value = s.read(v.form, v.axes, at)
    k = kappa(at)
    gains: Gains = through(triple(k, root(k), arb(1)), value.gains)
    offset = v.form.offset
    common = offset is not None and not own & set(offset.axes)
    far = s.read(Form(v.form.terms), v.axes, at).radius.min(value.radius) if common else value.radius
    mass = arb(1) if scores.mass is None else scores.mass
    for part in (parts(s, scores.view.form) if places is None else places) if scores.many else ():
        linked = part.linked
        gained = s.read(Form((part.term,)), linked | part.over, linked).gains
        size = far * part.factor
        if not linked & own:
            shared = arb(count(rows - linked, s.sizes))
            factor = triple(mass * size * shared, mass * size * root(shared), mass * size)
        elif own <= linked:
            k = kappa(linked)
            factor = triple(2 * k * size, root(mass * k) * size, mass * size)
        else:
            return None
        gains = sum_of(gains, through(factor, gained))
    out, full = (v.axes | axes) - own, rows
    gains = {key: retoken(g, full, tokens, s.sizes) for key, g in gains.items()}
    radius = value.radius * root(arb(count(full - tokens, s.sizes)))
    low, high = hull(scores, value.low, value.high)
    return Fact(out, tokens, low, high, radius, gains).tight(s.sizes)
