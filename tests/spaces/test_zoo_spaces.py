"""The page about the library's spaces counts them rightly, and every one of them builds."""

import re
from pathlib import Path

import pytest

from anatomy.api import space
from anatomy.compiler import generate

PAGE = Path(__file__).resolve().parents[2] / "zoo" / "spaces" / "README.md"
ROWS = re.findall(r"^\| `(zoo:\S+)` \|.*\| ([\d,]+) \| ([\d,]+) \|$", PAGE.read_text("utf-8"), re.M)


def test_the_page_has_all() -> None:
    named = {target.partition("/")[2].partition("::")[0] for target, _, _ in ROWS}
    assert {p.stem for p in PAGE.parent.glob("*.anat")} == named | {"backbone", "controls"}


@pytest.mark.parametrize(("target", "derivations", "members"), ROWS)
def test_counts(target: str, derivations: str, members: str) -> None:
    found = space(target)
    assert (f"{found.derivations:,}", f"{found.count:,}") == (derivations, members)
    for member in found.sample(3, seed=1):
        assert not member.diagram.holes
        assert found.index(member) == member.index
        keys = [w.key for w in member.diagram.weights]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("target", "sizes"), [("zoo:spaces/heads::heads", {"d": 32, "c": 8, "query.b": 8, "leave.b": 8, "key.p": 2, "value.p": 2}), ("zoo:spaces/chains", {"d": 32})]
)
def test_members_compile(target: str, sizes: dict[str, int]) -> None:
    for member in space(target).sample(4, seed=2):
        known = set(member.diagram.sizes)
        assert "def forward" in generate(member.diagram, {a: n for a, n in sizes.items() if a in known}, ()).source
