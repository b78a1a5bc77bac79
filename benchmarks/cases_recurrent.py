"""Recurrences between their projections, against the forms of fla-core: steps, chunks and the whole triangle."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from cases_cores import BATCH, HEADS, Case, contest, swapped, tensors
from second_parties import E, core, find, fla
from timing import Contest, Run
from torch import Tensor
from torch.nn import functional

N = 1024
LOT = BATCH // 2


def unit(x: Tensor) -> Tensor:
    return functional.normalize(x.detach(), dim=-1).requires_grad_(x.requires_grad)


def gates(gradient: bool, last: int | None = None) -> Tensor:
    """Logarithms of decays, as gates begin: between -0.1 and 0."""
    g = torch.Generator().manual_seed(3)
    shape = (LOT, HEADS, N) if last is None else (LOT, HEADS, N, last)
    return (-0.1 * torch.rand(shape, generator=g)).requires_grad_(gradient)


def strengths(gradient: bool) -> Tensor:
    return torch.rand(LOT, HEADS, N, generator=torch.Generator().manual_seed(4)).requires_grad_(gradient)


def delta_inputs(gradient: bool) -> list[Tensor]:
    q, k, v = tensors(N, 3, LOT, gradient)
    return [unit(q), unit(k), v, strengths(gradient)]


def scaled(run: Run) -> Run:
    """Their queries are divided by the root of their length inside."""
    return lambda q, *rest: run(q * math.sqrt(E), *rest)


def first(run: Run) -> Run:
    return lambda *xs: run(*xs)[0]


def retention(gradient: bool) -> Contest:
    found = contest("retention core", N, gradient, core("retention_core", {"h": HEADS}, ("b",)), LOT)
    return found.against("fla naive, the whole square", lambda: fla("retention", "naive_retention"))


def retention_loop(gradient: bool) -> Contest:
    found = contest("retention core written as a recurrence", N, gradient, core("retention_loop", {"h": HEADS}, ("b",)), LOT)
    decay = torch.log(1 - 2.0 ** (-5 - torch.arange(HEADS))).expand(LOT, N, HEADS)

    def chunks() -> Run:
        run = fla("simple_gla", "naive_chunk_simple_gla")
        return swapped(lambda q, k, v: run(q, k, v, decay))

    found.against("fla naive, the whole square", lambda: fla("retention", "naive_retention"))
    return found.against("fla naive, chunks", chunks)


def decay(gradient: bool) -> Contest:
    found = Contest("scalar decay core", f"b {LOT}, h {HEADS}, n {N}, e {E}", [*tensors(N, 3, LOT, gradient), gates(gradient)]).ours(core("decay_core"))
    for form, name in (("chunks", "chunk"), ("the whole square", "parallel"), ("steps", "recurrent")):
        found.against(f"fla naive, {form}", lambda name=name: swapped(scaled(fla("simple_gla", f"naive_{name}_simple_gla"))))
    return found


def gla(gradient: bool) -> Contest:
    found = Contest("GLA core", f"b {LOT}, h {HEADS}, n {N}, e {E}", [*tensors(N, 3, LOT, gradient), gates(gradient, E)]).ours(core("gla_core"))
    return found.against("fla naive, steps", lambda: swapped(scaled(fla("gla", "naive_recurrent_gla"))))


def delta(gradient: bool) -> Contest:
    found = Contest("delta rule core", f"b {LOT}, h {HEADS}, n {N}, e {E}", delta_inputs(gradient)).ours(core("delta_core"))
    found.against("fla naive, chunks", lambda: first(scaled(fla("delta_rule", "delta_rule_chunkwise"))))
    found.against("fla naive, the whole square", lambda: first(scaled(fla("delta_rule", "delta_rule_parallel"))))
    return found.against("fla naive, steps", lambda: first(scaled(fla("delta_rule", "delta_rule_recurrence"))))


def gated_delta(gradient: bool) -> Contest:
    inputs = [*delta_inputs(gradient), gates(gradient)]
    found = Contest("gated delta core", f"b {LOT}, h {HEADS}, n {N}, e {E}", inputs).ours(core("gated_delta_core"))

    def chunks(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, g: Tensor) -> Tensor:
        return swapped(lambda q, k, v, g, beta: fla("gated_delta_rule", "naive_chunk_gated_delta_rule")(q, k, v, g, beta))(q * math.sqrt(E), k, v, g, beta)

    def transformers() -> Run:
        run = find("transformers.models.qwen3_next.modeling_qwen3_next", "torch_chunk_gated_delta_rule")

        def call(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, g: Tensor) -> Tensor:
            return swapped(lambda q, k, v, g, beta: run(q, k, v, g, beta))(q * math.sqrt(E), k, v, g, beta)

        return call

    found.against("fla naive, chunks", lambda: (fla("gated_delta_rule", "naive_chunk_gated_delta_rule"), chunks)[1])
    found.against("transformers torch_chunk_gated_delta_rule", transformers)
    return found.against("fla naive, steps", lambda: swapped(scaled(fla("gated_delta_rule", "naive_recurrent_gated_delta_rule"))))


def kda(gradient: bool) -> Contest:
    inputs = [*delta_inputs(gradient), gates(gradient, E)]
    found = Contest("KDA core", f"b {LOT}, h {HEADS}, n {N}, e {E}", inputs).ours(core("kda_core"))

    def of_fla(name: str) -> Run:
        run = fla("kda", name)
        return lambda q, k, v, beta, g: swapped(run)(q * math.sqrt(E), k, v, g, beta)

    found.against("fla naive, chunks", lambda: of_fla("naive_chunk_kda"))
    return found.against("fla naive, steps", lambda: of_fla("naive_recurrent_kda"))


def cases() -> Iterator[Case]:
    for make in (retention, retention_loop, decay, gla, delta, gated_delta, kda):
        yield make, (False, True)
