"""Moves from a diagram to one that it can be: sizes tied to numbers and to one another, weights given a value, inputs fed alike, holes passed through.

Converts: a diagram and a move into a diagram D' with D >= D'. Non-goals: which moves are worth making.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from anatomy.errors import AnatomyError, fail
from anatomy.ir.graph import Diagram, Equation, Node, Output, Port, Weight, Wire
from anatomy.ir.poly import Poly
from anatomy.ops import Contract, Expand, Literal, Reduce
from anatomy.rewrites.apply import swept
from anatomy.rewrites.decided import decided


@dataclass(frozen=True)
class Move:
    """`h = 1`, `w >= n`, `Wk := 0`, `Wk := identity`, `Wk := once over h`, `Wg := Wq`, `z := x` or `mask := identity`.

    A move of `kind` "size" restricts what the diagram is applied to; every other one picks some of its functions.
    """

    kind: str
    subject: str
    value: str

    def __str__(self) -> str:
        match self.kind:
            case "size":
                return f"{self.subject} = {self.value}"
            case "least":
                return f"{self.subject} >= {self.value}"
            case _:
                return f"{self.subject} := {self.value}"

    @staticmethod
    def read(text: str, diagram: Diagram) -> Move:
        """The move that a text means for a diagram. Raises AnatomyError E605."""
        for sign, kind in ((" := ", ""), (" >= ", "least"), (" = ", "size")):
            subject, found, value = text.partition(sign)
            if found and kind:
                return Move(kind, subject, value)
            if found:
                if subject in diagram.holes:
                    return Move("hole", subject, value)
                return Move("feed" if any(i.name == subject for i in diagram.inputs) else "weight", subject, value)
        raise fail("E605", f"`{text}` is no move", help="for example `h = 1`, `Wk := identity`, `mask := identity`")


def moved(diagram: Diagram, move: Move) -> Diagram:
    """The diagram after a move; comparisons that a size decides are gone.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d diagram f(x: [n, d]) -> [n, d] { weight g: [d] ~ ones; out x * g }"
    >>> f = Program.of(Source("f.anat", text.replace("; ", chr(10)))).get("f")
    >>> moved(f, Move("weight", "g", "1")).weights
    ()
    """
    match move.kind:
        case "size":
            return decided(restricted(diagram, {move.subject: _poly(move.value)}))
        case "least":
            return decided(restricted(diagram, {move.subject: Poly.var(move.value) + Poly.var(move.subject) - 1}))
        case "feed":
            return fed(diagram, move.subject, move.value)
        case "hole":
            return passed(diagram, move.subject)
        case _:
            return valued(diagram, move.subject, move.value)


def _poly(text: str) -> Poly:
    total = Poly.of(1)
    for factor in text.split(" * "):
        total = total * (int(factor) if factor.isdigit() else Poly.var(factor))
    return total


# sizes ----------------------------------------------------------------------------------------


def restricted(diagram: Diagram, sizes: Mapping[str, Poly | int]) -> Diagram:
    """The diagram at some of its sizes only: free size variables become numbers, or polynomials in others."""

    def put(e: Equation) -> Equation:
        return replace(e, left=e.left.substitute(sizes), right=e.right.substitute(sizes))

    return replace(
        diagram,
        sizes={a: p.substitute(sizes) for a, p in diagram.sizes.items()},
        equations=tuple(map(put, diagram.equations)),
        where=tuple(replace(e, right=e.right.substitute(sizes)) for e in diagram.where),
        defaults=tuple((a, p.substitute(sizes)) for a, p in diagram.defaults if a not in sizes),
    )


def agreed(left: Poly, right: Poly) -> tuple[Move, ...] | None:
    """The size moves that make two sizes one: a variable becomes the other side; None where there is none."""
    if left == right:
        return ()
    for a, b in ((left, right), (right, left)):
        name = a.as_variable()
        if name is not None and name not in b.variables() and len(b.terms) == 1 and b.terms[0][1] == 1 and all(k == 1 for _, k in b.terms[0][0]):
            return (Move("size", name, str(b)),)
    shared = left.variables() & right.variables()
    quotients = [_without(p, shared) for p in (left, right)]
    if shared and None not in quotients:
        rest = [p for p in quotients if p is not None]
        units = [(Move("size", v, "1"),) for p in rest if p == Poly.of(1) for v in sorted((rest[0] * rest[1]).variables())]
        if units:
            return tuple(m for u in units for m in u)
        return agreed(rest[0], rest[1])
    return None


def _without(poly: Poly, names: frozenset[str]) -> Poly | None:
    if len(poly.terms) != 1:
        return None
    monomial, coefficient = poly.terms[0]
    return Poly(((tuple((v, k) for v, k in monomial if v not in names), coefficient),))


# inputs and holes -----------------------------------------------------------------------------


def fed(diagram: Diagram, name: str, other: str) -> Diagram:
    """The diagram with one input for two, at the sizes at which they have one type. Raises AnatomyError E604."""
    gone = next(i for i in diagram.inputs if i.name == name)
    kept = next(i for i in diagram.inputs if i.name == other)
    if len(gone.layout) != len(kept.layout) or diagram.wires[gone.wire].kind != diagram.wires[kept.wire].kind:
        raise fail("E604", f"`{name}` and `{other}` of `{diagram.name}` have different types")
    for a, b in zip(gone.layout, kept.layout, strict=True):
        diagram = _at(diagram, agreed(diagram.sizes[a], diagram.sizes[b]), f"`{name}` and `{other}`")
    table = {gone.wire: Port(kept.wire, tuple(zip(kept.layout, gone.layout, strict=True)))}
    return decided(_seen(replace(diagram, inputs=tuple(i for i in diagram.inputs if i is not gone)), table))


def _at(diagram: Diagram, moves: tuple[Move, ...] | None, what: str) -> Diagram:
    if moves is None:
        raise fail("E604", f"{what} have sizes that no restriction makes equal")
    for m in moves:
        diagram = restricted(diagram, {m.subject: _poly(m.value)})
    return diagram


def passed(diagram: Diagram, hole: str, operand: int = 0) -> Diagram:
    """A hole whose result has the type of an operand hands that operand on. Raises AnatomyError E604."""
    table: dict[int, Port] = {}
    nodes: list[Node] = []
    for node in diagram.nodes:
        node = replace(node, ports=tuple(_through(p, table) for p in node.ports))
        if node.op.hole != hole:
            if node.op.body is not None and hole in node.op.body.holes:
                node = replace(node, op=node.op.within(passed(node.op.body, hole, operand)))
            nodes.append(node)
            continue
        op = node.op
        takes, gives = op.takes_axes, op.gives_axes  # type: ignore[attr-defined]
        if len(gives) != 1 or not takes or sorted(takes[operand]) != sorted(gives[0]) or op.takes_kinds[operand] != op.gives_kinds[0]:  # type: ignore[attr-defined]
            raise fail("E604", f"hole `{hole}` of `{diagram.name}` does not give what it takes")
        port = node.ports[operand]
        # Axis by axis in the order of the two layouts, so that `[n, m] -> [m, n]` would be a transpose.
        order = dict(zip((node.own[k] for k in takes[operand]), (node.own[k] for k in gives[0]), strict=True))
        port = Port(port.wire, tuple((a, order.get(b, b)) for a, b in port.renames))
        lacking = tuple(a for a in diagram.wires[node.outs[0]].axes if a not in port.axes)
        if lacking:
            nodes.append(Node(Expand(), lacking, (port,), node.outs, node.span, node.frame))
        else:
            table[node.outs[0]] = port
    outputs = tuple(replace(o, port=_through(o.port, table)) for o in diagram.outputs)
    return swept(replace(diagram, nodes=tuple(nodes), outputs=outputs))


def _through(port: Port, table: Mapping[int, Port]) -> Port:
    if port.wire not in table:
        return port
    other, names = table[port.wire], dict(port.renames)
    return Port(other.wire, tuple((a, names[b]) for a, b in other.renames))


def _seen(diagram: Diagram, table: Mapping[int, Port]) -> Diagram:
    nodes = tuple(replace(n, ports=tuple(_through(p, table) for p in n.ports)) for n in diagram.nodes)
    outputs = tuple(Output(_through(o.port, table), o.layout, o.span, o.kind) for o in diagram.outputs)
    return replace(diagram, nodes=nodes, outputs=outputs)


# weights --------------------------------------------------------------------------------------


def valued(diagram: Diagram, key: str, value: str) -> Diagram:
    """The diagram with a weight that is a number, the identity, the same `once over` an axis, or another weight.

    `biases` is every weight whose key ends in `.bias`. Raises AnatomyError E605 where there is no such weight, E604 where
    the value does not fit.
    """
    if key == "biases":
        for k in [w.key for w in diagram.weights if w.key.endswith(".bias")]:
            diagram = valued(diagram, k, value)
        return diagram
    weight = next((w for w in diagram.weights if key in w.keys), None)
    if weight is None:
        raise fail("E605", f"`{diagram.name}` has no weight `{key}`")
    if value == "identity":
        return identical(diagram, weight)
    rest = tuple(w for w in diagram.weights if w is not weight)
    if value.startswith("once over "):
        axis = value.removeprefix("once over ")
        if axis not in weight.layout:
            raise fail("E604", f"weight `{key}` has no axis `{axis}`")
        wire = len(diagram.wires)
        less = [tuple(a for a in axes if a != axis) for axes in (weight.lanes, weight.fan_in, weight.fan_out)]
        fewer = replace(weight, wire=wire, lanes=less[0], fan_in=less[1], fan_out=less[2])
        port = Port(wire, tuple((a, a) for a in fewer.layout))
        node = Node(Expand(), (axis,), (port,), (weight.wire,))
        wires = (*diagram.wires, Wire(fewer.layout, name=key))
        return replace(diagram, weights=tuple(fewer if w is weight else w for w in diagram.weights), wires=wires, nodes=(node, *diagram.nodes))
    other = next((w for w in diagram.weights if value in w.keys), None)
    if other is not None:
        if [len(a) for a in (weight.lanes, weight.fan_in, weight.fan_out)] != [len(a) for a in (other.lanes, other.fan_in, other.fan_out)]:
            raise fail("E604", f"weights `{key}` and `{value}` have different types")
        for a, b in zip(weight.layout, other.layout, strict=True):
            diagram = _at(diagram, agreed(diagram.sizes[a], diagram.sizes[b]), f"`{key}` and `{value}`")
        table = {weight.wire: Port(other.wire, tuple(zip(other.layout, weight.layout, strict=True)))}
        return _seen(replace(diagram, weights=rest), table)
    wire = len(diagram.wires)
    nodes: list[Node] = [Node(Literal(Fraction(value)), (), (), (wire,))]
    if weight.layout:
        nodes.append(Node(Expand(), weight.layout, (Port(wire, ()),), (weight.wire,)))
        made = replace(diagram, weights=rest, wires=(*diagram.wires, Wire(())), nodes=(*nodes, *diagram.nodes))
    else:
        made = replace(diagram, weights=rest, nodes=(Node(Literal(Fraction(value)), (), (), (weight.wire,)), *diagram.nodes))
    return swept(made)


def identical(diagram: Diagram, weight: Weight) -> Diagram:
    """A weight that is the identity, where a contraction with it is a change of names: one axis in, one out, all others of size 1."""
    moves = _square(diagram, weight)
    if moves is None:
        raise fail("E604", f"weight `{weight.key}` is not square at any size")
    for m in moves:
        diagram = restricted(diagram, {m.subject: _poly(m.value)})
    (inside,), (outside,) = (_wide(diagram, axes) or axes[:1] for axes in (weight.fan_in, weight.fan_out))
    thin = [a for a in weight.layout if a not in (inside, outside)]
    nodes: list[Node] = []
    wires = list(diagram.wires)
    for node in diagram.nodes:
        places = [k for k, p in enumerate(node.ports) if p.wire == weight.wire]
        if not places:
            nodes.append(node)
            continue
        mine, theirs = (node.ports[k] for k in (places[0], 1 - places[0])) if len(node.ports) == 2 else (node.ports[0], node.ports[0])
        names = dict(mine.renames)
        if not isinstance(node.op, Contract) or len(places) != 1 or len(node.ports) != 2 or names[inside] not in node.own or names[outside] in node.own:
            raise fail("E604", f"weight `{weight.key}` is not only multiplied by what it acts on")
        summed = tuple(a for a in node.own if a != names[inside])
        if any(a not in [names[t] for t in thin] for a in summed) or names[inside] not in theirs.axes:
            raise fail("E604", f"weight `{weight.key}` is contracted along more than it acts on")
        port = theirs
        here = tuple(a for a in summed if a in port.axes)
        if here:
            wires.append(Wire(tuple(a for a in port.axes if a not in here)))
            nodes.append(Node(Reduce("sum"), here, (port,), (len(wires) - 1,), node.span, node.frame))
            port = Port(len(wires) - 1, tuple((a, a) for a in wires[-1].axes))
        port = Port(port.wire, tuple((a, names[outside] if b == names[inside] else b) for a, b in port.renames))
        if len(set(port.axes)) < len(port.axes):
            raise fail("E604", f"weight `{weight.key}` is contracted with what has its result's axis")
        lacking = tuple(a for a in diagram.wires[node.outs[0]].axes if a not in port.axes)
        nodes.append(Node(Expand(), lacking, (port,), node.outs, node.span, node.frame))
    weights = tuple(w for w in diagram.weights if w is not weight)
    return decided(replace(diagram, nodes=tuple(nodes), wires=tuple(wires), weights=weights))


def _wide(diagram: Diagram, axes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(a for a in axes if diagram.sizes[a].constant() != 1)


def _square(diagram: Diagram, weight: Weight) -> tuple[Move, ...] | None:
    """The restrictions under which a weight maps one axis to one axis of its size, and has no other."""
    if not weight.fan_in or not weight.fan_out:
        return None
    here, moves = diagram, list[Move]()
    for axes in (weight.fan_in, weight.fan_out):
        wide = _wide(here, axes)
        # All but the last are heads or groups: there is one of them.
        for a in wide[:-1]:
            name = here.sizes[a].as_variable()
            if name is None:
                return None
            moves.append(Move("size", name, "1"))
            here = restricted(here, {name: 1})
    inside, outside = ((_wide(here, axes) or axes)[-1] for axes in (weight.fan_in, weight.fan_out))
    more = agreed(here.sizes[inside], here.sizes[outside])
    return None if more is None else (*moves, *more)


# all moves ------------------------------------------------------------------------------------


def size_moves(diagram: Diagram) -> Iterator[Move]:
    """Each free inner size 1, or that of another; each window at least as long as what it slides over."""
    outer = frozenset().union(*(diagram.sizes[a].variables() for i in diagram.inputs for a in i.layout[:1]))
    shown = frozenset().union(*(diagram.sizes[a].variables() for i in diagram.inputs for a in i.layout))
    held = {v for w in diagram.wires for a in w.axes for v in diagram.sizes[a].variables()}
    free = sorted(diagram.free_sizes())
    counted = sorted(outer)
    defaults = dict(diagram.defaults)
    for name in free:
        if name in outer:
            continue
        yield Move("size", name, "1")
        if name not in held:
            for v in counted:
                yield Move("least", name, v)
        else:
            for other in free:
                if other in outer and name not in shown:
                    yield Move("size", name, other)
        if name in defaults and len(defaults[name].terms) == 1:
            yield Move("size", name, str(defaults[name]))


def weight_moves(diagram: Diagram) -> Iterator[Move]:
    """All biases nothing; each weight nothing, one, the identity, or the same along one of its axes."""
    if sum(w.key.endswith(".bias") for w in diagram.weights) > 1:
        yield Move("weight", "biases", "0")
    for weight in diagram.weights:
        yield Move("weight", weight.key, "0")
        if not weight.fan_in:
            yield Move("weight", weight.key, "1")
        elif _square(diagram, weight) is not None:
            yield Move("weight", weight.key, "identity")
        for axis in weight.layout:
            if diagram.sizes[axis].constant() != 1 and (axis in weight.lanes or (len(weight.fan_out) > 1 and axis in weight.fan_out[:-1])):
                yield Move("weight", weight.key, f"once over {axis}")


def feed_moves(diagram: Diagram) -> Iterator[Move]:
    """Each later input the same as an earlier one of as many axes."""
    for k, item in enumerate(diagram.inputs):
        for other in diagram.inputs[:k]:
            if len(item.layout) == len(other.layout) and diagram.wires[item.wire].kind == diagram.wires[other.wire].kind:
                yield Move("feed", item.name, other.name)


def hole_moves(diagram: Diagram) -> Iterator[Move]:
    """Each hole that can hand its first operand on."""
    for name in diagram.holes:
        try:
            passed(diagram, name)
        except AnatomyError:
            continue
        yield Move("hole", name, "identity")
