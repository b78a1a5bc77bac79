"""Parts of the zoo as options: by label and interface, each diagram once, under names that stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.language import shelf
from anatomy.language.choices import SpaceDefinition, UnionDefinition
from anatomy.language.program import Program

ENTRY = """# title: {name}
# year: {year}
axis n, m = n, d
diagram {name}(x: [n, d]) -> [n, d] {{
  part score(q: [d], k: [d]) -> [] {{ out {score} }}
  part normaliser(s: [m]) -> [m] {{ out {normaliser} }}
  z = x[n -> m]
  simd n {{
    simd m {{ s = score(x, z) }}
    out dot[m](normaliser(s), z)
  }}
}}
"""
SOFT = "softmax[m](s)"
MINE = ENTRY.format(name="mine", year=2030, score="dot[d](q, k)", normaliser=SOFT)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A zoo of one's own: `zoo(name, year, score, normaliser)` adds an entry."""
    monkeypatch.setattr(shelf, "zoo_folder", lambda: tmp_path)

    def add(name: str, year: int, score: str, normaliser: str = SOFT, folder: str = "score") -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.anat").write_text(ENTRY.format(name=name, year=year, score=score, normaliser=normaliser))
        shelf.forget()

    add("cosine", 2020, "dot[d](l2norm[d](q), l2norm[d](k))")
    add("scaled", 2017, "dot[d](q, k) / sqrt(size[d])")
    add("again", 2018, "dot[d](k, q) / sqrt(size[d])", "relu(s)")
    return add


def options(text: str, name: str = "S") -> dict[str, list[str]]:
    found = Program.of(Source("mine.anat", MINE + text))
    definition = found.space(name)
    assert isinstance(definition, SpaceDefinition), found.diagnostics()
    return {d.name: [c.label for c in d.domain.components] for d in definition.decisions}


def test_the_default_comes_first_then_the_oldest(zoo) -> None:
    assert options("space S of mine { parts score from zoo }") == {"score": ["mine.score", "scaled.score", "cosine.score"]}
    every = options("space S of mine { parts from zoo }")
    assert every == {"score": ["mine.score", "scaled.score", "cosine.score"], "normaliser": ["mine.normaliser", "again.normaliser"]}


def test_names_stay_when_an_entry_is_added(zoo) -> None:
    before = options("space S of mine { parts from zoo }")
    zoo("aaa", 2024, "dot[d](q, k) / sqrt(size[d])", "sigmoid(s)")
    after = options("space S of mine { parts from zoo }")
    assert after["score"] == before["score"], "a later mechanism takes no name away"
    assert after["normaliser"] == [*before["normaliser"], "aaa.normaliser"]


def test_what_is_decided_already_is_left_alone(zoo) -> None:
    text = "diagram sums(s: [m]) -> [m] { out s } space S of mine { choose normaliser in { sums, mine.normaliser } parts from zoo within 1 }"
    assert list(options(text)) == ["normaliser", "score"]


def test_parts_of_called_diagrams_are_opened(zoo) -> None:
    text = "diagram outer(x: [n, d]) -> [n, d] { part gate(v: [d]) -> [d] { out -v } out gate(mine(x)) } space S of outer { parts from zoo }"
    assert options(text) == {"gate": ["outer.gate"], "score": ["mine.score", "scaled.score", "cosine.score"], "normaliser": ["mine.normaliser", "again.normaliser"]}


def test_the_neighbourhood_of_every_entry(zoo) -> None:
    found = Program.of(Source("near.anat", "space N of zoo { parts from zoo within 1 require causal }")).space("N")
    assert isinstance(found, UnionDefinition)
    assert [m.name for m in found.members] == ["scaled", "again", "cosine"]
    first = found.members[0]
    assert [[c.label for c in d.domain.components] for d in first.decisions] == [
        ["scaled.score", "cosine.score"], ["scaled.normaliser", "again.normaliser"],
    ]  # fmt: skip
    assert dict(first.within[0].centre) == {"score": "scaled.score", "normaliser": "scaled.normaliser"}
    assert first.requires[0].what == "causal"


def test_the_zoo_is_read_only_where_a_space_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> Path:
        raise AssertionError("the zoo was read")

    monkeypatch.setattr(shelf, "zoo_folder", asked)
    text = "space S of mine { choose score in { mine.score } } space T = S within 1 of mine"
    assert not Program.of(Source("mine.anat", MINE + text)).check()


def test_the_real_zoo_offers_feature_maps_to_linear_attention() -> None:
    program = shelf.entry_program("linear")
    text = program.root.source.text + "\nspace S of linear { parts feature_map from zoo }"
    found = Program.of(Source("linear.anat", text)).space("S")
    assert isinstance(found, SpaceDefinition)
    (decision,) = found.decisions
    labels = [c.label for c in decision.domain.components]
    assert labels[0] == "linear_core.feature_map"
    assert "hydra.feature_map" in labels
    codes = [digest(c.diagram) for c in decision.domain.components if c.diagram is not None]
    assert len(set(codes)) == len(codes) == len(labels)
