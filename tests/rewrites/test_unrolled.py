"""Loops in reasoning: closed forms against loops written by hand, bodies up to laws, and laws used inside of them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import anatomy
from anatomy.compiler import build
from anatomy.ir.canonical import canonical
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Problem
from anatomy.ops import Cumsum, Map
from anatomy.rewrites.equality import equal
from anatomy.rewrites.everywhere import everywhere
from anatomy.rewrites.inside import taken_apart
from anatomy.rewrites.library import law, library
from anatomy.rewrites.normal import form, normal
from anatomy.rewrites.unrolled import unrolled
from tests.ir.samples import read as parsed

AXES = "axis n, m = n, l, d, e, f "
Tensor = torch.Tensor
Write = Callable[[Tensor, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def read(text: str) -> Diagram:
    return parsed(text, "z")


def loops(diagram: Diagram) -> int:
    return sum(n.op.body is not None for n in diagram.nodes)


def kept(diagram: Diagram) -> bool | None:
    """Whether the normal form has the same values."""
    return equal(diagram, normal(diagram).diagram, seconds=0).evaluation


# closed forms against loops by hand -----------------------------------------------------------

FIRST = torch.tensor([0.7, -1.3, 0.4, 2.0, -0.2], dtype=torch.float64)

STEPS: dict[str, tuple[str, Write, str]] = {
    "adds": ("s + x", lambda s, x, g: s + x, "scan_cumsum"),
    "adds what is there already": ("s + x - s * 2 + s", lambda s, x, g: x, "scan_forgets"),
    "adds to three of it": ("s - (x - s) * 2 - 2 * s + x", lambda s, x, g: s - x, "scan_cumsum"),
    "one number": ("0.8 * s + x", lambda s, x, g: 0.8 * s + x, "scan_decay"),
    "a negative number": ("x - s / 3", lambda s, x, g: x - s / 3, "scan_decay"),
    "one wire of any sign": ("(s + x) * c", lambda s, x, g: 0.5 * (s + x) * (-1.5), "scan_decay"),
    "one positive wire": ("exp(c) * s + x * g", lambda s, x, g: math.exp(-0.75) * s + x * g, "scan_decay"),
    "decays of lanes": ("(1 - 2 ^ (-1 - iota[e])) * s + x", lambda s, x, g: (1 - 0.5 ** torch.arange(1, 6)).double() * s + x, "?"),
    "gates": ("exp(g) * (s + x)", lambda s, x, g: g.exp() * (s + x), "scan_gated"),
    "gates between 0 and 1": ("sigmoid(g) * s + (1 - sigmoid(g)) * x", lambda s, x, g: torch.lerp(x, s, g.sigmoid()), "scan_gated"),
    "chosen": ("where(n < 2, s, s / 2) + x", lambda s, x, g: s, "?"),
    "forgets": ("x * g + 0 * s", lambda s, x, g: x * g, "scan_forgets"),
}


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("name", STEPS)
def test_states_before_after_and_last_are_those_of_a_loop_by_hand(name: str, length: int) -> None:
    body, write, named = STEPS[name]
    text = f"""{AXES} diagram z(x: [n, e], g: [n, e], c: [], first: [e]) -> [n, e], [n, e], [e] {{
      scan n (s: [e] = first) {{ now = {body} next s = now }}
      out s, now, s.last
    }}"""
    found = unrolled(read(text))
    assert loops(found.diagram) == 0
    assert named in ("?", found.laws[-1][1])
    assert all(law(rule) for _, rule in found.laws)
    gen = torch.Generator().manual_seed(length)
    x, g = (torch.randn(length, 5, dtype=torch.float64, generator=gen) for _ in range(2))
    c = torch.tensor(-0.75, dtype=torch.float64)
    s, before, after = FIRST, [], []
    for t in range(length):
        before.append(s)
        s = (s if t < 2 else s / 2) + x[t] if name == "chosen" else write(s, x[t], g[t])
        after.append(s)
    for diagram in (found.diagram, normal(read(text)).diagram):
        have = build(diagram, {"n": length, "e": 5}, dtype=torch.float64)(x, g, c, FIRST)
        for got, want in zip(have, (torch.stack(before), torch.stack(after), s), strict=True):
            assert torch.allclose(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("length", [1, 3, 6])
def test_a_loop_in_a_loop(length: int) -> None:
    text = f"""{AXES} diagram z(x: [n, m], g: [n]) -> [n, m] {{
      scan n (s: [m] = 1) {{
        scan m (u: [] = 0) {{ w = u / 2 + s next u = w }}
        next s = exp(g) * s + x
      }}
      out w
    }}"""
    found = unrolled(read(text))
    assert loops(found.diagram) == 0
    gen = torch.Generator().manual_seed(length)
    x, g = torch.randn(length, 4, dtype=torch.float64, generator=gen), torch.randn(length, dtype=torch.float64, generator=gen)
    s, rows = torch.ones(4, dtype=torch.float64), []
    for t in range(length):
        u, row = torch.zeros((), dtype=torch.float64), []
        for k in range(4):
            u = u / 2 + s[k]
            row.append(u)
        rows.append(torch.stack(row))
        s = g[t].exp() * s + x[t]
    have = build(found.diagram, {"n": length, "m": 4}, dtype=torch.float64)(x, g)
    assert torch.allclose(have, torch.stack(rows), rtol=1e-10, atol=1e-10)


STAYS = {
    "not affine": "scan n (s: [] = 0) { next s = tanh(s + x) } out s",
    "a square": "scan n (s: [] = 0) { next s = s * s + x } out s",
    "a gate of any sign": "scan n (s: [] = 0) { next s = x * s + x } out s",
    "a gate that may be 0": "scan n (s: [] = 0) { next s = relu(x) * s + x } out s",
    "-inf inside": "scan n (s: [] = 0) { next s = s + mask(iota[n] < 2, x) } out s",
    "two states of one another": "scan n (s: [] = 0, t: [] = 1) { next s = s + t next t = t - s + x } out s",
    "a greatest": "scan n (s: [] = 0) { next s = max(s, x) } out s",
}


@pytest.mark.parametrize("name", STAYS)
def test_other_loops_stay_and_keep_their_values(name: str) -> None:
    diagram = read(f"{AXES} diagram z(x: [n]) -> [n] {{ {STAYS[name]} }}")
    assert loops(unrolled(diagram).diagram) == loops(normal(diagram).diagram) == 1
    assert kept(diagram) is True
    assert form(normal(diagram).diagram) == form(diagram)


# equal and not --------------------------------------------------------------------------------

QKV = "q: [n, e], k: [n, e], v: [n, f], g: [n]"
QUADRATIC = "dot[m](where(m <= n, dot[e](q, k[n -> m]), 0), v[n -> m])"
PROVED: dict[str, tuple[str, str, str, str]] = {
    "linear attention": (QKV, "[n, f]", "scan n (s: [e, f] = 0) { now = s + k * v next s = now } out dot[e](q, now)", f"out {QUADRATIC}"),
    "read before it is written": (
        QKV, "[n, f]", "scan n (s: [e, f] = 0) { next s = s + v * k } out dot[e](s, q) + dot[e](k, q) * v", f"out {QUADRATIC}",
    ),
    "a strict mask": (
        QKV, "[n, f]", "scan n (s: [e, f] = 0) { next s = s + k * v } out dot[e](q, s)", f"out {QUADRATIC.replace('<=', '<')}",
    ),
    "gated": (
        QKV, "[n, f]", "scan n (s: [e, f] = 0) { now = sigmoid(g) * s + k * v next s = now } out dot[e](q, now)",
        "a = cumsum[n](log(sigmoid(g))) out dot[m](exp(mask(m <= n, a - a[n -> m])) * dot[e](q, k[n -> m]), v[n -> m])",
    ),
    "decay of a number": (
        QKV, "[n, f]", "scan n (s: [e, f] = 0) { now = s / 2 + k * v next s = now } out dot[e](q, now)",
        "out dot[m](where(m <= n, exp((iota[n] - iota[m]) * log(0.5)) * dot[e](q, k[n -> m]), 0), v[n -> m])",
    ),
    "a running mean": (
        "x: [n]", "[n]", "scan n (s: [] = 0, t: [] = 0) { a = s + x b = t + 1 next s = a next t = b } out a / b",
        "out cumsum[n](x) / (iota[n] + 1)",
    ),
    "two loops or one": (
        "x: [n], y: [n]", "[n]", "scan n (s: [] = 0, t: [] = 0) { next s = tanh(s + x) next t = cos(t + s + y) } out t",
        "scan n (s: [] = 0) { next s = tanh(x + s) } scan n (t: [] = 0) { next t = cos(y + t + s) } out t",
    ),
    "a gated unit": (
        "x: [n, d], y: [n, d], u: [n, d]", "[n, d]",
        "scan n (s: [d] = 0) { g = sigmoid(x + s) t = g * s + (1 - g) * tanh(y + u * s) next s = t } out t",
        "scan n (s: [d] = 0) { g = sigmoid(s + x) a = tanh(s * u + y) t = a + g * (s - a) next s = t } out t",
    ),
    "a recurrent unit": (
        "x: [n, d], y: [n, d], w: [d, e], u: [e, f]", "[n, e] where f = e",
        "scan n (s: [e] = 0) { t = tanh(dot[d](w, x + y) + dot[f](u, s[e -> f])) next s = t } out t",
        "a = dot[d](x, w) + dot[d](y, w) scan n (s: [e] = 0) { t = tanh(dot[f](s[e -> f], u) + a) next s = t } out t",
    ),
    "the delta rule": (
        "k: [n, e], v: [n, f], b: [n]", "[n, e, f] where d = e",
        "scan n (s: [e, f] = 0) { t = s + b * k * (v - dot[e](k, s)) next s = t } out t",
        "scan n (s: [e, f] = 0) { t = dot[d](where(e == d, 1, 0) - b * k * k[e -> d], s[e -> d]) + b * k * v next s = t } out t",
    ),
    "two states": (
        "x: [n], y: [n]", "[n]", "scan n (s: [] = 0, t: [] = 1) { next s = tanh(s + t + x) next t = cos(t * y + y * 2 - s) } out s + t",
        "scan n (a: [] = 1, s: [] = 0) { next s = tanh(x + (a + s)) next a = cos((a + 2) * y - s) } out s + a",
    ),
    "differences of a running sum": ("x: [n]", "[n]", "out cumsum[n](x) - shift[n](cumsum[n](x), 1)", "out x"),
    "all but one": ("x: [n]", "[n] where m = n", "out sum[m](where(m != n, x[n -> m], 0))", "out sum[n](x) - x"),
    "the trace of an identity": ("_x: [n]", "[] where m = n", "out sum[n, m](where(m == n, 1, 0))", "out size[n]"),
}  # fmt: skip


def sides(name: str) -> tuple[Diagram, Diagram]:
    inputs, result, *bodies = PROVED[name]
    left, right = (read(f"{AXES} diagram z({inputs}) -> {result} {{ {body} }}") for body in bodies)
    return left, right


@pytest.mark.parametrize("name", PROVED)
def test_equal_by_normal_form(name: str) -> None:
    left, right = sides(name)
    found = equal(left, right, seconds=0)
    assert (found.normal_form, found.evaluation, found.counterexample) == (True, True, None)
    assert all(law(rule) for _, rule in found.derivation or ())
    for side in (left, right):
        assert kept(side) is True
        assert form(normal(side).diagram) == form(side)


CHANGES = (("tanh(", "sin("), ("<= n", "< n"), ("s + ", "s - "), ("* v", "+ v"), ("- shift", "+ shift"), ("!=", "=="), ("size[n]", "1"))


@pytest.mark.parametrize("name", PROVED)
def test_a_changed_side_is_refuted(name: str) -> None:
    inputs, result, *bodies = PROVED[name]
    for body, other in (bodies, bodies[::-1]):
        for old, new in CHANGES:
            text = body.replace(old, new, 1)
            if text == body:
                continue
            found = equal(*(read(f"{AXES} diagram z({inputs}) -> {result} {{ {t} }}") for t in (text, other)), seconds=0)
            assert not found.normal_form
            assert found.evaluation is False, text


# laws inside ----------------------------------------------------------------------------------

HOSTS = {
    "gates": "x: [n, e], w: [e, f], b: [e]|[n, e] where f = e|scan n (s: [e] = 0) { g = sigmoid(-(x + s)) "
    "next s = g * tanh(dot[f](w, s[e -> f]) + b) + (1 - g) * s } out s",
    "attention to a memory": "x: [n, e], k: [m, e], v: [m, e]|[n, e]|scan n (s: [e] = 0) { "
    "next s = x / 2 + dot[m](softmax[m](dot[e](s, k) / sqrt(size[e])), v) } out s",
    "a loop in a loop": "x: [n, m], g: [n]|[m]|scan n (s: [m] = 0) { scan m (u: [] = 0) { next u = tanh(u + s + 0) } "
    "next s = exp(g) * exp(u) + x } out s.last",
}


def host(name: str) -> Diagram:
    inputs, result, body = HOSTS[name].split("|")
    return read(f"{AXES} diagram z({inputs}) -> {result} {{ {body} }}")


@pytest.mark.parametrize("name", HOSTS)
def test_whatever_a_law_makes_of_a_loop_has_the_same_values(name: str) -> None:
    diagram, used = host(name), set[str]()
    for rule in library():
        if rule.relation != "==":
            continue
        for reverse in (False, True):
            pattern = rule.right if reverse else rule.left
            if not pattern.nodes:
                continue
            for k, (match, made) in enumerate(everywhere(diagram, rule, reverse)):
                if k == 2:
                    break
                assert equal(diagram, made, seconds=0).evaluation is not False, rule.name
                if any(diagram.nodes[i].op.body is not None for i in match.nodes.values()):
                    used.add(rule.name)
    assert len(used) >= 3, used


def test_a_law_that_takes_a_box_out_of_the_loop_leaves_the_least_body() -> None:
    two = read(AXES + "diagram z(x: [n], y: [n]) -> [n] { scan n (s: [] = 0) { next s = tanh((s + x) * y) } out s }")
    found = {canonical(d): d for _, d in everywhere(two, law("add_mul"), reverse=True)}
    (made,) = found.values()
    want = read(AXES + "diagram z(x: [n], y: [n]) -> [n] { a = x * y scan n (s: [] = 0) { next s = tanh(s * y + a) } out s }")
    assert canonical(made) == canonical(want)


def test_loops_that_may_hold_minus_infinity_are_not_entered() -> None:
    diagram = read(AXES + "diagram z(x: [n]) -> [n] { scan n (s: [] = 0) { next s = -(-s) + mask(x < 0, x) } out s }")
    assert not list(everywhere(diagram, law("neg_neg")))
    assert taken_apart(diagram).loops == ()


def test_what_works_along_the_loop_cannot_be_closed() -> None:
    diagram = read(AXES + "diagram z(x: [n]) -> [n] { scan n (s: [] = 0) { next s = tanh(s + x) } out s }")
    open = taken_apart(diagram)
    nodes = [replace(n, op=Cumsum(), own=("n",)) if n.op == Map("tanh") else n for n in open.diagram.nodes]
    with pytest.raises(Problem):
        open.closed(replace(open.diagram, nodes=tuple(nodes)))


ZOO = sorted(p.stem for p in (Path(__file__).parents[2] / "zoo" / "recurrent").glob("*.anat"))


@pytest.mark.parametrize("name", ZOO)
def test_loops_of_the_zoo_are_taken_apart_and_closed(name: str) -> None:
    diagram = anatomy.load(f"zoo:{name}")
    open = taken_apart(diagram)
    assert loops(open.diagram) == 0
    assert canonical(open.closed()) == canonical(diagram)
    assert kept(diagram) is not False


# random ---------------------------------------------------------------------------------------


def expression(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(["s", "t", "x", "y", "c", "0.5", "2"])
    a, b = expression(rng, depth - 1), expression(rng, rng.randrange(depth))
    return rng.choice([f"({a} + {b})", f"({a} - {b})", f"{a} * {b}", f"tanh({a})", f"sigmoid({a})", f"sin({a})", f"where(n < 2, {a}, {b})", f"max({a}, {b})"])


@pytest.mark.parametrize("seed", range(40))
def test_random_loops_keep_their_values_and_have_one_normal_form(seed: int) -> None:
    rng = random.Random(seed)
    one, two = expression(rng, 3), expression(rng, 3)
    text = f"""{AXES} diagram z(x: [n, e], y: [n], c: [e]) -> [n, e], [n, e], [e] {{
      scan n (s: [e] = c, t: [e] = 0) {{ now = expand[e](0 * y) + ({one}) + 0 * c next s = tanh(now) next t = expand[e](0 * y) + sin({two}) + 0 * c }}
      out s + t, now, t.last
    }}"""
    diagram = read(text)
    assert kept(diagram) is True
    assert form(normal(diagram).diagram) == form(diagram)
