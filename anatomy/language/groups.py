"""Holes that are decided about together: `share` and `tie`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anatomy.errors import Label
from anatomy.language import syntax as s
from anatomy.language.bindings import Refused
from anatomy.language.guards import refuse

if TYPE_CHECKING:
    from anatomy.language.rooms import Room


class Groups:
    """Holes that are decided about together: `share` and `tie`."""

    def __init__(self, room: Room):
        self.room = room
        self.table: dict[str, list[s.Name]] = {}
        self.ties: list[list[s.Name]] = []
        self.refused: set[int] = set()
        for item in room.items:
            if isinstance(item, s.Share):
                self._join(item)

    def _join(self, item: s.Share) -> None:
        room = self.room
        texts = [n.text for n in item.names]
        twice = next((n for n in item.names if texts.count(n.text) > 1), None)
        if len(texts) == 1 or twice is not None:
            room.error("E615", "several holes are named here, each once", twice or item, help="`share f, g`")
            return
        unknown = next((n for n in item.names if n.text not in room.opened.uses), None)
        if unknown is not None:
            room.no_hole(unknown)
            room.failed = True
            return
        merged: list[s.Name] = []
        for name in item.names:
            for other in self.table.get(name.text, [name]):
                if all(other.text != m.text for m in merged):
                    merged.append(other)
        for name in merged:
            self.table[name.text] = merged
        if item.learners:
            mine = list(item.names)
            for tie in [t for t in self.ties if {n.text for n in t} & set(texts)]:
                self.ties.remove(tie)
                mine = tie + [n for n in mine if all(n.text != m.text for m in tie)]
            self.ties.append(mine)

    def of(self, name: s.Name) -> tuple[tuple[s.Name, ...], tuple[s.Name, ...]]:
        """The holes that go with one, first those that share learners; and which share those of the first. Raises Refused."""
        room = self.room
        group = self.table.get(name.text)
        if group is None:
            return (name,), ()
        for other in group:
            if other.text != name.text and other.text in room.places:
                if id(group) in self.refused:
                    raise Refused
                self.refused.add(id(group))
                raise refuse(
                    room.module, "E204", f"`{other.text}` is decided together with `{name.text}`, and on its own", other,
                    secondary=(Label(room.module.span(room.places[other.text]), "decided here"),), help="leave one of the two decisions out",
                )  # fmt: skip
        names = {n.text for n in group}
        ties = [t for t in self.ties if {n.text for n in t} <= names]
        if len(ties) > 1:
            raise refuse(room.module, "E615", "the learners of holes that are decided together are tied in one group at most", ties[1][0])
        tied = ties[0] if ties else []
        rest = [n for n in group if all(n.text != t.text for t in tied)]
        if not tied:
            rest.sort(key=lambda n: n.text != name.text)
        else:
            tied = sorted(tied, key=lambda n: n.text != name.text)
        return (*tied, *rest), tuple(tied[1:])

    def follows(self, part: str) -> bool:
        """Whether a hole is decided about through another one, which has a decision already."""
        return any(n.text != part and n.text in self.room.places for n in self.table.get(part, ()))

    def leftover(self) -> None:
        """Holes of a group count as decided; a group about which nothing is decided is an error."""
        room = self.room
        for group in self.table.values():
            if any(n.text in room.places for n in group):
                for name in group:
                    room.places.setdefault(name.text, name)
            elif not room.failed:
                room.error("E605", f"nothing is chosen for `{group[0].text}`", group[0], help=f"`choose {group[0].text} in {{ ... }}`")
