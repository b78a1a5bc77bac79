"""Loops written out step by step, so that a certificate holds plain operations alone and no rule about loops is needed.

Step t reads entry t of what has the axis of the loop (a `gather` at a literal) and the states that step t - 1 gave; results
are put together entry by entry (`where` at the place t). An unused result is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from anatomy.certificates.model import Node, Port, Wire
from anatomy.certificates.state import Lacking
from anatomy.ir.graph import Diagram
from anatomy.ir.graph import Node as Box
from anatomy.ir.loop import opened

LONGEST = 64
"""Steps of the longest loop that is written out."""
MOST = 2500
"""Nodes of the largest diagram that is written out."""

Plain = Callable[[Box], Node]


@dataclass
class Writer:
    """Nodes and wires as they are made; `plain` writes one operation that is no loop."""

    wires: list[Wire]
    nodes: list[Node]
    sizes: Mapping[str, int]
    plain: Plain

    def make(self, op: str, ports: tuple[Port, ...], own: tuple[str, ...], axes: frozenset[str], kind: str = "real", into: str = "", to: int | None = None, **options: str) -> int:
        """A node of one result; its wire."""
        if to is None:
            to = self.wire(axes, kind, into)
        self.put(Node(op=op, options=options, own=own, ports=ports, outs=(to,)))
        return to

    def wire(self, axes: frozenset[str], kind: str = "real", into: str = "") -> int:
        self.wires.append(Wire.model_validate({"axes": tuple(sorted(axes)), "kind": kind, "into": into}))
        return len(self.wires) - 1

    def put(self, node: Node) -> None:
        if len(self.nodes) >= MOST:
            raise Lacking(f"written out step by step it has more than {MOST} operations")
        self.nodes.append(node)

    def same(self, wire: int) -> Port:
        """A wire under its own names."""
        return Port(wire=wire, names=tuple((a, a) for a in self.wires[wire].axes))

    def literal(self, value: int) -> Port:
        return self.same(self.make("literal", (), (), frozenset(), value=str(value)))

    def place(self, t: int, axis: str) -> Port:
        index = self.make("index", (self.literal(t),), (axis,), frozenset(), "index", axis)
        return self.same(index)

    def diagram(self, diagram: Diagram) -> None:
        """All nodes of a diagram whose wires have the numbers that they have here."""
        used = {p.wire for n in diagram.nodes for p in n.ports} | {o.port.wire for o in diagram.outputs}
        for node in diagram.nodes:
            if node.op.word == "scan":
                self.loop(diagram, node, used)
            else:
                self.put(self.plain(node))

    def loop(self, diagram: Diagram, node: Box, used: set[int], names: Mapping[int, int] | None = None) -> None:
        """Every step of a loop. `names` gives the numbers of wires here, where they differ from those of the diagram."""
        at = dict(names or {})
        body, step, carries = opened(diagram, node), node.own[0], node.op.carries
        n = self.sizes[step]
        if not 1 <= n <= LONGEST:
            raise Lacking(f"the loop has {n} steps: those of 1 to {LONGEST} are certified")
        if any(body.wires[o.port.wire].kind.name != "real" for o in body.outputs):
            raise Lacking("the loop gives something that is no real number")
        here: dict[int, int] = {}
        sliced: dict[int, Port] = {}
        for k, (item, port) in enumerate(zip(body.inputs, node.ports, strict=True)):
            axes, wire = frozenset(item.layout), body.wires[item.wire]
            plain = Port(wire=at.get(port.wire, port.wire), names=tuple(sorted(port.renames)))
            if k >= carries and step in port.axes:
                sliced[item.wire] = plain
            else:
                own = tuple(sorted(axes - set(port.axes)))
                if wire.kind.name != "real":
                    raise Lacking("the loop reads something that is no real number at every step")
                here[item.wire] = self.make("expand", (plain,), own, axes)
        place = self.make("iota", (), (step,), frozenset({step}))
        results: list[int] = [*node.outs]
        stacks: list[int | None] = [None] * len(body.outputs)
        stacked = [*(i.wire for i in body.inputs[:carries]), *(o.port.wire for o in body.outputs[carries:])]
        for t in range(n):
            entry = self.place(t, step)
            mask = self.same(self.make("==", (self.same(place), self.literal(t)), (), frozenset({step}), "mask"))
            for wire, port in sliced.items():
                kind = body.wires[wire].kind
                axes = frozenset(b for _, b in port.names) - {step}
                here[wire] = self.make("gather", (port, entry), (step,), axes, kind.name, kind.axis)
            before = {i.wire: here[i.wire] for i in body.inputs[:carries]}
            self._step(body, here)
            for k, inner in enumerate(stacked):
                if results[k] not in used:
                    continue
                one = before[inner] if k < carries else self._output(body, k, here)
                axes = frozenset(self.wires[one].axes) | {step}
                last = results[k] if t == n - 1 else None
                old = stacks[k]
                if old is None:
                    stacks[k] = self.make("expand", (self.same(one),), (step,), axes, to=self._here(last, at))
                else:
                    stacks[k] = self.make("where", (mask, self.same(one), self.same(old)), (), axes, to=self._here(last, at))
            states = [self._output(body, k, here) for k in range(carries)]
            here |= dict(zip((i.wire for i in body.inputs[:carries]), states, strict=True))
        for k in range(carries):
            out = results[len(stacked) + k]
            if out in used:
                state = here[body.inputs[k].wire]
                self.make("expand", (self.same(state),), (), frozenset(self.wires[state].axes), to=self._here(out, at))

    def _here(self, wire: int | None, at: Mapping[int, int]) -> int | None:
        return wire if wire is None else at.get(wire, wire)

    def _step(self, body: Diagram, here: dict[int, int]) -> None:
        """One step: the nodes of the body, with wires of their own."""
        used = {p.wire for n in body.nodes for p in n.ports} | {o.port.wire for o in body.outputs}
        for node in body.nodes:
            for w in node.outs:
                wire = body.wires[w]
                here[w] = self.wire(frozenset(wire.axes), wire.kind.name, wire.kind.axis)
            if node.op.word == "scan":
                self.loop(body, node, used, here)
                continue
            made = self.plain(node)
            ports = tuple(Port(wire=here[p.wire], names=p.names) for p in made.ports)
            self.put(made.model_copy(update={"ports": ports, "outs": tuple(here[w] for w in made.outs)}))

    def _output(self, body: Diagram, k: int, here: Mapping[int, int]) -> int:
        """An output of the body under the names and with all axes of the layout."""
        out = body.outputs[k]
        port = Port(wire=here[out.port.wire], names=tuple(sorted(out.port.renames)))
        own = tuple(a for a in out.layout if a not in out.port.axes)
        return self.make("expand", (port,), own, frozenset(out.layout))


def written_out(diagram: Diagram, sizes: Mapping[str, int], wires: tuple[Wire, ...], plain: Plain) -> tuple[tuple[Wire, ...], tuple[Node, ...]]:
    """The wires and nodes of a diagram without loops."""
    writer = Writer(list(wires), [], sizes, plain)
    writer.diagram(diagram)
    return tuple(writer.wires), tuple(writer.nodes)
