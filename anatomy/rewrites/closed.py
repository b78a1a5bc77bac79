"""A diagram without inputs as one expression, under as few names of axes as may be."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from anatomy.ir.graph import Diagram, Kind, Port
from anatomy.ir.poly import Poly

Spot = tuple[Hashable, str]
"""An axis of a wire, of a box or of a result."""


def expression(diagram: Diagram) -> str:
    """What a diagram without inputs computes; where boxes have several readers, with `where` they are named.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis d diagram f() -> [d] { weight W: [d] ~ ones out W * 2 }"
    >>> expression(Program.of(Source("f.anat", text)).get("f"))
    'W * 2'
    """
    from anatomy.language.unparse import unparse

    text = unparse(plain(diagram)).partition(" {\n")[2].rpartition("}")[0]
    lines = [line.strip() for line in text.splitlines()]
    body = " ".join(line for line in lines if line and not line.startswith(("weight ", "frozen weight ")))
    head, found, last = body.rpartition("out ")
    return f"{last} where {head.strip()}" if head.strip() else last if found else body


def plain(diagram: Diagram) -> Diagram:
    """The same diagram with an axis under one name wherever that meets no other one."""
    groups = _Groups()
    for k, node in enumerate(diagram.nodes):
        for a in node.own:
            groups.find((("box", k), a))
        for port in node.ports:
            for outer, inner in port.renames:
                groups.join((port.wire, outer), (("box", k), inner))
        for wire in node.outs:
            for a in diagram.wires[wire].axes:
                groups.join((("box", k), a), (wire, a))
    for k, output in enumerate(diagram.outputs):
        for outer, inner in output.port.renames:
            groups.join((output.port.wire, outer), (("out", k), inner))
    learned = {w.wire for w in diagram.weights}
    names: dict[int, str] = {}
    for first in (True, False):
        for (scope, axis), _ in list(groups.of.items()):
            group = groups.find((scope, axis))
            if group not in names and (scope in learned) == first:
                names[group] = _new(axis, names)

    def name(scope: Hashable, axis: str) -> str:
        group = groups.find((scope, axis))
        return names.setdefault(group, _new(axis, names))

    def seen(p: Port, scope: Hashable) -> Port:
        return Port(p.wire, tuple((name(p.wire, a), name(scope, b)) for a, b in p.renames))

    sizes: dict[str, Poly] = {}
    for scope, axis in list(groups.of):
        sizes[name(scope, axis)] = diagram.sizes[axis].rename(lambda v: f"{v}.")

    def kind(i: int) -> Kind:
        """An index points into an axis of the box that makes it."""
        known = diagram.wires[i].kind
        scope = ("box", diagram.producer[i][0]) if i in diagram.producer else i
        return replace(known, axis=name(scope, known.axis)) if known.axis else known

    wires = tuple(replace(w, axes=tuple(name(i, a) for a in w.axes), kind=kind(i)) for i, w in enumerate(diagram.wires))
    nodes = tuple(
        replace(n, own=tuple(name(("box", k), a) for a in n.own), ports=tuple(seen(p, ("box", k)) for p in n.ports), frame=())
        for k, n in enumerate(diagram.nodes)
    )
    weights = tuple(
        replace(w, **{side: tuple(name(w.wire, a) for a in getattr(w, side)) for side in ("lanes", "fan_in", "fan_out")}) for w in diagram.weights
    )
    outputs = tuple(
        replace(o, port=seen(o.port, ("out", k)), layout=tuple(name(("out", k), a) for a in o.layout)) for k, o in enumerate(diagram.outputs)
    )
    variables = {v: Poly.var(v) for s in sizes.values() for v in s.variables()}
    return replace(diagram, wires=wires, nodes=nodes, weights=weights, outputs=outputs, sizes=sizes | variables, equations=(), defaults=(), where=())


def _new(axis: str, names: dict[int, str]) -> str:
    stem = axis.partition("~")[0].rpartition(".")[2]
    taken = set(names.values())
    name, k = stem, 2
    while name in taken:
        name, k = f"{stem}{k}", k + 1
    return name


class _Groups:
    """Sets of spots, no two of one wire, box or result."""

    def __init__(self) -> None:
        self.of: dict[Spot, int] = {}
        self.spots: list[dict[Hashable, str]] = []

    def find(self, spot: Spot) -> int:
        if spot not in self.of:
            self.of[spot] = len(self.spots)
            self.spots.append({spot[0]: spot[1]})
        return self.of[spot]

    def join(self, a: Spot, b: Spot) -> None:
        i, j = self.find(a), self.find(b)
        if i == j or self.spots[i].keys() & self.spots[j].keys():
            return
        for scope, axis in self.spots[j].items():
            self.of[scope, axis] = i
        self.spots[i] |= self.spots[j]
        self.spots[j] = {}
