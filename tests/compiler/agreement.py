"""Optimised source against plain source, forward and backward: what the tests of the passes have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import anatomy
from anatomy.claims.trial import Trial
from anatomy.compiler import ALL, build
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import solve
from anatomy.language.program import Program
from anatomy.library.entry import entries

ENTRIES = {e.name: e for e in entries()}


@cache
def diagram(text: str) -> Diagram:
    """The last diagram of a text without errors."""
    program = Program.of(Source("test.anat", text))
    assert not [found for found in program.check() if found.code.startswith("E")]
    return program.get(program.names()[-1])


def numbers(d: Diagram, sizes: Mapping[str, int], seed: int, lift: Sequence[int], strided: bool = False) -> list[Tensor]:
    """Inputs in float64, every other entry of twice as many where they are to be strided."""
    g = torch.Generator().manual_seed(seed)
    known = solve(d, sizes)
    out = []
    for i in d.inputs:
        shape = [*lift, *(known.size(d.sizes[a]).constant() or 5 for a in i.layout)]
        kind = d.wires[i.wire].kind
        if kind.name == "real":
            x = torch.randn([*shape[:-1], 2 * shape[-1]] if strided and shape else shape, dtype=torch.float64, generator=g)
            x = x[..., ::2] if strided and shape else x
            out.append(x.requires_grad_(True))
        elif kind.name == "mask":
            out.append(torch.rand(shape, generator=g) > 0.3)
        else:
            most = known.size(d.sizes[kind.axis]).constant() or 1
            out.append(torch.randint(0, most, shape, generator=g))
    return out


def results(net: nn.Module, inputs: list[Tensor], seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and gradients of a random linear function of them by the real inputs and the weights."""
    made: Any = net(*inputs)
    outs = list(made) if isinstance(made, tuple) else [made]
    g = torch.Generator().manual_seed(seed)
    seeds = [torch.randn(y.shape, dtype=torch.float64, generator=g) for y in outs]
    by = [x for x in inputs if x.requires_grad] + list(net.parameters())
    total = sum((y * s).sum() for y, s in zip(outs, seeds, strict=True) if y.requires_grad)
    if not isinstance(total, Tensor) or not by:
        return outs, []
    found = torch.autograd.grad(total, by, allow_unused=True)
    return outs, [torch.zeros_like(x) if a is None else a for x, a in zip(by, found, strict=True)]


def agree(d: Diagram, sizes: Mapping[str, int], lift: Mapping[str, int], strided: bool = False, spread: float = 1.0) -> None:
    nets = [build(d, sizes, tuple(lift), 0, torch.float64, passes) for passes in ((), ALL)]
    g = torch.Generator().manual_seed(3)
    for p in nets[0].parameters():
        nn.init.normal_(p, std=spread, generator=g)
    nets[1].load_state_dict(nets[0].state_dict())
    inputs = numbers(d, sizes, 5, tuple(lift.values()), strided)
    plain, ours = (results(net, inputs, 7) for net in nets)
    for a, b in zip([*plain[0], *plain[1]], [*ours[0], *ours[1]], strict=True):
        scale = float(a.detach().double().abs().max()) if a.numel() else 0.0
        assert float((a - b).detach().double().abs().max() if a.numel() else 0.0) <= 1e-9 * (1 + scale)


def sizes_of(name: str) -> tuple[Diagram, dict[str, int]]:
    d = anatomy.load(f"zoo:{name}")
    stated = {p.split("=")[0].strip(): int(p.split("=")[1]) for p in (ENTRIES[name].head["sizes"] or "").split(",") if "=" in p}
    return d, dict(Trial(d, stated).chosen)
