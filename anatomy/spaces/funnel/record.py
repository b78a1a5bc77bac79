"""The funnel: how many members remain at each level and after each filter, as data and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.spaces.funnel import rows as r
from anatomy.spaces.funnel.classes import Alias, Class, difference, reason
from anatomy.spaces.funnel.static import requirements

if TYPE_CHECKING:
    from anatomy.language.choices import Requirement
    from anatomy.spaces.funnel.scanning import Found
    from anatomy.spaces.space import Space

SHOWN = 2000
"""Merged members that are listed one by one in `as_data`; the classes hold all."""


@dataclass(frozen=True)
class Filter:
    """Of the different functions, for how many something holds, does not, or is not known; `left` pass this filter and all before it."""

    name: str
    holds: int
    fails: int
    unknown: int
    left: int


@dataclass(frozen=True)
class Funnel:
    """The counts of a scan, and its classes in the order of their representatives."""

    space: Space = field(repr=False, compare=False)
    found: Found = field(repr=False, compare=False)
    derivations: int
    typed: int
    symmetric: int | None
    """Members up to the symmetry that was declared, where there is one."""
    canonical: int
    normal: int | None
    algebra: int | None
    numeric: int | None
    filters: tuple[Filter, ...]
    costs: tuple[tuple[int, int], ...]
    """How many functions cost what power of the length; -1 where it has none."""
    refused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every canonical form was brought to normal form."""
        return self.found.complete

    @cached_property
    def classes(self) -> tuple[Class, ...]:
        """All classes, what is proved or equal by algebra merged; what is only equal in numbers is not."""
        return tuple(self._classes(np.flatnonzero(self.found.algebra == np.arange(self.typed))))

    @cached_property
    def merged(self) -> tuple[Class, ...]:
        """The classes that have more than one member."""
        aliases = np.flatnonzero(self.found.algebra != np.arange(self.typed))
        return tuple(self._classes(np.unique(self.found.algebra[aliases])))

    def _classes(self, kept: np.ndarray) -> Iterator[Class]:
        labels = self.found.algebra
        order = np.argsort(labels, kind="stable")
        ends = np.searchsorted(labels[order], kept, side="right")
        starts = np.searchsorted(labels[order], kept, side="left")
        for index, start, end in zip(kept.tolist(), starts.tolist(), ends.tolist(), strict=True):
            aliases = tuple(Alias(i, reason(self.space, index, i, self.level(i)), self.level(i)) for i in order[start + 1 : end].tolist())
            yield Class(digest(self.found.rows[index]), index, aliases)

    def level(self, index: int) -> str:
        """The first level at which a member is one with what stands for it."""
        kept = self.found.algebra[index]
        return "L1" if self.found.canonical[index] == kept else "L2" if self.found.normal[index] == kept else self._late(index)

    def _late(self, index: int) -> str:
        """By what the class of normal forms was joined with others after all of them were known."""
        here = int(self.found.normal[index])
        met = {m.level for m in self.found.merges if here in (int(self.found.normal[m.kept]), int(self.found.normal[m.alias])) and (m.derived or m.level == "L3a")}
        return "L3a" if "L3a" in met or not met else "L2"

    @property
    def conjectures(self) -> tuple[tuple[int, int], ...]:
        """Pairs of classes that are equal in numbers, without a derivation; the first stands for both where one is trained."""
        return tuple(self.found.conjectures)

    # words ------------------------------------------------------------------------------------

    def as_data(self) -> dict[str, Any]:
        merged = self.merged if self.typed - self.canonical + len(self.found.merges) <= SHOWN else ()
        found = self.found
        return {
            "space": self.space.name, "exact": True, "level": found.level, "derivations": self.derivations, "typed": self.typed, "symmetric": self.symmetric,
            "canonical": self.canonical, "normal": self.normal, "algebra": self.algebra, "numeric": self.numeric,
            "normal_form_of_all": found.complete, "normal_forms_cut_short": found.unfinished, "normal_forms": len(found.forms), "unchecked": found.unchecked,
            "filters": [{"name": f.name, "holds": f.holds, "fails": f.fails, "unknown": f.unknown, "left": f.left} for f in self.filters],
            "cost": {"unknown" if power < 0 else f"n^{power}": count for power, count in self.costs},
            "conjectures": [{"index": a, "alias": b, "differ": difference(self.space, a, b)} for a, b in found.conjectures[:SHOWN]],
            "drawn_otherwise": [{"index": a, "alias": b, "differ": difference(self.space, a, b)} for a, b in found.redrawn[:SHOWN]],
            "law_without_value": [{"index": a, "alias": b, "differ": difference(self.space, a, b)} for a, b in found.refuted[:SHOWN]],
            "error_of_algebra": max((m.error for m in found.merges), default=0.0),
            "refused": list(self.refused),
            "merged": [
                {"digest": c.digest, "index": c.index, "aliases": [{"index": a.index, "level": a.level, "reason": a.reason} for a in c.aliases]}
                for c in merged
            ],
            "merged_listed": self.typed - self.canonical + len(found.merges) <= SHOWN,
        }  # fmt: skip

    def as_text(self, most: int = 12) -> str:
        from anatomy.spaces.funnel.table import text

        return text(self, most)


def digest(row: np.ndarray) -> str:
    """The canonical hash of a row as text."""
    return b"".join(int(word).to_bytes(8, "little") for word in row["key"]).hex()


def recorded(space: Space, found: Found) -> Funnel:
    """The counts of what was found."""
    ranks = np.arange(len(found.rows))
    count = lambda labels: int((labels == ranks).sum())  # noqa: E731
    kept = found.rows[found.algebra == ranks]
    asked = requirements(space)
    deep, deepest = found.level != "L1", found.level == "L3"
    powers, many = np.unique(kept["degree"], return_counts=True)
    return Funnel(
        space, found, space.derivations, space.count, symmetric(space), count(found.canonical),
        count(found.normal) if deep else None, count(found.algebra) if deepest else None, count(found.numeric) if deepest else None,
        filters(kept, asked), tuple(zip(powers.tolist(), many.tolist(), strict=True)),
        tuple(f"`{x.label}` for hole `{x.name}`: {x.reason}" for x in space.refused),
    )  # fmt: skip


def symmetric(space: Space) -> int | None:
    """Members up to declared symmetry, where a space says."""
    return getattr(space, "orbits", None)


def filters(kept: np.ndarray, asked: tuple[Requirement, ...]) -> tuple[Filter, ...]:
    """What holds of the rows, filter by filter, in a fixed order."""
    left = np.ones(len(kept), bool)
    found = []
    for name in ("finite", "alive", "causal", "length_generic"):
        bit = r.bit(name)
        known = (kept["known"] & bit) != 0
        holds = known & ((kept["facts"] & bit) != 0)
        left &= holds
        if name == "causal":  # what is not proved fails where it was seen to leak, and is not known elsewhere
            leaks = r.bit("leaks")
            known = holds | ((kept["known"] & kept["facts"] & leaks) != 0)
        found.append(Filter(name, int(holds.sum()), int((known & ~holds).sum()), int((~known).sum()), int(left.sum())))
    left = np.ones(len(kept), bool)
    for k, requirement in enumerate(asked):
        known = (kept["decided"] >> k) & 1 == 1
        holds = known & ((kept["meets"] >> k) & 1 == 1)
        left &= holds
        words = f"require {requirement.what} {requirement.op} {requirement.value}".replace(" == true", "").replace(" == false", " not")
        found.append(Filter(words, int(holds.sum()), int((known & ~holds).sum()), int((~known).sum()), int(left.sum())))
    return tuple(found)
