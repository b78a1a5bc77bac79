"""What a sweep took from the workers' journals, and what it had to leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Replay:
    """What the journals held."""

    taken: int = 0
    torn: int = 0
    """Journals that end in the middle of a line, as a kill leaves them."""
    foreign: int = 0
    """Records of jobs that are not in the plan."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Lines that are no records, by what is wrong with them."""
    ends: dict[Path, int] = field(default_factory=dict)
    """How far each journal was read."""

    def words(self, where: str) -> tuple[str, ...]:
        found = []
        if self.skipped:
            reasons = "; ".join(f"{n} times {why}" if n > 1 else why for why, n in sorted(self.skipped.items()))
            found.append(f"{_many(sum(self.skipped.values()), 'damaged line')} in {where} skipped, the jobs are done again: {reasons}")
        if self.torn:
            found.append(f"{_many(self.torn, 'journal')} in {where} ended in the middle of a line, as a kill leaves it; the job is done again")
        return tuple(found)


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"
