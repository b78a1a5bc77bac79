"""A space: all legal fillings of an open diagram, counted exactly and addressed by rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.language.choices import Condition, SpaceDefinition, UnionDefinition, Within
from anatomy.spaces.member import Member
from anatomy.spaces.orders import ORDERS, ByGrade, Graded, Gray, Lexicographic, Order, Part, Shuffled, Tally
from anatomy.spaces.permutation import Permutation
from anatomy.spaces.tree.decisions import Decisions
from anatomy.spaces.tree.derivations import derivations
from anatomy.spaces.tree.grading import Distance
from anatomy.spaces.tree.node import Foreign
from anatomy.spaces.tree.value import Value
from anatomy.spaces.weights import Line, Weighted, draws

if TYPE_CHECKING:
    from anatomy.spaces.funnel import Funnel


class Space:
    """The members of a `space`, in lexicographic order of the decisions as written, the last fastest.

    The count is exact and nothing is built for it; see `anatomy.spaces.tree`. An option is legal when its ports agree with
    the hole and its equations are proved at every use (ruling 20); the others stand in `refused`. Requirements are not
    part of the count. Raises AnatomyError E604 when a decision has no value, E630 when its conditions cannot be counted.

    >>> from anatomy.target import load_space
    >>> space = Space(load_space("zoo:spaces/scores"))
    >>> space.index(space[17].choices), space.count == len(space)
    (17, True)
    """

    definition: SpaceDefinition | UnionDefinition

    def __new__(cls, definition: SpaceDefinition | UnionDefinition) -> Space:
        if isinstance(definition, UnionDefinition):
            from anatomy.spaces.union import Union

            return object.__new__(Union)
        return object.__new__(cls)

    def __init__(self, definition: SpaceDefinition | UnionDefinition):
        assert isinstance(definition, SpaceDefinition)
        self.definition = definition
        self.name = definition.name
        self.base = definition.base
        self.decisions = definition.decisions
        self.refused = definition.refused
        self.options: dict[str, dict[str, Diagram]] = {
            d.name: {c.label: c.diagram for c in d.domain.components if c.diagram is not None}
            for d in definition.decisions if d.domain.form == "one" and d.kind == "hole"
        }  # fmt: skip
        self.tree = self._tree()
        for decision, node in zip(self.decisions, self.tree.nodes, strict=True):
            if not node.count:
                reasons = [r.reason for r in self.refused if r.name == decision.name]
                why = f"no option of hole `{decision.name}` fits: {reasons[-1]}" if reasons else f"`{decision.name}` has nothing to choose from"
                raise fail("E604", why, decision.span or definition.span)
        self._open = [d.names or (d.name,) for d in self.decisions]
        self._names = {name for names in self._open for name in names} | set(self.tree.names)

    def _tree(self, weighted: bool = False) -> Decisions:
        d = self.definition
        assert isinstance(d, SpaceDefinition)
        known = {n.name: frozenset(r.label for r in d.refused if r.name == n.name) for n in d.decisions}
        return Decisions(d.decisions, d.excepts, d.where, d.within, known, weighted)

    # counting -----------------------------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        """The number of legal values of each decision, before conditions."""
        return {d.name: node.count for d, node in zip(self.decisions, self.tree.nodes, strict=True)}

    @property
    def derivations(self) -> int:
        """The number of fillings as written: before types and conditions, interchangeable holes each by itself."""
        return derivations(self.decisions, self.refused)

    @cached_property
    def rows(self) -> tuple[int, ...] | None:
        """Of a covering array, the ranks of its members in the space that it covers."""
        from anatomy.spaces.covering import pairs

        assert isinstance(self.definition, SpaceDefinition)
        return pairs(self.tree) if self.definition.pairs else None

    @cached_property
    def count(self) -> int:
        """The exact number of members, of any size (`len` is limited to machine integers)."""
        return self.tree.count if self.rows is None else len(self.rows)

    @property
    def orbits(self) -> int | None:
        """The number of members modulo declared symmetry, by Burnside's lemma; None where conditions break the symmetry.

        Declared symmetric are the interior of a cell (its vertices may be renamed) and interchangeable holes, whose members
        are already counted once.
        """
        if self.rows is None:
            return self.tree.orbits
        return self.count if all(node.orbits == node.count for node in self.tree.nodes) else None

    def __len__(self) -> int:
        return self.count

    # rank and unrank ----------------------------------------------------------------------------

    def _place(self, index: int) -> int:
        rest = index + self.count if index < 0 else index
        if not 0 <= rest < self.count:
            raise IndexError(f"there is no member {index}: the space has {self.count}, counted from 0")
        return rest if self.rows is None else self.rows[rest]

    def choices(self, index: int) -> dict[str, str]:
        """What was decided in the member of this rank, by name, as text; nothing is built. Raises IndexError."""
        tree, found = self.tree, {}
        for k, digit in enumerate(tree.digits(self._place(index))):
            names = self._open[k]
            if not self.decisions[k].names:
                found[names[0]] = tree.text(k, digit)
            elif digit[0]:
                found.update(zip(names, map(str, tree.value(k, digit).parts), strict=True))
            else:
                found.update(dict.fromkeys(names, tree.text(k, digit)))
        return found

    def values(self, index: int) -> tuple[Value, ...]:
        """What was decided in the member of this rank, one value for each decision. Raises IndexError."""
        return self.tree.unrank(self._place(index))

    def index(self, choices: Mapping[str, str] | Member | Sequence[Value]) -> int:
        """The rank of a member, given by its choices as text or by its values.

        Raises AnatomyError: E603 for a name, E605 where nothing is chosen, E203 for an option that is not there, E635 where
        the conditions leave the member out.
        """
        if isinstance(choices, Member):
            choices = choices.choices
        if not isinstance(choices, Mapping):
            try:
                return self._ranked(choices)
            except Foreign as error:
                raise fail("E203", f"these values are no member of `{self.name}`: {error}") from None
        for name in choices:
            if name not in self._names:
                raise fail("E603", f"`{self.base.name}` has no hole `{name}`", help=f"its holes are: {', '.join(n for o in self._open for n in o)}")
        tree = self.tree
        state, found = tree.start, 0
        for k in range(len(self.decisions)):
            place = self._read(k, state.active, choices)
            try:
                edge = tree.follow(state, place)
            except Foreign as error:
                text = tree.text(k, (state.active, place))
                raise fail("E635", f"`{self._open[k][0]}` cannot be `{text}` here: {error}") from None
            child = state.children[edge]
            found += state.heads[edge] + (place - state.starts[edge]) * child.total
            state = child
        return self._listed(found)

    def _ranked(self, values: Sequence[Value]) -> int:
        rank = self.tree.rank(values)
        if self.rows is not None and rank not in self.rows:
            raise Foreign("it is not in the covering array")
        return rank if self.rows is None else self.rows.index(rank)

    def _read(self, k: int, active: bool, choices: Mapping[str, str]) -> int:
        name = self._open[k][0]
        try:
            return self.tree.read(k, active, choices)
        except KeyError:
            if self.tree.node(k, active).count == 1 and not active:
                return 0
            raise fail("E605", f"nothing is chosen for hole `{name}` of `{self.base.name}`") from None
        except Foreign as error:
            shown = next((choices[n] for n in (*self._open[k], self.decisions[k].name) if n in choices), "")
            if active or self.tree.find(k, True, shown) is None:
                raise fail("E203", f"hole `{name}` has no option `{shown}`: {error}", help=self.tree.offer(k)) from None
            text = self.tree.text(k, (False, 0))
            raise fail("E635", f"`{name}` is not open in this member: it is `{text}` here, not `{shown}`") from None

    def _listed(self, rank: int) -> int:
        if self.rows is None:
            return rank
        try:
            return self.rows.index(rank)
        except ValueError:
            raise fail("E635", f"this member is not among the {self.count:,} of the covering array") from None

    def __getitem__(self, index: int) -> Member:
        choices = self.choices(index)
        rank = index + self.count if index < 0 else index
        return Member(rank, choices, lambda: self._built(self.values(rank), rank))

    def __iter__(self) -> Iterator[Member]:
        return (self[i] for i in range(self.count))

    def build(self, choices: Mapping[str, str], rank: int) -> Diagram:
        """The diagram of a member. Raises AnatomyError as `anatomy.spaces.assembly.assemble`."""
        return self._built(self.values(self.index(choices)), rank)

    def _built(self, values: Sequence[Value], rank: int) -> Diagram:
        from anatomy.spaces.assembly import assemble

        assert isinstance(self.definition, SpaceDefinition)
        return assemble(self.definition, values, f"{self.name}_{rank}")

    # orders, shards and samples -----------------------------------------------------------------

    def order(self, name: str = "lexicographic", key: str = "", centre: Mapping[str, str] | Member | int | None = None) -> Order:
        """The members in an order: `lexicographic`, `gray`, `shuffled` (by key), `size`, or `distance` from a centre.

        Raises AnatomyError E637 for another name, or where the centre is missing.
        """
        match name:
            case "lexicographic":
                return Lexicographic(self.count)
            case "shuffled":
                return Shuffled(self.count, key)
            case "gray":
                return self._gray()
            case "size":
                return ByGrade(self._by_size())
            case "distance" if centre is not None or key:
                if centre is None:
                    if not key.isdecimal() or len(key) > 4_000:
                        raise fail("E637", f"`{key[:40]}` is not the rank of a member", help="the key of the order by distance is the rank of its centre")
                    centre = int(key)
                at = centre if isinstance(centre, int) else self.index(centre)
                if not 0 <= at < self.count:
                    raise fail("E606", f"there is no member {at}: the space has {self.count}, counted from 0")
                return ByGrade(self._by_distance(at))
            case "distance":
                raise fail("E637", "an order by distance needs a centre", help="give the member that distances are counted from")
        raise fail("E637", f"there is no order `{name}`", help=f"the orders are: {', '.join(ORDERS)}")

    def _gray(self) -> Order:
        return Gray(self.tree) if self.rows is None else Lexicographic(self.count)

    def _by_size(self) -> Graded:
        grading = self.tree.grading
        return grading if self.rows is None else Tally([grading.grade(r) for r in self.rows])

    def _by_distance(self, centre: int) -> Graded:
        grading = Distance(self.tree, self._place(centre))
        return grading if self.rows is None else Tally([grading.grade(r) for r in self.rows])

    def shard(self, i: int, n: int) -> Part:
        """Part i of n of the ranks; the parts are disjoint, cover the space, and differ in length by at most one."""
        return Lexicographic(self.count).shard(i, n)

    def _line(self) -> Line | None:
        """The weights of the members, where `prefer` gives any."""
        if self.rows is not None or not any(d.prefer for d in self.decisions):
            return None
        found = Weighted(self.tree, self._tree(weighted=True))
        if not found.total and self.count:
            raise fail("E638", f"every member of `{self.name}` has weight 0", help="`prefer` needs a label with a weight above 0 that can be chosen")
        return found

    def sample(self, k: int, seed: int = 0) -> list[Member]:
        """k different members (all when there are fewer), in a random order that the seed fixes.

        Without weights a prefix of a keyed permutation. Where `prefer` gives weights, each is drawn in proportion to its
        weight among those that are left; those of weight 0 never come. Raises AnatomyError E638 when all have weight 0.
        """
        line = self._line()
        if line is not None:
            return [self[rank] for rank in islice(draws(line, seed), k)]
        order = Permutation(self.count, f"sample/{seed}")
        return [self[order[j]] for j in range(min(k, self.count))]

    # sub-spaces ---------------------------------------------------------------------------------

    def where(self, *conditions: Condition | str) -> Space:
        """The members that satisfy these conditions, given as text or data. Raises AnatomyError E633, E203."""
        assert isinstance(self.definition, SpaceDefinition)
        return Space(replace(self.definition, where=(*self.definition.where, *map(self._condition, conditions))))

    def within(self, distance: int, centre: Mapping[str, str] | Member | int) -> Space:
        """The members that differ from one in at most so many decisions; those that a mapping does not name may differ freely."""
        assert isinstance(self.definition, SpaceDefinition)
        if not isinstance(centre, Mapping):
            centre = self.choices(centre) if isinstance(centre, int) else centre.choices
        return Space(replace(self.definition, within=(*self.definition.within, Within(distance, dict(centre)))))

    def pairs(self) -> Space:
        """A covering array: few members in which every two values of every two decisions meet, where they may."""
        assert isinstance(self.definition, SpaceDefinition)
        return Space(replace(self.definition, pairs=True))

    def _condition(self, condition: Condition | str) -> Condition:
        if not isinstance(condition, str):
            return condition
        from anatomy.spaces.wording import read_condition

        return read_condition(condition)

    # identity and deduplication -----------------------------------------------------------------

    @cached_property
    def digest(self) -> str:
        """A hash of the base, the decisions with every legal component, and the conditions: the identity of the enumeration."""
        from anatomy.spaces.identity import identity

        assert isinstance(self.definition, SpaceDefinition)
        return identity(self.definition)

    def funnel(self, **options: Any) -> Funnel:
        """How many members remain at each level of equality, with what was merged; builds every member.

        The options are those of `anatomy.spaces.funnel.scan`: `folder`, `jobs`, `progress`, `level`, `limit`, `complete`, `searches`.
        Raises AnatomyError E607 for a space that is too large; `anatomy.spaces.funnel.estimate` works at any size.
        """
        from anatomy.spaces.funnel import scan

        return scan(self, **options)

    def __repr__(self) -> str:
        return f"<space {self.name}: {self.count:,} members over {', '.join(n for o in self._open for n in o)}>"
