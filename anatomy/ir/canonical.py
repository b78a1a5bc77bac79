"""The canonical form and the hash of a diagram: equal exactly when two diagrams are isomorphic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import blake2b

from anatomy.ir.equations import Settled, settle
from anatomy.ir.graph import Diagram, Kind, Node, Port, Weight
from anatomy.ir.labelling import label
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.ir.op import Op
from anatomy.ir.poly import Monomial, Poly
from anatomy.ir.repeats import slide

FAN_FREE = frozenset({"normal", "uniform", "constant", "zeros", "ones"})
"""Initialisers for which it is all one which axes are fan-in and which fan-out."""
ROW_MAJOR = frozenset({"identity"})
"""Initialisers for which it matters in which order the axes of one side stand."""


@dataclass(frozen=True)
class Canonical:
    """A normal form of a diagram, compared by `form` only, and the numbering that goes with it.

    `nodes` are the boxes that reach an output, producers first, repeats left out; `weights` the indices of the weights
    in use, with the axes of each in `axes`; `sizes` the free size variables. Two diagrams with one form
    correspond place by place in all four.
    """

    form: bytes = field(repr=False)
    nodes: tuple[int, ...] = field(compare=False)
    weights: tuple[int, ...] = field(compare=False)
    axes: tuple[tuple[str, ...], ...] = field(compare=False)
    sizes: tuple[str, ...] = field(compare=False)

    @property
    def digest(self) -> str:
        return blake2b(self.form, digest_size=16).hexdigest()


def canonical(diagram: Diagram) -> Canonical:
    """The normal form of the open hypergraph that reaches the outputs.

    Counted: operations and attributes, the order of operands where it matters, tying of weights, kinds,
    the order of inputs and outputs and of the axes in their layouts, sizes as polynomials in the free
    variables, inherited equations, initialisers and frozen flags. Not counted: names of axes, wires, weights
    and diagrams, the order of statements, spans, frames, where a wire is repeated along an axis that nothing
    works on. An axis is local: only the maps from wire axes to node axes at the ports count.
    Raises AnatomyError E505 (too symmetric).
    """
    return write(slide(diagram), diagram)


Alike = Mapping[int, Mapping[str, str]]
"""For a wire, axes that may be exchanged without changing it: each goes to the one that stands for it."""


def write(slid: Diagram, diagram: Diagram, initialisers: bool = True, alike: Alike | None = None) -> Canonical:
    """The normal form of a diagram whose repeats have been slid; `diagram` is what it came from.

    Without `initialisers` only the shapes of weights count, with `alike` not even which of such axes is which.
    """
    sketch = _Sketch(slid, initialisers, alike or {})
    order, form = label(sketch.names, sketch.edges)
    place = [0] * len(order)
    for i, v in enumerate(order):
        place[v] = i
    nodes, weights = sketch.walk(place)
    made = diagram.producer
    boxes = tuple(made[w][0] for i in nodes if (w := slid.nodes[i].outs[0]) in made)
    axes = tuple(
        tuple(sorted(slid.weights[w].layout, key=lambda a: place[sketch.slots[sketch.weights[w], a]])) for w in weights
    )
    sizes = tuple(sorted(sketch.variables, key=lambda v: place[sketch.variables[v]]))
    return Canonical(ascii(form).encode(), boxes, weights, axes, sizes)


def digest(diagram: Diagram) -> str:
    """The hash of a diagram: blake2b of its canonical form, the same in every process and on every platform."""
    return canonical(diagram).digest


@cache
def op_label(op: Op) -> str:
    """An operation with its attributes as text that does not depend on the process."""
    parts = ", ".join(f"{f.name}={_text(getattr(op, f.name))}" for f in fields(op) if f.compare)
    return f"{type(op).__name__}({parts})"


def _text(value: object) -> str:
    if isinstance(value, Kind):
        return value.name
    if isinstance(value, tuple):
        return "(" + ",".join(_text(v) for v in value) + ")"
    return f"{type(value).__name__}:{value}"


class _Sketch:
    """A diagram as a coloured graph: vertices for boxes, weights, ends, their axes, and sizes."""

    def __init__(self, diagram: Diagram, initialisers: bool, alike: Alike):
        self.diagram = diagram
        self.alike = alike
        self.names: list[str] = []
        self.edges: list[tuple[int, int, str]] = []
        self.slots: dict[tuple[int, str], int] = {}
        self.source: dict[int, tuple[int, int]] = {}
        self.variables: dict[str, int] = {}
        self.weights: dict[int, int] = {}
        self._sizes: dict[Poly, int] = {}
        self._monomials: dict[Monomial, int] = {}
        self._axis: dict[str, int] = {}
        equations = [(e.left, e.right) for e in diagram.equations]
        self.settled: Settled = settle(equations)
        self.live = live(diagram)
        self.ends: dict[int, list[int]] = {}
        """For a loop, the vertices of its operands."""

        for k, item in enumerate(diagram.inputs):
            kind = diagram.wires[item.wire].kind
            v = self.vertex(f"input {k} {kind.name}")
            if kind.name == "index":
                self.edges.append((v, self.size(kind.axis), "into"))
            self.source[item.wire] = (v, 0)
            for p, axis in enumerate(item.layout):
                self.slot(v, axis, f"at {p}", sized=True)
        self.used = used = {p.wire for i in self.live for p in diagram.nodes[i].ports} | {o.port.wire for o in diagram.outputs}
        for w, weight in enumerate(diagram.weights):
            if weight.wire in used:
                self.weight(w, weight, initialisers)
        for i in self.live:
            node = diagram.nodes[i]
            if node.op.body is None:
                self.box(node)
            else:
                self.ends[i] = self.loop(node, used)
        for k, output in enumerate(diagram.outputs):
            v = self.vertex(f"output {k}" + (" index" if output.kind.name == "index" else ""))
            for p, axis in enumerate(output.layout):
                self.slot(v, axis, f"at {p}")
            self.port(v, output.port, "from")
        self.equations()

    def vertex(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def slot(self, owner: int, axis: str, name: str, sized: bool = False) -> None:
        v = self.slots[owner, axis] = self.vertex(name)
        self.edges.append((owner, v, "has"))
        if sized:
            self.edges.append((v, self.size(axis), "size"))

    def weight(self, w: int, weight: Weight, initialisers: bool) -> None:
        init = weight.init
        v = self.vertex(f"weight {init} {weight.frozen}" if initialisers else "weight")
        self.weights[w] = v
        self.source[weight.wire] = (v, 0)
        roles = ((weight.lanes, "lane"), (weight.fan_in, "in"), (weight.fan_out, "out"))
        plain = not initialisers or init.name in FAN_FREE
        for axes, role in roles:
            for k, axis in enumerate(axes):
                place = f" {k}" if init.name in ROW_MAJOR and k else ""
                self.slot(v, axis, "axis" if plain else role + place, sized=True)

    def box(self, node: Node) -> None:
        op = node.op
        v = self.vertex(f"box {op_label(op)} {len(node.ports)} {len(node.outs)}")
        held = {a for port in node.ports for a in port.axes}
        for role, axis in enumerate(node.own):
            self.slot(v, axis, "own" if op.symmetric else f"own {role}", sized=axis not in held)
        for axis in node.lifts:
            self.slot(v, axis, "lift")
        if op.hole:
            for k, kind in enumerate((*op.takes_kinds, *op.gives_kinds)):  # type: ignore[attr-defined]
                if kind.name == "index" and kind.axis in self.diagram.sizes:
                    self.edges.append((v, self.size(kind.axis), f"into {k}"))
        if not op.commutative:
            for k, port in enumerate(node.ports):
                self.port(v, port, f"{k}")
        else:
            self.commutative(v, node.ports)
        for k, wire in enumerate(node.outs):
            self.source[wire] = (v, k)

    def loop(self, node: Node, used: set[int]) -> list[int]:
        """A loop with its body drawn in place: what is inside, and the order of its operands, is known by the ways to it."""
        op, along = node.op, node.own[0]
        inner = slide(opened(self.diagram, node))
        v = self.vertex(f"loop {op.carries}")
        self.slot(v, along, "along", sized=all(along not in p.axes for p in node.ports))
        ends: list[int] = []
        for k, (item, port) in enumerate(zip(inner.inputs, node.ports, strict=True)):
            e = self.vertex("carry" if k < op.carries else "step")
            ends.append(e)
            self.edges.append((v, e, "in"))
            for axis in item.layout:
                self.slot(e, axis, "axis", sized=axis not in port.axes)
            if along in port.axes:
                self.slot(e, along, "axis")
                self.edges.append((self.slots[e, along], self.slots[v, along], "along"))
            self.port(e, port, "from")
        outside = self.diagram, self.source, self.alike, self._axis
        self.diagram, self.source, self.alike, self._axis = inner, {}, {}, {}
        self.source = {item.wire: (e, 0) for item, e in zip(inner.inputs, ends, strict=True)}
        extras = zip(inner.outputs[op.carries :], node.outs[op.carries :], strict=False)
        out = [*(o.port.wire for o in inner.outputs[: op.carries]), *(o.port.wire for o, w in extras if w in used)]
        read = {p.wire for n in inner.nodes for p in n.ports}.union(out)
        for n in inner.nodes:
            if n.op.body is None:
                self.box(n)
            else:
                self.loop(n, read)
        for e, output in zip(ends, inner.outputs, strict=False):
            if e in ends[: op.carries]:
                self.port(e, output.port, "next")
        made = [Port(i.wire, tuple((a, a) for a in i.layout)) for i in inner.inputs[: op.carries]]
        marks = ["before"] * op.carries + ["extra"] * (len(inner.outputs) - op.carries) + ["last"] * op.carries
        ports = [*made, *(o.port for o in inner.outputs[op.carries :]), *made]
        results: dict[int, int] = {}
        for wire, mark, port in zip(node.outs, marks, ports, strict=True):
            if wire in used:
                o = results[wire] = self.vertex(mark)
                self.edges.append((v, o, "out"))
                for axis in port.axes:
                    self.slot(o, axis, "axis")
                self.port(o, port, "of")
                if mark != "last":
                    self.slot(o, along, "axis")
                    self.edges.append((self.slots[o, along], self.slots[v, along], "along"))
        self.diagram, self.source, self.alike, self._axis = outside
        self.source.update((wire, (o, 0)) for wire, o in results.items())
        return ends

    def commutative(self, v: int, ports: Sequence[Port]) -> None:
        """Operands without order; a wire that comes twice in two ways needs a vertex for each way."""
        ways: dict[int, dict[tuple[tuple[str, str], ...], tuple[Port, int]]] = {}
        for port in ports:
            group = ways.setdefault(port.wire, {})
            same = self.alike.get(port.wire, {})
            key = tuple(sorted((same.get(a, a), b) for a, b in port.renames))
            group[key] = (port, group[key][1] + 1 if key in group else 1)
        for group in ways.values():
            for port, times in group.values():
                if len(group) == 1:
                    self.port(v, port, f"* {times}")
                    continue
                source, k = self.source[port.wire]
                p = self.vertex("way")
                self.edges.append((v, p, f"* {times}"))
                self.edges.append((p, source, f"way {k}"))
                for outer, inner in port.renames:
                    dart = self.vertex("dart")
                    self.edges.append((p, dart, "dart"))
                    self.edges.append((dart, self.read(port.wire, outer), "outer"))
                    self.edges.append((dart, self.slots[v, inner], "inner"))

    def port(self, v: int, port: Port, name: str) -> None:
        source, k = self.source[port.wire]
        mark = f"port {name} {k}"
        self.edges.append((v, source, mark))
        for outer, inner in port.renames:
            self.edges.append((self.slots[v, inner], self.read(port.wire, outer), mark))

    def read(self, wire: int, axis: str) -> int:
        """The vertex of a wire's axis."""
        alike = self.alike.get(wire)
        return self.slots[self.source[wire][0], alike.get(axis, axis) if alike else axis]

    # sizes ------------------------------------------------------------------------------------

    def size(self, axis: str) -> int:
        if axis not in self._axis:
            self._axis[axis] = self.poly(self.settled.of(self.diagram.sizes[axis]))
        return self._axis[axis]

    def poly(self, poly: Poly) -> int:
        name = poly.as_variable()
        if name is not None:
            return self.variable(name)
        if poly not in self._sizes:
            constant = poly.constant()
            v = self._sizes[poly] = self.vertex("size" if constant is None else f"size {constant}")
            if constant is None:
                for monomial, coefficient in poly.terms:
                    self.edges.append((v, self.monomial(monomial), f"times {coefficient}"))
        return self._sizes[poly]

    def monomial(self, monomial: Monomial) -> int:
        if monomial not in self._monomials:
            v = self._monomials[monomial] = self.vertex("monomial")
            for name, exponent in monomial:
                self.edges.append((v, self.variable(name), f"power {exponent}"))
        return self._monomials[monomial]

    def variable(self, name: str) -> int:
        if name not in self.variables:
            self.variables[name] = self.vertex("variable")
        return self.variables[name]

    def equations(self) -> None:
        """Those that concern a size of the live part, directly or through others; `p` and `-p` say the same."""
        rest = list(self.settled.rest)
        while True:
            concerned = [p for p in rest if not p.variables() or p.variables() & self.variables.keys()]
            if not concerned:
                return
            rest = [p for p in rest if p not in concerned]
            for p in concerned:
                v = self.vertex("equation")
                self.edges.append((v, self.poly(p), "zero"))
                self.edges.append((v, self.poly(-p), "zero"))

    # numbering --------------------------------------------------------------------------------

    def walk(self, place: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Nodes and weights as met on the way back from the outputs, in port order, producers first."""
        diagram, producer = self.diagram, self.diagram.producer
        weight_at = {w.wire: i for i, w in enumerate(diagram.weights)}
        nodes: dict[int, None] = {}
        weights: dict[int, None] = {}
        opened: set[int] = set()
        stack = [o.port.wire for o in reversed(diagram.outputs)]
        while stack:
            wire = stack.pop()
            if wire in weight_at:
                weights.setdefault(weight_at[wire])
            made = producer.get(wire)
            if made is None or made[0] in nodes:
                continue
            i = made[0]
            if i in opened:
                nodes[i] = None
                continue
            opened.add(i)
            node = diagram.nodes[i]
            wires = [p.wire for p in node.ports]
            if node.op.commutative:
                wires.sort(key=lambda w: (place[self.source[w][0]], self.source[w][1]))
            if i in self.ends:
                wires = [w for _, w in sorted(zip((place[e] for e in self.ends[i]), wires, strict=True))]
            stack.append(wire)
            stack.extend(reversed(wires))
        return tuple(nodes), tuple(weights)
