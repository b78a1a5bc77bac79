"""Which closed form a loop has, if any, and its results by that form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Node
from anatomy.ir.loop import under
from anatomy.ops.cumulate import Cumsum
from anatomy.ops.expand import Expand
from anatomy.ops.parallel.affine import Affine
from anatomy.ops.parallel.delay import Delay
from anatomy.ops.parallel.delta import Delta
from anatomy.ops.parallel.linear import ONE, ZERO, Arithmetic, Linear, NotLinear, Read, Step, Value, replay
from anatomy.ops.reduce import Reduce
from anatomy.ops.shift import Shift


def parallel(builder: Builder, node: Node, views: Sequence[View], used: Sequence[bool]) -> tuple[View, ...] | None:
    """The results of a loop for all steps at once, or None where no form is known; only those that are used are made."""
    body = under(node)
    if node.op.carries != 1 or body.wires[body.inputs[0].wire].kind.name != "real":
        return None
    trial = replace(builder, nodes=list(builder.nodes), wires=list(builder.wires))
    try:
        step = Step(trial, node, body, list(views))
    except NotLinear:
        return None
    builder.nodes[:], builder.wires[:] = trial.nodes, trial.wires
    step.math.builder = builder
    return _Form(builder, node, step, list(views), used).results()


class _Form:
    def __init__(self, builder: Builder, node: Node, step: Step, views: list[View], used: Sequence[bool]):
        self.builder, self.node, self.body, self.views, self.used = builder, node, step.body, views, used
        self.step, self.math, self.along = step, Arithmetic(builder, node), node.own[0]
        self.lifts = tuple(dict.fromkeys(a for v in views for a in v.axes if a not in node.own))

    def results(self) -> tuple[View, ...]:
        """States before, extras, and the last state."""
        end = self.step.next
        if self.step.read is not None and end.read != ZERO:
            before, after, last = self.corrected(end, self.step.read)
        else:
            before, after, last = self.states(end.state, end.rest, self.views[0])
        known = {i.wire: v for i, v in zip(self.body.inputs, self.views, strict=True)}
        known[self.body.inputs[0].wire] = before
        self.name(before, self.body.inputs[0].wire)
        next = self.body.outputs[0].port
        self.name(after, next.wire)
        if all(a == b for a, b in next.renames):
            known[next.wire] = after
        extras = self.body.outputs[1:]
        wanted = {o.port.wire for o, use in zip(extras, self.used[1:], strict=False) if use}
        made = replay(self.builder, self.node, self.body, known, wanted)
        found = [made[o.port.wire].rename(dict(o.port.renames)) if o.port.wire in wanted else before for o in extras]
        gives = self.node.op.gives(self.node.own)
        return tuple(
            self.full(view, (*self.lifts, *axes)) if use else view
            for view, axes, use in zip((before, *found, last), gives, self.used, strict=True)
        )

    def name(self, view: View, wire: int) -> None:
        """What the text calls it."""
        made, named = self.builder.wires[view.wire], self.body.wires[wire]
        if not made.name:
            self.builder.wires[view.wire] = replace(made, name=named.name)

    def states(self, a: Value, u: Value, first: View) -> tuple[View, View, View]:
        """Before each step, after each step and after the last, of `next s = a * s + u`."""
        math, own = self.math, (self.along,)
        if a == ZERO:
            after = self.full(math.view(u), own)
            before, last = self.builder.add(Delay(), own, (after, first), self.node.span, self.node.frame, trusted=True)
            return before, after, last
        if a == ONE:
            # Running sums: the state is what it was at first and all that came in since.
            steps = self.full(math.view(u), own)
            sums = math.box(Cumsum(), steps, own=own)
            last = math.add(first, math.box(Reduce("sum"), steps, own=own))
            return math.view(math.add(first, math.box(Shift(1), sums, own=own))), math.view(math.add(first, sums)), math.view(last)
        before, after, last = self.builder.add(
            Affine(), own, (math.view(a), math.view(u), first), self.node.span, self.node.frame, trusted=True
        )
        return before, after, last

    def corrected(self, end: Linear, read: Read) -> tuple[View, View, View]:
        """The same where a step also reads its state."""
        parts = (self.math.view(x) for x in (end.state, end.read, end.rest))
        own = (self.along, *sorted(read.over))
        return self.builder.add(Delta(), own, (*parts, self.views[0], *read.keys), self.node.span, self.node.frame, trusted=True)  # type: ignore[return-value]

    def full(self, view: View, axes: tuple[str, ...]) -> View:
        missing = tuple(a for a in axes if a not in view.axes)
        return self.math.box(Expand(), view, own=missing) if missing else view
