"""Loops: what is typed, what is refused and where, and that one mechanism has one graph however it is written."""

from __future__ import annotations

import pytest

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language.format import format_text
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from tests.language.trees import AXES, check

HEAD = "diagram t(x: [n, d]) -> [n, d] {\n"


def diagram(text: str) -> Diagram:
    found = Program.of(Source("test.anat", AXES + text))
    assert found.check() == ()
    return found.get(found.names()[-1])


def loops(d: Diagram) -> list[list[str]]:
    """The words of the boxes inside each loop."""
    return [[inner.op.word for inner in n.op.body.nodes] for n in d.nodes if n.op.body is not None]


# one mechanism, one graph -------------------------------------------------------------------------

SUMS = "diagram t(q: [n, e], k: [n, e], v: [n, f]) -> [n, f] {\n"
SAME = {
    "all inside": "scan n (s: [e, f] = 0) { s2 = s + k * v next s = s2 y = dot[e](q, s2) } out y }",
    "as little as can be": "simd n { u = k * v } scan n (s: [e, f] = 0) { s2 = s + u next s = s2 } simd n { out dot[e](q, s2) } }",
    "said twice": "scan n (s: [e, f] = 0) { s2 = s + v * k next s = s2 out dot[e](s2, q) } }",
    "with other names": "scan n (z: [f, e] = 0.0) { w = k * v + z next z = w } simd n { out dot[e](q, w) } }",
    "repeated by hand": "scan n (s: [e, f] = expand[e, f](0)) { s2 = s + k * v next s = s2 y = dot[e](q, s2) } out y }",
}


@pytest.mark.parametrize("way", SAME)
def test_what_does_not_depend_on_the_state_is_outside(way: str):
    d = diagram(SUMS + SAME[way])
    assert loops(d) == [["+"]]
    assert digest(d) == digest(diagram(SUMS + SAME["all inside"]))


def test_states_that_do_not_need_one_another_are_loops_of_their_own():
    head = "diagram t(k: [n, e], v: [n, f]) -> [n, e, f], [n, e] {\n"
    together = diagram(head + "scan n (s: [e, f] = 0, z: [e] = 1) { next s = s + k * v next z = z * k } out s, z }")
    apart = diagram(head + "scan n (s: [e, f] = 0) { next s = s + k * v } scan n (z: [e] = 1) { next z = z * k } out s, z }")
    assert loops(together) == [["+"], ["*"]]
    assert digest(together) == digest(apart)


def test_states_that_need_one_another_are_one_loop():
    d = diagram("diagram t(x: [n]) -> [n] { scan n (s: [] = 0, z: [] = 1) { next s = z + x next z = s * x } out s }")
    assert loops(d) == [["+", "*"]]
    other = diagram("diagram t(x: [n]) -> [n] { scan n (z: [] = 1, s: [] = 0) { next z = x * s next s = x + z } out s }")
    crossed = diagram("diagram t(x: [n]) -> [n] { scan n (s: [] = 1, z: [] = 0) { next s = z + x next z = s * x } out s }")
    assert digest(d) == digest(other) != digest(crossed)


def test_a_state_that_is_only_delayed():
    d = diagram(HEAD + "scan n (s: [d] = 0) { next s = x } out s }")
    assert loops(d) == [[]]


def test_before_after_and_last_differ():
    texts = [f"scan n (s: [d] = 0) {{ y = s + x next s = y }} out {out} }}" for out in ("s", "y")]
    before, after = (digest(diagram(HEAD + t)) for t in texts)
    assert before != after
    last = "diagram t(x: [n, d]) -> [d] { scan n (s: [d] = 0) { next s = s + x } out s.last }"
    assert loops(diagram(last)) == [["+"]]


def test_heads_around_a_loop_and_heads_in_its_state_are_one():
    head = "diagram t(k: [n, h, e], g0: [h]) -> [n, h, e] {\n"
    around = diagram(head + "simd h { scan n (s: [e] = 0) { next s = g0 * s + k } out s } }")
    within = diagram(head + "scan n (s: [h, e] = 0) { next s = g0 * s + k } out s }")
    core = "diagram core(k: [n, e], g0: []) -> [n, e] { scan n (s: [e] = 0) { next s = g0 * s + k } out s }\n"
    called = diagram(core + head + "simd h { out core(k, g0) } }")
    assert digest(around) == digest(within) == digest(called)


