"""`accelerate`: what Inductor makes of a module is the module, also where a plain `torch.compile` is wrong."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import anatomy
from anatomy.claims.trial import Trial
from anatomy.compiler import ALL, build
from anatomy.compiler.inductor import OPTIONS, SMALL, options
from anatomy.ir.solve import solve
from anatomy.library.entry import entries

torch.set_num_threads(1)
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Inductor's own
    pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="Inductor needs a C++ compiler"),
]


class Competing(nn.Module):
    """Inverted attention as anybody would write it: queries compete for keys."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax((q @ k.transpose(-2, -1)) / math.sqrt(64), self.axis) @ v


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    """Nothing compiled before is taken again."""
    torch._dynamo.reset()
    with torch._inductor.utils.fresh_cache():
        yield
    torch._dynamo.reset()


def qkv() -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(2, 4, 32, 64, generator=g) for _ in range(3)]


@pytest.mark.parametrize(
    ("devices", "numbers", "graphs", "chosen"),
    [
        ({"cuda"}, SMALL, None, True), ({"cuda"}, SMALL + 1, None, False), ({"cuda"}, SMALL + 1, True, True), ({"cuda"}, 1, False, False),
        ({"cpu"}, 1, True, False), ({"cuda", "cpu"}, 1, True, False), (set(), 0, None, False),
    ],
)  # fmt: skip
def test_which_modules_are_asked_for_as_cuda_graphs(devices: set[str], numbers: int, graphs: bool | None, chosen: bool) -> None:
    """The selection alone: there is no GPU here to run the graphs on."""
    found = options(devices, numbers, graphs)
    assert found.get("triton.cudagraphs", False) == chosen
    assert found["pattern_matcher"] is False
    assert OPTIONS == {"pattern_matcher": False}


@pytest.mark.parametrize("axis", [-2, 1, 0])
def test_plain_torch_compile_is_wrong_where_accelerate_is_right(axis: int) -> None:
    net, inputs = Competing(axis), qkv()
    with torch.no_grad():
        right = net.forward(*inputs)
        plain = torch.compile(net)(*inputs)
        torch._dynamo.reset()
        ours = anatomy.accelerate(net)(*inputs)
    torch.testing.assert_close(ours, right, rtol=1e-5, atol=1e-5)
    off = float((plain - right).abs().max())
    if off < 1e-4:
        pytest.skip(f"torch {torch.__version__} has mended pytorch issue 196468 for axis {axis}")
    assert off > 0.1 * float(right.abs().max()), "neither right nor the wrong answer that is known"


def test_the_option_is_what_keeps_the_kernel_out() -> None:
    """The attention that Inductor recognises rightly is left as written too, so nothing of its matching is on."""
    from torch._dynamo.utils import counters

    counters.clear()
    with torch.no_grad():
        anatomy.accelerate(Competing(-1))(*qkv())
    assert counters["inductor"]["fuse_attention"] == 0
    assert OPTIONS == {"pattern_matcher": False}


def test_keys_source_and_the_eager_function_stay() -> None:
    net = anatomy.compile(anatomy.load("zoo:mha"), {"d": 8, "h": 2}, lift=("b",))
    keys, source = list(net.state_dict()), net.source
    assert anatomy.accelerate(net) is net
    assert (list(net.state_dict()), net.source) == (keys, source)
    assert net.forward(torch.zeros(1, 3, 8)).shape == (1, 3, 8)


CASES = ["inverted", "slot", "efficient", "xca", "aft_simple", "lambda_layer"]
"""Entries whose softmax is over queries, slots, channels, or tokens in front of channels."""


@pytest.mark.slow
@pytest.mark.parametrize("passes", [(), ALL], ids=["plain", "optimised"])
@pytest.mark.parametrize("name", CASES)
def test_softmax_over_any_axis_through_inductor(name: str, passes: tuple[str, ...]) -> None:
    """Outputs and gradients of the training graph in float64, and outputs of the graph without gradients."""
    head = next(e for e in entries() if e.name == name).head
    diagram = anatomy.load(f"zoo:{name}")
    stated = {p.split("=")[0].strip(): int(p.split("=")[1]) for p in (head["sizes"] or "").split(",") if "=" in p}
    sizes = dict(Trial(diagram, stated).chosen)
    net = build(diagram, sizes, ("b",), 0, torch.float64, passes)
    g = torch.Generator().manual_seed(1)
    known = solve(diagram, sizes)
    shapes = [[known.size(diagram.sizes[a]).constant() or 5 for a in i.layout] for i in diagram.inputs]
    inputs = [torch.randn(3, *shape, dtype=torch.float64, generator=g).requires_grad_() for shape in shapes]
    leaves = [*inputs, *(p for p in net.parameters() if p.requires_grad)]
    right = net.forward(*inputs)
    probe = torch.randn(right.shape, dtype=torch.float64, generator=g)
    wanted = torch.autograd.grad((right * probe).sum(), leaves, allow_unused=True)
    anatomy.accelerate(net)
    made = net(*inputs)
    found = torch.autograd.grad((made * probe).sum(), leaves, allow_unused=True)
    with torch.no_grad():
        alone = net(*inputs)
    for a, b in zip((made, alone, *found), (right, right, *wanted), strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
