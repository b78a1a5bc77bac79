"""A family of diagrams at some of its sizes: `at g = 1`, `at c = d`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from anatomy.errors import fail
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Equation, Node, Output
from anatomy.ir.poly import Poly
from anatomy.language.scope import suggestion
from anatomy.ops import Contract, Expand, Literal, Merge, Multiply, Reduce, Size, Split
from anatomy.rewrites.apply import swept

Sizes = Sequence[tuple[Poly, Poly]]


def restricted(diagram: Diagram, sizes: Sizes, keep: bool = False) -> Diagram:
    """The diagram at the sizes for which equations hold.

    Each equation defines one axis that no other defines, by a polynomial of other axes of the diagram or by a number. Axes that
    have become of size one and stand in no header are left out, unless they are to be kept: weights without them have the same entries, sums over them have one
    term. Raises AnatomyError: E203 where the diagram has no such axis, E404 where an equation defines nothing, E405 where
    it makes a size less than one.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, g diagram f(x: [n]) -> [n] { weight w: [g] out x * sum[g](w) } "
    >>> found = restricted(Program.of(Source("f.anat", text)).get("f"), [(Poly.var("g"), Poly.of(1))])
    >>> [w.layout for w in found.weights], [n.op.word for n in found.nodes]
    ([()], ['*'])
    """
    builder = Builder()
    for axis, size in diagram.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
    where = [_define(builder, diagram, left, right) for left, right in sizes]
    for axis in diagram.sizes:
        builder.axis(axis)
        value = builder.sizes.of(axis).constant()
        if value is not None and value < 1:
            raise fail("E405", f"the size of `{axis}` would be {value}; sizes are from 1 to 2^40")
    shown = {a for i in diagram.inputs for a in i.layout} | {a for o in diagram.outputs for a in o.layout}
    ones = frozenset(a for a in diagram.sizes if not keep and a not in shown and builder.sizes.of(a).constant() == 1)
    return _Smaller(diagram, builder, ones).run(where)


def _define(builder: Builder, diagram: Diagram, left: Poly, right: Poly) -> Equation:
    for axis in sorted(left.variables() | right.variables()):
        if axis not in diagram.sizes:
            near = suggestion(axis, diagram.sizes)
            raise fail("E203", f"`{diagram.name}` has no axis `{axis}`", help=f"did you mean `{near}`?" if near else f"it has: {', '.join(diagram.sizes)}")
    sizes = builder.sizes
    known, value = (sizes.norm(p) for p in (left, right))
    for one, other in ((known, value), (value, known)):
        axis = one.as_variable()
        if axis is not None and sizes.define(axis, other):
            return Equation(Poly.var(axis), other)
    raise fail("E404", f"`{left} = {right}` restricts no size of `{diagram.name}`", help="write each equation as `axis = polynomial of other axes`")


class _Smaller:
    """The copy of a diagram in which no wire has one of some axes of size one."""

    def __init__(self, diagram: Diagram, builder: Builder, ones: frozenset[str]):
        self.diagram, self.builder, self.ones = diagram, builder, ones
        self.views: dict[int, View] = {}

    def run(self, where: Sequence[Equation]) -> Diagram:
        d, builder = self.diagram, self.builder
        for i in d.inputs:
            self.views[i.wire] = builder.input(i.name, i.layout, d.wires[i.wire].kind, i.span)
        for w in d.weights:
            lanes, fan_in, fan_out = map(self.left, (w.lanes, w.fan_in, w.fan_out))
            self.views[w.wire] = builder.weight(w.key, lanes, fan_in, fan_out, w.init, w.frozen, w.span)
            builder.weights[-1] = replace(builder.weights[-1], keys=w.keys)
        for node in d.nodes:
            views = [self.views[p.wire].rename(dict(p.renames)) for p in node.ports]
            for wire, view in zip(node.outs, self.node(node, views), strict=True):
                self.views[wire] = view
        outputs = [Output(self.views[o.port.wire].rename(dict(o.port.renames)).port, o.layout, o.span, o.kind) for o in d.outputs]
        builder.equations += d.equations
        builder.defaults = {a: p for a, p in d.defaults if a not in builder.sizes.definitions}
        made = builder.finish(d.name, outputs, d.span, d.declared, d.header, (*d.where, *where))
        return swept(made)

    def left(self, axes: Sequence[str]) -> tuple[str, ...]:
        return tuple(a for a in axes if a not in self.ones)

    def node(self, node: Node, views: list[View]) -> list[View]:
        """What a box gives, without axes of size one: mostly by leaving them out of it."""
        builder, ones, own = self.builder, self.ones, self.left(node.own)
        gone = [a for a in node.own if a in ones]
        match node.op:
            case Size() if all(builder.sizes.of(a).constant() == 1 for a in node.own):
                return list(builder.add(Literal(Fraction(1)), (), [], node.span, node.frame))
            case _ if not gone:
                pass
            case Size():
                return self.add(node.op, own, node, views)
            case Reduce() | Expand() if not own:
                return views
            case Split() | Merge() if len(own) == 2:
                old, new = own
                return [views[0].rename({old: new})]
            case Contract() if not own:
                return self.add(Multiply(), (), node, views)
            case Reduce() | Expand() | Contract():
                return self.add(node.op, own, node, views)
            case _:
                wide = []
                for view, port in zip(views, node.ports, strict=True):
                    lost = [a for a in port.axes if a in gone]
                    wide += builder.add(Expand(), lost, [view], node.span, node.frame) if lost else [view]
                outs = self.add(node.op, node.own, node, wide)
                return [self.summed(node, view) for view in outs]
        return self.add(node.op, node.own, node, views)

    def add(self, op: object, own: Sequence[str], node: Node, views: list[View]) -> list[View]:
        names = [self.diagram.wires[w].name for w in node.outs]
        return list(self.builder.add(op, own, views, node.span, node.frame, names, trusted=True))  # type: ignore[arg-type]

    def summed(self, node: Node, view: View) -> View:
        extra = [a for a in view.axes if a in self.ones]
        if not extra:
            return view
        if self.builder.kind(view).name != "real":
            raise fail("E323", f"`{node.op.word}` gives positions or truth values along an axis of size one, which is not left out yet")
        return self.builder.add(Reduce("sum"), extra, [view], node.span, node.frame)[0]
