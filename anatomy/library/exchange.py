"""Which parts of which mechanisms may stand for each other: those of one label and one interface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from anatomy.library.entry import Entry, Part


@dataclass(frozen=True)
class Group:
    """Parts of one label and interface, each with the entry that has it."""

    label: str
    signature: str
    members: tuple[tuple[Entry, Part], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(e.name for e, _ in self.members))


def groups(found: Iterable[Entry]) -> tuple[Group, ...]:
    """Parts grouped by label and interface, the most shared first.

    Two parts of a group fit the same places: their ports agree by position, kind and axes. Whether the equations of a
    filler hold there is decided where it is put (ruling 20).
    """
    table: dict[tuple[str, str], list[tuple[Entry, Part]]] = {}
    for entry in found:
        for part in entry.parts:
            table.setdefault((part.name, part.interface), []).append((entry, part))
    made = []
    for (label, _), members in table.items():
        written = Counter(p.signature for _, p in members).most_common(1)[0][0]
        made.append(Group(label, written, tuple(members)))
    return tuple(sorted(made, key=lambda g: (-len(g.names), g.label, g.signature)))
