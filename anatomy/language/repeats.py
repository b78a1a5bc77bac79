"""`repeat L (z = z0) { ... next z = e }`: L-fold composition, unrolled as it is elaborated (ruling 19).

Every turn is elaborated anew, with names of its own, so a graph holds all turns and nothing else knows of them.
Weights are fresh in each turn, under keys `0.W`, `1.W`; `repeat tied` gives all turns the weights of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anatomy.errors import Label
from anatomy.ir.builder import View
from anatomy.language import syntax as s
from anatomy.language.bindings import Bound, Refused
from anatomy.ops import Expand

if TYPE_CHECKING:
    from anatomy.language.body import Body

MOST = 64
"""Turns that are unrolled."""


@dataclass
class Turn:
    """One turn under way: what each carry will be after it."""

    carries: dict[str, Bound]
    depth: int
    """How many loops along an axis are around it."""
    tied: bool
    found: dict[str, View | None] = field(default_factory=dict)
    places: dict[str, s.Node] = field(default_factory=dict)

    def follow(self, body: Body, statement: s.Next) -> None:
        """`next z = e`: once for each carry; it has the type of the carry, lanes aside."""
        name, word = statement.name, statement.name.text
        if word not in self.carries:
            known = ", ".join(f"`{c}`" for c in self.carries)
            raise body.error("E506", f"`{word}` is no state of this `repeat`", name, help=f"it has: {known}")
        if word in self.found:
            raise body.error(
                "E506", f"`next {word}` stands twice in one `repeat`", statement, label="again here",
                secondary=(Label(body.span(self.places[word]), "first here"),),
            )  # fmt: skip
        self.found[word], self.places[word] = None, statement
        view, state = body.value(statement.value), self.carries[word].view
        if view is None or state is None:
            return
        missing = [a for a in state.axes if a in body.lanes and a not in view.axes]
        if missing:
            (view,) = body.add(Expand(), missing, [view], statement.value)
        have, want = (set(v.axes) - body.lanes.keys() for v in (view, state))
        if have != want:
            lacking = sorted(want - have)
            raise body.error(
                "E308", f"`next {word}` is `[{', '.join(sorted(have))}]`, and `{word}` is `[{', '.join(sorted(want))}]`", statement.value,
                secondary=(Label(body.span(self.carries[word].name), "the first value is given here"),),
                help=f"repeat it: `expand[{', '.join(lacking)}](...)`" if lacking else "every turn gives a state of the same axes; repeat the first value with `expand`",
            )  # fmt: skip
        kinds = body.builder.kind(view), body.builder.kind(state)
        if kinds[0] != kinds[1]:
            raise body.error("E307", f"`next {word}` is a {kinds[0]}, and `{word}` is a {kinds[1]}", statement.value)
        self.found[word] = view


def repeat(body: Body, e: s.Repeat) -> None:
    """All turns of a `repeat`, one after the other; its states are bound to their last values afterwards."""
    carries: dict[str, Bound] = {}
    views = body.operands([turn.value for turn in e.turns], False)
    for turn, view in zip(e.turns, views, strict=True):
        word = turn.name.text
        taken = word in body.bound
        body.bind(turn.name, view)
        if not taken and word in body.bound:
            carries[word] = body.bound[word]
    try:
        count = number(body, e)
        if len(carries) == len(e.turns):
            _unroll(body, e, count, carries)
    except Refused:
        for bound in carries.values():
            bound.view, bound.used = None, True
        raise


def within(body: Body) -> bool:
    """Whether the innermost loop is a `repeat`."""
    return bool(body.turns) and body.turns[-1].depth == len(body.loops)


def number(body: Body, e: s.Repeat) -> int:
    if isinstance(e.count, s.Name):
        raise body.error(
            "E507", f"`repeat {e.count.text}`: the number of turns must be a number; `{e.count.text}` has no size before a diagram is compiled", e.count,
            help=f"a loop along an axis is `scan {e.count.text} (...) {{ ... }}`",
        )  # fmt: skip
    if not 1 <= e.count <= MOST:
        raise body.error("E507", f"`repeat` makes 1 to {MOST} turns, not {e.count}", e, help="put a `repeat` into another, or a diagram of one turn into several")
    return e.count


def _unroll(body: Body, e: s.Repeat, count: int, carries: dict[str, Bound]) -> None:
    outer, last = dict(body.bound), dict(body.last)
    prefix, reuse, again, frame = body.prefix, body.builder.reuse, body.again, body.frame
    start = dict(body.keys), dict(body.labels)
    path = body.turn_label(e)
    try:
        for k in range(count):
            heard = len(body.diagnostics)
            if e.tied and k:
                # The keys of the first turn come again, and with them its weights.
                body.keys, body.labels = dict(start[0]), dict(start[1])
                body.builder.reuse = True
            if not e.tied:
                body.prefix = prefix + path.format(k)
            body.again = again or k > 0
            body.frame = (*frame, body.builder.frame("repeat", "repeat tied" if e.tied else "repeat"))
            turn = Turn(carries, len(body.loops), e.tied)
            body.turns.append(turn)
            try:
                body.statements(e.body)
            finally:
                body.turns.pop()
                made = {word: bound for word, bound in body.bound.items() if word not in outer}
                body.bound, body.last = dict(outer), dict(last)
            if any(d.severity == "error" for d in body.diagnostics[heard:]):
                raise Refused
            for word, bound in carries.items():
                if word not in turn.found:
                    raise body.error("E506", f"no `next` says what `{word}` is after a turn", bound.name, help=f"say so in the braces: `next {word} = ...`")
            if k:
                del body.diagnostics[heard:]
            elif not again:
                body.local.extend(made.items())
            for word, view in turn.found.items():
                carries[word].view = view
    finally:
        body.prefix, body.builder.reuse, body.again, body.frame = prefix, reuse, again, frame
