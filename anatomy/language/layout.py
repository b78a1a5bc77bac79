"""How a flat diagram falls into statements: what is a `lin`, what stands inside what, and in which SIMD boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from anatomy.ir.graph import Diagram, Node, Port, Renames, Weight
from anatomy.ir.live import live
from anatomy.ops import Add, Contract, Iota, Size

Path = tuple[tuple[str, ...], ...]
"""The lanes of nested SIMD boxes, outermost first."""
MOST = 12
"""Boxes in one expression."""
OUT = -1
"""The statement `out`, as a root of expressions."""


@dataclass(frozen=True)
class Lin:
    """A contraction with a weight and perhaps a bias, to be written `lin`. `x` is the operand's port."""

    weight: Weight
    bias: Weight | None
    x: Port


@dataclass
class Layout:
    """`lins` by the node whose output they are; `path` of every root; `inside` are nodes written in another."""

    diagram: Diagram
    nodes: tuple[int, ...]
    lins: dict[int, Lin] = field(default_factory=dict)
    absorbed: set[int] = field(default_factory=set)
    inside: set[int] = field(default_factory=set)
    path: dict[int, Path] = field(default_factory=dict)
    views: dict[int, list[Renames]] = field(default_factory=dict)
    """For a wire, renamings of it that must be bound outside a SIMD box because they touch its lanes."""

    @property
    def roots(self) -> list[int]:
        """The nodes that are statements of their own, in an order that respects the wires."""
        return [i for i in self.nodes if i not in self.inside and i not in self.absorbed]

    @cached_property
    def alive(self) -> frozenset[int]:
        return frozenset(self.nodes)

    def readers(self, wire: int) -> list[tuple[int, int]]:
        """The (node, port) pairs of live nodes and outputs that read a wire."""
        return [(k, p) for k, p in self.diagram.consumers[wire] if k == OUT or k in self.alive]

    def ports(self, i: int) -> tuple[Port, ...]:
        """The operands as written."""
        return (self.lins[i].x,) if i in self.lins else self.diagram.nodes[i].ports


def layout(diagram: Diagram) -> Layout:
    found = Layout(diagram, live(diagram))
    found.absorbed.update(i for i in found.nodes if diagram.nodes[i].op.random)
    _lins(found)
    _inline(found)
    return found


def moved(port: Port) -> Renames:
    """The renamings of a port that change a name."""
    return tuple(sorted((outer, inner) for outer, inner in port.renames if outer != inner))


def identity(port: Port) -> bool:
    return not moved(port)


# lin ------------------------------------------------------------------------------------------


def _lins(found: Layout) -> None:
    """Every use of a weight must be a `lin` of one type, or none is written so."""
    diagram = found.diagram
    groups: dict[int, list[tuple[int, int, Lin]]] = {}
    for i in found.nodes:
        group = _lin(diagram, i)
        if group is not None:
            groups.setdefault(group[2].weight.wire, []).append(group)
    for wire, group in groups.items():
        biases = {lin.bias.wire if lin.bias else None for _, _, lin in group}
        if len(biases) > 1:
            continue
        uses = [(wire, len(group)), *((b, len(group)) for b in biases if b is not None)]
        if any(len(found.readers(w)) != count for w, count in uses):
            continue
        for first, last, lin in group:
            found.lins[last] = lin
            if first != last:
                found.absorbed.add(first)


def _lin(diagram: Diagram, i: int) -> tuple[int, int, Lin] | None:
    node = diagram.nodes[i]
    if type(node.op) is not Contract or len(node.ports) != 2 or not _framed(node):
        return None
    for x, w in (node.ports, node.ports[::-1]):
        weight = diagram.weight_of.get(w.wire)
        if weight is None or weight.frozen or not weight.fan_in or not weight.fan_out or not identity(w):
            continue
        if set(node.own) != set(weight.fan_in) or set(weight.fan_out) & set(x.axes) or not set(node.own) <= set(x.axes):
            continue
        readers = diagram.consumers[node.outs[0]]
        if len(readers) == 1 and readers[0][0] >= 0:
            after = diagram.nodes[readers[0][0]]
            bias = _bias(diagram, node, after, weight)
            if bias is not None:
                return i, readers[0][0], Lin(weight, bias, x)
        return i, i, Lin(weight, None, x)
    return None


