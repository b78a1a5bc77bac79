"""A matrix whose rows and columns fall into groups with zeros between them, as blocks.

Statement. If no two blocks share a row or a column and all entries outside of them are 0, the spectral norm of the matrix is the
greatest of those of its blocks. Proof. Rows and columns sorted by block, M^T M is block diagonal.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

LEAST, ROUNDS = 48, 64
"""Fewer rows or columns are not worth the search, and one that takes longer is given up."""


def apart(matrices: np.ndarray) -> list[np.ndarray] | None:
    """The blocks of one matrix, equal ones once, stacked by shape; None where there are several matrices or one block.

    >>> [b.shape for b in apart(np.kron(np.eye(48), np.ones((2, 1))))]
    [(1, 2, 1)]
    """
    rows, cols = matrices.shape[-2:]
    if matrices.size != rows * cols or min(rows, cols) < LEAST or not np.all(np.isfinite(matrices)):
        return None
    matrix = matrices.reshape(rows, cols)
    i, j = np.nonzero(matrix)
    if 2 * len(i) > matrix.size:
        return None
    label = _labels(i, j, rows, cols)
    if label is None:
        return None
    names, of_entry = np.unique(label[i], return_inverse=True)
    if len(names) == 1:
        return None
    order = np.argsort(of_entry, kind="stable")
    bounds = np.searchsorted(of_entry[order], np.arange(len(names) + 1))
    found: dict[tuple[int, int], dict[bytes, np.ndarray]] = {}
    for a, b in pairwise(bounds):
        some = order[a:b]
        block = np.ascontiguousarray(matrix[np.ix_(np.unique(i[some]), np.unique(j[some]))])
        found.setdefault(block.shape, {})[block.tobytes()] = block
    return [np.stack(list(blocks.values())) for blocks in found.values()]


def _labels(i: np.ndarray, j: np.ndarray, rows: int, cols: int) -> np.ndarray | None:
    """For every row the least row that entries other than 0 link it with; None where that takes too long."""
    label = np.arange(rows)
    for _ in range(ROUNDS):
        column = np.full(cols, rows)
        np.minimum.at(column, j, label[i])
        new = label.copy()
        np.minimum.at(new, i, column[j])
        if np.array_equal(new, label):
            return label
        label = new
    return None
