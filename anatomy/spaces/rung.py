"""The static rung: for any member of a space its canonical key, its fingerprint and what is known of it, without building it.

Converts: ranks into `Facts`.
Non-goals: merging members (`anatomy.spaces.funnel`), certificates, training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anatomy.ir.causality import reach
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.language.choices import Component, Decision, SpaceDefinition, UnionDefinition
from anatomy.spaces.facts import Facts
from anatomy.spaces.terms.arrays import Array, Named
from anatomy.spaces.terms.draws import Draws, Ends
from anatomy.spaces.terms.fold import Context, Folded, slow_key, terms
from anatomy.spaces.terms.fold import key as walked
from anatomy.spaces.terms.measures import Gauge, near
from anatomy.spaces.terms.members import Members
from anatomy.spaces.terms.proofs import Proofs, lengths_of, tokens
from anatomy.spaces.terms.small import INNER, assign, horizon, preferred
from anatomy.spaces.terms.term import Term
from anatomy.spaces.tree.value import Value

if TYPE_CHECKING:
    from anatomy.spaces.space import Space

MAX_TERMS, MAX_BYTES = 30_000, 300_000_000
"""What one rung holds; beyond it everything is forgotten, which changes no result."""
MANY = 4
"""Spaces side by side whose tables are held at once."""


class Rung:
    """The facts of members, by rank. What members share is worked out once, best when ranks follow one another.

    The results depend on the rank only. To compute in other processes hand them the space's address and build `Rung(Space(...))` there.

    >>> from anatomy.spaces.space import Space
    >>> from anatomy.target import load_space
    >>> rung = Rung(Space(load_space("zoo:spaces/scores")))
    >>> a, b = rung.facts(0), rung.facts(2)
    >>> a.causal, a.leaks, a.degree, str(a.parameters), a.key == b.key
    (True, False, 2, '2 * d * e + 2 * d * f', False)
    """

    def __init__(self, space: Space, numbers: bool = True):
        self.space = space
        self.numbers = numbers
        parts = space.definition.members if isinstance(space.definition, UnionDefinition) else (space.definition,)
        self.union = isinstance(space.definition, UnionDefinition)
        offered = {id(d): d for p in parts for d in (p.base, *_diagrams(p.decisions))}
        given = [int(c.label) for p in parts for d in p.decisions if d.kind == "param" for c in d.domain.components]
        self.far = horizon(offered.values(), given)
        self.definitions = {p.name: p for p in parts}
        self.parts: dict[str, _Part] = {}
        """Those at hand, the latest last."""

    # asking -------------------------------------------------------------------------------------

    def facts(self, rank: int) -> Facts:
        """Everything about the member of this rank. Raises IndexError, and AnatomyError as `Space.build`."""
        part, values = self._at(rank)
        folded, diagram, own = self._folded(part, values, rank)
        key = walked(folded)
        if key is None:
            diagram = diagram or self.space[rank].diagram
            key = slow_key(diagram)
        proofs = Proofs() if own else part.proofs
        causal = None
        if any(tokens(t) for t in folded.inputs):
            causal = proofs.causal(folded)
            if causal is None:
                causal = reach(diagram or self.space[rank].diagram).causal
        measured = None
        ends = part.ends(folded)
        if self.numbers:
            draws = self._draws(part, folded, own)
            outputs = None if draws is None else draws.outputs(folded, ends)
            if outputs is not None and draws is not None:
                measured = part.gauge.measure(outputs, folded, ends, draws)
        same, lengths = part.licences(folded)
        found = Facts(
            rank, key, None if measured is None else measured.grids, causal,
            None if measured is None else measured.leaks,
            proofs.length_generic(folded),
            None if measured is None else measured.equivariant,
            None if measured is None else measured.alive,
            None if measured is None else measured.finite,
            proofs.degree(folded, lengths, same) if lengths else None,
            proofs.parameters(folded.weights),
            None if measured is None else measured.scale,
        )  # fmt: skip
        part.tidy()
        return found

    def key(self, rank: int) -> bytes:
        """The canonical key alone: 16 bytes that members share exactly when they are isomorphic."""
        part, values = self._at(rank)
        folded, diagram, _ = self._folded(part, values, rank)
        found = walked(folded)
        part.tidy()
        return slow_key(diagram or self.space[rank].diagram) if found is None else found

    def chunk(self, ranks: Iterable[int]) -> list[Facts]:
        """The facts of these members; afterwards nothing is held."""
        found = [self.facts(rank) for rank in ranks]
        self.forget()
        return found

    def agree(self, one: int, other: int, seed: int = 1) -> bool | None:
        """Whether two members give the same numbers on draws and at sizes that no fingerprint used; None where that is not computed."""
        found: list[list[Array]] = []
        for rank in (one, other):
            part, values = self._at(rank)
            folded, _, _ = self._folded(part, values, rank)
            sizes = part.sizes(folded, {v: n + (2 if n > INNER else 1) for v, n in part.wanted.items()})
            outputs = None if sizes is None else Draws(sizes, seed).outputs(folded, part.ends(folded))
            if outputs is None:
                return None
            found.append(outputs)
        return near(*found)

    def forget(self) -> None:
        """Drop all tables."""
        self.parts.clear()

    # parts --------------------------------------------------------------------------------------

    def _at(self, rank: int) -> tuple[_Part, Sequence[Value]]:
        values = self.space.values(rank)
        if not self.union:
            return self._part(self.space.definition.name), values
        (chosen,) = values
        return self._part(chosen.label), chosen.parts

    def _part(self, name: str) -> _Part:
        part = self.parts.pop(name, None)
        if part is None:
            if len(self.parts) >= MANY:
                del self.parts[next(iter(self.parts))]
            definition = self.definitions[name]
            part = _Part(definition, preferred(definition.base, self.far))
        self.parts[name] = part
        return part

    def _folded(self, part: _Part, values: Sequence[Value], rank: int) -> tuple[Folded, Diagram | None, bool]:
        """The member as terms; where it had to be built, the diagram, and terms that are its own."""
        folded = part.members.fold(values)
        if folded is not None:
            return folded, None, False
        diagram = self.space[rank].diagram
        return terms(diagram), diagram, True

    def _draws(self, part: _Part, folded: Folded, own: bool) -> Draws | None:
        sizes = part.sizes(folded, part.wanted)
        if sizes is None:
            return None
        return Draws(sizes) if own else part.draws(folded, sizes)


class _Sizes(dict[str, int]):
    """Sizes of variables; those of which nothing is said are small."""

    def __missing__(self, name: str) -> int:
        return INNER


@dataclass
class _Part:
    """One space with the tables that its members share."""

    definition: SpaceDefinition
    wanted: dict[str, int]
    members: Members = field(init=False)

    def __post_init__(self) -> None:
        self.members = Members(self.definition)
        self.outside = self.definition.base.free_sizes()
        self.forget()

    def forget(self) -> None:
        self.members.forget()
        self.proofs = Proofs()
        self.gauge = Gauge()
        self._ends: dict[tuple[Term, ...], Ends] = {}
        self._sizes: dict[object, _Sizes | None] = {}
        self._same: dict[Context, tuple[dict[str, Poly], tuple[tuple[str, ...], ...]]] = {}
        self._tables: dict[tuple[tuple[str, int], ...], dict[Term, tuple[Named, ...] | None]] = {}
        self._seen = 0

    def tidy(self) -> None:
        """Forget everything where it has become too much."""
        self._seen += 1
        if len(self.members) > MAX_TERMS or len(self._tables) > 64:
            self.forget()
        elif self._seen % 256 == 0 and sum(_bytes(t) for t in self._tables.values()) > MAX_BYTES:
            self._tables.clear()

    def ends(self, folded: Folded) -> Ends:
        found = self._ends.get(folded.inputs)
        if found is None:
            found = self._ends[folded.inputs] = Ends.of(folded)
            if len(self._ends) > 64:
                self._ends = {folded.inputs: found}
        return found

    def sizes(self, folded: Folded, wanted: dict[str, int]) -> _Sizes | None:
        """Sizes of variables that the equations of the member allow."""
        around = folded.context
        key = (around, wanted is self.wanted)
        if key not in self._sizes:
            equations = [(e.left, e.right) for e in around.equations]
            names = {v for pair in equations for p in pair for v in p.variables()}
            names |= wanted.keys() | {a for a, _ in around.defaults} | {v for _, p in around.defaults for v in p.variables()}
            found = assign(sorted(names), wanted, around.defaults, equations)
            self._sizes[key] = None if found is None else _Sizes(found)
        return self._sizes[key]

    def draws(self, folded: Folded, sizes: _Sizes) -> Draws:
        """Values are shared by members that agree on the sizes which equations may change."""
        equations = folded.context.equations
        at = tuple(sorted((v, n) for v, n in sizes.items() if v in self.outside)) if equations else ()
        if equations:
            at += tuple(sorted((v, sizes[v]) for e in equations for p in (e.left, e.right) for v in p.variables()))
        return Draws(sizes, known=self._tables.setdefault(at, {}))

    def licences(self, folded: Folded) -> tuple[dict[str, Poly], tuple[tuple[str, ...], ...]]:
        """What each axis is by default, in terms of axes that have none; and which variables are lengths."""
        found = self._same.get(folded.context)
        if found is None:
            same = dict(folded.context.defaults)
            for _ in range(len(same)):
                same = {a: p.substitute(same) for a, p in same.items() if p.as_variable() != a}
            found = self._same[folded.context] = same, lengths_of(folded, same)
        return found


def _bytes(table: dict[Term, tuple[Named, ...] | None]) -> int:
    return sum(value.data.nbytes for made in table.values() if made for value in made)


def _diagrams(decisions: Sequence[Decision]) -> list[Diagram]:
    """Everything that is offered, below components too."""
    found: list[Diagram] = []

    def visit(component: Component) -> None:
        if component.diagram is not None:
            found.append(component.diagram)
        for inner in component.inner:
            walk(inner)

    def walk(decision: Decision) -> None:
        for component in (*decision.domain.components, *((decision.otherwise,) if decision.otherwise else ())):
            visit(component)

    for decision in decisions:
        walk(decision)
    return found
