"""Places that a position is compared with: axes, stretches of them, and what indices point at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """A position: along the one axis of `axes`, or what `of` says of these axes.

    `/0/1`: the position in stretch 1 of stretch 0 of the axis, which is end to end; what is said of it is said of
    entries in that stretch. `#7`: where the entry of index wire 7 at these axes points.
    """

    axes: tuple[str, ...]
    of: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is a position along an axis, whole."""
        return not self.of

    def renamed(self, to: Mapping[str, str]) -> Place:
        return Place(tuple(to[a] for a in self.axes), self.of)

    def stretch(self, whole: str, number: int) -> Place:
        """Where a place on an operand stands in the axis that the operands are put into, end to end."""
        return Place((whole,), f"/{number}{self.of}")


Pairs = frozenset[tuple[Place, Place]]
"""Pairs (a, b): place a is at most place b."""
Bounds = Mapping[Place, bool]
"""Places on a wire that bound the input position from above; True where they are even equal to it."""
Ways = tuple[Bounds, ...]
"""The ways in which a wire sees an input: a position is seen in one of them."""
MANY = 16
"""More ways than this are joined into one, which bounds less."""


def close(bounds: Bounds, pairs: Iterable[tuple[Place, Place]]) -> Bounds:
    """`t <= a` and `a <= b` give `t <= b`."""
    closed = dict(bounds)
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            if a in closed and b not in closed:
                closed[b] = False
                changed = True
    return closed


def later(bounds: Bounds, along: str) -> Bounds:
    """What was seen at one position of an axis, seen from a later one: stretches and indices are others there."""
    return {a: same and along not in a.axes for a, same in bounds.items() if a.plain or along not in a.axes}


def weakest(ways: Ways) -> Ways:
    """Without the ways whose positions another way sees too."""
    kept: list[Bounds] = []
    for way in sorted(ways, key=lambda w: (len(w), sum(w.values()))):
        if not any(all(a in way and way[a] >= same for a, same in weaker.items()) for weaker in kept):
            kept.append(way)
    if len(kept) > MANY:
        return ({a: all(w[a] for w in kept) for a in kept[0] if all(a in w for w in kept)},)
    return tuple(kept)
