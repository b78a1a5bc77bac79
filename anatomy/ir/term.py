"""The term of a diagram: equal deterministic boxes merged, so that copying and recomputing are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product
from math import factorial, prod

from anatomy.ir.canonical import Alike, Canonical, write
from anatomy.ir.graph import Diagram, Node, Output, Port
from anatomy.ir.live import live
from anatomy.ir.repeats import slide

MATCHINGS = 720
"""Ways to match the axes of two boxes that are tried; where more seem equal, the boxes stay apart."""

Renaming = dict[str, str]
Key = tuple[object, ...]


def term(diagram: Diagram, initialisers: bool = False) -> Canonical:
    """The normal form of the term: equal when two diagrams are the same after merging equal boxes.

    Initialisers and frozen flags are not counted (ruling 11), unless they are asked for.
    """
    smaller, alike = _merge(slide(diagram))
    return write(smaller, diagram, initialisers, alike)


def merged(diagram: Diagram) -> Diagram:
    """The diagram with every box that computes what an earlier box computes replaced by that one.

    Two boxes are merged when they have one operation and read the same wires under one matching of their
    axes. Holes are never merged: each use of a hole is a call site with weights of its own.

    >>> from anatomy.ir.builder import Builder
    >>> from anatomy.ops import Map
    >>> from anatomy.ops import Add
    >>> b = Builder(); x = b.input("x", ["n"])
    >>> (p,), (q,) = b.add(Map("exp"), (), [x]), b.add(Map("exp"), (), [x])
    >>> (y,) = b.add(Add(), (), [p, q])
    >>> len(merged(b.finish("twice", [Output(y.port, ("n",))])).nodes)
    2
    """
    return _merge(slide(diagram))[0]


def _merge(diagram: Diagram) -> tuple[Diagram, Alike]:
    """Also the axes that a wire is symmetric in: `x[n] * x[m]` is its own transpose, whoever reads it."""
    settled = diagram.settled
    stands: dict[int, tuple[int, Renaming]] = {}
    known: dict[Key, list[Node]] = {}
    kept: list[Node] = []
    alike: dict[int, dict[str, str]] = {}

    def seen(port: Port) -> Port:
        if port.wire not in stands:
            return port
        wire, to = stands[port.wire]
        return Port(wire, tuple((to[outer], inner) for outer, inner in port.renames))

    for i in live(diagram):
        node = replace(diagram.nodes[i], ports=tuple(map(seen, diagram.nodes[i].ports)))
        if node.op.hole or node.op.random or (node.op.body is not None and node.op.body.holes):
            kept.append(node)
            continue
        if node.op.body is not None:
            node = replace(node, op=node.op.within(_merge(node.op.body)[0]))
        sizes = {a: settled.of(diagram.sizes[a]) for a in node.own}
        marks = _marks(node, {a: str(p) for a, p in sizes.items()}, alike)
        wires = tuple(sorted(p.wire for p in node.ports)) if node.op.commutative else tuple(p.wire for p in node.ports)
        key: Key = (node.op, wires, tuple(sorted(marks.values())))
        for other in known.setdefault(key, []):
            theirs = _marks(other, {a: str(settled.of(diagram.sizes[a])) for a in other.own}, alike)
            match = next(_matches(node, marks, other, theirs, alike), None)
            if match is not None:
                for mine, old in zip(node.outs, other.outs, strict=True):
                    stands[mine] = (old, {a: match[a] for a in diagram.wires[mine].axes})
                break
        else:
            known[key].append(node)
            kept.append(node)
            same = _alike(node, marks, alike)
            for wire in node.outs:
                alike[wire] = same
    outputs = tuple(Output(seen(o.port), o.layout, o.span, o.kind) for o in diagram.outputs)
    return replace(diagram, nodes=tuple(kept), outputs=outputs), alike


def _marks(node: Node, sizes: dict[str, str], alike: Alike) -> dict[str, tuple[object, ...]]:
    """For each axis of a box, its role and which wire axes it is read from; its size where it is read from none."""
    read: dict[str, list[tuple[int, int, str]]] = {a: [] for a in (*node.own, *node.lifts)}
    for k, port in enumerate(node.ports):
        for outer, inner in port.renames:
            read[inner].append((0 if node.op.commutative else k, port.wire, _first(alike, port.wire, outer)))
    role = {a: 1 if node.op.symmetric else 1 + k for k, a in enumerate(node.own)}
    return {
        a: (role.get(a, 0), tuple(sorted(found)), "" if found else sizes.get(a, "")) for a, found in read.items()
    }


def _matches(node: Node, mine: dict[str, Key], other: Node, theirs: dict[str, Key], alike: Alike) -> Iterator[Renaming]:
    """Matchings of axes under which both boxes read the same wires in the same way."""
    classes: dict[Key, tuple[list[str], list[str]]] = {}
    for axis, mark in mine.items():
        classes.setdefault(mark, ([], []))[0].append(axis)
    for axis, mark in theirs.items():
        classes[mark][1].append(axis)
    if prod(factorial(len(a)) for a, _ in classes.values()) > MATCHINGS:
        return
    goal = _reads(other, {a: a for a in theirs}, alike)
    for choice in product(*(permutations(b) for _, b in classes.values())):
        table = {x: y for (a, _), b in zip(classes.values(), choice, strict=True) for x, y in zip(a, b, strict=True)}
        if _reads(node, table, alike) == goal:
            yield table


def _alike(node: Node, marks: dict[str, Key], alike: Alike) -> dict[str, str]:
    """Axes of a box that may be exchanged, each with the first of its kind: exchanges of pairs generate all."""
    first: dict[str, str] = {}
    goal = None
    for axis in sorted(marks):
        first[axis] = axis
        for other in sorted(marks):
            if other >= axis or first[other] != other or marks[other] != marks[axis]:
                continue
            goal = goal or _reads(node, {a: a for a in marks}, alike)
            if _reads(node, {a: a for a in marks} | {axis: other, other: axis}, alike) == goal:
                first[axis] = other
                break
    return {a: b for a, b in first.items() if a != b}


def _first(alike: Alike, wire: int, axis: str) -> str:
    return alike[wire].get(axis, axis) if wire in alike else axis


def _reads(node: Node, table: Renaming, alike: Alike) -> list[tuple[int, list[tuple[str, str]]]]:
    ports = [(p.wire, sorted((_first(alike, p.wire, a), table[b]) for a, b in p.renames)) for p in node.ports]
    return sorted(ports) if node.op.commutative else ports
