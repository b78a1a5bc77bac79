"""Every mechanism compiles to a module that `torch.export` takes with a free batch, and with free lengths where it serves them."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim

import anatomy
import zoo
from anatomy.claims.head import read_head
from anatomy.claims.sizes import stated_sizes
from anatomy.claims.trial import Trial, same
from anatomy.errors import Source

torch.set_num_threads(1)


def looping(diagram: anatomy.Diagram) -> bool:
    """A loop is written out for as many steps as it is traced with."""
    return any(n.op.body is not None for n in diagram.nodes)


@pytest.mark.parametrize("name", zoo.names())
def test_export_with_a_free_batch_and_free_lengths(name: str) -> None:
    head = read_head(Source(name, zoo.path(name).read_text("utf-8")))
    diagram = anatomy.load(f"zoo:{name}")
    trial = Trial(diagram, stated_sizes(head["sizes"]))
    generic = head.claims["length-generic"].value == "yes" and not looping(diagram)
    lengths = {a for a in trial.token_axes if generic and diagram.sizes[a].as_variable() == a}
    given = {k: v for k, v in trial.chosen.items() if k not in lengths}
    net = anatomy.compile(diagram, given, lift=("b",), dtype=torch.float64)

    def draw(batch: int, **other: int) -> tuple[torch.Tensor, ...]:
        at = {**trial.sizes, **other}
        rows = [trial.inputs(seed, sizes=at) for seed in range(batch)]
        return tuple(torch.stack(x) for x in zip(*rows, strict=True))

    free = {"b": Dim("b", min=2, max=64), **{a: Dim(a, min=9, max=64) for a in lengths}}
    axes = tuple({k: free[a] for k, a in enumerate(("b", *i.layout)) if a in free} for i in diagram.inputs)
    exported = torch.export.export(net, draw(2, **dict.fromkeys(lengths, 12)), dynamic_shapes=axes).module()
    xs = draw(3, **{a: 13 - k for k, a in enumerate(sorted(lengths))})
    torch.manual_seed(0)
    have = exported(*xs)
    torch.manual_seed(0)
    want = net(*xs)
    for a, b in zip(*((y if isinstance(y, tuple) else (y,)) for y in (have, want)), strict=True):
        assert same(a, b, 1e-12)
