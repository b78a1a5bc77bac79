"""What a pass did: one line for a person, with the place in the text that it is about."""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.errors import Span


@dataclass(frozen=True, slots=True)
class Note:
    """One rewrite of one pass."""

    name: str
    """The pass."""
    text: str
    """What became what, and what that is worth."""
    span: Span | None = None

    @property
    def line(self) -> int | None:
        return self.span.line if self.span else None
