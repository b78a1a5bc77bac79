"""What is trained once: members equal by canonical form, by the laws, by algebra, in numbers; never silently."""

from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.sweep.config import Config
from anatomy.sweep.planning import Plan
from anatomy.sweep.request import configure

SPACE = """
axis n, m = n, d, e = d
diagram layer(x: [n, d]) -> [n, d] {
  hole leave(y: [d]) -> [d]
  z = x[n -> m]
  simd n, m { s = dot[d](x, z) }
  out leave(dot[m](softmax[m](causal[m <= n](s)), z))
}
diagram same(y: [d]) -> [d] { out y }
diagram again(y: [d]) -> [d] { z = y out z }
diagram half(y: [d]) -> [d] { out (y + y) / 2 }
diagram there(y: [d]) -> [d] { out (y * 4) * 0.5 }
diagram twice(y: [d]) -> [d] { out y + y }
diagram odd(y: [d]) -> [d] { out (exp(y) - exp(0 - y)) / (exp(y) + exp(0 - y)) }
diagram curved(y: [d]) -> [d] { out tanh(y) }
diagram other(y: [d]) -> [d] { out y * y }
space ways of layer { choose leave in { same, again, half, there, twice, odd, curved, other } }
space controls of whole { choose tail in { plain, doubled } }
diagram plain(y: [e]) -> [d] { out lin Wo[e -> d, bias=false](y) }
diagram doubled(y: [e]) -> [d] { out 2 * lin Wo[e -> d, bias=false](y) }
diagram whole(x: [n, d]) -> [n, d] { hole tail(y: [e]) -> [d] v = lin Wv[d -> e, bias=false](x) out tail(v) }
"""
OPTIONS = ("same", "again", "half", "there", "twice", "odd", "curved", "other")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ways.anat"
    path.write_text(SPACE, "utf-8")
    return path


def planned(file: Path, merge: str, space: str = "ways", **options: object) -> Plan:
    return sweep.plan(f"{file}::{space}", ("tests.sweep.sweep_toy",), certify=False, merge=merge, **options)  # type: ignore[arg-type]


def groups(plan: Plan) -> dict[str, dict[str, str]]:
    """For each member that is trained, the level of those it stands for."""
    return {OPTIONS[v.rank]: {OPTIONS[a.index]: a.level for a in v.aliases} for v in plan.variants if v.rank is not None}


def test_each_level_merges_what_it_may(file: Path) -> None:
    canonical, algebra, numeric = (groups(planned(file, merge)) for merge in ("canonical", "algebra", "numeric"))
    assert canonical["same"] == {"again": "L1"}
    assert len(canonical) == 7
    assert algebra["same"].keys() == {"again", "half"}
    assert algebra["same"]["half"] in ("L2", "L3a")
    assert algebra["there"].keys() == {"twice"}
    assert {"odd", "curved", "other"} <= algebra.keys()  # equal functions, but no law or algebra says so
    assert numeric["odd"] == {"curved": "L3b"}
    assert numeric.keys() == algebra.keys() - {"curved"}


def test_every_merge_has_its_reason_and_is_counted(file: Path) -> None:
    plan = planned(file, "numeric")
    for variant in plan.variants:
        for alias in variant.aliases:
            words = {"L1": "isomorphic", "L2": "equal by the laws", "L3a": "equal by algebra", "L3b": "equal in numbers, which is no proof"}
            assert alias.reason.startswith(words[alias.level])
            assert f"leave {OPTIONS[variant.rank or 0]} for {OPTIONS[alias.index]}" in alias.reason
    assert sum(plan.as_data()["merged"].values()) == len(OPTIONS) - plan.counts["swept"]
    assert "1 at L3b" in plan.as_text()


def test_a_sample_counts_members_that_differ(file: Path) -> None:
    for count in (1, 3, 5):
        assert planned(file, "algebra", sample=count).counts["swept"] == count
    assert planned(file, "algebra", sample=50).counts["swept"] == 5


def test_large_spaces_merge_only_what_is_swept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = groups(planned(file, "algebra"))
    monkeypatch.setattr("anatomy.sweep.planning.SCANNED", 3)
    assert groups(planned(file, "algebra", members=[1, 2, 3, 7])) == {"again": {"half": whole["same"]["half"]}, "there": {}, "other": {}}
    assert planned(file, "algebra", sample=5).counts["swept"] == 5


def test_a_member_that_is_a_control_says_so(file: Path) -> None:
    same = {v.rank: v.same_as for v in planned(file, "canonical", "controls").variants if v.role == "member"}
    assert same[0].startswith("no_mixing: isomorphic")
    assert same[1] == ""


def test_a_file_of_version_1_merges_as_it_did_then(file: Path) -> None:
    config = planned(file, "algebra").config
    old = {k: v for k, v in config.model_dump().items() if k not in ("merge", "halving", "rungs", "strata")} | {"version": 1}
    assert Config.model_validate(old) == config.model_copy(update={"merge": "canonical"})


def test_the_command_makes_the_plan_again(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json
    import shlex

    from anatomy.cli import main

    made = planned(file, "numeric", halving=2, rungs=4, strata=["leave"], seeds=2, budget=40)
    words = shlex.split(made.config.command("OUT"))
    assert words[:3] == ["anatomy", "sweep", "run"]
    assert main(["sweep", "plan", *words[3:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == made.as_data()
    assert main(["sweep", "plan", *words[3:], "--strata", "nothing"]) == 2
    assert "E807" in capsys.readouterr().err
    for wrong in (["--halving", "1"], ["--rungs", "1"], ["--merge", "canonical", "--sample", "-1"]):
        assert main(["sweep", "plan", *words[3:], *wrong]) == 2


def test_a_sample_tells_how_far_it_is_and_looks_at_nobody_twice(toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anatomy.sweep import merging, planning

    monkeypatch.setattr(planning, "SCANNED", 1)
    counted: list[object] = []
    before = merging.digest
    monkeypatch.setattr(merging, "digest", lambda diagram: (counted.append(diagram), before(diagram))[1])
    config, space = configure(
        f"{toys}::good", (), toys.parent / "none", sample=4, members=None, budget=None, seed=0, seeds=1, text=None, sizes=None,
        radius=1.0, norm="frobenius", certify=False, merge="algebra", halving=None, rungs=3, strata=None,
    )  # fmt: skip
    told: list[tuple[int, int]] = []
    made = planning.make(config, space, lambda done, of: told.append((done, of)))
    assert sum(v.role == "member" for v in made.variants) == 4
    assert [done for done, _ in told[:-1]] == list(range(1, len(told)))
    assert told[-1] == (len(told) - 1, len(told) - 1)  # the bar ends
    assert all(done <= of for done, of in told)
    assert len({id(d) for d in counted}) == len(counted) <= space.count + len(planning.controls())
