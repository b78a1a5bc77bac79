"""Loops without a loop: a state that is affine in itself is a sum over the positions before it.

Converts: running sums, and every loop with one state whose next state is `a * s + u`, entry by entry, by the laws of the library.
Conditions: `a` is 0, or one number for all steps (then its powers are taken, those of a positive one by its logarithm), or proved
to be positive (see `ranges`); nothing in the loop may hold -inf. What reads its state in another way stays a loop.
Unlike the closed forms of the compiler these are text of the language, quadratic in the length, and made to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.live import live
from anatomy.ir.loop import opened, relabelled
from anatomy.ir.poly import Poly
from anatomy.ops import (
    Compare,
    Contract,
    Cumsum,
    Expand,
    Iota,
    Literal,
    Map,
    Multiply,
    Power,
    Reduce,
    Shift,
    Size,
    Where,
)
from anatomy.ops.parallel.linear import ONE, ZERO, Arithmetic, NotLinear, Step, Value, replay
from anatomy.rewrites.finite import lows
from anatomy.rewrites.ranges import Ranges


@dataclass(frozen=True)
class Unrolled:
    """The diagram, and for each loop or running sum that is gone its word and the law that took it."""

    diagram: Diagram
    laws: tuple[tuple[str, str], ...] = ()


def unrolled(diagram: Diagram) -> Unrolled:
    """The same function with sums under a mask for running sums and for loops that have a closed form.

    `after_n = init * D(n, -1) + sum over m <= n of D(n, m) * u_m`, where D is the product of the factors `a` between the
    two steps; the state before a step is that after the one before.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n diagram f(x: [n]) -> [n] { scan n (s: [] = 0) { t = (s + x) / 2 next s = t } out t }"
    >>> found = unrolled(Program.of(Source("f.anat", text)).get("f"))
    >>> found.laws, [n.op.word for n in found.diagram if n.op.body is not None]
    ((('scan', 'scan_decay'),), [])
    """
    if not any(n.op.body is not None or isinstance(n.op, Cumsum) for n in diagram.nodes):
        return Unrolled(diagram)
    return _Unroller(diagram).run()


class _Unroller:
    def __init__(self, diagram: Diagram):
        self.diagram, self.low = diagram, lows(diagram)
        self.builder = Builder(axes=dict.fromkeys(diagram.sizes))
        for axis, size in diagram.sizes.items():
            if size != Poly.var(axis):
                self.builder.sizes.define(axis, size)
        self.views: dict[int, View] = {}
        self.laws: list[tuple[str, str]] = []

    def run(self) -> Unrolled:
        d, builder = self.diagram, self.builder
        for old in (*(i.wire for i in d.inputs), *(w.wire for w in d.weights)):
            wire = d.wires[old]
            self.views[old] = builder.wire(wire.axes, wire.kind, wire.name, wire.span)
        for node in d.nodes:
            given = [self.views[p.wire].rename(dict(p.renames)) for p in node.ports]
            outs = self._closed(node, given)
            if outs is None:
                names = [d.wires[w].name for w in node.outs]
                outs = builder.add(node.op, node.own, given, node.span, node.frame, names, trusted=True)
            self.views.update(zip(node.outs, outs, strict=True))
        made = replace(
            d, wires=tuple(builder.wires), nodes=tuple(builder.nodes),
            inputs=tuple(replace(i, wire=self.views[i.wire].wire) for i in d.inputs),
            weights=tuple(replace(w, wire=self.views[w.wire].wire) for w in d.weights),
            outputs=tuple(replace(o, port=self.views[o.port.wire].rename(dict(o.port.renames)).port) for o in d.outputs),
            sizes={a: builder.sizes.of(a) for a in builder.axes},
        )  # fmt: skip
        return Unrolled(replace(made, nodes=tuple(made.nodes[i] for i in live(made))), tuple(self.laws))

    def _closed(self, node: Node, given: list[View]) -> tuple[View, ...] | None:
        if any(p.wire in self.low for p in node.ports):
            return None
        if isinstance(node.op, Cumsum):
            past = _Past(self.builder, node)
            self.laws.append((node.op.word, "causal_dot"))
            return (past.total(past.mask("<="), past.there(given[0])),)
        if node.op.body is None or node.op.carries != 1 or node.op.body.holes:
            return None
        if node.op.body.wires[node.op.body.inputs[0].wire].kind.name != "real":
            return None
        return self._loop(node, given)

    def _loop(self, node: Node, given: list[View]) -> tuple[View, ...] | None:
        from anatomy.rewrites.normal import normal

        body = unrolled(opened(self.diagram, node, along=True)).diagram
        step = normal(self._with_numbers(replace(body, outputs=body.outputs[:1]), given)).diagram
        if lows(body) or lows(step):
            return None
        kept = len(self.builder.nodes), len(self.builder.wires)
        try:
            end = Step(self.builder, node, self._adopted(step), given).next
        except NotLinear:
            end = None
        found = None
        if end is not None and end.read == ZERO:
            found = self._states(node, end.state, end.rest, given[0])
        if found is None:
            del self.builder.nodes[kept[0] :], self.builder.wires[kept[1] :]
            return None
        law, before, after, last = found
        self.laws.append((node.op.word, law))
        return self._results(node, self._adopted(body), given, before, after, last)

    def _with_numbers(self, body: Diagram, given: Sequence[View]) -> Diagram:
        """Numbers that the loop is given are numbers in its body."""
        wires, nodes, now = list(body.wires), list[Node](), dict[int, int]()
        for item, view in zip(body.inputs, given, strict=True):
            number = _number(self.builder, view)
            if number is not None and not body.wires[item.wire].axes:
                now[item.wire] = len(wires)
                wires.append(body.wires[item.wire])
                nodes.append(Node(Literal(number), (), (), (now[item.wire],)))
        for n in body.nodes:
            nodes.append(replace(n, ports=tuple(replace(p, wire=now.get(p.wire, p.wire)) for p in n.ports)))
        return replace(body, wires=tuple(wires), nodes=tuple(nodes))

    def _adopted(self, inner: Diagram) -> Diagram:
        """With those axes that are not of this diagram under new names."""
        builder, table = self.builder, dict[str, str]()
        for a in inner.sizes:
            if a not in self.diagram.sizes:
                table[a] = f"{a.partition('~')[0]}~{len(builder.axes)}"
                builder.sizes.define(table[a], inner.sizes[a])
                builder.axis(table[a])
        return relabelled(inner, table)

    def _states(self, node: Node, a: Value, u: Value, init: View) -> tuple[str, View, View, View] | None:
        """The law, and the states before each step, after each step and after the last, of `next s = a * s + u`."""
        past = _Past(self.builder, node)
        math, along = past.math, node.own[0]
        if isinstance(a, View) and (number := _number(self.builder, a)) is not None:
            a = number
        if a == ZERO:
            now = past.full(math.view(u), (along,))
            first, end = past.mask("==", ZERO), past.mask("==", past.end())
            before = math.add(math.multiply(first, init), math.box(Shift(1), now, own=(along,)))
            return "scan_forgets", math.view(before), now, math.box(Contract(), end, now, own=(along,))
        rest = past.there(past.full(math.view(u), (along,)))
        n, m, one = past.here, past.other, Fraction(1)
        if a == ONE:
            law = "scan_cumsum"

            def between(to: Value, since: Value | None) -> Value:
                return ONE
        elif isinstance(a, Fraction) or along not in a.axes:
            law, base = "scan_decay", math.view(a)
            rate = math.box(Map("log"), base) if self._positive(base) else None

            def between(to: Value, since: Value | None) -> Value:
                steps = math.view(math.subtract(to, -ONE if since is None else since))
                return math.box(Power(), base, steps) if rate is None else math.box(Map("exp"), math.box(Multiply(), steps, rate))
        elif self._positive(a):
            rate = math.box(Map("log"), a)
            total = past.total(past.mask("<="), past.there(rate))
            return self._gated(past, rate, total, rest, init)
        else:
            return None
        parts: list[Value] = []
        for sign, to in (("<=", n), ("<", math.subtract(n, one))):
            sum = past.total(*past.before(sign, between(to, m)), rest)
            parts.append(math.add(math.multiply(init, between(to, None)), sum))
        final = past.end()
        sum = past.total(math.view(between(final, m)), rest)
        parts.append(math.add(math.multiply(init, between(final, None)), sum))
        after, before, last = map(math.view, parts)
        return law, before, after, last

    def _gated(self, past: _Past, rate: View, total: View, rest: View, init: View) -> tuple[str, View, View, View]:
        """Of factors that change from step to step: differences of the running sums of their logarithms."""
        math = past.math
        since = past.there(total)
        full = math.box(Reduce("sum"), rate, own=(past.along,))
        found: list[View] = []
        for mask, to in ((past.mask("<"), math.subtract(total, rate)), (past.mask("<="), total), (None, full)):
            decay = math.box(Map("exp"), math.view(math.subtract(to, since)))
            sum = past.total(*(() if mask is None else (mask,)), decay, rest)
            found.append(math.view(math.add(math.multiply(init, math.box(Map("exp"), math.view(to))), sum)))
        before, after, last = found
        return "scan_gated", before, after, last

    def _positive(self, view: View) -> bool:
        made = replace(self.diagram, wires=tuple(self.builder.wires), nodes=tuple(self.builder.nodes))
        return Ranges(made).of(view.wire).above(Fraction(0), True)

    def _results(self, node: Node, body: Diagram, given: list[View], before: View, after: View, last: View) -> tuple[View, ...]:
        """As the loop gives them: what else is read of it is computed from its states."""
        past = _Past(self.builder, node)
        known = {i.wire: v for i, v in zip(body.inputs, given, strict=True)}
        known[body.inputs[0].wire] = before
        end = body.outputs[0].port
        if all(a == b for a, b in end.renames):
            known[end.wire] = after
        extras = body.outputs[1:]
        made = replay(self.builder, node, body, known, {o.port.wire for o in extras})
        found = [made[o.port.wire].rename(dict(o.port.renames)) for o in extras]
        axes = [(*node.lifts, *given_) for given_ in node.op.gives(node.own)]
        return tuple(past.full(v, a) for v, a in zip((before, *found, last), axes, strict=True))


class _Past:
    """The axis of a loop and another one for the positions that came before, and sums along it."""

    def __init__(self, builder: Builder, node: Node):
        self.builder, self.math, self.along = builder, Arithmetic(builder, node), node.own[0]
        self.name = f"{self.along.partition('~')[0]}~{len(builder.axes)}"
        builder.sizes.define(self.name, builder.axis(self.along))
        builder.axis(self.name)
        self.here = self.math.box(Iota(), own=(self.along,))
        self.other = self.there(self.here)

    def there(self, view: View) -> View:
        return view.rename({self.along: self.name})

    def end(self) -> View:
        return self.math.view(self.math.subtract(self.math.box(Size(), own=(self.along,)), Fraction(1)))

    def mask(self, sign: str, at: Value | None = None) -> View:
        """1 where the other position stands so to this one, or this one to `at`; else 0."""
        math = self.math
        pair = (self.other, self.here) if at is None else (self.here, math.view(at))
        return math.box(Where(), math.box(Compare(sign), *pair), math.box(Literal(ONE)), math.box(Literal(ZERO)))

    def before(self, sign: str, decay: Value) -> tuple[View, ...]:
        """A decay where the other position stands so to this one, else 0: a power of 0 has no value there."""
        view = self.math.view(decay)
        if not any(isinstance(n.op, Power) and view.wire in n.outs for n in self.builder.nodes):
            return self.mask(sign), view
        there = self.math.box(Compare(sign), self.other, self.here)
        return (self.math.box(Where(), there, view, self.math.box(Literal(ZERO))),)

    def total(self, *factors: View) -> View:
        """The sum of a product over the other positions."""
        inside = [f for f in factors if self.name in f.axes]
        op = Contract() if len(inside) > 1 else Reduce("sum")
        found: Value = self.math.box(op, *inside, own=(self.name,))
        for f in factors:
            if self.name not in f.axes:
                found = self.math.multiply(f, found)
        return self.math.view(found)

    def full(self, view: View, axes: Sequence[str]) -> View:
        missing = tuple(a for a in axes if a not in view.axes)
        return self.math.box(Expand(), view, own=missing) if missing else view


def _number(builder: Builder, view: View) -> Fraction | None:
    """The number that a wire holds, where a literal makes it."""
    for node in reversed(builder.nodes):
        if view.wire in node.outs:
            return node.op.value if isinstance(node.op, Literal) else None
    return None

