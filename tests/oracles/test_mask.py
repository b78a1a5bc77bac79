"""Masked attention against PyTorch's and attnhut's modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from .common import BATCH, Ours, agree, fused, packed, random, with_weights

D, H, N = 12, 3, 5


@pytest.mark.against("causal_mha", "torch.nn.MultiheadAttention")
def test_causal_mha_is_torchs(party: Any) -> None:
    ours = Ours("causal_mha", {"d": D, "h": H})
    module = with_weights(party(D, H, batch_first=True), packed(ours))
    hidden = torch.ones(N, N, dtype=torch.bool).triu(1)  # True is masked there, and kept in F.sdpa
    agree(ours, lambda x: module(x, x, x, attn_mask=hidden)[0], [random(BATCH, N, D)])


@pytest.mark.against("causal_mha", "attnhut.StandardAttention")
def test_causal_mha_is_attnhuts(party: Any) -> None:
    ours = Ours("causal_mha", {"d": D, "h": H})
    agree(ours, with_weights(party(D, H, causal=True, bias=True), fused(ours)), [random(BATCH, N, D)])
