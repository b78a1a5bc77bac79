"""Comparisons that the sizes alone decide, and what becomes of a diagram when they are: a window at least as long as the sequence is none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from anatomy.ir.graph import Diagram, Node, Output, Port
from anatomy.ir.poly import Poly
from anatomy.ops import (
    Add,
    Both,
    Compare,
    Divide,
    Expand,
    Index,
    Iota,
    Literal,
    Map,
    Mask,
    Multiply,
    Not,
    Reduce,
    Size,
    Subtract,
    Topk,
    Where,
)
from anatomy.rewrites.apply import swept

Ratio = tuple[Poly, Poly]
"""A numerator and a positive denominator."""


@dataclass(frozen=True)
class Range:
    """Where the entries of a wire lie, ends included; None is no end."""

    low: Ratio | None = None
    high: Ratio | None = None
    whole: bool = False
    """All entries are integers."""


FREE = Range()


def positive(poly: Poly) -> bool:
    """Whether a polynomial is shown to be at least 0 wherever all sizes are at least 1.

    >>> n = Poly.var("n")
    >>> positive(n - 1), positive(n * n - n), positive(n - 2)
    (True, True, False)
    """
    shifted = poly.substitute({v: Poly.var(v) + 1 for v in poly.variables()})
    return all(c >= 0 for _, c in shifted.terms)


def below(a: Ratio | None, b: Ratio | None, strictly: bool = False) -> bool:
    """Whether `a <= b` is shown for all sizes, or `a < b`, which for quotients of integers is `a * b' + 1 <= b * a'`."""
    return a is not None and b is not None and positive(b[0] * a[1] - a[0] * b[1] - (1 if strictly else 0))


def decided(diagram: Diagram) -> Diagram:
    """The diagram without the comparisons that hold at all sizes, and without the masks and choices that hang on them.

    Bounds are those of positions, sizes and exact numbers through sums, products, quotients, floors and absolute values; the
    greatest `m` of `m` entries are all of them. The result is the same function.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, m = n diagram f(s: [n, m]) -> [n, m] { out mask(n < m + size[n], s) }"
    >>> len(decided(Program.of(Source("f.anat", text)).get("f")).nodes)
    0
    """
    return _Decider(diagram).run()


@dataclass
class _Decider:
    source: Diagram
    ranges: dict[int, Range] = field(default_factory=dict)
    truths: dict[int, bool] = field(default_factory=dict)
    stands: dict[int, Port] = field(default_factory=dict)
    """For a wire, the one that it equals, seen under the axes of the first."""
    nodes: list[Node] = field(default_factory=list)
    made: dict[int, Node] = field(default_factory=dict)
    changed: bool = False

    def run(self) -> Diagram:
        d = self.source
        for item in d.inputs:
            kind = d.wires[item.wire].kind
            if kind.name == "index" and kind.axis in d.sizes:
                self.ranges[item.wire] = self._positions(kind.axis)
        for node in d.nodes:
            node = replace(node, ports=tuple(map(self._seen, node.ports)))
            if self._gone(node):
                continue
            self.nodes.append(node)
            for wire in node.outs:
                self.made[wire] = node
            found = self._range(node)
            if found is not FREE:
                self.ranges[node.outs[0]] = found
        if not self.changed:
            return d
        outputs = tuple(Output(self._seen(o.port), o.layout, o.span, o.kind) for o in d.outputs)
        return swept(replace(self.source, nodes=tuple(self.nodes), outputs=outputs))

    def _seen(self, port: Port) -> Port:
        if port.wire not in self.stands:
            return port
        other = self.stands[port.wire]
        table = dict(port.renames)
        return Port(other.wire, tuple((a, table[b]) for a, b in other.renames))

    # bounds -----------------------------------------------------------------------------------

    def _size(self, axis: str) -> Poly:
        return self.source.settled.of(self.source.sizes[axis])

    def _positions(self, axis: str) -> Range:
        return Range((Poly(), Poly.of(1)), (self._size(axis) - 1, Poly.of(1)), True)

    def _of(self, port: Port) -> Range:
        return self.ranges.get(port.wire, FREE)

    def _range(self, node: Node) -> Range:
        op = node.op
        match op:
            case Iota():
                return self._positions(node.own[0])
            case Size():
                size = Poly.of(1)
                for a in node.own:
                    size = size * self._size(a)
                return Range((size, Poly.of(1)), (size, Poly.of(1)), True)
            case Literal():
                value = Poly.of(op.value.numerator), Poly.of(op.value.denominator)
                return Range(value, value, op.value.denominator == 1)
            case Index():
                return self._positions(node.own[0])
            case Expand():
                return self._of(node.ports[0])
            case Add() | Subtract() | Multiply() | Divide() if len(node.ports) == 2:
                return self._binary(op, self._of(node.ports[0]), self._of(node.ports[1]))
            case Map(function="floor"):
                x = self._of(node.ports[0])
                least = (Poly(), Poly.of(1)) if below((Poly(), Poly.of(1)), x.low) else None
                return Range(least, x.high, True)
            case Map(function="abs"):
                x = self._of(node.ports[0])
                down = None if x.low is None else (-x.low[0], x.low[1])
                high = x.high if below(down, x.high) else down if below(x.high, down) else None
                return Range((Poly(), Poly.of(1)), high, x.whole)
            case _:
                return FREE

    def _binary(self, op: object, x: Range, y: Range) -> Range:
        def plus(a: Ratio | None, b: Ratio | None, sign: int = 1) -> Ratio | None:
            return None if a is None or b is None else (a[0] * b[1] + sign * b[0] * a[1], a[1] * b[1])

        if isinstance(op, Add):
            return Range(plus(x.low, y.low), plus(x.high, y.high), x.whole and y.whole)
        if isinstance(op, Subtract):
            return Range(plus(x.low, y.high, -1), plus(x.high, y.low, -1), x.whole and y.whole)
        zero = (Poly(), Poly.of(1))
        if not (below(zero, x.low) and below(zero, y.low)) or x.low is None or y.low is None:
            return FREE
        if isinstance(op, Multiply):
            high = None if x.high is None or y.high is None else (x.high[0] * y.high[0], x.high[1] * y.high[1])
            return Range((x.low[0] * y.low[0], x.low[1] * y.low[1]), high, x.whole and y.whole)
        if not below(zero, y.low, strictly=True) or y.high is None:
            return FREE
        one = y.low == y.high and y.low[0] == y.low[1]
        high = None if x.high is None else (x.high[0] * y.low[1], x.high[1] * y.low[0])
        return Range((x.low[0] * y.high[1], x.low[1] * y.high[0]), high, x.whole and one)

    # what follows -----------------------------------------------------------------------------

    def _gone(self, node: Node) -> bool:
        """Whether the box is a wire that is there already; truths are noted."""
        op, ports = node.op, node.ports
        out = node.outs[0] if node.outs else -1
        match op:
            case Compare():
                truth = self._compared(op.sign, node)
                if truth is not None:
                    self.truths[out] = truth
                return False
            case Not() if ports[0].wire in self.truths:
                self.truths[out] = not self.truths[ports[0].wire]
            case Both():
                return self._both(op.which, node)
            case Mask() if self.truths.get(ports[0].wire) is True:
                return self._stand(node, ports[1])
            case Where() if ports[0].wire in self.truths:
                return self._stand(node, ports[1 if self.truths[ports[0].wire] else 2])
            case Map(function="floor") if self._of(ports[0]).whole:
                return self._stand(node, ports[0])
            case Divide() if self._is_one(ports[1]):
                return self._stand(node, ports[0])
            case Map(function="abs") if below((Poly(), Poly.of(1)), self._of(ports[0]).low):
                return self._stand(node, ports[0])
            case Map(function="floor"):
                x = self._of(ports[0])
                zero, one = (Poly(), Poly.of(1)), (Poly.of(1), Poly.of(1))
                if below(zero, x.low) and below(x.high, one, strictly=True):
                    self._nothing(node)
                    return True
            case Reduce(which="min" | "max" | "sum" | "mean" | "logsumexp"):
                self._all(node)
                return out in self.made
            case _:
                pass
        return False

    def _is_one(self, port: Port) -> bool:
        found = self._of(port)
        return found.low is not None and found.low == found.high and found.low[0] == found.low[1]

    def _stand(self, node: Node, port: Port) -> bool:
        """The result is that operand, repeated along what it lacks."""
        out = node.outs[0]
        axes = self.source.wires[out].axes
        lacking = tuple(a for a in axes if a not in port.axes)
        if not lacking:
            self.stands[out] = port
            self.changed = True
            return True
        made = Node(Expand(), lacking, (port,), (out,), node.span, node.frame)
        self.nodes.append(made)
        self.made[out] = made
        self.ranges[out] = self._of(port)
        self.changed = True
        return True

    def _nothing(self, node: Node) -> None:
        """The result is 0: its own product with nothing."""
        out = node.outs[0]
        axes = self.source.wires[out].axes
        width = len(self.source.wires)
        self.source = replace(self.source, wires=(*self.source.wires, replace(self.source.wires[out], axes=(), name="")))
        self.nodes.append(Node(Literal(Fraction(0)), (), (), (width,), node.span, node.frame))
        self.nodes.append(Node(Expand(), axes, (Port(width, ()),), (out,), node.span, node.frame))
        self.ranges[out] = Range((Poly(), Poly.of(1)), (Poly(), Poly.of(1)), True)
        self.changed = True

    def _all(self, node: Node) -> None:
        """A symmetric cap of the greatest m of m entries is that of all of them."""
        made = self.made.get(node.ports[0].wire)
        if made is None or not isinstance(made.op, Topk) or node.ports[0].wire != made.outs[0]:
            return
        whole, few = made.own
        table = dict(node.ports[0].renames)
        if self._size(whole) != self._size(few) or node.own != (table[few],):
            return
        inner = made.ports[0]
        free = f"{whole}~all"
        view = Port(inner.wire, tuple((a, free if b == whole else table[b]) for a, b in inner.renames))
        if free in self.source.sizes or any(b == whole for b in view.axes):
            return
        self.source = replace(self.source, sizes={**self.source.sizes, free: self.source.sizes[whole]})
        changed = replace(node, own=(free,), ports=(view,))
        self.nodes.append(changed)
        self.made[node.outs[0]] = changed
        self.changed = True

    def _both(self, which: str, node: Node) -> bool:
        strong = which == "or"
        known = [self.truths.get(p.wire) for p in node.ports]
        if strong in known:
            self.truths[node.outs[0]] = strong
            return False
        for k, truth in enumerate(known):
            other = node.ports[1 - k]
            if truth is (not strong) or (strong and self._implies(node.ports[k], other)):
                if all(v is not None for v in known):
                    self.truths[node.outs[0]] = not strong
                elif set(other.axes) == set(self.source.wires[node.outs[0]].axes):
                    return self._stand(node, other)
        return False

    def _implies(self, one: Port, other: Port) -> bool:
        """`x < c` implies `x <= y` where `c - 1` is at most y, for integers."""
        a, b = self.made.get(one.wire), self.made.get(other.wire)
        if a is None or b is None or not isinstance(a.op, Compare) or not isinstance(b.op, Compare) or a.op.sign != "<" or b.op.sign != "<=":
            return False
        if self._key(a.ports[0], one) != self._key(b.ports[0], other):
            return False
        most, least = self._of(a.ports[1]), self._of(b.ports[1]).low
        whole = self._of(a.ports[0]).whole and most.whole
        return whole and most.high is not None and below((most.high[0] - most.high[1], most.high[1]), least)

    def _key(self, port: Port, outer: Port) -> tuple[object, ...]:
        """A wire and its axes as the reader of `outer` sees them; equal positions are one."""
        table = dict(outer.renames)
        made = self.made.get(port.wire)
        axes = tuple((a, table.get(b, b)) for a, b in port.renames)
        return ("iota", tuple(b for _, b in axes)) if made is not None and isinstance(made.op, Iota) else (port.wire, axes)

    def _compared(self, sign: str, node: Node) -> bool | None:
        left, right = node.ports
        same = self._key(left, Port(node.outs[0], ())) == self._key(right, Port(node.outs[0], ()))
        x, y = self._of(left), self._of(right)
        exact = x.low is not None and x.low == x.high and y.low == y.high and x.low == y.low
        match sign:
            case "<=":
                always, never = same or below(x.high, y.low) or self._least(left, right), below(y.high, x.low, strictly=True)
            case "<":
                always, never = below(x.high, y.low, strictly=True), same or below(y.high, x.low)
            case _:
                always, never = same or exact, below(x.high, y.low, strictly=True) or below(y.high, x.low, strictly=True)
                if sign == "!=":
                    always, never = never, always
        return True if always else False if never else None

    def _least(self, left: Port, right: Port) -> bool:
        """`min[m](s) <= s` and `s <= max[m](s)`."""
        for small, big, which in ((left, right, "min"), (right, left, "max")):
            made = self.made.get(small.wire)
            if made is None or not isinstance(made.op, Reduce) or made.op.which != which or made.ports[0].wire != big.wire:
                continue
            outer = dict(small.renames)
            inside = {a: outer[b] for a, b in made.ports[0].renames if b in outer}
            seen = dict(big.renames)
            if all(seen[a] == b for a, b in inside.items()):
                return True
        return False
