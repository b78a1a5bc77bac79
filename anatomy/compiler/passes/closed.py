"""Loops that have a closed form become boxes for all steps at once, before any code is written.

Converts: every loop node whose operation knows a form (`Op.parallel`); the others stay loops, and so do those whose form is
elementwise and of large states (`LARGE`), unless `chunk` would take it: there the loop, into which `sink` puts what reads the
states, keeps them out of memory. Measured with `zoo:mamba` and `zoo:gsa`, 512 steps: the loop takes 0.4 to 0.6 of the time.
Non-goals: lengths. Without this pass every loop stays one, to compare.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from anatomy.compiler.passes.chunk import chunk
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.share import share
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node, Output, Weight
from anatomy.ir.live import live
from anatomy.ir.poly import Sizes
from anatomy.ir.solve import Solution

LARGE = 2048
"""Entries of a state, over all lanes whose size is known, from which on the steps of a loop are as fast as anything elementwise."""


def closed(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The same function with closed forms for loops; inputs, weights and outputs keep their order."""
    loops = {i for i, node in enumerate(diagram.nodes) if node.op.body is not None}
    if not loops:
        return diagram
    made, origin = _rebuilt(diagram, loops)
    left = {origin[w] for w in _elementwise(made, solution) if w in origin}
    if left:
        made, origin = _rebuilt(diagram, loops - left)
    notes += [Note("closed", "the loop is computed for all steps at once", diagram.nodes[i].span) for i in sorted(set(origin.values()))]
    return made


def _elementwise(diagram: Diagram, solution: Solution) -> list[int]:
    """A wire of every state that would stand in memory for all steps, and is no smaller for it."""
    chunked = chunk(share(diagram, solution, []), solution, [])
    found = []
    for node in chunked.nodes:
        if node.op.word == "delta" or (node.op.word == "affine" and _entries(chunked, solution, node.outs[2]) >= LARGE):
            found.append(node.outs[0])
    return found


def _entries(diagram: Diagram, solution: Solution, wire: int) -> int:
    sizes = (solution.size(diagram.sizes[a]).constant() for a in diagram.wires[wire].axes)
    return prod(s for s in sizes if s is not None)


def _rebuilt(diagram: Diagram, loops: set[int]) -> tuple[Diagram, dict[int, int]]:
    """The diagram with closed forms of these loops where they have one, and from which loop each box of them comes, by its first wire."""
    builder = Builder(sizes=Sizes({a: p for a, p in diagram.sizes.items() if p.as_variable() != a}))
    for axis in diagram.sizes:
        builder.axis(axis)
    views: dict[int, View] = {}
    origin: dict[int, int] = {}
    inputs = [replace(i, wire=_keep(builder, diagram, views, i.wire)) for i in diagram.inputs]
    weights: list[Weight] = [replace(w, wire=_keep(builder, diagram, views, w.wire)) for w in diagram.weights]
    for index, node in enumerate(diagram.nodes):
        given = [views[p.wire].rename(dict(p.renames)) for p in node.ports]
        outs, before = None, len(builder.nodes)
        if index in loops:
            outs = node.op.parallel(builder, node, given, [bool(diagram.consumers[w]) for w in node.outs])
            if outs is not None:
                origin.update((n.outs[0], index) for n in builder.nodes[before:])
        if outs is None:
            outs = _copied(builder, diagram, node, given)
        views.update(zip(node.outs, outs, strict=True))
    outputs = [Output(views[o.port.wire].rename(dict(o.port.renames)).port, o.layout, o.span, o.kind) for o in diagram.outputs]
    sizes = {a: diagram.sizes[a] if a in diagram.sizes else builder.sizes.of(a) for a in builder.axes}
    made = replace(
        diagram, inputs=tuple(inputs), weights=tuple(weights), wires=tuple(builder.wires), nodes=tuple(builder.nodes),
        outputs=tuple(outputs), sizes=sizes,
    )  # fmt: skip
    return replace(made, nodes=tuple(made.nodes[i] for i in live(made))), origin


def _keep(builder: Builder, diagram: Diagram, views: dict[int, View], wire: int) -> int:
    old = diagram.wires[wire]
    views[wire] = builder.wire(old.axes, old.kind, old.name, old.span)
    return views[wire].wire


def _copied(builder: Builder, diagram: Diagram, node: Node, given: list[View]) -> tuple[View, ...]:
    names = [diagram.wires[w].name for w in node.outs]
    return builder.add(node.op, node.own, given, node.span, node.frame, names, trusted=True)
