"""One diagram found in another, backwards from its result: boxes, wires, axes and sizes, tried in every way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import permutations

from anatomy.ir.graph import Diagram, Kind, Node, Port
from anatomy.ir.poly import Poly
from anatomy.ir.quantity import Quantity
from anatomy.ops import Literal, Map
from anatomy.rewrites.finite import lows
from anatomy.rewrites.grouping import MOST, Groups, flat, shared_out
from anatomy.rewrites.instance import BINARY, Unary, formulas, free
from anatomy.rewrites.unknowns import constant, solved

Axes = Mapping[str, str]
STEPS = 4_000
"""Ways to match one box that are tried at one root, and a fifth of the orders of operands; a rule of many like operands in a sum of many has millions."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A wire of the pattern: the wire that it is, its axes, and the names of the lifts that it has besides."""

    wire: int
    axes: Axes
    lifts: Axes


@dataclass(frozen=True, slots=True)
class State:
    """What is settled so far; `tables` are the axes of boxes."""

    nodes: dict[int, int] = field(default_factory=dict)
    tables: dict[int, Axes] = field(default_factory=dict)
    wires: dict[int, Bound] = field(default_factory=dict)
    sizes: dict[str, Poly] = field(default_factory=dict)
    later: tuple[tuple[Poly, Poly], ...] = ()
    """Sizes in variables of the rule, each with the size that it must be here."""
    numbers: Mapping[str, Fraction] = field(default_factory=dict)
    maps: Mapping[str, Unary] = field(default_factory=dict)
    owed: tuple[tuple[Quantity, Fraction], ...] = ()
    """Formulas in numbers of the rule, each with the value that it must have."""


