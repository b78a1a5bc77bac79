"""Whether each row of a mask has a true entry, and each row of masked scores a finite one, for all sizes.

For the axes of the row a position is guessed, the first, the last, or that of another axis of the same size; then the
predicate is a comparison of sums of positions and sizes, which holds where its least value is not negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.poly import Poly
from anatomy.ops import Literal
from anatomy.rewrites.finite import lows
from anatomy.rewrites.grouping import Group

Place = Mapping[str, Poly]
"""For every axis of a wire a position, in sizes and in the positions `@axis` of the other axes."""
ENTRYWISE = frozenset({"Add", "Subtract", "Multiply", "Divide", "Extremum", "Map", "Where", "Expand"})


def never_negative(value: Poly) -> bool:
    """For all sizes, each at least 1."""
    shifted = value.substitute({v: Poly.var(v) + 1 for v in value.variables()})
    return all(c >= 0 for _, c in shifted.terms)


@dataclass
class Rows:
    """One diagram, with the groups of operands that a match has made."""

    diagram: Diagram
    groups: Mapping[int, Group] = field(default_factory=dict)

    def some(self, wire: int, axes: Sequence[str]) -> bool:
        """Whether every row of a wire along its `axes` has a true (of a real wire: a finite) entry.

        >>> from anatomy.errors import Source
        >>> from anatomy.language.program import Program
        >>> text = "axis n, m = n diagram f(s: [n, m]) -> [n, m] { out softmax[m](mask(m <= n, s)) }"
        >>> f = Program.of(Source("f.anat", text)).get("f")
        >>> [(node.op.word, Rows(f).some(node.outs[0], "m"), Rows(f).some(node.outs[0], "n")) for node in f if node.op.word == "mask"]
        [('mask', True, False)]
        """
        real = wire in self.groups or self.diagram.wires[wire].kind.name == "real"
        every = self.groups[wire].axes if wire in self.groups else self.diagram.wires[wire].axes
        self.sizes = {f"@{a}": self._size(wire, a) for a in every}
        return any((self.finite if real else self.holds)(wire, place) for place in self._guesses(wire, every, axes))

    def _size(self, wire: int, axis: str) -> Poly:
        name = self.groups[wire].named[axis] if wire in self.groups else axis
        return self.diagram.settled.of(self.diagram.sizes[name])

    def _guesses(self, wire: int, every: Sequence[str], axes: Sequence[str]) -> Iterator[Place]:
        fixed = {a: Poly.var(f"@{a}") for a in every if a not in axes}
        choices = []
        for a in (a for a in every if a in axes):
            size = self.sizes[f"@{a}"]
            along = [Poly.var(f"@{b}") for b in fixed if never_negative(size - self.sizes[f"@{b}"])]
            choices.append([(a, p) for p in (Poly.of(0), size - 1, *along)])
        for chosen in product(*choices):
            yield {**fixed, **dict(chosen)}

    def _seen(self, port: Port, place: Place) -> Place:
        return {outer: place[inner] for outer, inner in port.renames if inner in place}

    def _node(self, wire: int) -> Node | None:
        made = self.diagram.producer.get(wire)
        return None if made is None else self.diagram.nodes[made[0]]

    def finite(self, wire: int, place: Place) -> bool:
        """Whether the entry at a place is finite."""
        if wire in self.groups:
            return all(self.finite(p.wire, self._seen(p, place)) for p in self.groups[wire].ports)
        if wire not in lows(self.diagram):
            return True
        node = self._node(wire)
        if node is None:
            return False
        inner = [self._seen(p, place) for p in node.ports]
        kind = type(node.op).__name__
        if kind == "Mask":
            return self.holds(node.ports[0].wire, inner[0]) and self.finite(node.ports[1].wire, inner[1])
        if kind not in ENTRYWISE or node.op.word == "log":
            return False
        return all(self.finite(p.wire, q) for p, q in zip(node.ports, inner, strict=True) if self.diagram.wires[p.wire].kind.name == "real")

    def holds(self, wire: int, place: Place, wanted: bool = True) -> bool:
        """Whether a predicate is true (or false) at a place, whatever the other positions."""
        node = self._node(wire)
        if node is None:
            return False
        inner = [self._seen(p, place) for p in node.ports]
        parts = [(p.wire, q) for p, q in zip(node.ports, inner, strict=True)]
        match node.op.word:
            case "and" | "or":
                both = (node.op.word == "and") == wanted
                return (all if both else any)(self.holds(w, q, wanted) for w, q in parts)
            case "not":
                return self.holds(*parts[0], not wanted)
            case "expand":
                return self.holds(*parts[0], wanted)
            case "<" | "<=" | "==" | "!=":
                a, b = (self.value(w, q) for w, q in parts)
                return a is not None and b is not None and self._compared(node.op.word, a, b, wanted)
        return False

    def _compared(self, sign: str, a: Poly, b: Poly, wanted: bool) -> bool:
        if sign in ("==", "!="):
            if (sign == "==") == wanted:
                return a == b
            return self._least(b - a - 1) or self._least(a - b - 1)
        if not wanted:
            a, b, sign = b, a, "<" if sign == "<=" else "<="
        return self._least(b - a - (1 if sign == "<" else 0))

    def _least(self, value: Poly) -> bool:
        """Whether a sum of positions and sizes is never negative."""
        for name in sorted(v for v in value.variables() if v.startswith("@")):
            parts = value.linear_in(name)
            if parts is None:
                return False
            slope, rest = parts
            if never_negative(slope):
                value = rest
            elif never_negative(-slope):
                value = rest + slope * (self.sizes[name] - 1)
            else:
                return False
        return never_negative(value)

    def value(self, wire: int, place: Place) -> Poly | None:
        """A wire of whole numbers at a place, as a sum of positions and sizes."""
        node = self._node(wire)
        if node is None:
            return None
        given = [self.value(p.wire, self._seen(p, place)) for p in node.ports]
        if any(v is None for v in given):
            return None
        known = [v for v in given if v is not None]
        match node.op.word:
            case "iota":
                return place.get(node.own[0])
            case "size":
                return product_of([self.diagram.settled.of(self.diagram.sizes[a]) for a in node.own])
            case "neg":
                return -known[0]
            case "expand":
                return known[0]
            case "+":
                return known[0] + known[1]
            case "-":
                return known[0] - known[1]
            case "*":
                return known[0] * known[1]
        number = node.op.value if isinstance(node.op, Literal) else None
        return Poly.of(int(number)) if isinstance(number, Fraction) and number.denominator == 1 else None


def product_of(sizes: Sequence[Poly]) -> Poly:
    found = Poly.of(1)
    for size in sizes:
        found = found * size
    return found
