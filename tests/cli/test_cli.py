"""The command line: exit status, streams, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anatomy.cli import main

ROOT = Path(__file__).resolve().parents[2]
FILE = str(ROOT / "examples" / "attention.anat")
BROKEN = "axis n, m\ndiagram f(x: [n]) -> [n] { out softmax[mm](x) }\ndiagram g(x: [n]) -> [n] { out y }\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.anat"
    path.write_text(BROKEN)
    return path


def test_check_is_quiet_on_standard_error_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", FILE]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == "1 file: 2 diagrams, no errors\n"


def test_check_reports_every_error_and_exits_1(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(broken)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[E201]: axis `mm` is not declared" in err
    assert "error[E202]: there is no wire `y`" in err
    assert err.rstrip().endswith("1 file: 2 errors")


def test_check_json_has_the_published_fields(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(broken)]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [r["code"] for r in rows] == ["E201", "E202"]
    fields = {"code", "severity", "message", "file", "line", "column", "end_line", "end_column", "notes", "help"}
    assert fields <= rows[0].keys()
    assert (rows[0]["line"], rows[0]["column"], rows[0]["end_column"]) == (2, 40, 42)


def test_check_fix_mends_the_text(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--fix", str(broken)])
    assert "softmax[mm]" not in broken.read_text()
    capsys.readouterr()


def test_sarif_is_valid_json_with_the_place(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--sarif", str(broken)]) == 1
    run = json.loads(capsys.readouterr().out)["runs"][0]
    assert run["results"][0]["ruleId"] == "E201"
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 2


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["check"], ["render", FILE], ["equal", FILE]])
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_a_missing_file_is_an_error_not_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "no/such.anat"]) == 1
    assert "error[E100]" in capsys.readouterr().err


def test_a_fault_exits_3_and_says_how_to_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken_check(options: object) -> int:
        raise ZeroDivisionError("boom")

    import anatomy.cli.text

    monkeypatch.setattr(anatomy.cli.text, "check", broken_check)
    assert main(["check", FILE]) == 3
    err = capsys.readouterr().err
    assert "boom" in err
    assert "Please report it" in err


def test_a_file_of_two_diagrams_asks_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hash", FILE]) == 1
    err = capsys.readouterr().err
    assert "declares 2 diagrams; name one" in err
    assert f"`{FILE}::mha`" in err


def test_an_unknown_diagram_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hash", f"{FILE}::mhaa"]) == 1
    assert "did you mean `mha`?" in capsys.readouterr().err
    assert main(["hash", "zoo:mhaa"]) == 1
    assert "did you mean `zoo:mha`?" in capsys.readouterr().err


def test_compile_writes_a_module_that_runs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "module.py"
    arguments = ["compile", f"{FILE}::mha", "--size", "d=8", "--size", "h=2", "--lift", "b", "-o", str(target)]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{target}\n"
    names: dict[str, object] = {"__name__": "module"}
    exec(compile(target.read_text(), str(target), "exec"), names)
    import torch

    net = names["Mha"]()  # type: ignore[operator]
    assert net(torch.zeros(3, 5, 8)).shape == (3, 5, 8)
    assert "anatomy" not in {line.split()[1].partition(".")[0] for line in target.read_text().splitlines() if line.startswith("import ")}


def test_compile_is_deterministic(capsys: pytest.CaptureFixture[str]) -> None:
    main(["compile", f"{FILE}::mha", "--size", "d=8,h=2"])
    first = capsys.readouterr().out
    main(["compile", f"{FILE}::mha", "--size", "d=8,h=2"])
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("size", "code"), [("d=0", "E405"), ("d=-1", "E405"), ("d=x", "E405"), ("d", "E405"), ("zz=3", "E406"), ("d=9,h=2", "E402")]
)
def test_bad_sizes_are_refused(size: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", f"{FILE}::mha", "--size", size]) == 1
    assert f"error[{code}]" in capsys.readouterr().err


def test_not_divisible_says_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", f"{FILE}::mha", "--size", "d=512", "--size", "h=7"]) == 1
    assert "512 is not divisible by 7" in capsys.readouterr().err


def test_equal_exits_by_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equal", "--json", f"{FILE}::sdpa", f"{FILE}::sdpa"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["relation"].pop("relation") == "=="
    del found["relation"]
    assert found == {
        "isomorphic": True, "same_term": True, "normal_form": True, "evaluation": True, "derivation": [], "counterexample": None,
        "search": None, "refused": None,
    }  # fmt: skip
    assert main(["equal", f"{FILE}::sdpa", f"{FILE}::mha"]) == 1


def test_equal_says_how_and_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "three.anat"
    file.write_text(
        "axis n, m, l, u\n"
        "diagram f(s: [n, m]) -> [n, m] { out softmax[m](s) }\n"
        "diagram g(s: [n, m]) -> [n, m] { out exp(s) / sum[m](exp(s)) }\n"
        "diagram h(s: [n, m]) -> [n, m] { out softmax[n](s) }\n"
    )
    assert main(["equal", "--json", f"{file}::f", f"{file}::g"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["same_term"], found["normal_form"]) == (False, True)
    assert {"side": "left", "rule": "softmax_definition"} in found["derivation"]
    assert main(["equal", "--json", f"{file}::f", f"{file}::h"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["normal_form"], found["evaluation"], found["derivation"]) == (False, False, None)
    assert found["counterexample"]["sizes"]["left"].keys() == {"n", "m", "l", "u"} & found["counterexample"]["sizes"]["left"].keys()
    assert found["counterexample"]["difference"] > 1e-3
    assert main(["equal", f"{file}::f", f"{file}::g"]) == 0
    assert "softmax_definition" in capsys.readouterr().out
    assert main(["equal", f"{file}::f", f"{file}::h"]) == 1
    assert "They differ by" in capsys.readouterr().out


def test_equal_says_what_was_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An equation that no law of the library leads to."""
    file = tmp_path / "tanh.anat"
    file.write_text(
        "axis n\n"
        "diagram f(x: [n], y: [n]) -> [n] { out tanh(x + y) * (1 + tanh(x) * tanh(y)) }\n"
        "diagram g(x: [n], y: [n]) -> [n] { out tanh(x) + tanh(y) }\n"
    )
    assert main(["equal", f"{file}::f", f"{file}::g"]) == 1
    said = capsys.readouterr().out
    assert "this is a conjecture, not a proof.\nWithin the budget" in said
    assert "differ in" in said
    assert main(["equal", "--json", f"{file}::f", f"{file}::g"]) == 1
    found = json.loads(capsys.readouterr().out)["search"]
    assert found["tried"] > 2
    assert not found["complete"]
    assert found["waiting"] > 0
    assert "tanh" in found["boxes"]["left"]


