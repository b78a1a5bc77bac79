"""Weights: keys are call paths, every weight has its own stream, fans come from named axes, ties and buffers hold."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import anatomy
from anatomy.language.program import Program

AXES = "axis n, m = n, d, h, e, a, c = d\n"
PAIR = AXES + """
diagram score(q: [e], k: [e]) -> [] {
  weight u: [a] ~ xavier
  out dot[a](u, tanh(lin W[e -> a](q) + lin U[e -> a](k)))
}
diagram outer(x: [n, d]) -> [n, m] {
  q = lin Wq[d -> e](x)
  simd n, m { s = score(q, q[n -> m]) + score(q, q[n -> m]) + score@third(q, q[n -> m]) }
  out s
}
""".replace("  simd n, m { s = score(q, q[n -> m]) + score(q, q[n -> m]) + score@third(q, q[n -> m]) }", """  k = q[n -> m]
  simd n, m { s = score(q, k) + score(q, k) + score@third(q, k) }""")


def make(text: str, name: str, sizes: dict[str, int], **more: object) -> nn.Module:
    return anatomy.compile(anatomy.parse(text)[name], sizes, **more)  # type: ignore[arg-type]


def test_keys_are_call_paths() -> None:
    net = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4})
    inner = ["u", "W", "W.bias", "U", "U.bias"]
    assert set(net.state_dict()) == {"Wq", "Wq.bias", *(f"{p}.{k}" for p in ("score", "score_2", "third") for k in inner)}
    assert len(list(net.parameters())) == len(net.state_dict())


def test_a_state_dict_saves_and_loads_strictly_also_inside_a_parent() -> None:
    sizes = {"d": 3, "e": 2, "a": 4}
    first, second = make(PAIR, "outer", sizes, seed=1), make(PAIR, "outer", sizes, seed=2)
    x = torch.randn(5, 3)
    assert not torch.equal(first(x), second(x))
    result = second.load_state_dict(first.state_dict(), strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert torch.equal(first(x), second(x))

    parent, other = nn.Sequential(first, nn.Linear(5, 2)), nn.Sequential(make(PAIR, "outer", sizes, seed=3), nn.Linear(5, 2))
    assert "0.score.W.bias" in parent.state_dict()
    other.load_state_dict(parent.state_dict(), strict=True)
    assert torch.equal(parent(x), other(x))
    twice = nn.ModuleDict({"a": nn.ModuleDict({"b": first}), "c": make(PAIR, "outer", sizes, seed=4)})
    state = {k: v.clone() for k, v in twice.state_dict().items()}
    with torch.no_grad():
        for p in twice.parameters():
            p.zero_()
    twice.load_state_dict(state, strict=True)
    assert all(torch.equal(v, state[k]) for k, v in twice.state_dict().items())


def test_a_wrong_state_dict_is_refused_by_name() -> None:
    net = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4})
    state = net.state_dict()
    lacking = {k: v for k, v in state.items() if k != "score.u"}
    with pytest.raises(RuntimeError, match=r"score[._]u"):
        net.load_state_dict(lacking)
    with pytest.raises(RuntimeError, match="more"):
        net.load_state_dict({**state, "more": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({**state, "score.u": torch.zeros(9)})


def test_copies_pickle_and_moves_keep_the_weights() -> None:
    import copy

    net = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4})
    x = torch.randn(5, 3)
    assert torch.equal(copy.deepcopy(net)(x), net(x))
    assert net.double()(x.double()).dtype == torch.float64
    assert net.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


TIED = AXES + """
diagram twin(x: [n, d]) -> [n, e] {
  y = lin A[d -> e](x) * lin B[d -> e](x)
  tie A, B
  out y
}
"""


def test_a_tie_is_one_parameter_under_two_keys() -> None:
    net = make(TIED, "twin", {"d": 3, "e": 2}, dtype=torch.float64)
    state = net.state_dict()
    assert set(state) == {"A", "B", "A.bias", "B.bias"}
    assert torch.equal(state["A"], state["B"])
    assert len(list(net.parameters())) == 3
    x = torch.randn(5, 3, dtype=torch.float64)
    w = state["A"].clone().requires_grad_()
    want = (x @ w + state["A.bias"]) * (x @ w + state["B.bias"])
    torch.testing.assert_close(net(x), want.detach(), rtol=1e-12, atol=1e-12)
    (mine,) = torch.autograd.grad(net(x).sum(), net.get_parameter("A"))
    (theirs,) = torch.autograd.grad(want.sum(), w)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    other = make(TIED, "twin", {"d": 3, "e": 2}, dtype=torch.float64, seed=9)
    other.load_state_dict(state, strict=True)
    assert torch.equal(other(x), net(x))


def test_ties_work_across_axes_of_equal_size() -> None:
    text = AXES + """
    diagram there_and_back(x: [n, d]) -> [n, d] {
      y = lin A[d -> c, bias=false](x)
      z = lin B[c -> d, bias=false](y)
      tie A, B
      out z
    }
    """
    net = make(text, "there_and_back", {"d": 3}, dtype=torch.float64)
    (w,) = net.parameters()
    x = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(net(x), x @ w @ w, rtol=1e-12, atol=1e-12)


def test_frozen_weights_are_buffers() -> None:
    text = AXES + """
    diagram cold(x: [n, d]) -> [n, e] {
      frozen weight P: [d -> e] ~ normal(1)
      out dot[d](x, P) + lin V[d -> e](x)
    }
    """
    net = make(text, "cold", {"d": 3, "e": 2})
    assert {k for k, _ in net.named_parameters()} == {"V", "V_bias"}
    assert {k for k, _ in net.named_buffers()} == {"P"}
    assert set(net.state_dict()) == {"P", "V", "V.bias"}
    other = make(text, "cold", {"d": 3, "e": 2}, seed=5)
    other.load_state_dict(net.state_dict(), strict=True)
    x = torch.randn(4, 3)
    assert torch.equal(other(x), net(x))
    y = net(x)
    assert y.requires_grad


def test_the_same_seed_draws_the_same_and_another_seed_another() -> None:
    sizes = {"d": 3, "e": 2, "a": 4}
    torch.manual_seed(0)
    first = make(PAIR, "outer", sizes, seed=7).state_dict()
    torch.manual_seed(1)
    second = make(PAIR, "outer", sizes, seed=7).state_dict()
    third = make(PAIR, "outer", sizes, seed=8).state_dict()
    for key, value in first.items():
        assert torch.equal(value, second[key])
        assert key.endswith("bias") or not torch.equal(value, third[key])
    assert not torch.equal(first["score.W"], first["score_2.W"])
    state = torch.get_rng_state()
    make(PAIR, "outer", sizes, seed=7)
    assert torch.equal(torch.get_rng_state(), state)


def test_adding_a_weight_changes_no_other() -> None:
    less = "diagram it(x: [n, d]) -> [n, e] { out lin W[d -> e](x) }"
    more = "diagram it(x: [n, d]) -> [n, e] { y = lin V[d -> e](x) weight g: [e] ~ normal(2) out y + g * lin W[d -> e](x) }"
    a, b = (make(AXES + t, "it", {"d": 5, "e": 4}, seed=3).state_dict() for t in (less, more))
    assert torch.equal(a["W"], b["W"])
    assert not torch.equal(b["V"], b["W"])


def test_a_draw_does_not_depend_on_the_dtype() -> None:
    single = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4})
    double = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4}, dtype=torch.float64)
    for key, value in double.state_dict().items():
        assert torch.equal(single.state_dict()[key], value.float())


BIG = {"d": 96, "h": 8, "e": 40, "a": 300}


@pytest.mark.parametrize(
    ("weight", "fan_in", "fan_out"),
    [("[d -> h, e]", 96, 320), ("[d, h -> e]", 768, 40), ("[h; d -> e]", 96, 40), ("[d, a]", 96, 300), ("[a]", 300, 1)],
)
def test_fans_come_from_named_axes_and_agree_with_nn_init(weight: str, fan_in: int, fan_out: int) -> None:
    matrix = torch.empty(fan_out, fan_in)
    inits = {
        "xavier": nn.init.xavier_uniform_, "xavier_normal": nn.init.xavier_normal_,
        "kaiming": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "lecun": lambda w: nn.init.normal_(w, std=1 / math.sqrt(fan_in)),
    }  # fmt: skip
    for name, init in inits.items():
        axes = weight.replace(";", ",").replace("->", ",").strip("[]").split(",")
        text = AXES + f"diagram it(x: [d]) -> [d] {{ weight W: {weight} ~ {name} out x + 0 * sum[{', '.join(a.strip() for a in axes)}](W) }}"
        drawn = torch.cat([make(text, "it", BIG, seed=s).state_dict()["W"].flatten() for s in range(60 if weight == "[a]" else 1)])
        want = torch.cat([init(matrix).flatten().clone() for _ in range(60 if weight == "[a]" else 1)])
        assert drawn.std().item() == pytest.approx(want.std().item(), rel=0.05), name
        if name in ("xavier", "kaiming"):
            assert drawn.abs().max().item() == pytest.approx(want.abs().max().item(), rel=0.02)


def test_plain_initialisers() -> None:
    wanted = {"normal(0.02)": (0.0, 0.02), "uniform(2)": (0.0, 4 / math.sqrt(12)), "uniform(1, 3)": (2.0, 2 / math.sqrt(12)), "zeros": (0.0, 0.0), "ones": (1.0, 0.0), "constant(-2.5)": (-2.5, 0.0)}
    for init, (mean, std) in wanted.items():
        text = AXES + f"diagram it(x: [d]) -> [d] {{ weight W: [d, a, h] ~ {init} out x + sum[a, h](W) }}"
        w = make(text, "it", BIG).state_dict()["W"]
        assert w.shape == (96, 300, 8)
        assert w.mean().item() == pytest.approx(mean, abs=0.01)
        assert w.std().item() == pytest.approx(std, rel=0.02, abs=1e-7)


def test_lin_starts_as_xavier_with_bias_zero(sample: Program) -> None:
    state = anatomy.compile(sample.get("mha"), {"d": 64, "h": 4}).state_dict()
    bound = math.sqrt(6 / 128)
    for key, value in state.items():
        if key.endswith(".bias"):
            assert not value.any()
        else:
            assert value.abs().max() <= bound
            assert value.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_parameters_can_be_drawn_anew() -> None:
    net = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4}, seed=1)
    net.reset_parameters(5)  # type: ignore[operator]
    want = make(PAIR, "outer", {"d": 3, "e": 2, "a": 4}, seed=5).state_dict()
    assert all(torch.equal(v, want[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(("axes", "fan_in", "fan_out"), [("d -> e", 6, 4), ("e -> d", 4, 6), ("d -> h, e", 6, 12), ("h; d -> e", 6, 4), ("d, e", 6, 4)])
@pytest.mark.parametrize("gain", ["", "(2)"])
def test_orthogonal_is_torchs_law(axes: str, fan_in: int, fan_out: int, gain: str) -> None:
    sizes = {"d": 6, "e": 4, "h": 3}
    words = axes.replace(";", ",").replace("->", ",")
    text = AXES + f"diagram it(x: [d]) -> [d] {{ weight W: [{axes}] ~ orthogonal{gain} out x + 0 * sum[{words}](W) }}"
    lanes = 3 if ";" in axes else 1
    drawn = torch.cat([make(text, "it", sizes, seed=s, dtype=torch.float64).state_dict()["W"].view(lanes, fan_in, fan_out) for s in range(300)])
    scale = 2.0 if gain else 1.0
    few = drawn if fan_in <= fan_out else drawn.mT
    torch.testing.assert_close(few @ few.mT, scale**2 * torch.eye(min(fan_in, fan_out), dtype=torch.float64).expand(len(few), -1, -1), rtol=0, atol=1e-12)
    torch.manual_seed(0)
    want = torch.stack([nn.init.orthogonal_(torch.empty(fan_out, fan_in, dtype=torch.float64), scale).T for _ in range(len(drawn))])
    for moment in (1, 2, 4):  # each entry alike, as under torch
        a, b = (t.pow(moment).mean(0) for t in (drawn, want))
        torch.testing.assert_close(a, b, rtol=0.5, atol=0.25 * scale**moment)
    assert drawn.pow(2).mean().item() == pytest.approx(scale**2 / max(fan_in, fan_out))
    assert drawn.pow(4).mean().item() == pytest.approx(want.pow(4).mean().item(), rel=0.1)
    assert abs(drawn.mean().item()) < 0.05 * scale


def test_identity_maps_every_lane_to_itself() -> None:
    text = AXES + """
    diagram it(x: [n, d]) -> [n, d] where d = h * e, a = e {
      y = lin W[d -> h, e] ~ identity (x)
      z = lin V[h; e -> a] ~ identity (y)
      out merge[h, a -> d](z)
    }
    """
    x = torch.randn(5, 6)
    assert torch.equal(make(text, "it", {"d": 6, "h": 3}, seed=1)(x), x)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("weight W: [d -> e] ~ identity out x + sum[d, e](W)", "E401"),
        ("weight W: [d -> h, c] ~ identity out x + sum[d, h, c](W)", "E401"),
        ("weight W: [d] ~ orthogonal out x * W", "E208"),
        ("weight W: [d, h, e] ~ orthogonal out x + sum[d, h, e](W)", "E208"),
        ("weight W: [h; d] ~ identity out x * sum[h](W)", "E208"),
        ("weight W: [d -> e] ~ orthogonal(1, 2) out x + sum[d, e](W)", "E208"),
        ("weight W: [d -> e] ~ identity(2) out x + sum[d, e](W)", "E208"),
    ],
)
def test_a_matrix_needs_two_sides_and_the_identity_equal_ones(line: str, code: str) -> None:
    with pytest.raises(anatomy.AnatomyError) as caught:
        anatomy.parse(AXES + f"diagram it(x: [n, d]) -> [n, d] {{ {line} }}")["it"]
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert caught.value.diagnostics[0].span is not None


def test_an_identity_remembers_the_order_of_its_axes() -> None:
    one, other = (
        anatomy.parse(AXES + f"diagram it(x: [n, d]) -> [n, h, e] where d = h * e {{ out lin W[d -> {axes}, bias=false] ~ identity (x) }}")["it"]
        for axes in ("h, e", "e, h")
    )
    assert not anatomy.equal(one, other).isomorphic
