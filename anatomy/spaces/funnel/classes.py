"""Members that are one diagram: which of them stands for it, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anatomy.spaces.space import Space


@dataclass(frozen=True)
class Alias:
    """A member that is the same as a representative, with the reason."""

    index: int
    reason: str
    level: str = "L1"


@dataclass(frozen=True)
class Class:
    """Members that are the same; the representative is the one of least rank, and `digest` the hash of its canonical form."""

    digest: str
    index: int
    aliases: tuple[Alias, ...] = ()


def classes(space: Space, indices: Iterable[int], code: Callable[[int], str] | None = None) -> tuple[Class, ...]:
    """The members of these ranks merged by canonical hash, in the order of their representatives; `code` gives the hash of a rank, if it is kept elsewhere."""
    from anatomy.ir.canonical import digest

    groups: dict[str, list[int]] = {}
    for index in sorted(set(indices)):
        groups.setdefault(code(index) if code else digest(space[index].diagram), []).append(index)
    return tuple(
        Class(code, members[0], tuple(Alias(i, reason(space, members[0], i)) for i in members[1:]))
        for code, members in groups.items()
    )


WHY = {"L1": "isomorphic (equal canonical hash)", "L2": "equal by the laws", "L3a": "equal by algebra", "L3b": "equal in numbers"}


def reason(space: Space, kept: int, alias: int, level: str = "L1") -> str:
    """At which level two members are one, and where they were written differently."""
    return f"{WHY[level]} with {difference(space, kept, alias)}"


def differing(space: Space, kept: int, alias: int) -> tuple[tuple[str, str, str], ...]:
    """The decisions in which two members differ, with both values; what one does not decide is `-`."""
    a, b = space.choices(kept), space.choices(alias)
    return tuple((name, a.get(name, "-"), b.get(name, "-")) for name in {**a, **b} if a.get(name) != b.get(name))


def difference(space: Space, kept: int, alias: int) -> str:
    return ", ".join(f"{name} {mine} for {theirs}" for name, mine, theirs in differing(space, kept, alias))
