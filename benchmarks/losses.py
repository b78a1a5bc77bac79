"""Why we are slower where we are: what was found by looking, by case and, where it matters, by whom it is against."""

from __future__ import annotations

REASONS: dict[tuple[str, str | None], str] = {}


def reason(case: str, against: str) -> str:
    return REASONS.get((case, against)) or REASONS.get((case, None)) or "not looked into"
