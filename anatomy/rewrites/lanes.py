"""The laws of SIMD boxes that move lanes (S5, S7, S8, S11), built in: what the normal form begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Cat, Contract, Divide, Expand, Extremum, Gather, Halves, Map, Merge, Reduce, Softmax, Split
from anatomy.rewrites.apply import swept
from anatomy.rewrites.chosen import Chosen, TooLong
from anatomy.rewrites.places import Parts, Places
from anatomy.rewrites.seams import Joined, Seam, Value, axes_of, renamed, together, uncut, unparted

MOVES = (Cat, Gather, Halves, Merge, Split)
MOST = 4
"""Boxes of the result for one of the diagram, beyond which it is left as it is."""


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
    ['exp', 'exp', 'sum', 'sum', '+']
    """
    if not diagram.by_op.keys() & set(MOVES):
        return diagram, ()
    try:
        return _Mover(diagram).run()
    except (TooLong, Problem):
        return diagram, ()


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
            operands = [renamed(self.values[p.wire], dict(p.renames)) for p in node.ports]
            for wire, value in zip(node.outs, self._node(node, operands), strict=True):
                self.values[wire] = value
        outputs = []
        for output in d.outputs:
            view = self.whole(renamed(self.values[output.port.wire], dict(output.port.renames)))
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
                return [self._joined(operands[0], own[:-1], own[-1])]
            case Split():
                names = {self.chosen.fresh(a, self.sizes[a]): a for a in own[1:]}
                return [renamed(self._split(operands[0], own[0], tuple(names)), names)]
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
        around = dict.fromkeys(a for v in operands for a in sorted(axes_of(v)) if a not in own)
        for k, value in enumerate(operands):
            part = op.part(tuple(own), k)
            lacking = [a for a in around if a not in axes_of(value)]
            value = self.lift(Expand(), lacking, [value]) if lacking else value
            if isinstance(value, Seam) and value.axis == part:
                parts.extend(value.parts)
            else:
                new = self.chosen.fresh(part, self.sizes[part])
                parts.append((new, renamed(value, {part: new})))
        return Seam(own[-1], tuple(parts))

    def _joined(self, value: Value, parts: Sequence[str], whole: str) -> Value:
        """Axes as one; those of size one are read."""
        for a in parts:
            if self.sizes[a].constant() == 1:
                self.laws["one_sum"] = None
                value = self.opened(self.chosen.at(self.whole(value), a, Places("", Poly(), 0)))
        names = {a: self.chosen.fresh(a, self.sizes[a]) for a in parts if self.sizes[a].constant() != 1}
        if not names:
            return self.lift(Expand(), [whole], [value])
        if len(names) == 1:
            return renamed(value, dict.fromkeys(names, whole))
        return Joined(whole, tuple(names.values()), renamed(value, names))

    def _split(self, value: Value, whole: str, names: tuple[str, ...]) -> Value:
        """An axis as several; those of size one are new."""
        ones = [a for a in names if self.sizes[a].constant() == 1]
        left = tuple(a for a in names if a not in ones)
        match left:
            case ():
                value = self.opened(self.chosen.at(self.whole(value), whole, Places("", Poly(), 0)))
            case (one,):
                value = renamed(value, {whole: one})
            case _:
                value = self.parted(value, whole, left)
        if ones:
            self.laws["one_expand"] = None
        return self.lift(Expand(), ones, [value]) if ones else value

    # boxes ------------------------------------------------------------------------------------

    def lift(self, op: Op, own: Sequence[str], values: Sequence[Value]) -> Value:
        """A box of one result, done part by part where an operand is made of parts."""
        first = next((v for v in values if not isinstance(v, View)), None)
        if first is None:
            views = [v for v in values if isinstance(v, View)]
            if isinstance(op, Reduce | Contract):
                own, views = together(self.chosen, *self.chosen.forth(own, views))
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
        if axis not in axes_of(value):
            return value
        match value:
            case Seam() if value.axis == axis:
                if [self.sizes[p] for p, _ in value.parts] == [self.sizes[p] for p, _ in like.parts]:
                    mine, inner = value.parts[k]
                    return renamed(inner, {mine: name})
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
        if axis not in axes_of(value):
            return value
        match value:
            case Joined() if value.axis == axis:
                if [self.sizes[a] for a in value.names] == [self.sizes[a] for a in names]:
                    self.laws["split_merge"] = None
                    return renamed(value.inner, dict(zip(value.names, names, strict=True)))
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
                found = unparted(self.chosen, view, names, axis)
                return self.chosen.one(Merge(), (*names, axis), [view]) if found is None else found
            case Seam(axis, parts):
                views = [self.whole(v) for _, v in parts]
                found = uncut(self.chosen, axis, [p for p, _ in parts], views)
                return self.chosen.one(Cat(), (*(p for p, _ in parts), axis), views) if found is None else found
