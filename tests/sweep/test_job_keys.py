"""Keys are functions of what a result depends on, and stay what they are."""

from dataclasses import replace

import pytest
from sweep_toy import SPACE

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.spaces import Space
from anatomy.sweep.job import bare, evaluator_version, job, variant_hash


def member(text: str = SPACE, path: str = "a.anat", index: int = 0) -> Diagram:
    definition = Program.of(Source(path, text)).space("good")
    assert definition is not None
    return Space(definition)[index].diagram


def hashed(diagram: Diagram) -> str:
    return variant_hash(bare(diagram), digest(diagram))


def test_a_key_never_changes_by_itself() -> None:
    made = job("train", "v", bare(member()), {"d": 4}, "evaluator", "toy", "digest", "data", 150, 0, {"radius": 1.0})
    assert made.key == "af33a5beb66d8951a2847ea679e2bbbc"


def test_where_and_how_a_diagram_is_written_down_does_not_count() -> None:
    first = hashed(member())
    assert hashed(member("# moved\n\n" + SPACE, "elsewhere/b.anat")) == first
    assert hashed(replace(member(), name="other")) == first
    assert hashed(member(index=2)) != first
    assert bare(member()) == bare(member("# moved\n" + SPACE))


def test_every_ingredient_of_a_result_counts() -> None:
    given = {
        "stage": "train", "variant": "v", "diagram": bare(member()), "sizes": {"d": 4}, "evaluator": "e", "task": "toy",
        "task_digest": "t", "data": "x", "budget": 3, "seed": 0, "options": {"radius": 1.0},
    }  # fmt: skip
    first = job(**given).key  # type: ignore[arg-type]
    others = {
        "stage": "check", "variant": "w", "sizes": {"d": 5}, "evaluator": "f", "task_digest": "u", "data": "y", "budget": 4,
        "seed": 1, "options": {"radius": 2.0},
    }  # fmt: skip
    keys = [job(**{**given, name: value}).key for name, value in others.items()]  # type: ignore[arg-type]
    assert len({first, *keys}) == len(others) + 1
    assert job(**{**given, "task": "another name"}).key == first  # type: ignore[arg-type]


def test_the_evaluator_changes_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    now = evaluator_version()
    evaluator_version.cache_clear()
    assert evaluator_version() == now
    evaluator_version.cache_clear()
    monkeypatch.setattr("anatomy.sweep.job._version", lambda package: "0.0")
    assert evaluator_version() != now
    evaluator_version.cache_clear()
