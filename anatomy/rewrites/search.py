"""Derivations by search: laws applied from both sides, best first, until two diagrams have one normal form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from itertools import chain
from time import monotonic

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Op
from anatomy.ir.term import merged
from anatomy.language.program import Rule
from anatomy.rewrites.cases import sides
from anatomy.rewrites.everywhere import everywhere, kinds
from anatomy.rewrites.finite import Same
from anatomy.rewrites.instance import formulas, free
from anatomy.rewrites.library import library
from anatomy.rewrites.nearness import Profile, apart, differing, profile
from anatomy.rewrites.normal import normal, written

STEPS = 400
SECONDS = 10.0
PLACES = 12
"""Places of one rule in one diagram that are tried."""
KNOWN = 12
"""What a law costs which the normal form has built in; a box of distance costs 2, a law 1."""
SIMPLIFIED = 16
"""Diagrams tried until both ends are simplified as far as the laws that leave fewer boxes go."""
SIDES = ("left", "right")

Path = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Found:
    """What a search has come to.

    `derivation`: the laws, each with its side, None where none was found; `tried`: the diagrams that were brought to normal form;
    `complete`: whether these were all that the laws lead to, else the budget ended; `waiting`: applications of laws that were
    not tried; `distance`: the boxes that only one of the two nearest normal forms has, which are reached by the laws `near`
    and are named in `boxes`, for either side.
    """

    derivation: Path | None
    tried: int
    complete: bool
    waiting: int = 0
    distance: int = 0
    near: Path = ()
    boxes: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def words(self) -> str:
        """What was tried and how near it came, where no derivation was found; nothing where one was."""
        if self.derivation is not None:
            return ""
        if self.complete:
            said = f"All {self.tried} diagrams that the laws lead to were tried."
        else:
            said = f"Within the budget {self.tried} diagrams were tried; {self.waiting} uses of laws still waited."
        laws = f" after {', '.join(law for _, law in self.near)}" if self.near else ""
        sides = [f"{', '.join(boxes)} on the {side}" for side, boxes in zip(SIDES, self.boxes, strict=True) if boxes]
        if not sides:
            return f"{said} The nearest normal forms{laws} have the same boxes in another order."
        return f"{said} The nearest normal forms{laws} differ in {self.distance} boxes: {'; '.join(sides)}."


def derive(a: Diagram, b: Diagram, rules: Sequence[Rule] | None = None, steps: int = STEPS, seconds: float = SECONDS) -> Path | None:
    """The laws that lead from both sides to diagrams with one normal form, each with its side; None where none was found.

    Laws that the normal form uses are not listed. See `search`.
    """
    return search(a, b, rules, steps, seconds).derivation


def search(a: Diagram, b: Diagram, rules: Sequence[Rule] | None = None, steps: int = STEPS, seconds: float = SECONDS) -> Found:
    """Best first from both sides, by the boxes in which a normal form differs from that of the other side.

    A state is a diagram, known by its normal form, so that laws which the normal form has built in cost nothing. Every
    other `==` law of the library is used in both directions, on the diagram as it is and on its normal form; one
    that would leave an operand free is not. A law waits until its turn comes by an estimate: the distance of
    the diagram it is used on, less for a law of many boxes and for one that makes operations which only the other side has. After a few diagrams
    both ends are also simplified as far as it goes, for laws in places of their own. The budget is in
    diagrams brought to normal form and in seconds; `complete` says that neither ran out, so that
    the laws do not lead from one to the other at all, as far as twelve places for each go.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis m, l, u diagram f(s: [m]) -> [] { out max[m](exp(s)) } "
    >>> text += "diagram g(s: [m]) -> [] { out exp(max[m](s)) }"
    >>> program = Program.of(Source("two.anat", text))
    >>> search(program.get("f"), program.get("g")).derivation
    (('left', 'max_of_exp'),)
    """
    usable = [r for r in (library() if rules is None else rules) if r.relation == "=="]
    return _Search((a, b), [law for r in usable for law in _laws(Same(r))], steps, monotonic() + seconds).run()


@dataclass(frozen=True)
class _Law:
    """A law in one direction, with the kinds of boxes that it needs and the words of those that it takes and makes."""

    rule: Rule
    reverse: bool
    kinds: frozenset[type[Op]]
    gone: frozenset[str]
    made: frozenset[str]
    shorter: bool
    """Whether it leaves fewer boxes."""
    telling: int
    """How much it says that the law applies: large patterns rarely do."""

    @property
    def name(self) -> str:
        return self.rule.name + "^" * self.reverse


@dataclass(frozen=True)
class _State:
    """A diagram that was reached, its normal form, and what the form is made of."""

    diagram: Diagram
    form: Diagram
    path: Path
    profile: Profile


@dataclass
class _Search:
    ends: tuple[Diagram, Diagram]
    laws: Sequence[_Law]
    steps: int
    until: float
    tried: int = 0
    count: int = 0
    simplified: int = 0
    seen: tuple[dict[bytes, _State], dict[bytes, _State]] = field(default_factory=lambda: ({}, {}))
    starts: list[_State] = field(default_factory=list)
    heap: list[tuple[int, int, int, int, _State, _Law, Iterator[Diagram]]] = field(default_factory=list)
    nearest: tuple[int, int, _State] | None = None

    def run(self) -> Found:
        for side, diagram in enumerate(self.ends):
            key, state = self._state(diagram, ())
            if state is None:
                return Found(None, self.tried, False)
            self.starts.append(state)
            self.seen[side][key] = state
        if self.seen[0].keys() & self.seen[1].keys():
            return Found((), self.tried, True)
        for side in (0, 1):
            self._note(side, self.starts[side])
        while self.heap:
            cost, _, side, place, before, law, places = heappop(self.heap)
            if self.tried >= self.steps or monotonic() > self.until:
                return self._ended(False)
            diagram = next(places, None)
            if diagram is None:
                continue
            if place == 0 and built_in(law.rule):
                self._push(cost + KNOWN, side, 1, before, law, chain([diagram], places))
                continue
            if place < PLACES:
                self._push(cost + 1, side, place + 1, before, law, places)
            path = self._reach(side, diagram, (*before.path, (SIDES[side], law.name)))
            if path is None and self.tried >= SIMPLIFIED > self.simplified:
                path = self._simplify()
            if path is not None:
                return Found(path, self.tried, True)
        return self._ended(monotonic() <= self.until)

    def _reach(self, side: int, diagram: Diagram, path: Path) -> Path | None:
        """Note a diagram that laws lead to; the whole derivation if the other side has been there."""
        key, state = self._state(diagram, path)
        if state is None or key in self.seen[side]:
            return None
        self.seen[side][key] = state
        other = self.seen[1 - side].get(key)
        if other is not None:
            return (*path, *other.path) if side == 0 else (*other.path, *path)
        self._note(side, state)
        return None

    def _simplify(self) -> Path | None:
        """Both ends after all laws that leave fewer boxes: laws in places of their own need not be tried in every order."""
        self.simplified = SIMPLIFIED
        for side, start in enumerate(self.starts):
            diagram, path, before = start.diagram, start.path, -1
            while before < len(path) < self.steps:
                before = len(path)
                for law in self.laws:
                    if law.reverse or not law.shorter or not law.kinds <= kinds(diagram) or built_in(law.rule):
                        continue
                    while (made := next(self._places(diagram, law), None)) is not None and len(path) < self.steps and monotonic() < self.until:
                        diagram, path = made, (*path, (SIDES[side], law.name))
            found = self._reach(side, diagram, path) if path else None
            if found is not None:
                return found
        return None

    def _ended(self, complete: bool) -> Found:
        assert self.nearest is not None
        distance, side, state = self.nearest
        boxes = differing(*((state.form, self.starts[1].form) if side == 0 else (self.starts[0].form, state.form)))
        return Found(None, self.tried, complete, len(self.heap), distance, state.path, boxes)

    def _state(self, diagram: Diagram, path: Path) -> tuple[bytes, _State | None]:
        self.tried += 1
        found = normal(diagram, seconds=max(0.0, self.until - monotonic()))
        if not found.complete:
            return b"", None
        try:
            key = written(found).form
        except AnatomyError:
            return b"", None
        return key, _State(merged(diagram), found.diagram, path, profile(found.diagram))

    def _push(self, cost: int, side: int, place: int, state: _State, law: _Law, places: Iterator[Diagram]) -> None:
        self.count += 1
        heappush(self.heap, (cost, self.count, side, place, state, law, places))

    def _note(self, side: int, state: _State) -> None:
        """Note what the laws can do to a diagram and to its normal form; where, is found when its turn comes."""
        goal = self.starts[1 - side]
        distance = apart(state.profile, goal.profile)
        if self.nearest is None or distance < self.nearest[0]:
            self.nearest = distance, side, state
        mine, theirs = (_words(s.diagram) | _words(s.form) for s in (state, goal))
        for law in self.laws:
            cost = 2 * distance + len(state.path) - law.telling + 4 * len(law.made - mine - theirs)
            cost -= 4 * len(law.made & (theirs - mine)) + 4 * len(law.gone & (mine - theirs))
            for turn, diagram in enumerate((state.diagram, state.form)):
                if law.kinds <= kinds(diagram):
                    self._push(cost + turn, side, 0, state, law, self._places(diagram, law))

    def _places(self, diagram: Diagram, law: _Law) -> Iterator[Diagram]:
        """Every diagram that one use of a law leads to."""
        for _, made in everywhere(diagram, law.rule, law.reverse):
            yield made


@cache
def _laws(same: Same) -> tuple[_Law, ...]:
    rule = same.thing
    assert isinstance(rule, Rule)
    found = []
    for reverse in (False, True):
        pattern, other = (rule.right, rule.left) if reverse else (rule.left, rule.right)
        if pattern.nodes:
            mine, theirs = _words(pattern), _words(other)
            found.append(_Law(rule, reverse, frozenset(pattern.by_op), mine - theirs, theirs - mine, len(other.nodes) < len(pattern.nodes), min(6, len(pattern.nodes) // 3)))
    return tuple(found)


def _words(diagram: Diagram) -> frozenset[str]:
    """The words of its boxes, but for what a rule leaves open."""
    return frozenset(n.op.word for n in diagram.nodes if not free(n.op) and not formulas(n.op))


@cache
def _known(same: Same) -> bool:
    rule = same.thing
    assert isinstance(rule, Rule)
    try:
        left, right = sides(rule)
        return written(normal(left)).form == written(normal(right)).form
    except AnatomyError:
        return False


def built_in(rule: Rule) -> bool:
    """Whether the normal form has a law built in: both of its sides have one.

    >>> from anatomy.rewrites.library import law
    >>> built_in(law("softmax_add")), built_in(law("max_exp"))
    (True, False)
    """
    return _known(Same(rule))
