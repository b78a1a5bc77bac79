"""Diagrams and fills from sums of products."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Init, Output, Port
from anatomy.ir.term import merged
from anatomy.ops import Expand
from anatomy.rewrites.algebra import Algebra
from anatomy.rewrites.apply import swept
from anatomy.rewrites.parametric import Learner, Parametric, with_axes
from anatomy.rewrites.reparametrise import Fill
from anatomy.rewrites.sums import Factor, Sum


def written(state: Parametric) -> Diagram:
    """The diagram with the weights of now."""
    d = state.diagram
    out = _Out(state, with_axes(d))
    builder = out.builder
    inputs = []
    for i in d.inputs:
        inputs.append(replace(i, wire=len(builder.wires)))
        out.views[i.wire] = View(len(builder.wires), tuple((a, a) for a in d.wires[i.wire].axes))
        builder.wires.append(d.wires[i.wire])
    alive = state.sweep()
    frozen = [(w, x) for w, x in state.origin.items() if x.frozen]
    for wire, learner in (*frozen, *state.learners.items()):
        out.weight(wire, learner)
    for node in d.nodes:
        if node.outs[0] in state.sums or node.outs[0] in state.roots or not alive.intersection(node.outs):
            continue
        whole = bool(node.op.hole or node.op.random or node.op.body is not None)
        views = [out.port(p, set(p.axes) if whole else set(node.own)) for p in node.ports]
        made = builder.add(node.op, node.own, views, node.span, trusted=True)
        for old, new in zip(node.outs, made, strict=True):
            out.views[old] = new
    outputs = []
    for output in d.outputs:
        view = out.port(output.port, set(output.layout))
        outputs.append(replace(output, port=view.port))
    used = {a for w in builder.wires for a in w.axes} | {a for n in builder.nodes for a in (*n.own, *n.lifts)} | d.sizes.keys()
    return merged(swept(replace(
        d, outputs=tuple(outputs), wires=tuple(builder.wires), nodes=tuple(builder.nodes), inputs=tuple(inputs),
        weights=tuple(builder.weights), sizes={a: builder.sizes.of(a) for a in builder.axes if a in used},
    )))  # fmt: skip


def fills_of(state: Parametric) -> tuple[Fill, ...]:
    """The weights of the normal form, computed by those of now."""
    return tuple(_fill(state, state.origin[w], terms) for w, terms in state.back.items())


def reads_of(state: Parametric) -> tuple[Fill, ...]:
    """The weights of now, computed by those of the normal form."""
    return tuple(_fill(state, x, state.forth[w]) for w, x in state.learners.items())


def _fill(state: Parametric, learner: Learner, terms: Sum) -> Fill:
    out = _Out(state, with_axes(state.diagram))
    for wire in dict.fromkeys(_weights(state, terms)):
        out.weight(wire, state.learners.get(wire) or state.origin[wire])
    view = out.sum(terms, set(learner.axes))
    whole = out.builder.finish("value", [Output(view.port, learner.axes)])
    return Fill(learner.key, trimmed(swept(whole)))


def _weights(state: Parametric, terms: Sum):
    for t in terms:
        for f in t.factors:
            if f.wire in state.opaque:
                for s in state.opaque[f.wire].operands:
                    yield from _weights(state, s)
            elif f.wire in state.learners or f.wire in state.origin:
                yield f.wire


def trimmed(diagram: Diagram) -> Diagram:
    """Without the axes that nothing has, and the weights that nothing reads."""
    weights = tuple(w for w in diagram.weights if diagram.consumers[w.wire])
    used = {a for n in diagram.nodes for a in (*n.own, *n.lifts)} | {a for w in weights for a in w.layout}
    used |= {a for o in diagram.outputs for a in o.layout} | {a for n in diagram.nodes for o in n.outs for a in diagram.wires[o].axes}
    used |= {v for a in used for v in diagram.sizes[a].variables()}
    return replace(diagram, weights=weights, sizes={a: s for a, s in diagram.sizes.items() if a in used})


@dataclass
class _Out:
    """Boxes for sums, over the wires of another diagram."""

    source: Parametric
    builder: Builder
    views: dict[int, View] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.algebra = Algebra(self.builder, self.source.diagram.settled)
        self.algebra.alias = self.source.algebra.alias

    def weight(self, wire: int, learner: Learner) -> None:
        axes = learner.axes
        for a in axes:
            if a not in self.builder.axes:
                self.builder.sizes.define(a, self.builder.sizes.of(self.algebra.alias[a]))
        w = learner.source
        if w is not None:
            view = self.builder.weight(learner.key, w.lanes, w.fan_in, w.fan_out, w.init, w.frozen, w.span)
            if len(w.keys) > 1:
                self.builder.weights[-1] = replace(self.builder.weights[-1], keys=w.keys)
        else:
            cut = max(len(axes) - 1, 1)
            view = self.builder.weight(learner.key, (), axes[:cut], axes[cut:], Init("normal", (0.02,)))
        self.views[wire] = view

    def port(self, port: Port, axes: set[str]) -> View:
        held = {a for a, b in port.renames if b in axes}
        return self.wire(port.wire, held).rename(dict(port.renames))

    def wire(self, wire: int, axes: set[str]) -> View:
        """The view of a wire, with those of its axes that are needed."""
        roots = self.source.roots
        if wire not in self.views:
            if wire in roots:
                self.views[wire] = self.sum(roots[wire], set())
            elif wire in self.source.sums:
                self.views[wire] = self.sum(self.source.sums[wire], set())
            elif wire in self.source.opaque:
                box = self.source.opaque[wire]
                count = len(box.operands)
                operands = [self.sum(s, set(box.op.takes(box.own, k, count)[1])) for k, s in enumerate(box.operands)]
                self.views[wire] = self.algebra.box(box.op, box.own, operands)
            else:
                self._copy(wire)
        if wire in roots and wire in self.source.learners:
            return self._wide(self.sum(roots[wire], set()), axes)
        return self._wide(self.views[wire], axes)

    def _copy(self, wire: int) -> None:
        """A constant of the normal form, in a fill."""
        node = self.source.diagram.nodes[self.source.diagram.producer[wire][0]]
        views = [self.wire(p.wire, set()).rename(dict(p.renames)) for p in node.ports]
        self.views[wire] = self.algebra.box(node.op, node.own, views)

    def _wide(self, view: View, axes: set[str]) -> View:
        lacking = tuple(sorted(axes.difference(view.axes)))
        return self.algebra.box(Expand(), lacking, [view]) if lacking else view

    def sum(self, terms: Sum, axes: set[str]) -> View:
        moved = tuple(replace(t, factors=tuple(self._factor(f) for f in t.factors)) for t in terms)
        return self._wide(self.algebra.wire(moved), axes)

    def _factor(self, f: Factor) -> Factor:
        table = dict(f.renames)
        learned = f.wire in self.source.learners or f.wire in self.source.origin
        view = self.views[f.wire] if learned else self.wire(f.wire, set())
        return Factor(view.wire, tuple(sorted((outer, table[a]) for outer, a in view.renames)), f.power)
