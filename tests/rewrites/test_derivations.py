"""Derivations: those of the examples hold, step by step and in values; wrong ones are refused at their step."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import torch

from anatomy.cli import main
from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.language import syntax as s
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from anatomy.rewrites.derive import Derivation, derive, derive_all
from anatomy.rewrites.equality import equal
from anatomy.rewrites.library import law
from anatomy.rewrites.paths import applications, path
from anatomy.rewrites.segments import Segment

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "examples" / "derivations").glob("*.anat"))
CASES = [(file, name) for file in FILES for name in Program.of_file(file).names(s.DeriveDecl)]
BASE = """axis n, m, e, f
diagram late(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k) / size[m], v) }
diagram mid(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k), v) / size[m] }
diagram early(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[e](q, dot[m](k, v)) / size[m] }
diagram other(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[e](q, dot[m](k, v)) * size[m] }
diagram host(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  hole score(q: [e], k: [e]) -> []
  out dot[m](score(q, k) / size[m], v)
}
diagram product(q: [e], k: [e]) -> [] { out dot[e](q, k) }
diagram wide(x: [n, e]) -> [n, f] { out lin W[e -> f, bias=false](x) }
diagram none(x: [n, e]) -> [n, f] { out expand[f](sum[e](0 * x)) }
diagram zero() -> [e, f] { out expand[e, f](0) }
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def derived(text: str, more: str = "") -> Derivation:
    program = Program.of(Source("d.anat", BASE + more + text))
    assert not program.check()
    (found,) = derive_all(program)
    return found


def refused(text: str, more: str = "", code: str = "E323"):
    (wrong,) = derived(text, more).diagnostics
    assert wrong.code == code
    return wrong


@pytest.mark.parametrize(("file", "name"), CASES, ids=[f"{f.stem}.{n}" for f, n in CASES])
def test_the_examples_hold_and_every_equal_step_keeps_the_values(file, name):
    found = derive(Program.of_file(file), name)
    assert not found.diagnostics
    assert not found.conjecture
    assert found.relation == found.claimed
    diagrams = [found.start, *(line.diagram for line in found.lines)]
    for line, (a, b) in zip(found.lines, itertools.pairwise(diagrams), strict=True):
        if line.relation == "==" and not a.holes:
            assert equal(a, b, seconds=0).evaluation is True
        if line.relation == "==" and line.by and not {"normal", "search"} & {*line.by}:
            assert line.before or line.after
    text = "\n".join(unparse(line.diagram) for line in found.lines if line.open)
    again = [Program.of(Source("a.anat", unparse(line.diagram))).get(line.diagram.name) for line in found.lines]
    assert [digest(d) for d in again] == [digest(line.diagram) for line in found.lines], text


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_no_example_holds_with_another_rule_or_without_a_step(file, monkeypatch):
    monkeypatch.setattr(Segment, "_help", lambda self, agree: "")  # which searches for a way, and is tested by itself
    monkeypatch.setattr(Segment, "_notes", lambda self, agree: ())
    text = file.read_text("utf-8").replace("../../zoo", str(ROOT / "zoo"))
    program = Program.of(Source(str(file), text))
    for k, name in enumerate(program.names(s.DeriveDecl)):
        declared = program.root.names[name]
        steps = declared.body[1:]
        for step in steps if file.stem == "luong" else steps[k % len(steps) :][:1]:
            start, end = step.at
            for changed in (f"{step.relation} {step.text} by softplus_split", ""):
                wrong = derive(Program.of(Source(str(file), text[:start] + changed + text[end:])), name)
                if not changed and not wrong.diagnostics:
                    free = not step.reason or any("normal" in line.by for line in wrong.lines)
                    assert free, f"only the normal form, or a step without a reason, may be left out: {name}, {step.text}"
                else:
                    assert [d.code for d in wrong.diagnostics] in ([c] for c in ("E323", "E605", "E402", "E401", "E604")), (name, step.text, changed)


