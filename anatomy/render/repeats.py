"""Calls of one diagram and turns of a loop in a row, each fed by the one before: drawn once, with their number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from anatomy.ir.graph import Diagram, Node, Port


@dataclass
class Repeats:
    """`node` and `weight` map each copy to the one that is drawn; `times` counts copies by the wall's serial."""

    node: dict[int, int] = field(default_factory=dict)
    weight: dict[int, int] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)


WALLS = ("call", "repeat")


@dataclass(frozen=True)
class _Site:
    """The nodes inside one wall, which is at this depth of each."""

    depth: int
    nodes: tuple[int, ...]


def find_repeats(diagram: Diagram, names: Mapping[str, str]) -> Repeats:
    """The longest runs of equal calls or turns: node for node the same operations, axes and inner wiring.

    Every reading of a copy is of a wire inside it, of one that all copies share, of a weight that only it
    reads, or of the copy before. What lies between two copies is read by nothing else. Runs inside the first copy
    of a run are found too.
    """
    result = Repeats()
    for given in _sites(diagram):
        sites = [site for site in given if site.nodes[0] not in result.node]
        start = 0
        while start < len(sites) - 1:
            length = 1
            while start + length < len(sites) and _chain(diagram, names, sites[start : start + length + 1]):
                length += 1
            if length > 1:
                _record(diagram, sites[start : start + length], result)
            start += length
    for table in (result.node, result.weight):
        for copy in table:
            while table[copy] in table:
                table[copy] = table[table[copy]]
    return result


def _sites(diagram: Diagram) -> list[list[_Site]]:
    """Calls and turns with their nodes, gathered by the walls they stand in and what is written on theirs; outer ones first."""
    found: dict[tuple[int, tuple[int, ...], str], dict[int, list[int]]] = {}
    for i, node in enumerate(diagram.nodes):
        for depth, frame in enumerate(node.frame):
            if frame.kind in WALLS:
                key = (depth, tuple(f.serial for f in node.frame[:depth]), frame.kind + re.sub(r"_\d+$", "", frame.label))
                found.setdefault(key, {}).setdefault(frame.serial, []).append(i)
    rows = sorted(found.items(), key=lambda item: item[0][0])
    return [[_Site(key[0], tuple(nodes)) for nodes in sites.values()] for key, sites in rows if len(sites) > 1]


def _chain(diagram: Diagram, names: Mapping[str, str], sites: list[_Site]) -> bool:
    first, previous, last = (site.nodes for site in (sites[0], sites[-2], sites[-1]))
    if len(first) != len(last):
        return False
    place = [{i: p for p, i in enumerate(site)} for site in (previous, last)]
    carried: dict[tuple[int, int], int] = {}
    for p, (a, b) in enumerate(zip(first, last, strict=True)):
        one, two = diagram.nodes[a], diagram.nodes[b]
        if not _same(one, two, sites[0].depth, names):
            return False
        for k, (left, right) in enumerate(zip(one.ports, two.ports, strict=True)):
            before = diagram.nodes[previous[p]].ports[k]
            if not _read(diagram, sites, place, left, before, right, carried):
                return False
    return bool(carried) and _sealed(diagram, previous, last)


def _read(
    diagram: Diagram, sites: list[_Site], place: list[dict[int, int]],
    left: Port, before: Port, right: Port, carried: dict[tuple[int, int], int],
) -> bool:  # fmt: skip
    """Does the last copy read as the first one does?"""
    first, last = sites[0].nodes, sites[-1].nodes
    if left.wire == right.wire:
        return True
    maker = diagram.producer.get(right.wire)
    origin = diagram.producer.get(left.wire)
    if maker is None:
        mine, theirs = diagram.weight_of.get(right.wire), diagram.weight_of.get(left.wire)
        if mine is None or theirs is None or (mine.init, mine.frozen) != (theirs.init, theirs.frozen):
            return False
        return all({i for i, _ in diagram.consumers[w]} <= set(site) for w, site in ((right.wire, last), (left.wire, first)))
    node, out = maker
    if node in place[1]:
        return origin is not None and origin == (first[place[1][node]], out)
    if node not in place[0] or (origin is not None and origin[0] in first):
        return False
    if len(sites) > 2:
        earlier = diagram.producer.get(before.wire)
        if earlier is None or earlier != (sites[-3].nodes[place[0][node]], out):
            return False
    return carried.setdefault((place[0][node], out), left.wire) == left.wire


def _same(one: Node, two: Node, depth: int, names: Mapping[str, str]) -> bool:
    def seen(node: Node) -> tuple[object, ...]:
        inner = [(f.kind, f.label) if not f.lanes else (f.kind, *(names.get(a, a) for a in f.lanes)) for f in node.frame[depth + 1 :]]
        ports = [sorted((names[a], names[b]) for a, b in port.renames) for port in node.ports]
        return node.op, [names[a] for a in node.own], ports, inner

    return seen(one) == seen(two)


def _sealed(diagram: Diagram, previous: tuple[int, ...], last: tuple[int, ...]) -> bool:
    readers = {i for n in previous for w in diagram.nodes[n].outs for i, _ in diagram.consumers[w]}
    return readers <= {*previous, *last}


def _record(diagram: Diagram, sites: list[_Site], result: Repeats) -> None:
    for site in sites[1:]:
        for a, b in zip(sites[0].nodes, site.nodes, strict=True):
            result.node[b] = a
            for left, right in zip(diagram.nodes[a].ports, diagram.nodes[b].ports, strict=True):
                if left.wire != right.wire and right.wire in diagram.weight_of:
                    index = {w.wire: i for i, w in enumerate(diagram.weights)}
                    result.weight[index[right.wire]] = index[left.wire]
    wall = diagram.nodes[sites[0].nodes[0]].frame[sites[0].depth]
    result.times[wall.serial] = len(sites)
