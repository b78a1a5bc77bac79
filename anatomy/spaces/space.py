"""A space: all legal fillings of an open diagram, counted exactly and addressed by rank."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from math import prod
from typing import TYPE_CHECKING

from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.language.choices import SpaceDefinition, UnionDefinition
from anatomy.language.filling import fill
from anatomy.spaces.permutation import Permutation

if TYPE_CHECKING:
    from anatomy.spaces.funnel import Funnel


@dataclass(frozen=True)
class Member:
    """One filling: its rank, what fills each hole, and the diagram, which is built when it is first asked for."""

    index: int
    choices: Mapping[str, str]
    _build: Callable[[], Diagram] = field(repr=False, compare=False)

    @cached_property
    def diagram(self) -> Diagram:
        return self._build()


class Space:
    """The fillings of a `space`, in lexicographic order of the choices as written, the last hole fastest.

    The count is exact and nothing is built for it: `count = prod_h |legal options of h|`. An option is legal when its
    ports agree with the hole and its equations are proved at every use (ruling 20); the others stand in `refused`.
    Raises AnatomyError E604 when a hole has no legal option.

    >>> from anatomy.target import load_space
    >>> space = Space(load_space("zoo:spaces/scores"))
    >>> space.index(space[17].choices), space.count == len(space)
    (17, True)
    """

    def __init__(self, definition: SpaceDefinition | UnionDefinition):
        assert isinstance(definition, SpaceDefinition)
        self.definition = definition
        self.name = definition.name
        self.base = definition.base
        self.refused = definition.refused
        self.options: dict[str, dict[str, Diagram]] = {}
        for decision in definition.decisions:
            self.options[decision.name] = {c.label: c.diagram for c in decision.domain.components if c.diagram is not None}
        self.offered = {hole: len(legal) + sum(r.name == hole for r in self.refused) for hole, legal in self.options.items()}
        self._names = {hole: tuple(legal) for hole, legal in self.options.items()}
        self._places = {hole: {o: k for k, o in enumerate(names)} for hole, names in self._names.items()}

    # counting -----------------------------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        """The number of legal options of each hole."""
        return {hole: len(legal) for hole, legal in self.options.items()}

    @property
    def derivations(self) -> int:
        """The number of fillings as written, before options that cannot fill their hole are dropped."""
        return prod(self.offered.values())

    @property
    def count(self) -> int:
        """The exact number of members, of any size (`len` is limited to machine integers)."""
        return prod(len(legal) for legal in self.options.values())

    def __len__(self) -> int:
        return self.count

    # rank and unrank ----------------------------------------------------------------------------

    def choices(self, index: int) -> dict[str, str]:
        """What fills each hole in the member of this rank; nothing is built. Raises IndexError."""
        rest = index + self.count if index < 0 else index
        if not 0 <= rest < self.count:
            raise IndexError(f"there is no member {index}: the space has {self.count}, counted from 0")
        found: dict[str, str] = {}
        for hole, names in reversed(self._names.items()):
            rest, place = divmod(rest, len(names))
            found[hole] = names[place]
        return {hole: found[hole] for hole in self._names}

    def index(self, choices: Mapping[str, str]) -> int:
        """The rank of a filling. Raises AnatomyError E603 for a hole, E203 for an option that is not there."""
        for hole in choices:
            if hole not in self._names:
                raise fail("E603", f"`{self.base.name}` has no hole `{hole}`", help=f"its holes are: {', '.join(self._names)}")
        rank = 0
        for hole, names in self._names.items():
            if hole not in choices:
                raise fail("E605", f"nothing is chosen for hole `{hole}` of `{self.base.name}`")
            place = self._places[hole].get(choices[hole])
            if place is None:
                raise fail("E203", f"hole `{hole}` has no option `{choices[hole]}`", help=f"its options are: {', '.join(names)}")
            rank = rank * len(names) + place
        return rank

    def __getitem__(self, index: int) -> Member:
        choices = self.choices(index)
        rank = index + self.count if index < 0 else index
        return Member(rank, choices, lambda: self.build(choices, rank))

    def __iter__(self) -> Iterator[Member]:
        return (self[i] for i in range(self.count))

    def build(self, choices: Mapping[str, str], rank: int) -> Diagram:
        fillers = {hole: self.options[hole][option] for hole, option in choices.items()}
        return fill(self.base, fillers, f"{self.name}_{rank}")

    def sample(self, k: int, seed: int = 0) -> list[Member]:
        """k different members (all when there are fewer), in a random order that the seed fixes."""
        order = Permutation(self.count, f"sample/{seed}")
        return [self[order[j]] for j in range(min(k, self.count))]

    # identity and deduplication -----------------------------------------------------------------

    @cached_property
    def digest(self) -> str:
        """A hash of the base, the holes and every legal filler with its name: the identity of the enumeration."""
        from anatomy.ir.canonical import digest

        text = [digest(self.base), *self.base.holes]
        for hole, legal in self.options.items():
            text += [hole, *(f"{option}={digest(filler)}" for option, filler in legal.items())]
        return blake2b("\n".join(text).encode(), digest_size=16).hexdigest()

    def funnel(self, progress: Callable[[int, int], None] | None = None) -> Funnel:
        """How many fillings remain at each level, with what was merged; builds every member."""
        from anatomy.spaces.funnel import scan

        return scan(self, progress)

    def __repr__(self) -> str:
        return f"<space {self.name}: {self.count:,} members over {', '.join(self._names)}>"