def test_axes_of_a_called_loop_are_bound():
    core = "diagram core(k: [n, e], w: [e, f]) -> [n, e] where f = e { scan n (s: [e] = 0) { next s = tanh(dot[e](s, w)[f -> e] + k) } out s }\n"
    renamed = "diagram t(k: [m, d], w: [d, f]) -> [m, d] where f = d { scan m (s: [d] = 0) { next s = tanh(dot[d](s, w)[f -> d] + k) } out s }"
    called = "diagram t(k: [m, d], w: [d, f]) -> [m, d] where f = d { out core[n=m, e=d](k, w) }"
    assert digest(diagram(core + called)) == digest(diagram(renamed))


def test_weights_and_initial_values_count():
    text = "diagram t(x: [n, d]) -> [n, d] {{ scan n (s: [d] = {}) {{ next s = {} }} out s }}"
    one = diagram(text.format(0, "s + x"))
    assert len({digest(one), digest(diagram(text.format(1, "s + x"))), digest(diagram(text.format(0, "s - x")))}) == 3


def test_loops_in_loops():
    d = diagram(
        "diagram t(x: [n, c, d]) -> [n, d] {\n"
        "  scan n (s: [d] = 0) {\n    scan c (z: [d] = s) { next z = tanh(z + x) }\n    next s = z.last\n  }\n  out s\n}"
    )
    assert loops(d) == [["scan"]]
    assert digest(diagram(unparse(d).replace("axis n, d, c", "").partition("\n")[2])) == digest(d)


# printing back ------------------------------------------------------------------------------------

