"""The method of a module that computes what depends on sizes alone, and the line of `forward` that asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from anatomy.errors import Span


@dataclass
class Line:
    """One line of the source, with where it comes from."""

    code: str
    note: str = ""


@dataclass
class Tables:
    """Lines that depend on sizes alone, and which of their names other lines may read."""

    like: str
    """What they have for a tensor of the working type and device."""
    lines: list[Line] = field(default_factory=list)
    names: dict[str, Span | None] = field(default_factory=dict)
    before: dict[Span, None] = field(default_factory=dict)
    """Where boxes were written that stand before their loop."""

    def read(self, code: str) -> list[str]:
        """The names that a text reads."""
        return [n for n in self.names if mentions(code, n)]

    def sizes(self, known: Iterable[str]) -> list[str]:
        """The sizes that the lines read."""
        text = "\n".join(line.code for line in self.lines)
        return [n for n in dict.fromkeys(known) if n.isidentifier() and mentions(text, n)]

    def call(self, read: list[str], like: str, sizes: list[str]) -> Line:
        """The line of `forward`."""
        return Line(f"{group(read)} = _kept(self._tables, self._static, {', '.join((like, *sizes))})")

    def method(self, read: list[str], sizes: list[str]) -> list[str]:
        """The lines of the method."""
        out = [f"    def _static(self, {', '.join((self.like, *sizes))}):", '        """What depends on sizes alone."""']
        out += [f"        {code}" for code in commented(self.lines)]
        return [*out, f"        return {group(read)}", ""]


def group(names: list[str]) -> str:
    """Names as a tuple."""
    return ", ".join(names) if len(names) > 1 else f"({names[0]},)"


def commented(lines: Iterable[Line]) -> list[str]:
    """Code with its comments, each where it is not that of the line before."""
    out, previous = [], ""
    for line in lines:
        out.append(line.code + (f"  # {line.note}" if line.note and line.note != previous else ""))
        previous = line.note or previous
    return out


def mentions(code: str, name: str) -> bool:
    """Whether a text reads a name."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", code) is not None
