"""Where a rule applies: one side of it found in a diagram, backwards from its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

from anatomy.ir.builder import View
from anatomy.ir.equations import Settled, settle
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.live import live
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.language.program import Rule
from anatomy.ops import Contract

ASSOCIATIVE = (Contract,)
"""Commutative operations of which some operands may be grouped: `a + b` is found in `a + c + b`."""

Axes = Mapping[str, str]


@dataclass(frozen=True)
class Match:
    """One side of a rule (the left, or with `reverse` the right) found in a diagram.

    `nodes` gives for each box of that side the box that it is, `wires` for each parameter its wire, with its axes
    named as where the other side is to stand: those that the rule declares as in `axes`, all others (lifts, which
    the whole match is vectorised over) as on the wire `root`, which the other side replaces. `rest` are operands
    of the box of `root` that the match leaves out, where that box is a sum or a product of many.
    """

    rule: Rule
    reverse: bool
    root: int
    nodes: Mapping[int, int]
    wires: Mapping[str, View]
    axes: Axes
    sizes: Mapping[str, Poly]
    lifts: tuple[str, ...] = ()
    rest: tuple[Port, ...] = ()

    @property
    def pattern(self) -> Diagram:
        return self.rule.right if self.reverse else self.rule.left

    @property
    def replacement(self) -> Diagram:
        return self.rule.left if self.reverse else self.rule.right


def matches(diagram: Diagram, rule: Rule, reverse: bool = False, at: int | None = None) -> Iterator[Match]:
    """All places where a side of a rule stands in a diagram, in the order of its boxes.

    Boxes agree when their operations do, with equal attributes. Axes of one box of the rule go to different axes, its
    own to own ones; operands of a commutative box are tried in every order. A parameter is any wire of its kind, the
    same one under the same names wherever it is used. The lift condition: for every axis of the rule and every
    parameter, the wire has that axis if and only if the parameter declares it; every further axis is a lift of
    the whole match. An axis of the rule goes to one size, and its size equations must be provable here. A match is
    refused when the other side would have another type: when it drops a parameter with a lift that no
    other has, uses one that is not bound, or needs an axis whose size is not known. Only rules with one result
    match. Loops and holes match where they are the same box.

    `at` asks for matches whose result is made by that box only; without it, a side that is a bare parameter
    is not tried.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis m rule bias(s: [m], t: []): softmax[m](s + t) == softmax[m](s) "
    >>> text += "diagram f(x: [m], y: [m]) -> [m] { out softmax[m](2 + x) + softmax[m](x + y) }"
    >>> program = Program.of(Source("bias.anat", text))
    >>> [m.nodes for m in matches(program.get("f"), program.rule("bias"))]
    [{1: 2, 0: 1}]
    """
    pattern, other = (rule.right, rule.left) if reverse else (rule.left, rule.right)
    bound = {i.wire for i in pattern.inputs} & _used(pattern)
    used = _used(other)
    if len(pattern.outputs) != 1 or any(i.wire not in bound and j.wire in used for i, j in zip(pattern.inputs, other.inputs, strict=True)):
        return
    search = _Search(diagram, pattern, _pure(rule))
    for root, found, rest in search.roots(at):
        match = _complete(diagram, rule, reverse, other, search, root, found, rest)
        if match is not None:
            yield match


@dataclass(frozen=True, slots=True)
class _Bound:
    """A wire of the pattern: the wire that it is, its axes, and the names of the lifts that it has besides."""

    wire: int
    axes: Axes
    lifts: Axes


@dataclass(frozen=True, slots=True)
class _State:
    """What is settled so far."""

    nodes: dict[int, int] = field(default_factory=dict)
    tables: dict[int, Axes] = field(default_factory=dict)
    wires: dict[int, _Bound] = field(default_factory=dict)
    sizes: dict[str, Poly] = field(default_factory=dict)
    later: tuple[tuple[Poly, Poly], ...] = ()
    """Sizes in variables of the rule, each with the size that it must be here."""


class _Search:
    def __init__(self, target: Diagram, pattern: Diagram, pure: frozenset[str]):
        self.target, self.pattern, self.pure = target, pattern, pure
        self.settled: Settled = settle((e.left, e.right) for e in target.equations)
        self.inputs = pattern.input_of

    def roots(self, at: int | None) -> Iterator[tuple[int, _State, tuple[Port, ...]]]:
        """Every way to match, once: with the wire of the result and the operands left over."""
        result = self.pattern.outputs[0].port.wire
        nodes = self.target.nodes
        if result not in self.pattern.producer:
            yield from self._bare(result, at)
            return
        u, k = self.pattern.producer[result]
        box = self.pattern.nodes[u]
        kind = type(box.op)
        seen: set[object] = set()
        for v in range(len(nodes)) if at is None else (at,):
            node = nodes[v]
            if type(node.op) is not kind or node.op != box.op or k >= len(node.outs):
                continue
            for state, rest in self._root(u, v):
                key = (v, tuple(sorted(state.nodes.items())), self._bindings(state), rest)
                if key not in seen:
                    seen.add(key)
                    yield node.outs[k], state, rest

    def _bindings(self, state: _State) -> object:
        """What distinguishes a match, up to the choice of axes that the rule says nothing about."""
        wires = []
        for w in self.inputs:
            if w in state.wires:
                bound = state.wires[w]
                wires.append((w, bound.wire, tuple(sorted((a, b) for a, b in bound.axes.items() if a not in self.pure))))
        return tuple(wires)

    def _bare(self, result: int, at: int | None) -> Iterator[tuple[int, _State, tuple[Port, ...]]]:
        """A side that is one parameter: every result of the box that is asked for."""
        item = self.inputs.get(result)
        if at is None or item is None:
            return
        for wire in self.target.nodes[at].outs:
            have = self.target.wires[wire].axes
            for chosen in permutations(have, len(item.layout)):
                axes = dict(zip(item.layout, chosen, strict=True))
                state = self._bind(_State(), result, _Bound(wire, axes, {a: a for a in have if a not in chosen}))
                for found in [] if state is None else self._close(*state):
                    yield wire, found, ()

    def _root(self, u: int, v: int) -> Iterator[tuple[_State, tuple[Port, ...]]]:
        box, node = self.pattern.nodes[u], self.target.nodes[v]
        count = len(box.ports)
        more = count < len(node.ports) and not box.own and isinstance(box.op, ASSOCIATIVE)
        for chosen in self._orders(box, node, more):
            rest = tuple(p for k, p in enumerate(node.ports) if k not in chosen)
            held = {a for k in chosen for a in node.ports[k].axes}
            for table in self._tables(box, node, chosen, {}):
                image = set(table.values())
                lifts = {a: a for a in node.lifts if a in held and a not in image}
                for state in self._box(_State(), u, v, chosen, table, lifts):
                    wires = dict(state.wires)
                    wires[box.outs[0]] = _Bound(node.outs[0], {a: table[a] for a in self.pattern.wires[box.outs[0]].axes}, lifts)
                    yield replace(state, wires=wires), rest

    def _close(self, state: _State, goals: Sequence[tuple[int, int, _Bound]]) -> Iterator[_State]:
        """Match the boxes that made the wires in `goals`, one after the other."""
        if not goals:
            yield state
            return
        u, v, bound = goals[0]
        for found in self._node(state, u, v, bound):
            yield from self._close(found, goals[1:])

    def _node(self, state: _State, u: int, v: int, bound: _Bound) -> Iterator[_State]:
        if u in state.nodes:
            known = state.tables[u]
            if state.nodes[u] == v and all(known[a] == b for a, b in bound.axes.items()):
                yield state
            return
        box, node = self.pattern.nodes[u], self.target.nodes[v]
        for chosen in self._orders(box, node, False):
            for table in self._tables(box, node, chosen, bound.axes):
                yield from self._box(state, u, v, chosen, table, bound.lifts)

    def _box(self, state: _State, u: int, v: int, chosen: Sequence[int], table: Axes, lifts: Axes) -> Iterator[_State]:
        """Settle one box and go on with what made its operands."""
        box, node = self.pattern.nodes[u], self.target.nodes[v]
        state = replace(state, nodes={**state.nodes, u: v}, tables={**state.tables, u: table})
        for axis in box.own:
            sized = self._size(state, axis, table[axis])
            if sized is None:
                return
            state = sized
        goals: list[tuple[int, int, _Bound]] = []
        for port, k in zip(box.ports, chosen, strict=True):
            bound = self._seen(port, node.ports[k], table, lifts)
            step = None if bound is None else self._bind(state, port.wire, bound)
            if step is None:
                return
            state, more = step
            goals.extend(more)
        yield from self._close(state, goals)

    def _orders(self, box: Node, node: Node, more: bool) -> Iterator[tuple[int, ...]]:
        """Which operand is which, by what made them."""
        count, given = len(box.ports), len(node.ports)
        if len(box.own) != len(node.own) or (count != given and not more):
            return
        twice = [(i, j) for j, p in enumerate(box.ports) for i in range(j) if box.ports[i].wire == p.wire]
        fits = [{k for k in range(given) if self._alike(p.wire, node.ports[k].wire)} for p in box.ports]
        if not all(fits):
            return
        for chosen in permutations(range(given), count) if box.op.commutative else (tuple(range(count)),):
            if all(k in found for k, found in zip(chosen, fits, strict=True)) and all(
                node.ports[chosen[i]].wire == node.ports[chosen[j]].wire for i, j in twice
            ):
                yield chosen

    def _alike(self, mine: int, theirs: int) -> bool:
        made = self.pattern.producer.get(mine)
        if made is None:
            return self.pattern.wires[mine].kind.name == self.target.wires[theirs].kind.name
        there = self.target.producer.get(theirs)
        return there is not None and made[1] == there[1] and _same(self.pattern.nodes[made[0]].op, self.target.nodes[there[0]].op)

    def _tables(self, box: Node, node: Node, chosen: Sequence[int], known: Axes) -> Iterator[Axes]:
        """Injective maps of the axes of a box, own to own, such that each operand has what its counterpart has."""
        held = [set(node.ports[k].axes) for k in chosen]
        mine = [set(p.axes) for p in box.ports]
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

    def _seen(self, port: Port, there: Port, table: Axes, lifts: Axes) -> _Bound | None:
        """What an operand says of its wire; None where it breaks the lift condition."""
        outer = {inner: a for a, inner in there.renames}
        axes: dict[str, str] = {}
        for a, inner in port.renames:
            if table[inner] not in outer:
                return None
            axes[a] = outer.pop(table[inner])
        if any(inner not in lifts for inner in outer):
            return None
        return _Bound(there.wire, axes, {a: lifts[inner] for inner, a in outer.items()})

    def _bind(self, state: _State, wire: int, bound: _Bound) -> tuple[_State, list[tuple[int, int, _Bound]]] | None:
        """Bind a wire of the pattern; also the box that is to be matched for it."""
        if wire in state.wires:
            return (state, []) if state.wires[wire] == bound else None
        state = replace(state, wires={**state.wires, wire: bound})
        for a, b in bound.axes.items():
            sized = self._size(state, a, b)
            if sized is None:
                return None
            state = sized
        made = self.pattern.producer.get(wire)
        if made is not None:
            there = self.target.producer.get(bound.wire)
            if there is None or there[1] != made[1] or not _same(self.pattern.nodes[made[0]].op, self.target.nodes[there[0]].op):
                return None
            return state, [(made[0], there[0], bound)]
        kind, have = self.pattern.wires[wire].kind, self.target.wires[bound.wire].kind
        if wire not in self.inputs or kind.name != have.name:
            return None
        if kind.name == "index":
            sized = self._size(state, kind.axis, have.axis)
            return None if sized is None else (sized, [])
        return state, []

    # sizes ------------------------------------------------------------------------------------

    def _size(self, state: _State, axis: str, there: str) -> _State | None:
        """An axis of the pattern has the size of an axis here."""
        have = self.settled.of(self.target.sizes[there])
        want = self.pattern.sizes[axis]
        name = want.as_variable()
        if name is None:
            pair = (want, have)
            return state if pair in state.later else replace(state, later=(*state.later, pair))
        if name in state.sizes:
            return state if state.sizes[name] == have else None
        return replace(state, sizes={**state.sizes, name: have})


def _same(a: Op, b: Op) -> bool:
    return type(a) is type(b) and a == b


def _pure(rule: Rule) -> frozenset[str]:
    """Axes that no box of a rule works on, renames or has a size in common with: which one it is does not matter."""
    known: set[str] = set()
    for d in (rule.left, rule.right):
        for node in d.nodes:
            known.update(node.own)
            known.update(a for p in node.ports for pair in p.renames if pair[0] != pair[1] for a in pair)
        known.update(a for o in d.outputs for pair in o.port.renames if pair[0] != pair[1] for a in pair)
        known.update(w.kind.axis for w in d.wires)
        for axis, size in d.sizes.items():
            if size.as_variable() != axis:
                known.update((axis, *size.variables()))
        known.update(v for e in (*d.equations, *d.where) for p in (e.left, e.right) for v in p.variables())
    return frozenset(a for d in (rule.left, rule.right) for a in d.sizes if a not in known)


# the other side -------------------------------------------------------------------------------


def _complete(
    diagram: Diagram, rule: Rule, reverse: bool, other: Diagram, search: _Search, root: int, state: _State, rest: tuple[Port, ...]
) -> Match | None:  # fmt: skip
    """The match, if the other side can stand here with the same type."""
    pattern = search.pattern
    sizes = _sizes(pattern, other, state, search.settled)
    if sizes is None:
        return None
    result = state.wires[pattern.outputs[0].port.wire]
    axes = {inner: result.axes[outer] for outer, inner in pattern.outputs[0].port.renames}
    used = _used(other)
    lifts: set[str] = set()
    wires: dict[str, View] = {}
    names = _names(diagram, pattern, other, state, axes, sizes, root, rest)
    for mine, theirs in zip(pattern.inputs, other.inputs, strict=True):
        bound = state.wires.get(mine.wire)
        if bound is None:
            if theirs.wire in used:
                return None
            continue
        renames = {**{b: names[a] for a, b in bound.axes.items()}, **bound.lifts}
        wires[mine.name] = View(bound.wire, tuple((a, renames[a]) for a in diagram.wires[bound.wire].axes))
        if theirs.wire in used:
            lifts.update(bound.lifts.values())
    if lifts != set(result.lifts.values()):
        return None
    end = other.outputs[0].port.wire
    kind, had = other.wires[end].kind.name, pattern.wires[pattern.outputs[0].port.wire].kind.name
    if kind != had or diagram.wires[root].kind.name != kind:
        return None
    return Match(rule, reverse, root, state.nodes, wires, names, sizes, tuple(result.lifts.values()), rest)


def _used(d: Diagram) -> set[int]:
    """The wires that the result of a side depends on."""
    return {p.wire for i in live(d) for p in d.nodes[i].ports} | {o.port.wire for o in d.outputs}


def _sizes(pattern: Diagram, other: Diagram, state: _State, settled: Settled) -> dict[str, Poly] | None:
    """The size here of every axis of the other side; None where one is not known or an equation not proved."""
    known = state.sizes

    def proved(left: Poly, right: Poly) -> bool:
        both = left.variables() | right.variables()
        return both <= known.keys() and settled.of(left.substitute(known)) == settled.of(right.substitute(known))

    for want, have in state.later:
        if not want.variables() <= known.keys() or settled.of(want.substitute(known)) != have:
            return None
    if not all(proved(e.left, e.right) for e in (*pattern.equations, *other.equations)):
        return None
    sizes = {}
    for axis, size in other.sizes.items():
        if not size.variables() <= known.keys():
            return None
        sizes[axis] = settled.of(size.substitute(known))
    return sizes


def _names(
    diagram: Diagram, pattern: Diagram, other: Diagram, state: _State, given: Axes, sizes: Mapping[str, Poly], root: int, rest: Iterable[Port]
) -> dict[str, str]:  # fmt: skip
    """A name here for every axis of the other side: those of the result are given, no two are one."""
    names = {a: b for a, b in given.items() if a in other.sizes}
    taken = {*diagram.wires[root].axes, *(a for p in rest for a in p.axes), *names.values()}
    hints: dict[str, str] = {}
    for u, table in state.tables.items():
        for a in pattern.nodes[u].own:
            hints.setdefault(a, table[a])
    for item in pattern.inputs:
        if item.wire in state.wires:
            for a, b in state.wires[item.wire].axes.items():
                hints.setdefault(a, b)
    for axis in (*other.sizes, *pattern.sizes):
        if axis in names:
            continue
        size = sizes.get(axis)
        word = hints.get(axis, axis)
        free = word not in taken and (size is None or word not in diagram.sizes or diagram.sizes[word] == size)
        k = len(diagram.sizes)
        while not free:
            word = f"{word.partition('~')[0]}~{k}"
            free = word not in taken and word not in diagram.sizes
            k += 1
        names[axis] = word
        taken.add(word)
    return names
