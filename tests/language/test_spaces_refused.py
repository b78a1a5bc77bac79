"""What is wrong in a space is said, with its code and its place; hostile text is refused, and soon."""

from __future__ import annotations

import pytest

from anatomy.errors import AnatomyError, Source
from anatomy.language.program import Program

NET = """axis n, m = n, d, e, r
diagram net(x: [n, d]) -> [n, d] {
  part norm(v: [d]) -> [d] { out v / (1 + sum[d](square(v))) }
  hole act(v: [d]) -> [d]
  hole last(v: [d]) -> [d]
  hole meet(q: [d], k: [d]) -> []
  y = norm(x)
  z = y[n -> m]
  simd n, m { s = meet(y, z) }
  out last(act(dot[m](s, z)))
}
diagram smooth(v: [d]) -> [d] { out tanh(v) }
diagram sharp(v: [d]) -> [d] { out relu(v) }
diagram plus(v: [d]) -> [d] { hole left(v: [d]) -> [d] hole right(v: [d]) -> [d] out left(v) + right(v) }
diagram only(v: [d]) -> [d] { hole more(v: [d]) -> [d] out more(v) }
diagram odd(v: [d]) -> [d] { hole more(q: [d], k: [d]) -> [] out v * more(v, v) }
diagram dots(q: [d], k: [d]) -> [] { out dot[d](q, k) }
diagram visible(q: [n], k: [m]) -> mask[n, m] { out m <= n }
diagram wide(x: [n, d]) -> [n, e] { hole a(v: [d]) -> [e] out a(x) }
diagram out_of(v: [d]) -> [e] { out lin W[d -> e](v) }
family acts = { smooth, sharp }
"""
REST = "choose act in acts choose last in acts choose meet in { dots }"
LAST = "choose last in acts choose meet in { dots }"

