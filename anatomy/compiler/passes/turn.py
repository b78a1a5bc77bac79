"""Turns in planes, of which rotary positions are made, take one pass over what they turn.

Converts: `cat[p -> q](a * c - b * s, b * c + a * s)`, where a, b are the halves of x along q, into one box. Where the two stand side by
side (p has size 1) that is a product of complex numbers, (a + i b) (c + i s); else it is x * (c, c) + (b, a) * (-s, s), the pairs of which
are tables where c and s are. A quarter of the time of the five boxes, or a tenth.
Conditions: none on c and s; half precision, tracers and `torch.func` get the five operations, since complex numbers are not for them.
Non-goals: turns with a scale in it (xPos), turns of three features and more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution


@dataclass(frozen=True)
class Turn(Op):
    """`(a c - b s, b c + a s)` for the halves a, b of the first port along the first own axis; own axes: whole, half.

    Further ports: (c, s) along the whole where halves are single, else (c, c) and (-s, s).
    """

    arity = (2, 3)

    @property
    def word(self) -> str:
        return "turn"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[:1],)

    def last(self, own: tuple[str, ...]) -> tuple[str, ...]:
        return own[:1]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", "turn")

    def lower(self, emit: Emitter) -> list[Operand]:
        whole = emit.node.own[0]
        operands = [emit.tensor(k) for k in range(len(emit.node.ports))]
        axes = emit.order(tuple(a for o in operands for a in o.axes))
        if len(operands) == 2:
            axes = (*(a for a in axes if a != whole), whole)
            x, turn = (emit.align(o, axes) for o in operands)
            return [Operand(f"{emit.helper('turned')}({x.code}, {turn.code})", axes)]
        x = emit.named(emit.align(operands[0], axes))
        c, s = (emit.align(o, axes) for o in operands[1:])
        at = axes.index(whole) - len(axes)  # from behind: an operand lacks dimensions in front that only others have
        return [Operand(f"torch.addcmul({x.code} * {c.atom}, torch.cat({x.atom}.chunk(2, {at})[::-1], {at}), {s.code})", axes)]


@dataclass(frozen=True)
class Table(Op):
    """What a turn reads; own axes: whole, half. `(c, s)` of two ports as a new axis, or `(x, x)`, `(-x, x)` of one along the half."""

    opposed: bool = False
    arity = (1, 2)

    @property
    def word(self) -> str:
        return "turns"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[:1],)

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", "turns")

    def lower(self, emit: Emitter) -> list[Operand]:
        whole, half = emit.node.own
        operands = [emit.tensor(k) for k in range(len(emit.node.ports))]
        if len(operands) == 2:
            axes = emit.order(tuple(a for o in operands for a in o.axes))
            c, s = (emit.align(o, axes) for o in operands)
            both = f"torch.stack(torch.broadcast_tensors({c.code}, {s.code}), -1)" if c.axes != s.axes else f"torch.stack(({c.code}, {s.code}), -1)"
            return [Operand(both, (*axes, whole))]
        x = emit.named(operands[0])
        axes = tuple(whole if a == half else a for a in x.axes)
        return [Operand(f"torch.cat(({'-' * self.opposed}{x.atom}, {x.code}), {axes.index(whole)})", axes)]


def turn(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with turns as boxes."""
    region = Region(diagram)
    told: set[int | None] = set()
    tables = _Tables(region)
    for i, node in enumerate(diagram.nodes):
        if node.op.word != "cat" or len(node.own) != 2 or len(node.ports) != 2:
            continue
        found = _turn(region, node.ports[0], node.ports[1], node.own[0], node.own[1])
        if found is None:
            continue
        x, c, s = found
        single = node.own[0] not in c.axes
        if single == (node.own[0] in s.axes) or (single and solution.size(diagram.sizes[node.own[0]]).constant() != 1):
            continue
        own = (node.own[1], node.own[0])
        made = [(Table(), (c, s))] if single else [(Table(), (c,)), (Table(True), (s,))]
        region.at = i
        ports = [tables.port(op, own, read, node) for op, read in made]
        region.nodes[i] = replace(node, op=Turn(), own=own, ports=(x, *ports))
        note = Note("turn", "turns of pairs of features take one pass" + (", as products of complex numbers" if single else ""), node.span)
        if note.line not in told:
            told.add(note.line)
            notes.append(note)
    return region.built() if told else diagram


class _Tables:
    """Tables that have been made, each once."""

    def __init__(self, region: Region):
        self.region = region
        self.made: dict[object, tuple[Port, dict[object, str]]] = {}

    def port(self, op: Table, own: tuple[str, ...], read: Sequence[Port], like: Node) -> Port:
        """The wire of a table of what is read, under the names that it has here."""
        names: dict[object, str] = {(p.wire, a): b for p in read for a, b in p.renames if b != own[1]}
        names["whole"] = own[0]
        first = {b: k for k, (_, b) in enumerate((p, b) for p in read for _, b in p.renames)}
        key = (op, tuple(p.wire for p in read), tuple((a, first[b]) for p in read for a, b in p.renames))
        if key not in self.made:
            axes = tuple(dict.fromkeys(b for p in read for b in p.axes if b != own[1]))
            made = self.region.add(op, own, read, like)
            self.made[key] = Port(made.wire, tuple((a, a) for a in (*axes, own[0]))), names
        port, before = self.made[key]
        table = {before[k]: names[k] for k in names}
        return Port(port.wire, tuple((a, table[b]) for a, b in port.renames))


def _turn(region: Region, first: Port, second: Port, half: str, whole: str) -> tuple[Port, Port, Port] | None:
    """What is turned, and by which cosine and sine."""
    minus, plus = region.source(first), region.source(second)
    if minus is None or plus is None or minus.op.word != "-" or plus.op.word != "+" or minus.own or plus.own:
        return None
    for a, c in _factors(region, minus.ports[0]):
        for b, s in _factors(region, minus.ports[1]):
            x = _half(region, a, half, whole, 0)
            if x is None or not _same(x, _half(region, b, half, whole, 1)):
                continue
            for one, other in (plus.ports, plus.ports[::-1]):
                if any(_same(a, p) and _same(s, q) for p, q in _factors(region, one)) and any(_same(b, p) and _same(c, q) for p, q in _factors(region, other)):
                    return x, c, s
    return None


def _factors(region: Region, port: Port) -> Iterator[tuple[Port, Port]]:
    """The two factors of a product, in both orders."""
    node = region.source(port)
    if node is not None and node.op.word in ("*", "dot") and len(node.ports) == 2 and not node.own:
        yield node.ports[0], node.ports[1]
        yield node.ports[1], node.ports[0]


def _half(region: Region, port: Port, half: str, whole: str, which: int) -> Port | None:
    """What a wire is the given half of."""
    made = region.diagram.producer.get(port.wire)
    node = None if made is None else region.nodes[made[0]]
    if node is None or made is None or node.op.word != "halves" or made[1] != which:
        return None
    table = dict(port.renames)
    if table.get(node.own[1]) != half:
        return None
    return Port(node.ports[0].wire, tuple((a, whole if b == node.own[0] else table[b]) for a, b in node.ports[0].renames))


def _same(a: Port, b: Port | None) -> bool:
    return b is not None and a.wire == b.wire and dict(a.renames) == dict(b.renames)
