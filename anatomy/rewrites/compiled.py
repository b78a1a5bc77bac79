"""The last resort of verification: both sides compiled in float64, for operations that are not evaluated here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.rewrites.tensor import Abstain, Tensor

if TYPE_CHECKING:
    import torch
    from torch import nn


def compiled(
    diagrams: Sequence[Diagram], sizes: Sequence[Mapping[str, int]], given: Mapping[str, Tensor],
    added: Mapping[str, tuple[str, ...]],
) -> list[list[Tensor]]:  # fmt: skip
    """The outputs of each diagram as pairs of a value and a derivative along the direction of the inputs' second numbers.

    Raises Abstain where a diagram cannot be compiled, or an operation has no derivative.
    """
    import torch

    from anatomy.compiler import DIFFERENTIABLE, build

    lift = [f"lift{k}" for k in range(len(added))]
    results = []
    for diagram, known in zip(diagrams, sizes, strict=True):
        try:
            module = build(diagram, known, lift=lift, dtype=torch.float64, passes=DIFFERENTIABLE)
        except AnatomyError as error:
            raise Abstain(f"a side cannot be compiled: {error.diagnostics[0].message}") from error
        results.append(_run(module, diagram, known, given, added))
    return results


def _run(
    module: nn.Module, diagram: Diagram, sizes: Mapping[str, int], given: Mapping[str, Tensor],
    added: Mapping[str, tuple[str, ...]],
) -> list[Tensor]:  # fmt: skip
    import torch

    lifted = dict.fromkeys(added, 2)
    values, ways = {}, {}
    for item in diagram.inputs:
        whole = given[item.name].laid((*added, *item.layout), {**sizes, **lifted})
        values[item.name], ways[item.name] = _tensors(whole, diagram.wires[item.wire].kind.name)
    state, directions = {}, {}
    for w in diagram.weights:
        for key in w.keys:
            state[key], directions[key] = _tensors(given[f"weight {w.key}"], "real")
    names = [i.name for i in diagram.inputs]
    moving = [n for n in names if ways[n] is not None]
    # State dicts and parameters of a module have names of their own, so both points go through the state dict.
    points = []
    for table in (state, directions):
        module.load_state_dict(table, strict=False)
        points.append({k: p.detach().clone() for k, p in (*module.named_parameters(), *module.named_buffers())})

    def call(inputs: tuple[torch.Tensor, ...], weights: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        table = {**values, **dict(zip(moving, inputs, strict=True))}
        made = torch.func.functional_call(module, weights, tuple(table[n] for n in names))
        return made if isinstance(made, tuple) else (made,)

    try:
        made = torch.func.jvp(
            call, (tuple(values[n] for n in moving), points[0]), (tuple(ways[n] for n in moving), points[1])
        )
        primal, tangent = made[0], made[1]
    except (RuntimeError, NotImplementedError) as error:
        raise Abstain(f"no derivative: {error}") from error
    found = []
    for output, value, way in zip(diagram.outputs, primal, tangent, strict=True):
        axes = (*added, *output.layout)
        shape = tuple(value.shape)
        assert len(axes) == len(shape)
        pairs = list(zip(value.detach().double().flatten().tolist(), way.detach().double().flatten().tolist(), strict=True))
        data = [bool(v) for v, _ in pairs] if value.dtype == torch.bool else pairs
        found.append(Tensor(axes, shape, data))
    return found


def _tensors(t: Tensor, kind: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    import torch

    if kind != "real":
        return torch.tensor(t.data).reshape(t.shape), None
    return tuple(torch.tensor([e[k] for e in t.data], dtype=torch.float64).reshape(t.shape) for k in (0, 1))  # type: ignore[return-value]
