"""What does not depend on the state of a loop, gathered in front of it: one operand of each sum and product in its body.

Converts: the open diagram of loops in which sums are multiplied out. `s * g + s * h + x + y` in a loop with the state `s` becomes
`s * (g + h) + (x + y)`, whose brackets leave the loop when it is closed, so that it does not matter how much of it stood inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Both, Contract, Extremum, Literal, Multiply, Reduce
from anatomy.rewrites.inside import Open

Leaf = tuple[int, View]
"""An operand with its level: of how many loops around its reader it lies on the circle."""


def gathered(open: Open, diagram: Diagram) -> Diagram:
    """The open diagram with sums and products on the circles of its loops bracketed by what they depend on.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> from anatomy.rewrites.inside import taken_apart
    >>> text = "axis n diagram f(x: [n]) -> [n] { scan n (s: [] = 0) { next s = tanh((s + x) + 1) } out s }"
    >>> found = taken_apart(Program.of(Source("f.anat", text)).get("f"))
    >>> [len(n.op.body.nodes) for d in (found.diagram, gathered(found, found.diagram)) for n in found.closed(d) if n.op.body]
    [3, 2]
    """
    return _Gatherer(open, diagram).run() if open.loops else diagram


class _Gatherer:
    def __init__(self, open: Open, diagram: Diagram):
        self.diagram = diagram
        self.circles = [_circle(diagram, loop.states, loop.nexts) for loop in open.loops]
        self.builder = Builder(list(diagram.wires), axes=dict.fromkeys(diagram.sizes))
        for axis, size in diagram.sizes.items():
            if size != Poly.var(axis):
                self.builder.sizes.define(axis, size)
        self.views: dict[int, View] = {}

    def run(self) -> Diagram:
        d = self.diagram
        for node in d.nodes:
            if not any(node.outs[0] in c for c in self.circles):
                self.builder.nodes.append(replace(node, ports=tuple(self.seen(View(p.wire, p.renames)).port for p in node.ports)))
                continue
            view = self.gather(node)
            if view is None:
                outs = self.builder.add(node.op, node.own, [self.seen(View(p.wire, p.renames)) for p in node.ports], node.span, node.frame, trusted=True)
                self.views.update(zip(node.outs, outs, strict=True))
            else:
                self.views[node.outs[0]] = view
        outputs = tuple(replace(o, port=self.seen(View(o.port.wire, o.port.renames)).port) for o in d.outputs)
        return replace(d, outputs=outputs, wires=tuple(self.builder.wires), nodes=tuple(self.builder.nodes))

    def seen(self, view: View) -> View:
        known = self.views.get(view.wire)
        return view if known is None else known.rename(dict(view.renames))

    def gather(self, node: Node) -> View | None:
        around = [c for c in self.circles if node.outs[0] in c]
        whole = View(node.outs[0], tuple((a, a) for a in self.diagram.wires[node.outs[0]].axes))

        def leaves(views: Sequence[View]) -> list[Leaf]:
            return [(sum(v.wire in c for c in around), v) for v in views]

        match node.op:
            case Add() | Multiply():
                summands = [leaves(self.operands(v, Multiply())) for v in self.operands(whole, Add())]
                return self.sum(summands, len(around))
            case Extremum() | Both():
                return self.chain(node.op, leaves(self.operands(whole, node.op)))
            case Contract():
                return self.contraction(node.own, leaves([View(p.wire, p.renames) for p in node.ports]))
            case _:
                return None

    def operands(self, view: View, op: Op) -> list[View]:
        """Those of a chain of one operation, whatever its brackets."""
        made = self.diagram.producer.get(view.wire)
        if made is None or self.diagram.nodes[made[0]].op != op:
            return [view]
        table = dict(view.renames)
        found: list[View] = []
        for p in self.diagram.nodes[made[0]].ports:
            found += self.operands(View(p.wire, tuple((a, table[b]) for a, b in p.renames)), op)
        return found

    def add(self, op: Op, views: Sequence[View]) -> View:
        view = views[0]
        for more in views[1:]:
            (view,) = self.builder.add(op, (), [view, more], trusted=True)
        return view

    def chain(self, op: Op, leaves: Sequence[Leaf]) -> View:
        """Those of the lowest level first."""
        return self.add(op, [self.seen(v) for _, v in sorted(leaves, key=lambda leaf: leaf[0])])

    def sum(self, summands: Sequence[Sequence[Leaf]], level: int) -> View:
        """A sum of products: what has the same factors of the highest level is one product with a sum of the rest."""
        if level == 0:
            return self.add(Add(), [self.add(Multiply(), [self.seen(v) for _, v in s]) if s else self.one() for s in summands])
        groups: dict[object, tuple[list[View], list[list[Leaf]]]] = {}
        for s in summands:
            high = [v for k, v in s if k >= level]
            key = tuple(sorted((v.wire, tuple(sorted(v.renames))) for v in high))
            groups.setdefault(key, (high, []))[1].append([(k, v) for k, v in s if k < level])
        # What lacks the highest level comes first, as one operand.
        found: list[View] = []
        for high, rest in sorted(groups.values(), key=lambda g: bool(g[0])):
            views = [self.seen(v) for v in high]
            if not high or rest != [[]]:
                views = [self.sum(rest, level - 1), *views]
            found.append(self.add(Multiply(), views))
        return self.add(Add(), found)

    def one(self) -> View:
        return self.builder.add(Literal(Fraction(1)), (), [], trusted=True)[0]

    def contraction(self, own: tuple[str, ...], leaves: Sequence[Leaf]) -> View:
        """Summed as early as may be, those of the lowest level first."""
        found: list[View] = []
        for level in sorted({k for k, _ in leaves}):
            found += [self.seen(v) for k, v in leaves if k == level]
            later = {a for k, v in leaves if k > level for a in v.axes}
            now = tuple(a for a in own if a not in later and any(a in v.axes for v in found))
            alone = {a for a in now if sum(a in v.axes for v in found) == 1}
            for k, v in enumerate(found):
                axes = tuple(a for a in now if a in alone and a in v.axes)
                if axes:
                    (found[k],) = self.builder.add(Reduce("sum"), axes, [v], trusted=True)
            shared = tuple(a for a in now if a not in alone)
            found = [self.builder.add(Contract(), shared, found, trusted=True)[0] if shared else self.add(Multiply(), found)]
        return found[0]


def _circle(d: Diagram, states: Sequence[int], nexts: Sequence[int]) -> frozenset[int]:
    """The wires on a way from a state to a next one."""
    after = {d.inputs[k].wire for k in states}
    before = {d.outputs[k].port.wire for k in nexts}
    for node in d.nodes:
        if any(p.wire in after for p in node.ports):
            after.update(node.outs)
    for node in reversed(d.nodes):
        if any(w in before for w in node.outs):
            before.update(p.wire for p in node.ports)
    return frozenset(after & before)
