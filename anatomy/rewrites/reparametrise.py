"""Weights computed from other weights: closed diagrams put in the places of several weights at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Equation, Input, Kind, Output
from anatomy.ir.poly import Poly

MARK = "~a"
"""What the axes of a diagram get behind their names where its sizes are given in those of another one."""


@dataclass(frozen=True)
class Fill:
    """The weight with the key `key` is computed by `value`, a diagram without inputs whose one result has the weight's layout.

    Weights of equal keys in the fills of one diagram are one weight.
    """

    key: str
    value: Diagram

    @property
    def text(self) -> str:
        """The fill as one expression, `Wa := cat[d, c -> r](W, U)`."""
        return f"{self.key} := {self.expression}"

    @property
    def expression(self) -> str:
        """What computes the weight, in the names of the weights that it reads."""
        from anatomy.rewrites.closed import expression

        return expression(self.value)


def reparametrised(diagram: Diagram, fills: Iterable[Fill], sizes: Mapping[str, Poly] | None = None, name: str = "") -> Diagram:
    """The diagram with weights computed by other weights, which several fills may share; other weights stay.

    `sizes` gives size variables of the diagram as polynomials in those of the fills; without it both have one set of names.
    """
    builder = Builder(reuse=True)
    fills = tuple(fills)
    spaces = [f.value for f in fills]
    shift = sizes is not None
    table = {a: a + MARK if shift else a for a in diagram.sizes}
    values = {} if sizes is None else dict(sizes)
    for space in spaces:
        for axis, size in space.sizes.items():
            _axis(builder, axis, size)
    for v in sorted({v for p in values.values() for v in p.variables()} - builder.axes.keys()):
        builder.axis(v)
    own = {axis: _sized(size, values, table) for axis, size in diagram.sizes.items()}
    for v in sorted({v for p in own.values() for v in p.variables()} - builder.axes.keys()):
        builder.axis(v)
    for axis, size in own.items():
        _axis(builder, table[axis], size)
    views = [builder.input(i.name, [table[a] for a in i.layout], _kind(diagram, i, table), i.span) for i in diagram.inputs]
    opened = {f.key: f for f in fills}
    gone = [w for w in diagram.weights if any(k in opened for k in w.keys)]
    arguments: list[View] = []
    for weight in gone:
        value = opened[next(k for k in weight.keys if k in opened)].value
        (view,) = builder.splice(value, [], {a: a for a in value.sizes}, lambda k: k)
        arguments.append(view.rename(dict(zip(value.outputs[0].layout, (table[a] for a in weight.layout), strict=True))))
    callee = replace(
        diagram, inputs=(*diagram.inputs, *(Input(w.key, w.wire, w.layout) for w in gone)),
        weights=tuple(w for w in diagram.weights if w not in gone), equations=(),
    )  # fmt: skip
    outs = builder.splice(callee, [*views, *arguments], table, lambda k: k)
    for e in diagram.equations:
        left, right = (_sized(p, values, table) for p in (e.left, e.right))
        if left != right:
            builder.equations.append(Equation(left, right, e.span))
    outputs = [
        Output(v.port, tuple(table[a] for a in o.layout), o.span, replace(o.kind, axis=table.get(o.kind.axis, o.kind.axis)))
        for v, o in zip(outs, diagram.outputs, strict=True)
    ]
    return builder.finish(name or diagram.name, outputs, diagram.span)


def composed(fills: Iterable[Fill], inner: Iterable[Fill], sizes: Mapping[str, Poly] | None = None) -> tuple[Fill, ...]:
    """The fills with the weights that they read filled in turn."""
    inner = tuple(inner)
    return tuple(Fill(f.key, reparametrised(f.value, inner, sizes)) for f in fills)


def chained(first: Iterable[Fill], second: Iterable[Fill], sizes: Mapping[str, Poly] | None = None) -> tuple[Fill, ...]:
    """Fills of some weights, then fills of the weights of what came out; a weight that the first leave is filled by the second."""
    first, second = tuple(first), tuple(second)
    done = {f.key for f in first}
    return (*composed(first, second, sizes), *(f for f in second if f.key not in done))


def _axis(builder: Builder, axis: str, size: Poly) -> None:
    if axis not in builder.axes:
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
        builder.axis(axis)


def _sized(size: Poly, values: Mapping[str, Poly], table: Mapping[str, str]) -> Poly:
    """In the variables of the fills where these are known, else in the marked ones of the diagram itself."""
    return size.substitute({v: values.get(v, Poly.var(table.get(v, v))) for v in size.variables()})


def _kind(diagram: Diagram, item: Input, table: Mapping[str, str]) -> Kind:
    kind = diagram.wires[item.wire].kind
    return replace(kind, axis=table.get(kind.axis, kind.axis))
