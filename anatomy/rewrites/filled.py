"""Something put where anything could stand: a diagram for a hole, or for a weight."""

from __future__ import annotations

from dataclasses import replace

from anatomy.errors import fail
from anatomy.ir.builder import Builder
from anatomy.ir.graph import Diagram, Equation, Frame, Input, Output
from anatomy.ir.poly import Poly
from anatomy.language.filling import fill_one


def filled(diagram: Diagram, name: str, filler: Diagram) -> Diagram:
    """The diagram with the hole of that name, or the weight with that key, computed by another diagram.

    Other holes stay open. A weight is filled by a diagram without inputs, axis by axis in the order of its layout; as any
    value could stand there, what comes out is one of the functions of the diagram.
    Raises AnatomyError: E605 where there is no such hole or weight, E604 where the filler does not fit, E402 where an
    equation of the filler is not proved.
    """
    if name in diagram.holes:
        return fill_one(diagram, name, filler)
    if any(name in w.keys for w in diagram.weights):
        return _weight(diagram, name, filler)
    known = ", ".join(f"`{n}`" for n in (*diagram.holes, *(w.key for w in diagram.weights)))
    raise fail("E605", f"`{diagram.name}` has no hole or weight `{name}` to fill", help=f"it has {known}" if known else "it has neither")


def _weight(diagram: Diagram, key: str, filler: Diagram) -> Diagram:
    weight = next(w for w in diagram.weights if key in w.keys)
    if filler.inputs or filler.holes or len(filler.outputs) != 1 or filler.wires[filler.outputs[0].port.wire].kind.name != "real":
        raise fail("E604", f"`{filler.name}` does not fit weight `{key}`: it must give one real wire and take nothing")
    layout = filler.outputs[0].layout
    if len(layout) != len(weight.layout):
        raise fail("E604", f"`{filler.name}` does not fit weight `{key}`: it has {len(layout)} axes where the weight has {len(weight.layout)}")
    builder = Builder()
    for axis, size in diagram.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
        builder.axis(axis)
    views = [builder.input(i.name, i.layout, diagram.wires[i.wire].kind, i.span) for i in diagram.inputs]
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
    frame: tuple[Frame, ...] = (builder.frame("call", key.rpartition(".")[2]),)
    (value,) = builder.splice(filler, [], table, lambda k: f"{key}.{k}", frame)
    # The weight becomes one more input, so that the whole is a call.
    opened = replace(
        diagram,
        inputs=(*diagram.inputs, Input(key, weight.wire, weight.layout)),
        weights=tuple(w for w in diagram.weights if w is not weight),
    )
    if set(value.axes) != set(weight.layout):
        raise fail("E604", f"`{filler.name}` does not fit weight `{key}`: its result has the axes {', '.join(value.axes)}")
    outs = builder.splice(opened, [*views, value], {a: a for a in diagram.sizes}, lambda k: k)
    builder.defaults = {**dict(diagram.defaults), **builder.defaults}
    outputs = [Output(v.port, o.layout, o.span, o.kind) for v, o in zip(outs, diagram.outputs, strict=True)]
    return builder.finish(diagram.name, outputs, diagram.span, diagram.declared, diagram.header, diagram.where)

