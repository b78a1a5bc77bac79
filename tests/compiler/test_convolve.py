"""Windows of entries under taps as convolutions, of every kind of taps, keep the function."""

from __future__ import annotations

import pytest
import torch

import anatomy
from anatomy.compiler import generate
from tests.compiler.agreement import agree, diagram

torch.set_num_threads(1)


TAPS = {
    # name: taps, further inputs, what the code calls
    "for_features": ("weight w: [h, e, j] ~ normal(1)", "", "F.conv1d"),
    "turned_round": ("weight w: [j, e, h] ~ normal(1)", "", "F.conv1d"),
    "for_heads": ("weight w: [h, j] ~ normal(1)", "", "F.conv1d"),
    "for_all": ("weight w: [j] ~ normal(1)", "", "F.conv1d"),
    "normalised": ("weight v: [h, j] ~ normal(1)\n  w = softmax[j](v)", "", "F.conv1d"),
    "for_positions": ("w = tanh(lin W[e -> j, bias=false](x))", "", "_taps"),
    "given": ("", ", w: [n, h, j]", "_taps"),
    "given_for_inputs": ("", ", w: [h, j]", "_taps"),
}


@pytest.mark.parametrize("options", ["", ", centred=true", ", step=2", ", step=3, centred=true"])
@pytest.mark.parametrize("name", TAPS)
def test_taps(name: str, options: str) -> None:
    line, more, call = TAPS[name]
    d = diagram(f"""
axis n, h, e, j
diagram windows(x: [n, h, e]{more}) -> [n, h, e] {{
  {line}
  out dot[j](w, unfold[n -> j{options}](x))
}}
""")
    for sizes in ({"h": 2, "e": 3, "j": 4}, {"h": 3, "e": 1, "j": 3}, {"h": 1, "e": 2, "j": 1}):
        made = generate(d, sizes, ("b",))
        assert call in made.source
        assert "_unfold" not in made.source
        assert any(n.name == "convolve" for n in made.notes)
        for lift in ({}, {"b": 3}, {"b": 2, "c": 3}):
            agree(d, sizes, lift, strided=bool(lift))


def test_a_window_that_is_read_twice_stays_one() -> None:
    d = diagram("axis n, d, j\ndiagram windows(x: [n, d]) -> [n, d] { weight w: [j] ~ normal(1)\n u = unfold[n -> j](x)\n out dot[j](w, u) + sum[j](tanh(u)) }")
    assert "_unfold" in generate(d, {"d": 2, "j": 3}).source
    agree(d, {"d": 2, "j": 3}, {"b": 2})


def test_convolutions_of_features_alone() -> None:
    d = diagram("axis n, j\ndiagram windows(x: [n]) -> [n] { weight w: [j] ~ normal(1)\n out dot[j](w, unfold[n -> j](x)) }")
    for lift in ({}, {"b": 3}, {"b": 2, "c": 3}):
        agree(d, {"j": 3}, lift)


def test_lengths_that_are_traced() -> None:
    net = anatomy.compile(anatomy.load("zoo:lightweight_conv"), {"d": 8, "h": 2})
    x = torch.randn(9, 8)
    program = torch.export.export(net, (x,), dynamic_shapes={"x": {0: torch.export.Dim("n", min=2, max=64)}})
    torch.testing.assert_close(program.module()(torch.ones(5, 8)), net(torch.ones(5, 8)))
    torch.testing.assert_close(torch.func.vmap(net)(x[None]), net(x)[None])