LINES = [
    (f"choose act in {{ }} {LAST}", "E608", "{ }"),
    (f"{REST} param r in {{ }}", "E617", "r"),
    (f"{REST} param n in {{ }}", "E608", "param n in { }"),
    (f"choose act in {{ smoth }} {LAST}", "E203", "smoth"),
    (f"choose act in {{ dots }} {LAST}", "E604", "dots"),
    (f"choose act in {{ smooth, smooth }} {LAST}", "E204", "smooth"),
    (f"choose act in {{ acts, sharp }} {LAST}", "E204", "sharp"),
    (f"choose act in {{ S }} {LAST}", "E601", "S"),
    (f"choose act in {{ plus }} {LAST}", "E604", "plus"),
    (f"choose act in {{ plus {{ choose left in acts }} }} {LAST}", "E605", "plus"),
    (f"choose act in {{ plus {{ choose left in acts require causal }} }} {LAST}", "E601", "require causal"),
    (f"choose act in {{ acts {{ choose left in acts }} }} {LAST}", "E601", "acts"),
    (f"choose act in {{ smooth, smooth {{ }} }} {LAST}", "E204", "smooth { }"),
    (f"choose akt in acts {LAST}", "E603", "akt"),
    (f"{REST} choose act in acts", "E204", "act"),
    (LAST, "E605", "S"),
    (f"{REST} optional meet", "E604", "meet"),
    (f"{REST} optional nrm", "E603", "nrm"),
    (f"choose act in tree of {{ smooth, plus }} {LAST}", "E609", "tree of { smooth, plus }"),
    (f"choose act in tree 9 of {{ plus }} {LAST}", "E609", "tree 9 of { plus }"),
    (f"choose act in tree 2 to 2 of {{ smooth, plus }} {LAST}", "E610", "tree 2 to 2 of { smooth, plus }"),
    (f"choose act in tree 3 of {{ smooth, odd }} {LAST}", "E604", "odd"),
    (f"choose act in seq 3 to 2 of acts {LAST}", "E610", "seq 3 to 2 of acts"),
    (f"choose act in seq 0 to 2 of acts {LAST}", "E610", "seq 0 to 2 of acts"),
    (f"choose act in seq of acts {LAST}", "E610", "seq of acts"),
    (f"choose act in set 3 of acts {LAST}", "E610", "set 3 of acts"),
    (f"choose act in bag 99999999999 of acts {LAST}", "E610", "bag 99999999999 of acts"),
    (f"choose act in dag 1 to 3 of acts {LAST}", "E610", "dag 1 to 3 of acts"),
    (f"choose act in dag 2 to 10 of acts {LAST}", "E610", "dag 2 to 10 of acts"),
    (f"choose act in dag 3 of acts edges 0 {LAST}", "E610", "dag 3 of acts edges 0"),
    (f"choose act in seq 2 of acts edges 3 {LAST}", "E610", "seq 2 of acts edges 3"),
    (f"choose act in seq 2 of acts by add {LAST}", "E610", "add"),
    (f"choose act in bag 2 of acts by sum {LAST}", "E610", "sum"),
    ("choose meet in seq 2 of { dots } choose act in acts choose last in acts", "E604", "seq 2 of { dots }"),
    (f"choose act in seq 2 of acts optional act {LAST}", "E610", "act"),
    ("choose act, last in acts choose meet in { dots }", "E610", "choose act, last in acts"),
    ("choose act, act in bag of acts choose last in acts choose meet in { dots }", "E204", "act"),
    ("choose act, last in bag 3 of acts choose meet in { dots }", "E610", "bag 3 of acts"),
    ("choose act, last in set of { smooth } choose meet in { dots }", "E610", "set of { smooth }"),
    ("choose act, meet in bag of acts choose last in acts", "E615", "meet"),
    (f"{REST} share act, meet", "E204", "meet"),
    ("choose meet in { dots } share act, meet choose last in acts", "E615", "act"),
    (f"{REST} share act, act", "E615", "act"),
    ("share act, last choose meet in { dots }", "E605", "act"),
    ("tie act, last share last, norm tie norm, other choose act in acts choose meet in { dots }", "E603", "other"),
    (f"{REST} except akt == smooth", "E611", "akt"),
    (f"{REST} except act == smoth", "E611", "smoth"),
    (f"{REST} except act < sharp", "E611", "act < sharp"),
    (f"{REST} except act", "E611", "act"),
    (f"{REST} except act in {{ }}", "E608", "act in { }"),
    (f"{REST} param n in {{ 1, 2 }} except n < smooth", "E611", "smooth"),
    (f"{REST} param n in {{ 1, 2 }} except n == 3", "E611", "3"),
    (f"choose act in acts when last == sharp else smooth {LAST}", "E611", "last"),
    (f"choose act in seq 1 to 2 of acts {LAST} except act == smooth", "E611", "smooth"),
    (f"choose act in seq 1 to 2 of acts {LAST} except act == seq(smooth, sharp, sharp)", "E611", "seq(smooth, sharp, sharp)"),
    (f"choose act in dag 3 of acts {LAST} except act == dag[1>0](sharp)", "E611", "dag[1>0](sharp)"),
    ("choose act in acts choose last in acts choose meet in { dots } when act == sharp", "E616", "when act == sharp"),
    ("choose bool b choose meet in { dots } when b choose act in acts choose last in acts", "E616", "when b"),
    (f"choose bool b choose act in acts when b else dots {LAST}", "E604", "dots"),
    (f"choose bool b choose act in acts when b else acts {LAST}", "E616", "acts"),
    (f"{REST} choose bool b param n in {{ 1 }} when b", "E616", "when b"),
    (f"{REST} param n in {{ 0 }}", "E617", "0"),
    (f"{REST} param n in {{ -1 }}", "E617", "-1"),
    (f"{REST} param n in {{ 1.5 }}", "E617", "1.5"),
    (f"{REST} param n in {{ 1099511627777 }}", "E617", "1099511627777"),
    (f"{REST} param n in {{ 1, 01 }}", "E204", "01"),
    (f"{REST} param q in {{ 1 }}", "E617", "q"),
    (f"{REST} prefer act {{ smooth: 0 }}", "E618", "0"),
    (f"{REST} prefer act {{ smooth: -2 }}", "E618", "-2"),
    (f"{REST} prefer act {{ smooth: 0.5 }}", "E618", "0.5"),
    (f"{REST} prefer act {{ smoth: 1 }}", "E611", "smoth"),
    (f"{REST} prefer akt {{ smooth: 1 }}", "E611", "akt"),
    (f"{REST} require casual", "E612", "casual"),
    (f"{REST} require causal >= 2", "E612", "require causal >= 2"),
    (f"{REST} require cost", "E612", "require cost"),
    (f"{REST} require cost <= n * n", "E612", "n * n"),
    (f"{REST} require cost <= n ^ 0.5", "E612", "n ^ 0.5"),
    (f"{REST} require verdict >= smooth", "E612", "smooth"),
    (f"{REST} require scale <= 0", "E612", "0"),
    (f"{REST} require parameters <= 4 * dd", "E612", "dd"),
    (f"{REST} require parameters <= d / 2", "E612", "d / 2"),
    (f"{REST} require parameters <= (n + m + d + e + r + 1) ^ 64", "E612", "(n + m + d + e + r + 1) ^ 64"),
    (f"{REST} require causal require not causal", "E613", "require not causal"),
    (f"{REST} require cost <= n require cost >= n ^ 2", "E613", "require cost >= n ^ 2"),
    (f"{REST} require cost < n require cost >= n", "E613", "require cost >= n"),
    (f"{REST} require cost < 1", "E613", "require cost < 1"),
    (f"{REST} require verdict <= not_globally_lipschitz require verdict >= globally_lipschitz", "E613", "require verdict >= globally_lipschitz"),
    (f"{REST} require scale <= 0.5 require scale >= 0.6", "E613", "require scale >= 0.6"),
    (f"{REST} require parameters <= d require parameters > d + 1", "E613", "require parameters > d + 1"),
    (f"{REST} require parameters <= d require parameters > d ^ 2", None, ""),
    (f"{REST} parts norm from elsewhere", "E614", "elsewhere"),
    (f"{LAST} parts act from zoo", "E614", "act"),
    (f"{REST} within 1", "E619", "within 1"),
    (f"{REST} within 1 of {{ act: smoth }}", "E611", "smoth"),
    (f"{REST} within 1 of {{ akt: smooth }}", "E611", "akt"),
    (f"{REST} within 1 of {{ act: smooth, act: sharp }}", "E204", "act"),
    (f"{REST} within 1 of nobody", "E619", "nobody"),
]  # fmt: skip

