"""A side of a rule with its numbers and maps settled: what a match found, or what verification chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction

from anatomy.ir.graph import Diagram, Input, Node, Port, Wire
from anatomy.ir.op import Op, Problem
from anatomy.ir.quantity import Quantity
from anatomy.ops import Add, Divide, Extremum, Literal, Map, Multiply, Power, Subtract
from anatomy.ops.elementwise import CODE

BINARY = (Add, Subtract, Multiply, Divide, Power, Extremum)
"""Operations of two reals, which are maps of one where the other has no axes."""
KEEPS_ZERO = frozenset({"neg", "sqrt", "abs", "sign", "floor", "tanh", "relu", "gelu", "silu", "elu", "sin", "square", "stop"})


class Unfit(Exception):
    """There is no box with this attribute."""


@dataclass(frozen=True)
class Unary:
    """A function of one real: a map, or an operation with one operand at `place` and beside it a number or a wire without axes."""

    op: Op
    place: int = 0
    number: Fraction | None = None
    wire: int | None = None
    """Here, the wire beside the operand; of two with the same number either will do."""
    source: int | None = field(default=None, compare=False)

    @property
    def vanishes(self) -> bool:
        """Whether it is known to give 0 for 0."""
        c = self.number
        match self.op:
            case Map(function=name):
                return name in KEEPS_ZERO or name.startswith("map0")
            case Multiply():
                return True
            case Add():
                return c == 0
            case Subtract():
                return c == 0
            case Divide():
                return self.place == 0 and c is not None and c != 0
            case Power():
                return self.place == 0 and c is not None and c > 0
            case Extremum():
                return c is not None and (c <= 0 if self.op.word == "max" else c >= 0)
        return False


def free(op: Op) -> bool:
    """Whether it is a map that a rule leaves open."""
    return isinstance(op, Map) and op.function not in CODE


def formulas(op: Op) -> dict[str, Quantity]:
    """The attributes that a rule leaves open."""
    return {k: v for k, v in vars(op).items() if isinstance(v, Quantity)} if vars(op) else {}


def settled_op(op: Op, numbers: Mapping[str, Fraction]) -> Op:
    """The operation with its attributes known. Raises Unfit where one is not, or is no integer where it must be."""
    given = formulas(op)
    if not given:
        return op
    whole = {f.name for f in fields(op) if f.type == "int"}  # type: ignore[arg-type]
    values: dict[str, Fraction | int] = {}
    for name, formula in given.items():
        value = formula.at(numbers)
        if value is None or (name in whole and value.denominator != 1):
            raise Unfit(f"there is no `{op.word}` with `{name}={value}`")
        values[name] = int(value) if name in whole else value
    return replace(op, **values)  # type: ignore[type-var]


def instance(diagram: Diagram, numbers: Mapping[str, Fraction], maps: Mapping[str, Unary]) -> tuple[Diagram, tuple[int, ...]]:
    """The side with its variables settled, and the wires outside that its maps read, which are further inputs of it.

    Raises Unfit where an attribute has no such value.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> rule = Program.of(Source("r.anat", "rule r(x: [], c: number, f: map): f(x) * c == f(x) * c")).rule("r")
    >>> [n.op.word for n in instance(rule.left, {"c": Fraction(-1, 2)}, {"f": Unary(Map("exp"))})[0]]
    ['exp', '0.5', 'neg', '*']
    """
    if not any(free(n.op) or formulas(n.op) for n in diagram.nodes):
        return diagram, ()
    wires, nodes, inputs = list(diagram.wires), list[Node](), list(diagram.inputs)
    outside: dict[int, int] = {}

    def fresh() -> int:
        wires.append(Wire(()))
        return len(wires) - 1

    for node in diagram.nodes:
        if isinstance(node.op, Literal) and (formula := formulas(node.op).get("value")) is not None:
            value = formula.at(numbers)
            if value is None:
                raise Unfit("a number is not known")
            if value < 0:
                made = fresh()
                nodes += [replace(node, op=Literal(-value), outs=(made,)), replace(node, op=Map("neg"), ports=(Port(made, ()),))]
            else:
                nodes.append(replace(node, op=Literal(value)))
        elif free(node.op) and isinstance(node.op, Map) and node.op.function in maps:
            f = maps[node.op.function]
            if f.number is None and f.wire is None:
                nodes.append(replace(node, op=f.op))
                continue
            if f.source is not None and f.source in outside:
                beside = outside[f.source]
            elif f.source is not None:
                beside = outside[f.source] = fresh()
                inputs.append(Input(f"map {node.op.function}", beside, ()))
            else:
                beside = fresh()
                assert f.number is not None
                nodes.append(Node(Literal(f.number), (), (), (beside,), node.span, node.frame))
            other = Port(beside, ())
            nodes.append(replace(node, op=f.op, ports=(node.ports[0], other) if f.place == 0 else (other, node.ports[0])))
        else:
            op = settled_op(node.op, numbers)
            if op is not node.op:
                try:
                    op.check(node.own, [p.axes for p in node.ports])
                except Problem as problem:
                    raise Unfit(str(problem)) from None
            nodes.append(node if op is node.op else replace(node, op=op))
    return replace(diagram, inputs=tuple(inputs), wires=tuple(wires), nodes=tuple(nodes)), tuple(outside)
