"""Which options were seen together: the design of a sweep, as rows of choices.

A row is a combination of choices. Members that are the same diagram were trained once, but they are different combinations: the
one score stands in the rows of all of them, so that an option which only renames another shows the same effect as it and not no
effect at all. The rows of one variant share one error, which the errors of all estimates take into account.

Every combination weighs the same, whatever its spread: what is estimated does not depend on how noisy it is.
Options are coded by deviations: one column for each option but the last, 1 where it is chosen, -1 where the last is, 0 where the
hole is not open. The coefficients are then the deviations from the mean of the options, the other holes being equal: estimated marginal means
(Searle, Speed and Milliken, 1980). A hole is not open where the entry has no such hole (unions of spaces), and where its option is `none`
just because another hole says so. In a union of spaces, a hole whose options no two spaces share is nested in the choice of the space: its
coefficients are the deviations from the mean of the options of the same space.

An effect is estimable when no vector of the null space of the columns touches it (Searle, 1971). What is not, is told in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anatomy.spaces.union import WHICH

Choices = Mapping[str, str]
CLOSED = "none"


@dataclass(frozen=True)
class Design:
    """`codes[row, hole]` is the place of an option, or -1 where the hole is not open; `owner[row]` is the variant."""

    holes: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    codes: np.ndarray
    owner: np.ndarray
    variants: int
    contrasts: tuple[np.ndarray, ...]
    """Of each hole, from coefficients to the deviations of all options, [options, columns]."""

    @property
    def rows(self) -> int:
        return len(self.owner)

    def main(self, hole: int) -> np.ndarray:
        """The columns of a hole, [rows, options - 1], or fewer where it is nested."""
        return np.vstack([self.contrasts[hole], np.zeros(self.contrasts[hole].shape[1])])[self.codes[:, hole]]

    @cached_property
    def columns(self) -> tuple[np.ndarray, tuple[slice, ...]]:
        """The mean and all holes, [rows, columns], and the columns of each hole."""
        blocks = [self.main(h) for h in range(len(self.holes))]
        return np.hstack([np.ones((self.rows, 1)), *blocks]), slices(blocks, 1)

    def members(self, hole: int, option: int) -> int:
        """Variants that stand for a combination with this option."""
        return len(set(self.owner[self.codes[:, hole] == option].tolist()))

    def pair(self, first: int, second: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What two holes do beyond a sum: columns [rows, r], their values in each cell [cells, r], and the cells [cells, 2].

        The values are an orthonormal basis of all functions of the cells that were seen with no part that is a sum of a function of either hole;
        with all cells seen that is the usual product of contrasts.
        """
        a, b = self.codes[:, first], self.codes[:, second]
        wide = len(self.options[second])
        both = (a >= 0) & (b >= 0)
        keys, place = np.unique((a * wide + b)[both], return_inverse=True)
        cells = np.stack([keys // wide, keys % wide], axis=1)
        sums = np.hstack([np.eye(len(self.options[first]))[cells[:, 0]], np.eye(wide)[cells[:, 1]]])
        left, strength, _ = np.linalg.svd(sums, full_matrices=True)
        basis = left[:, int((strength > 1e-9).sum()) :]
        columns = np.zeros((self.rows, basis.shape[1]))
        columns[both] = basis[place.reshape(-1)]
        return columns, basis, cells


def contrasts(spaces: Sequence[str]) -> np.ndarray:
    """From the coefficients to the deviations of all options, given the space of each; one column less than options for each space.

    >>> contrasts(("", "", "")).tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]
    >>> contrasts(("a", "b", "a")).tolist()
    [[1.0], [0.0], [-1.0]]
    """
    blocks = []
    for space in dict.fromkeys(spaces):
        own = [k for k, s in enumerate(spaces) if s == space]
        block = np.zeros((len(spaces), len(own) - 1))
        block[own[:-1]] = np.eye(len(own) - 1)
        block[own[-1]] = -1.0
        blocks.append(block)
    return np.hstack(blocks)


def slices(blocks: Sequence[np.ndarray], start: int) -> tuple[slice, ...]:
    found = []
    for block in blocks:
        found.append(slice(start, start + block.shape[1]))
        start += block.shape[1]
    return tuple(found)


def design(combinations: Sequence[Sequence[Choices]]) -> Design:
    """The design of variants, each with its combinations of choices; holes with one option are left out."""
    rows = [(k, dict(choices)) for k, several in enumerate(combinations) for choices in several]
    names = tuple(dict.fromkeys(h for _, choices in rows for h in choices))
    for hole in names:
        if _closed(hole, rows, names):
            for _, choices in rows:
                if choices.get(hole) == CLOSED:
                    del choices[hole]
    options = {h: tuple(sorted({c[h] for _, c in rows if h in c})) for h in names}
    holes = tuple(h for h in names if len(options[h]) > 1)
    place = {h: {o: k for k, o in enumerate(options[h])} for h in holes}
    codes = np.array([[place[h].get(c.get(h, ""), -1) for h in holes] for _, c in rows], dtype=int).reshape(len(rows), len(holes))
    spaces = [_nested(h, options[h], rows) for h in holes]
    owner = np.array([k for k, _ in rows], dtype=int)
    return Design(holes, tuple(options[h] for h in holes), codes, owner, len(combinations), tuple(map(contrasts, spaces)))


def _nested(hole: str, options: Sequence[str], rows: Sequence[tuple[int, dict[str, str]]]) -> tuple[str, ...]:
    """The space of each option, where each is of one space; otherwise all are of one."""
    homes = {option: {c.get(WHICH, "") for _, c in rows if c.get(hole) == option} for option in options}
    if hole == WHICH or any(len(home) > 1 for home in homes.values()) or len(set(map(frozenset, homes.values()))) < 2:
        return ("",) * len(options)
    return tuple(next(iter(homes[option])) for option in options)


def _closed(hole: str, rows: Sequence[tuple[int, dict[str, str]]], names: Sequence[str]) -> bool:
    """Whether `none` in this hole only repeats what another hole says, while there is more than one option elsewhere."""
    if not any(c.get(hole) == CLOSED for _, c in rows):
        return False
    for other in names:
        seen: dict[str | None, set[str | None]] = {}
        for _, choices in rows:
            seen.setdefault(choices.get(other), set()).add(choices.get(hole))
        shut = [found for found in seen.values() if CLOSED in found]
        if other != hole and all(found == {CLOSED} for found in shut) and any(len(found) > 1 for found in seen.values()):
            return True
    return False