PRINTED = {
    "rnn": "diagram t(x: [n, d]) -> [n, e], [e] where f = e { weight h0: [e] ~ zeros scan n (s: [e] = h0) { s2 = tanh(lin U[d -> e](x) + lin W[e -> f](s)[f -> e]) next s = s2 } out s2, s.last }",
    "two": "diagram t(x: [n]) -> [n] { scan n (s: [] = 0, z: [] = 1) { next s = z + x next z = s * x * 0.5 } out s }",
    "delay": HEAD + "scan n (s: [d] = 0) { next s = x } out s }",
    "heads": "diagram t(k: [n, h, e], g0: [h]) -> [n, h, e] { simd h { scan n (s: [e] = 0) { next s = g0 * s + k } out s } }",
    "repeated": "diagram t(g0: [n]) -> [n, d] { scan n (s: [d] = -1) { next s = g0 * s } out s }",
    "mask": "diagram t(x: [n, d]) -> [n, d] { p0 = iota[d] < 1 scan n (w: mask[d] = p0) { next w = w or x < 1 } out where(w, x, 0) }",
    "renamed": "diagram t(x: [m, d]) -> [n, d] { y = x[m -> n] scan n (s: [d] = 0) { next s = s * y } out s }",
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_loop_prints_as_a_text_that_reads_back(name: str):
    d = diagram(PRINTED[name])
    text = unparse(d)
    program = Program.of(Source("printed.anat", text))
    assert not [e for e in program.check() if e.severity == "error"], text
    again = program.get(program.names()[-1])
    assert digest(again) == digest(d), text
    assert unparse(again) == text


def test_the_layout_of_a_text():
    text = "axis n,d diagram t(x:[n,d])->[n,d]{scan n(s:[d]=0,z:[]=-1){next s=s+x next z=-z} out s*z}"
    laid = format_text(Source("a.anat", text))
    assert laid.splitlines()[2:5] == ["  scan n (s: [d] = 0, z: [] = -1) {", "    next s = s + x", "    next z = -z"]
    assert format_text(Source("a.anat", laid)) == laid


# refusals -----------------------------------------------------------------------------------------

REFUSED = {
    "no next": ("scan n (s: [d] = 0) { y = s } out y }", "E506", "s"),
    "next twice": ("scan n (s: [d] = 0) { next s = s next s = x } out x }", "E506", "s"),
    "next of what is no state": ("scan n (s: [d] = 0) { next s = s next z = s } out x }", "E506", "z"),
    "next of a wire": ("scan n (s: [d] = 0) { y = s next y = s next s = y } out x }", "E506", "y"),
    "next outside": ("next x = x out x }", "E506", "next x = x"),
    "next of a loop around": ("scan n (s: [d] = 0) { scan m (z: [d] = 0) { next z = s next s = z } next s = s } out x }", "E506", "s"),
    "the next value is smaller": ("scan n (s: [d] = 0) { next s = sum[d](s) } out x }", "E315", "sum[d](s)"),
    "the next value is larger": ("scan n (s: [] = 0) { next s = s + x } out x }", "E315", "s + x"),
    "the next value is a mask": ("scan n (s: [d] = 0) { next s = s < x } out x }", "E307", "s < x"),
    "the first value has the axis of the loop": ("scan n (s: [d] = x) { next s = s } out x }", "E315", "x"),
    "the first value has another axis": ("weight w: [e] scan n (s: [d] = w) { next s = s } out x }", "E315", "w"),
    "the state has the axis of the loop": ("scan n (s: [n] = 0) { next s = s } out x }", "E303", "n"),
    "a box over the steps": ("scan n (s: [d] = 0) { next s = s + cumsum[n](x) } out x }", "E303", "n"),
    "a renaming of the steps": ("scan n (s: [d] = 0) { next s = s + sum[m](x[n -> m]) } out x }", "E303", "n"),
    "a loop in a loop over one axis": ("scan n (s: [d] = 0) { scan n (z: [d] = 0) { next z = z } next s = s } out x }", "E303", "n"),
    "a loop over a lane": ("simd n { scan n (s: [d] = 0) { next s = s } } out x }", "E303", "n"),
    "the last state inside": ("scan n (s: [d] = 0) { next s = s.last } out x }", "E202", "s.last"),
    "the last state of no loop": ("out x.last }", "E202", "x.last"),
    "a state of indices": ("scan n (s: index(m)[d] = 0) { next s = s } out x }", "E307", "index(m)[d]"),
    "a state twice": ("scan n (s: [d] = 0, s: [d] = 0) { next s = s } out x }", "E204", "s"),
    "an unknown axis": ("scan nn (s: [d] = 0) { next s = s } out x }", "E201", "nn"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_where_it_is_wrong(name: str):
    body, code, place = REFUSED[name]
    errors = [d for d in check(AXES + HEAD + body) if d.severity == "error"]
    assert [d.code for d in errors] == [code]
    assert errors[0].span is not None
    assert errors[0].span.text == place


def test_errors_inside_and_after_a_loop_are_all_told():
    found = check(AXES + HEAD + "scan n (s: [d] = 0) { y = s + nope next s = y } z = alsonope out z }")
    assert [d.code for d in found if d.severity == "error"] == ["E202", "E202"]


def test_a_state_that_nobody_reads_is_a_warning():
    found = check(AXES + HEAD + "scan n (s: [d] = 0) { next s = x } out x }")
    assert [d.code for d in found] == ["W201"]


def test_holes_in_a_loop_are_filled_and_leave_it_where_they_can():
    text = (
        HEAD + "hole write(s: [d], x: [d]) -> [d]\nscan n (s: [d] = 0) { s2 = write(s, x) next s = s2 } out s2 }\n"
        "diagram plus(s: [d], x: [d]) -> [d] { out s + x }\n"
        "diagram learned(s: [d], x: [d]) -> [d] { weight w: [d] out s * w + gelu(x) }\n"
        "diagram forget(_s: [d], x: [d]) -> [d] { out x * 2 }\n"
        "family fills of t { choose write in { plus, learned, forget } }"
    )
    program = Program.of(Source("test.anat", AXES + text))
    assert program.check() == ()
    host = program.get("t")
    assert host.holes == ("write",)
    printed = Program.of(Source("printed.anat", unparse(host)))
    assert digest(printed.get("t")) == digest(host)
    from anatomy.language.filling import fill

    made = {name: fill(host, {"write": program.get(name)}, name) for name in ("plus", "learned", "forget")}
    assert loops(made["plus"]) == [["+"]]
    assert loops(made["learned"]) == [["*", "+"]]
    assert loops(made["forget"]) == [[]]
    direct = diagram(HEAD + "scan n (s: [d] = 0) { s2 = s + x next s = s2 } out s2 }")
    assert digest(made["plus"]) == digest(direct)
    assert [w.key for w in made["learned"].weights] == ["write.w"]
