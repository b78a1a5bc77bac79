"""Deduplication by canonical hash: which members are one diagram, which of them stands for it, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anatomy.spaces.space import Space

LIMIT = 100_000
"""Members that one scan may build; larger spaces are counted, sampled and swept, but not scanned."""


@dataclass(frozen=True)
class Alias:
    """A member that is the same diagram as a representative, with the reason."""

    index: int
    reason: str


@dataclass(frozen=True)
class Class:
    """All members with one canonical hash; the representative is the one of least rank."""

    digest: str
    index: int
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True)
class Funnel:
    """Counts at each level, the merged classes in the order of their representatives, and refused options."""

    derivations: int
    typed: int
    classes: tuple[Class, ...]
    refused: tuple[str, ...] = ()

    @property
    def canonical(self) -> int:
        return len(self.classes)

    @property
    def merged(self) -> tuple[Class, ...]:
        return tuple(c for c in self.classes if c.aliases)

    def as_data(self) -> dict[str, Any]:
        return {
            "derivations": self.derivations,
            "typed": self.typed,
            "canonical": self.canonical,
            "refused": list(self.refused),
            "merged": [
                {"digest": c.digest, "index": c.index, "aliases": [{"index": a.index, "reason": a.reason} for a in c.aliases]}
                for c in self.merged
            ],
        }  # fmt: skip

    def as_text(self, most: int = 12) -> str:
        lines = [
            f"derivations  {self.derivations:>8,}  fillings as written",
            f"typed        {self.typed:>8,}  every option fits its hole",
            f"canonical    {self.canonical:>8,}  different diagrams; {self.typed - self.canonical:,} merged",
        ]
        lines += [f"refused: {words}" for words in self.refused]
        reasons: dict[str, list[str]] = {}
        for found in self.merged:
            for alias in found.aliases:
                reasons.setdefault(alias.reason, []).append(f"{found.index} = {alias.index}")
        for words, pairs in list(reasons.items())[:most]:
            shown = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3:,} more" if len(pairs) > 3 else "")
            lines.append(f"  {words}: {shown}")
        if len(reasons) > most:
            lines.append(f"  ... and {len(reasons) - most:,} more reasons; `--json` lists all")
        return "\n".join(lines)


def classes(space: Space, indices: Iterable[int], progress: Callable[[int], None] | None = None) -> tuple[Class, ...]:
    """The members of these ranks merged by canonical hash, in the order of their representatives."""
    from anatomy.ir.canonical import digest

    groups: dict[str, list[int]] = {}
    for done, index in enumerate(sorted(set(indices)), 1):
        groups.setdefault(digest(space[index].diagram), []).append(index)
        if progress is not None:
            progress(done)
    return tuple(
        Class(code, members[0], tuple(Alias(i, reason(space, members[0], i)) for i in members[1:]))
        for code, members in groups.items()
    )


def reason(space: Space, kept: int, alias: int) -> str:
    """Where two members that are isomorphic were written differently."""
    a, b = space.choices(kept), space.choices(alias)
    parts = [f"{hole} {a[hole]} for {b[hole]}" for hole in a if a[hole] != b[hole]]
    return f"isomorphic (equal canonical hash) with {', '.join(parts)}"


def scan(space: Space, progress: Callable[[int, int], None] | None = None) -> Funnel:
    """Build every member and merge equal ones. Raises AnatomyError E607 above `LIMIT` members."""
    from anatomy.errors import fail

    total = space.count
    if total > LIMIT:
        raise fail(
            "E607", f"a scan would build {total:,} members; at most {LIMIT:,} are scanned",
            help="count it, or sample it: both work at any size",
        )  # fmt: skip
    found = classes(space, range(total), None if progress is None else lambda done: progress(done, total))
    refused = tuple(f"`{r.label}` for hole `{r.name}`: {r.reason}" for r in space.refused)
    return Funnel(space.derivations, total, found, refused)
