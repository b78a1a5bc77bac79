"""Loops as they are drawn: the body in place, a box where the state comes in, and one where the next state goes back.

Converts: each loop node into the boxes of its body between a `state` and a `next`, all in one flat diagram; what goes
back from `next` to `state` is told apart, for a diagram has no circles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Diagram, Node, Port, Wire
from anatomy.ir.loop import opened
from anatomy.ir.op import Op


@dataclass(frozen=True)
class End(Op):
    """A state before a step (`state`), or after it (`next`)."""

    symmetric = False
    which: str = "state"
    name: str = ""

    @property
    def word(self) -> str:
        return self.which

    def lower(self, emit: Emitter) -> list[Operand]:
        raise NotImplementedError("a box of pictures has no code")

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of pictures has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("state", self.name) if self.which == "state" else Glyph("next", f"next {self.name}".rstrip())


Back = tuple[int, int]
"""A `next` and the `state` that it becomes, as nodes."""


def unfolded(diagram: Diagram) -> tuple[Diagram, tuple[Back, ...]]:
    """The diagram with its loops opened, and the ways back."""
    back: list[Back] = []
    while any(node.op.body is not None for node in diagram.nodes):
        diagram, back = _once(diagram, back)
    return diagram, tuple(back)


def _once(diagram: Diagram, back: list[Back]) -> tuple[Diagram, list[Back]]:
    nodes: list[Node] = []
    wires = list(diagram.wires)
    place: dict[int, int] = {}
    found: list[Back] = []
    for i, node in enumerate(diagram.nodes):
        if node.op.body is None:
            place[i] = len(nodes)
            nodes.append(node)
            continue
        body, count = opened(diagram, node, along=True), node.op.carries
        last = len(node.outs) - count
        read: dict[int, Port] = {item.wire: port for item, port in zip(body.inputs, node.ports, strict=True)}
        starts = []
        names = [body.wires[item.wire].name for item in body.inputs[:count]]
        for k, item in enumerate(body.inputs[:count]):
            starts.append(len(nodes))
            nodes.append(Node(End("state", names[k]), node.own[:1], node.ports[k : k + 1], (node.outs[k],), item.span or node.span, node.frame))
            axes = wires[node.outs[k]].axes
            read[item.wire] = Port(node.outs[k], tuple((a, a) for a in axes))
        given = {o.port.wire: w for o, w in zip(body.outputs[count:], node.outs[count:last], strict=True)}

        def seen(p: Port, read: dict[int, Port] = read) -> Port:
            outer = read[p.wire]
            table = dict(p.renames)
            return Port(outer.wire, tuple((a, table.get(b, b)) for a, b in outer.renames))

        for inner in body.nodes:
            outs = []
            for w in inner.outs:
                if w not in given:
                    wires.append(Wire(body.wires[w].axes, body.wires[w].kind, body.wires[w].name, body.wires[w].span))
                outs.append(given.get(w, len(wires) - 1))
                read[w] = Port(outs[-1], tuple((a, a) for a in body.wires[w].axes))
            nodes.append(replace(inner, ports=tuple(map(seen, inner.ports)), outs=tuple(outs), frame=(*node.frame, *inner.frame)))
        for k, output in enumerate(body.outputs[:count]):
            found.append((len(nodes), starts[k]))
            nodes.append(Node(End("next", names[k]), node.own[:1], (seen(output.port),), (node.outs[last + k],), node.span, node.frame))
    moved = [(place[a], place[b]) for a, b in back]
    return replace(diagram, nodes=tuple(nodes), wires=tuple(wires)), [*moved, *found]
