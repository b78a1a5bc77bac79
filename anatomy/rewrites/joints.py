"""Moves on weights that are read in parts: slices that do not overlap are weights of their own, a split one is a weight of more axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from anatomy.ir.graph import Node
from anatomy.ir.poly import Poly
from anatomy.ops import Cat, Gather, Index, Iota, Merge, Size, Split
from anatomy.rewrites.decided import positive
from anatomy.rewrites.delta import delta
from anatomy.rewrites.parametric import Parametric
from anatomy.rewrites.sums import Sum, Term


@dataclass(frozen=True)
class Slice:
    """The places `start .. start + length - 1` of an axis, read under another name by a box."""

    node: Node
    axis: str
    name: str
    start: Poly
    length: Poly


def join(state: Parametric) -> bool:
    """One weight taken apart, or reshaped."""
    readers: dict[int, list[Node]] = {w: [] for w in state.learners}
    used = {f.wire for root, terms in state.roots.items() for t in terms for f in t.factors if f.wire != root}
    alive = state.sweep()
    for node in state.diagram.nodes:
        if alive.intersection(node.outs):
            for port in node.ports:
                if port.wire in readers:
                    readers[port.wire].append(node)
    outputs = {o.port.wire for o in state.diagram.outputs}
    for wire, nodes in readers.items():
        if nodes and wire not in used and wire not in outputs and wire in state.origin and (_reshaped(state, wire, nodes) or _sliced(state, wire, nodes)):
            return True
    return False


def _outer(node: Node) -> dict[str, str]:
    return {b: a for a, b in node.ports[0].renames}


def _reshaped(state: Parametric, wire: int, nodes: Sequence[Node]) -> bool:
    """All readers split one axis in one way."""
    axis, learner = "", state.learners[wire]
    sizes: list[Poly] = []
    for node in nodes:
        if not isinstance(node.op, Split):
            return False
        here, parts = _outer(node)[node.own[0]], [state.size(a) for a in node.own[1:]]
        if axis and (here, parts) != (axis, sizes):
            return False
        axis, sizes = here, parts
    names = [state.algebra.another(a) for a in nodes[0].own[1:]]
    at = learner.axes.index(axis)
    layout = (*learner.axes[:at], *names, *learner.axes[at + 1 :])
    new = state.fresh(learner.key, layout, wire)
    one = state.plain(wire, learner.axes)
    for node in nodes:
        table = dict(node.ports[0].renames) | dict(zip(names, node.own[1:], strict=True))
        _stands(state, node.outs[0], tuple(t.rename(table) for t in state.plain(new, layout)))
    split = state.box(Split(), (axis, *names), [one], layout)
    merge = state.box(Merge(), (*names, axis), [state.plain(new, layout)], learner.axes)
    state.step(f"{learner.key} reshaped", {new: split}, {wire: merge})
    return True


def _stands(state: Parametric, wire: int, terms: Sum) -> None:
    """A box over a weight is a sum of new weights."""
    state.everywhere({wire: terms})
    state.roots[wire] = terms


def _sliced(state: Parametric, wire: int, nodes: Sequence[Node]) -> bool:
    """All readers take slices of one axis, and no two of them overlap."""
    slices: list[Slice] = []
    for node in nodes:
        found = _slice(state, node)
        if found is None or (slices and found.axis != slices[0].axis):
            return False
        slices.append(found)
    kinds = list(dict.fromkeys((s.start, s.length) for s in slices))
    for k, (start, length) in enumerate(kinds):
        for other, more in kinds[:k]:
            if not positive(start - other - more) and not positive(other - start - length):
                return False
    axis, learner = slices[0].axis, state.learners[wire]
    kinds.sort(key=lambda x: sum(positive(x[0] - o - n) for o, n in kinds))
    new: dict[tuple[Poly, Poly], tuple[int, str, tuple[str, ...]]] = {}
    forth: dict[int, Sum] = {}
    for k, kind in enumerate(kinds):
        like = next(s for s in slices if (s.start, s.length) == kind)
        name = state.algebra.another(like.name)
        layout = tuple(name if a == axis else a for a in learner.axes)
        fresh = state.fresh(f"{learner.key}_{k + 1}", layout, wire)
        new[kind] = (fresh, name, layout)
        whole = state.algebra.another(axis)
        one = tuple(t.rename({axis: whole}) for t in state.plain(wire, learner.axes))
        place = _place(state, like, name)
        index = state.box(Index(), (whole,), [place], (name,))
        forth[fresh] = state.box(Gather(), (whole,), [one, index], layout)
    for s in slices:
        fresh, name, layout = new[s.start, s.length]
        table = {a: b for a, b in s.node.ports[0].renames if a != axis} | {name: s.name}
        _stands(state, s.node.outs[0], tuple(t.rename(table) for t in state.plain(fresh, layout)))
    state.step(f"{learner.key} in parts", forth, {wire: _together(state, axis, learner.axes, kinds, new)})
    return True


def _together(
    state: Parametric, axis: str, axes: tuple[str, ...], kinds: Sequence[tuple[Poly, Poly]],
    new: Mapping[tuple[Poly, Poly], tuple[int, str, tuple[str, ...]]],
) -> Sum:  # fmt: skip
    """The parts end to end; where they leave something out, it is 0."""
    end = Poly()
    for start, length in kinds:
        if start != end:
            break
        end = end + length
    if end == state.size(axis):
        names = [new[k][1] for k in kinds]
        if len(kinds) == 1:
            return tuple(t.rename({names[0]: axis}) for t in state.plain(new[kinds[0]][0], new[kinds[0]][2]))
        return state.box(Cat(), (*names, axis), [state.plain(new[k][0], new[k][2]) for k in kinds], axes)
    total: list[Term] = []
    for start, length in kinds:
        fresh, name, layout = new[start, length]
        inside = state.algebra.another(name)
        (one,) = state.plain(fresh, layout)
        (product,) = state.algebra.product([(one.rename({name: inside}),), delta(state, [inside], [axis], [start] if start.terms else [])])
        total.append(replace(product, bound=(*product.bound, inside)))
    return state.algebra.collect(total)


def _slice(state: Parametric, node: Node) -> Slice | None:
    if not isinstance(node.op, Gather) or len(node.own) != 1 or node.op.gives(node.own) != ((),):
        return None
    port, index = node.ports
    made = state.diagram.producer.get(index.wire)
    if made is None or len(index.renames) != 1 or node.own[0] not in port.axes:
        return None
    maker = state.diagram.nodes[made[0]]
    if not isinstance(maker.op, Index):
        return None
    (source,) = maker.ports
    if len(source.renames) != 1:
        return None
    start = _start(state, source.wire)
    if start is None:
        return None
    name = index.renames[0][1]
    axis = _outer(node)[node.own[0]]
    length = state.size(index.renames[0][0])
    if not positive(state.size(axis) - start - length) or not positive(start):
        return None
    return Slice(node, axis, name, start, length)


def _start(state: Parametric, wire: int) -> Poly | None:
    """Of `iota + sizes`, the sizes."""
    producer, nodes = state.diagram.producer, state.diagram.nodes

    def node(w: int) -> Node | None:
        return nodes[producer[w][0]] if w in producer else None

    total, seen = Poly(), 0
    for t in state.sums.get(wire) or state.plain(wire, ()):
        part = Poly.of(1)
        if t.bound or t.coefficient.denominator != 1:
            return None
        for f in t.factors:
            made = node(f.wire)
            if made is not None and isinstance(made.op, Iota) and len(t.factors) == 1 and t.coefficient == 1 and f.power == 1:
                seen += 1
                part = Poly()
            elif made is not None and isinstance(made.op, Size) and f.power > 0:
                for a in (*made.own,) * f.power:
                    part = part * state.size(a)
            else:
                return None
        total = total + part * int(t.coefficient)
    return total if seen == 1 else None


def _place(state: Parametric, like: Slice, name: str) -> Sum:
    """`iota[name] + start`."""
    here = state.box(Iota(), (name,), [], (name,))
    return state.algebra.collect((*here, *state.length(like.start)))
