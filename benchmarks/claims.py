"""Claims that are not one computation against another: bytes kept for gradients, seconds to a module, models side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import bench_compiled as written
import torch
from cases_cores import causal, causal_quadratic, plain, quadratic, tensors
from cases_modules import ByHand, layer
from second_parties import HERE, core
from timing import Bar, Contest, Run
from torch import Tensor, nn

import anatomy
from anatomy.claims.trial import Trial
from anatomy.compiler import build
from anatomy.library.entry import entries

SAVED = 0.10
SOURCE = 20.0
MEMBERS = 16


def kept(run: Run, inputs: list[Tensor]) -> int:
    """Bytes of all tensors that a forward pass keeps for its gradient, every storage once, weights and inputs left out."""
    weights = list(run.parameters()) if isinstance(run, nn.Module) else []
    there = {x.untyped_storage().data_ptr() for x in (*weights, *inputs)}
    found: dict[int, int] = {}
    held = []

    def pack(x: Tensor) -> Tensor:
        held.append(x)  # so that no address is given again
        found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        y = run(*inputs)
    del y
    return sum(size for at, size in found.items() if at not in there)


def saved() -> list[dict[str, Any]]:
    """What is kept at n = 1,024, ours and as written."""
    n = 1024
    net = layer("mha", d=512, h=8)
    causal_net = layer("causal_mha", d=512, h=8)
    x = [torch.randn(2, n, 512, requires_grad=True)]
    cases: list[tuple[str, Run, Run, list[Tensor], float | None]] = [
        ("softmax core", core("softmax_core"), plain, tensors(n), SAVED),
        ("causal core", core("causal_core"), causal, tensors(n), SAVED),
        ("linear core", core("zoo:linear::linear_core"), quadratic, tensors(n), None),
        ("causal_linear core", core("zoo:causal_linear::causal_linear_core"), causal_quadratic, tensors(n), None),
        ("mha, the whole layer", net, ByHand(net, written.mha_obvious), x, None),
        ("causal_mha, the whole layer", causal_net, ByHand(causal_net, written.causal_obvious), x, None),
    ]
    rows = []
    for name, ours, obvious, inputs, bar in cases:
        mine, theirs = kept(ours, inputs), kept(obvious, inputs)
        rows.append({"case": name, "n": n, "ours_mib": mine / 2**20, "as_written_mib": theirs / 2**20, "ratio": mine / theirs, "bar": bar})
    return rows


def generated(repetitions: int = 3) -> dict[str, Any]:
    """Processor milliseconds from a checked diagram to a module with weights, over the zoo at its small sizes."""
    first, least = {}, {}
    for entry in entries():
        diagram = anatomy.load(f"zoo:{entry.name}")
        stated = {p.split("=")[0].strip(): int(p.split("=")[1]) for p in (entry.head["sizes"] or "").split(",") if "=" in p}
        sizes = dict(Trial(diagram, stated).chosen)
        times = []
        for _ in range(repetitions):
            started = time.process_time()
            build(diagram, sizes, ("b",))
            times.append(1e3 * (time.process_time() - started))
        first[entry.name], least[entry.name] = times[0], min(times)

    def told(times: dict[str, float]) -> dict[str, Any]:
        worst = sorted(times, key=times.__getitem__, reverse=True)[:5]
        under = sum(t < SOURCE for t in times.values())
        return {"median_ms": statistics.median(times.values()), "worst": {k: times[k] for k in worst}, "below_the_bar": under, "of": len(times)}

    return {"repetitions": repetitions, "bar_ms": SOURCE, "first": told(first), "least": told(least)}


def ensemble(gradient: bool) -> Contest:
    """Sixteen tiny models in one module against one after the other."""
    n, d, h, batch = 16, 16, 2, 4
    diagram, sizes = anatomy.load(f"{HERE / 'cores.anat'}::tiny_block"), {"d": d, "h": h}
    nets: Any = anatomy.compile(diagram, sizes, ("b",), ensemble=MEMBERS)
    x = torch.randn(MEMBERS, batch, n, d, requires_grad=gradient)
    found = Contest(f"{MEMBERS} tiny blocks", f"b {batch}, n {n}, d {d}, h {h}", [x]).ours(nets)

    def one_by_one() -> Run:
        members = nn.ModuleList(anatomy.compile(diagram, sizes, ("b",)) for _ in range(MEMBERS))
        for k, member in enumerate(members):
            member.load_state_dict(nets.member(k))

        class Loop(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.members = members

            def forward(self, x: Tensor) -> Tensor:
                return torch.stack([net(y) for net, y in zip(self.members, x.unbind(0), strict=True)])

        return Loop()

    def mapped() -> Run:
        one: Any = build(diagram, sizes, ("b",), passes=())
        stacked = {k: torch.stack([nets.member(m)[k] for m in range(MEMBERS)]).requires_grad_() for k in one.state_dict()}
        attributes = {key: name for name, keys in one.KEYS.items() for key in keys}

        def call(weights: dict[str, Tensor], x: Tensor) -> Tensor:
            return torch.func.functional_call(one, weights, (x,))

        class Mapped(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.held = nn.ParameterDict({attributes.get(k, k): nn.Parameter(v.detach()) for k, v in stacked.items()})

            def forward(self, x: Tensor) -> Tensor:
                return torch.func.vmap(call)(dict(self.held.items()), x)

        return Mapped()

    found.against("one after the other", one_by_one, Bar(1 / 4, "at least 4 times faster"))
    return found.against("torch.func.vmap over one", mapped)


CLAIMS: list[Callable[[bool], Contest]] = [ensemble]
