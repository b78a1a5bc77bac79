"""What every node of the counting tree answers: how many values, which is the i-th, which place has this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

from anatomy.errors import fail
from anatomy.spaces.tree.series import Series
from anatomy.spaces.tree.value import Value

BITS = 13_000
"""Counts below 2^BITS are exact; they have fewer than 4,000 digits, so that they can be printed."""

GRADES = 600
"""Sizes that the values of several components together may have."""

Ranges = tuple[tuple[int, int], ...]
"""Disjoint, increasing half-open intervals of places."""


class Foreign(ValueError):
    """A value that is not in a node; the argument says why, in words for a user."""


class Node(ABC):
    """A finite, ordered set of values; places run from 0 to `count` - 1 in the order of the node.

    `sizes[s]` is the number of values made of s components, `orbits` the number of values modulo declared symmetry,
    or None where it is not known. Nothing is listed: every answer is a sum over parts of the description.
    """

    count: int
    orbits: int | None

    @cached_property
    def sizes(self) -> Series:
        """How many values there are of each size; made when it is first asked for."""
        return self.sized()

    @abstractmethod
    def sized(self) -> Series:
        """As `sizes`."""

    @abstractmethod
    def unrank(self, place: int) -> Value:
        """The value at a place."""

    @abstractmethod
    def rank(self, value: Value) -> int:
        """The place of a value. Raises Foreign."""

    @abstractmethod
    def below(self, place: int) -> Series:
        """How many values of each size stand before a place; `below(count) == sizes`."""

    @abstractmethod
    def labelled(self, label: str) -> Ranges:
        """The places of the values with this outermost label."""


def alike(of: Node) -> int | None:
    """The one size that all values of a node have, or None."""
    found = [size for size, count in enumerate(of.sizes) if count]
    return found[0] if len(found) == 1 else None


def admit_sizes(of: Node, most: int) -> None:
    """Refuse to tell sizes apart where that is too much work. Raises AnatomyError E630."""
    if most * len(of.sizes) > GRADES:
        raise fail("E630", f"{most} components of {len(of.sizes)} sizes are too many to be told apart by size", help="another order has no such limit")


def admit(bits: float, what: str) -> None:
    """Refuse a node before its numbers are made. Raises AnatomyError E630."""
    if bits > BITS:
        raise fail("E630", f"{what} has about 2^{int(bits):,} values; at most 2^{BITS:,} are numbered", help="offer less, or in smaller numbers")
