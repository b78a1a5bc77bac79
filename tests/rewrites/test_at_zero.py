"""What is applied to zero is zero where a law of the library says so, and the greater of two equals is either."""

import pytest

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.rewrites.normal import form, normal_form


def one(text: str) -> Diagram:
    return Program.of(Source("test.anat", f"axis n, d, c = d diagram f(x: [n, d]) -> [n, d] {{ out {text} }}")).get("f")


@pytest.mark.parametrize(
    "text",
    ["relu(0 * x)", "tanh(x - x)", "abs(0 * x)", "sin(0 * x)", "relu(lin W[d -> c, bias=false](0 * x))[c -> d]", "max(0 * x, shift[n](0 * x, 1))", "min(x - x, tanh(0 * x))"],
)
def test_what_is_zero_at_zero(text: str) -> None:
    found, steps = normal_form(one(text))
    assert form(one(text)) == form(one("0 * x"))
    assert not found.weights or not any(p.wire == w.wire for w in found.weights for n in found.nodes for p in n.ports)
    assert any({"relu_scale", "tanh_neg", "abs_scale", "sin_neg", "max_self"} & set(s.laws) for s in steps)


def test_the_greater_of_equals() -> None:
    assert form(one("max(tanh(x) + x, x + tanh(x))")) == form(one("x + tanh(x)"))
    assert form(one("min(2 * x, x + x)")) == form(one("2 * x"))
    assert form(one("max(x, 2 * x)")) != form(one("2 * x"))


@pytest.mark.parametrize("text", ["cos(0 * x)", "exp(0 * x)", "sigmoid(0 * x)", "relu(0 * x + 1)"])
def test_what_is_not(text: str) -> None:
    assert form(one(text)) != form(one("0 * x"))
