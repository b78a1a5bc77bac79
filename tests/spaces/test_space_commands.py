"""`space count|show|sample|enumerate`, for people and as JSON."""

import json
from pathlib import Path

import pytest

from anatomy.api import space
from anatomy.cli import main

SCORES = "zoo:spaces/scores"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["space", *arguments]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_count(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(run(capsys, "count", SCORES, "--json"))
    total = space(SCORES).count
    assert (data["derivations"], data["typed"], data["orbits"], data["canonical"]) == (total, total, total, None)
    assert data["holes"]["feature"] == 3
    lines = run(capsys, "count", SCORES).splitlines()
    assert [line.split()[0] for line in lines] == ["derivations", "typed", "symmetry"]
    assert all(line.split()[1] == f"{total:,}" for line in lines)
    assert json.loads(run(capsys, "count", SCORES, "--json", "--where", "score == cosine and not (gate == open)"))["typed"] == total // 10
    assert "E633" in run(capsys, "count", SCORES, "--where", "scored == cosine", status=1)
    assert "error[E1" in run(capsys, "count", SCORES, "--where", "score ==", status=1)
    assert "E633" in run(capsys, "count", SCORES, "--where", "score == cosine axis n", status=1)


def test_show_lists_a_window_of_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    found = space(SCORES)
    rows = json.loads(run(capsys, "show", SCORES, "--json", "--order", "distance", "--key", "17", "--from", "5", "--limit", "4"))
    order = found.order("distance", "17")
    assert rows == [{"index": order[j], "choices": found.choices(order[j])} for j in range(5, 9)]
    assert len(run(capsys, "show", SCORES).splitlines()) == found.count
    assert run(capsys, "show", SCORES, "--from", str(10**30)) == ""
    assert "E637" in run(capsys, "show", SCORES, "--order", "best", status=1)
    assert "E606" in run(capsys, "show", SCORES, "--index", "100000", status=1)


def test_sample(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "sample", SCORES, "-k", "7", "--seed", "3", "--json"))
    assert [row["index"] for row in rows] == [m.index for m in space(SCORES).sample(7, 3)]
    assert len(run(capsys, "sample", SCORES, "-k", "4").splitlines()) == 4


def test_enumerate_goes_on_where_it_stopped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    first = ("enumerate", SCORES, "--order", "shuffled", "--key", "a", "--shard", "1/3", "--state", str(state))
    printed = [int(line.split()[0]) for line in run(capsys, *first, "--limit", "100").splitlines()]
    assert len(printed) == 100
    assert state.read_text().count("\n") == 1
    found = json.loads(run(capsys, "enumerate", SCORES, "--state", str(state), "--limit", "50", "--json"))
    printed += [row["index"] for row in found["members"]]
    assert found["left"] == 240 - 150
    printed += [int(line.split()[0]) for line in run(capsys, *first).splitlines()]
    assert printed == list(space(SCORES).order("shuffled", "a").shard(1, 3))
    assert run(capsys, *first) == ""
    assert "E631" in run(capsys, "enumerate", SCORES, "--state", str(state), "--order", "gray", status=1)
    assert "E631" in run(capsys, "enumerate", SCORES, "--shard", "3/3", status=1)
    assert "E631" in run(capsys, "enumerate", SCORES, "--state", str(state), "--where", "score == cosine", status=1)
