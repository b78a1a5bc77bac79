"""One step of rewriting: the other side of a rule put where a match was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Frame, Node, Port
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ops import Contract, Multiply
from anatomy.rewrites.match import Match


def apply(diagram: Diagram, match: Match) -> Diagram:
    """The diagram with the matched result computed by the other side of the rule.

    Boxes that something else reads stay, those that nothing reads any more go; every weight is kept, used or not.
    Header, layouts, sizes and equations stay. The new boxes are typed like any others, and their wire has the axes and
    the kind of the one that it replaces. They stand in the walls of the old result as far as these allow it.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> from anatomy.rewrites.match import matches
    >>> text = "axis m rule bias(s: [m], t: []): softmax[m](s + t) == softmax[m](s) "
    >>> program = Program.of(Source("bias.anat", text + "diagram f(x: [m]) -> [m] { out softmax[m](x + 2) }"))
    >>> f, rule = program.get("f"), program.rule("bias")
    >>> [node.op.word for node in apply(f, next(matches(f, rule)))]
    ['softmax']
    """
    place = diagram.producer[match.root][0]
    old, other = diagram.nodes[place], match.replacement
    # A lone parameter is the old result itself, so the new boxes come after it, else before what they replace.
    after = 0 if match.nodes else 1
    builder = Builder(
        list(diagram.wires), list(diagram.nodes[: place + after]), list(diagram.inputs), list(diagram.weights),
        axes=dict.fromkeys(diagram.sizes), serial=max((f.serial for n in diagram.nodes for f in n.frame), default=0),
    )  # fmt: skip
    for axis, size in diagram.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
    names = {axis: match.axes[axis] for axis in other.sizes}
    for axis, name in names.items():
        if name not in builder.axes:
            size = match.sizes[axis]
            if size != Poly.var(name):
                builder.sizes.define(name, size)
            builder.axis(name)
    frame = _walls(old.frame, match)
    start = len(builder.nodes)
    made = {g.wire: _folded(builder, g.op, [View(p.wire, p.renames) for p in g.ports], frame) for g in match.groups}

    def argument(name: str) -> View:
        view = match.wires.get(name, View(-1, ()))
        return made[view.wire].rename(dict(view.renames)) if view.wire in made else view

    arguments = [*(argument(i.name) for i in match.pattern.inputs), *(View(w, ()) for w in match.settled[1])]
    (view,) = builder.splice(other, arguments, names, lambda key: key, frame)
    if match.rest:
        op = Multiply() if isinstance(old.op, Contract) else old.op
        view = _folded(builder, op, [view, *(View(p.wire, p.renames) for p in match.rest)], frame)
    builder.nodes[start:] = [replace(n, span=old.span) for n in builder.nodes[start:]]
    wire = diagram.wires[match.root]
    new = builder.wires[view.wire]
    assert set(view.axes) == set(wire.axes)
    assert new.kind.name == wire.kind.name
    if view.wire >= len(diagram.wires):
        builder.wires[view.wire] = replace(new, name=wire.name, span=wire.span)
    outer = {inner: a for a, inner in view.renames}

    def moved(port: Port) -> Port:
        return Port(view.wire, tuple((outer[a], inner) for a, inner in port.renames)) if port.wire == match.root else port

    nodes = builder.nodes
    for node in diagram.nodes[place + after :]:
        for port in node.ports:
            if port.wire == match.root:
                node = replace(node, ports=tuple(map(moved, node.ports)))
                break
        nodes.append(node)
    outputs = tuple(replace(o, port=moved(o.port)) for o in diagram.outputs)
    result = replace(
        diagram, outputs=outputs, wires=tuple(builder.wires), nodes=tuple(nodes),
        sizes={a: builder.sizes.of(a) for a in builder.axes}, equations=diagram.equations,
    )  # fmt: skip
    return swept(result)


def _folded(builder: Builder, op: Op, views: Sequence[View], frame: tuple[Frame, ...]) -> View:
    """A sum or product of several wires, from the left."""
    view = views[0]
    for more in views[1:]:
        (view,) = builder.add(op, (), [view, more], frame=frame)
    return view


def _walls(frame: tuple[Frame, ...], match: Match) -> tuple[Frame, ...]:
    """The outer walls of the old result that the new boxes may stand in: none works across its own lanes."""
    across: set[str] = set()
    for node in match.replacement.nodes:
        across.update(node.own)
        across.update(a for p in node.ports for pair in p.renames if pair[0] != pair[1] for a in pair)
    barred = {match.axes[a] for a in across}
    barred.update(a for view in match.wires.values() for pair in view.renames if pair[0] != pair[1] for a in pair)
    for k, wall in enumerate(frame):
        if wall.kind == "scan" or barred.intersection(wall.lanes):
            return frame[:k]
    return frame


def swept(diagram: Diagram) -> Diagram:
    """Without the boxes that reach no output and the wires that nothing makes; the last wires fill their places."""
    readers = [0] * len(diagram.wires)
    for node in diagram.nodes:
        for port in node.ports:
            readers[port.wire] += 1
    for output in diagram.outputs:
        readers[output.port.wire] += 1
    nodes: list[Node] = []
    gone: list[int] = []
    for node in reversed(diagram.nodes):
        for wire in node.outs:
            if readers[wire]:
                nodes.append(node)
                break
        else:
            gone.extend(node.outs)
            for port in node.ports:
                readers[port.wire] -= 1
    nodes.reverse()
    count = len(diagram.wires) - len(gone)
    lost = set(gone)
    moves = [w for w in range(count, len(diagram.wires)) if w not in lost]
    to = dict(zip(moves, sorted(w for w in gone if w < count), strict=True))
    if not to:
        return replace(diagram, nodes=tuple(nodes), wires=diagram.wires[:count])
    wires = list(diagram.wires)
    for old, new in to.items():
        wires[new] = wires[old]

    def placed(p: Port) -> Port:
        return Port(to.get(p.wire, p.wire), p.renames)

    for i, node in enumerate(nodes):
        high = max(node.outs)
        for p in node.ports:
            high = max(high, p.wire)
        if high >= count:
            nodes[i] = replace(node, ports=tuple(map(placed, node.ports)), outs=tuple(to.get(w, w) for w in node.outs))
    return replace(
        diagram,
        inputs=tuple(replace(i, wire=to.get(i.wire, i.wire)) for i in diagram.inputs),
        weights=tuple(replace(w, wire=to.get(w.wire, w.wire)) for w in diagram.weights),
        wires=tuple(wires[:count]),
        nodes=tuple(nodes),
        outputs=tuple(replace(o, port=placed(o.port)) for o in diagram.outputs),
    )
