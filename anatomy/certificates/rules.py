"""One rule for every operation: linear ones give a form, the others a claim."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flint import arb

from anatomy.certificates import choices, curves, linear, means, products, sparse
from anatomy.certificates.affine import Form, add, multiply
from anatomy.certificates.facts import Fact, Gains, scaled, sum_of, through
from anatomy.certificates.linear import NOTHING, exact, fraction
from anatomy.certificates.model import Broken, Node
from anatomy.certificates.numbers import root
from anatomy.certificates.state import Lacking, State, View
from anatomy.certificates.tensors import Tensor, count, integer, scalar, times, together


def apply(s: State, n: Node) -> None:
    x = s.view(n.ports[0], masked=True)
    name = n.op
    if x.value is not None and x.wire not in s.masks:
        s.constant(n.outs[0], x.value.each(curves.at(name)))
        return
    curve(s, n.outs[0], x, name)
    if x.wire in s.masks:
        if name not in curves.AT_MINUS_INFINITY:
            raise Lacking("a masked value is used outside a softmax")
        mask, _ = s.masks[x.wire]
        if mask is None:
            raise Lacking("the mask is not known")
        mask = mask.rename(x.names)
        form = multiply(s.forms[n.outs[0]], mask, NOTHING, s.sizes)
        last = times(mask.each(lambda y: 1 - y), scalar(curves.AT_MINUS_INFINITY[name]))
        s.affine(n.outs[0], add(form, Form((), last), s.sizes), s.tokens[n.outs[0]])


def curve(s: State, wire: int, x: View, name: str) -> None:
    """A function of one real: |f(a) - f(b)| <= slope |a - b| on the interval of the entries."""
    fact = s.fact(x)
    s.base(wire, curved(s, fact, name))
    s.curves[wire] = (x, curves.slope(name, fact.low, fact.high))


def curved(s: State, fact: Fact, name: str) -> Fact:
    slope = curves.slope(name, fact.low, fact.high)
    low, high = curves.image(name, fact.low, fact.high)
    fact_ = Fact(fact.axes, fact.tokens, low, high, root(arb(count(fact.features, s.sizes))) * abs(low).max(abs(high)), through(scaled(slope), fact.gains))
    if fact.low <= 0 and fact.high >= 0 and name not in ("log", "sqrt", "reciprocal"):
        at = abs(curves.at(name)(arb(0))) * root(arb(count(fact.features, s.sizes)))
        fact_ = Fact(fact.axes, fact.tokens, low, high, fact_.radius.min(at + slope * fact.radius), fact_.gains)
    return fact_.tight(s.sizes)


def power(s: State, n: Node) -> None:
    a, b = (s.view(p) for p in n.ports)
    value = b.value
    if value is None:
        if a.value is None:
            raise Lacking("a power whose base and exponent both depend on the input")
        # a^b = exp(b log a)
        scaled_ = multiply(b.form, a.value.each(curves.at("log")), NOTHING, s.sizes)
        curve(s, n.outs[0], View(-1, a.axes | b.axes, b.tokens, scaled_, {}), "exp")
    elif a.value is not None:
        axes, x, y = together(a.value, value)
        x, y = np.broadcast_arrays(x, y)
        out = np.empty(x.shape, dtype=object)
        out.ravel()[:] = [_raised(p, q) for p, q in zip(x.ravel(), y.ravel(), strict=True)]
        s.constant(n.outs[0], Tensor(axes, out))
    else:
        exponent = None if value.axes else integer(value.data[()])
        if exponent is not None and 0 <= exponent <= 64:
            curve(s, n.outs[0], a, f"power {exponent}")
            return
        wire = s.virtual()
        curve(s, wire, a, "log")
        form = multiply(s.forms[wire], value, NOTHING, s.sizes)
        curve(s, n.outs[0], View(-1, a.axes | b.axes, s.tokens[wire], form, {}), "exp")


def _raised(x: arb, y: arb) -> arb:
    """x^y: by multiplication for whole y, else for positive x."""
    whole = integer(y)
    if whole is not None and abs(whole) <= 1000:
        out = x**whole if whole >= 0 else 1 / x**-whole
    else:
        out = (y * x.log()).exp()
    if not out.is_finite():
        raise Lacking("a power of a constant is not defined")
    return out


def normalise(s: State, n: Node) -> None:
    """c / s with a linear c of norm at most 1 and s >= |c| up to scale: the derivative (I - c c^T / s^2) / s is a contraction over s."""
    x, own = s.view(n.ports[0]), frozenset(n.own)
    eps = exact(fraction(n.options.get("eps", "0")))
    points = arb(count(own, s.sizes))
    if not eps >= 0:
        raise Broken("graph", "a negative eps")
    fact = s.fact(x)
    least = fact.low.max(-fact.high).max(arb(0)) if n.op != "layernorm" else arb(0)
    if n.op == "l1norm":
        floor = eps.max(least * points)
        slope, top = (1 + root(points)) / _positive(floor), arb(1)
    else:
        top = arb(1) if n.op == "l2norm" else root(points)
        floor = root(eps).max(least * root(points) / top)
        slope = 1 / _positive(floor)
    fact = fact.parted(fact.tokens - own, s.sizes)
    others = root(arb(count(fact.features - own, s.sizes)))
    out = Fact(fact.axes, fact.tokens, -top, top, (top * others).min(slope * fact.radius), through(scaled(slope), fact.gains))
    s.base(n.outs[0], out.tight(s.sizes))


def _positive(x: arb) -> arb:
    if not x > 0:
        raise Lacking("the size that divides is not proved to stay away from 0")
    return x


def choose(s: State, n: Node) -> None:
    """max, min, logsumexp over axes and of two wires: any gradient lies in the simplex."""
    views = [s.view(p, masked=True) for p in n.ports]
    axes = frozenset().union(*(v.axes for v in views))
    over = frozenset(n.own) if n.op in ("max", "min", "logsumexp") else NOTHING
    keys = most = count(over, s.sizes)
    if not most:
        raise Lacking("there is nothing to choose from")
    for v in views:
        if v.wire in s.masks:
            mask = s.masks[v.wire][0]
            if n.op not in ("max", "logsumexp") or mask is None:
                raise Lacking("a masked value is used outside a softmax")
            keys, _, empty = means.row_counts(s, mask.rename(v.names), True, over)
            if empty:
                raise Lacking("the mask leaves nothing of a row")
    if not over and all(v.value is not None for v in views):
        a, b = (v.value for v in views)
        assert a is not None
        assert b is not None
        x, y = together(a, b)[1:]
        x, y = np.broadcast_arrays(x, y)
        out = np.empty(x.shape, dtype=object)
        out.ravel()[:] = [p.max(q) if n.op == "maximum" else p.min(q) for p, q in zip(x.ravel(), y.ravel(), strict=True)]
        s.constant(n.outs[0], Tensor(together(a, b)[0], out))
        return
    facts = [s.fact(v) for v in views]
    tokens = frozenset().union(*(f.tokens for f in facts))
    if over & tokens:
        tokens = axes
    gains: Gains = {}
    for f in facts:
        gains = sum_of(gains, f.wide(axes, tokens, s.sizes).gains)
    lows, highs = [f.low for f in facts], [f.high for f in facts]
    low, high = lows[0], highs[0]
    for a, b in zip(lows[1:], highs[1:], strict=True):
        low, high = low.min(a), high.max(b)
    if n.op == "logsumexp":
        low, high = low + arb(keys).log(), high + arb(most).log()
    kept, seen = axes - over, tokens - over
    radius = abs(low).max(abs(high)) * root(arb(count(kept - seen, s.sizes)))
    s.base(n.outs[0], Fact(kept, seen, low, high, radius, gains))


def multiply_out(s: State, n: Node) -> None:
    summed = frozenset(n.own) if n.op in ("dot", "sum", "mean") else NOTHING
    scale = arb(1) / count(summed, s.sizes) if n.op == "mean" and count(summed, s.sizes) else arb(1)
    products.product(s, n, [s.view(p) for p in n.ports], summed, scale)


RULES: dict[str, Callable[[State, Node], None]] = {
    "+": linear.add_up, "-": linear.add_up, "neg": linear.negative, "stop": linear.same, "cat": linear.lay,
    "mask": choices.mask_out, "where": choices.where, "gather": choices.gather, "index": choices.index,
    "topk": choices.topk, "entmax": sparse.entmax, "sparsemax": sparse.entmax, "sinkhorn": sparse.sinkhorn, "^": power, "/": products.quotient, "softmax": means.distribution,
    **dict.fromkeys(("split", "merge", "halves", "cumsum", "shift", "unfold", "expand", "fft_re", "fft_im"), linear.rearrange),
    **dict.fromkeys(("literal", "size", "iota"), choices.constant),
    **dict.fromkeys(("<", "<=", "==", "!=", "and", "or", "not"), choices.predicate),
    **dict.fromkeys(("layernorm", "rmsnorm", "l2norm", "l1norm"), normalise),
    **dict.fromkeys(("max", "min", "logsumexp", "maximum", "minimum"), choose),
    **dict.fromkeys(("*", "dot", "sum", "mean"), multiply_out),
    **dict.fromkeys(curves.NAMES, apply),
}  # fmt: skip
"""The rule of every operation that certificates know, by its word."""