def test_the_matrix_that_is_the_identity_makes_general_scores_plain_ones():
    found = derive(Program.of_file(ROOT / "examples" / "derivations" / "luong.anat"), "identity")
    general = build(found.lines[0].diagram, {"n": 3, "m": 5, "d": 4}, dtype=torch.float64)
    general.load_state_dict({"score.Wa": torch.eye(4, dtype=torch.float64)})
    t, x = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    want = torch.softmax(t @ x.T, 1) @ x
    for line in found.lines[1:]:
        diagram = line.diagram
        plain = build(diagram, {"n": 3, "m": 5, "d": 4}, dtype=torch.float64)
        torch.testing.assert_close(plain(t, x), want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(general(t, x), want, rtol=1e-12, atol=1e-12)


def test_linear_attention_is_what_the_paper_says():
    found = derive(Program.of_file(ROOT / "examples" / "derivations" / "linear_attention.anat"), "linear")
    q, k, v = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 4), (5, 4), (5, 2)))
    rows = []
    for i in range(3):
        weights = [sum((torch.nn.functional.elu(q[i, c]) + 1) * (torch.nn.functional.elu(k[j, c]) + 1) for c in range(4)) for j in range(5)]
        rows.append(sum(w * v[j] for j, w in enumerate(weights)) / sum(weights))
    for line in found.lines:
        module = build(line.diagram, {"n": 3, "m": 5, "e": 4, "f": 2}, dtype=torch.float64)
        torch.testing.assert_close(module(q, k, v), torch.stack(rows), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "steps",
    [
        "late == mid by dot_div == early by reassociate",
        "late == ? by divide_after_mixing == ? by reassociate",
        "late == ... by divide_after_mixing == early by reassociate",
        "late == early by divide_after_mixing, reassociate",
        "late == late == mid by dot_div == early by normal",
        "late ~= mid by dot_div >= early by reassociate",
    ],
)
def test_ways_to_write_one_derivation(steps):
    found = derived(f"derive d: late >= early {{ {steps} }}")
    assert not found.diagnostics
    assert found.relation == (">=" if ">=" in steps else "==")
    assert digest(found.lines[-1].diagram) == digest(Program.of(Source("d.anat", BASE)).get("early"))


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("late == mid { late == mid by reassociate }", "`reassociate` applies nowhere in `late`", "`dot_div`"),
        ("late == mid { late == mid }", "not the same diagram", "`dot_div`"),
        ("late == late { late == late by dot_div }", "makes? `late`", "leave out `by`"),
        ("late == other { late == other by divide_after_mixing }", "applies in", "no rule leads"),
        ("late == early { late == ? by reassociate == early by dot_div }", "`reassociate` applies nowhere in `late`", ""),
        ("late == early { late == mid by dot_div }", "ends with `mid`", ""),
        ("late == early { mid == early by reassociate }", "begins with `mid`", ""),
        ("late == mid { late ~= mid by dot_div }", "its weakest step is `~=`", "late ~= mid"),
        ("late <= mid { late == mid by dot_div }", "not `<=`", ""),
        ("late == mid { late < mid by dot_div }", "not `<`", ""),
        ("host == late { host == late by fill score := product }", "is `>=`, and this one claims `==`", "`>=`"),
        ("late == other { late == other by evaluation }", "differ at random points", ""),
        ("late == other { late == other by normal }", "different normal forms|no normal forms", ""),
        ("late == early { late == ? by dot_div == early by evaluation }", "left open", "name both"),
    ],
)
def test_wrong_steps(text, message, help):
    wrong = refused(f"derive d: {text}")
    assert re.search(message, wrong.message), wrong.message
    assert help in wrong.help
    assert wrong.span is not None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("late == mid { late == mid by dot_dvi }", "E203"),
        ("late == mid { late == mid by dot_div, evaluation }", "E203"),
        ("late == nobody { late == nobody by dot_div }", "E203"),
        ("host >= late { host >= late by fill scre := product }", "E605"),
        ("host >= late { host >= late by fill score := late }", "E604"),
        ("wide >= none { wide >= none by fill W := product }", "E604"),
    ],
)
def test_names_and_fillers_that_do_not_fit(text, code):
    assert refused(f"derive d: {text}", code=code).span is not None


