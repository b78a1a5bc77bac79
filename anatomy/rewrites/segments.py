"""From one diagram that a derivation names to the next: the lines between, or which step fails and which rule would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language.program import Rule
from anatomy.rewrites.derive import STRENGTH, Line, weakest
from anatomy.rewrites.library import library
from anatomy.rewrites.meetings import MEETINGS, SEARCH_SECONDS, searched, sought
from anatomy.rewrites.paths import MOST, Found, Make, Meet, Move, nearest, path, place
from anatomy.rewrites.reasons import Checked, Reason, Reasons

HELP_SECONDS = 1.0
"""For a search that is to say in an error what would have done."""


@dataclass(frozen=True)
class Segment:
    """Steps between two diagrams that the text names; those before the last lead to `?`."""

    reasons: Reasons
    start: Diagram
    name: str
    steps: tuple[Reason, ...]
    goal: Diagram
    goal_name: str

    def lines(self) -> list[Line]:
        """One line for every step. Raises AnatomyError E323 at the step that does not follow."""
        moves = [m for r in self.steps for m in r.moves]
        meets = [k for k, m in enumerate(moves) if isinstance(m, Meet)]
        if len(meets) > 1:
            raise self.reasons.wrong("two steps that compare diagrams as a whole follow one another, and the diagram between is left open", self._owner(moves, meets[1])[0].step, help="name it")
        if self._open_evaluation(moves):
            raise self.reasons.wrong("`evaluation` compares two diagrams, and one of them is left open", self._owner(moves, meets[0])[0].step, help="name both")
        found = path(self.start, moves, self.goal)
        implied = False
        if not found.states and not meets and isinstance(moves[-1] if moves else None, Make):
            # What is put in is written in its own way; the normal form may show that it is what the text names.
            again = path(self.start, [*moves, MEETINGS["normal"]], self.goal)
            implied, found = bool(again.states), again if again.states else found
        if not found.states:
            raise self._refuted(moves, found)
        lines: list[Line] = []
        above, k = self.start, 0
        for number, reason in enumerate(self.steps):
            end = k + len(reason.moves)
            diagram = self.goal if number == len(self.steps) - 1 else found.states[end].diagram
            checked = reason.check(above, diagram) if reason.check is not None else Checked()
            before, after = self._places(reason, above, diagram, [s.key for s in found.states[k : end + 1]])
            met = next((m for m in reason.moves if isinstance(m, Meet)), None)
            by = reason.by or found.met if met is None or met.word == "search" else reason.by
            if met is not None and met.word == "search" and reason.by:
                by = tuple(x for word in reason.by for x in (found.met if word == "search" else (word,)))
            if implied and number == len(self.steps) - 1:
                by = (*by, "normal")
            lines.append(Line(
                reason.step.relation, self._shown(number), by, diagram, before, after, reason.step.text == "?",
                conjecture=met is not None and met.word == "evaluation", assumed=reason.assumed, limit=checked.limit,
                laws=checked.laws, conditions=checked.conditions, at=reason.step.at, left_out=reason.step.reason is None and bool(reason.moves),
            ))  # fmt: skip
            above, k = diagram, end
        return lines

    def _shown(self, number: int) -> str:
        step = self.steps[number].step
        return step.to.text if step.to else self.goal_name if number == len(self.steps) - 1 else step.text

    def _open_evaluation(self, moves: list[Move]) -> bool:
        return len(self.steps) > 1 and any(isinstance(m, Meet) and m.word == "evaluation" for m in moves)

    def _places(self, reason: Reason, above: Diagram, diagram: Diagram, keys: list[str]) -> tuple[frozenset[int], frozenset[int]]:
        """The boxes that the first rule takes and those that the last one made."""
        before = after = frozenset[int]()
        if reason.moves and isinstance(rule := reason.moves[0], Rule):
            before = place(above, rule, keys[1])
        if reason.moves and isinstance(rule := reason.moves[-1], Rule):
            after = place(diagram, rule, keys[-2], back=True)
        return before, after

    # what went wrong --------------------------------------------------------------------------

    def _owner(self, moves: list[Move], number: int) -> tuple[Reason, str]:
        """The step that a move belongs to, and what the step calls it."""
        for reason in self.steps:
            if number < len(reason.moves):
                return reason, reason.by[number] if number < len(reason.by) else "search"
            number -= len(reason.moves)
        return self.steps[-1], ""

    def _refuted(self, moves: list[Move], found: Found) -> AnatomyError:
        """Which step fails, why, and which rule would do."""
        name, goal = self.name, self.goal_name
        if not moves:
            reason, why = self.steps[-1], f"`{name}` and `{goal}` are not the same diagram"
        elif found.stuck is not None:
            reason, by = self._owner(moves, found.stuck)
            where = f"`{name}`" if found.stuck == 0 else "what the step before it makes"
            why = f"`{by}` applies nowhere in {where}" if isinstance(moves[found.stuck], Rule) else self._apart(moves[found.stuck], found)
        else:
            last = len(moves) - 1
            reason, by = self._owner(moves, last)
            if isinstance(moves[last], Rule):
                one = found.places == 1
                why = f"`{by}` applies in {'one way' if one else f'{found.places} ways'}, and {'it does not make' if one else 'none of them makes'} `{goal}`"
            else:
                final = moves[last]
                why = f"`{by}` makes another diagram than `{name if isinstance(final, Make) and final.back else goal}`"
        if found.capped:
            why = f"only {MOST} of the diagrams between `{name}` and `{goal}` were tried; name one of them"
        target = self._shown(next(k for k, r in enumerate(self.steps) if r is reason))
        message = f"the step to `{goal if target == '?' or target == '...' else target}` does not follow: {why}"
        agree = self._agree()
        return self.reasons.wrong(message, reason.step, help=self._help(agree), notes=self._notes(agree))

    def _apart(self, move: Move, found: Found) -> str:
        assert isinstance(move, Meet)
        pair = f"`{self.name}` and `{self.goal_name}`"
        if found.compared > 1:
            pair = "what the steps make from either side"
        match move.word:
            case "normal":
                return f"{pair} have different normal forms"
            case "evaluation":
                return f"{pair} {self._values()}"
        said = f"no derivation between {pair} was found in {SEARCH_SECONDS:g} seconds and a bounded number of diagrams"
        return said if found.compared > 1 else f"{said}. {sought(self.start, self.goal).words}"

    def _values(self) -> str:
        from anatomy.rewrites.equality import equal

        found = equal(self.start, self.goal, seconds=0).evaluation
        return "differ at random points" if found is False else "could not be evaluated at common inputs and weights"

    def _help(self, agree: bool | None) -> str:
        """The nearest reason that would do: none, one rule, or what a short search finds; where values differ, no `==` would."""
        name, goal_name = self.name, self.goal_name
        allowed_relation = weakest(r.step.relation for r in self.steps)
        if term(self.start) == term(self.goal) and len(self.steps) == 1:
            return f"`{goal_name}` is `{name}` already: leave out `by`"
        allowed: Callable[[Rule], bool] = lambda rule: STRENGTH[rule.relation] <= STRENGTH[allowed_relation] and (agree is not False or rule.relation != "==")  # noqa: E731
        rule = nearest(self.start, self.goal, (*self.reasons.own().values(), *library()), allowed)
        if rule is not None:
            return f"one application of `{rule.name}` leads from `{name}` to `{goal_name}`"
        if any(isinstance(m, Meet) and m.word == "search" for r in self.steps for m in r.moves):
            return "name a diagram between, or a rule"
        if agree and (found := searched(self.start, self.goal, HELP_SECONDS)):
            return f"no rule leads from `{name}` to `{goal_name}` in one application; these do: `by {', '.join(found)}`"
        return f"no rule leads from `{name}` to `{goal_name}` in one application"

    def _agree(self) -> bool | None:
        """Whether the two diagrams agree at random points."""
        from anatomy.rewrites.equality import equal

        try:
            return equal(self.start, self.goal, seconds=0).evaluation
        except AnatomyError:
            return None

    def _notes(self, agree: bool | None) -> tuple[str, ...]:
        match agree:
            case True:
                return (f"`{self.name}` and `{self.goal_name}` agree at random points, so a derivation may exist",)
            case False:
                return (f"`{self.name}` and `{self.goal_name}` differ at random points, or in type",)
        return ()
