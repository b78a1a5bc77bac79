"""From one diagram to another by named moves, each once: searched from both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from anatomy.ir.graph import Diagram
from anatomy.ir.live import live
from anatomy.ir.loop import boxes
from anatomy.ir.op import Op
from anatomy.ir.term import term
from anatomy.language.program import Rule
from anatomy.ops import Expand
from anatomy.rewrites.everywhere import everywhere
from anatomy.rewrites.match import Match

MOST = 200
"""Different diagrams that are kept at one place of a derivation."""


@dataclass(frozen=True)
class Make:
    """A move that is a function, mostly with one result; with `back` it makes the diagram before the step from the one after it."""

    run: Callable[[Diagram], tuple[Diagram, ...]]
    back: bool = False


@dataclass(frozen=True)
class Meet:
    """A move that compares two diagrams as a whole: what it returns says how they are related, None that they are not."""

    word: str
    compare: Callable[[Diagram, Diagram], tuple[str, ...] | None]
    most: int = 1
    """Diagrams on either side that are looked at."""
    key: Callable[[Diagram], object] | None = None
    """Only diagrams of one key are compared; None is no key."""


Move = Rule | Make | Meet


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
    """Every diagram that one application of a rule makes, in either direction.

    `>=` goes from left to right, with `back` from right to left. Rules apply inside of loops too; such a match has the loops for its boxes.
    """
    for reverse in (back,) if rule.relation == ">=" else (False, True):
        side = rule.right if reverse else rule.left
        yield from everywhere(diagram, rule, reverse, side.outputs[0].port.wire not in side.producer)


def step(states: Iterable[State], move: Rule | Make, back: bool = False) -> dict[str, State]:
    """The different diagrams after one move, at most `MOST`; with `back` those before it."""
    found: dict[str, State] = {}
    if isinstance(move, Make) and move.back != back:
        return found
    for state in states:
        made = (d for _, d in applications(state.diagram, move, back)) if isinstance(move, Rule) else move.run(state.diagram)
        for diagram in made:
            new = State.of(diagram, state)
            found.setdefault(new.key, new)
            if len(found) >= MOST:
                return found
    return found


@dataclass(frozen=True)
class Found:
    """`states`: one before each move and one at the end, or none.

    `stuck`: the first move with no result; `places`: how many results the last had; `capped`: some were left out;
    `met`: what a comparison said; `compared`: how many pairs it was given, where none would do.
    """

    states: tuple[State, ...]
    stuck: int | None = None
    places: int = 0
    capped: bool = False
    met: tuple[str, ...] = ()
    compared: int = 0


def path(start: Diagram, moves: Sequence[Move], goal: Diagram) -> Found:
    """A way from `start` to `goal` by the moves in their order, each once; rules may be found from either end.

    At most one of the moves is a comparison: what is reached from the start is compared with what is reached from the goal.
    """
    levels = [{(first := State.of(start)).key: first}]
    meet: Meet | None = None
    for move in moves:
        if isinstance(move, Meet):
            meet = move
            break
        levels.append(step(levels[-1].values(), move))
    end = State.of(goal)
    ends = {end.key: end}
    for k in range(len(moves), -1, -1):
        if k < len(levels):
            for key in levels[k].keys() & ends.keys():
                before, after = levels[k][key].chain()[::-1], ends[key].chain()
                return Found((*before[:-1], after[0], *after[1:]) if k == len(moves) else (*before, *after[1:]))
        if k == 0:
            break
        move = moves[k - 1]
        if isinstance(move, Meet):
            return _met(move, list(levels[k - 1].values()), list(ends.values()), k - 1)
        if isinstance(move, Make) and not move.back:
            break
        ends = step(ends.values(), move, back=True)
    stuck = next((k for k in range(len(levels) - 1) if not levels[k + 1] and not _backwards(moves[k])), None)
    if meet is not None and stuck is None:
        return Found((), stuck, 0, False, (), 1)
    return Found((), stuck, len(levels[-1]), any(len(level) >= MOST for level in levels))


def _backwards(move: Move) -> bool:
    return isinstance(move, Make) and move.back


def _met(meet: Meet, left: list[State], right: list[State], at: int) -> Found:
    key = meet.key or (lambda _: 0)
    theirs = [(key(other.diagram), other) for other in right[: meet.most]] if left else []
    for one in left[: meet.most] if right else []:
        mine = key(one.diagram)
        for _, other in (pair for pair in theirs if pair[0] == mine and mine is not None):
            met = meet.compare(one.diagram, other.diagram)
            if met is not None:
                return Found((*one.chain()[::-1], *other.chain()), met=met)
    capped = len(left) > meet.most or len(right) > meet.most
    return Found((), at if left and right else None, 0, capped, (), len(left) * len(right))


def nearest(start: Diagram, goal: Diagram, rules: Iterable[Rule], weakest: Callable[[Rule], bool]) -> Rule | None:
    """The first of some rules of which one application leads from `start` to `goal`."""
    ends = [(a, _operations(b), term(b).digest, back) for a, b, back in ((start, goal, False), (goal, start, True))]
    for rule in rules:
        if not weakest(rule):
            continue
        for diagram, operations, key, back in ends:
            if any(_operations(d) == operations and term(d).digest == key for _, d in applications(diagram, rule, back)):
                return rule
    return None


def _operations(diagram: Diagram) -> frozenset[Op]:
    """What stays the same where equal boxes are merged and repeats slide."""
    alive = [diagram.nodes[k] for k in live(diagram)]
    return frozenset(n.op for n in boxes(diagram, alive) if n.op.body is None and not isinstance(n.op, Expand))


def place(diagram: Diagram, rule: Rule, goal: str, back: bool = False) -> frozenset[int]:
    """The boxes of a diagram in which a rule is applied to make the one with that key; none where it is not."""
    for match, made in applications(diagram, rule, back):
        if term(made).digest == goal:
            return frozenset(match.nodes.values())
    return frozenset()