SPACES = [
    ("space T = Q", "E203", "Q"),
    ("space T = net", "E601", "net"),
    ("space T = T where act == smooth", "E206", "T"),
    ("space T = U space U = { S, T }", "E206", "T"),
    ("space T = { }", "E608", "space T = { }"),
    ("space T = { S, S }", "E204", "S"),
    ("space W of wide { choose a in { out_of } } space T = { S, W }", "E620", "W"),
    ("space T = { S, S2 } within 1 of { act: smooth } space S2 = S", "E619", "within 1 of { act: smooth }"),
    ("space T = S where akt == smooth", "E611", "akt"),
    ("member M of S { act: smooth }", "E619", "member M of S { act: smooth }"),
    ("member M of S { act: smooth, last: sharp, meet: smooth }", "E611", "smooth"),
    ("member M of net { act: smooth }", "E601", "net"),
    ("member M of S { act: smooth, last: sharp } member M of S { act: smooth, last: sharp }", "E204", "M"),
    ("space Z of zoo { choose act in acts }", "E614", "choose act in acts"),
    ("space Z of zoo { require causal }", "E608", "Z"),
    ("family none_at_all = { }", "E608", "family none_at_all = { }"),
]


def first_error(text: str) -> tuple[str, str] | tuple[None, str]:
    found = [d for d in Program.of(Source("test.anat", text)).check() if d.severity == "error"]
    if not found:
        return None, ""
    assert found[0].span is not None
    return found[0].code, found[0].span.text


@pytest.mark.parametrize(("lines", "code", "place"), LINES, ids=[str(k) for k in range(len(LINES))])
def test_a_line_of_a_space_is_refused_where_it_is_wrong(lines: str, code: str, place: str) -> None:
    assert first_error(NET + f"space S of net {{ {lines} }}") == (code, place)


