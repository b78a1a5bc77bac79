"""Moves on weights that meet vectors put together of others: `dot[l](W, cat[d, e -> l](x, y))` has a weight for x and one for y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.ir.graph import Node
from anatomy.ir.poly import Poly
from anatomy.ops import Cat, Merge, Split
from anatomy.rewrites.delta import delta
from anatomy.rewrites.parametric import Parametric
from anatomy.rewrites.sums import Factor, Sum, Term
from anatomy.rewrites.summands import data, occurrences


def join(state: Parametric) -> bool:
    """One weight taken apart, or reshaped."""
    for wire, places in occurrences(state).items():
        for axis in state.learners[wire].axes:
            if places and _apart(state, wire, axis):
                return True
    return False


def _apart(state: Parametric, wire: int, axis: str) -> bool:
    """Along `axis` the weight meets results of `cat` or `merge` only, all of the same parts."""
    parts: tuple[str, tuple[Poly, ...]] | None = None
    met: list[tuple[int, int, Factor, Factor, Node]] = []
    for (root, k), f in occurrences(state)[wire]:
        t = state.roots[root][k]
        name = dict(f.renames)[axis]
        holders = [g for g in t.factors if g is not f and name in g.axes]
        if name not in t.bound or len(holders) != 1 or holders[0].power != 1 or holders[0] not in data(state, t):
            return False
        made = state.diagram.producer.get(holders[0].wire)
        node = None if made is None else state.diagram.nodes[made[0]]
        if node is None or not isinstance(node.op, Cat | Merge) or dict(holders[0].renames).get(node.own[-1]) != name:
            return False
        found = (node.op.word, tuple(state.size(a) for a in _parts(node)))
        if parts is not None and found != parts:
            return False
        parts = found
        met.append((root, k, f, holders[0], node))
    if not met:
        return False
    if isinstance(met[0][4].op, Cat):
        _taken_apart(state, wire, axis, met)
    else:
        _reshaped(state, wire, axis, met)
    return True


def _parts(node: Node) -> tuple[str, ...]:
    if isinstance(node.op, Cat) and len(node.own) == 2:
        return (node.own[0],) * len(node.ports)
    return node.own[:-1]


def _operand(state: Parametric, node: Node, k: int, outer: Factor, table: dict[str, str]) -> Sum:
    """The terms of an operand under the names of the term that reads the result."""
    port = node.ports[k]
    inside = dict(outer.renames)
    names = {b: table.get(b, inside.get(b, b)) for _, b in port.renames}
    terms = state.roots.get(port.wire) or state.plain(port.wire, state.diagram.wires[port.wire].axes)
    to = {a: names[b] for a, b in port.renames}
    return tuple(state.algebra.fresh(t).rename(to) for t in terms)


def _taken_apart(state: Parametric, wire: int, axis: str, met: Sequence[tuple[int, int, Factor, Factor, Node]]) -> None:
    learner, node = state.learners[wire], met[0][4]
    names = [state.algebra.another(a) for a in _parts(node)]
    layouts = [tuple(n if a == axis else a for a in learner.axes) for n in names]
    new = [state.fresh(f"{learner.key}_{k + 1}", layout) for k, layout in enumerate(layouts)]
    for root, k, f, g, cat in met:
        state.roots[root] = (*state.roots[root], *_sum_of_parts(state, root, k, f, g, cat, axis, new, names))
    _drop(state, met)
    own = (*(names if len(node.own) > 2 else names[:1]), axis)
    operands = [state.plain(w, layout) for w, layout in zip(new, layouts, strict=True)]
    if len(node.own) == 2:
        operands = [state.plain(w, learner.axes) for w in new]
        operands = [tuple(t.rename({axis: names[0]}) for t in s) for s in operands]
    forth: dict[int, Sum] = {}
    offset: list[str] = []
    for w, n in zip(new, names, strict=True):
        whole = state.algebra.another(axis)
        (one,) = state.plain(wire, learner.axes)
        pick = delta(state, [n], [whole], offset)
        (product,) = state.algebra.product([(one.rename({axis: whole}),), pick])
        forth[w] = (replace(product, bound=(*product.bound, whole)),)
        offset = [*offset, n]
    state.step(f"{learner.key} in parts", forth, {wire: state.box(node.op, own, operands, learner.axes)})
    state.sweep()


def _sum_of_parts(state, root, k, f, g, cat, axis, new, names):  # noqa: ANN001, ANN202
    t = state.roots[root][k]
    found: list[Term] = []
    rest = replace(t, factors=tuple(x for x in t.factors if x is not f and x is not g), bound=tuple(a for a in t.bound if a != dict(f.renames)[axis]))
    for i, (w, name) in enumerate(zip(new, names, strict=True)):
        inside = state.algebra.another(name)
        weight = Factor(w, tuple(sorted((name if a == axis else a, inside if a == axis else b) for a, b in f.renames)))
        for operand in _operand(state, cat, i, g, {_parts(cat)[i]: inside}):
            whole = state._with(replace(rest, factors=(*rest.factors, weight)), (operand,))
            found.append(state.algebra.fresh(replace(whole, bound=(*whole.bound, inside))))
    return found


def _reshaped(state: Parametric, wire: int, axis: str, met: Sequence[tuple[int, int, Factor, Factor, Node]]) -> None:
    learner, node = state.learners[wire], met[0][4]
    names = [state.algebra.another(a) for a in _parts(node)]
    at = learner.axes.index(axis)
    layout = (*learner.axes[:at], *names, *learner.axes[at + 1 :])
    new = state.fresh(learner.key, layout, wire)
    for root, k, f, g, merge in met:
        t = state.roots[root][k]
        inside = [state.algebra.another(n) for n in names]
        weight = Factor(new, tuple(sorted([*zip(names, inside, strict=True), *((a, b) for a, b in f.renames if a != axis)])))
        rest = replace(t, factors=tuple(x for x in t.factors if x is not f and x is not g), bound=tuple(a for a in t.bound if a != dict(f.renames)[axis]))
        found = []
        for operand in _operand(state, merge, 0, g, dict(zip(_parts(merge), inside, strict=True))):
            whole = state._with(replace(rest, factors=(*rest.factors, weight)), (operand,))
            found.append(state.algebra.fresh(replace(whole, bound=(*whole.bound, *inside))))
        state.roots[root] = (*state.roots[root], *found)
    _drop(state, met)
    (one,) = state.plain(wire, learner.axes)
    split = state.box(Split(), (axis, *names), [(one,)], layout)
    merge = state.box(Merge(), (*names, axis), [state.plain(new, layout)], learner.axes)
    state.step(f"{learner.key} reshaped", {new: split}, {wire: merge})
    state.sweep()


def _drop(state: Parametric, met: Sequence[tuple[int, int, Factor, Factor, Node]]) -> None:
    for root in {m[0] for m in met}:
        gone = {k for r, k, *_ in met if r == root}
        state.roots[root] = state.algebra.collect(t for k, t in enumerate(state.roots[root]) if k not in gone)
