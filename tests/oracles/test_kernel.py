"""Attention without the n x m matrix, against its authors' and lucidrains' cores."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from .common import SINGLE, Ours, agree, qkv


@pytest.mark.against("linear", "performer_pytorch.performer_pytorch.linear_attention")
def test_the_core_of_linear_is_performers_without_random_features(party: Any) -> None:
    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return party(functional.elu(q) + 1, functional.elu(k) + 1, v)

    agree(Ours("linear::linear_core", lift=("b", "h")), theirs, qkv(4, 6, 5, 3))


@pytest.mark.against("linear", "fla.ops.linear_attn.naive.naive_recurrent_linear_attn")
def test_the_core_of_linear_is_the_last_step_of_the_recurrence(party: Any) -> None:
    # Theirs is causal and updates one state by every key: a query at the last step has read all keys.
    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = ((x.transpose(1, 2)) for x in (functional.elu(k) + 1, v))
        rows = []
        for query in (functional.elu(q) + 1).unbind(2):
            asked = query[:, None].expand_as(keys)
            rows.append(party(asked, keys, values, normalize=True)[0][:, -1])
        return torch.stack(rows, 2)

    agree(Ours("linear::linear_core", lift=("b", "h")), theirs, qkv(3, 6, 5, 5), SINGLE)


@pytest.mark.against("efficient", "linear_attention_transformer.linear_attention_transformer.linear_attn")
def test_the_core_of_efficient_is_theirs_up_to_a_scale(party: Any) -> None:
    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return party(q, k, v) * q.shape[-1] ** 0.5  # they scale queries by e^-1/2 after the softmax

    agree(Ours("efficient::efficient_core", lift=("b", "h")), theirs, qkv(5, 5, 4, 4))
