"""`torch.compile` with the part that is wrong for attention switched off.

Converts: a module, ours or anybody's, to one whose calls run the code that Inductor writes for it, with the same numbers.

Inductor looks in a graph for the spellings of softmax attention and replaces what it takes for one by
`scaled_dot_product_attention`. In 2.13 its patterns do not ask which axis the softmax is over, so that attention which
normalises over queries, heads or the batch silently becomes another function (pytorch issue 196468, open as of 2.13); keys that
are permuted (195320) and operands of five axes (195589) are matched wrongly too and end in an exception. What such a fusion would
win is won already where the source calls the kernel itself, as generated source does. So Inductor's matching of patterns is off
for that module, and for no other of the process.

Non-goals: fewer numerical differences than Inductor has by itself (it fuses and reorders sums; in float64 they are of the size
of rounding), a guarantee about other backends, and speed: on a CPU it costs seconds for a module and wins a tenth or so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

OPTIONS = {"pattern_matcher": False}
"""What `torch.compile` is told, for whoever calls it by themselves."""
SMALL = 2**20
"""Numbers in the weights of a module up to which starting its kernels is what takes the time on a GPU."""


def options(devices: Collection[str], numbers: int, graphs: bool | None = None) -> dict[str, bool]:
    """What Inductor is told of a module with so many numbers on these devices; CUDA graphs for small ones that are on a GPU whole.

    >>> options({"cuda"}, 1000)
    {'pattern_matcher': False, 'triton.cudagraphs': True}
    >>> options({"cpu"}, 1000)
    {'pattern_matcher': False}
    """
    chosen = set(devices) == {"cuda"} and (numbers <= SMALL if graphs is None else graphs)
    return OPTIONS | {"triton.cudagraphs": True} if chosen else dict(OPTIONS)


def accelerate(module: nn.Module, dynamic: bool | None = None, graphs: bool | None = None) -> nn.Module:
    """The module itself, whose calls run through Inductor from now on; its attention patterns are off.

    Keys of weights, `source` and `forward` stay as they are (`module.forward` is the eager function). Code is written at the first call and for new shapes;
    with `dynamic` it leaves sizes open at once, by default from the second size on. `graphs` asks for CUDA graphs where all weights are on a GPU, by default
    for small modules; which options are chosen is tested, the graphs themselves are not, for want of a GPU.

    >>> import torch
    >>> module = accelerate(torch.nn.Softmax(-2))
    >>> module.forward(torch.zeros(2, 3))[0, 0].item()
    0.5
    """
    held = [*module.parameters(), *module.buffers()]
    chosen = options({t.device.type for t in held}, sum(t.numel() for t in held), graphs)
    module.compile(options=dict(chosen), dynamic=dynamic)
    return module
