"""Something put where anything could stand: diagrams for holes and for weights, one weight or hole for two."""

from __future__ import annotations

from dataclasses import replace

from anatomy.errors import AnatomyError, fail
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import REAL, Diagram, Equation, Input, Node, Output, Weight
from anatomy.ir.loop import boxes
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.language.filling import fill_one
from anatomy.ops import Hole


def filled(diagram: Diagram, name: str, filler: Diagram) -> Diagram:
    """The diagram with the hole of that name, or the weight with that key, computed by another diagram.

    Other holes stay open, and so do those of the filler: one that has the name of a hole of the diagram is that hole. A weight
    is filled by a diagram without inputs and holes, axis by axis in the order of its layout; as any value could stand there,
    what comes out is one of the functions of the diagram.
    Raises AnatomyError: E605 where there is no such hole or weight, E604 where the filler does not fit, E402 where an
    equation of the filler is not proved.
    """
    if name in diagram.holes:
        for other in (h for h in filler.holes if h != name and h in diagram.holes):
            if _face(hole_of(diagram, other)) != _face(hole_of(filler, other)):
                raise fail("E604", f"`{filler.name}` has a hole `{other}`, and that of `{diagram.name}` has another interface", help="name it otherwise")
        try:
            return fill_one(diagram, name, filler, opened=True)
        except Problem as problem:
            raise fail(problem.code, str(problem), help=problem.help) from None
    if any(name in w.keys for w in diagram.weights):
        return _weight(diagram, name, filler)
    raise missing(diagram, name)


def missing(diagram: Diagram, name: str) -> AnatomyError:
    """There is no hole or weight of that name."""
    known = ", ".join(f"`{n}`" for n in (*diagram.holes, *(w.key for w in diagram.weights)))
    return fail("E605", f"`{diagram.name}` has no hole or weight `{name}` to fill", help=f"it has {known}" if known else "it has neither")


def hole_of(diagram: Diagram, name: str) -> Node:
    """The first use of a hole."""
    return next(n for n in boxes(diagram, diagram.nodes) if n.op.hole == name)


def alone(node: Node, sizes: Diagram, name: str) -> Diagram:
    """A diagram that is one hole and nothing else, of the interface and the axes of a use, under another name."""
    op = node.op
    assert isinstance(op, Hole)
    builder = Builder()
    for axis in node.own:
        builder.axis(axis)
        if sizes.sizes[axis].variables() <= set(node.own) and sizes.sizes[axis] != Poly.var(axis):
            builder.sizes.define(axis, sizes.sizes[axis])
    words = op.words or tuple(f"x{k + 1}" for k in range(len(op.takes_axes)))
    views = [
        builder.input(word, [node.own[i] for i in axes], kind)
        for word, axes, kind in zip(words, op.takes_axes, op.takes_kinds, strict=True)
    ]
    outs = builder.add(replace(op, label=name, site=""), node.own, views, trusted=True)
    outputs = [Output(v.port, tuple(node.own[i] for i in axes)) for v, axes in zip(outs, op.gives_axes, strict=True)]
    return builder.finish(name, outputs, header=node.own)


def tied(diagram: Diagram, names: tuple[str, ...]) -> Diagram:
    """The diagram in which weights, or holes, of one type are one: the first of them.

    Where two weights differ in a size that is free and of no header, the sizes become equal, which is one more restriction. Raises AnatomyError: E605 where one is missing, E310 where their types differ.
    """
    first, *others = names
    for name in others:
        if first in diagram.holes and name in diagram.holes:
            here, there = hole_of(diagram, first), hole_of(diagram, name)
            if _face(here) != _face(there):
                raise fail("E310", f"holes `{first}` and `{name}` have different interfaces, and cannot be one")
            diagram = filled(diagram, name, alone(there, diagram, first))
        else:
            found = [next((w for w in diagram.weights if key in w.keys), None) for key in (first, name)]
            for key, weight in zip((first, name), found, strict=True):
                if weight is None:
                    raise missing(diagram, key)
            left, right = found
            assert left is not None
            assert right is not None
            if left is not right:
                diagram = _merged(*_level(diagram, left, right))
    return diagram


def _level(diagram: Diagram, left: Weight, right: Weight) -> tuple[Diagram, Weight, Weight]:
    """With equal sizes where the size of an axis is free and no header has it."""
    from anatomy.rewrites.restrict import restricted

    sizes: list[tuple[Poly, Poly]] = []
    header = {v for end in (*diagram.inputs, *diagram.outputs) for a in end.layout for v in diagram.sizes[a].variables()}
    if len(left.layout) == len(right.layout):
        for a, b in zip(left.layout, right.layout, strict=True):
            one, two = diagram.sizes[a], diagram.sizes[b]
            if diagram.settled.of(one - two) == Poly():
                continue
            inner = next((p for p, q in ((two, one), (one, two)) if (v := p.as_variable()) and v not in header | q.variables()), None)
            if inner is not None:
                sizes.append((inner, two if inner is one else one))
    if sizes:
        diagram = restricted(diagram, sizes)
    found = [next(w for w in diagram.weights if w.keys == old.keys) for old in (left, right)]
    return diagram, found[0], found[1]


