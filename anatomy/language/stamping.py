"""Copying a diagram that is known to be well typed into another: the same boxes under other names, with the caller's lifts.

Converts: what `Builder.splice` converts, to the same boxes and wires; of the checks of each box only those remain
that lifts could fail.
Non-goals: open diagrams and those that draw noise, arguments that are indices or of another kind than declared: `splice` takes those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from anatomy.ir.builder import MAX_AXES, Builder, View
from anatomy.ir.graph import Diagram, Equation, Frame, Kind, Node, Wire
from anatomy.ir.poly import Poly


def stamp(
    builder: Builder, callee: Diagram, arguments: Sequence[View], axis: Mapping[str, str],
    key: Callable[[str], str], frame: tuple[Frame, ...],
) -> list[View]:  # fmt: skip
    """As `builder.splice(callee, arguments, axis, key, frame)`."""
    wires = callee.wires
    if callee.holes or any(n.op.random for n in callee.nodes):
        return builder.splice(callee, arguments, axis, key, frame)
    if any(builder.kind(v) != wires[i.wire].kind or wires[i.wire].kind.name == "index" for v, i in zip(arguments, callee.inputs, strict=True)):
        return builder.splice(callee, arguments, axis, key, frame)
    for inner, outer in axis.items():
        size = callee.sizes[inner].rename(lambda v: axis[v])
        if outer not in builder.axes and size != Poly.var(outer):
            builder.sizes.define(outer, size)
        builder.axis(outer)
    views: dict[int, View] = {i.wire: v for i, v in zip(callee.inputs, arguments, strict=True)}
    for w in callee.weights:
        views[w.wire] = _weight(builder, callee, w.wire, axis, key)
    serials: dict[int, int] = {}

    def copied(f: Frame) -> Frame:
        if f.serial not in serials:
            builder.serial += 1
            serials[f.serial] = builder.serial
        return Frame(f.kind, ", ".join(axis.get(a, a) for a in f.lanes) if f.lanes else f.label, serials[f.serial])

    def seen(wire: int, renames: tuple[tuple[str, str], ...]) -> View:
        source = views[wire]
        for a, b in renames:
            if a != b:
                return source.rename({axis[x]: axis[y] for x, y in renames})
        return source

    for node in callee.nodes:
        given = [seen(p.wire, p.renames) for p in node.ports]
        own = tuple([axis[a] for a in node.own])
        lifts = tuple(dict.fromkeys([a for v in given for _, a in v.renames if a not in own]))
        if len(lifts) + len(own) > MAX_AXES:
            builder.add(node.op, own, given, node.span)  # which says so
        outs: list[int] = []
        for out, fresh in zip(node.outs, node.op.gives(own), strict=True):
            old = wires[out]
            kind = old.kind if old.kind.name != "index" else Kind("index", axis.get(old.kind.axis, old.kind.axis))
            axes = (*lifts, *fresh)
            views[out] = View(len(builder.wires), tuple([(a, a) for a in axes]))
            outs.append(len(builder.wires))
            builder.wires.append(Wire(axes, kind, old.name, node.span))
        inside = frame + tuple(map(copied, node.frame)) if node.frame else frame
        builder.nodes.append(Node(node.op, own, tuple([v.port for v in given]), tuple(outs), node.span, inside))
    for e in callee.equations:
        left, right = (p.rename(lambda v: axis.get(v, v)) for p in (e.left, e.right))
        builder.equations.append(Equation(left, right, e.span))
    return [seen(o.port.wire, o.port.renames) for o in callee.outputs]


def _weight(builder: Builder, callee: Diagram, wire: int, axis: Mapping[str, str], key: Callable[[str], str]) -> View:
    w = callee.weight_of[wire]
    lanes, fan_in, fan_out = ([axis[a] for a in axes] for axes in (w.lanes, w.fan_in, w.fan_out))
    new = builder.weight(key(w.keys[0]), lanes, fan_in, fan_out, w.init, w.frozen, w.span)
    if len(w.keys) > 1 and builder.weights[-1].wire == new.wire:
        builder.weights[-1] = replace(builder.weights[-1], keys=tuple(map(key, w.keys)))
    return new
