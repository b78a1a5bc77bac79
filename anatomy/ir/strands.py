"""Strands: which axes of which wires are one axis, joined where a box or an output reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anatomy.ir.graph import Diagram
from anatomy.ir.live import live

Slot = tuple[str, int, str]
"""("wire", number, axis), ("box", number, axis) or ("out", number, axis)."""


@dataclass(frozen=True)
class Strands:
    """The classes of joined axes of the live part of a diagram."""

    of: dict[Slot, int]

    def wire(self, wire: int, axis: str) -> int:
        return self.of["wire", wire, axis]

    def box(self, node: int, axis: str) -> int:
        return self.of["box", node, axis]


def strands(diagram: Diagram, compared: bool = False) -> Strands:
    """Join the axes of wires with the axes of the boxes that make and read them.

    With `compared` also axes of equal size whose positions are tested for equality.
    """
    parent: dict[Slot, Slot] = {}

    def root(s: Slot) -> Slot:
        parent.setdefault(s, s)
        while parent[s] != s:
            parent[s] = parent[parent[s]]
            s = parent[s]
        return s

    def join(pairs: Iterable[tuple[Slot, Slot]]) -> None:
        for a, b in pairs:
            parent[root(a)] = root(b)

    for wire, data in enumerate(diagram.wires):
        for axis in data.axes:
            root(("wire", wire, axis))
    for i in live(diagram):
        node = diagram.nodes[i]
        for axis in (*node.own, *node.lifts):
            root(("box", i, axis))
        for port in node.ports:
            join((("wire", port.wire, a), ("box", i, b)) for a, b in port.renames)
        for wire in node.outs:
            join((("wire", wire, a), ("box", i, a)) for a in diagram.wires[wire].axes)
        if compared and node.op.word in ("==", "!="):
            made = [diagram.producer.get(p.wire) for p in node.ports]
            positions = all(m is not None and diagram.nodes[m[0]].op.word == "iota" for m in made)
            ends: list[Slot] = [("box", i, b) for p in node.ports for _, b in p.renames]
            if positions and len({diagram.sizes[a] for p in node.ports for a, _ in p.renames}) == 1:
                join([(ends[0], ends[-1])])
    for k, output in enumerate(diagram.outputs):
        join((("wire", output.port.wire, a), ("out", k, b)) for a, b in output.port.renames)
    numbers: dict[Slot, int] = {}
    return Strands({s: numbers.setdefault(root(s), len(numbers)) for s in list(parent)})


def tokens(diagram: Diagram) -> list[tuple[int, str]]:
    """The axes of inputs that index tokens, as (input number, axis).

    The last axis in the header of a real input is its feature axis (ruling 26); all axes of masks and
    indices index tokens.
    """
    found = []
    for k, item in enumerate(diagram.inputs):
        real = diagram.wires[item.wire].kind.name == "real"
        found.extend((k, axis) for axis in (item.layout[:-1] if real else item.layout))
    return found
