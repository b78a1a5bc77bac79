"""What tells two mechanisms apart, part by part, claim by claim and line by line."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from anatomy.errors import Source
from anatomy.language.format import format_text
from anatomy.library.entry import Entry


@dataclass(frozen=True)
class Difference:
    """From one mechanism to another: parts that are new, gone or changed, claims that change, lines that differ."""

    left: Entry
    right: Entry
    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str, str], ...]
    claims: tuple[tuple[str, str, str], ...]
    lines: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.claims or self.lines)


def difference(left: Entry, right: Entry) -> Difference:
    """What the right one changes of the left one. Names of the diagrams and their heads are left out of account."""
    before, after = _bodies(left), _bodies(right)
    both = [n for n in before if n in after]
    claims = [(k, left.head.values().get(k, "?"), right.head.values().get(k, "?")) for k in dict.fromkeys([*left.head.claims, *right.head.claims])]
    return Difference(
        left,
        right,
        tuple((n, t) for n, t in after.items() if n not in before),
        tuple((n, t) for n, t in before.items() if n not in after),
        tuple((n, before[n], after[n]) for n in both if before[n] != after[n]),
        tuple(c for c in claims if c[1] != c[2]),
        tuple(_changes(_host(left), _host(right))),
    )


def _bodies(entry: Entry) -> dict[str, str]:
    """Each part by its label, as `signature { body }` in one line."""
    return {p.name: _flat(p.text.partition(p.name)[2]) for p in entry.parts}


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"#[^\n]*", "", text)).strip()


def _host(entry: Entry) -> list[str]:
    """The text without head, comments and parts; the diagram of the file's name is called by its place."""
    text = entry.source.text
    for part in sorted(entry.parts, key=lambda p: -len(p.text)):
        text = text.replace(part.text, "", 1)
    text = re.sub(r"#[^\n]*", "", text)
    text = re.sub(rf"\b{re.escape(entry.name)}\b", "layer", text)
    text = re.sub(rf"\b{re.escape(entry.name)}_(\w+)\b", r"layer_\1", text)
    return [line for line in format_text(Source(entry.name, text)).splitlines() if line.strip()]


def _changes(left: list[str], right: list[str]) -> list[str]:
    found = difflib.unified_diff(left, right, lineterm="", n=0)
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]
