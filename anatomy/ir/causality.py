"""Which input positions an output position depends on: proved on the graph, with masks recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.ir.op import Op
from anatomy.ir.places import Bounds, Pairs, Place, Ways, close, later, weakest
from anatomy.ir.strands import strands, tokens

Token = tuple[int, str]
"""An axis of tokens: which input, and the axis."""
Affine = Mapping[Place, Fraction]
"""A sum of positions: the slope of each place, and the constant under `ONE`."""
ONE = Place(())

KEEP_ZERO = frozenset(
    ["neg", "sqrt", "abs", "sign", "floor", "tanh", "relu", "gelu", "silu", "elu", "sin", "square", "stop"]
)  # f(0) = 0
INFINITY_TO_ZERO = frozenset({"exp", "sigmoid", "relu", "softplus"})  # f(-inf) = 0


@dataclass(frozen=True)
class _Fact:
    """What is known of a wire.

    `sees`: for each token axis of an input that the wire depends on, the ways in which it sees positions.
    `zero`, `floor`: the entry is 0, or -inf, wherever one of the pairs fails. `holds`: a mask that is false
    wherever one of the pairs fails. `affine`: what its entries are as a sum of positions.
    `positive`: a number greater than 0.
    """

    sees: Mapping[Token, Ways] = field(default_factory=dict)
    zero: Pairs = frozenset()
    floor: Pairs = frozenset()
    holds: Pairs = frozenset()
    affine: Affine | None = None
    positive: bool = False


@dataclass(frozen=True)
class Reach:
    """`causal`: no output position depends on a later input position. `local`: nor on an earlier one."""

    causal: bool
    local: bool


def reach(diagram: Diagram) -> Reach:
    """What is proved of the positions that outputs see; False means not proved.

    For every token axis t of an input and every output that depends on it there must be an axis s of the
    output, of the same strand as t where the output has one, such that only positions `t <= s` are seen
    (`t = s` for local). Values are taken as finite: 0 * inf is not considered.
    """
    facts: dict[int, _Fact] = {}
    marked = tokens(diagram)
    for k, item in enumerate(diagram.inputs):
        sees: dict[Token, Ways] = {(k, a): ({Place((a,)): True},) for j, a in marked if j == k}
        facts[item.wire] = _named(diagram, item.wire, _Fact(sees))
    for weight in diagram.weights:
        facts[weight.wire] = _Fact()
    for i in live(diagram):
        node = diagram.nodes[i]
        ports = [_seen(facts[p.wire], p) for p in node.ports]
        if node.op.body is not None:
            for wire, fact in zip(node.outs, _loop(opened(diagram, node, True), node, ports), strict=True):
                facts[wire] = _onto(fact, {*diagram.wires[wire].axes})
            continue
        fact = _box(node, ports)
        for wire, given in zip(node.outs, node.op.gives(node.own), strict=True):
            facts[wire] = _named(diagram, wire, _onto(fact, {*node.lifts, *given}))
    found = strands(diagram)
    causal = local = True
    for k, output in enumerate(diagram.outputs):
        fact = _seen(facts[output.port.wire], output.port)
        for (j, axis), ways in fact.sees.items():
            strand = found.wire(diagram.inputs[j].wire, axis)
            same = [a for a in output.layout if found.of["out", k, a] == strand]
            allowed = same or list(output.layout)
            causal = causal and any(all(Place((a,)) in way for way in ways) for a in allowed)
            local = local and any(all(way.get(Place((a,)), False) for way in ways) for a in allowed)
    return Reach(causal, local)


def _seen(fact: _Fact, port: Port) -> _Fact:
    """A fact under the axis names of the reader."""
    to = dict(port.renames)

    def pairs(given: Pairs) -> Pairs:
        return frozenset((a.renamed(to), b.renamed(to)) for a, b in given)

    sees = {t: tuple({a.renamed(to): same for a, same in way.items()} for way in ways) for t, ways in fact.sees.items()}
    affine = None if fact.affine is None else {a.renamed(to): c for a, c in fact.affine.items()}
    return _Fact(sees, pairs(fact.zero), pairs(fact.floor), pairs(fact.holds), affine, fact.positive)


def _onto(fact: _Fact, axes: set[str]) -> _Fact:
    """A fact restricted to the axes of one output wire."""

    def pairs(given: Pairs) -> Pairs:
        return frozenset((a, b) for a, b in given if axes.issuperset((*a.axes, *b.axes)))

    sees = {
        t: weakest(tuple({a: same for a, same in way.items() if axes.issuperset(a.axes)} for way in ways))
        for t, ways in fact.sees.items()
    }
    affine = fact.affine if fact.affine is not None and all(axes.issuperset(a.axes) for a in fact.affine) else None
    return _Fact(sees, pairs(fact.zero), pairs(fact.floor), pairs(fact.holds), affine, fact.positive)


def _box(node: Node, ports: list[_Fact]) -> _Fact:
    """The fact of a box's outputs, still with the axes that the box ends."""
    op = node.op
    zero = _zero(op, node, ports)
    # Where a product is 0 no factor is seen, so the pairs of one factor bound what the others see.
    product_of = zero if _name(op) in ("Multiply", "Contract") else frozenset()
    sees: dict[Token, Ways] = {}
    for k, fact in enumerate(ports):
        pairs = product_of | fact.zero | fact.floor
        for token, ways in fact.sees.items():
            here = tuple(_kept(op, node, k, close(way, pairs), ports) for way in ways)
            sees[token] = (*sees.get(token, ()), *here)
    sees = {t: weakest(tuple(close(way, zero) for way in ways)) for t, ways in sees.items()}
    return _Fact(sees, zero, _floor(op, node, ports), _holds(op, ports), _affine(op, node, ports), _positive(op, ports))


