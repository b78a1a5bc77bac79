"""Choices of lanes carried back to what the lanes come from: `f(x)[i]` is `f(x[i])` where `f` does not see the lane (S5)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Node
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Cat, Expand, Gather, Index, Iota, Literal, Merge, Multiply, Size, Softmax, Split
from anatomy.rewrites.places import Choice, Looked, Parts, Places, Reader

if TYPE_CHECKING:
    from anatomy.ir.equations import Settled

Boxes = tuple[object, ...]


class TooLong(Exception):
    """More boxes than are worth it."""


class Chosen:
    """Boxes of a new diagram, none of them twice, and the lanes of their wires chosen as early as may be."""

    def __init__(self, builder: Builder, settled: Settled, most: int):
        self.builder, self.settled, self.most = builder, settled, most
        self.made: dict[int, tuple[int, int]] = {}
        self.known: dict[Boxes, tuple[View, ...]] = {}
        self.sizes = _Sizes(builder, settled)
        self.reader = Reader(builder, self.made, self.sizes)
        self.cache: dict[tuple[int, str, Choice], View] = {}
        self.orders: dict[tuple[int, str], frozenset[str]] = {}
        self.laws: dict[str, None] = {}
        self.count = 0

    # boxes ------------------------------------------------------------------------------------

    def box(self, op: Op, own: Sequence[str], views: Sequence[View]) -> tuple[View, ...]:
        key = (op, tuple(own), tuple((v.wire, tuple(sorted(v.renames))) for v in views))
        if key not in self.known:
            if len(self.builder.nodes) > self.most:
                raise TooLong
            self.known[key] = self.builder.add(op, own, views, trusted=True)
            for k, view in enumerate(self.known[key]):
                self.made[view.wire] = (len(self.builder.nodes) - 1, k)
        return self.known[key]

    def one(self, op: Op, own: Sequence[str], views: Sequence[View]) -> View:
        return self.box(op, own, views)[0]

    def fresh(self, stem: str, size: Poly) -> str:
        """A new axis of a size."""
        stem = stem.partition("~")[0]
        while (name := f"{stem}~{self.count}") in self.builder.axes:
            self.count += 1
        self.builder.sizes.define(name, size)
        self.builder.axis(name)
        return name

    def node(self, wire: int) -> Node | None:
        """The box that made a wire, where it made nothing else."""
        if wire not in self.made:
            return None
        node = self.builder.nodes[self.made[wire][0]]
        return node if len(node.outs) == 1 else None

    def number(self, value: Poly) -> View:
        total: View | None = None
        for v in sorted(value.variables()):
            self.builder.axis(v)
        for monomial, c in value.terms:
            factors = [self.one(Size(), (v,), []) for v, power in monomial for _ in range(power)]
            if c != 1 or not factors:
                factors.insert(0, self.one(Literal(Fraction(c)), (), []))
            view = factors[0]
            for more in factors[1:]:
                view = self.one(Multiply(), (), [view, more])
            total = view if total is None else self.one(Add(), (), [total, view])
        return self.one(Literal(Fraction(0)), (), []) if total is None else total

    def positions(self, places: Places) -> View:
        """`offset + sign * k`, a real."""
        if not places.sign:
            return self.number(places.offset)
        k = self.one(Iota(), (places.new,), [])
        if places.sign < 0:
            k = self.one(Multiply(), (), [self.one(Literal(Fraction(-1)), (), []), k])
        return self.one(Add(), (), [k, self.number(places.offset)]) if places.offset.terms else k

    # choices ----------------------------------------------------------------------------------

    def at(self, view: View, axis: str, choice: Choice) -> View:
        """A view with the lanes of an axis chosen; the new axes have the names that the choice gives them."""
        ((outer, _),) = [pair for pair in view.renames if pair[1] == axis]
        return self._at(view.wire, outer, choice).rename({a: b for a, b in view.renames if a != outer})

    def _at(self, wire: int, axis: str, choice: Choice) -> View:
        key = (wire, axis, choice)
        if key not in self.cache:
            self.cache[key] = self._chosen(wire, axis, choice)
        return self.cache[key]

    def _chosen(self, wire: int, axis: str, choice: Choice) -> View:
        if isinstance(choice, Places) and choice.sign == 1 and not choice.offset.terms and self.sizes[choice.new] == self.sizes[axis]:
            return View(wire, tuple((a, choice.new if a == axis else a) for a in self.builder.wires[wire].axes))
        node = self.node(wire)
        if node is None or node.op.body is not None or node.op.hole or node.op.random:
            return self._leaf(wire, axis, choice)
        (given,) = node.op.gives(node.own)
        found = self._lifted(node, axis, choice) if axis not in given else self._owned(node, axis, choice)
        if found is None:
            return self._leaf(wire, axis, choice)
        self.laws["choose_exp"] = None
        return found

    def _lifted(self, node: Node, axis: str, choice: Choice) -> View | None:
        """The box does not see the axis."""
        views = [View(p.wire, p.renames) for p in node.ports]
        if set(choice.names) & {*node.own, *node.lifts}:
            return None
        views = [self.at(v, axis, choice) if axis in v.axes else v for v in views]
        if isinstance(node.op, Gather):
            return self.gathered(views[0], node.own[0], views[1])
        return self.one(node.op, node.own, views)

    def _owned(self, node: Node, axis: str, choice: Choice) -> View | None:
        """The box makes the axis or keeps it."""
        op, own = node.op, node.own
        views = [View(p.wire, p.renames) for p in node.ports]
        if set(choice.names) & {*own, *node.lifts}:
            return None
        match op:
            case Expand():
                rest = (*(a for a in own if a != axis), *choice.names)
                return self.one(op, rest, views) if rest else views[0]
            case Iota():
                return self._counted(axis, choice)
            case Cat():
                return self._part(node, views, choice) if axis == own[-1] else None
            case Merge() if isinstance(choice, Parts):
                if [self.sizes[a] for a in own[:-1]] != [self.sizes[a] for a in choice.names]:
                    return None
                self.laws["split_merge"] = None
                return views[0].rename(dict(zip(own[:-1], choice.names, strict=True)))
            case Softmax() if isinstance(choice, Parts):
                self.laws["split_softmax"] = None
                return self.one(op, [b for a in own for b in (choice.names if a == axis else (a,))], [self.at(views[0], axis, choice)])
            case _ if self.permutes(op, axis, choice) and all(axis in v.axes for v in views):
                assert isinstance(choice, Places)
                self.laws["softmax_reverse"] = None
                return self.one(op, [choice.new if a == axis else a for a in own], [self.at(v, axis, choice) for v in views])
            case _:
                return None

    def permutes(self, op: Op, axis: str, choice: Choice) -> bool:
        """Whether a choice puts all lanes in another order and the box lets them."""
        if op.knows_position or not isinstance(choice, Places) or choice.sign != -1:
            return False
        return self.sizes[choice.new] == self.sizes[axis] == choice.offset + 1

    def _counted(self, axis: str, choice: Choice) -> View:
        match choice:
            case Places():
                return self.positions(choice)
            case Looked(index):
                return index
            case Parts(names):
                first, *rest = (self.one(Iota(), (a,), []) for a in names)
                for a, k in zip(names[1:], rest, strict=True):
                    scaled = self.one(Multiply(), (), [first, self.one(Size(), (a,), [])])
                    first = self.one(Add(), (), [scaled, k])
                return first

    def _part(self, node: Node, views: Sequence[View], choice: Choice) -> View | None:
        """What lies in one part of several end to end."""
        assert isinstance(node.op, Cat)
        if not isinstance(choice, Places) or choice.sign < 0:
            return None
        start = Poly()
        for k, view in enumerate(views):
            part = node.op.part(node.own, k)
            here = choice.offset - start
            inner = Places(choice.new, here, choice.sign)
            if self.reader.fits((here, {choice.new: 1} if choice.sign else {}), part):
                self.laws["cat_sum"] = None
                return self.at(view, part, inner)
            start = start + self.sizes[part]
        return None

    def _leaf(self, wire: int, axis: str, choice: Choice) -> View:
        view = View(wire, tuple((a, a) for a in self.builder.wires[wire].axes))
        match choice:
            case Parts(names):
                return self.one(Split(), (axis, *names), [view])
            case Places():
                index = self.one(Index(), (axis,), [self.positions(choice)])
            case Looked(index):
                pass
        return self.one(Gather(), (axis,), [view, index])

    def gathered(self, view: View, axis: str, index: View) -> View:
        """`gather`, with a choice that is known as one."""
        if self.builder.wires[index.wire].kind.name != "index":
            index = self.one(Index(), (axis,), [index])
        shared = set(view.axes) & set(index.axes)
        found = self.reader.affine(index)
        if found is not None and self.reader.fits(found, axis) and len(index.axes) == len(found[1]) and not shared - {axis}:
            ((name, sign),) = found[1].items() or [("", 0)]
            new = self.fresh(name, self.sizes[name]) if name else ""
            return self.at(view, axis, Places(new, found[0], sign)).rename({new: name})
        if shared:
            return self.one(Gather(), (axis,), [view, index])
        names = {a: self.fresh(a, self.sizes[a]) for a in index.axes}
        return self.at(view, axis, Looked(index.rename(names))).rename({b: a for a, b in names.items()})

    # orders -----------------------------------------------------------------------------------

    def order(self, view: View, axis: str) -> frozenset[str]:
        """In which orders what a view is made of is read along an axis: "back", "forth"."""
        ((outer, _),) = [pair for pair in view.renames if pair[1] == axis]
        key = (view.wire, outer)
        if key not in self.orders:
            self.orders[key] = self._order(*key)
        return self.orders[key]

    def _order(self, wire: int, axis: str) -> frozenset[str]:
        node, forth = self.node(wire), frozenset({"forth"})
        if node is None or node.op.body is not None or node.op.hole or node.op.random:
            return forth
        views = [View(p.wire, p.renames) for p in node.ports]
        if isinstance(node.op, Gather) and axis in views[1].axes:
            found = self.reader.affine(views[1])
            whole = Places(axis, found[0], found[1].get(axis, 0)) if found else None
            back = whole is not None and self.permutes(Softmax(), node.own[0], whole) and axis not in views[0].axes
            return frozenset({"back"}) if back else forth
        if isinstance(node.op, Expand) and axis in node.own:
            return frozenset()
        if axis in node.own and (node.op.knows_position or not all(axis in v.axes for v in views)):
            return forth
        return frozenset().union(*(self.order(v, axis) for v in views if axis in v.axes))

    def forth(self, own: Sequence[str], views: Sequence[View]) -> tuple[list[str], list[View]]:
        """Operands that are read back along an axis on which the order does not matter, read forth."""
        names, found = list(own), list(views)
        for k, a in enumerate(own):
            orders = [self.order(v, a) for v in found if a in v.axes]
            if orders and frozenset().union(*orders) == {"back"}:
                new = self.fresh(a, self.sizes[a])
                turned = Places(new, self.sizes[a] - 1, -1)
                found = [self.at(v, a, turned) if a in v.axes else v for v in found]
                names[k] = new
                self.laws["pool_reverse_pair"] = None
        return names, found


class _Sizes(dict[str, Poly]):
    """Sizes of axes as the equations have them."""

    def __init__(self, builder: Builder, settled: Settled):
        super().__init__()
        self.builder, self.settled = builder, settled

    def __missing__(self, axis: str) -> Poly:
        self[axis] = self.settled.of(self.builder.sizes.norm(self.builder.sizes.of(axis)))
        return self[axis]


