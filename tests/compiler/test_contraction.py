"""Products and sums become contractions: nothing is multiplied out and summed afterwards."""

from __future__ import annotations

import re

import pytest
import torch

import anatomy
from anatomy.language.program import Program

AXES = "axis n, m, d, e, f, h, b\n"


def body(text: str, sizes: dict[str, int] | None = None, name: str = "it") -> str:
    return anatomy.source(anatomy.parse(AXES + text)[name], sizes or {}).split("def forward")[1]


@pytest.mark.parametrize(
    ("text", "products"),
    [
        ("diagram it(w: [n, m], v: [m, f]) -> [n, f] { out sum[m](w * v) }", 1),
        ("diagram it(w: [n, m], v: [m, f]) -> [n, f] { simd n { out sum[m](w * v) } }", 1),
        ("diagram it(w: [n, m], v: [m, f]) -> [n, f] { y = w * v out sum[m](y) }", 1),
        ("diagram it(w: [n, m], v: [m, f]) -> [n] { out sum[m, f](w * v) }", 1),
        ("diagram it(w: [n, m], v: [m, f]) -> [f] { out sum[n](sum[m](w * v) * 2) }", 1),
        ("diagram it(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out sum[m](sum[e](q * k) * v) }", 2),
        ("diagram it(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k), v) }", 2),
        ("diagram it(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out sum[m, e](q * k * v) }", 2),
    ],
)
def test_no_multiply_then_sum(text: str, products: int) -> None:
    source = body(text)
    code = "\n".join(line.partition("  #")[0] for line in source.splitlines())
    assert len(re.findall(r"torch\.einsum\(", code)) == products
    assert ".sum(" not in code
    assert not re.search(r"\w \* \w+\b(?!\))", code.replace("* 2", ""))


def test_the_sample_text_sums_no_products(sample: Program) -> None:
    sizes = {"d": 12, "h": 3, "g": 3, "j": 2, "c": 4, "a": 5, "n": 5, "p": 7}
    for name in ("sdpa", "mha", "bahdanau", "linear", "mixer", "gqa"):
        diagram = sample.get(name)
        given = {k: v for k, v in sizes.items() if k in diagram.sizes and not (name in ("mha", "gqa", "sdpa", "linear", "bahdanau") and k == "n")}
        source = anatomy.source(diagram, given)
        for line in source.split("def forward")[1].splitlines():
            code = line.partition("  #")[0]
            assert not re.search(r"\*.*\)\.sum\(", code), line


def test_the_cheap_order_is_taken_linear_attention_falls_out() -> None:
    """dot[m](dot[e](q, k), v) never makes the [n, m] matrix when tokens outnumber features."""
    text = "diagram it(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k), v) }"
    source = body(text, {"e": 8, "f": 8})
    first = re.search(r'einsum\("(\w+),(\w+)->(\w+)", (\w+), (\w+)\)', source)
    assert first is not None
    assert {first[4], first[5]} == {"k", "v"}
    few = body(text, {"e": 64, "f": 64, "n": 2, "m": 3})
    first = re.search(r'einsum\("(\w+),(\w+)->(\w+)", (\w+), (\w+)\)', few)
    assert first is not None
    assert {first[4], first[5]} == {"q", "k"}


def test_a_product_that_is_read_twice_is_made_once() -> None:
    source = body("diagram it(w: [n, m], v: [m, f]) -> [n, f], [n, m, f] { y = w * v out sum[m](y), y }")
    assert source.count("einsum") == 0
    assert source.count(".sum(") == 1


def test_nonlinear_boxes_are_not_crossed() -> None:
    text = "diagram it(w: [n, m], v: [m, f]) -> [n, f] { out sum[m](exp(w * v)) }"
    net = anatomy.compile(anatomy.parse(AXES + text)["it"], {}, dtype=torch.float64)
    w, v = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    torch.testing.assert_close(net(w, v), torch.exp(w[:, :, None] * v).sum(1), rtol=1e-12, atol=1e-12)


def test_a_large_product_of_many_operands() -> None:
    names = [f"x{i}" for i in range(14)]
    text = f"diagram it({', '.join(f'{x}: [n, m]' for x in names)}) -> [n] {{ out sum[m]({' * '.join(names)}) }}"
    net = anatomy.compile(anatomy.parse(AXES + text)["it"], {}, dtype=torch.float64)
    xs = [torch.randn(3, 4, dtype=torch.float64) for _ in names]
    want = torch.ones(3, 4, dtype=torch.float64)
    for x in xs:
        want = want * x
    torch.testing.assert_close(net(*xs), want.sum(1), rtol=1e-12, atol=1e-12)


def test_a_traced_layer_takes_every_length(sample: Program) -> None:
    """More lengths than torch.compile would trace anew: the order of contraction is not looked up while tracing."""
    torch._dynamo.reset()
    net = anatomy.compile(sample.get("mha"), {"d": 6, "h": 3}, lift=("b",))
    traced = torch.compile(net, fullgraph=True, backend="eager")
    for n in range(2, 14):
        x = torch.randn(n % 3 + 1, n, 6)
        torch.testing.assert_close(traced(x), net(x))