def _loop(body: Diagram, node: Node, ports: list[_Fact]) -> list[_Fact]:
    """The facts of a loop's results: of a carry is known what holds before every step, whichever step it is."""
    along, count = node.own[0], node.op.carries
    before = [_Fact(fact.sees) for fact in ports[:count]]
    while True:
        facts = {item.wire: fact for item, fact in zip(body.inputs, [*before, *ports[count:]], strict=True)}
        for inner in body.nodes:
            given = [_seen(facts[p.wire], p) for p in inner.ports]
            if inner.op.body is not None:
                made = _loop(opened(body, inner, True), inner, given)
            else:
                made = [_box(inner, given)] * len(inner.outs)
            for wire, fact in zip(inner.outs, made, strict=True):
                facts[wire] = _onto(fact, {*body.wires[wire].axes, along})
        ends = [_seen(facts[o.port.wire], o.port) for o in body.outputs]
        # One step later: what was seen at this position is now seen from a later one.
        after = [
            _Fact(_joined(fact.sees, {t: tuple(later(way, along) for way in ways) for t, ways in end.sees.items()}))
            for fact, end in zip(before, ends, strict=False)
        ]
        if after == before:
            return [*before, *ends[count:], *before]
        before = after


def _joined(a: Mapping[Token, Ways], b: Mapping[Token, Ways]) -> dict[Token, Ways]:
    return {t: weakest((*a.get(t, ()), *b.get(t, ()))) for t in {**a, **b}}


def _kept(op: Op, node: Node, port: int, bounds: Bounds, ports: list[_Fact]) -> Bounds:
    """Own axes are ended, mixed, walked along from the past, looked up, or put end to end."""
    own = set(node.own)
    if op.looks == "past":
        return {a: same and own.isdisjoint(a.axes) for a, same in bounds.items() if a.plain or own.isdisjoint(a.axes)}
    kept = {a: same for a, same in bounds.items() if own.isdisjoint(a.axes)}
    if op.looks == "lower":
        return kept | {Place(node.own[-1:]): False} if any(Place((a,)) in bounds for a in own) else kept
    if op.looks == "self":
        return bounds
    ended = op.takes(node.own, port, len(node.ports))[0]
    kept = {a: same for a, same in kept.items() if ended.isdisjoint(a.axes)}
    match _name(op):
        case "Gather" if port == 0 and Place(node.own) in bounds:
            at = ports[1].affine or {}
            return kept | {a: bounds[Place(node.own)] for a, slope in at.items() if len(at) == 1 and slope == 1 and a != ONE}
        case "Cat":
            (part,) = ended or ("",)
            return kept | {a.stretch(node.own[-1], port): same for a, same in bounds.items() if a.axes == (part,)}
        case _:
            return kept


def _named(diagram: Diagram, wire: int, fact: _Fact) -> _Fact:
    """Of an index is known where it points: there."""
    data = diagram.wires[wire]
    if data.kind.name != "index" or fact.affine is not None:
        return fact
    return replace(fact, affine={Place(data.axes, f"#{wire}"): Fraction(1)})


def _stretches(op: Op, node: Node, given: list[Pairs]) -> Pairs:
    """The pairs of what is put end to end: of each operand in its own stretch, and those that all have."""
    whole = node.own[-1]
    found = frozenset[tuple[Place, Place]].intersection(*given) if given else frozenset()
    kept = {(a, b) for a, b in found if {whole, *node.own}.isdisjoint((*a.axes, *b.axes))}
    for k, pairs in enumerate(given):
        part = tuple(op.takes(node.own, k, len(given))[0])
        kept |= {(a.stretch(whole, k), b) for a, b in pairs if part and a.axes == part and part[0] not in b.axes}
    return frozenset(kept)


