"""What a scan keeps of every member: one row of fixed size."""

from __future__ import annotations

import numpy as np

ROW = np.dtype(
    [
        ("rank", "<i8"),
        ("key", "<u8", (2,)),
        ("grid", "<u8", (2,)),
        ("facts", "<u2"),
        ("known", "<u2"),
        ("meets", "<u4"),
        ("decided", "<u4"),
        ("degree", "i1"),
        ("scale", "<f4"),
    ]
)
"""`key`: canonical form. `grid`: two hashes of values, 0 where there are none. `facts`: bits of `FACTS`, where `known` has
them. `meets`: one bit for each requirement, where `decided` has it. `degree`: of the cost in the number of tokens, -1
where it is not known. `scale`: of the output at initialisation."""
FORM = np.dtype([("rank", "<i8"), ("key", "<u8", (2,)), ("function", "<u8", (2,)), ("complete", "?")])
ALGEBRA = np.dtype([("rank", "<i8"), ("key", "<u8", (2,)), ("error", "<f8"), ("decided", "?")])
PAIR = np.dtype([("rank", "<i8"), ("other", "<i8"), ("answer", "i1")])
"""`answer`: 1 yes, 0 no, -1 not decided."""
FACTS = ("finite", "alive", "causal", "leaks", "length_generic", "equivariant")


def bit(name: str) -> int:
    return 1 << FACTS.index(name)


def words(key: bytes) -> tuple[int, int]:
    """A hash of 16 bytes as two numbers."""
    return int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")


def first_of(keys: np.ndarray) -> np.ndarray:
    """For every row the number of the first one with the same key: `keys` has two columns.

    >>> first_of(np.array([[1, 2], [3, 4], [1, 2]], np.uint64)).tolist()
    [0, 1, 0]
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    sorted_keys = keys[order]
    starts = np.ones(len(keys), bool)
    starts[1:] = (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)
    group = np.cumsum(starts) - 1
    least = np.minimum.reduceat(order, np.flatnonzero(starts))
    found = np.empty(len(keys), np.int64)
    found[order] = least[group]
    return found
