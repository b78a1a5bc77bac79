"""Every mechanism compiles to a module that `torch.export` takes with a free batch and free lengths."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim

import anatomy
import zoo

torch.set_num_threads(1)
GIVEN = {"d": 6, "h": 3, "g": 1, "j": 3, "c": 5, "a": 4, "p": 3}
READ = {"n": 5, "m": 4, "e": 2, "f": 3}


@pytest.mark.parametrize("name", zoo.names())
def test_export_with_a_free_batch_and_free_lengths(name: str) -> None:
    diagram = anatomy.load(f"zoo:{name}")
    generic = zoo.metadata(name)["claims"]["length-generic"] == "yes"
    sizes = {k: v for k, v in {**GIVEN, **({} if generic else {"n": 5})}.items() if k in diagram.sizes}
    net = anatomy.compile(diagram, sizes, lift=("b",), dtype=torch.float64)

    def draw(batch: int, **tokens: int) -> tuple[torch.Tensor, ...]:
        at = {**GIVEN, **READ, **tokens}
        return tuple(torch.randn(batch, *(at[a] for a in i.layout), dtype=torch.float64) for i in diagram.inputs)

    free = {"b": Dim("b", min=2, max=64), **({"n": Dim("n", min=2, max=64), "m": Dim("m", min=2, max=64)} if generic else {})}
    axes = tuple({k: free[a] for k, a in enumerate(("b", *i.layout)) if a in free} for i in diagram.inputs)
    exported = torch.export.export(net, draw(2), dynamic_shapes=axes).module()
    xs = draw(3, n=9, m=7) if generic else draw(3)
    torch.testing.assert_close(exported(*xs), net(*xs), rtol=1e-12, atol=1e-12)