def _name(op: Op) -> str:
    return type(op).__name__


def _zero(op: Op, node: Node, ports: list[_Fact]) -> Pairs:
    match _name(op):
        case "Multiply" | "Contract":
            return frozenset().union(*(f.zero for f in ports))
        case "Divide" | "Normalise" if getattr(op, "which", "") != "layernorm":
            return ports[0].zero
        case "Expand":
            return ports[0].zero
        case "Add" | "Subtract" | "Extremum":
            return ports[0].zero & ports[1].zero
        case "Map":
            zero = ports[0].zero if op.word in KEEP_ZERO else frozenset()
            return zero | (ports[0].floor if op.word in INFINITY_TO_ZERO else frozenset())
        case "Softmax" | "Sparsemax" | "Entmax" | "Sinkhorn":
            return ports[0].floor
        case "Where":
            if ports[2].affine == {ONE: 0}:
                return ports[0].holds | ports[1].zero
            return ports[1].zero & ports[2].zero
        case "Reduce" if op.word in ("sum", "mean"):
            return ports[0].zero
        case "Cat":
            return _stretches(op, node, [p.zero for p in ports])
        case _:
            return frozenset()


def _floor(op: Op, node: Node, ports: list[_Fact]) -> Pairs:
    match _name(op):
        case "Mask":
            return ports[0].holds | ports[1].floor
        case "Add":
            return ports[0].floor | ports[1].floor
        case "Subtract":
            return ports[0].floor
        case "Multiply":
            return frozenset().union(*(ports[k].floor for k in (0, 1) if ports[1 - k].positive))
        case "Divide" if ports[1].positive:
            return ports[0].floor
        case "Cat":
            return _stretches(op, node, [p.floor for p in ports])
        case "Expand":
            return ports[0].floor
        case _:
            return frozenset()


def _holds(op: Op, ports: list[_Fact]) -> Pairs:
    match op.word:
        case "and":
            return ports[0].holds | ports[1].holds
        case "or":
            return ports[0].holds & ports[1].holds
        case "<=" | "<":
            return _ordered(ports[0].affine, ports[1].affine)
        case "==":
            return _ordered(ports[0].affine, ports[1].affine) | _ordered(ports[1].affine, ports[0].affine)
        case "expand":
            return ports[0].holds
        case _:
            return frozenset()


def _ordered(small: Affine | None, large: Affine | None) -> Pairs:
    """Pairs that follow from `small <= large`, both sums of positions."""
    if small is None or large is None:
        return frozenset()
    slopes = {a: small.get(a, Fraction(0)) - large.get(a, Fraction(0)) for a in {*small, *large}}
    offset = slopes.pop(ONE, Fraction(0))
    slopes = {a: c for a, c in slopes.items() if c}
    if len(slopes) == 2 and sum(slopes.values()) == 0 and offset >= 0:
        low, high = sorted(slopes, key=lambda a: -slopes[a])
        return frozenset({(low, high)})
    return frozenset()


def _affine(op: Op, node: Node, ports: list[_Fact]) -> Affine | None:
    given = [p.affine for p in ports]
    match _name(op):
        case "Iota":
            return {Place(node.own): Fraction(1)}
        case "Literal":
            return {ONE: op.value}  # type: ignore[attr-defined]
        case "Map" if op.word == "neg" and given[0] is not None:
            return {a: -c for a, c in given[0].items()}
        case "Add" | "Subtract" if given[0] is not None and given[1] is not None:
            sign = 1 if _name(op) == "Add" else -1
            a, b = given
            return {k: a.get(k, Fraction(0)) + sign * b.get(k, Fraction(0)) for k in {*a, *b}}  # type: ignore[union-attr]
        case "Multiply" if given[0] is not None and given[1] is not None:
            for a, b in (given, given[::-1]):
                if set(a) <= {ONE}:  # type: ignore[arg-type]
                    factor = a.get(ONE, Fraction(0))  # type: ignore[union-attr]
                    return {k: c * factor for k, c in b.items()}  # type: ignore[union-attr]
            return None
        case _:
            return None


def _positive(op: Op, ports: list[_Fact]) -> bool:
    match _name(op):
        case "Literal":
            return op.value > 0  # type: ignore[attr-defined]
        case "Size":
            return True
        case "Map":
            return op.word == "exp" or (op.word in ("sqrt", "abs", "square") and ports[0].positive)
        case "Add" | "Multiply" | "Divide" | "Power":
            return all(p.positive for p in ports)
        case _:
            return False


# For those who fold boxes one by one, as `reach` does.
Fact = _Fact
seen, box, loop, onto = _seen, _box, _loop, _onto
