"""Spaces from text: every construct becomes the definition that it stands for, and `fmt` keeps it."""

from __future__ import annotations

import pytest

from anatomy.errors import Source
from anatomy.language.choices import Both, Component, Either, Not, SpaceDefinition, Test, UnionDefinition
from anatomy.language.format import format_text
from anatomy.language.program import Program

NET = """axis n, m = n, d, e = d, r

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
diagram learned(v: [d]) -> [d] {
  weight g: [d] ~ ones
  out g * v
}
diagram plus(v: [d]) -> [d] {
  hole left(v: [d]) -> [d]
  hole right(v: [d]) -> [d]
  out left(v) + right(v)
}
diagram dots(q: [d], k: [d]) -> [] { out dot[d](q, k) }
diagram low(q: [d], k: [d]) -> [] { out dot[r](lin A[d -> r](q), lin B[d -> r](k)) }
family acts = { smooth, sharp }
"""
MEET = "choose meet in { dots }"
LAST = "choose last in { smooth }"


def program(lines: str, *more: str) -> Program:
    found = Program.of(Source("test.anat", NET + f"space S of net {{ {lines} }}\n" + "\n".join(more)))
    assert not found.check(), [d.message for d in found.diagnostics()]
    return found


def space(lines: str, *more: str, name: str = "S") -> SpaceDefinition:
    found = program(lines, *more).space(name)
    assert isinstance(found, SpaceDefinition)
    return found


def labels(definition: SpaceDefinition) -> dict[str, list[str]]:
    return {d.name: [c.label for c in d.domain.components] for d in definition.decisions}


def test_a_choice_names_diagrams_and_families() -> None:
    found = space(f"choose act in {{ learned, acts }} choose last in acts {MEET}")
    assert labels(found) == {"act": ["learned", "smooth", "sharp"], "last": ["smooth", "sharp"], "meet": ["dots"]}
    assert [d.sites for d in found.decisions] == [("act",), ("last",), ("meet",)]
    assert set(found.base.holes) == {"act", "last", "meet"}, "parts that nothing is said about stay closed"


def test_an_option_has_decisions_of_its_own() -> None:
    found = space(f"choose act in {{ smooth, plus {{ choose left in acts choose right in {{ plus {{ share left, right choose left in acts }} }} }} }} {LAST} {MEET}")
    plus = found.decisions[0].domain.components[1]
    assert [d.name for d in plus.inner] == ["left", "right"]
    inner = plus.inner[1].domain.components[0].inner
    assert [(d.name, d.sites) for d in inner] == [("left", ("left", "right"))]


def test_flags_and_sizes() -> None:
    found = space(f"choose bool fancy param n in {{ 1, 2, 40 }} choose act in acts {LAST} choose meet in {{ low {{ param r in {{ 1, 2 }} }} }}")
    assert [d.kind for d in found.decisions] == ["flag", "param", "hole", "hole", "hole"]
    assert labels(found)["fancy"] == ["false", "true"]
    assert labels(found)["n"] == ["1", "2", "40"]
    inner = found.decisions[-1].domain.components[0].inner[0]
    assert (inner.kind, inner.name, [c.label for c in inner.domain.components]) == ("param", "r", ["1", "2"])


def test_optional_adds_none() -> None:
    found = space(f"optional norm, last choose act in acts {LAST} {MEET}")
    assert labels(found) == {"norm": ["net.norm", "none"], "act": ["smooth", "sharp"], "last": ["smooth", "none"], "meet": ["dots"]}
    assert found.decisions[0].domain.components[1] == Component("none")
    assert labels(space(f"choose act in {{ none, smooth }} {LAST} {MEET}"))["act"] == ["none", "smooth"]


@pytest.mark.parametrize(
    ("text", "form", "least", "most", "join", "edges"),
    [
        ("seq 1 to 3 of acts", "seq", 1, 3, "add", None),
        ("bag 2 of acts by multiply", "bag", 2, 2, "multiply", None),
        ("set 1 to 2 of { smooth, sharp }", "set", 1, 2, "add", None),
        ("tree 3 of { smooth, plus }", "tree", 1, 3, "add", None),
        ("tree 3 to 5 of { smooth, plus }", "tree", 3, 5, "add", None),
        ("dag 2 to 7 of acts edges 9", "dag", 2, 7, "add", 9),
    ],
)
def test_components_are_put_together(text: str, form: str, least: int, most: int, join: str, edges: int | None) -> None:
    domain = space(f"choose act in {text} {LAST} {MEET}").decisions[0].domain
    assert (domain.form, domain.least, domain.most, domain.join, domain.edges) == (form, least, most, join, edges)


