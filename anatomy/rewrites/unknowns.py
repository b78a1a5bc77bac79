"""Numbers of a diagram that are known, and formulas solved for what they leave open."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from anatomy.ir.graph import Diagram
from anatomy.ir.quantity import Quantity
from anatomy.ops import Add, Divide, Literal, Map, Multiply, Subtract


def constant(diagram: Diagram, wire: int, depth: int = 4) -> Fraction | None:
    """The number that a wire holds, where it is a literal or made of such by a sign or one of the four operations.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> f = Program.of(Source("f.anat", "diagram f(x: []) -> [] { out x * (-1 / 3) }")).get("f")
    >>> [constant(f, w) for w in range(len(f.wires))]
    [None, Fraction(1, 1), Fraction(-1, 1), Fraction(3, 1), Fraction(-1, 3), None]
    """
    made = diagram.producer.get(wire)
    if made is None or depth < 0:
        return None
    node = diagram.nodes[made[0]]
    if isinstance(node.op, Literal):
        return node.op.value if isinstance(node.op.value, Fraction) else None
    if not isinstance(node.op, Add | Subtract | Multiply | Divide) and not (isinstance(node.op, Map) and node.op.function == "neg"):
        return None
    given = [constant(diagram, p.wire, depth - 1) for p in node.ports]
    if any(x is None for x in given):
        return None
    known = [x for x in given if x is not None]
    match node.op.word:
        case "neg":
            return -known[0]
        case "+":
            return known[0] + known[1]
        case "-":
            return known[0] - known[1]
        case "*":
            return known[0] * known[1]
    return known[0] / known[1] if known[1] else None


def solved(formula: Quantity, value: Fraction, known: Mapping[str, Fraction]) -> dict[str, Fraction] | None:
    """The values of the variables under which a formula has a value, where one is open and stands once.

    >>> c = Quantity("variable", ("c",))
    >>> solved(Quantity("-", (Quantity.of(1), c)), Fraction(1, 4), {})
    {'c': Fraction(3, 4)}
    """
    if formula.form == "variable":
        return {} if formula.parts[0] in known else {str(formula.parts[0]): value}
    a, b = (p for p in formula.parts if isinstance(p, Quantity)) if len(formula.parts) == 2 else (None, None)
    if a is None or b is None:
        return {}
    x, y = a.at(known), b.at(known)
    if x is not None and y is not None:
        return {}
    if x is None and y is None:
        return None
    match formula.form:
        case "+":
            return solved(a, value - y, known) if x is None and y is not None else solved(b, value - x, known)  # type: ignore[operator]
        case "-":
            return solved(a, value + y, known) if x is None and y is not None else solved(b, x - value, known)  # type: ignore[operator]
        case "*":
            other = y if x is None else x
            return solved(a if x is None else b, value / other, known) if other else None
        case "/" if x is None and y is not None:
            return solved(a, value * y, known)
        case "/" if value and x is not None:
            return solved(b, x / value, known)
    return None
