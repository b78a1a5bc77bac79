"""The diagrams of a sweep's variants as they were written, with their boxes; read only where something is not yet known."""

from __future__ import annotations

from functools import cached_property

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.spaces import Space
from anatomy.sweep.config import Config
from anatomy.sweep.planning import controls
from anatomy.sweep.results import Entry


class Diagrams:
    """Call it with an entry; None when what the space uses has changed since the sweep and its text does not parse alone."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def space(self) -> Space | None:
        try:
            return self.config.load()
        except (AnatomyError, OSError):
            return None

    def __call__(self, entry: Entry) -> Diagram | None:
        if entry.rank is None:
            return dict(controls()).get(entry.name)
        try:
            return self.space[entry.rank].diagram if self.space is not None else self._read(entry)
        except AnatomyError:
            return None

    def _read(self, entry: Entry) -> Diagram | None:
        from anatomy.api import parse

        found = parse(entry.text)
        return found.get(entry.name) or next(iter(found.values()), None)
