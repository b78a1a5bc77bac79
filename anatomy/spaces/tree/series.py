"""Polynomials in one variable as tuples of integers: how many things there are of each size.

`(0, 3, 1)` says three things of size 1 and one of size 2. The empty tuple is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import comb

Series = tuple[int, ...]

ZERO: Series = ()
ONE: Series = (1,)


def trim(terms: list[int]) -> Series:
    while terms and not terms[-1]:
        terms.pop()
    return tuple(terms)


def term(size: int, count: int = 1) -> Series:
    """`count` things of one size."""
    return (*(0,) * size, count) if count else ZERO


def add(a: Series, b: Series) -> Series:
    """Things of either kind.

    >>> add((1, 2), (0, 0, 5))
    (1, 2, 5)
    """
    if len(a) < len(b):
        a, b = b, a
    return trim([x + (b[k] if k < len(b) else 0) for k, x in enumerate(a)])


def total(parts: Iterable[Series]) -> Series:
    """Things of any kind."""
    result = ZERO
    for part in parts:
        result = add(result, part)
    return result


def subtract(a: Series, b: Series) -> Series:
    """Things of the first kind that are not of the second.

    >>> subtract((1, 2, 5), (1, 0, 5))
    (0, 2)
    """
    return add(a, tuple(-x for x in b))


def multiply(a: Series, b: Series) -> Series:
    """Pairs of things, whose sizes are added.

    >>> multiply((0, 2), (1, 3))
    (0, 2, 6)
    """
    if not a or not b:
        return ZERO
    result = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        if x:
            for j, y in enumerate(b):
                result[i + j] += x * y
    return trim(result)


def shift(a: Series, size: int) -> Series:
    """The same things, all larger by `size`."""
    return (*(0,) * size, *a) if a else ZERO


def at(a: Series, size: int) -> int:
    """How many things have this size."""
    return a[size] if 0 <= size < len(a) else 0


def power(a: Series, k: int) -> Series:
    """Sequences of k things."""
    result = ONE
    while k:
        if k & 1:
            result = multiply(result, a)
        a, k = (multiply(a, a), k >> 1) if k > 1 else (a, 0)
    return result


def multisets(a: Series, k: int) -> Series:
    """Multisets of k things: the coefficient of y^k in `prod_t (1 - y x^t)^-a_t`.

    >>> multisets((0, 3), 2), multisets((0, 1, 1), 2)
    ((0, 0, 6), (0, 0, 1, 1, 1))
    """
    return all_multisets(a, k)[k]


def subsets(a: Series, k: int) -> Series:
    """Sets of k different things: the coefficient of y^k in `prod_t (1 + y x^t)^a_t`.

    >>> subsets((0, 3), 2), subsets((0, 1, 1), 2)
    ((0, 0, 3), (0, 0, 0, 1))
    """
    return all_subsets(a, k)[k]


@lru_cache(4096)
def all_multisets(a: Series, most: int) -> tuple[Series, ...]:
    """Multisets of 0 .. most things."""
    return _chosen(a, most, lambda n, j: comb(n + j - 1, j) if n else int(j == 0))


@lru_cache(4096)
def all_subsets(a: Series, most: int) -> tuple[Series, ...]:
    """Sets of 0 .. most different things."""
    return _chosen(a, most, comb)


def _chosen(a: Series, k: int, ways: Callable[[int, int], int]) -> tuple[Series, ...]:
    rows: list[Series] = [ONE, *[ZERO] * k]
    for size, count in enumerate(a):
        if count:
            drawn = [term(size * j, ways(count, j)) for j in range(k + 1)]
            fresh = []
            for total in range(k + 1):
                row = ZERO
                for j in range(total + 1):
                    row = add(row, multiply(rows[total - j], drawn[j]))
                fresh.append(row)
            rows = fresh
    return tuple(rows)
