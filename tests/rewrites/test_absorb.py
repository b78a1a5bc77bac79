"""Absorbing weights: the same functions, with weights that give one another."""

import pytest
import torch

from anatomy.rewrites.absorb import absorbed
from anatomy.rewrites.equality import equal
from anatomy.rewrites.normal import form
from anatomy.rewrites.reparametrise import reparametrised
from anatomy.target import load_diagram
from tests.rewrites.witnesses import computed, drawn, normal, read

ATTENTION = """
diagram attention(x: [n, d]) -> [n, d] where e = d {
  z = x[n -> m]
  q = lin Wq[d -> e](x)
  k = lin Wk[d -> e](z)
  v = lin Wv[d -> f](z)
  out lin Wo[f -> d](dot[m](softmax[m](dot[e](q, k) / sqrt(size[e])), v))
}
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def weights(text: str, conditional: bool = False) -> dict[str, tuple[str, ...]]:
    found = absorbed(read("diagram this" + text, "this"), conditional).diagram
    return {w.key: tuple(a.partition("~")[0] for a in w.layout) for w in found.weights}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("(x: [n, d]) -> [n, e] { out lin W[d -> e](x) / 3 }", {"W": ("d", "e"), "W.bias": ("e",)}),
        ("(x: [n, d]) -> [n, e] { weight b: [e] ~ ones out lin W[d -> e](x) + b }", {"W": ("d", "e"), "b": ("e",)}),
        ("(x: [n, d]) -> [n, d] { weight s: [h] ~ ones out x * sum[h](s) }", {"s": ()}),
        ("(x: [n, d]) -> [n, d] { weight s: [d] ~ ones out x - x * s }", {"s": ("d",)}),
        ("(x: [n, d]) -> [n, d] { weight s: [d] ~ ones out x * 0 + 0 * x * s }", {}),
        ("(x: [n, d]) -> [n, e] { weight t: [] ~ ones weight s: [d] ~ ones out lin W[d -> e, bias=false](x * s) * t }", {"W": ("d", "e")}),
        ("(x: [n, hf]) -> [n, e] { out lin W[h, f -> e, bias=false](split[hf -> h, f](x)) }", {"W": ("h", "f", "e")}),
        ("(x: [n, h, f]) -> [n, e] { out lin W[hf -> e, bias=false](merge[h, f -> hf](x)) }", {"W": ("h", "f", "e")}),
        ("(x: [n, d], y: [n, c]) -> [n, e] { out lin W[r -> e, bias=false](cat[d, c -> r](x, y)) }", {"W_1": ("d", "e"), "W_2": ("c", "e")}),
        # An inner size that may be too small leaves two weights, and their biases one.
        ("(x: [n, d]) -> [n, e] { out lin W[c -> e](lin V[d -> c](x)) }", {"V": ("d", "c"), "W": ("c", "e"), "W.bias": ("e",)}),
        ("(x: [n, d]) -> [n, e] where c = d { out lin W[c -> e, bias=false](lin V[d -> c, bias=false](x)) }", {"V_W": ("d", "e")}),
        ("(x: [n, d]) -> [n, e] where c = d * h { out lin W[c -> e, bias=false](lin V[d -> c, bias=false](x)) }", {"V_W": ("d", "e")}),
        # Nothing is onto that is a square, or used twice in different ways.
        ("(x: [n, d]) -> [n, d] { weight s: [d] ~ ones out x * s * s }", {"s": ("d",)}),
        ("(x: [n, d]) -> [n, d] { weight s: [d] ~ ones weight t: [d] ~ ones out x * s * t + exp(x) * s }", {"s": ("d",), "t": ("d",)}),
        # What is frozen is no weight to choose.
        ("(x: [n, d]) -> [n, e] { frozen weight F: [d -> e] ~ xavier weight s: [e] ~ ones out dot[d](x, F) * s }", {"F": ("d", "e"), "s": ("e",)}),
    ],
)  # fmt: skip
def test_the_weights_that_are_left(text: str, left: dict[str, tuple[str, ...]]) -> None:
    assert weights(text) == left


def test_a_condition_is_stated_and_only_where_it_is_needed() -> None:
    text = "(t: [n, d], x: [m, c]) -> [n, m] { out dot[e](lin Wq[d -> e, bias=false](t), lin Wk[c -> e, bias=false](x)) }"
    f = read("diagram this" + text, "this")
    assert absorbed(f).conditions == ()
    assert absorbed(f).open == ("e >= min(c, d)",)
    assert [len(w.layout) for w in absorbed(f, True).diagram.weights] == [2]
    assert absorbed(f, True).conditions == ("e >= min(c, d)",)


@pytest.mark.parametrize("sizes", [{"d": 3, "c": 5, "e": 3}, {"d": 5, "c": 3, "e": 4}, {"d": 2, "c": 2, "e": 7}, {"d": 1, "c": 4, "e": 1}])
def test_any_matrix_is_a_product_where_the_condition_holds(sizes: dict[str, int]) -> None:
    text = "(t: [n, d], x: [m, c]) -> [n, m] { out dot[e](lin Wq[d -> e, bias=false](t), lin Wk[c -> e, bias=false](x)) }"
    found = absorbed(read("diagram this" + text, "this"), True)
    (one,) = found.diagram.weights
    shape = [found.diagram.sizes[a].evaluate(sizes) for a in one.layout]
    value = normal(1, *shape)
    both = computed(found.fills, {one.key: value}, sizes)
    product = both["Wk"] @ both["Wq"].T
    torch.testing.assert_close(product, value if one.layout[0].partition("~")[0] == "c" else value.T, rtol=0, atol=0)


def test_a_matrix_of_full_rank_is_no_product_where_the_condition_fails() -> None:
    text = "(t: [n, d], x: [m, c]) -> [n, m] { out dot[e](lin Wq[d -> e, bias=false](t), lin Wk[c -> e, bias=false](x)) }"
    found = absorbed(read("diagram this" + text, "this"), True)
    (one,) = found.diagram.weights
    both = computed(found.fills, {one.key: normal(1, 4, 4)}, {"d": 4, "c": 4, "e": 2})
    assert torch.linalg.matrix_rank(both["Wk"] @ both["Wq"].T) <= 2


def attend(x: torch.Tensor, w: dict[str, torch.Tensor]) -> torch.Tensor:
    q, k, v = (x @ w[f"W{i}"] + w[f"W{i}.bias"] for i in "qkv")
    return torch.softmax(q @ k.T / q.shape[1] ** 0.5, 1) @ v @ w["Wo"] + w["Wo.bias"]


def less(x: torch.Tensor, w: dict[str, torch.Tensor]) -> torch.Tensor:
    """Attention with one matrix for queries and keys and one bias for all."""
    s = x @ w["Wq_Wk"] @ x.T + x @ w["Wq.bias_Wk"]
    return torch.softmax(s, 1) @ x @ w["Wv"] @ w["Wo"] + w["Wo.bias"]


@pytest.mark.parametrize("seed", range(3))
def test_attention_by_hand_both_ways(seed: int) -> None:
    found = absorbed(read(ATTENTION, "attention"))
    n, d, f = 5, 3, 4
    x = normal(seed, n, d)
    old = drawn(seed, Wq=(d, d), Wq__bias=(d,), Wk=(d, d), Wk__bias=(d,), Wv=(d, f), Wv__bias=(f,), Wo=(f, d), Wo__bias=(d,))
    new = computed(found.reads, old, {"n": n, "d": d, "f": f})
    torch.testing.assert_close(less(x, new), attend(x, old), rtol=1e-12, atol=1e-12)
    new = drawn(seed + 9, Wq_Wk=(d, d), Wq__bias_Wk=(d,), Wv=(d, f), Wo=(f, d), Wo__bias=(d,))
    old = computed(found.fills, new, {"n": n, "d": d, "f": f})
    torch.testing.assert_close(attend(x, old), less(x, new), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["mha", "mqa", "bahdanau", "luong_concat", "linear", "qk_layernorm", "synthesizer_dense", "cross", "aft_simple"])
def test_the_fills_of_zoo_entries_are_right_by_normal_form_and_by_values(name: str) -> None:
    d = load_diagram(f"zoo:{name}")
    found = absorbed(d)
    there, back = reparametrised(d, found.fills), reparametrised(found.diagram, found.reads)
    assert form(there) == form(found.diagram)
    assert form(back) == form(d)
    assert equal(there, found.diagram, seconds=0).evaluation is not False
    assert equal(back, d, seconds=0).evaluation is not False


def test_absorbing_twice_is_absorbing_once() -> None:
    for name in ("mha", "bahdanau", "luong_general", "mqa"):
        once = absorbed(load_diagram(f"zoo:{name}")).diagram
        twice = absorbed(once)
        assert len(twice.diagram.weights) == len(once.weights)
        assert form(twice.diagram) == form(once)
