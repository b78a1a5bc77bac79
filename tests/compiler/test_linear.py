"""A product with a weight takes its bias in, where both are weights and nothing else reads the product."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from anatomy.compiler import ALL, build, generate
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program

torch.set_num_threads(1)
CASES: dict[str, tuple[str, str, int]] = {
    # name: result, body, how many products are calls of the helper
    "one": ("[n, e]", "out lin W[d -> e](x)", 1),
    "two_of_one": ("[n, e]", "out lin W[d -> e](x) * lin V[d -> e](x)", 2),
    "several_axes_of_columns": ("[n, h, e]", "out lin W[d -> h, e](x)", 1),
    "sum_of_two_axes": ("[e]", "weight w: [n, d, e] ~ normal(1)\nweight b: [e] ~ normal(1)\nout dot[n, d](x, w) + b", 1),
    "bias_in_front": ("[n, e]", "weight w: [d, e] ~ normal(1)\nweight b: [e] ~ normal(1)\nout b + dot[d](w, x)", 1),
    "lanes": ("[n, h, e]", "weight w: [h, d, e] ~ normal(1)\nweight b: [h, e] ~ normal(1)\nsimd h { y = lin V[d -> d2](x)[d2 -> d] } out dot[d](y, w) + b", 2),
    "summed_behind": ("[e, n]", "weight w: [e, d] ~ normal(1)\nweight b: [e] ~ normal(1)\nout dot[d](w, x) + b", 1),
    "of_every_token": ("[n, e]", "weight w: [n, d, e] ~ normal(1)\nweight b: [n, e] ~ normal(1)\nout dot[d](w, x) + b", 1),
    "a_number": ("[n]", "weight w: [d] ~ normal(1)\nweight b: [] ~ normal(1)\nout dot[d](w, x) + b", 0),
    "bias_of_fewer_axes": ("[n, h, e]", "weight w: [h, d, e] ~ normal(1)\nweight b: [e] ~ normal(1)\nout dot[d](w, x) + b", 0),
    "bias_of_tokens": ("[n, e]", "weight w: [d, e] ~ normal(1)\nweight b: [n, e] ~ normal(1)\nout dot[d](w, x) + b", 0),
    "bias_that_is_computed": ("[n, e]", "weight w: [d, e] ~ normal(1)\nweight b: [e] ~ normal(1)\nout dot[d](w, x) + exp(b)", 0),
    "product_read_twice": ("[n, e]", "weight w: [d, e] ~ normal(1)\nweight b: [e] ~ normal(1)\ny = dot[d](w, x)\nout y * (y + b)", 0),
    "no_weight": ("[n, n2]", "weight b: [n2] ~ normal(1)\nout dot[d](x, x[n -> n2]) + b", 0),
    "difference": ("[n, e]", "weight w: [d, e] ~ normal(1)\nweight b: [e] ~ normal(1)\nout dot[d](w, x) - b", 0),
    "beside_a_loop": ("[n, e]", "scan n (s: [e] = 0) { s2 = tanh(s + lin W[d -> e](x)) next s = s2 }\nout s2", 1),
    "in_a_loop": ("[n, d]", "scan n (s: [d] = 0) { s2 = tanh(x + lin W[d -> d2](s)[d2 -> d]) next s = s2 }\nout s2", 0),
}  # fmt: skip


SHAPES = ({"n": 4, "d": 3, "e": 5, "h": 2}, {"n": 1, "d": 1, "e": 1, "h": 1})


@cache
def diagram(out: str, body: str) -> Diagram:
    program = Program.of(Source("test.anat", f"axis n, n2 = n, d, d2 = d, e, h\ndiagram case(x: [n, d]) -> {out} {{\n{body}\n}}"))
    assert not [found for found in program.check() if found.code.startswith("E")]
    return program.get("case")


def case(name: str) -> Diagram:
    return diagram(*CASES[name][:2])


@pytest.mark.parametrize("name", CASES)
def test_the_bias_goes_into_the_product_where_it_may(name: str) -> None:
    d = case(name)
    for shape in SHAPES:
        sizes = {a: s for a, s in shape.items() if a in d.sizes}
        made = generate(d, sizes)
        assert made.source.replace("def _linear(", "").count("_linear(") == CASES[name][2]
        assert sum(n.name == "linear" for n in made.notes) == CASES[name][2]
        agree(d, sizes)


def agree(d: Diagram, sizes: dict[str, int]) -> None:
    for lift, lead in (((), ()), (("b",), (2,)), (("b", "lot"), (2, 3)), (("b",), (0,))):
        plain, ours = (build(d, sizes, lift, 3, torch.float64, passes) for passes in ((), ALL))
        x = torch.randn((*lead, sizes["n"], 2 * sizes["d"]), dtype=torch.float64)[..., ::2].requires_grad_()
        found: list[list[Tensor]] = []
        for net in (plain, ours):
            y = net(x)
            seed = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
            found.append([y, *torch.autograd.grad((y * seed).sum(), [x, *net.parameters()])])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("out", "body", "code"),
    [
        ("[n, e]", "out lin W[d -> e, bias=false](x)", "x @ self.W"),
        ("[n, h, e]", "out lin W[d -> h, e, bias=false](x)", "_linear(x, self.W, None, 1)"),
        ("[n, e]", "weight w: [e, d] ~ normal(1)\nout dot[d](w, x)", "einsum"),
        ("[e, n]", "weight w: [d, e] ~ normal(1)\nout dot[d](w, x)", "x @ self.w"),
        ("[n, h, e]", "weight u: [h, d] ~ normal(1)\nweight w: [h, d, e] ~ normal(1)\nout dot[d](w, exp(x * u))", "einsum"),
        ("[n, e]", "weight v: [d] ~ normal(1)\nweight w: [e] ~ normal(1)\nout exp(w) * dot[d](v, exp(x))", "einsum"),
        ("[n, d, e]", "weight w: [e] ~ normal(1)\nout sum[h](x * w * iota[h])", "einsum"),
    ],
)
def test_a_product_without_a_bias(out: str, body: str, code: str) -> None:
    d = diagram(out, body)
    for shape in SHAPES:
        sizes = {a: s for a, s in shape.items() if a in d.sizes}
        assert code in generate(d, sizes).source
        agree(d, sizes)
        together: Any = build(d, sizes, ("b",), 0, torch.float64, ensemble=3)
        x = torch.randn(3, 2, sizes["n"], sizes["d"], dtype=torch.float64)
        for k in range(3):
            torch.testing.assert_close(together(x)[k], build(d, sizes, ("b",), k, torch.float64)(x[k]))


def test_derivatives_of_derivatives() -> None:
    net = build(case("several_axes_of_columns"), {"d": 3, "h": 2, "e": 2}, (), 0, torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(net, (x,))
    torch.testing.assert_close(torch.func.vmap(net)(x.expand(2, 4, 3)), net(x).expand(2, 4, 2, 2))
    torch.testing.assert_close(torch.func.jvp(net, (x,), (x,))[1], net(x) - net(0 * x))
