"""Printing back: the text of a diagram is a diagram isomorphic to it, and reads as one would write it."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.language.naming import Names, decimal, signed, size
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from tests.ir.samples import copy, random_diagram, read, samples

SAMPLES = samples()


def back(diagram: Diagram) -> Diagram:
    text = unparse(diagram)
    program = Program.of(Source("printed.anat", text))
    errors = [d for d in program.check() if d.severity == "error"]
    assert not errors, (text, errors)
    return program.get(program.names()[-1])


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    again = back(SAMPLES[name])
    assert digest(again) == digest(SAMPLES[name])
    assert unparse(back(again)) == unparse(again)


@pytest.mark.parametrize("name", SAMPLES)
def test_copies_with_arbitrary_boxes(name: str) -> None:
    for seed in range(3):
        diagram = copy(SAMPLES[name], random.Random(seed))
        assert digest(back(diagram)) == digest(diagram)


def check_random(seeds: range) -> None:
    for seed in seeds:
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(2, 30))
        assert digest(back(diagram)) == digest(diagram), seed
        assert digest(back(copy(diagram, rng))) == digest(diagram), seed


def test_random_diagrams() -> None:
    check_random(range(60))


@pytest.mark.slow
def test_many_random_diagrams() -> None:
    check_random(range(60, 2000))


AXES = "axis n, m = n, d, h, e, c, f, g "
AS_WRITTEN = {
    "lin": "diagram f1(x: [n, d]) -> [n, e] {\n  out lin W[d -> e](x)\n}\n",
    "lin with options": (
        "diagram f1(x: [n, h, d]) -> [n, h, e] {\n  out lin W[h; d -> e, bias=false] ~ normal(0.02) (x)\n}\n"
    ),
    "lin again": "diagram f1(x: [n, d]) -> [n, e] {\n  out lin W[d -> e](x) * lin W(exp(x))\n}\n",
    "weights": (
        "diagram f1(x: [n, d]) -> [n, d] {\n  weight u: [d] ~ normal(0.5)\n"
        "  frozen weight v: [-> d] ~ uniform(-1, 1e-12)\n  out x * u - v\n}\n"
    ),
    "boxes": (
        "diagram f1(q: [n, d], k: [m, d]) -> [n, m] {\n  simd n {\n    simd m { s = dot[d](q, k) / sqrt(size[d]) }\n"
        "    out softmax[m](s)\n  }\n}\n"
    ),
    "causal": "diagram f1(s: [n, m]) -> [n, m] {\n  out softmax[m](causal[m <= n](s))\n}\n",
    "masks": "diagram f1(s: [n, m], p: mask[n, m]) -> [n, m] {\n  out mask(p and not (m == n or n + 2 < m), s)\n}\n",
    "signs": "diagram f1(x: [n], y: [n]) -> [n] {\n  out -x ^ 2 - (x - y) / (x / y) + (-x) ^ y ^ 0.5\n}\n",
    "options": "diagram f1(x: [n, d]) -> [n, d] {\n  out rmsnorm[d, eps=0.5](layernorm[d](shift[n](x, -3)))\n}\n",
    "results": (
        "diagram f1(x: [n, d]) -> [f, n], [n] where d = 2 * f {\n  lo, hi = halves[d -> f](x)\n  out lo * hi, sum[f](lo)\n}\n"
    ),
    "repeats": "diagram f1(x: [n]) -> [n, d] {\n  out cumsum[d](expand[d](x)) * iota[d]\n}\n",
    "a hole": (
        "diagram f1(x: [n, d]) -> [n, d] {\n  hole act(x1: [d]) -> [d]\n  simd n { out act(act(x)) }\n}\n"
    ),
    "an axis of its own name": "diagram f1(x: [n, d], i: index(d)[n]) -> [n, d] {\n  out index[c](x * i) * size[n, d]\n}\n",
}


@pytest.mark.parametrize("what", AS_WRITTEN)
def test_as_written(what: str) -> None:
    text = AS_WRITTEN[what]
    printed = unparse(read(AXES + text, "f1"))
    assert printed[printed.index("diagram") :] == text


def test_mha_reads_well() -> None:
    text = unparse(read(AXES + MHA, "mha"))
    assert text == PRINTED


MHA = """
diagram sdpa(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  simd n {
    simd m { s = dot[e](q, k) / sqrt(size[e]) }
    w = softmax[m](s)
    out sum[m](w * v)
  }
}
diagram mha(x: [n, d]) -> [n, d] where d = h * e {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> h, e](z)
  v = lin Wv[d -> h, e](z)
  simd h { y = sdpa[f=e](q, k, v) }
  out lin Wo[h, e -> d](y)
}
"""
PRINTED = """axis n, d, h, e, m = n, f = e

diagram mha(x: [n, d]) -> [n, d] where d = e * h {
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> h, e](x[n -> m])
  v = lin Wv[d -> h, e](x[n -> m])
  simd h {
    simd n {
      simd m { s = dot[e](q, k) / sqrt(size[e]) }
      w = softmax[m](s)
      y = sum[m](w * v[e -> f])
    }
  }
  out lin Wo[h, e -> d](y[f -> e])
}
"""


def test_a_renamed_lane_is_bound_outside() -> None:
    """`k` and `v` are renamed to `m` inside `simd n`, where the text may not say so (ruling 5)."""
    text = unparse(SAMPLES["gqa"])
    assert "[n -> m]\n" in text
    inside = text[text.index("simd g, j, n") :]
    assert "->" not in inside[: inside.index("\n  }")]
    assert "causal[m <= n](s)" in inside


def test_inherited_equations_become_laws() -> None:
    """Two layers of heads leave `d = h * e` twice, which one `where` clause cannot say."""
    text = unparse(SAMPLES["two"])
    assert text.count("diagram law") == 2


def test_hostile_names() -> None:
    from dataclasses import replace

    diagram = read(AXES + "diagram f0(x: [n]) -> [n] { y = exp(x) z = tanh(y) + y out z }", "f0")
    names = ["simd", "out }", "", "x", "9a", "é", "n"]
    for name in names:
        wires = tuple(replace(w, name=name) for w in diagram.wires)
        hostile = replace(diagram, name=name or "g", wires=wires, inputs=(replace(diagram.inputs[0], name=name or "g"),))
        assert digest(back(hostile)) == digest(diagram)


@pytest.mark.parametrize("text", ["0", "1", "0.1", "12.5", "1e-5", "3e-40", "100000000000000000000", "0.12345678901234567891"])
def test_decimals_are_exact(text: str) -> None:
    assert Fraction(decimal(Fraction(text))) == Fraction(text)
    assert Fraction(signed(-Fraction(text))) == -Fraction(text)


def test_sizes() -> None:
    n, r = Poly.var("n"), Poly.var("r")
    assert size(2 * n * n * r - n + 3) == "2 * n * n * r + 3 - n"
    assert size(Poly()) == "0"
    assert size(-n) == "0 - n"


def test_names_are_free() -> None:
    names = Names(["x"])
    assert [names.new("x", "layer.x"), names.new("exp"), names.new("a-b"), names.new("x")] == ["layer_x", "exp_2", "a_b", "x_2"]
