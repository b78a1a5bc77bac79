"""Small matrices in one thread: a second thread of BLAS costs them more than it gives, twenty times more on a busy machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np

SMALL = 256
"""Rows or columns up to which one thread is taken."""


@cache
def _control() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How many threads the OpenBLAS in numpy's wheels takes, and the call that sets them; None where numpy has another BLAS."""
    try:
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)  # type: ignore[attr-defined]
        return library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
    except (AttributeError, OSError):
        return None


@contextmanager
def alone(size: int) -> Iterator[None]:
    """In one thread of BLAS where `size`, the smaller side of the matrices, is small.

    >>> with alone(2):
    ...     float(np.linalg.eigvalsh(np.eye(2))[0])
    1.0
    """
    control = _control() if size <= SMALL else None
    before = control[0]() if control else 1
    if not control or before == 1:
        yield
        return
    control[1](1)
    try:
        yield
    finally:
        control[1](before)
