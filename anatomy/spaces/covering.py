"""Covering arrays of strength 2: few members in which every two values of every two decisions meet, where they may."""

from __future__ import annotations

from bisect import bisect_right
from itertools import combinations

from anatomy.errors import fail
from anatomy.spaces.tree.decisions import Decisions
from anatomy.spaces.tree.states import State

LIMIT = 200_000
"""Pairs of values that one array may have to cover."""


def pairs(tree: Decisions) -> tuple[int, ...]:
    """The ranks of a covering array, increasing. Deterministic and greedy; legal members only.

    A pair that no member has is left out: whether it has one is decided exactly, on the counting diagram. Values are told
    apart by their text. Raises AnatomyError E636 where there are too many pairs.

    Source of the greedy step: D. M. Cohen et al., The AETG system (1997), made deterministic.
    """
    n = len(tree.decisions)
    values = [_values(tree, k) for k in range(n)]
    total = sum(len(values[i]) * len(values[j]) for i, j in combinations(range(n), 2))
    if total > LIMIT:
        raise fail("E636", f"there are {total:,} pairs of values to cover; at most {LIMIT:,} are", help="restrict the space with `where` first")
    if n < 2 or not tree.count:
        return tuple(_first(tree, {0: v}) for v in values[0] if _possible(tree, {0: v})) if n and tree.count else tuple(range(tree.count))
    open_ = {
        (i, a, j, b): None
        for i, j in combinations(range(n), 2) for a in values[i] for b in values[j] if _possible(tree, {i: a, j: b})
    }  # fmt: skip
    found: set[int] = set()
    while open_:
        i, a, j, b = next(iter(open_))
        chosen = {i: a, j: b}
        for k in range(n):
            if k not in chosen:
                gains = []
                for place, value in enumerate(values[k]):
                    gain = sum(_pair(k, value, other, at) in open_ for other, at in chosen.items())
                    gains.append((-gain, place, value))
                chosen[k] = next(v for _, _, v in sorted(gains) if _possible(tree, {**chosen, k: v}))
        for p, q in combinations(range(n), 2):
            open_.pop((p, chosen[p], q, chosen[q]), None)
        found.add(_first(tree, chosen))
    return tuple(sorted(found))


def _pair(k: int, value: str, other: int, at: str) -> tuple[int, str, int, str]:
    return (k, value, other, at) if k < other else (other, at, k, value)


def _values(tree: Decisions, k: int) -> list[str]:
    found: dict[str, None] = {}
    for active in (True,) if tree.others[k] is None else (True, False):
        node = tree.node(k, active)
        if node.count > LIMIT:
            raise fail("E636", f"`{tree.decisions[k].name}` alone has {node.count:,} values; pairs of at most {LIMIT:,} are covered")
        found.update(dict.fromkeys(tree.text(k, (active, place)) for place in range(node.count)))
    return list(found)


def _step(tree: Decisions, k: int, state: State, text: str | None) -> list[tuple[int, State]]:
    """The least place of each way on, with this value where one is given."""
    if text is None:
        return list(zip(state.starts, state.children, strict=True))
    place = tree.find(k, state.active, text)
    if place is None:
        return []
    edge = bisect_right(state.starts, place) - 1
    return [(place, state.children[edge])] if edge >= 0 and place < state.stops[edge] else []


def _possible(tree: Decisions, chosen: dict[int, str]) -> bool:
    """Whether a member has these values."""
    states = {id(tree.start): tree.start}
    for k in range(max(chosen) + 1):
        states = {id(child): child for state in states.values() for _, child in _step(tree, k, state, chosen.get(k))}
    return bool(states)


def _first(tree: Decisions, chosen: dict[int, str]) -> int:
    """The rank of the first member that has these values."""
    paths: list[tuple[list[int], State]] = [([], tree.start)]
    for k in range(len(tree.decisions)):
        seen: dict[int, tuple[list[int], State]] = {}
        for places, state in paths:
            for place, child in _step(tree, k, state, chosen.get(k)):
                seen.setdefault(id(child), ([*places, place], child))
        paths = list(seen.values())
    return min(tree.index(places) for places, _ in paths)
