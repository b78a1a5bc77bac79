"""Where a rule applies: one side of it found in a diagram, backwards from its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from anatomy.ir.builder import View
from anatomy.ir.graph import Diagram, Port
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.language.program import Rule
from anatomy.ops import Gather
from anatomy.rewrites.conditions import Place, unproved
from anatomy.rewrites.finite import blocking
from anatomy.rewrites.grouping import Group
from anatomy.rewrites.instance import Unary, Unfit, formulas, free, instance
from anatomy.rewrites.sizing import sizings
from anatomy.rewrites.unify import Axes, Search, State


@dataclass(frozen=True)
class Match:
    """One side of a rule (the left, or with `reverse` the right) found in a diagram.

    `nodes` gives for each box of that side the box that it is, `wires` for each parameter its wire, with its axes
    named as where the other side is to stand: those that the rule declares as in `axes`, all others (lifts, which
    the whole match is vectorised over) as on the wire `root`, which the other side replaces. `rest` are operands
    of the sum or product at `root` that the match leaves out, under the names of its box; `groups` are wires that have
    yet to be made from operands. `numbers` and `maps` are what the rule leaves open besides wires.
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
    groups: tuple[Group, ...] = ()
    numbers: Mapping[str, Fraction] = field(default_factory=dict)
    maps: Mapping[str, Unary] = field(default_factory=dict)

    @property
    def pattern(self) -> Diagram:
        return self.rule.right if self.reverse else self.rule.left

    @property
    def replacement(self) -> Diagram:
        return self.settled[0]

    @cached_property
    def settled(self) -> tuple[Diagram, tuple[int, ...]]:
        """The other side with its numbers and maps, and the wires here that are further inputs of it."""
        return instance(self.rule.left if self.reverse else self.rule.right, self.numbers, self.maps)


