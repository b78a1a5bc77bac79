"""Products and contractions: linear in constants, and for two wires that depend on inputs the product rule and the theorems.

The product rule. T = sum over S of A B; K are the axes that both have and T keeps. For fixed tokens, as a matrix over the
features, |sum over S of dA B| <= |dA| min(|B|, max|B| sqrt(points of S and of B alone)) by Cauchy and Schwarz. A token of T is
reached from every summed token (rows of the matrix of blocks), and a token of A reaches every token of B alone (columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flint import arb

from anatomy.certificates import finding, means
from anatomy.certificates.affine import Form, ends, multiply
from anatomy.certificates.facts import Fact, Gains, least_of, sum_of, through, triple
from anatomy.certificates.model import Node, Port
from anatomy.certificates.state import Lacking, Product, State, View
from anatomy.certificates.tensors import Tensor, count, scalar, spend, times

NOTHING: frozenset[str] = frozenset()
FACTORS = 64
"""The most factors that one sum is taken of."""


def product(s: State, n: Node, views: Sequence[View], summed: frozenset[str], scale: arb) -> None:
    """The result of a node that multiplies and sums."""
    known, data = scalar(scale), []
    for v in _flat(s, views) if summed else views:
        if v.value is None:
            data.append(v)
        else:
            known = times(known, v.value)
    if not data:
        s.constant(n.outs[0], multiply(Form((), known), scalar(1), summed, s.sizes).value or scalar(0))
    elif len(data) == 1:
        x = data[0]
        new = frozenset(known.axes) - x.axes - summed
        ended = summed & x.axes & frozenset(known.axes)
        tokens = (x.tokens - summed) | (new if ended and ended <= x.tokens else NOTHING)
        s.affine(n.outs[0], multiply(x.form, known, summed, s.sizes), tokens)
    else:
        # What is no part of the sum multiplies it afterwards: a mean stays a mean.
        left, *rest = sorted(data, key=lambda v: not summed & v.axes)
        for k, right in enumerate(rest[:-1]):
            # Axes that no later factor has are summed at once.
            here = (summed & (left.axes | right.axes)) - frozenset().union(*(v.axes for v in rest[k + 1 :]))
            left, summed = _two(s, s.virtual(), left, right, scalar(1), here), summed - here
        _two(s, n.outs[0], left, rest[-1], known, summed)


def _flat(s: State, views: Sequence[View]) -> list[View]:
    """Products without sums dissolve into their factors, so that `sum[m](w * v)` is `dot[m](w, v)`."""
    out: list[View] = []
    for v in views:
        spend(100)
        node = s.producer.get(v.wire)
        if node is None or node.op != "*" or v.value is not None:
            out.append(v)
            continue
        ports = [Port(wire=p.wire, names=tuple((a, v.names[b]) for a, b in p.names)) for p in node.ports]
        out += _flat(s, [s.view(p) for p in ports])
        if len(out) > FACTORS:
            raise Lacking(f"a product of more than {FACTORS} factors")
    return out


def _with(v: View, by: Tensor, summed: frozenset[str], s: State) -> View:
    """A factor times a constant, or summed over axes of its own: no longer the wire it was."""
    if by.axes == () and (by.data[()] - 1).is_zero() and not summed:
        return v
    return replace(v, wire=-1, axes=(v.axes | set(by.axes)) - summed, tokens=v.tokens - summed, form=multiply(v.form, by, summed, s.sizes))


def _two(s: State, wire: int, a: View, b: View, known: Tensor, summed: frozenset[str]) -> View:
    if b.wire in s.scores and a.wire not in s.scores:
        a, b = b, a
    b = _with(b, known, NOTHING, s)
    a, b = _with(a, scalar(1), (summed & a.axes) - b.axes, s), _with(b, scalar(1), (summed & b.axes) - a.axes, s)
    summed = summed & a.axes & b.axes
    axes = (a.axes | b.axes) - summed
    scores = s.scores.get(a.wire)
    if scores is not None:
        scores = finding.named(s, scores, a.names)
        tokens = (scores.view.tokens | b.tokens) & axes
        if scores.own == summed:
            attention = finding.match(s, scores, b) if s.tape.writing or "attention" in s.expected else None
            found = means.mean(s, scores, b, tokens) if attention is None or len(set(attention.bases)) > 1 else None
            if attention is not None:
                s.rules.append("attention")
                gains = attention.stacked(s.tape, tokens, s.sizes)
                radius = attention.radius(s.tape, tokens, s.sizes)
                if found is None:
                    low, high = means.hull(scores, *ends(b.form, s.facts.__getitem__, s.sizes))
                    found = Fact(axes, tokens, low, high, radius, gains)
                else:
                    found = replace(found, gains=least_of(found.gains, gains), radius=found.radius.min(radius))
                found = found.tight(s.sizes)
            if found is not None:
                s.rules.append("mean")
                s.base(wire, found)
                if attention is not None:
                    s.attentions[wire] = attention
                return s.seen(wire)
    tokens = a.tokens | b.tokens
    fa, fb = s.fact(a).parted(tokens, s.sizes), s.fact(b).parted(tokens, s.sizes)
    fact = contraction(s, fa, fb, summed, tokens)
    at = [s.read(x.form, x.axes, x.axes - summed).radius if summed else f.top for x, f in ((a, fa), (b, fb))]
    most = at[0] * at[1] * count(summed - a.axes - b.axes, s.sizes)
    fact = replace(fact, low=fact.low.max(-most), high=fact.high.min(most)).tight(s.sizes)
    s.rules.append("product")
    s.base(wire, fact)
    table = s.fresh(wire, summed)
    s.products[wire] = Product((s.renamed(a, table), s.renamed(b, table)), frozenset(table.values()))
    return s.seen(wire)


def contraction(s: State, a: Fact, b: Fact, summed: frozenset[str], tokens: frozenset[str]) -> Fact:
    """The product rule; both are parted by the same tokens, and both have every summed axis."""
    across = arb(count(summed & tokens, s.sizes))
    axes = (a.axes | b.axes) - summed
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    low, high = corners[0], corners[0]
    for c in corners[1:]:
        low, high = low.min(c), high.max(c)
    points = count(summed, s.sizes)
    gains: Gains = {}
    for x, y in ((a, b), (b, a)):
        if not x.gains:
            continue
        alone = y.axes - x.axes
        size = y.radius.min(y.top * arb(count(summed - tokens, s.sizes) * count(alone - tokens, s.sizes)).sqrt())
        factor = triple(size * count(alone & tokens, s.sizes), None, size * across)
        gains = sum_of(gains, through(factor, x.gains))
    return Fact(axes, tokens & axes, low * points, high * points, across * a.radius * b.radius, gains).tight(s.sizes)


def quotient(s: State, n: Node) -> None:
    """`a / b`: linear in `a` where b is a constant, else `a (1 / b)` with b proved to stay away from 0."""
    from anatomy.certificates.rules import curved

    a, b = (s.view(p) for p in n.ports)
    if b.value is not None:
        by = b.value.each(lambda y: 1 / y)
        if any(not y.is_finite() for y in by.data.ravel()):
            raise Lacking("the denominator is not proved to stay away from 0")
        product(s, n, [a, View(-1, frozenset(by.axes), NOTHING, Form((), by), {})], NOTHING, arb(1))
        return
    inverse = curved(s, s.fact(b), "reciprocal")
    tokens = a.tokens | b.tokens
    fact = contraction(s, s.fact(a).parted(tokens, s.sizes), inverse.parted(tokens, s.sizes), NOTHING, tokens)
    s.rules.append("quotient")
    s.base(n.outs[0], fact)
