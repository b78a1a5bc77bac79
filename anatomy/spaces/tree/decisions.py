"""Product with conditions: a counting decision diagram over the decisions as written, the last fastest.

A layer has one state for each residual of all conditions (`when`, `except`, `where`, `within`); a state knows how
many members follow it. A run of places of a decision that the conditions cannot tell apart is one edge, so a plain
product has one state a layer however many values there are. Counts, rank and unrank are exact and lexicographic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise

from anatomy.errors import fail
from anatomy.language.choices import Condition, Decision, Domain, Test, Within
from anatomy.spaces.tree.conditions import FALSE, TRUE, Formulas
from anatomy.spaces.tree.domain import node as node_of
from anatomy.spaces.tree.grading import Grading, Size
from anatomy.spaces.tree.node import Foreign, Node, Ranges, admit
from anatomy.spaces.tree.options import Options
from anatomy.spaces.tree.reading import places, tested, tested_at
from anatomy.spaces.tree.series import Series
from anatomy.spaces.tree.states import State, grow
from anatomy.spaces.tree.value import Value

TABLE = 4_096
"""Values of one decision that are kept with their text."""
DEEPEST = 40
"""Decisions inside components inside decisions."""

Digit = tuple[bool, int]
"""Whether a decision is open (else its `otherwise` stands), and the place of its value."""


class Decisions:
    """The members of a product of decisions under conditions; values are tuples, one for each decision.

    `weights[k]` multiplies the members that have a label at decision k: then `total` is the sum of weights, and
    `draw`, `mass_before` and `mass` speak of them. Raises AnatomyError E630 where there are too many residuals,
    E633 where a condition names no decision, E203 where it names no value.

    >>> from anatomy.language.choices import Both, Component
    >>> pick = lambda *labels: Domain("one", tuple(Component(l) for l in labels))
    >>> a, b = Decision("a", "hole", pick("x", "y")), Decision("b", "hole", pick("x", "y", "z"))
    >>> both = Both((Test("a", "==", ("x",)), Test("b", "==", ("x",))))
    >>> space = Decisions((a, b), excepts=(both,))
    >>> space.count, [str(v) for v in space.unrank(0)]
    (5, ['x', 'y'])
    """

    def __init__(
        self, decisions: tuple[Decision, ...], excepts: tuple[Condition, ...] = (), where: tuple[Condition, ...] = (),
        within: tuple[Within, ...] = (), known: Mapping[str, frozenset[str]] | None = None,
        weighted: bool = False, depth: int = 0,
    ):  # fmt: skip
        if depth > DEEPEST:
            raise fail("E630", f"decisions nest deeper than {DEEPEST}")
        self.decisions, self.known = decisions, known or {}

        def inner(below: tuple[Decision, ...]) -> Decisions:
            return Decisions(below, depth=depth + 1)

        self.nodes: list[Node] = [node_of(d.domain, d.kind, inner) for d in decisions]
        self.others: list[Node | None] = [
            None if d.when is None
            else Options([("none", 0, None)]) if d.otherwise is None
            else node_of(Domain("one", (d.otherwise,)), d.kind, inner)
            for d in decisions
        ]  # fmt: skip
        admit(sum(n.count.bit_length() for n in self.nodes), "the space")
        self.names: dict[str, tuple[int, int | None]] = {}
        for k, d in enumerate(decisions):
            for position, name in enumerate(d.names):
                self.names.setdefault(name, (k, position))
            for name in (d.name, *(d.sites if not d.names else ())):
                self.names.setdefault(name, (k, None))
        self._tables: dict[Digit | tuple[int, bool], tuple[list[Value], list[str], dict[str, int]] | None] = {}
        self._root(excepts, where, within, weighted)

    # the diagram --------------------------------------------------------------------------------

    def _root(self, excepts: tuple[Condition, ...], where: tuple[Condition, ...], within: tuple[Within, ...], weighted: bool) -> None:
        n = len(self.decisions)
        atoms: list[list[tuple[Ranges, Ranges]]] = [[] for _ in range(n)]
        seen: dict[Test, tuple[int, int]] = {}

        def atom(test: Test) -> tuple[int, int]:
            if test not in seen:
                k, position = self.place(test.name)
                seen[test] = (k, len(atoms[k]))
                atoms[k].append(self._tested(k, position, test))
            return seen[test]

        table = Formulas(atom)
        whens: list[int] = []
        for k, d in enumerate(self.decisions):
            formula = TRUE if d.when is None else table.compile(d.when)
            if table.support[formula] >> k:
                raise fail("E633", f"`when` of `{d.name}` tests a decision that is not made before it", d.span)
            whens.append(formula)
        conditions = table.join("&", [table.compile(c, False) for c in excepts] + [table.compile(c) for c in where])
        balls: list[dict[int, int]] = []
        for ball in within:
            balls.append({})
            for k, ranges in self._centre(ball.centre).items():
                balls[-1][k] = len(atoms[k])
                atoms[k].append(ranges)
        edges = [
            {active: self._edges(k, active, atoms[k], weighted) for active in ((True,) if other is None else (True, False))}
            for k, other in enumerate(self.others)
        ]
        pending = tuple(f for f in whens if f not in (TRUE, FALSE))
        budget = tuple(min(w.distance, len(ball)) for w, ball in zip(within, balls, strict=True))
        self.start, self.layers = grow(table, (conditions, pending, budget), whens, edges, balls)
        self.count = self.total = self.start.total

    def _edges(self, k: int, active: bool, atoms: list[tuple[Ranges, Ranges]], weighted: bool) -> list[tuple[int, int, int, int]]:
        """Runs of places that no atom tells apart: start, stop, which atoms hold, weight."""
        node = self.node(k, active)
        own = [a[0 if active else 1] for a in atoms]
        weigh = self._weights(k, active) if weighted else []
        cuts = sorted({0, node.count, *(e for ranges in (*own, *(r for r, _ in weigh)) for r in ranges for e in r)})
        found = []
        for start, stop in pairwise(cuts):
            truths = sum(1 << i for i, ranges in enumerate(own) if _inside(ranges, start))
            weight = next((w for ranges, w in weigh if _inside(ranges, start)), 1)
            found.append((start, stop, truths, weight))
        return found

    def _weights(self, k: int, active: bool) -> list[tuple[Ranges, int]]:
        d, found = self.decisions[k], []
        for label, weight in d.prefer.items():
            found.append((places(self.node(k, active), label), weight))
            if not found[-1][0] and not places(self.nodes[k], label) and label not in self._offered(k):
                raise fail("E638", f"`prefer {d.name}` weighs `{label}`, which is no value of it", d.span, help=self.offer(k))
            if weight < 0:
                raise fail("E638", f"`prefer {d.name}` gives `{label}` the weight {weight}", d.span)
        return found

    def _tested(self, k: int, position: int | None, test: Test) -> tuple[Ranges, Ranges]:
        nodes = [self.nodes[k]] if self.others[k] is None else [self.nodes[k], self.others[k]]
        found = []
        for node in nodes:
            assert node is not None
            found.append(tested(node, test) if position is None or node is self.others[k] else tested_at(node, test, position))
        if position is None and test.op in ("==", "!=", "in"):
            for text in test.values:
                if text not in self._offered(k) and not any(places(n, text) for n in nodes if n):
                    raise fail("E203", f"`{test.name}` has no option `{text}`", help=self.offer(k))
        return found[0], found[-1]

    def _offered(self, k: int) -> set[str]:
        """Labels that a condition may name although no value has them: refused, or with nothing to decide among."""
        d = self.decisions[k]
        own = (c.label for c in d.domain.components) if d.domain.form in ("one", "tree") else ()
        return {*own, *self.known.get(d.name, ())}

    def offer(self, k: int) -> str:
        """What may be chosen, in words."""
        node = self.nodes[k]
        if isinstance(node, Options):
            return f"its options are: {', '.join(node.labels[:40])}"
        return f"its values are written `{node.unrank(0)}`" if node.count else "it has no values"

    def place(self, name: str) -> tuple[int, int | None]:
        """The decision of a name, and the position where it is one of several holes. Raises AnatomyError E633."""
        found = self.names.get(name)
        if found is None:
            raise fail("E633", f"nothing is decided about `{name}`", help=f"the decisions are: {', '.join(list(self.names)[:40])}")
        return found

    def _centre(self, centre: Mapping[str, str]) -> dict[int, tuple[Ranges, Ranges]]:
        found: dict[int, tuple[Ranges, Ranges]] = {}
        for name in centre:
            k, _ = self.place(name)
            if k not in found:
                pair = []
                for active in (True, False):
                    if not active and self.others[k] is None:
                        pair.append(pair[0])
                        continue
                    try:
                        digit = self.read(k, active, centre)
                        pair.append(((digit, digit + 1),))
                    except Foreign:
                        pair.append(())
                if not any(pair):
                    raise fail("E203", f"`{name}` has no option `{centre[name]}`", help=self.offer(k))
                found[k] = (pair[0], pair[1])
        return found

    # digits and values --------------------------------------------------------------------------

    def node(self, k: int, active: bool) -> Node:
        found = self.nodes[k] if active else self.others[k]
        assert found is not None
        return found

    def table(self, k: int, active: bool) -> tuple[list[Value], list[str], dict[str, int]] | None:
        """All values of a small decision, their texts, and the places of these; None of a large one."""
        key = (k, active)
        if key not in self._tables:
            node = self.node(k, active)
            found = None
            if node.count <= TABLE:
                values = [node.unrank(place) for place in range(node.count)]
                texts = [str(v) for v in values]
                found = (values, texts, {t: i for i, t in enumerate(texts)})
            self._tables[key] = found
        return self._tables[key]

    def value(self, k: int, digit: Digit) -> Value:
        table = self.table(k, digit[0])
        return table[0][digit[1]] if table else self.node(k, digit[0]).unrank(digit[1])

    def text(self, k: int, digit: Digit) -> str:
        table = self.table(k, digit[0])
        return table[1][digit[1]] if table else str(self.node(k, digit[0]).unrank(digit[1]))

    def find(self, k: int, active: bool, text: str) -> int | None:
        """The place of a text, or None where it is no value of the decision."""
        table = self.table(k, active)
        if table is not None and text in table[2]:
            return table[2][text]
        try:
            return self.node(k, active).rank(Value.parse(text))
        except Foreign:
            return None

    def read(self, k: int, active: bool, choices: Mapping[str, str]) -> int:
        """The place of what the names of a decision are given as text. Raises Foreign, KeyError where nothing is given."""
        d = self.decisions[k]
        if d.names and (d.name in d.names or d.name not in choices):
            if not active:
                return self.node(k, active).rank(Value.parse(choices[d.names[0]]))
            return self.node(k, active).rank(Value(d.domain.form, tuple(Value.parse(choices[name]) for name in d.names)))
        text = choices[d.name] if d.name in choices else choices[next((s for s in d.sites if s in choices), d.name)]
        table = self.table(k, active)
        if table is not None and text in table[2]:
            return table[2][text]
        return self.node(k, active).rank(Value.parse(text))

    def digits(self, index: int) -> list[Digit]:
        """The places of the values of the member of this rank."""
        state, found = self.start, []
        for _ in self.decisions:
            edge = bisect_right(state.heads, index) - 1
            child = state.children[edge]
            step, index = divmod(index - state.heads[edge], child.total)
            found.append((state.active, state.starts[edge] + step))
            state = child
        return found

    def follow(self, state: State, place: int) -> int:
        """The edge of a state that has this place. Raises Foreign where the conditions have taken it out."""
        edge = bisect_right(state.starts, place) - 1
        if edge < 0 or place >= state.stops[edge]:
            raise Foreign("the conditions of the space leave it out")
        return edge

    def index(self, digits: Sequence[int]) -> int:
        """The rank of the member with these places. Raises Foreign."""
        state, found = self.start, 0
        for place in digits:
            edge = self.follow(state, place)
            child = state.children[edge]
            found += state.heads[edge] + (place - state.starts[edge]) * child.total
            state = child
        return found

    def unrank(self, place: int) -> tuple[Value, ...]:
        return tuple(self.value(k, digit) for k, digit in enumerate(self.digits(place)))

    def rank(self, values: Sequence[Value]) -> int:
        """The rank of a member, one value for each decision. Raises Foreign."""
        if len(values) != len(self.decisions):
            raise Foreign(f"there are {len(self.decisions)} decisions, not {len(values)}")
        state, found = self.start, 0
        for k, value in enumerate(values):
            place = self.node(k, state.active).rank(value)
            edge = self.follow(state, place)
            child = state.children[edge]
            found += state.heads[edge] + (place - state.starts[edge]) * child.total
            state = child
        return found

    # sizes and symmetry -------------------------------------------------------------------------

    @cached_property
    def grading(self) -> Grading:
        """Members by the number of their components."""
        return Size(self)

    @property
    def sizes(self) -> Series:
        """How many members there are of each number of components."""
        return self.grading.all

    def below(self, place: int) -> Series:
        return self.sizes if place >= self.count else self.grading.below(place)

    @property
    def orbits(self) -> int | None:
        """Members modulo the symmetry of their values; None where a condition tells members of an orbit apart."""
        if not self.total:
            return 0
        totals: dict[int, int] = {}
        for k in reversed(range(len(self.layers))):
            for state in self.layers[k]:
                node, found = self.node(k, state.active), 0
                for start, stop, child in zip(state.starts, state.stops, state.children, strict=True):
                    ways = stop - start if node.orbits == node.count else node.orbits if stop - start == node.count else None
                    if ways is None:
                        return None
                    found += ways * (totals[id(child)] if k + 1 < len(self.layers) else 1)
                totals[id(state)] = found
        return totals[id(self.start)] if self.layers else 1


def _inside(ranges: Ranges, place: int) -> bool:
    k = bisect_right(ranges, place, key=lambda r: r[0]) - 1
    return k >= 0 and place < ranges[k][1]
