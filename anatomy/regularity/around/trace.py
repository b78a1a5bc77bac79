"""A diagram as nodes: every operation says what it computes through the same context by which it is bounded.

What an operation may ask for is answered as in `Rules`; here an answer that is not affine also becomes a node, whose
higher derivatives `nodes` knows. An answer without a node has no such rule, and whoever reads it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from anatomy.ir.bound import INF, Bound, Interval, Slopes, Triple, Unproved, hull_of_products, meet, times
from anatomy.ir.graph import Diagram
from anatomy.ir.graph import Node as Box
from anatomy.regularity import affine, tensor
from anatomy.regularity.affine import Base, Form
from anatomy.regularity.around.nodes import Affine, Axes, Cells, Curve, Given, Node, Product, Softmax
from anatomy.regularity.compose import Stuck, place
from anatomy.regularity.compose import _weight as weight_bound
from anatomy.regularity.rows import row_counts
from anatomy.regularity.rules import Rules
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.view import constant, mask_of, named, rename

WHOLE: Interval = (-INF, INF)


@dataclass
class Program:
    """The nodes of a diagram by number, and its real outputs; `cells`, where given, narrow the entries of wires."""

    sizes: dict[str, int]
    nodes: dict[int, Node]
    outputs: list[Affine]
    given: tuple[int, ...]
    cells: Cells | None = None
    factors: dict[int, list[Bound]] = field(default_factory=dict)
    """What a product without a sum is made of, so that `sum[m](w * v)` is `dot[m](w, v)`."""


def trace(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float,
    known: Mapping[int, Bound] | None = None, cells: Cells | None = None,
) -> Program:  # fmt: skip
    """The nodes of a diagram where each token has norm at most `radius`.

    `known` are bounds of wires on that domain. With one of `cells` inside the domain, entries hold on that ball only,
    and so do the conditions that operations prove. Raises `Stuck` where an operation has no rule.
    """
    sizes = dict(sizes) if cells is None else cells.sizes
    bounds: dict[int, Bound] = {}
    program = Program(sizes, {}, [], (), cells)
    given = []
    for item in diagram.inputs:
        wire = diagram.wires[item.wire]
        if wire.kind.name != "real":
            raise Stuck("inputs", f"`{item.name}` is not real, and its value is not known")
        given.append(item.wire)
        program.nodes[item.wire] = Given(item.wire, item.layout)
        bounds[item.wire] = _based(program, item.wire, frozenset(item.layout), (-radius, radius))
    program.given = tuple(given)
    for weight in diagram.weights:
        bounds[weight.wire] = weight_bound(weight, weights, sizes)
    for box in diagram.nodes:
        ports = [rename(bounds[p.wire], dict(p.renames)) for p in box.ports]
        try:
            outs = box.op.bound(Tracer(program, box, ports, sizes))
        except Unproved as why:
            raise Stuck(place(box), str(why)) from None
        for out, wire in zip(outs, box.outs, strict=True):
            if known is not None and wire in known and not out.constant:
                out = replace(out, entry=meet(out.entry, known[wire].entry))
            bounds[wire] = named(out, wire)
    for output in diagram.outputs:
        out = rename(bounds[output.port.wire], dict(output.port.renames))
        if diagram.wires[output.port.wire].kind.name == "mask" or output.kind.name == "index":
            continue
        if "mask" in out.facts:
            raise Stuck("output", "an output holds masked values")
        try:
            program.outputs.append(view(program, out))
        except Unproved as why:
            raise Stuck("output", str(why)) from None
    return program


def view(program: Program, x: Bound) -> Affine:
    """A wire as an affine function of nodes. Raises `Unproved` where it depends on something without a node."""
    if x.form is None or any(t.base.wire not in program.nodes for t in x.form.terms):
        raise Unproved("an operand has no rule for its higher derivatives")
    return Affine(x.form, x.axes, program.nodes, program.sizes)


def _based(program: Program, number: int, axes: Axes, entry: Interval) -> Bound:
    """The bound of a node."""
    top = max(abs(entry[0]), abs(entry[1]))
    slopes: Slopes = dict.fromkeys(program.given or (number,), Triple.all(INF))
    bare = Bound(axes, axes, entry, top, slopes)
    return replace(bare, form=affine.itself(Base(number, bare)))


class Tracer(Rules):
    """The `BoundContext` of one box that makes nodes."""

    def __init__(self, program: Program, box: Box, ports: list[Bound], sizes: dict[str, int]):
        super().__init__(box, ports, sizes)
        self.program = program

    def _new(self, node: Node, entry: Interval) -> Bound:
        number = -1 - len(self.program.nodes)
        self.program.nodes[number] = node
        return _based(self.program, number, node.axes, entry)

    def _view(self, x: Bound) -> Affine:
        return view(self.program, x)

    def port(self, k: int) -> Bound:
        """Only what is neither linear nor a softmax asks for the entries of its operands."""
        x = self.ports[k]
        return x if self.node.op.algebra != "none" or self.node.op.word in ("softmax", "sum", "mean", "mask") else self._narrow(x)

    def _narrow(self, x: Bound) -> Bound:
        """With the entries that its own derivatives prove on the ball."""
        if self.program.cells is None or x.constant or x.form is None or not x.form.terms:
            return x
        low, high, _ = self._view(replace(x, facts={})).interval(self.program.cells)
        return replace(x, entry=meet(x.entry, (float(low.min()), float(high.max()))))

    def finish(
        self, axes: Axes, tokens: Axes, entry: Interval, radius: float, slopes: Slopes, form: Form | None
    ) -> Bound:
        if form is not None and not form.terms and form.constant is not None:
            return super().finish(axes, tokens, entry, radius, slopes, form)
        if slopes and form is None:
            raise Unproved("an affine map is too large to be made explicit")
        return Bound(axes, tokens, entry, radius, slopes, form=form)

    def product(self, factors: list[Bound], summed: tuple[str, ...] = ()) -> Bound:
        self.open(*factors)
        over = frozenset(summed)
        if over:
            factors = [f for factor in factors for f in self._factors(factor)]
        axes = frozenset().union(*(f.axes for f in factors)) - over
        fixed = [b for b in map(constant, factors) if b is not None]
        data = [f for f in factors if constant(f) is None]
        if any(f.constant for f in data):
            raise Unproved("a constant is not known")
        entry = factors[0].entry
        for factor in factors[1:]:
            entry = hull_of_products(entry, factor.entry)
        entry = times(entry, self.points(over))
        if len(data) <= 1:
            return self._linear_product(data, fixed, over, axes, entry)
        first = data[0]
        if fixed:
            first = self._linear_product([first], fixed, frozenset(), first.axes.union(*(b.axes for b in fixed)), WHOLE)
        node: Node = self._view(first)
        rest = data[1:]
        for k, factor in enumerate(rest):
            later = frozenset().union(*(f.axes for f in rest[k + 1 :]))
            node = self._pair(node, self._view(factor), (over & (node.axes | factor.axes)) - later)
        out = self._new(node, entry)
        if not over:
            self.program.factors[out.form.terms[0].base.wire] = [*data, *(self.known(b) for b in fixed)]
        return out

    def _factors(self, x: Bound) -> list[Bound]:
        """The factors of a product without a sum, seen through a scale."""
        if x.form is None or len(x.form.terms) != 1 or x.form.offset is not None:
            return [x]
        term = x.form.terms[0]
        links = dict(term.links)
        found = self.program.factors.get(term.base.wire)
        if found is None or set(links) != term.base.bound.axes or set(links.values()) != x.axes or term.map.axes:
            return [x]
        return [*(rename(f, links) for f in found), self.known(term.map)]

    def _linear_product(self, data: list[Bound], fixed: Sequence[Ball], over: Axes, axes: Axes, entry: Interval) -> Bound:
        known = tensor.scalar(1.0)
        try:
            for ball in fixed:
                known = tensor.times(known, ball)
            if not data:
                form = affine.product(affine.Form((), known), tensor.scalar(1.0), over, self.sizes)
                return self.known(form.constant or known, axes)
            if data[0].form is None:
                raise Unproved("an operand has no rule for its higher derivatives")
            form = affine.product(data[0].form, known, over, self.sizes)
        except TooLarge:
            raise Unproved("an affine map is too large to be made explicit") from None
        return self.finish(axes, axes, entry, INF, data[0].slopes, form)

    def _pair(self, a: Affine | Node, b: Node, summed: Axes) -> Node:
        for p, v in ((a, b), (b, a)):
            own = self._simplex(p)
            if own is not None and own == summed & v.axes and own == summed:
                return Product(p, v, summed, own)
        return Product(a, b, summed)

    def _simplex(self, x: Node) -> Axes | None:
        """The axes over which the derivatives of a wire sum to 0: those of a softmax, seen through a scale."""
        if not isinstance(x, Affine) or len(x.terms) != 1:
            return None
        term, node = x.terms[0]
        links = dict(term.links)
        if not isinstance(node, Softmax) or set(links) != node.axes or term.map.axes or x.axes != set(links.values()):
            return None
        return frozenset(links[a] for a in node.own)

    def pointwise(self, x: Bound, name: str, image: Any, slope: Any) -> Bound:
        if constant(x) is not None:
            return super().pointwise(x, name, image, slope)
        self.open(x)
        x = self._narrow(x)
        entry = x.entry if self.program.cells is not None else WHOLE
        return self._new(Curve(self._view(x), name, entry), image(x.entry))

    def quotient(self, a: Bound, b: Bound, inverse: Bound) -> Bound:
        return self.product([a, inverse])

    def distribution(self, x: Bound, own: Axes) -> Bound:
        if x.constant:
            return super().distribution(x, own)
        allowed = mask_of(x)
        if allowed is not None and not isinstance(allowed, Ball):
            raise Unproved("the mask is not known")
        return self._new(Softmax(self._view(replace(x, facts={})), own, allowed), (0.0, 1.0))

    def normalised(self, x: Bound, own: Axes, slope: float, radius: float, entry: Interval) -> Bound:
        """By its own formula: centred where it is a layer norm, times `(scale |c|^2 + eps)^(-1/2)`."""
        which, eps = self.node.op.word, getattr(self.node.op, "eps", None)
        if x.constant or which not in ("layernorm", "rmsnorm", "l2norm") or eps is None:
            raise Unproved(f"`{which}` has no rule for higher derivatives")
        from fractions import Fraction

        points = self.points(own)
        each = Fraction(1, points)
        if which == "layernorm":
            mean = self.product([x, self.number(each)], tuple(own))
            x = self.total([x, self.weighted(self.spread(mean, own), -1)])
        squares = self.product([x, x, self.number(1 if which == "l2norm" else each)], tuple(own))
        squares = replace(squares, entry=meet(squares.entry, (0.0, INF)))
        inside = self._narrow(self.total([squares, self.number(eps)]))
        if inside.entry[0] <= 0:
            raise Unproved("its size is not proved to stay away from 0 on the ball")
        inverse = self.pointwise(inside, "rsqrt", lambda e: (0.0, INF), lambda e: INF)
        return replace(self.product([x, inverse]), entry=entry)

    def spread(self, x: Bound, axes: Axes) -> Bound:
        """The same repeated: an affine form knows no axes along which it does not vary."""
        return replace(x, axes=x.axes | axes, tokens=x.tokens | axes, origin=None)

    def filled(self, x: Bound, own: Axes) -> Bound:
        bare, mask = self.unmasked(x)
        ball = None if mask is None else constant(mask)
        if mask is not None and (ball is None or float(np.min(row_counts(ball, own, self.sizes), initial=1.0)) < 1):
            raise Unproved("the mask is not proved to leave anything in every row")
        if mask is not None:
            raise Unproved("a masked reduction has no rule for higher derivatives")
        return bare

    def selection(self, parts: list[Bound], over: Axes) -> Bound:
        raise Unproved(f"`{self.node.op.word}` has no rule for higher derivatives")

    def substituted(self, a: Bound, b: Bound, rows: str, columns: str, growth: float, size: float) -> Bound:
        raise Unproved("a linear system has no rule for higher derivatives")

    def loop(self) -> list[Bound]:
        raise Unproved("a loop has no rule for higher derivatives")

    def ranked(self, x: Bound, whole: str, new: str) -> tuple[Bound, Bound]:
        raise Unproved("an order of size jumps")

    def simplex(
        self, x: Bound, own: Axes, slope: Triple, flow: float, top: float, over: Axes | None = None, kind: Any = None
    ) -> Bound:
        raise Unproved(f"`{self.node.op.word}` has no rule for higher derivatives")