def _face(node: Node) -> tuple[object, ...]:
    op = node.op
    assert isinstance(op, Hole)
    return op.takes_axes, op.gives_axes, tuple(k.name for k in op.takes_kinds), tuple(k.name for k in op.gives_kinds)


def _merged(diagram: Diagram, left: Weight, right: Weight) -> Diagram:
    same = len(left.layout) == len(right.layout) and all(
        diagram.settled.of(diagram.sizes[a] - diagram.sizes[b]) == Poly() for a, b in zip(left.layout, right.layout, strict=True)
    )
    if not same or (len(left.lanes), len(left.fan_in)) != (len(right.lanes), len(right.fan_in)):
        types = [f"[{', '.join(w.lanes)}{'; ' * bool(w.lanes)}{', '.join(w.fan_in)} -> {', '.join(w.fan_out)}]" for w in (left, right)]
        raise fail("E310", f"`{left.key}` and `{right.key}` cannot be one: {types[0]} and {types[1]}", help="they need the same roles and provably equal sizes")
    builder, views = _copied(diagram)
    one = builder.weight(left.key, left.lanes, left.fan_in, left.fan_out, left.init, left.frozen, left.span)
    builder.weights[-1] = replace(builder.weights[-1], keys=(*left.keys, *right.keys))
    values = [one, one.rename(dict(zip(left.layout, right.layout, strict=True)))]
    return _closed(builder, diagram, [left, right], [*views, *values])


def _copied(diagram: Diagram) -> tuple[Builder, list[View]]:
    """A builder with the sizes and the inputs of a diagram."""
    builder = Builder()
    for axis, size in diagram.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
        builder.axis(axis)
    return builder, [builder.input(i.name, i.layout, diagram.wires[i.wire].kind, i.span) for i in diagram.inputs]


def _closed(builder: Builder, diagram: Diagram, weights: list[Weight], views: list[View]) -> Diagram:
    """The diagram called with some of its weights as further inputs."""
    opened = replace(
        diagram,
        inputs=(*diagram.inputs, *(Input(w.key, w.wire, w.layout) for w in weights)),
        weights=tuple(w for w in diagram.weights if all(w is not other for other in weights)),
    )
    outs = builder.splice(opened, views, {a: a for a in diagram.sizes}, lambda k: k)
    builder.defaults = {**dict(diagram.defaults), **builder.defaults}
    outputs = [Output(v.port, o.layout, o.span, o.kind) for v, o in zip(outs, diagram.outputs, strict=True)]
    return builder.finish(diagram.name, outputs, diagram.span, diagram.declared, diagram.header, diagram.where)


def _weight(diagram: Diagram, key: str, filler: Diagram) -> Diagram:
    weight = next(w for w in diagram.weights if key in w.keys)
    if filler.inputs or filler.holes or len(filler.outputs) != 1 or filler.wires[filler.outputs[0].port.wire].kind != REAL:
        raise fail("E604", f"`{filler.name}` does not fit weight `{key}`: it must give one real wire, take nothing and have no holes")
    layout = filler.outputs[0].layout
    if len(layout) != len(weight.layout):
        raise fail("E604", f"`{filler.name}` does not fit weight `{key}`: it has {len(layout)} axes where the weight has {len(weight.layout)}")
    builder, views = _copied(diagram)
    table = dict(zip(layout, weight.layout, strict=True))
    for mine, here in table.items():
        size = filler.sizes[mine]
        if size.variables() <= table.keys() and not builder.sizes.equal(size.rename(lambda v: table[v]), diagram.sizes[here]):
            raise fail("E402", f"`{filler.name}` needs `{mine} = {size}`, which is not proved at weight `{key}`")
    table |= {inner: f"{key}.{inner}" for inner in filler.sizes if inner not in table}
    for e in filler.where:
        left, right = (p.rename(lambda v: table.get(v, v)) for p in (e.left, e.right))
        if e.left.variables() | e.right.variables() <= set(layout) and not builder.sizes.equal(left, right):
            raise fail("E402", f"`{filler.name}` needs `{left} = {right}`, which is not proved at weight `{key}`")
        builder.equations.append(Equation(left, right, e.span))
    frame = (builder.frame("call", key.rpartition(".")[2]),)
    (value,) = builder.splice(filler, [], table, lambda k: f"{key}.{k}", frame)
    if set(value.axes) != set(weight.layout):
        raise fail("E604", f"`{filler.name}` does not fit weight `{key}`: its result has the axes {', '.join(value.axes)}")
    # The weight becomes one more input, so that the whole is a call.
    return _closed(builder, diagram, [weight], [*views, value])
