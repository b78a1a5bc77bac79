"""Members that are trained once: those asked for, each class with its representative, and why the others are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.canonical import digest
from anatomy.spaces.funnel import Alias, Class
from anatomy.spaces.funnel.algebra import algebra
from anatomy.spaces.funnel.bench import Bench
from anatomy.spaces.funnel.classes import difference
from anatomy.spaces.funnel.forms import agree, form
from anatomy.spaces.funnel.merging import numerically
from anatomy.spaces.funnel.points import Naming, Point
from anatomy.spaces.funnel.values import Values, alike, values

if TYPE_CHECKING:
    from anatomy.ir.graph import Diagram
    from anatomy.spaces.facts import Facts
    from anatomy.spaces.space import Space

LEVELS = ("L1", "L2", "L3a", "L3b")
SMALL = Point("small", 4, (4,), (4,))
"""Where a control is first held against members: every size is one, so that names of axes do not matter."""


class Merger:
    """Merges members of one space; `merge` is the last thing that counts: canonical, algebra, numeric.

    `progress` is told how many steps are done, of how many: every member has two, its canonical form and its values, where values count.
    """

    def __init__(self, space: Space, merge: str, progress: Callable[[int, int], None] | None = None):
        self.space, self.merge = space, merge
        self.bench = Bench(space)
        self.progress, self.done, self.wanted = progress, 0, 0

    def expect(self, members: int) -> None:
        """So many more members will be looked at."""
        self.wanted += members * (1 if self.merge == "canonical" else 2)

    @cache  # noqa: B019  (a merger lives as long as one plan is made)
    def code(self, rank: int) -> str:
        """The hash of a member's canonical form."""
        self._step()
        return digest(self.space[rank].diagram)

    @cache  # noqa: B019
    def facts(self, rank: int) -> Facts:
        """What the static rung knows of a member."""
        self._step()
        return self.bench.rung.facts(rank)

    def finish(self) -> None:
        """No more members will be looked at."""
        if self.progress is not None:
            self.progress(self.done, self.done)

    def _step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, max(self.done, self.wanted))

    def merged(self, found: Sequence[Class]) -> tuple[Class, ...]:
        """Classes of equal diagrams, those merged whose representatives are equal at a later level."""
        if self.merge == "canonical" or len(found) < 2:
            return tuple(found)
        by_rank = {c.index: c for c in found}
        ranks = sorted(by_rank)
        grids = np.array([self.facts(r).grids or (0, 0) for r in ranks], np.uint64)
        labels = np.where((grids == 0).all(1), -1, numerically(grids))
        groups: dict[int, list[int]] = {}
        for rank, label in zip(ranks, labels.tolist(), strict=True):
            groups.setdefault(label, []).append(rank)
        for group in groups.values():
            for kept, said in self._within(group):
                by_rank[kept] = _joined(by_rank[kept], by_rank.pop(said.index), said)
        return tuple(by_rank[r] for r in sorted(by_rank))

    def _within(self, group: list[int]) -> Iterator[tuple[int, Alias]]:
        """Of members whose fingerprints agree, those that are the same as one of lower rank, with that one."""
        forms: dict[bytes, list[int]] = {}
        exact: dict[bytes, list[int]] = {}
        kept: list[int] = []
        for rank in group if len(group) > 1 else ():
            said = self._by_laws(rank, forms) or self._by_algebra(rank, exact) or self._in_numbers(rank, kept)
            if said is None:
                kept.append(rank)
            else:
                yield said

    def _by_laws(self, rank: int, forms: dict[bytes, list[int]]) -> tuple[int, Alias] | None:
        bench = self.bench
        mine = bench.form(rank)
        if mine.key is None:
            return None
        for first in forms.setdefault(mine.key, []):
            if agree(bench.by_form(first), bench.by_form(rank)) is not False:
                laws = ", ".join(dict.fromkeys((*bench.form(first).laws, *mine.laws)))
                where = difference(self.space, first, rank)
                return first, Alias(rank, f"equal by the laws{f' ({laws})' if laws else ''} with {where}", "L2")
        forms[mine.key].append(rank)
        return None

    def _by_algebra(self, rank: int, exact: dict[bytes, list[int]]) -> tuple[int, Alias] | None:
        mine = algebra(self.bench.diagram(rank), self.bench.points)
        if mine is None:
            return None
        for first in exact.setdefault(mine.key, []):
            if self.near(first, rank) is not False:
                where = difference(self.space, first, rank)
                return first, Alias(rank, f"equal by algebra (wrong by a chance below {mine.error:.0e}) with {where}", "L3a")
        exact[mine.key].append(rank)
        return None

    def _in_numbers(self, rank: int, kept: list[int]) -> tuple[int, Alias] | None:
        if self.merge != "numeric":
            return None
        bench = self.bench
        mine, function = drawn(bench.diagram(rank)), bench.form(rank).function
        for first in kept:
            redrawn = function is not None and function == bench.form(first).function
            if not redrawn and mine == drawn(bench.diagram(first)) and self.near(first, rank):
                return first, Alias(rank, f"equal in numbers, which is no proof, with {difference(self.space, first, rank)}", "L3b")
        return None

    def near(self, kept: int, alias: int) -> bool | None:
        """Whether values agree at points that no fingerprint used; None where they are not computed."""
        one, other = self.bench.by_key(kept), self.bench.by_key(alias)
        return agree(one, other) if one and other else self.bench.rung.agree(kept, alias)


