"""Steps of all kinds: fills of several things, ways back, restrictions, ties, rules inside of loops, searches; files written out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from anatomy.cli import main
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.language.program import Program
from anatomy.rewrites.derive import Derivation, derive, derive_all

ROOT = Path(__file__).resolve().parents[2]
BASE = """axis n, m, e, f, g, h, d, c
diagram late(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k) / size[m], v) }
diagram mid(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k), v) / size[m] }
diagram early(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[e](q, dot[m](k, v)) / size[m] }
diagram other(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[e](q, dot[m](k, v)) * size[m] }
diagram host(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  hole score(q: [e], k: [e]) -> []
  out dot[m](score(q, k) / size[m], v)
}
diagram product(q: [e], k: [e]) -> [] { out dot[e](q, k) }
diagram wide_2(x: [n, e]) -> [n, f] { out lin W[e -> f, bias=false](x) }
diagram open(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  hole score(q: [e], k: [e]) -> []
  hole weigh(s: [m]) -> [m]
  out dot[m](weigh(score(q, k)), v)
}
diagram closed(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](softmax[m](dot[e](q, k)), v) }
diagram two(x: [n, e]) -> [n, f] { out lin P[e -> f, bias=false](x) * lin Q[e -> f, bias=false](x) }
diagram one(x: [n, e]) -> [n, f] {
  p = lin P[e -> f, bias=false](x)
  out p * p
}
diagram doubled(x: [n, e]) -> [n, f] { out 2 * lin P[e -> f, bias=false](x) }
diagram groups(x: [n, e]) -> [n, f] { out dot[g](lin P[e -> g, bias=false](x), sum[h](lin Q[e -> g, f, h, bias=false](x))) }
diagram no_groups(x: [n, e]) -> [n, f] {
  weight P: [e]
  out dot[e](x, P) * lin Q[e -> f, bias=false](x)
}
diagram level(x: [n, e]) -> [n, f] where f = e { out lin W[e -> f, bias=false](x) }
diagram loop(x: [n, d]) -> [n, d] {
  scan n (s: [d] = 0) { next s = tanh(s + x) * (1 - sigmoid(s)) }
  out s
}
diagram same_loop(x: [n, d]) -> [n, d] {
  scan n (s: [d] = 0) { next s = tanh(s + x) * sigmoid(-s) }
  out s
}
diagram step_of(x: [n, d]) -> [n, d] {
  hole f(s: [d], x: [d]) -> [d]
  scan n (s: [d] = 0) { next s = f(s, x) }
  out s
}
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def derived(text: str) -> Derivation:
    program = Program.of(Source("d.anat", BASE + text))
    assert not program.check()
    (found,) = derive_all(program)
    return found


