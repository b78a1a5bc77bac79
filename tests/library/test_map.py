"""The map of the zoo: what it claims is proved again, what is known of a few mechanisms is in it, and what is false is not."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from anatomy.cli import main
from anatomy.library import record
from anatomy.library.atlas import Atlas, build
from anatomy.library.chart import chart
from anatomy.library.entry import entries
from anatomy.library.forms import Form, narrowed
from anatomy.library.proof import filled_in, greater, prove
from zoo import map as made


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return record.read(json.loads(made.DATA.read_text("utf-8")))


def test_the_map_is_of_the_present_files() -> None:
    assert not made.stale(), "run `python -m zoo.map`"


def test_the_picture_is_of_the_map(atlas: Atlas) -> None:
    text = made.PICTURE.read_text("utf-8")
    for e in entries():
        assert f">{e.name}</text>" in text
    assert made.PICTURE.read_text("utf-8").startswith("<?xml")


def test_every_mechanism_stands_once(atlas: Atlas) -> None:
    members = [m for n in atlas.nodes for m in n.members]
    assert sorted(members) == [e.name for e in entries()]
    touched = {n for e in atlas.edges for n in (e.left, e.right)}
    shown = {n.name for n in atlas.nodes}
    assert touched <= shown | set(members)
    for name in atlas.alone:
        assert name not in touched


def test_a_sample_of_the_edges_is_proved_again(atlas: Atlas) -> None:
    """Another sample for every state of the map; `python -m zoo.map --check` proves more of them."""
    rng = random.Random(len(atlas.edges))
    for kind in record.KINDS:
        found = [e for e in atlas.edges if e.kind == kind]
        for e in rng.sample(found, min(3, len(found))):
            assert record.again(e), f"{e.left} {e.relation} {e.right} by {e.steps}"


@pytest.mark.slow
def test_every_edge_is_proved_again(atlas: Atlas) -> None:
    wrong = [f"{e.left} {e.relation} {e.right}" for e in atlas.edges if not record.again(e)]
    assert not wrong


@pytest.mark.slow
def test_the_map_is_what_its_files_make() -> None:
    assert record.data(build()) == json.loads(made.DATA.read_text("utf-8"))


KNOWN = [
    ("sliding_window", "==", "causal_mha"), ("cross", ">=", "mha"), ("mha", ">=", "mqa"), ("talking_heads", ">=", "mha"),
    ("gated_attention", ">=", "mha"), ("aft_full", ">=", "aft_simple"), ("topk_attention", "==", "mha"), ("cope", ">=", "causal_mha"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "relation", "right"), KNOWN)
def test_what_is_known_of_mechanisms_is_in_the_map(atlas: Atlas, left: str, relation: str, right: str) -> None:
    assert (left, relation, right) in [(e.left, e.relation, e.right) for e in atlas.edges]


def test_one_mechanism_under_two_names(atlas: Atlas) -> None:
    pairs = {frozenset((e.left, e.right)) for e in atlas.edges if e.kind == "same"}
    assert {frozenset(("ssd", "ssd_dual")), frozenset(("bahdanau", "luong_concat"))} <= pairs


def test_arrows_go_one_way(atlas: Atlas) -> None:
    """A mechanism is not less than what it is more than, unless they are one."""
    strict = {(e.left, e.right) for e in atlas.edges if e.relation == ">=" and not e.restrictions}
    assert not [(a, b) for a, b in strict if (b, a) in strict]


def test_what_is_false_is_not_proved() -> None:
    assert prove(Form("mha"), Form("causal_mha")) is None
    assert prove(Form("sliding_window"), Form("causal_mha")) is None
    assert greater(Form("mqa"), Form("mha"), 1.0) is None
    assert filled_in(Form("mha", ("score",)), Form("mha", ("mixing",))) is None


def test_a_map_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANATOMY_CACHE", str(tmp_path))
    told: list[str] = []
    found = build(["causal_mha", "sliding_window"], jobs=1, told=lambda what, *_: told.append(what))
    (edge,) = [e for e in found.edges if e.kind == "sizes"]
    assert (edge.left, edge.relation, edge.right, edge.restrictions) == ("sliding_window", "==", "causal_mha", ("mask.w >= n",))
    assert "proofs" in told
    assert list(tmp_path.glob("*.json"))
    assert build(["causal_mha", "sliding_window"], jobs=1) == found
    assert record.read(json.loads(json.dumps(record.data(found)))) == found


def test_the_picture_has_a_link_for_every_mechanism_and_escapes_what_it_writes(atlas: Atlas) -> None:
    text = chart(atlas)
    for e in entries():
        assert f'HREF="{e.folder}/{e.name}.anat"' in text
    assert not re.search(r'label="[^"]*<', text)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "map"]) == 0
    assert "sliding_window == causal_mha   mask.w >= n" in capsys.readouterr().out
    assert main(["zoo", "map", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(made.DATA.read_text("utf-8"))
    for suffix in (".svg", ".html", ".md", ".dot", ".json"):
        assert main(["zoo", "map", "-o", str(tmp_path / f"map{suffix}")]) == 0
        assert (tmp_path / f"map{suffix}").stat().st_size > 1000
    assert main(["zoo", "map", "-o", str(tmp_path / "map.xyz")]) != 0


def test_edges_by_values_of_weights_state_the_sizes_that_they_need() -> None:
    """An identity is square: Linformer is full attention at one length only."""
    found = {(e.left, e.right): e for e in record.read(json.loads(made.DATA.read_text("utf-8"))).edges}
    assert found["linformer", "mha"].restrictions == ("n = p",)
    assert found["talking_heads", "mha"].restrictions == ("g = j", "h = j")
    assert found["luong_general", "luong_dot"].restrictions == ("d = c",)
    for edge in found.values():
        for check in edge.checks[:1]:
            if edge.kind == "weights" and check.left.moves and check.left.entry == edge.left:
                assert set(narrowed(Form(edge.left), check.left)) <= set(edge.restrictions)
