"""Least squares with known errors: coefficients, their covariance, and what is estimable.

With rows A m of the means m of the variants (A repeats a mean for each of its combinations) and columns X, the coefficients are
b = (X'X)^- X' A m. The errors of m are independent with variances v, so that cov b = (X'X)^- X' A diag(v) A' X (X'X)^-, which
is exact for the spread of seeds whatever the model leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THIN = 1e-9
"""Eigenvalues of X'X below this share of the largest are zero."""
TOUCHED = 1e-6


@dataclass(frozen=True)
class Model:
    """The normal equations of some columns: `gram` is X'X, `inverse` (X'X)^-, `null` the null space, `sums` X'A [columns, variants]."""

    gram: np.ndarray
    inverse: np.ndarray
    null: np.ndarray
    sums: np.ndarray

    @property
    def rank(self) -> int:
        return self.gram.shape[0] - self.null.shape[1]

    def estimable(self, block: slice) -> bool:
        return bool(np.abs(self.null[block]).max(initial=0.0) < TOUCHED)

    def coefficients(self, means: np.ndarray) -> np.ndarray:
        """[columns] of means [variants], or [columns, draws] of [variants, draws]."""
        return self.inverse @ (self.sums @ means)

    def covariance(self, variances: np.ndarray) -> np.ndarray:
        """Of the coefficients, for these variances of the means, [columns, columns]."""
        return self.inverse @ self.noise(variances) @ self.inverse

    def noise(self, variances: np.ndarray) -> np.ndarray:
        """X' A diag(v) A' X."""
        return (self.sums * variances) @ self.sums.T

    def explained(self, block: slice, coefficients: np.ndarray) -> np.ndarray:
        """Sum of squares that a block adds to the others (type II where they are all other effects of its order)."""
        part = coefficients[block]
        return (part * (np.linalg.pinv(self.inverse[block, block], hermitian=True) @ part)).sum(axis=0)

    def expected(self, block: slice, covariance: np.ndarray) -> float:
        """What `explained` is on average where there are errors alone."""
        return float(np.trace(np.linalg.pinv(self.inverse[block, block], hermitian=True) @ covariance[block, block]))


def model(columns: np.ndarray, owner: np.ndarray, variants: int) -> Model:
    gram = columns.T @ columns
    inverse, null = pseudoinverse(gram)
    if len(owner) == variants:
        sums = np.empty_like(columns.T)
        sums[:, owner] = columns.T
    else:
        sums = np.zeros((variants, columns.shape[1]))
        np.add.at(sums, owner, columns)
        sums = sums.T
    return Model(gram, inverse, null, sums)


def pseudoinverse(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of a symmetric matrix on its range, and a basis of its null space."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > THIN * max(float(values[-1]), 1.0) if len(values) else np.zeros(0, bool)
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T, vectors[:, ~kept]


def wald(part: np.ndarray, covariance: np.ndarray, freedom: int) -> float | None:
    """p of the F test that all these coefficients are zero; None where nothing measures their error."""
    from scipy.stats import f

    values, vectors = np.linalg.eigh(covariance)
    kept = values > THIN * max(float(values[-1]), 0.0)
    if freedom < 1 or not kept.any() or values[-1] <= 0:
        return None
    along = (vectors[:, kept].T @ part) ** 2 / values[kept]
    return float(f.sf(along.sum() / kept.sum(), int(kept.sum()), freedom))