def refused(text: str, code: str):
    (wrong,) = derived(text).diagnostics
    assert wrong.code == code, wrong
    return wrong


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("open >= closed { open >= closed by fill score := dot[e](q, k), weigh := softmax[m](s) }", ">="),
        ("open >= closed { open >= closed by fill score := { y = q * k out sum[e](y) }, weigh := (w: [m]) -> [m] { out softmax[m](w) } }", ">="),
        ("open >= closed { open >= ? by fill weigh := { hole inner(s: [m]) -> [m] out inner(s + 1) } >= closed by fill score := product, inner := softmax[m](s) }", ">="),
        ("two >= one { two >= one by tie P, Q }", ">="),
        ("doubled ~= wide_2 { doubled ~= wide_2 by fill P := { weight V: [e -> f] out V / 2 } back W := { weight V: [e -> f] out 2 * V } }", "~="),
        ("doubled ~= wide_2 { doubled ~= wide_2 by fill P := { weight V: [e -> f] out V / 2 } }", "~="),
        ("groups >= no_groups { groups >= no_groups by at g = 1, h = 1 }", ">="),
        ("wide_2 >= level { wide_2 >= level by at f = e }", ">="),
        ("loop == same_loop { loop == same_loop by sigmoid_complement }", "=="),
        ("loop == same_loop { loop == ? by sigmoid_complement == same_loop }", "=="),
        ("step_of >= loop { step_of >= loop by fill f := tanh(s + x) * (1 - sigmoid(s)) }", ">="),
        ("late == early { late == ? }", "=="),
        ("late == early { late == ? by dot_div == early by normal }", "=="),
        ("late == early { late == early by search }", "=="),
    ],
)
def test_steps_of_other_kinds(text, relation):
    found = derived(f"derive it: {text}")
    assert not found.diagnostics, found.diagnostics[0]
    assert found.relation == relation


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("open >= closed { open >= closed by fill score := dot[e](q, z), weigh := softmax[m](s) }", "E202", "`z`"),
        ("open >= closed { open >= closed by fill score := dot[e](q, k), wiegh := softmax[m](s) }", "E605", "`wiegh`"),
        ("open >= closed { open >= closed by fill score := sum[e](q), weigh := softmax[m](s) }", "E323", "makes another diagram"),
        ("two == one { two == one by tie P, Q }", "E323", "claims `==`"),
        ("two >= one { two >= one by tie P, R }", "E605", "`R`"),
        ("doubled ~= doubled { doubled ~= doubled by fill P := { weight V: [e -> f] out V / 2 } back P := { weight V: [e -> f] out V } }", "E323", "another diagram|back by"),
        ("doubled ~= two { doubled ~= two by fill P := { weight V: [e -> f] out exp(V) } }", "E323", "not shown to reach every value|another diagram"),
        ("wide_2 >= level { wide_2 >= level by at ff = e }", "E203", "no axis `ff`"),
        ("wide_2 >= level { wide_2 >= level by at f = f }", "E404", "restricts no size"),
        ("groups >= no_groups { groups >= no_groups by at g = 0 }", "E405", "would be 0"),
        ("late == other { late == ? }", "E323", "no derivation between"),
    ],
)
def test_wrong_steps_of_other_kinds(text, code, message):
    wrong = refused(f"derive it: {text}", code)
    assert re.search(message, wrong.message), wrong.message
    assert wrong.span is not None


def test_what_is_left_open_is_written_into_the_file(tmp_path, capsys):
    file = tmp_path / "d.anat"
    derivation = "# how it goes\nderive it: host >= early {\n  host  # from here\n  >= ? by fill score := dot[e](q, k)\n  == ?\n}\n"
    file.write_text(BASE + derivation, "utf-8")
    assert main(["derive", str(file), "--write"]) == 0
    text = file.read_text("utf-8")
    assert text.startswith(BASE)
    assert "  host  # from here\n  >= it_1 by fill score := dot[e](q, k)\n  == early by " in text
    assert text.index("diagram it_1") < text.index("# how it goes") < text.index("derive it")
    assert main(["derive", str(file), "--json"]) == 0
    out = capsys.readouterr().out
    (row,) = json.loads(out[out.index("[\n") :])
    assert row["holds"] is True
    assert not any(step["open"] or step["searched"] for step in row["steps"])
    assert main(["derive", str(file), "--write"]) == 0
    assert file.read_text("utf-8") == text, "nothing is left to be written"


def test_weights_keep_their_meaning_when_a_file_is_written(tmp_path):
    text = (ROOT / "examples" / "derivations" / "luong.anat").read_text("utf-8").replace("../../zoo", str(ROOT / "zoo"))
    file = tmp_path / "luong.anat"
    file.write_text(text, "utf-8")
    assert main(["derive", str(file), "--write"]) == 0
    after = file.read_text("utf-8")
    assert "?" not in after
    assert "fill Wa := unit" in after
    for name in ("bahdanau", "general", "identity"):
        old, new = (derive(Program.of(Source(str(file), t)), name) for t in (text, after))
        assert [digest(x.diagram) for x in old.lines] == [digest(x.diagram) for x in new.lines]
