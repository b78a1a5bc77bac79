"""What a diagnostic is: places in a text, a message, notes, help and edits, all frozen data."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal


@dataclass(frozen=True, eq=False)
class Source:
    """One text and where it came from; offsets are turned into lines and columns here only."""

    path: str
    text: str = field(repr=False)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of an offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its line break."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch `[start, end)` of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of the other."""
        return Span(self.source, self.start, other.end)


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that a diagnostic points at, with the words that stand there."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement that would mend the text: what `anatomy check --fix` applies."""

    span: Span
    text: str


Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, a message, the place, and what would help."""

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""
    edits: tuple[Edit, ...] = ()

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"

    @property
    def order(self) -> tuple[int, str, int, str]:
        """Errors before warnings, then by position (ruling 22)."""
        path, start = (self.span.source.path, self.span.start) if self.span else ("", -1)
        return (int(self.severity == "warning"), path, start, self.code)


class AnatomyError(Exception):
    """Raised where input is at fault; carries every diagnostic that was found."""

    def __init__(self, *diagnostics: Diagnostic):
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics, key=lambda d: d.order))
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in self.diagnostics))

    def __str__(self) -> str:
        from anatomy.errors.printer import plain

        return "\n" + plain(self.diagnostics)


def fail(code: str, message: str, span: Span | None = None, **more: object) -> AnatomyError:
    """One diagnostic as an exception, to be raised by the caller."""
    return AnatomyError(Diagnostic(code, message, span, **more))  # type: ignore[arg-type]
