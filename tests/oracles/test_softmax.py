"""Plain softmax attention against PyTorch's own modules, BERT and attnhut."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from .common import BATCH, SINGLE, Ours, agree, attention, biases, fused, output, packed, qkv, random, with_weights

D, H, N = 12, 3, 5


@pytest.mark.against("sdpa", "torch.nn.functional.scaled_dot_product_attention")
def test_sdpa_is_torchs(party: Any) -> None:
    agree(Ours("sdpa", lift=("b", "h")), party, qkv(3, 5, 7, 2))


@pytest.mark.against("sdpa", "attnhut.utils.masked_softmax_attention")
def test_sdpa_is_attnhuts_shared_core(party: Any) -> None:
    keep = torch.ones(3, 5, dtype=torch.bool)
    agree(Ours("sdpa", lift=("b", "h")), lambda q, k, v: party(q, k, v, keep, q.shape[-1] ** -0.5), qkv(3, 5, 7, 2))


@pytest.mark.against("mha", "torch.nn.MultiheadAttention")
def test_mha_is_torchs(party: Any) -> None:
    ours = Ours("mha", {"d": D, "h": H})
    module = with_weights(party(D, H, batch_first=True), packed(ours))
    agree(ours, lambda x: module(x, x, x)[0], [random(BATCH, N, D)])


@pytest.mark.against("mha", "transformers.models.bert.modeling_bert.BertSelfAttention")
def test_mha_is_berts(party: Any) -> None:
    from transformers import BertConfig

    ours = Ours("mha", {"d": D, "h": H})
    config = BertConfig(hidden_size=D, num_attention_heads=H, attn_implementation="eager")
    given = {f"{name}.weight": ours.rows(key) for name, key in (("query", "Wq"), ("key", "Wk"), ("value", "Wv"))}
    bias = {f"{name}.bias": ours.vector(f"{key}.bias") for name, key in (("query", "Wq"), ("key", "Wk"), ("value", "Wv"))}
    module = with_weights(party(config), given | bias)  # BERT keeps the output projection in another module
    agree(ours, lambda x: module(x)[0] @ ours.rows("Wo", 2).T + ours.vector("Wo.bias"), [random(BATCH, N, D)])


@pytest.mark.against("mha", "attnhut.StandardAttention")
def test_mha_is_attnhuts(party: Any) -> None:
    ours = Ours("mha", {"d": D, "h": H})
    agree(ours, with_weights(party(D, H, bias=True), fused(ours)), [random(BATCH, N, D)])


@pytest.mark.against("cross", "torch.nn.MultiheadAttention")
def test_cross_is_torchs_with_other_sizes_for_keys(party: Any) -> None:
    c = 7
    ours = Ours("cross", {"d": D, "h": H, "c": c})
    given = {f"{k}_proj_weight": ours.rows(f"W{k}") for k in "qkv"}
    given |= output(ours) | {"in_proj_bias": biases(ours)}
    module = with_weights(party(D, H, kdim=c, vdim=c, batch_first=True), given)
    agree(ours, lambda x, y: module(x, y, y)[0], [random(BATCH, N, D), random(BATCH, 4, c)])


@pytest.mark.against("persistent_memory", "x_transformers.x_transformers.Attention")
def test_persistent_memory_is_x_transformers(party: Any) -> None:
    ours = Ours("persistent_memory", {"d": D, "h": H, "p": 2})
    memory = {"mem_k": ours.w["memory.Mk"], "mem_v": ours.w["memory.Mv"]}
    agree(ours, attention(party, ours, D, H, memory, causal=True, num_mem_kv=2), [random(BATCH, N, D)], SINGLE)
