"""What a zoo file claims is verified by analysis and by trial; and every claim turned into its opposite is found out."""

from __future__ import annotations

import re

import pytest

import zoo
from anatomy.claims import read_head
from anatomy.claims.head import KEYS
from anatomy.claims.verify import verify
from anatomy.errors import AnatomyError, Source

NAMES = zoo.names()


def source(name: str) -> Source:
    return Source(str(zoo.path(name)), zoo.path(name).read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_head_is_complete(name: str) -> None:
    head = read_head(source(name))
    assert head["title"]
    assert head["authors"]
    assert head.year is not None
    assert 2013 <= head.year < 2027
    assert re.fullmatch(r"arXiv \d{4}\.\d{4,5}|doi 10\.\S+|https://\S+", head.reference)
    assert tuple(head.claims) == KEYS
    assert head["letters"]
    assert re.fullmatch(r"[A-Z][^.:;!]{20,138}\.", head["idea"]), "one plain sentence"
    assert len(source(name).text.splitlines()) <= 45


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_true(name: str) -> None:
    found = verify(zoo.path(name))
    assert not found, "\n".join(f"{d.code} {d.message}: {'; '.join(d.notes)}" for d in found)


OPPOSITE = {"yes": "no", "no": "yes"}
FALSE = [(name, key) for k, name in enumerate(NAMES) for key in KEYS if (k + KEYS.index(key)) % 5 == 0]
"""Every fifth claim of the zoo, each key in turn."""


@pytest.mark.parametrize(("name", "key"), FALSE)
def test_a_false_claim_is_found_out(name: str, key: str) -> None:
    text = source(name).text
    value = read_head(source(name)).claims[key].value
    match key:
        case "cost":
            wrong = "n" if value == "n^2" else "n^2"
        case "lipschitz":
            wrong = {"globally_lipschitz": "not_lipschitz_on_domain"}.get(value, "globally_lipschitz")
        case _:
            wrong = OPPOSITE[value]
    head = read_head(source(name))
    if key == "lipschitz" and (head["unwitnessed"] or value == "unknown"):
        pytest.skip("no search decides it")
    line = next(line for line in text.splitlines() if line.startswith("# claims:"))
    changed = text.replace(line, f"# claims: {key}={wrong}", 1)
    found = [d for d in verify(Source(str(zoo.path(name)), changed)) if d.code == "E951"]
    assert [d.span.text for d in found if d.span] == [f"{key}={wrong}"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("# sizes: n = 0", "the size `n = 0` is not understood"),
        ("# sizes: n = 1000000000000", "the size `n = 1000000000000` is not understood"),
        ("# sizes: d = 4, n = -4", "the size `n = -4` is not understood"),
        ("# sizes: h = 2^9", "the size `h = 2^9` is not understood"),
        ("# sizes: n = 1", "at one token, `n = 1`, every claim holds"),
        ("# grows: zz", "`zz` does not count tokens"),
    ],
)
def test_a_head_cannot_state_its_way_out(line: str, message: str) -> None:
    text = source("mha").text
    (found,) = [d for d in verify(Source("mha.anat", f"{line}\n{text}")) if d.code == "E952"]
    assert found.message == message
    assert found.span is not None
    assert found.span.start == 0
    assert found.span.end == len(line)


def test_a_cost_names_axes() -> None:
    text = source("mha").text
    claim = next(c for c in text.splitlines() if c.startswith("# claims:")).partition("cost=")[2].partition(";")[0]
    (found,) = [d for d in verify(Source("mha.anat", text.replace(f"cost={claim}", "cost=banana", 1))) if d.code.startswith("E")]
    assert (found.code, found.message) == ("E952", "the cost names `banana`, which is no axis of `mha`")


def test_a_file_of_no_diagrams() -> None:
    with pytest.raises(AnatomyError, match="declares no diagram"):
        verify(Source("none.anat", "# title: None\naxis n\n"))