def drawn(diagram: Diagram) -> set[tuple[object, ...]]:
    """How the weights that are used are drawn."""
    return {(w.keys, str(w.init), w.frozen) for w in diagram.weights if diagram.consumers[w.wire]}


def _joined(kept: Class, gone: Class, said: Alias) -> Class:
    more = tuple(Alias(a.index, f"{a.reason}, which gives member {gone.index}: {said.reason}", said.level) for a in gone.aliases)
    return replace(kept, aliases=tuple(sorted((*kept.aliases, said, *more), key=lambda a: a.index)))


def equal_controls(controls: Sequence[tuple[str, Diagram]], members: Sequence[Diagram], digests: Sequence[str], merge: str) -> dict[int, str]:
    """Of members by place, the control that is the same, with the reason. Values of all are compared first, normal forms after."""
    found: dict[int, str] = {}
    for name, control in controls:
        code = digest(control)
        for place, other in enumerate(digests):
            if other == code:
                found[place] = f"{name}: isomorphic (equal canonical hash)"
    if merge == "canonical":
        return found
    known = [(name, form(control), valued(control)) for name, control in controls]
    for place, member in enumerate(members):
        mine = valued(member) if place not in found else None
        if mine is None:
            continue
        for name, control, theirs in known:
            if theirs is not None and alike(mine, theirs):
                made = form(member)
                if made.key is not None and made.key == control.key:
                    laws = ", ".join(dict.fromkeys((*made.laws, *control.laws)))
                    found[place] = f"{name}: equal by the laws" + (f" ({laws})" if laws else "")
    return found


def valued(diagram: Diagram) -> Values | None:
    """Values at one small point, where weights of one shape are one, so that names of weights do not matter."""
    named = {}
    for k, w in enumerate(diagram.weights):
        roles = (*w.lanes, *w.fan_in, *w.fan_out)
        axes = roles if sorted(roles) == sorted(w.layout) else w.layout
        named[k] = (f"of {len(axes)} axes", axes)
    return values(diagram, SMALL, Naming(named, {}))


def drawn_until(order: Iterator[int], wanted: int, merge: Callable[[list[int]], tuple[Class, ...]]) -> tuple[Class, ...]:
    """Classes of the first ranks of an order, of as many as give `wanted` classes."""
    ranks: list[int] = []
    found: tuple[Class, ...] = ()
    while len(found) < wanted:
        more = list(islice(order, wanted - len(found)))
        if not more:
            break
        ranks += more
        found = merge(ranks)
    return found
