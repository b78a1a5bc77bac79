"""The laws of SIMD boxes that move lanes (S5, S7, S8, S11), built in: what the normal form begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Cat, Contract, Divide, Extremum, Gather, Halves, Map, Merge, Reduce, Softmax, Split
from anatomy.rewrites.apply import swept
from anatomy.rewrites.chosen import Chosen, TooLong
from anatomy.rewrites.places import Parts, Places

MOVES = (Cat, Gather, Halves, Merge, Split)
MOST = 4
"""Boxes of the result for one of the diagram, beyond which it is left as it is."""


@dataclass(frozen=True)
class Seam:
    """Wires end to end: a case for each part of an axis, each with a name for its part."""

    axis: str
    parts: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Joined:
    """A wire whose axes `names` are one axis, row-major."""

    axis: str
    names: tuple[str, ...]
    inner: Value


Value = View | Seam | Joined


def moved(diagram: Diagram) -> tuple[Diagram, tuple[str, ...]]:
    """The same function with lanes chosen early and put together late, and the laws used.

    A choice of lanes (`gather`, `split`, `halves`) moves back to the wires that the lanes come from, as far as no box on its
    way sees the axis; axes put together (`cat`, `merge`) move on to the results, through all boxes that do not see the
    axis, and through sums, contractions, extrema and softmax over it, which are taken part by part. An order in which all
    operands of a sum are read alike is forgotten. A diagram that moves no lanes is left as it is.

    Each law holds for all values of the wires (S5, S7, S8). A sum of weights that a mask made 0 throughout is a denominator 0,
    as in all of the normal form.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis d, e, l diagram f(x: [d], y: [e]) -> [] where l = d + e { out sum[l](exp(cat[d, e -> l](x, y))) }"
    >>> [node.op.word for node in moved(Program.of(Source("f.anat", text)).get("f"))[0]]
    ['exp', 'sum', 'exp', 'sum', '+']
    """
    if not diagram.by_op.keys() & set(MOVES):
        return diagram, ()
    try:
        return _Mover(diagram).run()
    except (TooLong, Problem):
        return diagram, ()


def _axes(value: Value) -> set[str]:
    match value:
        case View():
            return set(value.axes)
        case Seam(axis, parts):
            return {axis}.union(*(_axes(v) - {p} for p, v in parts))
        case Joined(axis, names, inner):
            return {axis} | (_axes(inner) - set(names))


def _renamed(value: Value, table: Mapping[str, str]) -> Value:
    match value:
        case View():
            return value.rename(table)
        case Seam(axis, parts):
            return Seam(table.get(axis, axis), tuple((p, _renamed(v, table)) for p, v in parts))
        case Joined(axis, names, inner):
            return Joined(table.get(axis, axis), names, _renamed(inner, table))


class _Mover:
    def __init__(self, diagram: Diagram):
        self.source = diagram
        self.builder = Builder(axes=dict.fromkeys(diagram.sizes))
        for axis, size in diagram.sizes.items():
            if size != Poly.var(axis):
                self.builder.sizes.define(axis, size)
        self.chosen = Chosen(self.builder, diagram.settled, MOST * len(diagram.nodes) + 40)
        self.sizes, self.laws = self.chosen.sizes, self.chosen.laws
        self.values: dict[int, Value] = {}

    def run(self) -> tuple[Diagram, tuple[str, ...]]:
        d, builder = self.source, self.builder
        for old in (*(i.wire for i in d.inputs), *(w.wire for w in d.weights)):
            self.values[old] = View(len(builder.wires), tuple((a, a) for a in d.wires[old].axes))
            builder.wires.append(d.wires[old])
        for node in d.nodes:
            operands = [_renamed(self.values[p.wire], dict(p.renames)) for p in node.ports]
            for wire, value in zip(node.outs, self._node(node, operands), strict=True):
                self.values[wire] = value
        outputs = []
        for output in d.outputs:
            view = self.whole(_renamed(self.values[output.port.wire], dict(output.port.renames)))
            if builder.wires[view.wire].kind.name != d.wires[output.port.wire].kind.name:
                return d, ()
            outputs.append(replace(output, port=view.port))
        to = {old: view.wire for old, view in self.values.items() if isinstance(view, View)}
        result = replace(
            d, outputs=tuple(outputs), wires=tuple(builder.wires), nodes=tuple(builder.nodes),
            inputs=tuple(replace(i, wire=to[i.wire]) for i in d.inputs),
            weights=tuple(replace(w, wire=to[w.wire]) for w in d.weights),
            sizes={a: builder.sizes.of(a) for a in builder.axes},
        )  # fmt: skip
        result = swept(result)
        used = {a for w in result.wires for a in w.axes} | {a for n in result.nodes for a in (*n.own, *n.lifts)} | d.sizes.keys()
        return replace(result, sizes={a: s for a, s in result.sizes.items() if a in used}), tuple(self.laws)

    def _node(self, node: Node, operands: list[Value]) -> Sequence[Value]:
        op, own = node.op, node.own
        match op:
            case Cat():
                return [self._laid(op, own, operands)]
            case Merge():
                names = {a: self.chosen.fresh(a, self.sizes[a]) for a in own[:-1]}
                return [Joined(own[-1], tuple(names.values()), _renamed(operands[0], names))]
            case Split():
                names = {self.chosen.fresh(a, self.sizes[a]): a for a in own[1:]}
                return [_renamed(self.parted(operands[0], own[0], tuple(names)), names)]
            case Halves():
                view, size = self.whole(operands[0]), self.sizes[own[1]]
                ends = [Places(self.chosen.fresh(own[1], size), start, 1) for start in (Poly(), size)]
                return [self.opened(self.chosen.at(view, own[0], p).rename({p.new: own[1]})) for p in ends]
            case Gather():
                return [self.opened(self.chosen.gathered(self.whole(operands[0]), own[0], self.whole(operands[1])))]
            case _ if op.body is not None or op.hole or op.random or len(node.outs) != 1:
                return list(self.chosen.box(op, own, [self.whole(v) for v in operands]))
            case _:
                return [self.lift(op, own, operands)]

    def _laid(self, op: Cat, own: Sequence[str], operands: Sequence[Value]) -> Seam:
        """Parts end to end; those of a part that is itself several are parts too."""
        parts: list[tuple[str, Value]] = []
        for k, value in enumerate(operands):
            part = op.part(tuple(own), k)
            if isinstance(value, Seam) and value.axis == part:
                parts.extend(value.parts)
            else:
                new = self.chosen.fresh(part, self.sizes[part])
                parts.append((new, _renamed(value, {part: new})))
        return Seam(own[-1], tuple(parts))

    # boxes ------------------------------------------------------------------------------------

    def lift(self, op: Op, own: Sequence[str], values: Sequence[Value]) -> Value:
        """A box of one result, done part by part where an operand is made of parts."""
        first = next((v for v in values if not isinstance(v, View)), None)
        if first is None:
            views = [v for v in values if isinstance(v, View)]
            if isinstance(op, Reduce | Contract):
                own, views = self.chosen.forth(own, views)
            return self.chosen.one(op, own, views)
        axis = first.axis
        if axis not in own:
            if isinstance(first, Joined):
                self.laws["split_mul"] = None
                return Joined(axis, first.names, self.lift(op, own, [self.parted(v, axis, first.names) for v in values]))
            self.laws["cat_exp"] = None
            return Seam(axis, tuple((p, self.lift(op, own, [self.part(v, first, k) for v in values])) for k, (p, _) in enumerate(first.parts)))
        found = self._over(op, own, values, first)
        return self.lift(op, own, [self.whole(v) if v is first else v for v in values]) if found is None else found

    def _over(self, op: Op, own: Sequence[str], values: Sequence[Value], first: Seam | Joined) -> Value | None:
        """A box that sees the axis that is made of parts."""
        if not isinstance(op, Reduce | Contract | Softmax):
            return None

        def by(names: Sequence[str]) -> list[str]:
            return [b for a in own for b in (names if a == first.axis else (a,))]

        if isinstance(first, Joined):
            self.laws["merge_dot" if isinstance(op, Contract) else "merge_sum"] = None
            found = self.lift(op, by(first.names), [self.parted(v, first.axis, first.names) for v in values])
            return Joined(first.axis, first.names, found) if isinstance(op, Softmax) else found
        pieces = [(by([p]), [self.part(v, first, k) for v in values]) for k, (p, _) in enumerate(first.parts)]
        match op:
            case Softmax():
                self.laws["softmax_definition"] = None
                above = [self.lift(Map("exp"), (), v) for _, v in pieces]
                below = self._all(Add(), [self.lift(Reduce("sum"), names, [v]) for (names, _), v in zip(pieces, above, strict=True)])
                return Seam(first.axis, tuple((p, self.lift(Divide(), (), [v, below])) for (p, _), v in zip(first.parts, above, strict=True)))
            case Contract() | Reduce(which="sum"):
                self.laws["project_cat" if isinstance(op, Contract) else "cat_sum"] = None
                return self._all(Add(), [self.lift(op, names, v) for names, v in pieces])
            case Reduce(which="max" | "min" as which):
                self.laws["cat_max"] = None
                return self._all(Extremum(which), [self.lift(op, names, v) for names, v in pieces])
            case _:
                return None

    def _all(self, op: Op, values: Sequence[Value]) -> Value:
        value = values[0]
        for more in values[1:]:
            value = self.lift(op, (), [value, more])
        return value

    # parts ------------------------------------------------------------------------------------

    def part(self, value: Value, like: Seam, k: int) -> Value:
        """What a value is in one part of an axis, under the name of the part."""
        axis, name = like.axis, like.parts[k][0]
        if axis not in _axes(value):
            return value
        match value:
            case Seam() if value.axis == axis:
                if [self.sizes[p] for p, _ in value.parts] == [self.sizes[p] for p, _ in like.parts]:
                    mine, inner = value.parts[k]
                    return _renamed(inner, {mine: name})
            case Seam():
                return replace(value, parts=tuple((p, self.part(v, like, k)) for p, v in value.parts))
            case Joined() if value.axis != axis:
                return replace(value, inner=self.part(value.inner, like, k))
            case _:
                pass
        start = sum((self.sizes[p] for p, _ in like.parts[:k]), Poly())
        return self.opened(self.chosen.at(self.whole(value), axis, Places(name, start, 1)))

    def parted(self, value: Value, axis: str, names: tuple[str, ...]) -> Value:
        """A value with an axis taken apart."""
        if axis not in _axes(value):
            return value
        match value:
            case Joined() if value.axis == axis:
                if [self.sizes[a] for a in value.names] == [self.sizes[a] for a in names]:
                    self.laws["split_merge"] = None
                    return _renamed(value.inner, dict(zip(value.names, names, strict=True)))
            case Joined():
                return replace(value, inner=self.parted(value.inner, axis, names))
            case Seam() if value.axis != axis:
                return replace(value, parts=tuple((p, self.parted(v, axis, names)) for p, v in value.parts))
            case _:
                pass
        return self.opened(self.chosen.at(self.whole(value), axis, Parts(names)))

    def opened(self, view: View) -> Value:
        """A wire that is made of parts, as these."""
        node = self.chosen.node(view.wire)
        if node is None or not isinstance(node.op, Cat | Merge):
            return view
        table = dict(view.renames)
        whole = node.own[-1]
        inner = [View(p.wire, tuple((a, b if b in node.own else table[b]) for a, b in p.renames)) for p in node.ports]
        names = {a: self.chosen.fresh(a, self.sizes[a]) for a in node.own[:-1]}
        if isinstance(node.op, Merge):
            return Joined(table[whole], tuple(names.values()), inner[0].rename(names))
        parts = [node.op.part(node.own, k) for k in range(len(inner))]
        return Seam(table[whole], tuple((names[p], v.rename(names)) for p, v in zip(parts, inner, strict=True)))

    def whole(self, value: Value) -> View:
        """The wire itself."""
        match value:
            case View():
                return value
            case Joined(axis, names, inner):
                view = self.whole(inner)
                found = self._unparted(view, names, axis)
                return self.chosen.one(Merge(), (*names, axis), [view]) if found is None else found
            case Seam(axis, parts):
                views = [self.whole(v) for _, v in parts]
                found = self._uncut(axis, [p for p, _ in parts], views)
                return self.chosen.one(Cat(), (*(p for p, _ in parts), axis), views) if found is None else found

    def _unparted(self, view: View, names: Sequence[str], whole: str) -> View | None:
        """A view with its parts put together, where they were apart in all that it is made of."""
        if not set(names) & set(view.axes):
            return view
        node = self.chosen.node(view.wire)
        if node is None or node.op.body is not None or node.op.hole or node.op.random or not set(names) <= set(view.axes):
            return None
        table = dict(view.renames)
        outer = {b: a for a, b in view.renames}
        here = [outer[a] for a in names]
        if isinstance(node.op, Split) and here == list(node.own[1:]):
            self.laws["merge_split"] = None
            back = {**{a: b for a, b in table.items() if a not in here}, node.own[0]: whole}
            (port,) = node.ports
            return View(port.wire, port.renames).rename(back)
        if set(here) & set(node.own) or whole in node.own or whole in node.lifts:
            return None
        found = [self._unparted(View(p.wire, p.renames), here, whole) for p in node.ports]
        if any(v is None for v in found):
            return None
        return self.chosen.one(node.op, node.own, [v for v in found if v is not None]).rename(table)

    def _uncut(self, axis: str, parts: Sequence[str], views: Sequence[View]) -> View | None:
        """The wire of which all parts are cut, in their order."""
        start, common = Poly(), None
        for part, view in zip(parts, views, strict=True):
            node = self.chosen.node(view.wire)
            if node is None or not isinstance(node.op, Gather):
                return None
            index = View(node.ports[1].wire, node.ports[1].renames)
            found = self.chosen.reader.affine(index)
            back = {b: a for a, b in view.renames}
            if found is None or found != (start, {back[part]: 1}) or part not in back or len(index.axes) != 1:
                return None
            table = {**dict(view.renames), node.own[0]: axis}
            source = View(node.ports[0].wire, tuple((a, table[b]) for a, b in node.ports[0].renames))
            if common is not None and (common.wire, sorted(common.renames)) != (source.wire, sorted(source.renames)):
                return None
            start, common = start + self.sizes[part], source
        ((outer, _),) = [p for p in common.renames if p[1] == axis] if common else [("", "")]
        if common is None or start != self.sizes[outer]:
            return None
        self.laws["cat_halves"] = None
        return common
