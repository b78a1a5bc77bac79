"""Classes of members: what was merged with what, at which level, and what is only reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from anatomy.spaces.funnel.rows import first_of

Level = Literal["L1", "L2", "L3a"]
MEANING = {
    "L1": "the same diagram",
    "L2": "equal by the laws",
    "L3a": "equal by algebra",
    "L3b": "equal in numbers",
    "L4": "equal after other weights",
}


@dataclass(frozen=True)
class Merge:
    """A representative that was found to be the same as one of lower rank."""

    level: Level
    kept: int
    alias: int
    derived: bool = False
    """A search has found the derivation; else normal forms, or canonical forms, are equal."""
    error: float = 0.0
    """For algebra, the chance that it is wrong."""


class Classes:
    """A partition of representatives by union, whose classes are known by their least rank."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}

    def of(self, rank: int) -> int:
        parent = self.parent
        root = rank
        while (up := parent.get(root, root)) != root:
            root = up
        while parent.get(rank, rank) != root:
            parent[rank], rank = root, parent[rank]
        return root

    def join(self, a: int, b: int) -> bool:
        """Whether they were apart."""
        a, b = self.of(a), self.of(b)
        if a == b:
            return False
        self.parent[max(a, b)] = min(a, b)
        return True

    def labels(self, ranks: np.ndarray) -> np.ndarray:
        """The least rank of each one's class."""
        found = ranks.copy()
        if self.parent:
            moved = np.fromiter(self.parent, np.int64, len(self.parent))
            goals = np.array([self.of(r) for r in moved.tolist()])
            order = np.argsort(moved)
            moved, goals = moved[order], goals[order]
            places = np.searchsorted(moved, ranks)
            places[places == len(moved)] = 0
            hit = moved[places] == ranks
            found[hit] = goals[places[hit]]
        return found


def together(ranks: np.ndarray, keys: np.ndarray, decided: np.ndarray) -> list[np.ndarray]:
    """The ranks of each key that several have, ascending; what is not decided has no key."""
    return groups(ranks[decided], first_of(keys[decided]))


def groups(ranks: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """The ranks of each label that several have, ascending, in the order of their least rank."""
    order = np.lexsort((ranks, labels))
    starts = np.ones(len(order), bool)
    starts[1:] = labels[order][1:] != labels[order][:-1]
    ends = np.append(np.flatnonzero(starts), len(order))
    large = np.flatnonzero(np.diff(ends) > 1)
    found = [ranks[order[ends[k] : ends[k + 1]]] for k in large.tolist()]
    return sorted(found, key=lambda g: int(g[0]))


def numerically(grids: np.ndarray) -> np.ndarray:
    """For every row the least number of a row that it is joined with by equal hashes, of the first or of the second grid.

    A row without hashes (0) is alone.

    >>> numerically(np.array([[1, 9], [2, 8], [1, 8], [0, 0], [0, 0]], np.uint64)).tolist()
    [0, 0, 0, 3, 4]
    """
    count = len(grids)
    labels = np.arange(count)
    firsts = []
    for column in range(2):
        hashes = grids[:, column].astype(np.uint64)
        alone = hashes == 0
        firsts.append(first_of(np.stack([np.where(alone, np.arange(count), hashes), alone], axis=1).astype(np.uint64)))
    while True:
        before = labels.copy()
        for first in firsts:
            least = np.full(count, count)
            np.minimum.at(least, first, labels)
            labels = least[first]
        if (labels == before).all():
            return labels


def apart(ranks: np.ndarray, group: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    """In every group that meets several classes, the least rank of each of them."""
    keys = np.stack([group, classes], axis=1).astype(np.uint64)
    kept = first_of(keys) == np.arange(len(ranks))
    return groups(ranks[kept], group[kept])
