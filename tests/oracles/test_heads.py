"""What heads share, against the attention of Llama and attnhut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from .common import BATCH, SINGLE, Ours, agree, attention, later, llama_like, random, with_weights


@pytest.mark.against("gqa", "transformers.models.llama.modeling_llama.LlamaAttention")
def test_gqa_is_llamas(party: Any) -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    g, j, e, n = 2, 3, 4, 7
    d = g * j * e
    ours = Ours("gqa", {"d": d, "g": g, "j": j})
    config = LlamaConfig(hidden_size=d, num_attention_heads=g * j, num_key_value_heads=g, attention_bias=True, attn_implementation="eager")
    module = with_weights(party(config, 0), llama_like(ours))  # query head (g, j) is their head g * J + j
    rotary = LlamaRotaryEmbedding(config)

    def theirs(x: Tensor) -> Tensor:
        positions = rotary(x, torch.arange(n)[None])  # angles in float32, and so is their softmax
        return module(x, position_embeddings=positions, attention_mask=later(n))[0]

    agree(ours, theirs, [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("mqa", "attnhut.MultiQueryAttention")
def test_mqa_is_attnhuts(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("mqa", {"d": d, "h": h})
    ours.set("W*.bias", 0.0)
    given = {"q.weight": ours.rows("Wq"), "kv.weight": torch.cat([ours.rows("Wk"), ours.rows("Wv")]), "proj.weight": ours.rows("Wo", 2)}
    agree(ours, with_weights(party(d, h), given), [random(BATCH, 5, d)])


@pytest.mark.against("mqa", "x_transformers.x_transformers.Attention")
def test_mqa_is_x_transformers_with_one_key_head(party: Any) -> None:
    ours = Ours("mqa", {"d": 12, "h": 3})
    agree(ours, attention(party, ours, 12, 3, one_kv_head=True), [random(BATCH, 5, 12)], SINGLE)


@pytest.mark.against("mla", "attnhut.MultiHeadLatentAttention")
def test_mla_is_attnhuts(party: Any) -> None:
    d, h, a, c, t = 24, 3, 5, 7, 4
    e = d // h
    ours = Ours("mla", {"d": d, "h": h, "a": a, "c": c, "p": t // 2})
    module = party(d, h, q_lora_rank=a, kv_lora_rank=c, qk_nope_head_dim=e, qk_rope_head_dim=t, v_head_dim=e)

    def up(*keys: str) -> Tensor:
        return torch.cat([ours.w[k] for k in keys], 2).flatten(1).T  # side by side in every head

    given = {
        "q_down.weight": ours.rows("Dq"),
        "q_up.weight": up("Uq", "Rq"),
        "kv_down.weight": torch.cat([ours.rows("Dkv"), ours.rows("Rk")]),
        "kv_up.weight": up("Uk", "Uv"),
        "proj.weight": ours.rows("Wo", 2),
    }
    theirs = with_weights(module, given, keep=["q_norm", "kv_norm"])  # ones
    # latents have a mean square near d / 4; eps is 1e-6 under their root and 1e-5 under ours; their angles are float32
    agree(ours, theirs, [random(BATCH, 5, d)], SINGLE)


@pytest.mark.against("talking_heads", "x_transformers.x_transformers.Attention")
def test_talking_heads_are_x_transformers_without_its_residual(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("talking_heads", {"d": d, "h": h, "g": h, "j": h})
    before, after = ours.w["before.Pl"].T - torch.eye(h), ours.w["after.Pw"].T  # they add P s to s; the paper has P s
    mixing = {"attend.pre_softmax_talking_heads.weight": before, "attend.post_softmax_talking_heads.weight": after}
    extra = {key: value[:, :, None, None] for key, value in mixing.items()}
    layer = attention(party, ours, d, h, extra, pre_talking_heads=True, post_talking_heads=True)
    agree(ours, layer, [random(BATCH, 5, d)], SINGLE)


@pytest.mark.against("differential", "attnhut.DifferentialAttention")
def test_differential_is_attnhuts(party: Any) -> None:
    d, h = 24, 3
    ours = Ours("differential", {"d": d, "h": h})
    ours.set("W*.bias", 0.0)

    def pairs(key: str) -> Tensor:
        return ours.w[key].transpose(1, 2).flatten(1).T  # heads 2i and 2i + 1 are a pair

    given = {"q.weight": pairs("Wq"), "k.weight": pairs("Wk"), "v.weight": ours.rows("Wv"), "proj.weight": ours.rows("Wo", 2)}
    given |= {f"lambda_{k}": ours.w[f"lambda.{k}"] for k in ("q1", "k1", "q2", "k2")} | {"head_norm": ours.w["norm.g"]}
    agree(ours, with_weights(party(d, h, depth=0, causal=False), given), [random(BATCH, 5, d)], SINGLE)


@pytest.mark.against("gated_attention", "x_transformers.x_transformers.Attention")
def test_gated_attention_is_x_transformers_gate(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("gated_attention", {"d": d, "h": h})
    layer = attention(party, ours, d, h, {"to_v_gate.weight": ours.rows("Wg")}, gate_values=True)
    agree(ours, layer, [random(BATCH, 5, d)], SINGLE)


@pytest.mark.against("value_residual", "x_transformers.x_transformers.Attention")
def test_value_residual_is_two_layers_of_x_transformers(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("value_residual", {"d": d, "h": h})
    ours.set("value.?", 0.5)  # their mix, when it is not learned
    ours.set("*.bias", 0.0)

    def layer(value: str, name: str) -> Any:
        given = {"to_v.weight": ours.rows(value), "to_out.weight": ours.rows(f"{name}.Wo", 2)}
        given |= {f"to_{k}.weight": ours.rows(f"{name}.W{k}") for k in "qk"}
        return with_weights(party(d, dim_head=d // h, heads=h), given)

    first, second = layer("Wu", "first"), layer("Wv", "second")

    def theirs(x: Tensor) -> Tensor:
        y, state = first(x, return_intermediates=True)
        return second(x + y, value_residual=state.values)

    agree(ours, theirs, [random(BATCH, 5, d)], SINGLE)
