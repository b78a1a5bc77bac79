"""Noise: its law, its draws, which of them are shared, and that two are never one."""

from __future__ import annotations

import pytest
import torch

import anatomy
from anatomy.ir.term import merged
from anatomy.language.unparse import unparse

AXES = "axis n, m, d, b, p\n"


def parse(text: str, name: str = "it") -> anatomy.Diagram:
    diagram = anatomy.parse(AXES + text)[name]
    again = anatomy.parse(unparse(diagram))[name]
    assert anatomy.equal(diagram, again).isomorphic, unparse(diagram)
    return diagram


def test_laws() -> None:
    text = "diagram it(x: [n]) -> [n], [n], [n], [n] { noise a: [n] ~ normal(3) noise z: [n] ~ uniform(2) noise c: [n] ~ uniform(1, 4) noise g: [n] ~ gumbel out x + a, x + z, x + c, x + g }"
    net = anatomy.compile(parse(text), {})
    torch.manual_seed(0)
    a, z, c, g = net(torch.zeros(200_000, dtype=torch.float64))
    assert a.dtype == torch.float64
    assert a.mean().abs() < 0.05
    assert abs(a.std() - 3) < 0.05
    assert z.min() >= -2
    assert z.max() <= 2
    assert abs(z.std() - 2 / 3**0.5) < 0.02
    assert c.min() >= 1
    assert c.max() <= 4
    assert abs(g.mean() - 0.5772156649) < 0.02
    assert abs(g.var() - torch.pi**2 / 6) < 0.05


def test_draws_follow_the_text_and_the_seed_of_torch() -> None:
    text = "diagram it(x: [n, m]) -> [n, m] { noise z: [n, m] ~ normal(2) noise g: [m] ~ gumbel noise u: [] ~ uniform(1, 3) out g * x + z * u }"
    net = anatomy.compile(parse(text), {}, lift=("b",), dtype=torch.float64)
    x = torch.randn(2, 3, 4, dtype=torch.float64).requires_grad_()
    torch.manual_seed(5)
    have = net(x)
    torch.manual_seed(5)
    z = 2 * torch.randn(2, 3, 4, dtype=torch.float64)
    g = -torch.log(-torch.log(torch.rand(2, 4, dtype=torch.float64)))
    u = 1 + 2 * torch.rand(2, dtype=torch.float64)
    torch.testing.assert_close(have, g[:, None] * x + z * u[:, None, None], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(have.sum(), x)[0], g[:, None].expand(2, 3, 4), rtol=1e-12, atol=1e-12)
    assert not torch.equal(net(x), have), "drawn anew at every forward"


def test_lanes_and_lifts_of_a_call_draw_for_themselves() -> None:
    inside = parse("diagram it(x: [n, m]) -> [n, m] { simd n { noise z: [m] out x + z } }")
    outside = parse("diagram it(x: [n, m]) -> [n, m] { noise z: [m] out x + z }")
    row = "diagram row(x: [m]) -> [m] { noise z: [m] out x + z }\n"
    called = parse(row + "diagram it(x: [n, m]) -> [n, m] { out row(x) }")
    boxed = parse(row + "diagram it(x: [n, m]) -> [n, m] { simd n { out row(x) } }")
    lane = parse(row + "diagram it(x: [n], y: [m]) -> [n, m] { simd n { out x + row(y) } }")
    part = parse("diagram it(x: [n, m]) -> [n, m] { part f(x: [m]) -> [m] { noise z: [m] out x + z } simd n { out f(x) } }")
    x = torch.zeros(3, 5, dtype=torch.float64)
    for diagram, rows in ((inside, 3), (outside, 1), (called, 3), (boxed, 3), (part, 3)):
        y = anatomy.compile(diagram, {})(x)
        assert len({tuple(r.tolist()) for r in y}) == rows
    y = anatomy.compile(lane, {})(x[:, 0], x[0])
    assert len({tuple(r.tolist()) for r in y}) == 3
    assert anatomy.equal(inside, called).isomorphic
    y = anatomy.compile(outside, {}, lift=("b",))(torch.zeros(4, 3, 5, dtype=torch.float64))
    assert len({tuple(r.tolist()) for r in y[:, 0]}) == 4, "a lift at compile time is another forward"


def test_a_step_of_a_loop_draws_for_itself() -> None:
    scan = parse("diagram it(x: [n, d]) -> [n, d] { scan n (s: [d] = 0) { noise z: [d] next s = 0.5 * s + x + z } out s }")
    x = torch.zeros(6, 2, dtype=torch.float64)
    torch.manual_seed(3)
    have = anatomy.compile(scan, {})(x)
    torch.manual_seed(3)
    z = torch.randn(6, 2, dtype=torch.float64)
    rows, state = [], torch.zeros(2, dtype=torch.float64)
    for t in range(6):
        rows.append(state)
        state = 0.5 * state + z[t]
    torch.testing.assert_close(have, torch.stack(rows), rtol=1e-12, atol=1e-12)
    turns = parse("diagram it(x: [d]) -> [d] { repeat 3 (y = x) { noise z: [d] next y = y + z } out y }")
    assert sum(node.op.random for node in turns.nodes) == 3


def test_two_noises_are_never_one() -> None:
    twice = parse("diagram it(x: [n]) -> [n] { noise a: [n] noise c: [n] out x + a - c }")
    once = parse("diagram it(x: [n]) -> [n] { noise a: [n] out x + a - a }")
    assert sum(node.op.random for node in merged(twice).nodes) == 2
    found = anatomy.equal(twice, once)
    assert not found.isomorphic
    assert not found.same_term
    assert found.evaluation is None
    assert anatomy.equal(twice, twice).isomorphic
    assert not anatomy.equal(twice, parse("diagram it(x: [n]) -> [n] { noise a: [n] ~ gumbel noise c: [n] out x + a - c }")).isomorphic


REFUSED = {
    "noise z: [n] ~ xavier": "E208", "noise z: [n] ~ uniform": "E208", "noise z: [n] ~ gumbel(1)": "E208", "noise z: [n -> m]": "E209",
    "noise z: [n] ~ normal(-1)": "E208", "noise z: [n, n]": "E309", "noise z: [q]": "E201", "noise x: [n]": "E204",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused(line: str) -> None:
    with pytest.raises(anatomy.AnatomyError) as error:
        anatomy.parse(f"{AXES}diagram it(x: [n]) -> [n] {{ {line} out x }}")
    assert [d.code for d in error.value.diagnostics] == [REFUSED[line]]


def test_bounds_are_those_for_a_fixed_draw() -> None:
    text = "diagram it(x: [n, d]) -> [n, d] { noise z: [n, d] ~ gumbel out tanh(x + z) }"
    diagram = parse(text)
    sizes = {"n": 4, "d": 3}
    net = anatomy.compile(diagram, sizes, dtype=torch.float64)
    found = anatomy.regularity(diagram, sizes=sizes, radius=1.0, module=net)
    assert found.upper is not None
    assert found.upper >= 1
    assert found.lower is not None
    assert 0.2 < found.lower <= found.upper
    scaled = anatomy.regularity(parse("diagram it(x: [n, d]) -> [n, d] { noise z: [n, d] ~ uniform(2, 5) out x * z }"), sizes=sizes)
    assert scaled.upper is not None
    assert 5 <= scaled.upper < 5.1
    wild = anatomy.regularity(parse("diagram it(x: [n, d]) -> [n, d] { noise z: [n, d] out x * z }"), sizes=sizes)
    assert wild.verdict in ("unknown", "not_globally_lipschitz")
    assert wild.upper is None
