"""`fmt`: the same tree, the same comments, and nothing left to change."""

import random
import re
from pathlib import Path

import pytest

from anatomy.errors import Source
from anatomy.language.format import WIDTH, format_text
from anatomy.language.lalr import tables
from anatomy.language.parse import parse
from tests.language.trees import SAMPLE, data, program

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("zoo/**/*.anat"), *ROOT.glob("examples/*.anat"), *ROOT.glob("anatomy/**/*.anat")])
LATER = """axis n, d
diagram d(x: [n, d]) -> [n, d] {
      scan n (s: [d] = 0) {
   next s = s+x   # kept
      }
  repeat 2 (y = x) { next y = relu(y) }
  part score(q: [d]) -> [] { out sum[d](q) }
    noise e: [d] ~ normal(1)
 out x }
space sp of d { choose a in { d } param d in {1,2}
  require   causal }
"""
DERIVE = """derive  f :d>=e{ d  # first
   >=  ? by fill score:=a.b  ==...by r ,s
     ~= d   by t
}
"""


def formatted(text: str) -> str:
    return format_text(Source("a.anat", text))


def comments(text: str) -> list[str]:
    return [c.text for c in parse(Source("a.anat", text)).comments]


def keeps(text: str) -> str:
    """The laws, for one text."""
    once = formatted(text)
    assert formatted(once) == once
    assert comments(once) == comments(text)
    before, after = (data(parse(Source("a.anat", t)).items, places=False) for t in (text, once))
    assert before == after
    assert all(line == line.rstrip() for line in once.split("\n"))
    assert "\n\n\n" not in once
    return once


def mutated(rng: random.Random, text: str) -> str:
    """Other white space between the words, comments anywhere; every token stays."""
    seen = []

    def keep(token):
        from anatomy.language.build import shift

        seen.append(token)
        return shift(token)

    parse(Source("a.anat", text), keep)
    out = ""
    for number, token in enumerate(seen):
        gap = rng.choice([" ", " ", " ", "  ", "\n", "\n\n\n", "\t", " # one%d\n", "\n# own%d\n", "\n\n   # two%d\n# three\n"])
        out += (gap % number if "%" in gap else gap) + token.text
    return out + rng.choice(["", "\n", "# end", "\n\n# end\n"])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_files_of_the_project_are_formatted_faithfully(path):
    keeps(path.read_text("utf-8"))


def test_sample_loses_nothing():
    once = keeps(SAMPLE)
    assert max(len(line.partition("  #")[0]) for line in once.splitlines() if line[:1] != "#") <= WIDTH


@pytest.mark.parametrize("seed", range(25))
def test_mutations(seed):
    rng = random.Random(seed)
    keeps(mutated(rng, SAMPLE))
    for _ in range(3):
        text = program(rng)
        assert keeps(text) == keeps(keeps(text))
        keeps(mutated(rng, text))


def test_what_waits_for_later_is_left_alone():
    once = keeps(LATER)
    assert "noise e: [d] ~ normal(1)" in once


def test_a_derivation_has_a_line_for_each_step():
    assert keeps(DERIVE) == "derive f: d >= e {\n  d  # first\n  >= ? by fill score := a.b\n  == ... by r, s\n  ~= d by t\n}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ""),
        ("   \n\n ", ""),
        ("# only", "# only\n"),
        ("axis  n,m=n , d=2*( a+-1 )", "axis n, m = n, d = 2 * (a + -1)\n"),
        ("lang 1\n\n\n\naxis n", "lang 1\n\naxis n\n"),
        ('use "m.anat"as m use std.attn(sdpa,rope)', 'use "m.anat" as m\nuse std.attn (sdpa, rope)\n'),
        ("rule r(x:[n],y:mask[n]):-x==  x[n->m,m->n]", "rule r(x: [n], y: mask[n]): -x == x[n -> m, m -> n]\n"),
        (
            "rule r(x:[n],y:[n]):(exp(x)+exp(y))*(exp(x)+exp(y)) == (square(exp(x))+square(exp(y))+2*exp(x)*exp(y))",
            "rule r(x: [n], y: [n]):\n  (exp(x) + exp(y)) * (exp(x) + exp(y)) == (square(exp(x)) + square(exp(y)) + 2 * exp(x) * exp(y))\n",
        ),
        (
            "rule r(x:[n],y:[n]):exp(x)*exp(y)+exp(x)*exp(y)+exp(x)*exp(y)==((x)+y)+y*exp(x)*exp(y)+exp(x)*exp(y)",
            "rule r(x: [n], y: [n]):\n  exp(x) * exp(y) + exp(x) * exp(y) + exp(x) * exp(y) ==\n"
            "    ((x) + y) + y * exp(x) * exp(y) + exp(x) * exp(y)\n",
        ),
        ("family f={a,b . c}", "family f = { a, b.c }\n"),
        ("family f of d{choose h in{a,b}}", "family f of d { choose h in { a, b } }\n"),
        ("diagram d()->[]{}", "diagram d() -> [] { }\n"),
        ("diagram d()->[]{# why\n}", "diagram d() -> [] {  # why\n}\n"),
        ("diagram d()->[]{out -2^-x-  -1}", "diagram d() -> [] { out -2 ^ -x - -1 }\n"),
        ("diagram d()->[]{out not(a)and(b or where(c,d,e))}", "diagram d() -> [] { out not (a) and (b or where(c, d, e)) }\n"),
        ("diagram d()->[]{out f@g[a=b,c=d](x)[n->m]}", "diagram d() -> [] { out f@g[a=b, c=d](x)[n -> m] }\n"),
        ("diagram d()->[]{out lin W[h;d->e,bias=false]~normal(-0.02)(x)}", "diagram d() -> [] { out lin W[h; d -> e, bias=false] ~ normal(-0.02) (x) }\n"),
        ("diagram d()->[]{out lin W[d->e]~xavier(x)}", "diagram d() -> [] { out lin W[d -> e] ~ xavier (x) }\n"),
        ("diagram d()->[]{frozen weight u:[a]~uniform(-1,1)out u}", "diagram d() -> [] {\n  frozen weight u: [a] ~ uniform(-1, 1)\n  out u\n}\n"),
        ("diagram d()->[]{simd n{simd m{out x}}}", "diagram d() -> [] { simd n { simd m { out x } } }\n"),
        ("diagram d()->[]{simd n{\nsimd m{out x}}}", "diagram d() -> [] {\n  simd n {\n    simd m { out x }\n  }\n}\n"),
        ("diagram d()->[]{y=x #a\n#b\n\n\nout y#c\n}#d", "diagram d() -> [] {\n  y = x  #a\n  #b\n\n  out y  #c\n}  #d\n"),
    ],
)  # fmt: skip
def test_style(text, wanted):
    assert keeps(text) == wanted


def test_long_lines_go_on_below():
    terms = " + ".join(f"term{k}" for k in range(40))
    once = keeps(f"diagram d() -> [] {{ out {terms} }}")
    assert all(len(line) <= WIDTH for line in once.splitlines())
    assert re.sub(r"\s+", " ", once).strip() == f"diagram d() -> [] {{ out {terms} }}"


def test_every_mark_of_the_grammar_is_laid_out_somewhere():
    """A new sign in the grammar must appear in a case above."""
    seen = SAMPLE + "".join(text for text, _ in test_style.pytestmark[0].args[1]) + "~= != >= < > ; @"
    assert all(mark in seen for mark in tables().words if not mark.isidentifier())
