"""What became of every box between two diagrams of a derivation: kept, moved, copied, merged, born or dead.

Converts: two flat diagrams of one type into a list of changes in which every box of either stands once (`audit`).
Non-goals: a proof. A box keeps its name where it computes the same thing, or stands in the same place as seen from the outputs;
where neither says anything, boxes of one operation along the same axes are taken for one another, those with the most neighbours in common first.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from anatomy.ir.canonical import op_label
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.live import live

Kind = Literal["kept", "moved", "copied", "merged", "born", "dead"]
KINDS: tuple[Kind, ...] = ("kept", "moved", "copied", "merged", "born", "dead")
Box = tuple[Literal["node", "weight"], int]
"""A box of a diagram: a node or a weight that is read, by its number."""


@dataclass(frozen=True)
class Change:
    """What became of some boxes: one to one where they are `kept` or `moved`, one to several where `copied`, several to one where `merged`."""

    kind: Kind
    before: tuple[Box, ...]
    after: tuple[Box, ...]


@dataclass(frozen=True)
class Correspondence:
    """Every box of two diagrams, each in one change."""

    changes: tuple[Change, ...]

    def count(self, kind: Kind) -> int:
        """Boxes of a kind: those that are there afterwards, or before where they are dead or merged."""
        return sum(len(c.before if kind in ("dead", "merged") else c.after) for c in self.changes if c.kind == kind)


def boxes(diagram: Diagram) -> tuple[Box, ...]:
    """The boxes that count: nodes that reach an output, and the weights that these or the outputs read."""
    used = live(diagram)
    read = {p.wire for i in used for p in diagram.nodes[i].ports} | {o.port.wire for o in diagram.outputs}
    weights: list[Box] = [("weight", k) for k, w in enumerate(diagram.weights) if w.wire in read]
    return (*weights, *(("node", i) for i in used))


def named(diagram: Diagram, box: Box) -> str:
    """A box in words: the operation and its axes, or the key of the weight."""
    if box[0] == "weight":
        return f"weight {diagram.weights[box[1]].key}"
    node = diagram.nodes[box[1]]
    return " ".join((node.op.word, *node.own))


def audit(found: Correspondence, before: Diagram, after: Diagram) -> tuple[str, ...]:
    """What is wrong with the books: nothing where every box of both diagrams stands once, in a change of its shape."""
    wrong: list[str] = []
    for side, diagram in (("before", before), ("after", after)):
        listed = [b for c in found.changes for b in (c.before if side == "before" else c.after)]
        for box in sorted({*listed, *boxes(diagram)}):
            if listed.count(box) != 1 or box not in boxes(diagram):
                wrong.append(f"{box[0]} {box[1]} {side} stands in {listed.count(box)} changes" + ("" if box in boxes(diagram) else " and in no diagram"))
    shapes: dict[Kind, tuple[str, str]] = {
        "kept": ("1", "1"), "moved": ("1", "1"), "copied": ("1", "+"), "merged": ("+", "1"), "born": ("0", "1"), "dead": ("1", "0"),
    }  # fmt: skip
    for change in found.changes:
        sizes = tuple("+" if n > 1 else str(n) for n in (len(change.before), len(change.after)))
        if sizes != shapes[change.kind]:
            wrong.append(f"a change that is {change.kind} goes from {len(change.before)} to {len(change.after)} boxes")
    return tuple(wrong)


def correspondence(before: Diagram, after: Diagram) -> Correspondence:
    """What became of every box; both diagrams have one type.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis m diagram a(s: [m]) -> [m] { out softmax[m](s + 1) } diagram b(s: [m]) -> [m] { out softmax[m](s) }"
    >>> program = Program.of(Source("a.anat", text))
    >>> [(c.kind, c.before, c.after) for c in correspondence(program.get("a"), program.get("b")).changes if c.kind != "dead"]
    [('kept', (('node', 2),), (('node', 0),))]
    """
    left, right = _weights(before, after)
    return _Matching(_Side(before, left), _Side(after, right)).run()


def _weights(before: Diagram, after: Diagram) -> tuple[list[Hashable], list[Hashable]]:
    """A name for every weight of both diagrams: one for two that share a key, or where one key is the end of the other and of no third."""
    sides = before.weights, after.weights
    names: tuple[list[Hashable], list[Hashable]] = ([(0, k) for k in range(len(sides[0]))], [(1, k) for k in range(len(sides[1]))])
    free = [set(range(len(side))) for side in sides]

    def tail(one: str, two: str) -> bool:
        return f".{one}".endswith(f".{two}") or f".{two}".endswith(f".{one}")

    for same in (str.__eq__, tail):
        able = {i: [j for j in sorted(free[1]) if any(same(a, b) for a in sides[0][i].keys for b in sides[1][j].keys)] for i in sorted(free[0])}
        for i, found in able.items():
            rivals = [k for k, those in able.items() if found and found[0] in those]
            if len(found) == 1 and rivals == [i] and len(sides[0][i].layout) == len(sides[1][found[0]].layout):
                names[1][found[0]] = names[0][i]
                free[0].discard(i)
                free[1].discard(found[0])
    return names


@dataclass
class _Side:
    """One of the diagrams with a colour for what every wire computes, and the ends that every axis comes from."""

    diagram: Diagram
    weights: Sequence[Hashable]
    colour: dict[int, Hashable] = field(default_factory=dict)
    node: dict[int, Hashable] = field(default_factory=dict)
    origin: dict[tuple[int, str], frozenset[Hashable]] = field(default_factory=dict)
    own: dict[int, tuple[frozenset[Hashable], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        d = self.diagram
        ends: list[tuple[str, Hashable, int, tuple[str, ...]]] = [("input", k, i.wire, i.layout) for k, i in enumerate(d.inputs)]
        ends += [("weight", name, w.wire, w.layout) for name, w in zip(self.weights, d.weights, strict=True)]
        axis: dict[tuple[int, str], Hashable] = {}
        for kind, name, wire, layout in ends:
            self.colour[wire] = (kind, name)
            for p, a in enumerate(layout):
                axis[wire, a] = (kind, name, p)
                self.origin[wire, a] = frozenset([(kind, name, p)])
        for i in live(d):
            self._see(i, d.nodes[i], axis)

    def _see(self, i: int, node: Node, axis: dict[tuple[int, str], Hashable]) -> None:
        reads: dict[str, list[Hashable]] = {a: [] for a in (*node.own, *node.lifts)}
        origins: dict[str, frozenset[Hashable]] = dict.fromkeys(reads, frozenset())
        for k, port in enumerate(node.ports):
            for outer, inner in port.renames:
                reads[inner].append((0 if node.op.commutative else k, self.colour[port.wire], axis[port.wire, outer]))
                origins[inner] |= self.origin[port.wire, outer]
        role = {a: 1 if node.op.symmetric else 1 + k for k, a in enumerate(node.own)}
        shades: dict[str, Hashable] = {}
        for a, seen in reads.items():
            size = str(self.diagram.sizes[a].rename(lambda v: v.rpartition(".")[2])) if a in self.diagram.sizes and not seen else ""
            shades[a] = hash((role.get(a, 0), tuple(sorted(map(hash, seen))), size))
            origins[a] = origins[a] or frozenset([size])
        operands: Sequence[int] = [hash(self.colour[p.wire]) for p in node.ports]
        if node.op.commutative:
            operands = sorted(operands)
        self.node[i] = hash((op_label(node.op), tuple(operands), tuple(sorted(map(hash, shades.values())))))
        self.own[i] = tuple(origins[a] for a in node.own)
        for k, wire in enumerate(node.outs):
            self.colour[wire] = (self.node[i], k)
            for a in self.diagram.wires[wire].axes:
                axis[wire, a] = (self.node[i], shades.get(a, a))
                self.origin[wire, a] = origins.get(a, frozenset([a]))

    def operands(self, i: int) -> set[Hashable]:
        return {self.colour[p.wire] for p in self.diagram.nodes[i].ports}

    def readers(self, i: int) -> list[int]:
        table = self.diagram.consumers
        return [n for w in self.diagram.nodes[i].outs for n, _ in table[w]]


@dataclass
class _Matching:
    """`pairs` go from boxes before to boxes after, one to one; `extra` says of which box a further one is a copy, or into which it was merged."""

    a: _Side
    b: _Side
    kept: dict[Box, Box] = field(default_factory=dict)
    moved: dict[Box, Box] = field(default_factory=dict)
    copies: dict[Box, list[Box]] = field(default_factory=dict)
    merges: dict[Box, list[Box]] = field(default_factory=dict)

    def run(self) -> Correspondence:
        self._upward()
        self._downward()
        self._rest()
        return self._books()

    # who is who -------------------------------------------------------------------------------

    def _taken(self) -> tuple[set[Box], set[Box]]:
        before = {*self.kept, *self.moved, *(x for group in self.merges.values() for x in group)}
        after = {*self.kept.values(), *self.moved.values(), *(x for group in self.copies.values() for x in group)}
        return before, after

    def _free(self) -> tuple[list[int], list[int]]:
        """The nodes with operands that have no partner yet: a number written in the text is nobody's partner."""
        before, after = self._taken()
        sides = ((self.a.diagram, before), (self.b.diagram, after))
        left, right = ([i for k, i in boxes(d) if k == "node" and ("node", i) not in taken and d.nodes[i].ports] for d, taken in sides)
        return left, right

    def _upward(self) -> None:
        """Boxes that compute the same thing; where there are more of them on one side, the last is copied, or the last are merged."""
        self._grouped("weight", {k: self.a.colour[w.wire] for k, w in enumerate(self.a.diagram.weights)},
                      {k: self.b.colour[w.wire] for k, w in enumerate(self.b.diagram.weights)})  # fmt: skip
        self._grouped("node", self.a.node, self.b.node)

    def _grouped(self, kind: Literal["node", "weight"], left: Mapping[int, Hashable], right: Mapping[int, Hashable]) -> None:
        groups: dict[Hashable, tuple[list[int], list[int]]] = {}
        for which, (side, table) in enumerate(((self.a, left), (self.b, right))):
            here = set(boxes(side.diagram))
            for i, colour in table.items():
                if (kind, i) in here:
                    groups.setdefault(colour, ([], []))[which].append(i)
        for before, after in groups.values():
            for i, j in zip(before, after, strict=False):
                self.kept[kind, i] = (kind, j)
            if before and after and (kind == "weight" or self.a.diagram.nodes[before[0]].ports):
                if len(after) > len(before):
                    self.copies[kind, before[-1]] = [(kind, j) for j in after[len(before) :]]
                elif len(before) > len(after):
                    self.merges[kind, after[-1]] = [(kind, i) for i in before[len(after) :]]

    def _downward(self) -> None:
        """Boxes in one place as seen from the outputs."""
        ends = zip(self.a.diagram.outputs, self.b.diagram.outputs, strict=True)
        waiting = [(x.port.wire, y.port.wire) for x, y in ends]
        seen: set[tuple[int, int]] = set()
        while waiting:
            pair = waiting.pop()
            if pair in seen:
                continue
            seen.add(pair)
            u, v = pair
            if u in self.a.diagram.weight_of and v in self.b.diagram.weight_of:
                self._same_weight(u, v)
            one, two = self.a.diagram.producer.get(u), self.b.diagram.producer.get(v)
            if one is None or two is None or one[1] != two[1]:
                continue
            i, j = one[0], two[0]
            before, after = self._taken()
            if ("node", i) not in before and ("node", j) not in after and self._alike(i, j):
                self.kept["node", i] = ("node", j)
            if self.kept.get(("node", i)) == ("node", j):
                waiting += [(p.wire, q.wire) for p, q in self._ports(self.a.diagram.nodes[i], self.b.diagram.nodes[j])]

    def _same_weight(self, u: int, v: int) -> None:
        weights = self.a.diagram.weights, self.b.diagram.weights
        i, j = (next(k for k, w in enumerate(side) if w.wire == wire) for side, wire in zip(weights, (u, v), strict=True))
        before, after = self._taken()
        if ("weight", i) not in before and ("weight", j) not in after and len(weights[0][i].layout) == len(weights[1][j].layout):
            self.kept["weight", i] = ("weight", j)

    def _alike(self, i: int, j: int) -> bool:
        """One operation with as many operands, along axes that come from the same ends."""
        one, two = self.a.diagram.nodes[i], self.b.diagram.nodes[j]
        return op_label(one.op) == op_label(two.op) and len(one.ports) == len(two.ports) and self._along(i, j)

    def _along(self, i: int, j: int) -> bool:
        """Along an axis that comes from one end or has one name, or along none."""
        one, two = self.a.own[i], self.b.own[j]
        if not (one or two) or any(x & y for x in one for y in two):
            return True
        names = [{a.rpartition(".")[2] for a in side.diagram.nodes[k].own} for side, k in ((self.a, i), (self.b, j))]
        return not names[0].isdisjoint(names[1])

    def _ports(self, one: Node, two: Node) -> Iterator[tuple[Port, Port]]:
        if not one.op.commutative:
            yield from zip(one.ports, two.ports, strict=True)
            return
        left, right = list(one.ports), list(two.ports)
        for same in (lambda p, q: self.a.colour[p.wire] == self.b.colour[q.wire], self._one_word, lambda p, q: True):
            for p in list(left):
                q = next((q for q in right if same(p, q)), None)
                if q is not None:
                    left.remove(p)
                    right.remove(q)
                    yield p, q

    def _one_word(self, p: Port, q: Port) -> bool:
        one, two = self.a.diagram.producer.get(p.wire), self.b.diagram.producer.get(q.wire)
        if one is None or two is None:
            return one is two
        return self._alike(one[0], two[0])

    def _near(self, i: int, j: int) -> int:
        """How many operands and readers two boxes have in common."""
        readers = {self.kept.get(("node", n)) for n in self.a.readers(i)}
        common = self.a.operands(i) & self.b.operands(j)
        return len(common) + sum(("node", n) in readers or (n == -1 and -1 in self.a.readers(i)) for n in set(self.b.readers(j)))

    def _rest(self) -> None:
        """Boxes of one operation along the same axes, the nearest first; then those that another one was made of, or went into."""
        left, right = self._free()
        a, b = self.a.diagram.nodes, self.b.diagram.nodes
        both = [(i, j) for i in left for j in right if op_label(a[i].op) == op_label(b[j].op) and self._along(i, j)]
        for i, j in sorted(both, key=lambda p: (-self._near(*p), p)):
            if ("node", i) not in self.moved and ("node", j) not in self.moved.values():
                self.moved["node", i] = ("node", j)
        pairs = {**self.kept, **self.moved}
        there = {y: x for x, y in pairs.items()}
        left, right = self._free()
        every = [[i for kind, i in boxes(side.diagram) if kind == "node"] for side in (self.a, self.b)]
        both = [(i, j) for i in every[0] for j in every[1] if (i in left) != (j in right) and self._again(i, j)]
        for i, j in sorted(both, key=lambda p: (-self._near(*p), p)):
            before, after = self._taken()
            if ("node", i) in pairs and ("node", j) not in after and pairs["node", i] not in self.merges:
                self.copies.setdefault(("node", i), []).append(("node", j))
            elif ("node", j) in there and ("node", i) not in before and there["node", j] not in self.copies:
                self.merges.setdefault(("node", j), []).append(("node", i))

    def _again(self, i: int, j: int) -> bool:
        """One operation along the same axes, of an operand in common and of the same weights: two sums of different things share but a word."""
        a, b = self.a.diagram.nodes[i], self.b.diagram.nodes[j]
        if not a.ports or op_label(a.op) != op_label(b.op) or not self._along(i, j):
            return False
        learned = [{side.colour[p.wire] for p in n.ports if p.wire in side.diagram.weight_of} for side, n in ((self.a, a), (self.b, b))]
        return learned[0] == learned[1] and bool(self.a.operands(i) & self.b.operands(j))

    # the books --------------------------------------------------------------------------------

    def _books(self) -> Correspondence:
        changes: list[Change] = []
        pairs = {**{x: (y, "kept") for x, y in self.kept.items()}, **{x: (y, "moved") for x, y in self.moved.items()}}
        more = {x: tuple(g) for x, g in self.copies.items() if g}
        into = {y: tuple(g) for y, g in self.merges.items() if g}
        for box in boxes(self.a.diagram):
            if box in pairs:
                partner, kind = pairs[box]
                if box in more:
                    changes.append(Change("copied", (box,), (partner, *more[box])))
                elif partner in into:
                    changes.append(Change("merged", (box, *into[partner]), (partner,)))
                else:
                    changes.append(Change("kept" if kind == "kept" else "moved", (box,), (partner,)))
            elif not any(box in group for group in into.values()):
                changes.append(Change("dead", (box,), ()))
        _, after = self._taken()
        changes += [Change("born", (), (box,)) for box in boxes(self.b.diagram) if box not in after]
        return Correspondence(tuple(changes))
