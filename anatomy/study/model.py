"""What a study asks of a model: inputs of its attention layers on real text, and each layer as our diagram."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from anatomy.ir.graph import Diagram


@dataclass(frozen=True)
class Head:
    """One head: scores are x Q (y K)^T, values y V, with the scale in Q and the output projection in V."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor


@dataclass(frozen=True)
class Attention:
    """One layer's attention as a compiled diagram; `plain`: without positions or biases, so that published theorems apply."""

    diagram: Diagram
    sizes: Mapping[str, int]
    module: nn.Module
    masked: bool
    plain: bool

    @cached_property
    def double(self) -> nn.Module:
        """The same module in float64, without gradients of its weights."""
        return frozen(copy.deepcopy(self.module).double())

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        return {key: value.detach().numpy() for key, value in self.double.state_dict().items()}

    @cached_property
    def heads(self) -> list[Head]:
        """The weights by heads; heads of a group share keys and values."""
        weights = {key: value.detach() for key, value in self.double.state_dict().items()}
        width = weights["Wq"].shape[0]
        e, f = weights["Wq"].shape[-1], weights["Wv"].shape[-1]
        query = weights["Wq"].reshape(width, -1, e)
        key, value = weights["Wk"].reshape(width, -1, e), weights["Wv"].reshape(width, -1, f)
        output = weights["Wo"].reshape(-1, f, width)
        count = query.shape[1]
        per = count // key.shape[1]
        return [Head(query[:, i] / e**0.5, key[:, i // per], value[:, i // per], output[i]) for i in range(count)]


class Model(Protocol):
    """A model with attention layers; `source` says where its weights come from."""

    name: str
    title: str
    source: str
    width: int
    depth: int

    def windows(self, n: int, count: int, seed: int) -> Tensor: ...

    def inputs(self, tokens: Tensor, layers: Sequence[int]) -> dict[int, Tensor]: ...

    def attention(self, layer: int, masked: bool) -> Attention: ...

    def agreement(self, tokens: Tensor, layer: int) -> float | None: ...


def chosen(depth: int, layers: str) -> tuple[int, ...]:
    """The layers that a setting means: `middle`, or `first, middle, last`.

    >>> chosen(12, "first, middle, last")
    (0, 6, 11)
    """
    return (depth // 2,) if layers == "middle" else (0, depth // 2, depth - 1)


def frozen(module: nn.Module) -> Any:
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module.eval()
