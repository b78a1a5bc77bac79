"""Filling holes: a copy of the base in which every use of a hole is a call of its filler.

Converts: an open diagram and one closed diagram for each of its holes into a closed diagram, equal to the one
that a hand would write by naming a diagram where the hole stands (ruling 20).
Non-goals: deciding which fillers are offered; sizes that are known only at compile time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from anatomy.errors import fail
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Equation, Node, Output
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.language.loops import reopen
from anatomy.language.spaces import fits
from anatomy.language.stamping import stamp
from anatomy.ops import Expand


def fill(base: Diagram, fillers: Mapping[str, Diagram], name: str) -> Diagram:
    """The base with every hole filled; all uses of one hole get the same filler, each with its own weights.

    Weight keys are call paths: `score.W` at the first use of hole `score`, `score_2.W` at the second. Axes that
    are internal to a filler are fresh at each use (`score.a`). Raises AnatomyError: E605 when a hole has no filler,
    E604 when a filler does not fit, E402 when an equation of a filler is not proved at the hole.
    """
    for hole in base.holes:
        if hole not in fillers:
            raise fail("E605", f"nothing is chosen for hole `{hole}` of `{base.name}`", base.span)
    return Filling(base, fillers).result(name)


class Filling:
    """One filling under way."""

    def __init__(self, base: Diagram, fillers: Mapping[str, Diagram], opened: bool = False):
        self.base, self.fillers, self.opened = base, fillers, opened
        self.builder = Builder()
        self.taken = {part for w in base.weights for key in w.keys for part in (key, key.partition(".")[0])}
        self.uses: dict[str, int] = {}
        self.licensed: list[Equation] = []

    def result(self, name: str) -> Diagram:
        base, builder = self.base, self.builder
        for axis, size in base.sizes.items():
            if size != Poly.var(axis):
                builder.sizes.define(axis, size)
        for axis in base.sizes:
            builder.axis(axis)
        views = [builder.input(i.name, i.layout, base.wires[i.wire].kind, i.span) for i in base.inputs]
        outs = builder.splice(base, views, {a: a for a in base.sizes}, lambda key: key, replace_hole=self.use)
        builder.defaults = {**dict(base.defaults), **builder.defaults}
        outputs = [Output(v.port, o.layout, o.span, o.kind) for v, o in zip(outs, base.outputs, strict=True)]
        where = (*base.where, *self.licensed)
        return builder.finish(name, outputs, base.span, base.declared, base.header, where)

    def path(self, hole: str) -> str:
        """The label of this use, as a call would be labelled (ruling 9)."""
        while True:
            self.uses[hole] = count = self.uses.get(hole, 0) + 1
            label = hole if count == 1 else f"{hole}_{count}"
            if label not in self.taken:
                self.taken.add(label)
                return label

    def use(self, node: Node, views: list[View]) -> tuple[View, ...]:
        if node.op.body is not None:
            return reopen(self.builder, node, views, self.use)
        builder, filler = self.builder, self.fillers[node.op.hole]
        table = fits(node, filler, self.opened)
        if isinstance(table, str):
            raise fail("E604", f"`{filler.name}` does not fit hole `{node.op.hole}`: {table}", node.span)
        path = node.op.site or self.path(node.op.hole)  # type: ignore[attr-defined]
        axis = {formal: node.own[k] for formal, k in table.items()}
        axis |= {inner: f"{path}.{inner}" for inner in sorted(filler.sizes) if inner not in axis}
        for equation in filler.where:
            left, right = (p.rename(lambda v: axis.get(v, v)) for p in (equation.left, equation.right))
            if equation.left.variables() | equation.right.variables() <= table.keys():
                if not self.prove(left, right):
                    raise fail(
                        "E402", f"`{filler.name}` needs `{left} = {right}`, which is not proved at hole `{node.op.hole}`",
                        node.span,
                    )  # fmt: skip
            elif equation.left.as_variable() in table:
                builder.equations.append(Equation(left, right, equation.span))
        for inner, value in filler.defaults:
            if inner not in table:
                builder.defaults[axis[inner]] = value.rename(lambda v: axis.get(v, v))
        frame = (*node.frame, builder.frame("call", path.rpartition(".")[2]))
        outs = stamp(builder, filler, views, axis, lambda key: f"{path}.{key}", frame)
        return tuple(self.restored(view, views, k, node, frame) for k, view in enumerate(outs))

    def restored(self, view: View, views: list[View], k: int, node: Node, frame: tuple) -> View:  # type: ignore[type-arg]
        """A result that ignores an argument lacks its lifts; the base was checked with them, so they are repeated."""
        own = set(node.own)
        lifts = dict.fromkeys(a for v in views for a in v.axes if a not in own)
        missing = [a for a in lifts if a not in view.axes]
        if missing:
            (view,) = self.builder.add(Expand(), missing, [view], node.span, frame)
        if not node.outs:
            return view
        named = self.base.wires[node.outs[k]]
        wire = self.builder.wires[view.wire]
        if named.name and not wire.name:
            self.builder.wires[view.wire] = replace(wire, name=named.name, span=named.span)
        return view

    def prove(self, left: Poly, right: Poly) -> bool:
        """Equality modulo the equations, and modulo those that `axis m = n` licenses (ruling 3)."""
        if self.builder.sizes.equal(left, right):
            return True
        trial, tried, licences = self.builder.sizes.copy(), [], dict(self.base.defaults)
        while not trial.equal(left, right):
            free = sorted((trial.norm(left) - trial.norm(right)).variables() & licences.keys())
            usable = next((a for a in free if trial.define(a, licences[a])), None)
            if usable is None:
                return False
            tried.append(Equation(Poly.var(usable), licences[usable], self.base.span))
        self.builder.sizes = trial
        self.licensed += tried
        return True


class Joining(Filling):
    """A filling of a base that is a filler itself: what its fillers need of the header becomes its own `where`."""

    def prove(self, left: Poly, right: Poly) -> bool:
        sizes = self.builder.sizes
        if not sizes.equal(left, right):
            self.licensed.append(Equation(left, right, self.base.span))
            for axis, value in ((left.as_variable(), right), (right.as_variable(), left)):
                if axis is not None and sizes.define(axis, value):
                    break
        return True


def fill_one(base: Diagram, hole: str, filler: Diagram, opened: bool = False) -> Diagram:
    """The base with one hole filled at every use; other holes stay open, and so do those of the filler where it may have some.

    Raises as `fill`, and Problem.
    """
    filling = Filling(base, {hole: filler}, opened)
    opaque = filling.use

    def use(node: Node, views: list[View]) -> tuple[View, ...]:
        if node.op.body is not None:
            return reopen(filling.builder, node, views, use)
        if node.op.hole == hole:
            return opaque(node, views)
        return filling.builder.add(node.op, node.own, views, node.span, node.frame, trusted=True)

    filling.use = use  # type: ignore[method-assign]
    return filling.result(base.name)


def refusal(base: Diagram, hole: str, filler: Diagram) -> str | None:
    """Why a filler cannot fill a hole at every use, or None when it can; other holes stay open."""
    from anatomy.errors import AnatomyError

    try:
        fill_one(base, hole, filler)
    except AnatomyError as error:
        return error.diagnostics[0].message
    except Problem as problem:
        return str(problem)
    return None
