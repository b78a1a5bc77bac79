"""English text that is on every machine, and windows of its tokens."""

from __future__ import annotations

import hashlib
import re
from functools import cache

import numpy as np

LENGTH = 300_000
"""Characters of the text that are read."""


@cache
def text() -> str:
    """The help topics of the Python language, as its standard library ships them, in alphabetical order."""
    from pydoc_data.topics import topics  # type: ignore[import-not-found, import-untyped]

    return "\n\n".join(topics[name] for name in sorted(topics))[:LENGTH]


def fingerprint() -> str:
    """The text's hash: other versions of Python ship other texts."""
    return hashlib.sha256(text().encode()).hexdigest()[:16]


def words(source: str) -> tuple[list[int], int]:
    """Words and punctuation marks as numbers in order of first appearance, and how many different ones there are.

    >>> words("to be, or not to be")
    ([0, 1, 2, 3, 4, 0, 1], 5)
    """
    known: dict[str, int] = {}
    return [known.setdefault(w, len(known)) for w in re.findall(r"\w+|[^\w\s]", source.lower())], len(known)


def windows(length: int, n: int, count: int, seed: int) -> list[int]:
    """Where `count` windows of n tokens begin in a stream of `length`."""
    return np.random.default_rng([seed, n]).integers(0, length - n, count).tolist()