def test_a_difference_is_told_in_a_note():
    assert "differ at random points" in refused("derive d: late == other { late == other by dot_div }").notes[0]
    assert "agree at random points" in refused("derive d: late == early { late == early by dot_div }").notes[0]


def test_an_evaluation_is_a_conjecture():
    found = derived("derive d: late == early { late == early by evaluation }")
    assert found.conjecture
    assert not found.diagnostics


def test_a_weight_is_filled():
    found = derived("derive d: wide >= none { wide >= ? by fill W := zero == none by evaluation }")
    assert [d.code for d in found.diagnostics] == ["E323"], "an evaluation wants both diagrams named"
    found = derived("derive d: wide >= blank { wide >= blank by fill W := zero }", "diagram blank(x: [n, e]) -> [n, f] { out dot[e](x, expand[e, f](0)) }")
    assert not found.diagnostics


def test_rules_of_the_file():
    rule = "rule mine(x: [], t: []): x / t == x * (1 / t)\n"
    target = "diagram goal(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k) * (1 / size[m]), v) }\n"
    assert not derived("derive d: late == goal { late == goal by mine }", rule + target).diagnostics
    false = "rule mine(x: [], t: []): x / t == x * t\n"
    assert "is false" in refused("derive d: late == goal { late == goal by mine }", false + target).message


def test_a_rule_that_goes_one_way_only():
    more = "rule drop(x: [n]): relu(x) >= max(x, 0)\n"
    more += "diagram a(x: [n]) -> [n] { out relu(x) }\ndiagram b(x: [n]) -> [n] { out max(x, 0) }\n"
    found = derived("derive d: a >= b { a >= b by drop }", more)
    assert [(line.relation, line.by) for line in found.lines] == [(">=", ("drop",))]
    assert "applies nowhere" in refused("derive d: b >= a { b >= a by drop }", more).message
    assert "claims `==`" in refused("derive d: a == b { a == b by drop }", more).message


@pytest.mark.parametrize("name", ["divide_after_mixing", "sum_of_product", "dot_mul", "dot_div", "softmax_definition"])
def test_a_step_is_found_from_either_end(name):
    rule = law(name)
    for _, made in itertools.islice(applications(rule.left, rule), 3):
        for a, b in ((rule.left, made), (made, rule.left)):
            found = path(a, [rule], b)
            assert [digest(x.diagram) for x in (found.states[0], found.states[-1])] == [digest(a), digest(b)]


# the command -----------------------------------------------------------------------------------


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    target = "examples/derivations/linear_attention.anat"
    assert main(["derive", target]) == 0
    out = capsys.readouterr().out
    assert "linear: kernel_attention >= zoo.linear_core\n" in out
    assert "  == ?                by reassociate\n" in out
    assert main(["derive", f"{target}::linear", "--fill"]) == 0
    assert "similarity" not in (text := capsys.readouterr().out).partition("reassociate")[2], text
    assert main(["derive", f"{target}::linear", "--fill", "--json", "--film", str(tmp_path / "a.svg")]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["holds"] is True
    assert row["relation"] == ">="
    assert [step["by"] for step in row["steps"]] == [["fill similarity := of_features"], ["divide_after_mixing"], ["reassociate"], ["feature_total"]]
    assert "diagram" in row["steps"][0]["text"]
    assert row["steps"][1]["boxes"] == [{"kind": "moved", "before": ["/"], "after": ["/"]}, {"kind": "moved", "before": ["dot m"], "after": ["dot m"]}]
    assert (tmp_path / "a.svg").read_text("utf-8").startswith("<?xml")
    assert main(["derive", f"{target}::linaer"]) == 1
    assert "did you mean `linear`" in capsys.readouterr().err
    assert main(["derive", target, "--film", str(tmp_path / "b.svg")]) == 1
    assert main(["derive", f"{target}::linear", "--film", str(tmp_path / "b.gif")]) == 1
    wrong = tmp_path / "wrong.anat"
    wrong.write_text(BASE + "derive d: late == mid { late == mid by reassociate }\n", "utf-8")
    capsys.readouterr()
    for command in ("derive", "check"):
        assert main([command, str(wrong)]) == 1
        assert "one application of `dot_div` leads from `late` to `mid`" in capsys.readouterr().err