def test_show_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json", f"{FILE}::mha"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["equivariant"] is True
    assert data["causal"] is None
    assert data["length_generic"] is True
    assert data["sizes"] == {"d": "e * h", "m": "n"}


def test_a_file_stands_for_the_diagram_of_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hash", "zoo/kernel/linear.anat"]) == 0
    first = capsys.readouterr().out
    assert main(["hash", "zoo:linear"]) == 0
    assert first.split()[0] == capsys.readouterr().out.split()[0]


def test_a_derivation_says_which_of_its_rules_are_only_tested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "examples/derivations/linear_attention.anat::causal_softmaxed"]) == 0
    assert "by rules that are tested, not proved: exp_mask" in capsys.readouterr().out
    assert main(["derive", "examples/derivations/linear_attention.anat::linear", "--json"]) == 0
    assert '"tested": []' in capsys.readouterr().out


def test_equal_says_where_the_laws_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "two.anat"
    file.write_text("axis n diagram a(x: [n], y: [n]) -> [n] { out (x + 1) / y } diagram b(x: [n], y: [n]) -> [n] { out x / y + 1 / y } diagram c(x: [n], _y: [n]) -> [n] { out x + x }")
    assert main(["equal", f"{file}::a", f"{file}::b"]) == 0
    assert "no denominator is 0" in capsys.readouterr().out
    main(["equal", f"{file}::c", f"{file}::c"])
    assert "denominator" not in capsys.readouterr().out
