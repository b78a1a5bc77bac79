"""Sizes at compile time and at run time: solved, read from inputs, or refused with the numbers and the place."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import anatomy
from anatomy import AnatomyError
from anatomy.compiler import generate, solve
from anatomy.language.program import Program

AXES = "axis n, m, d, h, e, a, r, k, w\n"


def parsed(text: str, name: str = "it") -> anatomy.Diagram:
    return anatomy.parse(AXES + text)[name]


def message(info: pytest.ExceptionInfo[AnatomyError]) -> str:
    return str(info.value)


def test_the_rest_is_solved(sample: Program) -> None:
    mha = sample.get("mha")
    assert solve(mha, {"d": 512, "h": 8}).values["e"] == 64
    assert solve(mha, {"h": 8, "e": 64}).size(mha.sizes["d"]).constant() == 512
    assert solve(mha, {"d": 512, "e": 64}).values["h"] == 8
    assert solve(mha, {"d": 512, "e": 64, "h": 8}).values["h"] == 8
    gqa = sample.get("gqa")
    solution = solve(gqa, {"d": 96, "g": 2, "j": 3})
    assert solution.values["e" if "e" in solution.values else "rope.r"] in (16, 8)
    assert solution.size(gqa.sizes["e"]).constant() == 16


def test_contradictions_say_the_numbers(sample: Program) -> None:
    mha = sample.get("mha")
    with pytest.raises(AnatomyError, match="512 is not divisible by 7") as info:
        solve(mha, {"d": 512, "h": 7})
    assert info.value.diagnostics[0].code == "E402"
    with pytest.raises(AnatomyError, match=r"E402.*512.*520|E402.*520.*512"):
        solve(mha, {"d": 512, "h": 8, "e": 65})
    with pytest.raises(AnatomyError, match="E402"):
        solve(sample.get("rope"), {"e": 7})
    with pytest.raises(AnatomyError, match="E402"):
        solve(sample.get("gqa"), {"d": 18, "g": 2, "j": 3})


@pytest.mark.parametrize(("given", "code"), [({"d": 0}, "E405"), ({"d": -4}, "E405"), ({"d": 2**40 + 1}, "E405"), ({"d": 2.5}, "E405"), ({"d": True}, "E405"), ({"z": 3}, "E406")])
def test_bad_sizes_are_refused(sample: Program, given: dict[str, int], code: str) -> None:
    with pytest.raises(AnatomyError) as info:
        solve(sample.get("mha"), given)
    assert info.value.diagnostics[0].code == code


def test_a_size_of_a_declared_axis_that_is_not_used_is_ignored(sample: Program) -> None:
    assert "g" not in solve(sample.get("mha"), {"d": 6, "h": 2, "g": 5}).values


def test_missing_sizes_name_the_weight_and_how_to_give_them(sample: Program) -> None:
    with pytest.raises(AnatomyError) as info:
        generate(sample.get("mha"), {"d": 512})
    assert info.value.diagnostics[0].code == "E403"
    assert "Wq" in message(info)
    assert re.search(r"--size [eh]=", message(info))
    with pytest.raises(AnatomyError, match=r"E403.*`T[12]`"):
        generate(sample.get("mixer"), {"d": 4, "p": 3, "c": 2})


def test_a_size_by_default_may_need_another_size_by_default() -> None:
    text = """
    axis n, e, p = 2 * e, r = p + 1
    diagram inner(x: [e]) -> [r] { out lin W[e -> r](x) }
    diagram outer(x: [n, e]) -> [n] { out sum[r](inner(x)) }
    """
    assert anatomy.compile(anatomy.parse(text)["outer"], {"e": 3}).state_dict()["inner.W"].shape == (3, 7)


def test_a_proof_fixes_no_more_sizes_than_it_needs() -> None:
    text = "axis n, d, a = 2 * d, c = 2 * a  diagram it(x: [n, d]) -> [n, a] { u, v = halves[c -> a](lin W[d -> c](x)) out u * v }"
    assert anatomy.compile(anatomy.parse(text)["it"], {"d": 3}).state_dict()["W"].shape == (3, 12)
    assert anatomy.compile(anatomy.parse(text)["it"], {"d": 3, "a": 5}).state_dict()["W"].shape == (3, 10)


def test_tokens_are_read_from_the_input(sample: Program) -> None:
    net = anatomy.compile(sample.get("mha"), {"d": 6, "h": 2})
    for n in (1, 2, 9):
        assert net(torch.zeros(n, 6)).shape == (n, 6)
    fixed = anatomy.compile(sample.get("mha"), {"d": 6, "h": 2, "n": 4})
    with pytest.raises(ValueError, match=r"axis `n`.*is 4"):
        fixed(torch.zeros(5, 6))


def test_features_without_weights_are_read_from_the_input(sample: Program) -> None:
    net = anatomy.compile(sample.get("rope"), {})
    assert net(torch.zeros(3, 6)).shape == (3, 6)
    assert net(torch.zeros(3, 10)).shape == (3, 10)
    with pytest.raises(ValueError, match="7 is not divisible by 2"):
        net(torch.zeros(3, 7))


def test_equations_between_inputs_hold_at_run_time() -> None:
    it = parsed("diagram it(x: [n], y: [m], z: [k]) -> [k] where k = n + m { out cat[n, m -> k](x, y) * z }")
    net = anatomy.compile(it, {})
    assert net(torch.ones(2), torch.ones(3), torch.ones(5)).shape == (5,)
    with pytest.raises(ValueError, match=r"it: .*`k = m \+ n`|it: .*`k = n \+ m`"):
        net(torch.ones(2), torch.ones(3), torch.ones(6))


INNER = """
diagram score(q: [e], k1: [e]) -> [] {
  weight u: [a] ~ xavier
  out dot[a](u, lin W[e -> a](q) * lin U[e -> a](k1))
}
diagram it(x: [n, e], y: [n, e]) -> [n] { out score(x, y) + score@second(y, x) }
diagram bound(x: [n, e], y: [n, e]) -> [n] { out score[a=h](x, y) + score@second[a=w](y, x) }
"""


def shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {k: tuple(v.shape) for k, v in net.state_dict().items() if k.endswith("u")}


def test_a_size_by_name_serves_the_axes_of_that_name_outside_and_inside() -> None:
    text = """
