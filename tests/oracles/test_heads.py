"""What heads share, against the attention of Llama and attnhut."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from .common import BATCH, SINGLE, Ours, agree, random, with_weights


@pytest.mark.against("gqa", "transformers.models.llama.modeling_llama.LlamaAttention")
def test_gqa_is_llamas(party: Any) -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    g, j, e, n = 2, 3, 4, 7
    d = g * j * e
    ours = Ours("gqa", {"d": d, "g": g, "j": j})
    config = LlamaConfig(hidden_size=d, num_attention_heads=g * j, num_key_value_heads=g, attn_implementation="eager")
    given = {f"{k}_proj.weight": ours.rows(f"W{k}") for k in "qkv"}  # query head (g, j) is their head g * J + j
    module = with_weights(party(config, 0), given | {"o_proj.weight": ours.rows("Wo", 3)})
    rotary = LlamaRotaryEmbedding(config)
    later = torch.full((n, n), -torch.inf, dtype=torch.float64).triu(1)[None, None]

    def theirs(x: torch.Tensor) -> torch.Tensor:
        positions = rotary(x, torch.arange(n)[None])  # angles in float32, and so is their softmax
        return module(x, position_embeddings=positions, attention_mask=later)[0]

    agree(ours, theirs, [random(BATCH, n, d)], SINGLE)
