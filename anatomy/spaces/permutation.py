"""A keyed permutation of 0 .. count-1 without memory: sampling without replacement from spaces of any size."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

ROUNDS = 8


@dataclass(frozen=True)
class Permutation:
    """A Feistel network over the bits of `count`, walked until it lands inside (Black and Rogaway, 2002).

    The first k values are a sample of k without replacement, and a prefix of the sample of k + 1.

    >>> sorted(Permutation(10, key="a")[i] for i in range(10)) == list(range(10))
    True
    """

    count: int
    key: str

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise IndexError(index)
        half = max(1, ((self.count - 1).bit_length() + 1) // 2)
        mask = (1 << half) - 1
        value = index
        while True:
            left, right = value >> half, value & mask
            for turn in range(ROUNDS):
                text = f"{self.key}/{self.count}/{turn}/{right}".encode()
                drawn = int.from_bytes(blake2b(text, digest_size=max(8, half // 8 + 1)).digest(), "big")
                left, right = right, left ^ (drawn & mask)
            value = left << half | right
            if value < self.count:
                return value
