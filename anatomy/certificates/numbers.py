"""The numbers of a proof: found by the writer, read by the checker, and proved by both in the same way.

Largest eigenvalue. c bounds every eigenvalue of a symmetric H when S = c I - H is positive semidefinite. For any
lower triangular L, S = L L^T + E with a symmetric E, so that it is enough that E is diagonally dominant:
E_ii >= sum over j != i of |E_ij|. L is a floating-point Cholesky factor of S less a small multiple of I; nothing rests on
how good it is, because E is computed in Arb. A spectral norm is the root of such a c for M^T M or M M^T.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from flint import arb, arb_mat

from anatomy.certificates.model import Broken
from anatomy.certificates.tensors import entries, greatest, matrix, spend


def up(x: arb) -> float:
    """The least float that is proved to be no less."""
    end = x.upper()
    value = float(end)
    if math.isnan(value) or math.isinf(value):
        raise Broken("numbers", "a bound is not finite")
    while not arb(value) >= x:
        value = math.nextafter(value, math.inf)
    return value


def down(x: arb) -> float:
    return -up(-x) or 0.0


class Tape:
    """The numbers of one step: recorded when a proof is written, played back when it is checked."""

    def __init__(self, numbers: Sequence[float] | None = None):
        self.writing = numbers is None
        self.numbers: list[float] = list(numbers or ())
        self.at = 0

    def next(self, guess: Callable[[], float]) -> float:
        if self.writing:
            self.numbers.append(float(guess()))
        if self.at >= len(self.numbers):
            raise Broken("numbers", "a number that the proof needs is missing")
        self.at += 1
        return self.numbers[self.at - 1]

    @property
    def spent(self) -> bool:
        return self.at == len(self.numbers)


def _float(m: arb_mat) -> Any:
    return np.array([float(x.mid()) for x in m.entries()]).reshape(m.nrows(), m.ncols())


def eigenvalue(tape: Tape, hs: Sequence[arb_mat]) -> arb:
    """A proved upper bound of the eigenvalues of symmetric matrices, positive semidefinite ones, from the tape."""
    hs = [h for h in hs if any(not x.is_zero() for x in h.entries())]
    if not hs:
        return arb(0)
    if all(h.nrows() == 1 for h in hs):
        return greatest(h[0, 0] for h in hs)
    for h in hs:
        spend(50 + 4 * h.nrows() ** 2 + h.nrows() ** 3 // 16)

    def guess() -> float:
        blur = max(float(x.rad()) for h in hs for x in h.entries()) * 2 * max(h.nrows() for h in hs) ** 2
        return max(float(np.linalg.eigvalsh(_float(h))[-1]) for h in hs) * (1 + 1e-9) + blur + 1e-290

    c = tape.next(guess)
    if not c > 0:
        raise Broken("numbers", f"{c!r} cannot bound a norm that is not 0")
    for h in hs:
        _dominates(arb(c), h)
    return arb(c)


def _dominates(c: arb, h: arb_mat) -> None:
    n = h.nrows()
    s = arb_mat(n, n, [int(i == j) for i in range(n) for j in range(n)]) - h * (1 / c)
    try:
        factor = np.linalg.cholesky(_float(s) - np.eye(n) * (n * 2e-15))
    except (np.linalg.LinAlgError, ValueError):
        raise Broken("numbers", f"{float(c.mid())!r} is not proved to bound a spectral norm") from None
    lower = arb_mat(n, n, factor.ravel().tolist())
    e = entries(s - lower * lower.transpose())
    for i in range(n):
        off = sum((abs(e[i, j].union(e[j, i])) for j in range(n) if j != i), arb(0))
        if not e[i, i] >= off:
            raise Broken("numbers", f"{float(c.mid())!r} is not proved to bound a spectral norm")


def spectral(tape: Tape, blocks: Iterable[Any]) -> arb:
    """A proved upper bound of the spectral norms of matrices (arrays of balls)."""
    grams, vectors = [], []
    for x in (part for whole in blocks for part in separate(whole)):
        rows, columns = x.shape
        if min(rows, columns) == 1:
            vectors.append(sum((y * y for y in x.ravel()), arb(0)))
            continue
        spend(rows * columns * (1 + min(rows, columns) // 16))
        m = matrix(x)
        grams.append(m * m.transpose() if rows <= columns else m.transpose() * m)
    return root(greatest([eigenvalue(tape, grams), *vectors]))


def separate(x: Any) -> list[Any]:
    """The blocks of a matrix that is block diagonal up to the order of rows and columns: its norm is the greatest of theirs."""
    places = np.nonzero(np.array([not y.is_zero() for y in x.ravel()], dtype=bool).reshape(x.shape))
    rows, columns = places[0].tolist(), places[1].tolist()
    parent = list(range(sum(x.shape)))

    def top(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    if len(rows) == x.size:
        return [x] if x.size else []
    for i, j in zip(rows, columns, strict=True):
        parent[top(i)] = top(j + x.shape[0])
    found: dict[int, tuple[list[int], list[int]]] = {}
    for i in sorted(set(rows)):
        found.setdefault(top(i), ([], []))[0].append(i)
    for j in sorted(set(columns)):
        found.setdefault(top(j + x.shape[0]), ([], []))[1].append(j)
    return [x[np.ix_(*part)] for part in found.values()]


def root(x: arb) -> arb:
    """The square root of what cannot be negative."""
    return x.max(arb(0)).sqrt()


def cross(tape: Tape, v: arb_mat, a: arb_mat) -> arb:
    """A bound of |V w| |A w| over unit w: half the greatest eigenvalue of t V^T V + A^T A / t, for a t from the tape."""
    vv, aa = v.transpose() * v, a.transpose() * a
    if all(x.is_zero() for x in vv.entries()) or all(x.is_zero() for x in aa.entries()):
        return arb(0)

    def guess() -> float:
        p, q = _float(vv), _float(aa)

        def value(x: float) -> float:
            return float(np.linalg.eigvalsh(math.exp(x) * p + math.exp(-x) * q)[-1])

        low = high = 0.5 * math.log(max(np.trace(q), 1e-280) / max(np.trace(p), 1e-280))
        low, high, golden = low - 6, high + 6, (math.sqrt(5) - 1) / 2
        left, right = high - golden * 12, low + golden * 12
        one, two = value(left), value(right)
        for _ in range(24):  # the value is convex in x; near its least one an error counts twice over
            if one < two:
                high, right, two = right, left, one
                one = value(left := high - golden * (high - low))
            else:
                low, left, one = left, right, two
                two = value(right := low + golden * (high - low))
        return math.exp((low + high) / 2)

    t = tape.next(guess)
    if not t > 0:
        raise Broken("numbers", "a weight is not positive")
    return eigenvalue(tape, [vv * arb(t) + aa * (1 / arb(t))]) / 2
