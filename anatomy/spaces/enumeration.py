"""The state of an enumeration as one line, so that it goes on where it stopped, elsewhere if need be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anatomy.errors import fail

if TYPE_CHECKING:
    from anatomy.spaces.orders import Order
    from anatomy.spaces.space import Space

VERSION = 1
LONGEST = 100_000


@dataclass
class Enumeration:
    """The ranks of a shard of a space in an order; iterating moves `counter` on.

    `key` is that of the shuffled order, and the rank of the centre of the order by distance.

    >>> from anatomy.api import space
    >>> scores = space("zoo:spaces/scores")
    >>> first = Enumeration(scores, "shuffled", "a")
    >>> seen = [next(first) for _ in range(3)]
    >>> Enumeration.resume(scores, first.state).counter, next(Enumeration.resume(scores, first.state)) == next(first)
    (3, True)
    """

    space: Space
    order: str = "lexicographic"
    key: str = ""
    shard: tuple[int, int] = (0, 1)
    counter: int = 0
    ranks: Order = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.ranks = self.space.order(self.order, self.key).shard(*self.shard)
        if not 0 <= self.counter <= self.ranks.count:
            raise fail("E631", f"the counter {self.counter} is beyond the {self.ranks.count} members of this shard")

    @property
    def left(self) -> int:
        """How many members are still to come."""
        return self.ranks.count - self.counter

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if not self.left:
            raise StopIteration
        rank = self.ranks[self.counter]
        self.counter += 1
        return rank

    @property
    def state(self) -> str:
        """One line of JSON: the digest of the space, the order, its key, the shard, and how many members have been given."""
        return json.dumps(
            {
                "space": self.space.digest, "order": self.order, "key": self.key, "shard": list(self.shard),
                "counter": self.counter, "version": VERSION,
            }
        )  # fmt: skip

    @staticmethod
    def resume(space: Space, line: str) -> Enumeration:
        """An enumeration that goes on from a state. Raises AnatomyError E631 for a state of another space, or none at all."""
        try:
            data = json.loads(line) if len(line) <= LONGEST else None
        except (ValueError, RecursionError):
            data = None
        fields = {"space": str, "order": str, "key": str, "shard": list, "counter": int, "version": int}
        if not isinstance(data, dict) or any(type(data.get(name)) is not kind for name, kind in fields.items()):
            raise fail("E631", "this is not the state of an enumeration", help=f"it is one line of JSON with {', '.join(fields)}")
        if data["version"] != VERSION:
            raise fail("E631", f"the state was written by version {data['version']} of the enumeration; this is version {VERSION}")
        if data["space"] != space.digest:
            raise fail(
                "E631", f"the state belongs to another space than `{space.name}`, or what the space uses has changed since",
                help=f"the state has the digest {data['space'][:12]}.., the space {space.digest[:12]}..",
            )  # fmt: skip
        shard = data["shard"]
        if len(shard) != 2 or any(type(x) is not int for x in shard) or not 0 <= shard[0] < shard[1]:
            raise fail("E631", f"`{shard}` is not a shard: `[0, 4]` is the first of four")
        return Enumeration(space, data["order"], data["key"], (shard[0], shard[1]), data["counter"])
