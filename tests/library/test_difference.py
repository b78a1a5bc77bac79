"""What `zoo diff` says: of files of the library, and of files written here to differ in one respect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import zoo
from anatomy.cli.main import main
from anatomy.library.difference import Difference, difference
from anatomy.library.entry import Entry, entry
from anatomy.library.statements import Statements

BASE = """# title: A
# claims: causal=no; cost=n^2

axis n, m = n, d, h, e, f = e

diagram a(x: [n, d]) -> [n, d] where d = h * e {
  part normaliser(s: [m]) -> [m] { out softmax[m](s) }
  part mixing(w: [m], v: [m, f]) -> [f] { out sum[m](w * v) }
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  v = lin Wv[d -> h, f](z)
  k = lin Wk[d -> h, e](z)
  simd h, n {
    simd m { s = dot[e](q, k) }
    w = normaliser(s)
    y = mixing(w, v)
  }
  out lin Wo[h, f -> d](y)
}
"""


def told(tmp_path: Path, *changes: tuple[str, str], base: str = BASE) -> Difference:
    """The difference between the base and the base with some of its text replaced."""
    text = base
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    sides = []
    for name, written in (("a", base), ("b", text.replace("diagram a(", "diagram b(").replace("a_core", "b_core"))):
        path = tmp_path / f"{name}.anat"
        path.write_text(written)
        sides.append(Entry(name, path))
    return difference(*sides)


def test_a_copy_under_another_name_is_no_difference(tmp_path: Path) -> None:
    assert told(tmp_path, ("# title: A", "# title: Another")).empty


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            [("    w = normaliser(s)\n    y = mixing(w, v)\n", "    y = mixing(normaliser(s), v)\n")],
            id="a wire named or not",
        ),
        pytest.param([("simd m { s = dot[e](q, k) }", "s = dot[e](q, k)")], id="a box of lanes more or less"),
        pytest.param([("  z = x[n -> m]\n", "  # the same tokens, read\n  z = x[n -> m]  # again\n")], id="comments"),
        pytest.param(
            [("normaliser(s: [m]) -> [m] { out softmax[m](s) }", "normaliser(t: [n]) -> [n] { out softmax[n](t) }")],
            id="the letters of a part",
        ),
        pytest.param(
            [("simd m { s = dot", "simd m { p = dot"), ("normaliser(s)\n", "normaliser(p)\n")],
            id="another name, read once",
        ),
        pytest.param(
            [("axis n, m = n, d, h, e, f = e", "axis n, m = n, d, h\naxis e, f = e")], id="axes on more lines"
        ),
    ],
)
def test_a_way_of_writing_is_no_difference(tmp_path: Path, changes: list[tuple[str, str]]) -> None:
    found = told(tmp_path, *changes)
    assert (found.changed, found.lines) == ((), ()), found


def test_what_is_put_between_two_statements_shows_where_it_acts(tmp_path: Path) -> None:
    found = told(tmp_path, ("    w = normaliser(s)\n", "    r = 2 * s - 1\n    w = normaliser(r)\n"))
    assert found.lines == ("-  w = normaliser(s)", "+  w = normaliser(2 * s - 1)")


def test_a_sum_that_is_put_into_a_product_keeps_its_brackets(tmp_path: Path) -> None:
    found = told(tmp_path, ("simd m { s = dot[e](q, k) }", "simd m {\n      r = q + k\n      s = 2 * r\n    }"))
    assert found.lines == ("-  s = dot[e](q, k)", "+  s = 2 * (q + k)")


def test_a_wire_that_is_read_twice_keeps_its_name(tmp_path: Path) -> None:
    found = told(tmp_path, ("    w = normaliser(s)\n", "    r = 2 * s\n    w = normaliser(r) * r\n"))
    assert found.lines == ("-  w = normaliser(s)", "+  r = 2 * s", "+  w = normaliser(r) * r")


def test_a_line_does_not_grow_without_end(tmp_path: Path) -> None:
    long = " + ".join(["sigmoid(s)"] * 9)
    found = told(tmp_path, ("    w = normaliser(s)\n", f"    r = {long}\n    w = normaliser(r)\n"))
    assert found.lines == ("-  w = normaliser(s)", f"+  r = {long}", "+  w = normaliser(r)")


def test_parts_that_are_new_gone_or_changed(tmp_path: Path) -> None:
    normaliser = "  part normaliser(s: [m]) -> [m] { out softmax[m](s) }\n"
    two = "  part normaliser(s: [m]) -> [m] {\n    r = s + 1  # moved\n    simd m { out relu(r) }\n  }\n"
    found = told(tmp_path, (normaliser, two))
    assert found.changed == (
        ("normaliser", "(s: [m]) -> [m] { out softmax[m](s) }", "(s: [m]) -> [m] { r = s + 1; out relu(r) }"),
    )
    found = told(tmp_path, (normaliser, ""), ("normaliser(s)\n", "softmax[m](s)\n"))
    assert [n for n, _ in found.removed] == ["normaliser"]
    assert found.lines == ("-  w = normaliser(s)", "+  w = softmax[m](s)")


def test_biases_are_told_by_the_names_of_their_learners(tmp_path: Path) -> None:
    found = told(
        tmp_path, ("Wk[d -> h, e]", "Wk[d -> h, e, bias=false]"), ("Wo[h, f -> d]", "Wo[h, f -> d, bias=false]")
    )
    assert (found.unbiased, found.biased, found.lines) == (("Wk", "Wo"), (), ())
    found = told(tmp_path, ("Wk[d -> h, e]", "Wk[d -> e, bias=false]"))
    assert (found.unbiased, found.lines) == (("Wk",), ("-  k = lin Wk[d -> h, e](z)", "+  k = lin Wk[d -> e](z)"))
    without = BASE.replace("Wq[d -> h, e]", "Wq[d -> h, e, bias=false]")
    assert told(tmp_path, ("Wq[d -> h, e, bias=false]", "Wq[d -> h, e]"), base=without).biased == ("Wq",)


def test_claims_and_sizes(tmp_path: Path) -> None:
    found = told(tmp_path, ("causal=no", "causal=yes"), ("f = e\n", "f = 2 * e, r\n"))
    assert found.claims == (("causal", "no", "yes"),)
    assert found.lines == ("-axis f = e", "+axis f = 2 * e")


CORE = """axis n, m = n, d

