"""A keyed permutation of 0 .. count-1 without memory: sampling without replacement from spaces of any size."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b, shake_256

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
        while True:
            index = self._network(index, range(ROUNDS))
            if index < self.count:
                return index

    def index(self, value: int) -> int:
        """Where a value stands: `order.index(order[i]) == i`. Raises IndexError."""
        if not 0 <= value < self.count:
            raise IndexError(value)
        half, mask = self._shape
        while True:  # the network backwards is the network of exchanged halves, its turns in reverse
            value = self._network((value & mask) << half | value >> half, range(ROUNDS - 1, -1, -1))
            value = (value & mask) << half | value >> half
            if value < self.count:
                return value

    @property
    def _shape(self) -> tuple[int, int]:
        half = max(1, ((self.count - 1).bit_length() + 1) // 2)
        return half, (1 << half) - 1

    def _network(self, value: int, turns: range) -> int:
        half, mask = self._shape
        left, right, size = value >> half, value & mask, max(8, half // 8 + 1)
        for turn in turns:
            text = f"{self.key}/{self.count}/{turn}/{right if size <= 64 else hex(right)}".encode()
            drawn = blake2b(text, digest_size=size).digest() if size <= 64 else shake_256(text).digest(size)
            left, right = right, left ^ (int.from_bytes(drawn, "big") & mask)
        return left << half | right
