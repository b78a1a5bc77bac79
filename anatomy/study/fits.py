"""Exponents: least squares of log value on log n, with intervals by the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 1000


@dataclass(frozen=True)
class Fit:
    """value = factor * n^exponent, and a 95 % interval of the exponent; `over` says what was drawn anew for it."""

    exponent: float
    low: float
    high: float
    factor: float
    over: str
    first: int
    last: int


def fit(values: Mapping[int, Sequence[float]], seed: int = 0) -> Fit | None:
    """The power of n that the geometric means of the values follow; None with fewer than three n.

    The interval draws the inputs of every n anew; with one value for each n it draws the n anew.

    >>> round(fit({2: [2.0], 4: [2.0 * 2**0.5], 8: [4.0]}).exponent, 6)
    0.5
    """
    ns = sorted(n for n, found in values.items() if found and min(found) > 0)
    if len(ns) < 3:
        return None
    logs = [np.log(np.asarray(values[n], float)) for n in ns]
    x = np.log(np.asarray(ns, float))
    means = np.array([each.mean() for each in logs])
    exponent, shift = line(x, means)
    rng = np.random.default_rng(seed)
    if max(len(each) for each in logs) > 1:
        over = "inputs"
        drawn = np.stack([each[rng.integers(0, len(each), (DRAWS, len(each)))].mean(1) for each in logs], 1)
        slopes = [line(x, row)[0] for row in drawn]
    else:
        over = "n"
        picks = rng.integers(0, len(ns), (DRAWS, len(ns)))
        slopes = [line(x[p], means[p])[0] for p in picks if len(set(p.tolist())) > 1]
    low, high = np.percentile(slopes, (2.5, 97.5))
    return Fit(exponent, float(low), float(high), float(np.exp(shift)), over, ns[0], ns[-1])


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of least squares."""
    centred = x - x.mean()
    slope = float(centred @ (y - y.mean()) / (centred @ centred))
    return slope, float(y.mean() - slope * x.mean())


def upper_half(values: Mapping[int, Sequence[float]]) -> dict[int, Sequence[float]]:
    """The larger half of the n, the middle one included."""
    ns = sorted(values)
    return {n: values[n] for n in ns[len(ns) // 2 :]} if len(ns) > 4 else {n: values[n] for n in ns[-3:]}
