"""Loops that have a closed form become boxes for all steps at once, before any code is written.

Converts: every loop node whose operation knows a form (`Op.parallel`); the others stay loops.
Non-goals: choosing by size. Without this pass every loop stays one, to compare.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.note import Note
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node, Output, Weight
from anatomy.ir.live import live
from anatomy.ir.poly import Sizes
from anatomy.ir.solve import Solution


def closed(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The same function with closed forms for loops; inputs, weights and outputs keep their order."""
    if all(node.op.body is None for node in diagram.nodes):
        return diagram
    builder = Builder(sizes=Sizes({a: p for a, p in diagram.sizes.items() if p.as_variable() != a}))
    for axis in diagram.sizes:
        builder.axis(axis)
    views: dict[int, View] = {}
    inputs = [replace(i, wire=_keep(builder, diagram, views, i.wire)) for i in diagram.inputs]
    weights: list[Weight] = [replace(w, wire=_keep(builder, diagram, views, w.wire)) for w in diagram.weights]
    for node in diagram.nodes:
        given = [views[p.wire].rename(dict(p.renames)) for p in node.ports]
        outs = None
        if node.op.body is not None:
            outs = node.op.parallel(builder, node, given, [bool(diagram.consumers[w]) for w in node.outs])
        if outs is not None:
            notes.append(Note("closed", "the loop is computed for all steps at once", node.span))
        else:
            outs = _copied(builder, diagram, node, given)
        views.update(zip(node.outs, outs, strict=True))
    outputs = [Output(views[o.port.wire].rename(dict(o.port.renames)).port, o.layout, o.span, o.kind) for o in diagram.outputs]
    sizes = {a: diagram.sizes[a] if a in diagram.sizes else builder.sizes.of(a) for a in builder.axes}
    made = replace(
        diagram, inputs=tuple(inputs), weights=tuple(weights), wires=tuple(builder.wires), nodes=tuple(builder.nodes),
        outputs=tuple(outputs), sizes=sizes,
    )  # fmt: skip
    return replace(made, nodes=tuple(made.nodes[i] for i in live(made)))


def _keep(builder: Builder, diagram: Diagram, views: dict[int, View], wire: int) -> int:
    old = diagram.wires[wire]
    views[wire] = builder.wire(old.axes, old.kind, old.name, old.span)
    return views[wire].wire


def _copied(builder: Builder, diagram: Diagram, node: Node, given: list[View]) -> tuple[View, ...]:
    names = [diagram.wires[w].name for w in node.outs]
    return builder.add(node.op, node.own, given, node.span, node.frame, names, trusted=True)
