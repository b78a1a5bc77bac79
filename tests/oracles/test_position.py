"""Positions against x-transformers and the score functions of attention-gym."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from .common import BATCH, SINGLE, Ours, agree, attention, find, qkv, random


@pytest.mark.against("alibi", "x_transformers.x_transformers.AlibiPositionalBias")
def test_alibi_is_x_transformers(party: Any) -> None:
    d, h = 24, 4
    ours = Ours("alibi", {"d": d, "h": h})
    layer = attention(find("x_transformers.x_transformers.Attention"), ours, d, h, causal=True)
    slopes = party(h)
    agree(ours, lambda x: layer(x, rel_pos=slopes), [random(BATCH, 7, d)], SINGLE)


@pytest.mark.against("alibi", "attn_gym.mods.generate_alibi_bias")
def test_alibi_is_a_score_function_of_flex_attention(party: Any) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    h, n = 5, 7
    ours = Ours("alibi::alibi_core")
    bias = party(h)

    def score(s: Tensor, b: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return torch.where(i >= j, bias(s, b, head, i, j), -torch.inf)

    q, k, v = (x.detach() for x in qkv(n, n, 8, 8, h))
    agree(ours, lambda q, k, v: flex_attention(q, k, v, score_mod=score), [q, k, v], SINGLE, gradients=False)
