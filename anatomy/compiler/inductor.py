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

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

OPTIONS = {"pattern_matcher": False}
"""What `torch.compile` is told, for whoever calls it by themselves."""


def accelerate(module: nn.Module, dynamic: bool | None = None) -> nn.Module:
    """The module itself, whose calls run through Inductor from now on; its attention patterns are off.

    Keys of weights, `source` and `forward` stay as they are (`module.forward` is the eager function). Code is written at the first call and for new shapes;
    with `dynamic` it leaves sizes open at once, by default from the second size on.

    >>> import torch
    >>> module = accelerate(torch.nn.Softmax(-2))
    >>> module.forward(torch.zeros(2, 3))[0, 0].item()
    0.5
    """
    module.compile(options=dict(OPTIONS), dynamic=dynamic)
    return module