diagram near(s: [n, m]) -> [n, m] { out mask(n - m < size[w], s) }
diagram it(s: [n, m]) -> [n, m] { out near(s) / size[w] }
"""
    net = anatomy.compile(parsed(text), {"w": 2})
    assert net(torch.ones(3, 3)).isinf().sum() == 1
    assert anatomy.compile(parsed(text), {"w": 2, "near.w": 1})(torch.ones(3, 3)).isinf().sum() == 3


def test_internal_axes_by_name_by_path_and_by_binding() -> None:
    it, bound = parsed(INNER), parsed(INNER, "bound")
    with pytest.raises(AnatomyError, match="E403") as info:
        anatomy.compile(it, {"e": 3})
    assert "score" in message(info)
    assert shapes(anatomy.compile(it, {"e": 3, "a": 5})) == {"score.u": (5,), "second.u": (5,)}
    assert shapes(anatomy.compile(it, {"e": 3, "score.a": 5, "second.a": 2})) == {"score.u": (5,), "second.u": (2,)}
    assert shapes(anatomy.compile(it, {"e": 3, "score.a": 5, "a": 2})) == {"score.u": (5,), "second.u": (2,)}
    assert shapes(anatomy.compile(bound, {"e": 3, "h": 5, "w": 2})) == {"score.u": (5,), "second.u": (2,)}
    x, y = torch.randn(2, 4, 3)
    assert anatomy.compile(it, {"e": 3, "score.a": 5, "second.a": 2})(x, y).shape == (4,)


def test_declared_sizes_are_defaults_only() -> None:
    text = "axis n, d = 6, c = 4 * d diagram it(x: [n, d]) -> [n, c] { out lin W[d -> c](x) }"
    it = anatomy.parse(text)["it"]
    assert anatomy.compile(it, {}).state_dict()["W"].shape == (6, 24)
    assert anatomy.compile(it, {"d": 2}).state_dict()["W"].shape == (2, 8)
    assert anatomy.compile(it, {"d": 2, "c": 5}).state_dict()["W"].shape == (2, 5)


def test_cross_attention_of_unequal_lengths_although_m_equals_n_is_licensed(sample: Program) -> None:
    net = anatomy.compile(sample.get("sdpa"), {})
    assert net(torch.zeros(3, 4), torch.zeros(7, 4), torch.zeros(7, 2)).shape == (3, 2)


# at run time -----------------------------------------------------------------------------------------


def test_a_wrong_size_names_input_axis_and_line(sample: Program) -> None:
    net = anatomy.compile(sample.get("sdpa"), {}, lift=("b",))
    q, k, v = torch.zeros(2, 3, 4), torch.zeros(2, 5, 4), torch.zeros(2, 5, 6)
    net(q, k, v)
    line = next(i + 1 for i, text in enumerate(sample.root.source.text.splitlines()) if text.startswith("diagram sdpa"))
    with pytest.raises(ValueError, match=rf"sdpa: input `v` has size 6 on axis `m` \(dimension 1\), but `m` is 5 \(sample.anat:{line}\)"):
        net(q, k, torch.zeros(2, 6, 6))
    with pytest.raises(ValueError, match=r"input `k` has size 3 on axis `e`"):
        net(q, torch.zeros(2, 5, 3), v)
    with pytest.raises(ValueError, match=r"input `k` has size 1 on axis `b`"):
        net(q, k[:1], v)
    with pytest.raises(ValueError, match=rf"input `q` has 2 dimensions \(3, 4\), but its axes are \[b, n, e\] \(sample.anat:{line}\)"):
        net(q[0], k, v)


def test_nothing_is_broadcast_in_silence(sample: Program) -> None:
    net = anatomy.compile(sample.get("mha"), {"d": 6, "h": 2})
    with pytest.raises(ValueError, match=r"input `x` has size 1 on axis `d`.*`d` is 6"):
        net(torch.zeros(3, 1))
    with pytest.raises(ValueError, match="3 dimensions"):
        net(torch.zeros(1, 3, 6))


@pytest.mark.parametrize("axis", ["n", "d", "e"])
def test_an_axis_of_the_diagram_cannot_be_lifted(sample: Program, axis: str) -> None:
    with pytest.raises(AnatomyError, match="E407"):
        anatomy.compile(sample.get("mha"), {"d": 6, "h": 2}, lift=(axis,))


def test_a_lift_is_named_once(sample: Program) -> None:
    with pytest.raises(AnatomyError, match="E407"):
        anatomy.compile(sample.get("mha"), {"d": 6, "h": 2}, lift=("b", "b"))


@pytest.mark.parametrize("sizes", [{"d": 1, "h": 1}, {"d": 7, "h": 7}, {"d": 5, "h": 1}])
def test_sizes_of_one(sample: Program, sizes: dict[str, int]) -> None:
    net = anatomy.compile(sample.get("mha"), sizes, lift=("b",))
    for shape in ((1, 1), (3, 1), (1, 4)):
        y = net(torch.randn(*shape, sizes["d"]))
        assert y.shape == (*shape, sizes["d"])
        assert torch.isfinite(y).all()


def test_empty_batches_pass_through(sample: Program) -> None:
    net = anatomy.compile(sample.get("mha"), {"d": 6, "h": 2}, lift=("b",))
    assert net(torch.zeros(0, 3, 6)).shape == (0, 3, 6)
