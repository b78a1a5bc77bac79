"""A normal form as sums of products in which weights, inputs and other boxes are told apart, and weights may be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from anatomy.ir.builder import Builder
from anatomy.ir.graph import REAL, Diagram, Node, Port, Weight
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Contract, Divide, Literal, Map, Multiply, Reduce, Size
from anatomy.rewrites.algebra import Algebra
from anatomy.rewrites.sums import Factor, Sum, Term, number

LONGEST = 32
"""Terms of a sum that is kept open; a longer one stays a box."""


@dataclass(frozen=True)
class Learner:
    """A weight: its key and its axes in the order of its layout."""

    key: str
    axes: tuple[str, ...]
    frozen: bool = False
    source: Weight | None = None


@dataclass(frozen=True)
class Opaque:
    """A box over weights that is no sum of products; its result has the axes `axes`."""

    op: Op
    own: tuple[str, ...]
    operands: tuple[Sum, ...]
    axes: tuple[str, ...]


@dataclass
class Parametric:
    """The terms of every wire that is read by a box which is no arithmetic, or comes out.

    Wires are those of the normal form; new weights and new boxes have numbers behind them. `back` gives every weight of the
    normal form in those of now, `forth` those of now in those of the normal form.
    """

    diagram: Diagram
    sums: dict[int, Sum] = field(default_factory=dict)
    roots: dict[int, Sum] = field(default_factory=dict)
    learners: dict[int, Learner] = field(default_factory=dict)
    opaque: dict[int, Opaque] = field(default_factory=dict)
    constants: set[int] = field(default_factory=set)
    back: dict[int, Sum] = field(default_factory=dict)
    forth: dict[int, Sum] = field(default_factory=dict)
    conditions: dict[str, None] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)
    counts: dict[Poly, Sum] = field(default_factory=dict)

    def __post_init__(self) -> None:
        d = self.diagram
        self.algebra = Algebra(with_axes(d), d.settled)
        self.count = len(d.wires)
        self.origin: dict[int, Learner] = {}
        for w in d.weights:
            self.origin[w.wire] = Learner(w.key, w.layout, w.frozen, w)
            if not w.frozen:
                self.learners[w.wire] = self.origin[w.wire]
                self.back[w.wire] = self.forth[w.wire] = self.plain(w.wire, w.layout)
        self.algebra.never_zero = self.constants
        for node in d.nodes:
            found = self._arithmetic(node)
            if found is not None and len(found) <= LONGEST:
                self.sums[node.outs[0]] = found
            else:
                for port in node.ports:
                    self._root(port.wire)
            if self._constant(node):
                self.constants.add(node.outs[0])
        for output in d.outputs:
            self._root(output.port.wire)

    # reading ----------------------------------------------------------------------------------

    def plain(self, wire: int, axes: Sequence[str]) -> Sum:
        return (Term(factors=(Factor(wire, tuple(sorted((a, a) for a in axes))),)),)

    def size(self, axis: str) -> Poly:
        return self.algebra.size(axis)

    def counted(self, axis: str) -> Sum:
        """The size of an axis as a number, a positive constant."""
        size = self.size(axis)
        if (value := size.constant()) is not None:
            return number(value)
        if len(size.terms) == 1 and size.as_variable() is None and all(v in self.diagram.sizes for v in size.variables()):
            return self.length(size)
        if size not in self.counts:
            known = (n.outs[0] for n in self.diagram.nodes if n.op == Size() and len(n.own) == 1 and self.size(n.own[0]) == size)
            wire = next(known, None)
            terms = self.box(Size(), (axis,), [], ()) if wire is None else self.plain(wire, ())
            self.constants.add(terms[0].factors[0].wire)
            self.counts[size] = terms
        return self.counts[size]

    def length(self, size: Poly) -> Sum:
        """A size as a number, from the axes that have it."""
        found: list[Term] = []
        for monomial, c in size.terms:
            parts = [self.counted(v) for v, power in monomial for _ in range(power)]
            found += self.algebra.product([number(Fraction(c)), *parts])
        return self.algebra.collect(found)

    def _root(self, wire: int) -> None:
        if wire in self.sums:
            self.roots[wire] = self.sums[wire]
        elif wire in self.learners:
            self.roots[wire] = self.plain(wire, self.learners[wire].axes)

    def _read(self, port: Port, single: bool) -> Sum:
        """The terms of an operand; one of several terms stands for itself where one term is wanted."""
        terms = self.sums.get(port.wire)
        if terms is None or (single and len(terms) > 1):
            if terms is not None:
                self._root(port.wire)
            terms = self.plain(port.wire, self.diagram.wires[port.wire].axes)
        table = dict(port.renames)
        return tuple(self.algebra.fresh(t).rename(table) for t in terms)

    def _arithmetic(self, node: Node) -> Sum | None:
        if self.diagram.wires[node.outs[0]].kind != REAL or any(self.diagram.wires[p.wire].kind.name == "mask" for p in node.ports):
            return None
        match node.op:
            case Literal():
                return number(node.op.value)
            case Add():
                return self.algebra.collect((*self._read(node.ports[0], False), *self._read(node.ports[1], False)))
            case Multiply() | Contract() | Reduce("sum"):
                terms: Sum = (Term(),)
                for port in node.ports:
                    terms = tuple(self.algebra.times(a, b) for a in terms for b in self._read(port, True))
                return tuple(replace(t, bound=(*t.bound, *node.own)) for t in terms)
            case Divide():
                above, below = self._read(node.ports[0], True), self._read(node.ports[1], True)
                if len(above) != 1 or len(below) != 1:
                    return None
                (t,) = below
                if t.bound or t.coefficient != 1 or len(t.factors) != 1 or t.factors[0].power != 1:
                    self._root(node.ports[1].wire)
                    (t,) = self.plain(node.ports[1].wire, self.diagram.wires[node.ports[1].wire].axes)
                    t = t.rename(dict(node.ports[1].renames))
                inverse = replace(t, factors=tuple(replace(f, power=-f.power) for f in t.factors))
                return (self.algebra.times(above[0], inverse),)
            case _:
                return None

    def _constant(self, node: Node) -> bool:
        """A positive number that no weight or input has a part in."""
        match node.op:
            case Size():
                return True
            case Map("sqrt" | "exp"):
                return node.ports[0].wire in self.constants
            case _:
                terms = self.sums.get(node.outs[0])
                return bool(terms) and all(
                    t.coefficient > 0 and not t.bound and all(f.wire in self.constants for f in t.factors) for t in terms or ()
                )

    # weights ----------------------------------------------------------------------------------

    def number(self) -> int:
        self.count += 1
        return self.count - 1

    def fresh(self, key: str, axes: Sequence[str], instead: int = -1) -> int:
        """A new weight, which may have the name of the one that it stands for."""
        taken = {x.key for w, x in self.learners.items() if w != instead} | {x.key for x in self.origin.values() if x.frozen}
        name, k = key, 2
        while name in taken:
            name, k = f"{key}_{k}", k + 1
        wire = self.number()
        self.learners[wire] = Learner(name, tuple(axes))
        return wire

    def box(self, op: Op, own: Sequence[str], operands: Sequence[Sum], axes: Sequence[str]) -> Sum:
        wire = self.number()
        self.opaque[wire] = Opaque(op, tuple(own), tuple(operands), tuple(axes))
        return self.plain(wire, axes)

    def put(self, terms: Sum, table: Mapping[int, Sum]) -> Sum:
        """Weights replaced by sums in their axes."""
        found: list[Term] = []
        for t in terms:
            here: list[Term] = [replace(t, factors=())]
            for f in t.factors:
                value = self._put(f.wire, table)
                if value is None:
                    here = [self.times(x, Term(factors=(f,))) for x in here]
                    continue
                assert f.power > 0
                for _ in range(f.power):
                    here = [
                        self.times(x, self.algebra.fresh(y).rename(dict(f.renames))) for x in here for y in value
                    ]
            found += here
        return self.algebra.collect(found)

    def _put(self, wire: int, table: Mapping[int, Sum]) -> Sum | None:
        if wire in table:
            return table[wire]
        box = self.opaque.get(wire)
        if box is None or not any(f.wire in table or f.wire in self.opaque for s in box.operands for t in s for f in t.factors):
            return None
        return self.box(box.op, box.own, [self.put(s, table) for s in box.operands], box.axes)

    def times(self, t: Term, x: Term) -> Term:
        """The product, in which the names of summed axes stay."""
        product = self.algebra.times(Term(t.coefficient, t.factors), Term(x.coefficient, x.factors))
        return replace(product, bound=(*t.bound, *x.bound))

    def step(self, word: str, forth: Mapping[int, Sum], back: Mapping[int, Sum]) -> None:
        """New weights by those before, and those before by the new ones; the terms are the caller's."""
        self.moves.append(word)
        made = {new: self.put(terms, self.forth) for new, terms in forth.items()}
        for old in back:
            self.forth.pop(old, None)
            self.learners.pop(old, None)
        self.forth |= made
        self.back = {w: self.put(terms, back) for w, terms in self.back.items()}

    def everywhere(self, table: Mapping[int, Sum]) -> None:
        """Weights replaced in all terms."""
        for root, terms in self.roots.items():
            if any(f.wire in table for t in terms for f in t.factors):
                self.roots[root] = self.put(terms, table)

    def sweep(self) -> set[int]:
        """The wires that reach an output; other sums go."""
        producer, d = self.diagram.producer, self.diagram
        found: set[int] = set()
        stack = [o.port.wire for o in d.outputs]
        while stack:
            wire = stack.pop()
            if wire in found:
                continue
            found.add(wire)
            if wire in self.roots or wire in self.sums:
                stack += [f.wire for t in self.roots.get(wire, self.sums.get(wire, ())) for f in t.factors]
            elif wire in producer:
                stack += [p.wire for p in d.nodes[producer[wire][0]].ports]
        self.roots = {w: terms for w, terms in self.roots.items() if w in found}
        return found


def with_axes(d: Diagram) -> Builder:
    """An empty diagram with the axes of another one."""
    builder = Builder(axes=dict.fromkeys(d.sizes))
    for axis, size in d.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
    return builder


ZERO: Sum = ()
ONE: Sum = number(Fraction(1))
