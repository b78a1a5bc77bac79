"""States of a linear recurrence that only queries read become products of matrices, chunk by chunk of steps.

Converts: `dot[keys](q, S)` where `S` is a running sum of outer products `k v^T`, or such a state with decays of steps, of keys or
of values, or one that is corrected by what it holds (the delta rule and its kin), from any start, before or after the step, divided
by anything.
Conditions: the decays have axes of the keys or of the values, not of both; the state has both keys and values, and is larger than a chunk would be worth
(see `WORTH`). For a corrected state, `S_t = a_t S + w_t (v_t - r_t a_t S)^T`: what is taken away is written by the same `w`.
Non-goals: states of steps that are elementwise (a closed form of their own); two states that need one another.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.recurrence import Recurrence
from anatomy.compiler.passes.region import Region, axes
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution

WORTH = {"": 128, "keys": 512, "values": 2048}
"""The least number of entries of a state, per lane, with which chunks are faster than the states themselves, by what decays have axes of.

Measured for 256 and 512 steps, both ways, one thread. A corrected state has no other form.
"""
STATES = frozenset({"cumsum", "affine", "delta"})


@dataclass(frozen=True)
class State:
    """`S_t = a_t S_(t-1) + u_t`, or with `w_t (v_t - r_t a_t S_(t-1))^T` for `u_t`; None: 1, and a start of 0."""

    along: str
    node: int
    written: Port
    decay: Port | None = None
    start: Port | None = None
    before: bool = False
    taken: Port | None = None
    """What the sum over keys is multiplied by before it is added."""
    reads: tuple[Port, ...] = ()


@dataclass(frozen=True)
class Product:
    """Factors, boxes that divide, and the boxes that change the sign."""

    factors: tuple[Port, ...] = ()
    divisors: tuple[tuple[Op, Port], ...] = ()
    signs: tuple[Op, ...] = ()


def chunk(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with recurrences in chunks."""
    if not any(n.op.word in STATES for n in diagram.nodes):
        return diagram
    region = Region(diagram)
    work = _Chunks(region, solution, notes)
    for i, node in enumerate(diagram.nodes):
        region.at = i
        work.read(i, node)
    if not work.found:
        return diagram
    work.ends()
    return region.built()


