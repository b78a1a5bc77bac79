"""Constants, and what masks and indices choose: nothing that decides may depend on the input."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from flint import arb

from anatomy.certificates.affine import add, multiply
from anatomy.certificates.facts import Fact
from anatomy.certificates.linear import NOTHING, boolean, exact, fraction, hide, moved
from anatomy.certificates.model import Broken, Node
from anatomy.certificates.state import Lacking, State, View
from anatomy.certificates.tensors import Tensor, count, integer, plus, scalar, spend, tensor, times


def constant(s: State, n: Node) -> None:
    match n.op:
        case "literal":
            value = scalar(exact(fraction(n.options.get("value", ""))))
        case "size":
            value = scalar(count(n.own, s.sizes))
        case _:
            spend(s.sizes[n.own[0]])
            value = tensor(n.own[:1], np.arange(s.sizes[n.own[0]]))
    s.constant(n.outs[0], value)


def predicate(s: State, n: Node) -> None:
    """Comparisons and logic of constants, each entry decided for certain."""
    views = [s.view(p) for p in n.ports]
    values = [v.value for v in views]
    for v in views:
        fixed(s, v)
    if any(v is None for v in values):
        axes = frozenset().union(*(v.axes for v in views))
        s.base(n.outs[0], Fact(axes, axes, arb(0), arb(1), arb(1)))
        return
    a, b = values[0], values[-1]
    assert a is not None
    assert b is not None
    if n.op == "not":
        s.constant(n.outs[0], a.each(lambda x: 1 - x))
    elif n.op == "and":
        s.constant(n.outs[0], times(a, b))
    elif n.op == "or":
        s.constant(n.outs[0], plus(plus(a, b), times(times(a, b), scalar(-1))))
    else:
        s.constant(n.outs[0], plus(b, times(a, scalar(-1))).each(lambda d: arb(int(decide(n.op, d)))))


def decide(op: str, gap: arb) -> bool:
    zero = gap.is_zero()
    if not (zero or gap > 0 or gap < 0):
        raise Lacking("a comparison is not decided")
    return {"<": bool(gap > 0), "<=": bool(gap >= 0), "==": zero, "!=": not zero}[op]


def mask_out(s: State, n: Node) -> None:
    """-inf outside the mask: only some rules read such a wire."""
    wire = s.graph.wires[n.ports[0].wire]
    if wire.kind != "mask":
        raise Broken("graph", "a mask is no mask")
    p, x = s.view(n.ports[0]), s.view(n.ports[1])
    fixed(s, p)
    s.affine(n.outs[0], x.form, x.tokens | (p.axes - x.axes))
    hide(s, n.outs[0], x.axes | p.axes, None if p.value is None else boolean(p.value), {})


def fixed(s: State, v: View) -> None:
    """What decides may not depend on the input: values would jump."""
    if any(s.facts[t.base].gains for t in v.form.terms):
        raise Lacking("a choice depends on the input: values may jump")


def where(s: State, n: Node) -> None:
    p, a, b = (s.view(q) for q in n.ports)
    fixed(s, p)
    if p.value is None:
        raise Lacking("the choice depends on a mask that is not known")
    mask = boolean(p.value)
    left = multiply(a.form, mask, NOTHING, s.sizes)
    right = multiply(b.form, mask.each(lambda x: 1 - x), NOTHING, s.sizes)
    s.affine(n.outs[0], add(left, right, s.sizes), a.tokens | b.tokens)


def gather(s: State, n: Node) -> None:
    x, i = (s.view(p) for p in n.ports)
    index = i.value
    if index is None:
        raise Lacking("an index depends on the input: values may jump")
    m = n.own[0]
    inside = "|in|" + m
    s.sizes[inside] = s.sizes[m]
    spend(s.sizes[m])
    at = plus(index, times(tensor((inside,), np.arange(s.sizes[m])), scalar(-1)))
    s_x = s.renamed(x, {m: inside})
    moved(s, n.outs[0], s_x, at.each(lambda d: arb(int(decide("==", d)))), frozenset({inside}), {a: a for a in i.axes - x.axes})


def topk(s: State, n: Node) -> None:
    """The greatest entries of a constant, in descending order, and their places; ties go to the lowest."""
    x = s.view(n.ports[0]).value
    if x is None:
        raise Lacking("the order of entries depends on the input: values may jump")
    m, c = n.own
    if s.sizes[c] > s.sizes[m]:
        raise Broken("graph", "`topk` of more entries than there are")
    x = x.spread([m], s.sizes)
    rest = [a for a in x.axes if a != m]
    grid = x.order([*rest, m])
    shape = (*grid.shape[:-1], s.sizes[c])
    spend(20 * grid.size)
    values, places = np.empty((grid[..., 0].size, s.sizes[c]), dtype=object), np.empty((grid[..., 0].size, s.sizes[c]), dtype=object)

    def later(i: int, j: int, row: Any) -> int:
        gap = row[i] - row[j]
        return i - j if gap.is_zero() else -1 if decide("<", gap) else 1

    for k, row in enumerate(grid.reshape(-1, s.sizes[m])):
        order = sorted(range(len(row)), key=functools.cmp_to_key(lambda i, j, row=row: later(i, j, row)))[: s.sizes[c]]
        values[k], places[k] = [row[i] for i in order], [arb(i) for i in order]
    s.constant(n.outs[0], Tensor((*rest, c), values.reshape(shape)))
    s.constant(n.outs[1], Tensor((*rest, c), places.reshape(shape)))


def index(s: State, n: Node) -> None:
    x = s.view(n.ports[0]).value
    if x is None:
        raise Lacking("an index depends on the input: values may jump")
    last = s.sizes[n.own[0]] - 1
    s.constant(n.outs[0], x.each(lambda y: arb(max(0, min(last, int(_floor(y)))))))


def _floor(y: arb) -> int:
    value = integer(y.floor())
    if value is None:
        raise Lacking("a floor is not decided, or it is too large")
    return value
