"""What a space holds of the literature, what is new in it, and the commands that tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_levels import TEXT

from anatomy.cli import main
from anatomy.spaces import Space
from anatomy.spaces.discovery import discover, literature
from anatomy.target import load_space, zoo_files


@pytest.fixture
def causal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A space around one mechanism, and a zoo of that one only."""
    path = zoo_files()["causal_linear"]
    monkeypatch.setattr(literature, "zoo_files", lambda: {"causal_linear": path})
    literature.works.cache_clear()
    text = path.read_text() + """
    diagram soft(v: [e]) -> [r] { out softmax[e](v)[e -> r] }
    diagram shares(v: [e]) -> [r] { out (exp(v) / sum[e](exp(v)))[e -> r] }
    space around of causal_linear { choose feature_map in { causal_linear_core.feature_map, soft, shares } }
    """
    file = tmp_path / "around.anat"
    file.write_text(text)
    return f"{file}::around"


def test_the_literature_is_found_again_and_the_new_is_listed(causal: str, tmp_path: Path) -> None:
    found = discover(Space(load_space(causal)), output=tmp_path / "out")
    literature.works.cache_clear()
    assert [(k.rank, k.relation, k.name) for k in found.known] == [(0, "==", "causal_linear")]
    assert found.funnel.algebra == 2
    assert (found.new, found.linear) == (1, 1)
    (surprise,) = found.surprises
    assert (surprise.why.kept, surprise.why.alias, surprise.why.level) == (1, 2, "L2")
    assert surprise.why.steps
    report = (tmp_path / "out" / "report.md").read_text()
    assert "causal_linear" in report
    assert "softmax_definition" in report
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["known"][0]["name"] == "causal_linear"
    bounds = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("scan/bounds/*.json")}
    assert len(bounds) == 1
    again = discover(Space(load_space(causal)), output=tmp_path / "out")
    literature.works.cache_clear()
    assert again.as_data() == found.as_data()
    assert {p: p.stat().st_mtime_ns for p in bounds} == bounds


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "small.anat").write_text(TEXT)
    return f"{tmp_path / 'small.anat'}::s"


def test_commands(small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = ["--folder", str(tmp_path / "kept"), "--jobs", "1", "--level", "L2"]
    assert main(["space", "funnel", small, *kept, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["derivations"] == 60 > data["normal"]
    assert main(["space", "funnel", small, *kept]) == 0
    assert "different normal forms" in capsys.readouterr().out
    assert main(["space", "explain", small, "12", "24", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["merged"]
    assert told["derivation"]
    assert main(["space", "explain", small, "0", "12"]) == 1
    assert "different functions" in capsys.readouterr().out
    assert main(["space", "explain", small, "24", *kept]) == 0
    assert "12 stands for it" in capsys.readouterr().out
    assert main(["space", "explain", small, "60", "0"]) == 1
    assert "E606" in capsys.readouterr().err
    assert main(["space", "funnel", small, "--sample", "10", "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sample"] == 10
    assert main(["space", "funnel", small, "--limit", "10"]) == 1
    assert "E607" in capsys.readouterr().err