class _Chunks:
    def __init__(self, region: Region, solution: Solution, notes: list[Note]):
        self.region, self.solution, self.notes = region, solution, notes
        self.found: dict[int, list[int]] = {}
        """For a box of states, the boxes that read it no more."""

    def read(self, at: int, node: Node) -> None:
        """Convert one sum over keys."""
        contraction, ports = node.op.contraction(), node.ports
        if contraction is None or not node.own:
            return
        if len(ports) == 1:
            inside = self.region.maker(ports[0])
            if inside is None or inside.op.contraction() is None or inside.own:
                return
            ports = inside.ports
        for k, port in enumerate(ports):
            divided: list[tuple[Op, Port]] = []
            state = self.states(self.quotient(port, divided))
            others = [p for j, p in enumerate(ports) if j != k]
            if state is not None and self.convert(at, node, contraction, state, others, divided):
                self.found.setdefault(state.node, []).append(at)
                return

    def quotient(self, port: Port, divided: list[tuple[Op, Port]]) -> Port:
        """What is divided, and by what."""
        node = self.region.source(port)
        while node is not None and node.op.word == "/":
            divided.append((node.op, node.ports[1]))
            port = node.ports[0]
            node = self.region.source(port)
        return port

    # what is read -----------------------------------------------------------------------------------

    def states(self, port: Port) -> State | None:
        found = self.region.end(port)
        if found is None:
            return None
        node, index, out = found
        ports = node.ports
        match node.op.word:
            case "cumsum":
                return State(node.own[0], index, ports[0])
            case "shift" if dict(node.op.written) == {"": 1}:
                inner = self.states(ports[0])
                if inner is not None and not inner.before and inner.decay is inner.start is None and inner.along == node.own[0]:
                    return replace(inner, before=True)
            case "+":
                for k in (0, 1):
                    inner = self.states(ports[k])
                    if inner is not None and inner.start is None and inner.decay is None and inner.along not in ports[1 - k].axes:
                        return replace(inner, start=self.start(ports[1 - k]))
            case "affine" if out < 2:
                a, u, s = ports
                return State(node.own[0], index, u, a, self.start(s), out == 0)
            case "delta" if out < 2:
                a, p, u, s, *keys = ports
                return State(node.own[0], index, u, None if self.region.number(a) == 1 else a, self.start(s), out == 0, p, tuple(keys))
        return None

    def start(self, port: Port) -> Port | None:
        port = self.unexpanded(port)
        return None if self.region.number(port) == 0 else port

    def unexpanded(self, port: Port) -> Port:
        node = self.region.source(port)
        return self.unexpanded(node.ports[0]) if node is not None and node.op.word == "expand" else port

    def product(self, port: Port) -> Product:
        """A wire as factors."""
        port = self.unexpanded(port)
        node = self.region.source(port)
        if node is not None and not node.own:
            word = node.op.word
            if word in ("*", "dot"):
                parts = [self.product(p) for p in node.ports]
                return Product(*(tuple(x for p in parts for x in getattr(p, f)) for f in ("factors", "divisors", "signs")))
            if word == "/":
                inner = self.product(node.ports[0])
                return replace(inner, divisors=(*inner.divisors, (node.op, node.ports[1])))
            if word == "neg":
                inner = self.product(node.ports[0])
                return replace(inner, signs=(*inner.signs, node.op))
        return Product((port,))

    # the conversion ---------------------------------------------------------------------------------

    def convert(self, at: int, node: Node, contraction: Op, state: State, others: list[Port], divided: list[tuple[Op, Port]]) -> bool:
        region, keys, along = self.region, node.own, state.along
        inner = [(op, p) for op, p in divided if set(p.axes) & set(keys)]  # a divisor of keys divides the queries
        divided = [(op, p) for op, p in divided if (op, p) not in inner]
        queries = axes([*others, *(p for _, p in inner)])
        if along in keys or along not in axes(others) or not set(keys) <= axes(others):
            return False
        written = self.product(state.written)
        read: list[Port] = []
        writes, values = written.factors, ()
        if state.taken is not None:
            parts = self.corrected(state, written)
            if parts is None:
                return False
            writes, values, read = parts
        else:
            writes = tuple(p for p in written.factors if set(p.axes) & set(keys))
            values = tuple(p for p in written.factors if not set(p.axes) & set(keys))
        decay = axes([state.decay] if state.decay else [])
        beside = queries | axes(writes) | axes(read)
        rest = tuple(sorted(axes(values) - beside - decay - {along}))
        by_value = state.taken is None and not decay & set(keys) and (not rest or region.count((*keys, *rest), self.solution) < WORTH[""])
        if by_value:
            rest = tuple(sorted(axes(values) - beside - {along}))
            by_value = bool(decay & set(rest))
        if not rest or not set(keys) <= axes(writes) or along not in axes(writes) or along not in axes(values):
            return False
        if state.taken is not None and (not set(keys) <= axes(read) or along not in axes(read)):
            return False
        kind = "values" if by_value else "keys" if decay & set(keys) else ""
        if state.taken is None and region.count((*keys, *rest), self.solution) < WORTH[kind]:
            return False
        q, k, v = (self.joined(contraction, list(p), node, name) for p, name in ((others, "q"), (writes, "k"), (values, "v")))
        for op, port in inner:
            q = region.add(op, (), [q, port], node, "q")
        for op, port in written.divisors:
            if set(port.axes) & set(keys):
                k = region.add(op, (), [k, port], node, "k")
            else:
                v = region.add(op, (), [v, port], node, "v")
        for op in written.signs:
            v = region.add(op, (), [v], node, "v")
        if set(keys) & axes([v]) or set(rest) & axes([k, *read]):
            return False
        ports = [q, k, v]
        ports += [] if state.decay is None else [state.decay]
        ports += [self.joined(contraction, read, node, "r")] if read else []
        ports += [] if state.start is None else [state.start]
        op = Recurrence(len(keys), len(rest), state.decay is not None, by_value, bool(read), state.start is not None, state.before)
        own = (along, *keys, *rest)
        if (axes(ports) - set(keys)) | axes([p for _, p in divided]) != set(region.wires[node.outs[0]].axes):
            return False  # an axis that only the state was repeated along
        said = ", with decays" if state.decay is not None else ""
        said += ", and what is written is corrected by a triangular system" if read else ""
        self.notes.append(Note("chunk", f"states that queries read become products of matrices in chunks of steps{said}", node.span))
        if divided:
            y = region.add(op, own, ports, node, "y")
            for division, port in divided[:0:-1]:
                y = region.add(division, (), [y, port], node, "y")
            region.nodes[at] = replace(node, op=divided[0][0], own=(), ports=(y, divided[0][1]))
        else:
            region.nodes[at] = replace(node, op=op, own=own, ports=tuple(ports))
        return True

    def corrected(self, state: State, written: Product) -> tuple[tuple[Port, ...], tuple[Port, ...], list[Port]] | None:
        """w, v and r of a state that is corrected by what it holds: `w v^T - w r a S`."""
        assert state.taken is not None
        taken = self.product(state.taken)
        if written.divisors or taken.divisors or (len(written.signs) + len(taken.signs)) % 2 == 0 or written.signs:
            return None
        mine, other = Counter(written.factors), Counter(taken.factors)
        writes = mine & other
        reads = Counter(f for p in state.reads for f in self.product(p).factors) + (other - writes)
        if any(self.product(p).divisors or self.product(p).signs for p in state.reads):
            return None
        if state.decay is not None:
            decay = Counter(self.product(state.decay).factors)
            if decay - reads or self.product(state.decay).divisors or self.product(state.decay).signs:
                return None
            reads -= decay
        return tuple(writes.elements()), tuple((mine - writes).elements()), list(reads.elements())

    def joined(self, contraction: Op, ports: list[Port], like: Node, name: str) -> Port:
        return ports[0] if len(ports) == 1 else self.region.add(contraction, (), ports, like, name)

    # the last state ---------------------------------------------------------------------------------

    def ends(self) -> None:
        """Where nothing else reads the states, the first box that replaces them also gives the last one."""
        region = self.region
        for index, readers in self.found.items():
            node = region.diagram.nodes[index]
            first = region.nodes[readers[0]]
            if len(node.outs) < 3 or first is None or not isinstance(first.op, Recurrence):
                continue
            last = region.diagram.consumers[node.outs[2]]
            left = [i for w in node.outs[:2] for i, _ in region.diagram.consumers[w] if i not in readers]
            same = axes(first.ports) - {first.own[0]} == set(region.wires[node.outs[2]].axes)
            if last and same and not left and all(i < 0 or i > readers[0] for i, _ in last):
                region.nodes[index] = None
                region.nodes[readers[0]] = replace(first, op=replace(first.op, end=True), outs=(*first.outs, node.outs[2]))
