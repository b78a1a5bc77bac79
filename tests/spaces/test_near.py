"""Spaces too large for the normal form of all: what was left out is said, and nothing is merged without a reason."""

import pytest
from space_texts import space
from test_levels import TEXT

from anatomy.spaces.funnel import scan


def test_what_was_not_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    members = space(TEXT, "s")
    whole = scan(members)
    monkeypatch.setattr("anatomy.spaces.funnel.scanning.NEAR", 4)
    part = scan(members, complete=0, searches=0)
    assert not part.complete
    assert part.found.unchecked
    assert "not on all" in part.as_text()
    assert "not compared any further" in part.as_text()
    assert whole.normal is not None
    assert part.normal is not None
    assert whole.normal < part.normal <= part.canonical
    for merge in part.found.merges:
        assert whole.found.algebra[merge.kept] == whole.found.algebra[merge.alias]