@pytest.mark.parametrize(("text", "code", "place"), SPACES, ids=[str(k) for k in range(len(SPACES))])
def test_a_space_of_spaces_is_refused_where_it_is_wrong(text: str, code: str, place: str) -> None:
    assert first_error(NET + f"space S of net {{ {REST} }}\n{text}") == (code, place)


def test_one_wrong_line_makes_one_error() -> None:
    lines = f"choose act in {{ smoth }} {LAST} except act == smooth prefer act {{ smooth: 2 }}"
    found = Program.of(Source("test.anat", NET + f"space S of net {{ {lines} }} space T = S where act == smooth")).check()
    (error,) = (d for d in found if d.severity == "error")
    assert error.code == "E203"
    assert "`smooth`" in error.help


def test_a_tie_needs_weights_of_one_size() -> None:
    text = """axis n, d, e
    diagram net(x: [n, d]) -> [n, e] {
      hole before(v: [d]) -> [d]
      hole after(v: [e]) -> [e]
      out after(lin W[d -> e](before(x)))
    }
    diagram scaled(v: [d]) -> [d] { weight g: [d] ~ ones out g * v }
    diagram plain(v: [d]) -> [d] { out -v }
    """
    assert first_error(text + "space S of net { choose before in { scaled } tie before, after }") == ("E615", "after")
    assert first_error(text + "space S of net { choose before in { plain } tie before, after }")[0] is None
    assert first_error(text.replace("d, e\n", "d, e = d\n") + "space S of net { choose before in { scaled } tie before, after }")[0] is None
    twice = text.replace("before(x)", "before(before(x))").replace("d, e\n", "d, e = d\n")
    assert first_error(twice + "space S of net { choose before in { scaled } tie before, after }")[0] == "E615"


HOSTILE = [
    "space S of net { " + "choose act in { plus { choose left in { plus { choose left in " * 40 + "acts" + "} } } }" * 40 + " }",
    "space S of net { " + REST + " except " + "not " * 3000 + "act == smooth }",
    "space S of net { " + REST + " except " + "(" * 120 + "act == smooth" + ")" * 120 + " }",
    "space S of net { " + REST + " except " + " or ".join(["act == smooth"] * 5000) + " }",
    "space S of net { " + REST + "".join(f" choose bool b{k} when b{k - 1}" if k else " choose bool b0" for k in range(5000)) + " }",
    "space S of net { " + LAST + " choose act in { " + ", ".join(["smooth"] * 20000) + " } }",
    "space S of net { " + LAST + " choose act in tree 64 of { smooth, plus, only } }",
    "space S of net { " + REST + " } " + " ".join(f"space T{k} = T{k + 1}" for k in range(3000)),
    "space S of net { " + REST + " } space T0 = S " + " ".join(f"space T{k + 1} = T{k} where act == smooth" for k in range(3000)),
    "space S of net { " + REST + " } space A0 = S space B0 = S " + " ".join(
        f"space A{k + 1} = {{ A{k}, B{k} }} space B{k + 1} = {{ B{k}, A{k} }}" for k in range(200)
    ),
    "space S of net { " + REST + " require parameters <= " + "((" * 60 + "d + e" + ") ^ 9)" * 60 + " }",
    "space S of net { " + REST + " param n in { " + "9" * 10_000 + " } }",
    "space S of net { " + REST + " within " + "9" * 400 + " of { act: smooth, last: smooth, meet: dots } }",
    "diagram many(v: [d]) -> [d] { " + " ".join(f"hole h{k}(v: [d]) -> [d]" for k in range(3000)) + " out "
    + " + ".join(f"h{k}(v)" for k in range(3000)) + " } space S of net { " + LAST + " choose act in tree 64 of { smooth, many } }",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[str(k) for k in range(len(HOSTILE))])
def test_hostile_spaces_end(text: str) -> None:
    """Each is read, or refused with a diagnostic; none takes more than its length."""
    try:
        found = Program.of(Source("test.anat", NET + text)).check()
    except AnatomyError as error:
        found = error.diagnostics
    assert all(d.code[0] in "EW" and d.code != "E901" for d in found)
