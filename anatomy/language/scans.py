"""`scan n (s: [d] = s0) { ... next s = e }`: a loop is elaborated as a SIMD box whose states are wires, then closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from anatomy.errors import AnatomyError, Label
from anatomy.ir.builder import View
from anatomy.ir.graph import Kind
from anatomy.language import syntax as s
from anatomy.language.bindings import Loop, Refused
from anatomy.language.expressions import Expressions
from anatomy.language.loops import Carry, Closed, close
from anatomy.language.scope import suggestion
from anatomy.ops import Expand


class Scans(Expressions):
    """Loops along an axis (ruling 18)."""

    def inside(self, axes: Sequence[s.Name], kind: str = "simd") -> AbstractContextManager[None]:
        raise NotImplementedError

    def statements(self, body: Sequence[s.Statement]) -> None: ...

    def deliver(self, statement: s.Out, views: Sequence[View | None], lanes: Mapping[str, s.Node]) -> None: ...

    def scan(self, statement: s.Scan) -> None:
        loop = Loop(statement, frozenset(self.lanes))
        try:
            axis = self.axis(statement.axis)
        except Refused:
            axis = ""
        outer = tuple(self.lanes)
        states: dict[str, tuple[tuple[str, ...], Kind, View, View]] = {}
        for carry in statement.carries:
            word = carry.name.text
            try:
                states[word] = self.state(carry, axis)
            except (Refused, AnatomyError) as error:
                self.placed(error, carry)
            self.bind(carry.name, states[word][3] if word in states else None)
            loop.states.setdefault(word, carry)
        known = set(self.bound) - loop.states.keys()
        start = len(self.builder.nodes)
        failed = sum(d.severity == "error" for d in self.diagnostics)
        self.loops.append(loop)
        try:
            with self.inside((statement.axis,) if axis else (), "scan"):
                inner = self.frame
                self.statements(statement.body)
        finally:
            self.loops.pop()
        for word, carry in loop.states.items():
            if word not in loop.next:
                self.error(
                    "E506", f"`{word}` has no `next`", carry.name, label="what is it in the next step?",
                    help=f"say it inside the braces: `next {word} = ...`",
                )  # fmt: skip
                failed = -1
        self.last.update(dict.fromkeys(loop.states))
        ready = {word: view for word, (_, view) in loop.next.items() if view is not None}
        errors = sum(d.severity == "error" for d in self.diagnostics)
        if errors != failed or ready.keys() != loop.states.keys() or states.keys() != loop.states.keys():
            # What was made inside cannot be made a loop: it is not known, and what depends on it is skipped.
            self.poisoned = True
            for word, entry in self.bound.items():
                if word not in known:
                    entry.view = None
            return
        carries = [
            Carry(word, axes, init, state, ready[word], kind, self.span(loop.states[word].name))
            for word, (axes, kind, init, state) in states.items()
        ]
        wanted = {b.view.wire for word, b in self.bound.items() if b.view is not None and word not in known}
        wanted |= {v.wire for v in loop.out[1] if v is not None} if loop.out else set()
        closed = close(self.builder, start, axis, carries, outer, wanted, inner, inner, self.span(statement))
        self.settle(closed, [carry.name for carry in carries], start)
        if loop.out:
            out, views, lanes = loop.out
            views = [v and closed.view(v) for v in views]
            if self.loops:
                self.loops[-1].out = out, views, lanes
            else:
                self.deliver(out, views, lanes)

    def state(self, carry: s.Carry, axis: str) -> tuple[tuple[str, ...], Kind, View, View]:
        """The declared axes, the kind, the first value and the placeholder of a state."""
        declared: dict[str, None] = {}
        for name in carry.type.axes:
            if name.text == axis:
                raise self.error(
                    "E303", f"a state has no axis `{axis}`: it is one value that the steps along `{axis}` hand on", name,
                    help="the states before each step, stacked, are known after the loop under the name of the state",
                )  # fmt: skip
            word = self.axis(name)
            if word in declared:
                raise self.error("E309", f"axis `{word}` stands twice on one wire", name)
            declared[word] = None
        kind = self.program.kind(self, carry.type)
        if kind.name == "index":
            raise self.error("E307", "a state is real or a mask, not an index", carry.type)
        if not axis:
            raise Refused
        axes = tuple(declared)
        init = self.value(carry.value)
        if init is None:
            raise Refused
        found = self.builder.kind(init)
        if (found.name == "mask") != (kind.name == "mask"):
            raise self.error("E307", f"`{carry.name.text}` is {kind}, and its first value is {found}", carry.value)
        self.fits(carry, init, axes, carry.value, axis, first=True)
        state = self.builder.wire((axis, *axes), kind, carry.name.text, self.span(carry.name))
        return axes, kind, init, state

    def next(self, statement: s.Next) -> None:
        word = statement.name.text
        loop = next((k for k in reversed(self.loops) if word in k.states), None)
        if loop is None or loop is not self.loops[-1]:
            self.refuse_next(statement, loop)
        assert loop is not None
        if word in loop.next:
            raise self.error(
                "E506", f"`next {word}` is said twice", statement.name, label="again here",
                secondary=(Label(self.span(loop.next[word][0]), "first said here"),),
            )  # fmt: skip
        loop.next[word] = statement, None
        view = self.value(statement.value)
        carry = loop.states[word]
        state = self.bound[word].view
        if view is None or state is None:
            return
        axis = loop.scan.axis.text
        axes = tuple(a for a in state.axes if a != axis)
        missing = [a for a in axes if a in self.lanes and a not in view.axes]
        if missing:
            (view,) = self.add(Expand(), missing, [view], statement.value)
        kind, found = self.builder.kind(state), self.builder.kind(view)
        if (found.name == "mask") != (kind.name == "mask"):
            raise self.error("E307", f"`{word}` is {kind}, and what follows it is {found}", statement.value)
        self.fits(carry, view, axes, statement.value, axis, first=False)
        loop.next[word] = statement, view

    def refuse_next(self, statement: s.Next, loop: Loop | None) -> None:
        word = statement.name.text
        if loop is not None:
            raise self.error(
                "E506", f"`{word}` is a state of the `scan {loop.scan.axis.text}` around this one", statement.name,
                secondary=(Label(self.span(loop.states[word].name), "declared here"),),
                help="close this loop first: a state is handed on where its own loop takes a step",
            )  # fmt: skip
        if not self.loops:
            raise self.error("E506", "`next` stands outside of a `scan`", statement, help="`scan n (s: [d] = 0) { next s = ... }`")
        states = self.loops[-1].states
        near = suggestion(word, states)
        raise self.error(
            "E506", f"`{word}` is no state of this loop", statement.name,
            help=f"did you mean `{near}`?" if near else f"it has: {', '.join(states)}",
        )  # fmt: skip

    def fits(self, carry: s.Carry, view: View, axes: tuple[str, ...], at: s.Expr, axis: str, first: bool) -> None:
        """The first value and the next one have the axes of the state; lanes come of themselves."""
        word = carry.name.text
        lanes = self.lanes.keys() if first else self.loops[-1].lanes | {axis}
        have, want = set(view.axes) - lanes, set(axes)
        if first and axis in view.axes:
            raise self.error(
                "E315", f"the first value of `{word}` has axis `{axis}`, along which the loop runs", at,
                label="the value before all steps is one for all of them", secondary=self.made(view),
            )  # fmt: skip
        literal = isinstance(at, s.Number) or (isinstance(at, s.Unary) and isinstance(at.operand, s.Number))
        if have == want or (first and literal):
            return
        extra, lacking = sorted(have - want), sorted(want - have)
        parts = [f"has `{a}` too" for a in extra] + [f"lacks `{a}`" for a in lacking]
        help = ""
        if lacking and not extra:
            help = f"repeat it: `expand[{', '.join(lacking)}](...)`"
        elif extra and not lacking:
            help = f"declare the state with it: `{word}: [{', '.join((*axes, *extra))}]`"
        what = "first value" if first else "next value"
        raise self.error(
            "E315", f"the {what} of `{word}` is `[{', '.join(sorted(have))}]`, and the state is `[{', '.join(axes)}]`", at,
            label="it " + " and ".join(parts), secondary=(Label(self.span(carry.type), "declared here"),), help=help,
        )  # fmt: skip

    def settle(self, closed: Closed, names: Sequence[str], start: int) -> None:
        """Every name bound inside means what the loop gives."""
        for entry in self.bound.values():
            if entry.view is not None:
                entry.view = closed.view(entry.view)
        self.last.update(zip(names, closed.last, strict=True))
        self._seen = min(self._seen, start)