def matches(
    diagram: Diagram, rule: Rule, reverse: bool = False, at: int | None = None, grouped: bool = True, refused: list[str] | None = None
) -> Iterator[Match]:  # fmt: skip
    """All places where a side of a rule stands in a diagram, in the order of its boxes.

    Boxes agree when their operations do, with equal attributes. Axes of one box of the rule go to different axes, its
    own to own ones; operands of a commutative box are tried in every order, and those of a sum or product (also of a
    maximum, of a conjunction) with any brackets: a parameter may be several of them together, and where the whole
    rule is a sum it may be a part of a longer one. Without `grouped`, brackets are taken as they are. A parameter is any wire of its kind (a real one also an index), the
    same one under the same names wherever it is used. The lift condition: for every axis of the rule and every
    parameter, the wire has that axis if and only if the parameter declares it; every further axis is a lift of
    the whole match. An axis of the rule goes to one size, and its size equations must be provable here. A match is
    refused when the other side would have another type: when it drops a parameter with a lift that no
    other has, uses one that is not bound, or needs an axis whose size is not known. It is refused too where a parameter that
    must be a finite real is a wire that may hold -inf. Only rules with one result
    match, without weights, noise or holes of their own; a loop is one box, equal where its body is.

    A number of the rule is any attribute or literal that stands in its place (also `-2` and `1 / 3`), the same wherever
    it is used; a map is any function of one real, also a sum, product, power or maximum with a number or with a wire without axes.
    The conditions of the rule must be provable here; `refused` collects those that were not, where all else was in order.

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
    needed = {kind for kind, made in pattern.by_op.items() if not rule.variables or not all(free(pattern.nodes[i].op) for i in made)}
    if not needed <= diagram.by_op.keys() or not _usable(pattern, other) or not _determined(rule, pattern, other):
        return
    search = Search(diagram, pattern, _pure(rule), grouped, frozenset(v.name for v in rule.variables if v.kind == "integer"))
    for root, found, rest in search.roots(at):
        for sizes in sizings(pattern, other, found.sizes, found.later, diagram.settled):
            match = _complete(diagram, rule, reverse, other, search, root, found, sizes, rest)
            if match is not None and _allowed(match, diagram, {**sizes, **found.sizes}, refused) and blocking(diagram, match) is None:
                yield match


def _allowed(match: Match, diagram: Diagram, sizes: Mapping[str, Poly], refused: list[str] | None) -> bool:
    """Whether the other side exists with these numbers and maps, and the conditions are proved."""
    if match.rule.variables:
        try:
            made = match.settled[0]
        except Unfit:
            return False
        if any(free(n.op) for n in made.nodes):
            return False
    if match.rule.conditions:
        groups = {g.wire: g for g in match.groups}
        place = Place(diagram, sizes, match.numbers, match.maps, match.wires, match.axes, groups)
        failed = unproved(match.rule.conditions, place)
        if failed is not None:
            if refused is not None and failed.text not in refused:
                refused.append(failed.text)
            return False
    return True


def _usable(pattern: Diagram, other: Diagram) -> bool:
    """One result each, every parameter of the other side on this one too, and no box of its own that is not a function."""
    if any(len(d.outputs) != 1 or d.weights or d.holes or any(n.op.random for n in d.nodes) for d in (pattern, other)):
        return False
    mine, theirs = _used(pattern), _used(other)
    return all(i.wire in mine or j.wire not in theirs for i, j in zip(pattern.inputs, other.inputs, strict=True))


def _determined(rule: Rule, pattern: Diagram, other: Diagram) -> bool:
    """Whether what stands in the pattern says what each number and map of the other side is."""
    if not rule.variables:
        return True
    mine, theirs = ([q for n in d.nodes for q in formulas(n.op).values()] for d in (pattern, other))
    known: set[str] = set()
    for _ in rule.variables:
        for q in mine:
            unknown = set(q.names("variable")) - known
            known |= unknown if len(unknown) == 1 else set()
    maps = [{n.op.word for n in d.nodes if free(n.op)} for d in (pattern, other)]
    return maps[1] <= maps[0] and all(set(q.names("variable")) <= known for q in theirs)


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
    for c in rule.conditions:
        known.update(c.axes)
        known.update(v for side in (c.left, c.right) for q in side.leaves if isinstance(q.parts[0], Poly) for v in q.parts[0].variables())
    return frozenset(a for d in (rule.left, rule.right) for a in d.sizes if a not in known)


# the other side -------------------------------------------------------------------------------


def _complete(
    diagram: Diagram, rule: Rule, reverse: bool, other: Diagram, search: Search, root: int, state: State,
    sizes: Mapping[str, Poly], rest: tuple[Port, ...],
) -> Match | None:  # fmt: skip
    """The match, if the other side can stand here with the same type."""
    pattern = search.pattern
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
        wires[mine.name] = View(bound.wire, tuple((a, renames[a]) for a in search.groups.wire(bound.wire).axes))
        if theirs.wire in used:
            lifts.update(bound.lifts.values())
    if lifts != set(result.lifts.values()):
        return None
    end = other.outputs[0].port.wire
    kind, had = other.wires[end].kind.name, pattern.wires[pattern.outputs[0].port.wire].kind.name
    if kind != had or diagram.wires[root].kind.name != kind:
        return None
    looked = wires.get(_looked_up(other, end) or "")
    if kind == "real" and looked is not None and search.groups.wire(looked.wire).kind.name == "index":
        return None
    groups = tuple(search.groups.by_wire[v.wire] for v in wires.values() if v.wire in search.groups.by_wire)
    return Match(rule, reverse, root, state.nodes, wires, names, sizes, tuple(result.lifts.values()), rest, groups, state.numbers, state.maps)


def _looked_up(d: Diagram, wire: int) -> str | None:
    """The input whose entries a wire holds as they are: a real one that is bound to an index would give indices."""
    while wire in d.producer:
        node = d.nodes[d.producer[wire][0]]
        if not isinstance(node.op, Gather):
            return None
        wire = node.ports[0].wire
    return d.input_of[wire].name


def _used(d: Diagram) -> set[int]:
    """The wires that the result of a side depends on."""
    return {p.wire for i in live(d) for p in d.nodes[i].ports} | {o.port.wire for o in d.outputs}


def _names(
    diagram: Diagram, pattern: Diagram, other: Diagram, state: State, given: Axes, sizes: Mapping[str, Poly], root: int, rest: Iterable[Port]
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
