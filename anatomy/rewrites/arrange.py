"""An order of axes that does not depend on their names: refinement, and where it leaves a tie a choice of the least form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Edge = tuple[Any, tuple[str, ...]]
"""A mark that can be compared, with an atom first, and the axes that it is read under."""
Turns = Mapping[int, Sequence[tuple[int, ...]]]
"""For an atom, orders of its places that read the same: `x[n] * x[m]` is its own transpose."""
LEAVES = 24
"""Orders that are looked at where axes look alike; beyond, the first ones found count."""


def turned(args: tuple[str, ...], turns: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """The least of the ways to read a symmetric atom."""
    return min([args, *(tuple([args[i] for i in turn]) for turn in turns)])


def orbits(turns: Sequence[tuple[int, ...]], count: int) -> tuple[int, ...]:
    """For every place, the first one that a turn takes it to."""
    return tuple(min(i, *(turn[i] for turn in turns)) for i in range(count))


def arranged(edges: Sequence[Edge], colours: Mapping[str, Any], turns: Turns) -> list[list[str]]:
    """Orders of the axes in `colours` under which the edges read the same; other axes count by their names.

    Two systems of edges that differ in the names of such axes only give orders that correspond.

    >>> arranged([((0, 1), ("a", "b")), ((1, 1), ("b",))], {"a": "n", "b": "n"}, {})
    [['a', 'b']]
    >>> arranged([((0, 1), ("a",)), ((0, 1), ("b",))], {"a": "n", "b": "n"}, {})
    [['a', 'b'], ['b', 'a']]
    """
    if len(colours) < 2:
        return [list(colours)]
    rank = {c: k for k, c in enumerate(sorted(set(colours.values())))}
    colour = {a: rank[c] for a, c in colours.items()}
    if len(rank) == len(colour):
        return [sorted(colour, key=colour.__getitem__)]
    places = {mark[0]: orbits(turns[mark[0]], len(args)) for mark, args in edges if mark[0] in turns}
    colour = _sorted_out(edges, colour, places)
    if len(set(colour.values())) == len(colour):
        return [sorted(colour, key=colour.__getitem__)]
    others = sorted({a for _, args in edges for a in args if a not in colours})
    fixed = {a: -1 - k for k, a in enumerate(others)}
    best: list[list[str]] = []
    least: object = None
    stack = [colour]
    seen = 0
    while stack and seen < LEAVES:
        colour = _refined(edges, stack.pop(), fixed, places)
        cells: dict[int, list[str]] = {}
        for a, c in colour.items():
            cells.setdefault(c, []).append(a)
        if len(cells) == len(colour):
            seen += 1
            order = sorted(colour, key=colour.__getitem__)
            form = _written(edges, {a: chr(33 + k) for k, a in enumerate(order)}, turns) if seen > 1 or stack else None
            if least is None or (form is not None and form == least):
                best.append(order)
                least = form
            elif form is not None and form < least:  # type: ignore[operator]
                best, least = [order], form
            continue
        tied = min((c for c, cell in cells.items() if len(cell) > 1), key=lambda c: (len(cells[c]), c))
        for a in sorted(cells[tied], reverse=True):
            stack.append({b: 2 * c + (c == tied and b != a) for b, c in colour.items()})
    return best


def _sorted_out(edges: Sequence[Edge], colour: dict[str, int], places: Mapping[int, tuple[int, ...]]) -> dict[str, int]:
    """Axes told apart by what they are read by, and where: a first round, which mostly is enough."""
    seen: dict[str, list[Any]] = {a: [] for a in colour}
    for mark, args in edges:
        spots = places.get(mark[0])
        for k, a in enumerate(args):
            if a in seen:
                seen[a].append((mark, k if spots is None else spots[k]))
    return _ranked({a: (colour[a], sorted(s)) for a, s in seen.items()})


def _ranked(signs: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    k = -1
    last: object = None
    for a in sorted(signs, key=signs.__getitem__):
        if signs[a] != last:
            k += 1
            last = signs[a]
        found[a] = k
    return found


def _refined(
    edges: Sequence[Edge], colour: dict[str, int], fixed: Mapping[str, int], places: Mapping[int, tuple[int, ...]]
) -> dict[str, int]:
    """Axes told apart by what they are read by, and beside which others, until no more are."""
    count = len(set(colour.values()))
    while True:
        seen: dict[str, list[Any]] = {a: [] for a in colour}
        for mark, args in edges:
            spots = places.get(mark[0])
            row = [fixed[a] if a in fixed else colour[a] for a in args]
            if spots is None:
                key = (mark, row)
                for k, a in enumerate(args):
                    if a in seen:
                        seen[a].append((key, k))
            else:
                key = (mark, sorted(zip(spots, row, strict=True)))
                for k, a in zip(spots, args, strict=True):
                    if a in seen:
                        seen[a].append((key, k))
        signs = {a: (colour[a], sorted(s)) for a, s in seen.items()}
        fine = _ranked(signs)
        k = len(set(fine.values()))
        if k in (count, len(colour)):
            return fine
        colour, count = fine, k


def _written(edges: Sequence[Edge], names: Mapping[str, str], turns: Turns) -> list[Edge]:
    found = []
    for mark, args in edges:
        args = tuple([names.get(a, a) for a in args])
        found.append((mark, turned(args, turns[mark[0]]) if mark[0] in turns else args))
    return sorted(found)
