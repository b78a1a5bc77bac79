"""Masked scores are no finite reals: where they may stand, and the rules that must not touch them."""

import pytest

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.rewrites.finite import blocking, lows
from anatomy.rewrites.library import law
from anatomy.rewrites.match import matches

TEXT = """axis n, m, c, f
diagram made(p: mask[n, m], s: [n, m], v: [m, f], b: [f]) -> [n, f] {{ out {body} + b }}
"""


def made(body: str) -> Diagram:
    program = Program.of(Source("made.anat", TEXT.format(body=body)))
    assert not [d.message for d in program.check() if d.severity == "error"]
    return program.get("made")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("dot[m](softmax[m](mask(p, s)), v)", ["mask"]),
        ("dot[m](softmax[m](2 * mask(p, s)), v)", ["*", "mask"]),
        ("dot[m](softmax[m](s), where(p, v, b))", []),
        ("dot[m](s, v) + max[m](mask(p, s))", ["+", "+", "mask", "max"]),
        ("dot[m](log(softmax[m](mask(p, s))), v)", ["+", "dot", "log", "mask"]),
        ("dot[m](log(exp(s)), v)", []),
        ("dot[m](log(exp(mask(p, s))), v)", ["+", "dot", "log", "mask"]),
        ("dot[m](where(mask(p, s) > 0, 1, 0), v)", ["mask"]),
    ],
)
def test_minus_infinity_spreads_to_the_next_normaliser(body: str, words: list[str]) -> None:
    diagram = made(body)
    assert sorted(diagram.nodes[diagram.producer[w][0]].op.word for w in lows(diagram)) == words


@pytest.mark.parametrize(
    ("body", "rule", "blocked"),
    [
        ("dot[m](softmax[m](s), v + b)", "value_bias", None),
        ("dot[m](softmax[m](mask(p, s)), v + b)", "value_bias", "s"),
        ("dot[m](softmax[m](mask(p, s) + 1), v)", "softmax_add", None),
        ("dot[m](softmax[m](mask(p, 2 * s) / 2), v)", "softmax_exp_minus", "s"),
    ],
)
def test_a_mask_blocks_the_rules_that_need_finite_reals(
    body: str, rule: str, blocked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagram, backwards = made(body), rule == "softmax_exp_minus"
    assert bool(list(matches(diagram, law(rule), backwards))) == (blocked is None)
    monkeypatch.setattr("anatomy.rewrites.match.blocking", lambda diagram, match: None)
    some = list(matches(diagram, law(rule), backwards))
    assert some
    assert {blocking(diagram, m) for m in some} == {blocked}
