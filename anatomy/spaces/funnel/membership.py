"""The class of one member: what stands for it, who else is in it, and who only seems to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.spaces.funnel.classes import difference, reason
from anatomy.spaces.funnel.record import Funnel

SHOWN = 200


@dataclass(frozen=True)
class Membership:
    """`members`: all in the class but its representative, each with level and reason. `near`: conjectures, not merged."""

    index: int
    representative: int
    choices: dict[str, str]
    count: int
    members: tuple[tuple[int, str, str], ...]
    near: tuple[tuple[int, str], ...]

    def as_data(self) -> dict[str, Any]:
        return {
            "index": self.index, "representative": self.representative, "choices": self.choices, "count": self.count,
            "members": [{"index": i, "level": level, "reason": words} for i, level, words in self.members],
            "conjectures": [{"index": i, "reason": words} for i, words in self.near],
        }  # fmt: skip

    def as_text(self) -> str:
        written = ", ".join(f"{name} {value}" for name, value in self.choices.items())
        lines = [f"{self.index} is in a class of {self.count:,}; {self.representative} stands for it: {written}"]
        lines += [f"  {i:>8}  {words}" for i, _, words in self.members]
        if self.count - 1 > len(self.members):
            lines.append(f"  ... and {self.count - 1 - len(self.members):,} more")
        if self.near:
            lines += ["", "equal in numbers, without a derivation:", *(f"  {i:>8}  {words}" for i, words in self.near)]
        return "\n".join(lines)


def membership(funnel: Funnel, index: int) -> Membership:
    """The class of a member in a space that was scanned."""
    found, space = funnel.found, funnel.space
    kept = int(found.algebra[index])
    members = np.flatnonzero(found.algebra == kept)
    rest = [i for i in members.tolist() if i != kept]
    listed = tuple((i, funnel.level(i), reason(space, kept, i, funnel.level(i))) for i in rest[:SHOWN])
    numeric = np.unique(found.algebra[found.numeric == found.numeric[index]])
    near = tuple((i, difference(space, kept, i)) for i in numeric.tolist() if i != kept)[:SHOWN]
    return Membership(index, kept, dict(space.choices(kept)), len(members), listed, near)
