"""Loops that only accumulate: their states are sums over earlier steps, written out for all steps at once.

Statement. If every state has `s_(t+1) = g s_t + w_t` with constants g and w_t that depends on no state, and s_0 = 0, then the state after
step t is the sum over u <= t of g^(t - u) w_u, and everything else in a step is a function of that state, of the one before, and of what the step
reads, applied at each t: a diagram without a loop, to which every rule and theorem of the calculus applies.

Proof. By induction over t; the operations of a step do not read the axis of the loop, so that it is a lift of each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import Bound, add, meet, mul, slopes_meet
from anatomy.ir.graph import Diagram, Node
from anatomy.regularity import affine, tensor
from anatomy.regularity.affine import Base
from anatomy.regularity.rules import Rules
from anatomy.regularity.tensor import Ball
from anatomy.regularity.theorems.mixing import further
from anatomy.regularity.view import Product, named, rename, tighten, widen, with_tokens

if TYPE_CHECKING:
    from anatomy.ir.graph import Port


def decays(body: Diagram, out: Sequence[Bound], carries: int) -> list[Ball] | None:
    """The constant factor of every state in the next, from the bounds of one step; None where one does more than accumulate."""
    own = {i.wire for i in body.inputs[:carries]}
    found = []
    for k, item in enumerate(body.inputs[:carries]):
        form = out[k].form
        if form is None:
            return None
        mine = [t for t in form.terms if t.base.wire == item.wire]
        rest = [t for t in form.terms if t.base.wire != item.wire]
        if len(mine) != 1 or any(own & t.base.bound.slopes.keys() for t in rest):
            return None
        links = dict(mine[0].links)
        if any(links.get(a) != a for a in mine[0].base.bound.axes) or not set(mine[0].map.axes) <= mine[0].base.bound.axes:
            return None
        found.append(mine[0].map)
    return found


def together(
    ctx: Rules, body: Diagram, ports: Sequence[Bound], states: Sequence[frozenset[str]], factors: Sequence[Ball]
) -> tuple[list[Bound], list[Bound]] | None:
    """The states before each step and the extras, with the axis of the loop; None where the loop is not of that kind."""
    carries, step = len(factors), ctx.node.own[0]
    ends = [o.port.wire for o in body.outputs[:carries]]
    made = {w: node for node in body.nodes for w in node.outs}
    if any(n.op.random or n.op.body is not None for n in body.nodes) or any(w not in made or len(made[w].outs) > 1 for w in ends):
        return None
    if any(ctx.single(p) != 0 for p in ports[:carries]) or len(set(ends)) < carries:
        return None
    moved: set[int] = {i.wire for i in body.inputs[:carries]}
    for node in body.nodes:
        if any(p.wire in moved for p in node.ports):
            moved.update(node.outs)
    needed = _needed(body, made, ends)
    bounds: dict[int, Bound] = {i.wire: p for i, p in zip(body.inputs[carries:], ports[carries:], strict=True)}
    zeros = {i.wire: ctx.known(tensor.scalar(0.0), a) for i, a in zip(body.inputs[:carries], states, strict=True)}
    first = {**bounds, **zeros}
    for node in body.nodes:
        if needed.intersection(node.outs) or not moved.intersection(node.outs):
            _run(ctx, node, first)
    bounds |= {w: x for w, x in first.items() if w not in moved}
    before = []
    for item, output, axes, factor in zip(body.inputs, body.outputs, states, factors, strict=False):
        added = rename(first[output.port.wire], dict(output.port.renames))
        if output.port.renames and any(a != b for a, b in output.port.renames):
            return None
        if step not in added.axes or added.axes - {step} != axes:
            return None
        wire, end = item.wire, output.port.wire
        bounds[wire], bounds[end] = (_summed(ctx, added, step, factor, late) for late in (True, False))
        before.append(bounds[wire])
    for node in body.nodes:
        if moved.intersection(node.outs) and not set(ends).intersection(node.outs):
            _run(ctx, node, bounds)
    return before, [rename(bounds[o.port.wire], dict(o.port.renames)) for o in body.outputs[carries:]]


def better(x: Bound, more: Bound, sizes: dict[str, int]) -> Bound:
    """A wire of which both hold; what theorems read is that of the second."""
    if "mask" in more.facts or more.constant != x.constant:
        return x
    wide = more if more.axes == x.axes else widen(more, x.axes, more.tokens, sizes)
    wide = with_tokens(wide, x.tokens, sizes)
    return tighten(replace(wide, slopes=slopes_meet(wide.slopes, x.slopes), radius=min(wide.radius, x.radius), entry=meet(wide.entry, x.entry)), sizes)


def _needed(body: Diagram, made: Mapping[int, Node], ends: Sequence[int]) -> set[int]:
    left, seen = list(ends), set(ends)
    while left:
        node = made.get(left.pop())
        new = [p.wire for p in node.ports if p.wire not in seen] if node is not None else []
        seen.update(new)
        left += new
    return seen


def _run(ctx: Rules, node: Node, bounds: dict[int, Bound]) -> None:
    ports = [_at(bounds, p) for p in node.ports]
    if node.op.word == "+":
        for x, zero in (ports, ports[::-1]):
            if ctx.single(zero) == 0 and zero.axes <= x.axes:
                bounds[node.outs[0]] = x
                return
    for wire, out in zip(node.outs, node.op.bound(Rules(node, ports, ctx.sizes)), strict=True):
        bounds[wire] = _numbered(out)


def _at(bounds: Mapping[int, Bound], port: Port) -> Bound:
    return rename(bounds[port.wire], dict(port.renames))


def _numbered(x: Bound) -> Bound:
    """A number that no wire of any diagram has, for the body counts its own."""
    number = further()
    if not x.constant and x.form is None:
        x = replace(x, form=affine.itself(Base(number, x)))
    return named(x, number)


def _summed(ctx: Rules, x: Bound, step: str, factor: Ball, late: bool) -> Bound:
    """`sum over u <= t of factor^(t - u) x_u`, or u < t with factor^(t - 1 - u)."""
    n = ctx.sizes[step]
    table = ctx.fresh(frozenset({step}))
    powers = _powers(factor, n)
    axes = (step, table[step], *factor.axes)
    grid = np.zeros((n, n, *factor.mid.shape))
    tensor.guard(grid.size)
    for t in range(n):
        for u in range(t if late else t + 1):
            grid[t, u] = powers.mid[t - u - late]
    known = ctx.known(Ball(axes, grid, powers.rad))
    inner = x.facts.get("product")
    plain = isinstance(inner, Product) and not inner.summed and frozenset().union(*(f.axes for f in inner.factors)) == x.axes
    parts = [rename(f, table) for f in (inner.factors if isinstance(inner, Product) and plain else (x,))]
    out = ctx.product([rename(x, table), known], (table[step],))
    out = replace(out, facts={**out.facts, "product": Product((*parts, known), frozenset(table.values()))})
    return _numbered(out)


def _powers(factor: Ball, n: int) -> Ball:
    """`factor^0, factor^1, ..` along a new first dimension, each within the radius."""
    mids = [np.ones_like(factor.mid)]
    for _ in range(n - 1):
        mids.append(mids[-1] * factor.mid)
    mid = np.stack(mids)
    if factor.rad == 0 and bool(np.all((factor.mid == 0) | (factor.mid == 1))):
        return Ball(("~power", *factor.axes), mid)
    top = float(np.max(np.abs(mid), initial=1.0))
    high = max(1.0, add(factor.top, factor.rad))
    rad = mul(float(n), add(mul(2.0 * n, tensor.UNIT, top), mul(factor.rad, *([high] * n))))
    return Ball(("~power", *factor.axes), mid, rad)
