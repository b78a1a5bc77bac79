"""Rules found in diagrams and applied: both directions, lifts, sharing, and what the lift condition refuses."""

from __future__ import annotations

import pytest

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language.program import Program, Rule
from anatomy.rewrites.apply import apply
from anatomy.rewrites.equality import equal
from anatomy.rewrites.match import Match, matches

RULES = """axis n, m = n, p = n, d, e, f, h, c, g = d, j = e
rule scale_slides(q: [e], k: [e], t: []): dot[e](q, k) * t == dot[e](q * t, k)
rule key_bias_drops(s: [m], t: []): softmax[m](s + t) == softmax[m](s)
rule assoc(q: [n, e], k: [m, e], v: [m, f]): dot[m](dot[e](q, k), v) == dot[e](q, dot[m](k, v))
rule squares(x: []): x * x == x ^ 2
rule outer(x: [e], y: []): dot[e](x, x * y) == dot[e](x, x) * y
rule doubled(x: [], a: [], b: []): x * a + x * b == x * (a + b)
rule commute(x: [e], y: [e]): dot[e](tanh(x), tanh(y)) == dot[e](tanh(x) * tanh(y), 1 + 0 * tanh(x))
"""


def load(text: str) -> tuple[Program, Diagram]:
    program = Program.of(Source("rules.anat", RULES + text))
    errors = [d for d in program.check() if d.severity == "error"]
    assert not errors, errors
    return program, program.get("here")


def rule_of(program: Program, name: str) -> Rule:
    rule = program.rule(name)
    assert rule is not None
    return rule


def found(text: str, name: str, reverse: bool = False) -> tuple[Diagram, list[Match]]:
    program, diagram = load(text)
    return diagram, list(matches(diagram, rule_of(program, name), reverse))


def step(text: str, name: str, to: str, reverse: bool = False) -> None:
    """Applying the only match gives, up to isomorphism, the diagram `to`; the values stay."""
    program, diagram = load(text)
    results = [apply(diagram, m) for m in matches(diagram, rule_of(program, name), reverse)]
    assert len({digest(r) for r in results}) == 1, [digest(r) for r in results]
    for result in results:
        assert digest(result) == digest(load(to)[1])
        assert equal(diagram, result).evaluation is True
        assert result.header == diagram.header
        assert result.inputs[0].layout == diagram.inputs[0].layout


BOTH = {
    "plain": (
        "scale_slides",
        "diagram here(a: [e], b: [e], t: []) -> [] { out dot[e](a, b) * t }",
        "diagram here(a: [e], b: [e], t: []) -> [] { out dot[e](a * t, b) }",
    ),
    "other axis names": (
        "scale_slides",
        "diagram here(a: [d], b: [d], t: []) -> [] { out dot[d](a, b) * t }",
        "diagram here(a: [d], b: [d], t: []) -> [] { out dot[d](a * t, b) }",
    ),
    "different lifts": (
        "scale_slides",
        "diagram here(q: [n, h, e], k: [m, h, e], t: [h]) -> [n, m, h] { out t * dot[e](k, q) }",
        "diagram here(q: [n, h, e], k: [m, h, e], t: [h]) -> [n, m, h] { out dot[e](q, t * k) }",
    ),
    "one input under two names": (
        "assoc",
        "diagram here(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](dot[d](x, z), z) }",
        "diagram here(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[g](x[d -> g], dot[m](z[d -> g], z)) }",
    ),
    "weights and heads": (
        "assoc",
        "diagram here(x: [n, d]) -> [n, f] { weight k: [h, m, d] ~ normal(1) weight v: [h, m, f] ~ normal(1) out sum[h](dot[m](dot[d](x, k), v)) }",
        "diagram here(x: [n, d]) -> [n, f] { weight k: [h, m, d] ~ normal(1) weight v: [h, m, f] ~ normal(1) out sum[h](dot[d](x, dot[m](k, v))) }",
    ),
    "renamed between two boxes": (
        "scale_slides",
        "diagram here(q: [n, e], k: [e], t: [m]) -> [m] { s = dot[e](q, k)[n -> m] out s * t }",
        "diagram here(q: [n, e], k: [e], t: [m]) -> [m] { out dot[e](q[n -> m] * t, k) }",
    ),
}


