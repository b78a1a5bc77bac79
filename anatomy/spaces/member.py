"""A member of a space: its rank, what was decided, and the diagram when it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from anatomy.ir.graph import Diagram


@dataclass(frozen=True)
class Member:
    """One filling: its rank, what was decided, and the diagram, which is built when it is first asked for."""

    index: int
    choices: Mapping[str, str]
    _build: Callable[[], Diagram] = field(repr=False, compare=False)

    @cached_property
    def diagram(self) -> Diagram:
        return self._build()