diagram a_core(q: [n, d], k: [m, d]) -> [n, m] {
  s = dot[d](q, k)
  out softmax[m](s)
}

diagram a(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  w = a_core(x, z)
  out dot[m](w, z)
}
"""


def test_a_diagram_called_once_stands_where_it_is_called(tmp_path: Path) -> None:
    start, rest = CORE.split("diagram a_core")
    spliced = (
        CORE.replace("  w = a_core(x, z)\n", "  w = softmax[m](dot[d](x, z))\n")
        .replace(rest[: rest.index("diagram a(")], "")
        .replace("diagram a_core", "")
    )
    assert spliced.count("diagram") == 1
    assert start in spliced
    found = told(tmp_path, (CORE, spliced), base=CORE)
    assert found.lines == ()


def test_a_diagram_whose_names_collide_is_left_where_it_is(tmp_path: Path) -> None:
    other = CORE.replace("  s = dot[d](q, k)\n  out softmax[m](s)", "  z = dot[d](q, k)\n  out softmax[m](z)")
    assert told(tmp_path, (CORE, other), base=CORE).lines
    assert any(line.startswith("+diagram layer_core") for line in told(tmp_path, (CORE, other), base=CORE).lines)


def test_loops_stay_and_are_read_inside(tmp_path: Path) -> None:
    loop = BASE.replace(
        "    w = normaliser(s)\n",
        "    repeat 2 (u = s) {\n      t = u * u\n      next u = t + 1\n    }\n    w = normaliser(u)\n",
    )
    found = told(tmp_path, ("t = u * u", "t = u * s"), base=loop)
    assert found.lines == ("-    t = u * u", "+    t = u * s")
    found = told(tmp_path, ("      t = u * u\n      next u = t + 1", "      next u = u * u + 1"), base=loop)
    assert found.lines == ()


def test_a_loop_that_reads_a_wire_of_outside_does_not_take_it_in(tmp_path: Path) -> None:
    loop = "    g = 2 * s\n    repeat 2 (u = s) { next u = u + g }\n    w = normaliser(u)\n"
    found = told(tmp_path, ("    w = normaliser(s)\n", loop))
    assert found.lines == (
        "-  w = normaliser(s)",
        "+  g = 2 * s",
        "+  repeat 2 (u = s)",
        "+    next u = u + g",
        "+  w = normaliser(u)",
    )


def counted(own: Entry, against: Entry) -> Counter[str]:
    a, b = Statements(own), Statements(against)
    told = frozenset(n for n in a.biases if n in b.biases and a.biases[n] != b.biases[n])
    return Counter(a.lines(b.bound, told))


@pytest.mark.parametrize("name", zoo.names())
def test_every_mechanism_is_told_from_mha_and_not_from_itself(name: str) -> None:
    one, other = entry("mha"), entry(name)
    assert difference(other, other).empty
    there, back = difference(one, other), difference(other, one)
    assert there.empty == (name == "mha")
    assert [n for n, _ in there.added] == [n for n, _ in back.removed]
    (old, minus), (new, plus) = ((counted(e, f), Counter(x[1:] for x in there.lines if x[0] == sign)) for e, f, sign in ((one, other, "-"), (other, one, "+")))
    assert old - minus == new - plus
    assert all(len(line) <= 120 for line in there.lines)


def test_the_command_says_it_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "diff", "mha", "softmax_one"]) == 1
    out = capsys.readouterr().out
    assert "changes  normaliser(s: [m]) -> [m] { out softmax[m](s) }" in out
    assert main(["zoo", "diff", "mha", "mha"]) == 0
    assert "no difference but the head" in capsys.readouterr().out
