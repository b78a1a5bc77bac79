"""The table of Lipschitz constants is of the files as they are, and what it says can be computed again."""

from __future__ import annotations

import math

import pytest

import anatomy
from anatomy.ir.canonical import digest
from anatomy.library.entry import entries
from zoo.regularity import PAGE, kept, page

ROWS = kept()


def test_the_page_is_of_the_files_as_they_are() -> None:
    assert set(ROWS) == {e.name for e in entries()}
    assert [e.name for e in entries() if ROWS[e.name]["hash"] != digest(anatomy.load(f"zoo:{e.name}"))] == []
    assert PAGE.read_text("utf-8") == page(ROWS)


def test_no_claim_is_contradicted_and_nothing_attained_exceeds_a_bound() -> None:
    for e in entries():
        row = ROWS[e.name]
        claim = e.head.values().get("lipschitz")
        if row["everywhere"] == "globally_lipschitz":
            assert claim == "globally_lipschitz", e.name
        if row["everywhere"].startswith("not_") or row["verdict"].startswith("not_"):
            assert claim != "globally_lipschitz", e.name
        if row["upper"] is not None and row["lower"] is not None:
            assert row["lower"] <= row["upper"], e.name


@pytest.mark.parametrize("name", ["sdpa", "mha", "l2", "mixer", "softmax_one", "causal_linear", "topk_attention"])
def test_an_entry_computed_again(name: str) -> None:
    row = ROWS[name]
    found = anatomy.regularity(anatomy.load(f"zoo:{name}"), row["sizes"], growth=False)
    assert found.verdict == row["verdict"]
    assert found.method == row["method"]
    if row["upper"] is None:
        assert found.upper is None
    else:
        assert found.upper is not None
        assert math.isclose(found.upper, row["upper"], rel_tol=1e-6)
        assert found.lower is not None
        assert row["lower"] is not None
        assert found.lower <= row["upper"]
        assert row["lower"] <= found.upper
