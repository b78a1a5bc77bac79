"""What is known of loops for free: costs, causality, equivariance, merging; and that regularity says what it does not know."""

from __future__ import annotations

import random

import pytest

from anatomy.errors import Source
from anatomy.ir.analysis import analyse
from anatomy.ir.canonical import canonical, digest
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.ir.term import merged, term
from anatomy.language.program import Program
from tests.ir.samples import copy, samples

AXES = "axis n, m = n, d, e, f = e, h "


def diagram(text: str) -> Diagram:
    program = Program.of(Source("loop.anat", AXES + text))
    assert not [d for d in program.check() if d.severity == "error"]
    return program.get(program.names()[-1])


def test_work_is_counted_step_by_step() -> None:
    d = diagram("diagram t(x: [n, d], w: [d, e]) -> [n, d] where d = e { scan n (s: [d] = 0) { next s = tanh(dot[d](s, w)[e -> d]) * x } out s }")
    n, e = Poly.var("n"), Poly.var("e")
    assert analyse(d).flops == n * (2 * e * e + 2 * e)


def test_the_body_alone_is_repeated() -> None:
    inside = diagram("diagram t(x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { next s = s + exp(x) * x } out s }")
    assert analyse(inside).flops == 3 * Poly.var("n") * Poly.var("d")


CAUSAL = {
    "before": ("scan n (s: [d] = 0) { next s = s + x } out s }", True),
    "after": ("scan n (s: [d] = 0) { y = s + x next s = y } out y }", True),
    "a sum of all steps": ("scan n (s: [d] = 0) { next s = s + x } out x + s.last }", None),
    "a step that reads all": ("y = sum[n](x) scan n (s: [d] = 0) { next s = s + y } out s }", None),
    "a first value that reads all": ("scan n (s: [d] = sum[n](x)) { next s = s + x } out s }", None),
    "a step that reads the past": ("y = cumsum[n](x) scan n (s: [d] = 0) { next s = s + y } out s }", True),
    "two states": ("scan n (s: [d] = 0, z: [d] = 0) { next s = z + x next z = tanh(s) } out s + z }", True),
    "two loops": ("scan n (s: [d] = 0) { next s = s + x } scan n (z: [d] = 0) { next z = tanh(z * s) } out z }", True),
    "later steps first": ("y = shift[n](x, -1) scan n (s: [d] = 0) { z = s + y next s = z } out z }", None),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_causality(name: str) -> None:
    """Proved exactly where the derivative by later inputs is 0."""
    import torch

    import anatomy

    text, causal = CAUSAL[name]
    d = diagram("diagram t(x: [n, d]) -> [n, d] { " + text)
    assert analyse(d).causal is causal
    assert analyse(d).equivariant is None
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    anatomy.compile(d)(x)[2].sum().backward()
    assert x.grad is not None
    assert bool(x.grad[3:].any()) is not bool(causal)


def test_a_loop_over_features_commutes_with_permutations_of_tokens() -> None:
    over = "diagram t(x: [n, d]) -> [n, d] {{ scan {} (s: [] = 0) {{ next s = tanh(s + x) }} out s }}"
    assert analyse(diagram(over.format("d").replace("(s: []", "(s: [n]"))).equivariant is True
    assert analyse(diagram(over.format("n").replace("(s: []", "(s: [d]"))).equivariant is None


def test_positions_inside_of_the_body_are_seen() -> None:
    d = diagram("diagram t(x: [n, d]) -> [n, d] { scan d (s: [n] = 0) { next s = cumsum[n](s) + x } out s }")
    assert analyse(d).equivariant is None
    assert analyse(d).causal is True


@pytest.mark.parametrize("name", ["loops", "grid"])
def test_copies_are_equal_and_mutants_are_not(name: str) -> None:
    d = samples()[name]
    rng = random.Random(0)
    assert {digest(copy(d, rng)) for _ in range(8)} == {digest(d)}


def test_equal_loops_are_merged() -> None:
    text = "diagram t(x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { next s = tanh(s + x) } scan n (z: [d] = 0) { next z = tanh(z + x) } out s * z }"
    one = "diagram t(x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { next s = tanh(s + x) } out s * s }"
    assert digest(diagram(text)) != digest(diagram(one))
    assert len([n for n in merged(diagram(text)).nodes if n.op.body is not None]) == 1
    assert term(diagram(text)) == term(diagram(one))


def test_equal_boxes_inside_of_a_loop_are_merged() -> None:
    text = "diagram t(x: [n, d]) -> [n, d] {{ scan n (s: [d] = 0) {{ {} }} out s }}"
    twice, once = diagram(text.format("next s = tanh(s) * tanh(s)")), diagram(text.format("y = tanh(s) next s = y * y"))
    assert canonical(twice) != canonical(once)
    assert term(twice) == term(once)


def test_a_contracting_loop_is_bounded_everywhere() -> None:
    """|ds_(t+1)| <= |ds_t| + |dx_t|, so that three steps add up to at most 1 + 1 + 1 of the largest change, one more for the state after them."""
    import anatomy

    d = diagram("diagram t(x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { next s = tanh(s + x) } out s }")
    found = anatomy.regularity(d, {"n": 3, "d": 2})
    assert found.verdict == "globally_lipschitz"
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= found.upper <= 4 * (1 + 1e-9)
