"""Moves from a diagram to one that it can be: what comes out computes what the weights, sizes and inputs of the move say."""

from __future__ import annotations

import pytest
import torch

from anatomy.compiler import build
from anatomy.errors import AnatomyError, Source
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.language.program import Program
from anatomy.rewrites.decided import decided, positive
from anatomy.rewrites.special import Move, agreed, moved
from anatomy.target import load_diagram

SIZES = {"n": 5, "d": 6, "h": 2, "e": 3, "f": 4}


def layer(name: str) -> Diagram:
    return load_diagram(f"zoo:{name}")


def run(diagram: Diagram, sizes: dict[str, int], weights: dict[str, torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
    module = build(diagram, {a: p.evaluate(sizes) for a, p in diagram.sizes.items()}, dtype=torch.float64)
    module.load_state_dict({k: v for k, v in weights.items() if k in module.state_dict()}, strict=True)
    return module(*inputs)


def drawn(diagram: Diagram, sizes: dict[str, int], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {w.key: [diagram.sizes[a].evaluate(sizes) for a in w.layout] for w in diagram.weights}
    return {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in shapes.items()}


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_weight_that_is_a_number(value: str) -> None:
    whole = layer("mha")
    weights = drawn(whole, SIZES)
    x = torch.randn(5, 6, dtype=torch.float64)
    expected = run(whole, SIZES, weights | {"Wk": torch.full_like(weights["Wk"], float(value))}, x)
    made = moved(whole, Move("weight", "Wk", value))
    assert "Wk" not in [w.key for w in made.weights]
    torch.testing.assert_close(run(made, SIZES, weights, x), expected)


def test_a_weight_that_is_the_same_along_an_axis() -> None:
    whole = layer("mha")
    weights = drawn(whole, SIZES)
    x = torch.randn(5, 6, dtype=torch.float64)
    one = weights["Wk"][:, :1, :]
    made = moved(whole, Move("weight", "Wk", "once over h"))
    got = run(made, SIZES, weights | {"Wk": one[:, 0, :]}, x)
    torch.testing.assert_close(got, run(whole, SIZES, weights | {"Wk": one.expand(-1, 2, -1)}, x))


def test_a_weight_that_is_the_identity() -> None:
    whole = layer("talking_heads")
    made = moved(moved(whole, Move("weight", "before.Pl", "identity")), Move("weight", "after.Pw", "identity"))
    sizes = SIZES | {"g": 2, "j": 2}
    weights = drawn(made, sizes)
    x = torch.randn(5, 6, dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    got = run(made, sizes, weights, x)
    torch.testing.assert_close(got, run(whole, sizes, weights | {"before.Pl": eye, "after.Pw": eye}, x))


def test_one_input_for_two() -> None:
    whole = layer("cross")
    made = moved(whole, Move("feed", "z", "x"))
    weights = drawn(made, SIZES)
    x = torch.randn(5, 6, dtype=torch.float64)
    sizes = SIZES | {"m": 5, "c": 6}
    torch.testing.assert_close(run(made, SIZES, weights, x), run(whole, sizes, weights, x, x))


WINDOWS = [
    ("sliding_window", "mask.w", 5), ("sliding_window", "mask.w", 9), ("streaming_llm", "mask.w", 6), ("streaming_llm", "mask.p", 5),
    ("prefix_lm", "mask.p", 7), ("sparse_strided", "mask.l", 5), ("sparse_fixed", "mask.l", 8),
]  # fmt: skip


@pytest.mark.parametrize(("name", "window", "size"), WINDOWS)
def test_a_window_as_long_as_the_sequence_is_none(name: str, window: str, size: int) -> None:
    """By values at one size; the window stands in the mask only and is gone afterwards."""
    whole = layer(name)
    made = moved(whole, Move("least", window, "n"))
    sizes = SIZES | {v: 2 for v in whole.free_sizes() if v not in SIZES} | {window: size}
    weights = drawn(whole, sizes)
    x = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(run(made, sizes, weights, x), run(whole, sizes, weights, x))
    words = [n.op.word for n in made.nodes]
    assert len(words) < len(whole.nodes)
    assert window not in [a for n in made.nodes for a in n.own]


def test_a_window_that_may_be_shorter_stays() -> None:
    whole = layer("sliding_window")
    assert decided(whole) is whole


def test_sizes_that_become_one() -> None:
    a, b, c = map(Poly.var, "abc")
    assert agreed(a * b, a * c) == (Move("size", "b", "c"),)
    assert agreed(a, b * c) == (Move("size", "a", "b * c"),)
    assert agreed(a + 1, b * c) is None
    assert positive(a * b - 1)
    assert not positive(a - b)


def test_a_hole_that_does_not_give_what_it_takes_is_not_passed_through() -> None:
    text = "axis n, d, e\ndiagram f(x: [n, d]) -> [n, e] {\n  hole g(x: [d]) -> [e]\n  out g(x)\n}\n"
    open_one = Program.of(Source("f.anat", text)).get("f")
    with pytest.raises(AnatomyError) as error:
        moved(open_one, Move("hole", "g", "identity"))
    assert error.value.diagnostics[0].code == "E604"


def test_moves_are_text() -> None:
    mha = layer("mha")
    for text in ("h = 1", "Wk := 0", "x := x", "Wk := once over h"):
        assert str(Move.read(text, mha)) == text
    with pytest.raises(AnatomyError):
        Move.read("nonsense", mha)
