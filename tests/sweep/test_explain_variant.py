"""`sweep explain`: everything about a variant or a job, and why it stands where it stands."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.cli import main
from anatomy.errors import AnatomyError
from anatomy.sweep.explanation import JobExplanation, Line, _bounds

TOY = "tests.sweep.sweep_toy"
OLD = Path(__file__).resolve().parent / "data" / "sweep_v1"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sweeps of both toy spaces."""
    from sweep_toy import SPACE

    place = tmp_path_factory.mktemp("explained")
    (place / "toys.anat").write_text(SPACE, "utf-8")
    for space in ("good", "bad"):
        sweep.run(f"{place / 'toys.anat'}::{space}", place / space, (TOY,), transport="inline", seeds=2, cache=place / "cache")
    return {"good": place / "good", "bad": place / "bad"}


def test_a_member_in_words(swept: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "explain", str(swept["good"]), "0"]) == 0
    text = capsys.readouterr().out
    found = sweep.explain(swept["good"], "good_0")
    for piece in (
        "good_0: member 0 of space good; done", "weigh: past", "leave: same", "member 1: ", "causal: yes", "at most ", "responsible: ",
        f"train {TOY} 3 steps seed 1", "over 2 seeds", "--members 0", "diagram good_0(x: [n, d])", found.digest, found.jobs[0].key[:8],
        "weigh: twice, member 3", "leave: linear, member 2", "leave: again, member 1 (trained as good_0)", "weigh: twice, member 3",
    ):  # fmt: skip
        assert piece in text, piece
    assert float(re.search(r"at most (\S+)", text)[1]) >= found.bounds["upper"]  # type: ignore[index]
    assert float(re.search(r"at least (\S+)", text)[1]) <= found.bounds["lower"]  # type: ignore[index]
    (score,) = found.scores
    assert (score.task, score.budget, score.seeds, len(score.scores)) == (TOY, 3, (0, 1), 2)
    assert {n.rank for n in found.neighbours} == {1, 2, 3}
    neighbour = next(n for n in found.neighbours if n.rank == 3)
    own = sweep.explain(swept["good"], 3).scores[0]
    assert neighbour.scores[TOY] == sum(own.scores) / 2


def test_bounds_are_rounded_outward() -> None:
    lines = _bounds({"verdict": "lipschitz_on_domain", "upper": 1.23456123, "lower": 0.123456789})
    assert lines[1:] == ["at most 1.23457", "at least 0.123456"]
    assert _bounds({"verdict": "not_lipschitz_on_domain", "upper": "inf", "lower": "inf"})[1:] == ["at most inf", "at least inf"]


def test_merged_members_and_controls(swept: dict[str, Path]) -> None:
    merged = sweep.explain(swept["good"], 1)
    assert (merged.name, merged.asked) == ("good_0", 1)
    assert merged.as_text().startswith("member 1 is the same as good_0")
    assert sweep.explain(swept["good"], "good_1") == merged
    control = sweep.explain(swept["good"], "baseline")
    assert (control.role, control.neighbours, control.choices) == ("control", (), {})
    assert "control of the sweep" in control.as_text()
    for name in ("77", "good_77", "nobody", "-1"):
        with pytest.raises(AnatomyError, match="E814"):
            sweep.explain(swept["good"], name)
    with pytest.raises(AnatomyError, match="did you mean baseline"):
        sweep.explain(swept["good"], "baselin")


def test_failures_and_rejections(swept: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    failed = sweep.explain(swept["bad"], 1)
    assert failed.jobs[0].state == "failed"
    assert failed.jobs[0].why.startswith("error: the job raised")
    assert "E403" in failed.jobs[0].why
    assert "E403" in failed.jobs[0].traceback
    assert "traceback of check" in failed.as_text()
    leaky = sweep.explain(swept["bad"], 2)
    assert {j.state for j in leaky.jobs if j.job.startswith("train")} == {"rejected"}
    assert "reads later tokens" in leaky.as_text()
    assert "weigh: past, member 0" in leaky.as_text()
    assert main(["sweep", "explain", str(swept["bad"]), "bad_4", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["state"] == "rejected"
    assert any("not finite" in j["why"] for j in data["jobs"])


def test_the_command_makes_it_again(swept: dict[str, Path], tmp_path: Path) -> None:
    import shlex

    words = shlex.split(sweep.explain(swept["good"], 2).command.replace("OUT", str(tmp_path / "again")))
    assert main([*words[1:], "--transport", "inline"]) == 0
    assert sweep.explain(tmp_path / "again", 2).scores[0].scores == sweep.explain(swept["good"], 2).scores[0].scores


def test_a_job(swept: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = next(j for j in sweep.explain(swept["good"], 0).jobs if j.job.startswith("train"))
    found = sweep.explain_job(swept["good"], line.key[:10])
    assert (found.line, found.variants, found.confirmed, found.current) == (line, ("good_0",), True, True)
    assert (found.hashed["stage"], found.hashed["budget"], found.hashed["seed"]) == ("train", 3, 0)
    assert found.result is not None
    assert main(["sweep", "explain", str(swept["good"]), "--job", line.key]) == 0
    text = capsys.readouterr().out
    assert "its key hashes" in text
    assert "and is that hash" in text
    for key in ("zz", ""):
        with pytest.raises(AnatomyError, match="E814"):
            sweep.explain_job(swept["good"], key)
    assert main(["sweep", "explain", str(swept["good"])]) == 1
    assert main(["sweep", "explain", str(swept["good"]), "0", "--job", line.key]) == 1
    edited = tmp_path / "edited"
    shutil.copytree(swept["good"], edited)
    db = sqlite3.connect(edited / "store.sqlite")
    db.execute("update jobs set identity = replace(identity, ',3,0,', ',4,0,') where key = ?", (line.key,))
    db.commit()
    db.close()
    found = sweep.explain_job(edited, line.key)
    assert (found.hashed["budget"], found.confirmed) == (4, False)
    assert "IS NOT" in found.as_text()


def test_a_store_of_version_1_is_explained(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    found = sweep.explain(folder, 1)
    assert "E403" in found.as_text()
    told = sweep.explain_job(folder, found.jobs[0].key)
    assert told.hashed == {}
    assert "version 1" in told.as_text()


def test_what_a_traceback_holds_cannot_steer_the_terminal() -> None:
    line = Line("check seed 0", "k" * 32, "failed", "error", "Traceback\n\tValueError: \x1b[31mred\x07\u202e\n")
    shown = JobExplanation(("a",), line, {}, False, None, None, None).as_text()
    assert "        ValueError: \ufffd[31mred\ufffd\ufffd" in shown.splitlines()[-1]