def test_interchangeable_holes() -> None:
    found = space(f"choose act, last in bag of acts {MEET}")
    first = found.decisions[0]
    assert (first.names, first.sites, first.domain.form, first.domain.least, first.domain.most) == (("act", "last"), (), "bag", 2, 2)
    assert first.name not in first.names


def test_share_and_tie() -> None:
    shared = space(f"share act, last choose last in {{ learned, smooth }} {MEET}").decisions[0]
    assert (shared.name, shared.sites, shared.tied) == ("last", ("last", "act"), ())
    tied = space(f"choose act in {{ learned, smooth }} tie act, last {MEET}").decisions[0]
    assert (tied.sites, tied.tied) == (("act", "last"), ("last",))
    both = space(f"choose act in {{ learned }} share act, norm tie last, norm {MEET}").decisions[0]
    assert (both.sites, both.tied) == (("last", "norm", "act"), ("norm",))


def test_conditions() -> None:
    found = space(
        f"choose bool fancy param n in {{ 1, 2 }} choose act in acts choose last in seq 1 to 2 of acts when fancy and not (act == smooth or n > 1) else sharp"
        f" {MEET} except act in {{ smooth, sharp }} and last != seq(smooth, sharp)"
    )
    last = next(d for d in found.decisions if d.name == "last")
    assert last.when == Both((
        Test("fancy", "==", ("true",)), Not(Either((Test("act", "==", ("smooth",)), Test("n", ">", ("1",)))))
    ))  # fmt: skip
    assert last.otherwise is not None
    assert last.otherwise.label == "sharp"
    assert last.otherwise.diagram is not None
    assert found.excepts == (Both((Test("act", "in", ("smooth", "sharp")), Test("last", "!=", ("seq(smooth, sharp)",)))),)


def test_what_stands_where_a_condition_does_not_hold() -> None:
    found = space(f"choose bool b choose norm in acts when b choose act in acts when b {LAST} {MEET} choose bool c when b param n in {{ 2 }} when b else 7")
    others = {d.name: d.otherwise for d in found.decisions}
    assert {n: o.label for n, o in others.items() if o} == {"norm": "net.norm", "act": "none", "c": "false", "n": "7"}


def test_interchangeable_holes_are_tested_one_by_one() -> None:
    found = space(f"choose act, last in bag of acts {MEET} except act == smooth")
    assert found.excepts == (Test("act", "==", ("smooth",)),)


def test_requirements_and_weights() -> None:
    found = space(
        f"choose act in acts {LAST} {MEET} require causal require not alive require cost <= n^2 require cost > 1 require verdict >= lipschitz_on_domain"
        f" require scale < 10 require scale > 0.5 require parameters <= (4*d)^2 + 3 require causal prefer act {{ smooth: 3 }}"
    )
    assert [(r.what, r.op, r.value) for r in found.requires] == [
        ("causal", "==", "true"), ("alive", "==", "false"), ("cost", "<=", "n^2"), ("cost", ">", "1"), ("verdict", ">=", "lipschitz_on_domain"),
        ("scale", "<", "10"), ("scale", ">", "0.5"), ("parameters", "<=", "16 * d^2 + 3"),
    ]  # fmt: skip
    assert found.decisions[0].prefer == {"smooth": 3}


def test_sub_spaces_gather_conditions() -> None:
    lines = f"choose act in acts {LAST} optional norm {MEET}"
    more = (
        "space T = S where act == smooth within 2 of near where norm == none",
        "member near of S { norm: none, act: sharp }",
        "space P = pairs T",
    )
    found = space(lines, *more, name="P")
    assert found.where == (Test("act", "==", ("smooth",)), Test("norm", "==", ("none",)))
    assert found.pairs
    assert found.name == "P"
    (ball,) = found.within
    assert ball.distance == 2
    assert dict(ball.centre) == {"act": "sharp", "last": "smooth", "norm": "none", "meet": "dots"}


def test_the_centre_may_be_the_diagram_or_written_out() -> None:
    found = space(f"optional norm choose act in acts {LAST} {MEET} within 1 of {{ act: sharp, last: smooth, meet: dots }}")
    assert dict(found.within[0].centre) == {"norm": "net.norm", "act": "sharp", "last": "smooth", "meet": "dots"}
    text = "space N of only { optional p } space M = N within 0 of only diagram only(x: [n, d]) -> [n, d] { part p(v: [d]) -> [d] { out -v } out p(x) }"
    near = program(f"choose act in acts {LAST} {MEET}", text).space("M")
    assert isinstance(near, SpaceDefinition)
    assert dict(near.within[0].centre) == {"p": "only.p"}
    bags = space(f"choose act, last in bag of acts {MEET} within 1 of {{ last: smooth, act: sharp, meet: dots }}")
    assert dict(bags.within[0].centre) == {"act, last": "bag(smooth, sharp)", "meet": "dots"}


