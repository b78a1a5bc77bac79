"""From one diagram to another by named rules, one application of each: searched from both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Problem
from anatomy.ir.term import term
from anatomy.language.program import Rule
from anatomy.rewrites.apply import apply
from anatomy.rewrites.match import Match, matches

MOST = 200
"""Different diagrams that are kept at one place of a derivation."""
Move = Rule | Callable[[Diagram], Diagram]
"""A rule to be applied once, or a function that has one result."""


@dataclass(frozen=True)
class State:
    """A diagram on the way and the one that it came from; `key` is equal for diagrams equal after merging equal boxes."""

    diagram: Diagram
    key: str
    origin: State | None = None

    @staticmethod
    def of(diagram: Diagram, origin: State | None = None) -> State:
        return State(diagram, term(diagram).digest, origin)

    def chain(self) -> list[State]:
        """From this one back to where it began."""
        found: list[State] = []
        state: State | None = self
        while state is not None:
            found.append(state)
            state = state.origin
        return found


def applications(diagram: Diagram, rule: Rule, back: bool = False) -> Iterator[tuple[Match, Diagram]]:
    """Every diagram that one application of a rule makes, in either direction; `>=` goes from left to right, with `back` from right to left."""
    for reverse in (back,) if rule.relation == ">=" else (False, True):
        side = rule.right if reverse else rule.left
        bare = side.outputs[0].port.wire not in side.producer
        for at in range(len(diagram.nodes)) if bare else (None,):
            for match in matches(diagram, rule, reverse, at):
                try:
                    yield match, apply(diagram, match)
                except (AnatomyError, Problem):
                    continue


def step(states: Iterable[State], move: Move, back: bool = False) -> dict[str, State]:
    """The different diagrams after one move, at most `MOST`."""
    found: dict[str, State] = {}
    for state in states:
        made = (d for _, d in applications(state.diagram, move, back)) if isinstance(move, Rule) else (move(state.diagram),)
        for diagram in made:
            new = State.of(diagram, state)
            found.setdefault(new.key, new)
            if len(found) >= MOST:
                return found
    return found


@dataclass(frozen=True)
class Found:
    """`states`: one before each move and one at the end, or none. `stuck`: the first move with no result; `places`: how many results the last had; `capped`: some were left out."""

    states: tuple[State, ...]
    stuck: int | None = None
    places: int = 0
    capped: bool = False


def path(start: Diagram, moves: Sequence[Move], goal: Diagram) -> Found:
    """A way from `start` to `goal` by the moves in their order, each once; rules may be found from either end."""
    levels = [{(first := State.of(start)).key: first}]
    for move in moves:
        levels.append(step(levels[-1].values(), move))
    end = State.of(goal)
    ends = {end.key: end}
    for k in range(len(moves), -1, -1):
        for key in levels[k].keys() & ends.keys():
            before, after = levels[k][key].chain()[::-1], ends[key].chain()
            return Found((*before[:-1], after[0], *after[1:]) if k == len(moves) else (*before, *after[1:]))
        if k == 0 or not isinstance(moves[k - 1], Rule):
            break
        ends = step(ends.values(), moves[k - 1], back=True)
    stuck = next((k for k in range(len(moves)) if not levels[k + 1]), None)
    return Found((), stuck, len(levels[-1]), any(len(level) >= MOST for level in levels))


def nearest(start: Diagram, goal: Diagram, rules: Iterable[Rule], weakest: Callable[[Rule], bool]) -> Rule | None:
    """The first of some rules of which one application leads from `start` to `goal`."""
    here, there = term(start).digest, term(goal).digest
    for rule in rules:
        if weakest(rule) and (there in step([State(start, here)], rule) or here in step([State(goal, there)], rule, back=True)):
            return rule
    return None


def place(diagram: Diagram, rule: Rule, goal: str, back: bool = False) -> frozenset[int]:
    """The boxes of a diagram in which a rule is applied to make the one with that key; none where it is not."""
    for match, made in applications(diagram, rule, back):
        if term(made).digest == goal:
            return frozenset(match.nodes.values())
    return frozenset()
