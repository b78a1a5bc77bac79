"""Spaces side by side: one space whose members are those of the first, then those of the second, and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b

from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.language.choices import Condition, SpaceDefinition, UnionDefinition
from anatomy.spaces.member import Member
from anatomy.spaces.orders import Chain, Graded, Order, Together
from anatomy.spaces.space import Space
from anatomy.spaces.tree.node import Foreign
from anatomy.spaces.tree.union import Union as Sum
from anatomy.spaces.tree.value import Value
from anatomy.spaces.weights import Even, Joined, Line

WHICH = "space"
"""What tells the spaces apart in the choices of a member; a word of the language, so no hole has this name."""


class Union(Space):
    """A disjoint sum: `count` is the sum of the counts; a member that two spaces have has two ranks, until a funnel merges them.

    The choices of a member begin with the name of its space; `values` are one value, that name over the values there.
    """

    def __init__(self, definition: SpaceDefinition | UnionDefinition):
        assert isinstance(definition, UnionDefinition)
        self.definition = definition
        self.name = definition.name
        self.spaces = tuple(Space(member) for member in definition.members)
        if not self.spaces:
            raise fail("E604", f"the union `{self.name}` has no spaces", definition.span)
        self.base = self.spaces[0].base
        self.decisions = ()
        self.refused = tuple(r for space in self.spaces for r in space.refused)
        self.options = {}
        self.sum = Sum([(space.name, _Counted(space)) for space in self.spaces])

    def sizes(self) -> dict[str, int]:
        """The number of members of each space."""
        return {space.name: space.count for space in self.spaces}

    @property
    def derivations(self) -> int:
        return sum(space.derivations for space in self.spaces)

    @cached_property
    def rows(self) -> None:
        return None

    @cached_property
    def count(self) -> int:
        return self.sum.count

    @property
    def orbits(self) -> int | None:
        return self.sum.orbits

    def choices(self, index: int) -> dict[str, str]:
        k, rest = self.sum.split(self._place(index))
        return {WHICH: self.spaces[k].name, **self.spaces[k].choices(rest)}

    def values(self, index: int) -> tuple[Value, ...]:
        return (self.sum.unrank(self._place(index)),)

    def index(self, choices: Mapping[str, str] | Member | Sequence[Value]) -> int:
        if isinstance(choices, Member):
            choices = choices.choices
        if not isinstance(choices, Mapping):
            try:
                return self.sum.rank(choices[0]) if len(choices) == 1 else self.sum.rank(Value(""))
            except Foreign as error:
                raise fail("E203", f"these values are no member of `{self.name}`: {error}") from None
        rest = {name: text for name, text in choices.items() if name != WHICH}
        if WHICH not in choices:
            raise fail("E605", f"a member of the union `{self.name}` says which space it is of: `{WHICH}: {self.spaces[0].name}`")
        k = self.sum.places.get(choices[WHICH])
        if k is None:
            raise fail("E203", f"`{self.name}` has no space `{choices[WHICH]}`", help=f"its spaces are: {', '.join(self.sum.places)}")
        return self.sum.heads[k] + self.spaces[k].index(rest)

    def _built(self, values: Sequence[Value], rank: int) -> Diagram:
        space = self.spaces[self.sum.places[values[0].label]]
        return replace(space._built(values[0].parts, rank), name=f"{self.name}_{rank}")

    def _gray(self) -> Order:
        return Chain([space.order("gray") for space in self.spaces])

    def _by_size(self) -> Graded:
        return Together([(space.count, space._by_size()) for space in self.spaces])

    def _by_distance(self, centre: int) -> Graded:
        raise fail("E637", f"`{self.name}` is a union: a distance is between members of one space")

    def _line(self) -> Line | None:
        lines = [space._line() for space in self.spaces]
        if not any(lines):
            return None
        counts = [space.count for space in self.spaces]
        return Joined([line or Even(count) for line, count in zip(lines, counts, strict=True)], counts)

    def where(self, *conditions: Condition | str) -> Space:
        return self._each(lambda space: space.where(*conditions))

    def within(self, distance: int, centre: Mapping[str, str] | Member | int) -> Space:
        if isinstance(centre, Mapping):
            return self._each(lambda space: space.within(distance, centre))
        k, rest = self.sum.split(self._place(centre if isinstance(centre, int) else self.index(centre)))
        return self.spaces[k].within(distance, rest)  # only members of its own space are at a distance from it

    def pairs(self) -> Space:
        return self._each(lambda space: space.pairs())

    def _each(self, change: Callable[[Space], Space]) -> Space:
        assert isinstance(self.definition, UnionDefinition)
        members = [change(space).definition for space in self.spaces]
        return Space(replace(self.definition, members=tuple(m for m in members if isinstance(m, SpaceDefinition))))

    @cached_property
    def digest(self) -> str:
        text = [f"{space.name}={space.digest}" for space in self.spaces]
        return blake2b("\n".join(["union", *text]).encode(), digest_size=16).hexdigest()

    def __repr__(self) -> str:
        return f"<space {self.name}: {self.count:,} members of {', '.join(self.sum.places)}>"


class _Counted:
    """A space as a node of the sum."""

    def __init__(self, space: Space):
        self.space, self.count = space, space.count

    @property
    def orbits(self) -> int | None:
        return self.space.orbits

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.space._by_size().all

    def unrank(self, place: int) -> tuple[Value, ...]:
        return self.space.values(place)

    def rank(self, values: Sequence[Value]) -> int:
        return self.space._ranked(values)

    def below(self, place: int) -> tuple[int, ...]:
        return self.sizes if place >= self.count else self.space._by_size().below(place)