def test_unions() -> None:
    lines = f"choose act in acts {LAST} {MEET}"
    found = program(lines, "space T = S where act == smooth", "space U = { T, S }", "space V = pairs U where act == sharp", "space W = { V }")
    union = found.space("U")
    assert isinstance(union, UnionDefinition)
    assert [m.name for m in union.members] == ["T", "S"]
    pairs = found.space("V")
    assert isinstance(pairs, UnionDefinition)
    assert all(m.pairs and m.where[-1] == Test("act", "==", ("sharp",)) for m in pairs.members)
    assert isinstance(found.space("W"), UnionDefinition)


def test_an_option_whose_equation_is_not_proved_is_refused_with_its_reason() -> None:
    text = """axis n, e, f
    diagram base(x: [n, e], y: [n, f]) -> [n, e] { hole join(x: [e], y: [f]) -> [e] out join(x, y) }
    diagram level(x: [e], y: [f]) -> [e] where f = e { out x + dot[f](y, y) }
    diagram first(x: [e], y: [f]) -> [e] { out x + sum[f](y) }
    space S of base { choose join in { level, first } }"""
    found = Program.of(Source("test.anat", text)).space("S")
    assert isinstance(found, SpaceDefinition)
    assert labels(found) == {"join": ["first"]}
    assert [(r.name, r.label) for r in found.refused] == [("join", "level")]


def test_the_words_of_spaces_are_names_elsewhere() -> None:
    words = ["param", "bool", "optional", "share", "except", "require", "prefer", "parts", "within", "pairs", "member", "when", "to", "edges", "seq", "bag", "set", "tree", "dag", "from"]
    head = "axis n, else, set, param\n"
    body = "\n".join(f"  {w} = x + {k}" for k, w in enumerate(words) if w not in ("set", "param")) + "\n  out " + " + ".join(w for w in words if w not in ("set", "param"))
    text = head + "diagram member(x: [set, param, else]) -> [set, param, else] {\n" + body + "\n}\n"
    text += "diagram pairs(x: [n]) -> [n] {\n  hole seq(x: [n]) -> [n]\n  hole bool(x: [n]) -> [n]\n  out seq(bool(x))\n}\ndiagram tree(x: [n]) -> [n] { out -x }\n"
    text += "family bag = { tree }\nspace S of pairs {\n  choose seq in bag\n  choose bool in { tree }\n}\nspace pairs2 = S\n"
    found = Program.of(Source("test.anat", text))
    assert not [d for d in found.check() if d.severity == "error"], found.diagnostics()
    assert labels(found.space("S")) == {"seq": ["tree"], "bool": ["tree"]}  # type: ignore[arg-type]
    once = format_text(Source("a", text))
    assert format_text(Source("a", once)) == once
    assert once.split() == text.split()


LAYOUT = """space S of net{choose act in {smooth,# plain
  plus{choose left in{smooth,sharp} prefer left{smooth:2}
  # inner
  choose right in acts when left==smooth else sharp}}# tail
  # own
  choose last in bag 1 to 2 of acts by max when a and(b or not c==dag[0>1 1>2](x,y(z)))
  choose meet in {dots,low{param r in{1,2}},dots2{choose a in acts choose b in acts},something_that_is_long{choose c in { smooth, sharp }}}
  choose bool f optional norm,last share a,b tie c,d
  except x in {1,2} require not causal require cost<=n^2 prefer a{b:1,c(d):2} parts from zoo parts a,b from zoo within 2
}
space T=pairs {S,S2} where a<=3 within 2 of{a:b} within 1 of best
member best of S{a:dots,b:seq(x,y),c:2}
"""


def test_fmt_lays_spaces_out_once_and_keeps_comments() -> None:
    once = format_text(Source("a", LAYOUT))
    assert format_text(Source("a", once)) == once
    assert all(word in once for word in ("# plain", "# inner", "# tail", "# own"))
    assert "".join(once.split()) == "".join(LAYOUT.split())
    assert "dag[0>1 1>2](x, y(z))" in once
    assert "space T = pairs { S, S2 } where a <= 3 within 2 of { a: b } within 1 of best\n" in once
    assert all(len(line) <= 100 for line in once.splitlines())
