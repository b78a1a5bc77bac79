"""A step as an affine function of its state: `next s = a * s + p * c + u`, entry by entry, with `c = dot[E](k, s)`.

Converts: the body of a loop with one state into the coefficients `a`, `p`, `u`, as wires that do not depend on the state.
Conditions: every box of the body is `+`, `-`, a product or quotient with such a wire, `where` with such a mask, or one contraction
of the state, times such wires, with wires that are free of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.op import Op
from anatomy.ops.add import Add, Subtract
from anatomy.ops.contract import Contract
from anatomy.ops.elementwise import Map
from anatomy.ops.literal import Literal
from anatomy.ops.multiply import Divide, Multiply
from anatomy.ops.where import Where

Value = View | Fraction
"""A wire, or an exact number."""
ZERO, ONE = Fraction(0), Fraction(1)


class NotLinear(Exception):
    """The body has another form."""


@dataclass(frozen=True)
class Linear:
    """`state * s + read * c + rest`."""

    state: Value = ZERO
    read: Value = ZERO
    rest: Value = ZERO


@dataclass(frozen=True)
class Read:
    """`c = dot[over](keys..., s)`."""

    over: frozenset[str]
    keys: tuple[View, ...]


class Arithmetic:
    """Sums and products of values, as boxes of a diagram in the making where they are not numbers."""

    def __init__(self, builder: Builder, node: Node):
        self.builder, self.node = builder, node

    def box(self, op: Op, *views: View, own: tuple[str, ...] = ()) -> View:
        (made,) = self.builder.add(op, own, views, self.node.span, self.node.frame, trusted=True)
        return made

    def view(self, x: Value) -> View:
        return x if isinstance(x, View) else self.box(Literal(x))

    def add(self, x: Value, y: Value) -> Value:
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x + y
        if ZERO in (x, y):
            return y if x == ZERO else x
        return self.box(Add(), self.view(x), self.view(y))

    def subtract(self, x: Value, y: Value) -> Value:
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x - y
        if y == ZERO:
            return x
        return self.negative(y) if x == ZERO else self.box(Subtract(), self.view(x), self.view(y))

    def negative(self, x: Value) -> Value:
        return -x if isinstance(x, Fraction) else self.box(Map("neg"), x)

    def multiply(self, x: Value, y: Value) -> Value:
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x * y
        if ZERO in (x, y):
            return ZERO
        if ONE in (x, y):
            return y if x == ONE else x
        if -ONE in (x, y):
            return self.negative(y if x == -ONE else x)
        return self.box(Multiply(), self.view(x), self.view(y))

    def divide(self, x: Value, y: View) -> Value:
        return ZERO if x == ZERO else self.box(Divide(), self.view(x), y)

    def choose(self, mask: View, x: Value, y: Value) -> Value:
        return x if x == y else self.box(Where(), mask, self.view(x), self.view(y))


class Step:
    """One step of a loop, evaluated with a symbol for the state."""

    def __init__(self, builder: Builder, node: Node, body: Diagram, views: list[View]):
        self.math = Arithmetic(builder, node)
        self.body, self.read = body, None
        self.axes = frozenset(body.inputs[0].layout)
        self.values: dict[int, Linear | View] = {i.wire: v for i, v in zip(body.inputs, views, strict=True)}
        self.values[body.inputs[0].wire] = Linear(state=ONE)
        for inner in body.nodes:
            if len(inner.outs) != 1:
                raise NotLinear
            self.values[inner.outs[0]] = self.box(inner)
        end = body.outputs[0].port
        found = self.values[end.wire]
        self.next = found if isinstance(found, Linear) else Linear(rest=found.rename(dict(end.renames)))
        if isinstance(found, Linear) and any(a != b for a, b in end.renames):
            raise NotLinear

    read: Read | None

    def box(self, node: Node) -> Linear | View:
        given: list[Linear | View] = []
        for port in node.ports:
            value = self.values[port.wire]
            if isinstance(value, Linear):
                if any(a != b for a, b in port.renames):
                    raise NotLinear
                given.append(value)
            else:
                given.append(value.rename(dict(port.renames)))
        if all(isinstance(v, View) for v in given):
            return self.math.box(node.op, *(v for v in given if isinstance(v, View)), own=node.own)
        math = self.math
        match node.op, given:
            case Add(), [x, y]:
                return self.each(math.add, x, y)
            case Subtract(), [x, y]:
                return self.each(math.subtract, x, y)
            case Map("neg"), [Linear() as x]:
                return Linear(math.negative(x.state), math.negative(x.read), math.negative(x.rest))
            case Multiply(), [Linear() as x, View() as y] | [View() as y, Linear() as x]:
                return Linear(math.multiply(x.state, y), math.multiply(x.read, y), math.multiply(x.rest, y))
            case Divide(), [Linear() as x, View() as y]:
                return Linear(math.divide(x.state, y), math.divide(x.read, y), math.divide(x.rest, y))
            case Where(), [View() as mask, x, y]:
                return self.each(lambda a, b: math.choose(mask, a, b), x, y)
            case Contract(), _:
                return self.contract(node, given)
            case _:
                raise NotLinear

    def each(self, f: Callable[[Value, Value], Value], x: Linear | View, y: Linear | View) -> Linear:
        a, b = (v if isinstance(v, Linear) else Linear(rest=v) for v in (x, y))
        return Linear(f(a.state, b.state), f(a.read, b.read), f(a.rest, b.rest))

    def contract(self, node: Node, given: list[Linear | View]) -> Linear:
        """The one way in which a step reads its state through a sum: factors without the summed axes stand before it."""
        inner = [v for v in given if isinstance(v, Linear)]
        keys = tuple(v for v in given if isinstance(v, View))
        over = frozenset(node.own)
        if len(inner) != 1 or not over <= self.axes or inner[0].read != ZERO or not keys:
            raise NotLinear
        (x,) = inner
        before = x.state
        if isinstance(before, View):  # what the state is multiplied by before it is read is one more factor of the keys
            keys, before = (*keys, before), ONE
        read = Read(over, keys)
        if self.read not in (None, read):
            raise NotLinear
        self.read = read
        rest = ZERO
        if x.rest != ZERO:
            rest = self.math.box(node.op, *(v if isinstance(v, View) else self.math.view(x.rest) for v in given), own=node.own)
        return Linear(ZERO, before, rest)


def replay(builder: Builder, node: Node, body: Diagram, known: Mapping[int, View], wanted: set[int]) -> dict[int, View]:
    """Boxes of the body for all steps at once, given its operands and the states before each step; those that `wanted` wires need."""
    needed = set(wanted)
    for inner in reversed(body.nodes):
        if needed & set(inner.outs) and not set(inner.outs) <= known.keys():
            needed |= {p.wire for p in inner.ports}
    views = dict(known)
    for inner in body.nodes:
        if needed & set(inner.outs) and not set(inner.outs) <= known.keys():
            names = [body.wires[w].name for w in inner.outs]
            given = [views[p.wire].rename(dict(p.renames)) for p in inner.ports]
            outs = builder.add(inner.op, inner.own, given, inner.span, (*node.frame, *inner.frame), names, trusted=True)
            views.update((w, v) for w, v in zip(inner.outs, outs, strict=True) if w not in known)
    return views