def _framed(node: Node) -> bool:
    return bool(node.frame) and node.frame[-1].kind == "lin"


def _bias(diagram: Diagram, node: Node, after: Node, weight: Weight) -> Weight | None:
    if type(after.op) is not Add or not _framed(after) or after.frame[-1] != node.frame[-1]:
        return None
    if not all(map(identity, after.ports)):
        return None
    for port in after.ports:
        bias = diagram.weight_of.get(port.wire)
        if bias is not None and (set(bias.lanes), bias.fan_in, set(bias.fan_out), str(bias.init), bias.frozen) == (
            set(weight.lanes), (), set(weight.fan_out), "zeros", weight.frozen,
        ):  # fmt: skip
            return bias
    return None


# expressions and SIMD boxes -------------------------------------------------------------------


def _inline(found: Layout) -> None:
    """From the outputs back: a box without a name and with one reader is written inside it where the walls allow."""
    diagram = found.diagram
    readers: dict[int, list[tuple[int, Port]]] = {}
    for i in found.nodes:
        if i not in found.absorbed:
            for port in found.ports(i):
                readers.setdefault(port.wire, []).append((i, port))
    for output in diagram.outputs:
        readers.setdefault(output.port.wire, []).append((OUT, output.port))
    axes = {a for i in found.nodes for a in (*diagram.nodes[i].own, *diagram.nodes[i].lifts)}
    root: dict[int, int] = {OUT: OUT}
    count: dict[int, int] = {OUT: 0}
    found.path[OUT] = _out_path(found, readers, axes)
    for i in reversed(found.nodes):
        if i in found.absorbed:
            continue
        node = diagram.nodes[i]
        named = _named(found, i)
        path = _path(node, named, axes)
        at = readers.get(node.outs[0], [])
        if len(node.outs) == 1 and len(at) == 1 and not diagram.wires[node.outs[0]].name:
            reader, port = at[0]
            top = root[reader]
            lanes = _lanes(found.path[top])
            if _lanes(path) <= lanes and not lanes & (named | _touched(port)) and count[top] < MOST:
                root[i] = top
                count[top] += 1
                found.inside.add(i)
                continue
        root[i] = i
        count[i] = 1
        found.path[i] = path
    for wire, ports in readers.items():
        for reader, port in ports:
            if _touched(port) & _lanes(found.path[root[reader]]) and moved(port) not in found.views.get(wire, ()):
                found.views.setdefault(wire, []).append(moved(port))


def _out_path(found: Layout, readers: dict[int, list[tuple[int, Port]]], axes: set[str]) -> Path:
    """`out` stands in the box of what it gives."""
    diagram = found.diagram
    wire = diagram.outputs[0].port.wire
    made = diagram.producer.get(wire)
    if made is None or len(readers[wire]) != 1 or diagram.wires[wire].name:
        return ()
    return _path(diagram.nodes[made[0]], _named(found, made[0]) | _touched(diagram.outputs[0].port), axes)


def without(path: Path, axes: set[str]) -> Path:
    """A path without some lanes."""
    return tuple(kept for lanes in path if (kept := tuple(a for a in lanes if a not in axes)))


def _path(node: Node, named: set[str], axes: set[str]) -> Path:
    """The SIMD boxes of a node without the lanes that its text names (ruling 5)."""
    lanes: dict[str, None] = {}
    path = []
    for frame in node.frame:
        if frame.lanes:
            path.append(tuple(a for a in frame.lanes if a in axes and a not in lanes))
            lanes.update(dict.fromkeys(path[-1]))
    return without(tuple(path), named)


def _lanes(path: Path) -> set[str]:
    return {a for axes in path for a in axes}


def _touched(port: Port) -> set[str]:
    return {a for pair in moved(port) for a in pair}


def _named(found: Layout, i: int) -> set[str]:
    """The axes that the box of a node names, other than by `iota` and `size`."""
    if i in found.lins:
        return set(found.lins[i].weight.layout)
    node = found.diagram.nodes[i]
    return set() if isinstance(node.op, Iota | Size) else set(node.own)