@pytest.mark.parametrize("case", BOTH)
def test_both_directions(case: str) -> None:
    name, left, right = BOTH[case]
    program, diagram = load(left)
    results = [apply(diagram, m) for m in matches(diagram, rule_of(program, name))]
    assert digest(load(right)[1]) in map(digest, results)
    assert all(equal(diagram, r).evaluation is True for r in results)
    step(right, name, left, reverse=True)


def test_a_dropped_parameter() -> None:
    step(
        "diagram here(s: [n, m], t: [n]) -> [n, m] { out softmax[m](t + s) }",
        "key_bias_drops",
        "diagram here(s: [n, m], _t: [n]) -> [n, m] { out softmax[m](s) }",
    )
    _, none = found("diagram here(s: [n, m]) -> [n, m] { out softmax[m](s) }", "key_bias_drops", reverse=True)
    assert not none, "nothing says what the bias would be"


REFUSED = {
    "scale_slides reverse": ["diagram here(q: [n, e], k: [m, e], t: [e]) -> [n, m] { out dot[e](q * t, k) }"],
    "key_bias_drops": [
        "diagram here(s: [n, m], t: [m]) -> [n, m] { out softmax[m](s + t) }",
        "diagram here(s: [m], t: [n]) -> [n, m] { out softmax[m](s + t) }",
        "diagram here(s: [n, m]) -> [n, m] { out softmax[m](s + s) }",
    ],
    "assoc": [
        "diagram here(q: [n, m, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k), v) }",
        "diagram here(q: [n, e], k: [m, e], v: [m, e]) -> [n, e] { out dot[m](softmax[m](dot[e](q, k)), v) }",
    ],
    "squares": ["diagram here(x: [n, n2]) -> [n, n2] where n2 = n { out x * x[n -> n2, n2 -> n] }", "diagram here(x: [n], y: [n]) -> [n] { out x * y }"],
    "outer": ["diagram here(x: [e], y: [e]) -> [] { out dot[e](x, y * y) }"],
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_lift_condition(case: str) -> None:
    name, _, reverse = case.partition(" ")
    for text in REFUSED[case]:
        _, none = found(text.replace("n2", "p"), name, bool(reverse))
        assert not none, text


def test_no_name_is_captured() -> None:
    """The `e` of `t` is not the one that is summed, so it gets out of the way."""
    text = "diagram here(q: [n, e], k: [e], t: [e]) -> [n, e] { s = dot[e](q, k) simd n, e { y = s * t } out y }"
    program, diagram = load(text)
    results = [apply(diagram, m) for m in matches(diagram, rule_of(program, "scale_slides"))]
    goal = "diagram here(q: [n, e], k: [e], t: [e]) -> [n, e] { out dot[j](q[e -> j] * t, k[e -> j]) }"
    assert digest(load(goal)[1]) in map(digest, results)
    assert all(equal(diagram, r).evaluation is True for r in results)


def test_shared_wires_stay() -> None:
    text = "diagram here(q: [n, e], k: [m, e], t: [n]) -> [n, m], [n, m] { s = dot[e](q, k) simd n, m { y = s * t } out y, tanh(s) }"
    program, diagram = load(text)
    (first, *_) = matches(diagram, rule_of(program, "scale_slides"))
    result = apply(diagram, first)
    assert sorted(n.op.word for n in result) == ["*", "dot", "dot", "tanh"]
    assert equal(diagram, result).evaluation is True


def test_nonlinear_parameters() -> None:
    step("diagram here(x: [n, m]) -> [n, m] { out x * x }", "squares", "diagram here(x: [n, m]) -> [n, m] { out x ^ 2 }")
    _, (match, *_) = found("diagram here(x: [h, e], y: [h]) -> [h] { out dot[e](x, y * x) }", "outer")
    assert match.lifts == ("h",)


BRACKETS = {
    "a part of a longer sum": (
        "doubled", "diagram here(a: [n], b: [n], t: [n]) -> [n] { out a * 3 + b + a * 4 }", "diagram here(a: [n], b: [n], t: [n]) -> [n] { out a * (3 + 4) + b }", 1,
    ),
    "a parameter that is several operands": (
        "key_bias_drops", "diagram here(a: [n, m], b: [m], t: [n]) -> [n, m] { simd n, m { s = (a + t) + b } out softmax[m](s) }",
        "diagram here(a: [n, m], b: [m], t: [n]) -> [n, m] { simd n, m { s = a + b } out softmax[m](s) }", 1,
    ),
    "a product in a contraction": (
        "scale_slides", "diagram here(a: [n, e], b: [n, e], t: [n]) -> [n] { out dot[e](a, b) * 3 * t }",
        "diagram here(a: [n, e], b: [n, e], t: [n]) -> [n] { out dot[e](a * 3, b) * t }", None,
    ),
    "a factor of a contraction": (
        "commute", "diagram here(a: [n, e], b: [n, e], t: [n]) -> [n] { out dot[e](tanh(a), t, tanh(b)) }",
        "diagram here(a: [n, e], b: [n, e], t: [n]) -> [n] { out dot[e](tanh(a) * tanh(b), 1 + 0 * tanh(a)) * t }", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BRACKETS)
def test_brackets(case: str) -> None:
    name, left, right, count = BRACKETS[case]
    program, diagram = load(left)
    rule = rule_of(program, name)
    results = [apply(diagram, m) for m in matches(diagram, rule)]
    assert term(load(right)[1]) in map(term, results)
    assert all(equal(diagram, r).evaluation is True for r in results)
    assert count is None or len({term(r).digest for r in results}) == count
    assert len(results) > len(list(matches(diagram, rule, grouped=False)))


def test_literals_and_sizes() -> None:
    text = "rule half(x: [m]): sum[m](x) / size[m] * 2 == mean[m](x) * 2 diagram here(x: [n, d]) -> [d] { out sum[n](x) / size[n] * 2 }"
    rule_text = "rule half(x: [m]): sum[m](x) / size[m] * 2 == mean[m](x) * 2 "
    program, diagram = load(text)
    (match,) = matches(diagram, rule_of(program, "half"))
    assert match.lifts == ("d",)
    assert [n.op.word for n in apply(diagram, match)] == ["mean", "2", "*"]
    for other in ("sum[n](x) / size[n] * 3", "sum[n](x) / size[d] * 2", "sum[n](x) / 7 * 2", "max[n](x) / size[n] * 2"):
        program, diagram = load(rule_text + f"diagram here(x: [n, d]) -> [d] {{ out {other} }}")
        assert not list(matches(diagram, rule_of(program, "half"))), other
    same = rule_text + "diagram here(x: [n, d], y: [m]) -> [d] where m = n { out sum[n](x) / size[m] * 2 + 0 * sum[m](y) }"
    program, diagram = load(same)
    assert len(list(matches(diagram, rule_of(program, "half")))) == 1, "an axis of that size, whatever its name"


def test_a_dropped_weight_is_kept() -> None:
    program, diagram = load("diagram here(s: [n, m]) -> [n, m] { weight b: [n] ~ normal(1) out softmax[m](s + b) }")
    (match,) = matches(diagram, rule_of(program, "key_bias_drops"))
    result = apply(diagram, match)
    assert [n.op.word for n in result] == ["softmax"]
    assert [w.key for w in result.weights] == ["b"]


def test_what_is_no_function_is_no_pattern() -> None:
    """A rule that draws a weight or noise has no one value to match."""
    text = """diagram learned(x: [d]) -> [d] { weight w: [d] ~ normal(1) out x * w }
    rule bad(x: [d]): learned(x) == x * 2
    diagram here(x: [n, d]) -> [n, d] { weight w: [d] ~ normal(1) out x * w + x * 2 }"""
    program, diagram = load(text)
    rule = rule_of(program, "bad")
    assert not list(matches(diagram, rule))
    assert not list(matches(diagram, rule, True))


def test_two_uses_of_one_parameter_see_one_lift() -> None:
    """`x` under two names of a lift is two wires to a rule that wants one."""
    text = "diagram here(x: [n, e]) -> [n, m] where m = n { simd n, m { y = x[n -> m] * x } out sum[e](y) }"
    program, diagram = load(text.replace("simd n, m { y = x[n -> m] * x }", "z = x[n -> m] y = z * x"))
    assert not list(matches(diagram, rule_of(program, "squares")))


def test_every_step_types() -> None:
    """The new wire has the axes and the kind of the old one, and its name."""
    program, diagram = load("diagram here(q: [h, n, e], k: [h, m, e], t: [h]) -> [h, n, m] { s = dot[e](q, k) simd h { w = s * t } out w }")
    for match in matches(diagram, rule_of(program, "scale_slides")):
        result = apply(diagram, match)
        old, new = diagram.wires[match.root], result.wires[result.outputs[0].port.wire]
        assert (set(new.axes), new.kind, new.name) == (set(old.axes), old.kind, "w")