class Search:
    """All ways in which one side of a rule stands in a diagram, at most `STEPS` of them looked at for each root.

    `whole` are the numbers of the rule that are integers.
    """

    def __init__(self, target: Diagram, pattern: Diagram, pure: frozenset[str], grouped: bool, whole: frozenset[str] = frozenset()):
        self.target, self.pattern, self.pure, self.grouped, self.whole = target, pattern, pure, grouped, whole
        self.open = {i: formulas(n.op) for i, n in enumerate(pattern.nodes) if free(n.op) or formulas(n.op)}
        self.steps, self.orders = STEPS, 5 * STEPS
        self.groups = Groups(target)
        self.inputs = pattern.input_of

    def roots(self, at: int | None) -> Iterator[tuple[int, State, tuple[Port, ...]]]:
        """Every way to match, once: with the wire of the result and the operands left over."""
        result = self.pattern.outputs[0].port.wire
        nodes = self.target.nodes
        if result not in self.pattern.producer:
            yield from self._bare(result, at)
            return
        u, k = self.pattern.producer[result]
        seen: set[object] = set()
        for v in self._like(u) if at is None else (at,):
            node = nodes[v]
            if not self._same(u, v) or k >= len(node.outs):
                continue
            self.steps, self.orders = STEPS, 5 * STEPS
            for state, rest in self._root(u, v):
                if any(q.at(state.numbers) != value for q, value in state.owed):
                    continue
                key = (v, tuple(sorted(state.nodes.items())), self._bindings(state), rest)
                if key not in seen:
                    seen.add(key)
                    yield node.outs[k], state, rest

    def _like(self, u: int) -> Sequence[int]:
        """The boxes here that one of the pattern may be."""
        op, table = self.pattern.nodes[u].op, self.target.by_op
        if free(op):
            return sorted(v for kind in (Map, *BINARY) for v in table.get(kind, ()))
        if isinstance(op, Literal) and u in self.open:
            return sorted(v for kind in (Literal, Map, *BINARY) for v in table.get(kind, ()))
        return table.get(type(op), ())

    def _same(self, u: int, v: int) -> bool:
        """Whether a box of the pattern may be a box here, by their operations."""
        mine, theirs = self.pattern.nodes[u].op, self.target.nodes[v].op
        if u not in self.open:
            return type(mine) is type(theirs) and mine == theirs
        if free(mine):
            return isinstance(theirs, Map) or (isinstance(theirs, BINARY) and any(not p.renames for p in self.target.nodes[v].ports))
        if isinstance(mine, Literal):
            return constant(self.target, self.target.nodes[v].outs[0]) is not None
        return type(mine) is type(theirs) and all(k in self.open[u] or getattr(theirs, k) == x for k, x in vars(mine).items())

    def _bindings(self, state: State) -> object:
        """What distinguishes a match, up to the choice of axes that the rule says nothing about."""
        wires = []
        for w in self.inputs:
            if w in state.wires:
                bound = state.wires[w]
                wires.append((w, bound.wire, tuple(sorted((a, b) for a, b in bound.axes.items() if a not in self.pure))))
        return tuple(wires)

    def _bare(self, result: int, at: int | None) -> Iterator[tuple[int, State, tuple[Port, ...]]]:
        """A side that is one parameter: every result of the box that is asked for."""
        item = self.inputs.get(result)
        if at is None or item is None:
            return
        for wire in self.target.nodes[at].outs:
            have = self.target.wires[wire].axes
            for chosen in permutations(have, len(item.layout)):
                axes = dict(zip(item.layout, chosen, strict=True))
                state = self._bind(State(), result, Bound(wire, axes, {a: a for a in have if a not in chosen}))
                for found in [] if state is None else self._close(*state):
                    yield wire, found, ()

    def _root(self, u: int, v: int) -> Iterator[tuple[State, tuple[Port, ...]]]:
        box, node = self.pattern.nodes[u], self.target.nodes[v]
        for ports, operands, rest in self._orders(box, node, True):
            held = {a for p in operands for a in p.axes}
            for table in self._tables(box, node, ports, operands, {}):
                image = set(table.values())
                lifts = {a: a for a in node.lifts if a in held and a not in image}
                for state in self._box(State(), u, v, ports, operands, table, lifts):
                    made = {w: Bound(out, {a: table[a] for a in self.pattern.wires[w].axes}, lifts) for w, out in zip(box.outs, node.outs, strict=True)}
                    yield replace(state, wires={**state.wires, **made}), rest

    def _close(self, state: State, goals: Sequence[tuple[int, int, Bound]]) -> Iterator[State]:
        """Match the boxes that made the wires in `goals`, one after the other."""
        if not goals:
            yield state
            return
        u, v, bound = goals[0]
        for found in self._node(state, u, v, bound):
            yield from self._close(found, goals[1:])

    def _node(self, state: State, u: int, v: int, bound: Bound) -> Iterator[State]:
        if u in state.nodes:
            known = state.tables[u]
            outs = [state.wires[w] for w in self.pattern.nodes[u].outs if w in state.wires]
            if state.nodes[u] == v and all(known[a] == b for a, b in bound.axes.items()) and all(o.lifts == bound.lifts for o in outs):
                yield state
            return
        box, node = self.pattern.nodes[u], self.target.nodes[v]
        for ports, operands, _ in self._orders(box, node, False):
            for table in self._tables(box, node, ports, operands, bound.axes):
                yield from self._box(state, u, v, ports, operands, table, bound.lifts)

    def _box(
        self, state: State, u: int, v: int, ports: Sequence[Port], operands: Sequence[Port], table: Axes, lifts: Axes
    ) -> Iterator[State]:
        """Settle one box and go on with what made its operands."""
        box = self.pattern.nodes[u]
        self.steps -= 1
        if self.steps < 0:
            return
        state = replace(state, nodes={**state.nodes, u: v}, tables={**state.tables, u: table})
        if u in self.open:
            settled = self._settle(state, u, v, operands)
            if settled is None:
                return
            state = settled
        for axis in box.own:
            sized = self._size(state, axis, table[axis])
            if sized is None:
                return
            state = sized
        goals: list[tuple[int, int, Bound]] = []
        for port, operand in zip(ports, operands, strict=True):
            bound = self._seen(port, operand, table, lifts)
            step = None if bound is None else self._bind(state, port.wire, bound)
            if step is None:
                return
            state, more = step
            goals.extend(more)
        yield from self._close(state, goals)

    def _orders(self, box: Node, node: Node, top: bool) -> Iterator[tuple[tuple[Port, ...], tuple[Port, ...], tuple[Port, ...]]]:
        """Which operand is which, by what made them: operands of the pattern, of the box here, and those left over."""
        if isinstance(box.op, Literal):
            yield (), (), ()
            return
        if free(box.op):
            for p in node.ports:
                others = [q for q in node.ports if q is not p]
                if all(not q.renames for q in others) and self._alike(box.ports[0].wire, p.wire):
                    yield box.ports, (p,), ()
            return
        if len(box.own) != len(node.own):
            return
        if len(box.ports) == len(node.ports):
            count = len(box.ports)
            fits = [[self._alike(p.wire, q.wire) for q in node.ports] for p in box.ports]
            for chosen in permutations(range(count)) if box.op.commutative else (tuple(range(count)),):
                if all(fits[i][k] for i, k in enumerate(chosen)):
                    operands = tuple(node.ports[k] for k in chosen)
                    if self._twice(box.ports, operands):
                        yield box.ports, operands, ()
        if not self.grouped or not box.op.commutative:
            return
        ports, operands = flat(self.pattern, box, True), flat(self.target, node)
        if len(ports) > len(operands) or len(operands) > MOST:
            return
        if len(operands) > len(node.ports) or len(operands) > len(box.ports) or len(ports) > len(box.ports):
            taking = [p.wire in self.inputs for p in ports]
            for given, rest in shared_out(self.groups, node, operands, taking, top):
                self.orders -= 1
                if self.orders < 0:
                    return
                if all(self._alike(p.wire, q.wire) for p, q in zip(ports, given, strict=True)) and self._twice(ports, given):
                    yield ports, given, rest

    def _twice(self, ports: Sequence[Port], operands: Sequence[Port]) -> bool:
        """A wire that the pattern reads twice is one wire."""
        seen: dict[int, int] = {}
        return all(seen.setdefault(p.wire, q.wire) == q.wire for p, q in zip(ports, operands, strict=True))

    def _alike(self, mine: int, theirs: int) -> bool:
        made = self.pattern.producer.get(mine)
        if made is None:
            return readable(self.pattern.wires[mine].kind, self.groups.wire(theirs).kind)
        there = self.target.producer.get(theirs)
        return there is not None and made[1] == there[1] and self._same(made[0], there[0])

    def _tables(self, box: Node, node: Node, ports: Sequence[Port], operands: Sequence[Port], known: Axes) -> Iterator[Axes]:
        """Injective maps of the axes of a box, own to own, such that each operand has what its counterpart has."""
        held = [set(p.axes) for p in operands]
        mine = [set(p.axes) for p in ports]
        own = dict(zip(box.own, node.own, strict=True)) if not box.op.symmetric else {}

        def fits(a: str, b: str) -> bool:
            return all((a in x) == (b in y) for x, y in zip(mine, held, strict=True))

        axes = (*box.own, *box.lifts)

        def extend(table: dict[str, str], k: int) -> Iterator[Axes]:
            if k == len(axes):
                yield dict(table)
                return
            a = axes[k]
            place = node.own if a in box.own else node.lifts
            fixed = known.get(a) or own.get(a)
            if a in own and known.get(a, own[a]) != own[a]:
                return
            for b in place if fixed is None else (fixed,):
                if b in place and b not in table.values() and (fixed is not None or b not in known.values()) and fits(a, b):
                    table[a] = b
                    yield from extend(table, k + 1)
                    del table[a]

        yield from extend({}, 0)

    def _seen(self, port: Port, there: Port, table: Axes, lifts: Axes) -> Bound | None:
        """What an operand says of its wire; None where it breaks the lift condition."""
        outer = {inner: a for a, inner in there.renames}
        axes: dict[str, str] = {}
        for a, inner in port.renames:
            if table[inner] not in outer:
                return None
            axes[a] = outer.pop(table[inner])
        if any(inner not in lifts for inner in outer):
            return None
        return Bound(there.wire, axes, {a: lifts[inner] for inner, a in outer.items()})

    def _bind(self, state: State, wire: int, bound: Bound) -> tuple[State, list[tuple[int, int, Bound]]] | None:
        """Bind a wire of the pattern; also the box that is to be matched for it."""
        if wire in state.wires:
            return (state, []) if state.wires[wire] == bound else None
        state = replace(state, wires={**state.wires, wire: bound})
        group = self.groups.by_wire[bound.wire].named if bound.wire >= len(self.target.wires) else None
        for a, b in bound.axes.items():
            sized = self._size(state, a, group[b] if group else b)
            if sized is None:
                return None
            state = sized
        made = self.pattern.producer.get(wire)
        if made is not None:
            there = self.target.producer.get(bound.wire)
            if there is None or there[1] != made[1] or not self._same(made[0], there[0]):
                return None
            return state, [(made[0], there[0], bound)]
        kind, have = self.pattern.wires[wire].kind, self.groups.wire(bound.wire).kind
        if wire not in self.inputs or not readable(kind, have):
            return None
        if kind.name == "index":
            sized = self._size(state, kind.axis, have.axis)
            return None if sized is None else (sized, [])
        return state, []

    # numbers and maps -------------------------------------------------------------------------

    def _settle(self, state: State, u: int, v: int, operands: Sequence[Port]) -> State | None:
        """What the pattern leaves open at a box is what stands here."""
        op, node = self.pattern.nodes[u].op, self.target.nodes[v]
        if isinstance(op, Map):
            found = self._unary(node, operands[0])
            known = state.maps.get(op.function)
            if found is None or (known is not None and known != found):
                return None
            return replace(state, maps={**state.maps, op.function: found})
        for name, formula in self.open[u].items():
            value = constant(self.target, node.outs[0]) if isinstance(op, Literal) else getattr(node.op, name)
            if value is None or isinstance(value, Quantity):
                return None
            more = solved(formula, Fraction(value), state.numbers)
            if more is None:
                state = replace(state, owed=(*state.owed, (formula, Fraction(value))))
                continue
            if any(x.denominator != 1 for n, x in more.items() if n in self.whole):
                return None
            state = replace(state, numbers={**state.numbers, **more})
            if formula.at(state.numbers) != value:
                return None
        return state

    def _unary(self, node: Node, operand: Port) -> Unary | None:
        """A box as a function of one of its operands."""
        if free(node.op):
            return None
        if len(node.ports) == 1:
            return Unary(node.op)
        place = next(k for k, p in enumerate(node.ports) if p is operand)
        other = node.ports[1 - place].wire
        if node.op.commutative:
            place = 0
        number = constant(self.target, other)
        if other in lows(self.target):
            return None
        return Unary(node.op, place, number, None if number is not None else other, other)

    # sizes ------------------------------------------------------------------------------------

    def _size(self, state: State, axis: str, there: str) -> State | None:
        """An axis of the pattern has the size of an axis here."""
        have = self.target.settled.of(self.target.sizes[there])
        want = self.pattern.sizes[axis]
        name = want.as_variable()
        if name is None:
            pair = (want, have)
            return state if pair in state.later else replace(state, later=(*state.later, pair))
        if name in state.sizes:
            return state if state.sizes[name] == have else None
        return replace(state, sizes={**state.sizes, name: have})


def readable(kind: Kind, have: Kind) -> bool:
    """Whether a parameter of one kind may be a wire of another: indices read as reals."""
    return kind.name == have.name or (kind.name, have.name) == ("real", "index")
