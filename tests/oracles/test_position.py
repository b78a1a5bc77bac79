"""Positions against x-transformers and the score functions of attention-gym."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from .common import BATCH, SINGLE, Ours, agree, attention, find, later, random, with_weights


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
    ours = Ours("alibi", {"d": 8 * h, "h": h})
    bias = party(h)

    def score(s: Tensor, b: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return torch.where(i >= j, bias(s, b, head, i, j), -torch.inf)

    with torch.no_grad():
        layer = ours.around(lambda q, k, v: flex_attention(q, k, v, score_mod=score))
        agree(ours, layer, [random(BATCH, n, 8 * h)], SINGLE, gradients=False)


@pytest.mark.against("rope_mha", "x_transformers.x_transformers.RotaryEmbedding")
def test_rope_is_x_transformers(party: Any) -> None:
    d, h, n = 24, 3, 7
    ours = Ours("rope_mha", {"d": d, "h": h})
    layer = attention(find("x_transformers.x_transformers.Attention"), ours, d, h)
    turn = party(d // h).double().forward_from_seq_len(n)
    agree(ours, lambda x: layer(x, rotary_pos_emb=turn), [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("rope_mha", "rotary_embedding_torch.RotaryEmbedding")
def test_rope_is_lucidrains(party: Any) -> None:
    d, h = 24, 3
    ours = Ours("rope_mha", {"d": d, "h": h})
    turn = party(d // h).rotate_queries_or_keys  # its angles are float32
    agree(ours, ours.around(lambda q, k, v: functional.scaled_dot_product_attention(turn(q), turn(k), v)), [random(BATCH, 7, d)], SINGLE)


@pytest.mark.against("xpos", "x_transformers.x_transformers.RotaryEmbedding")
def test_xpos_is_x_transformers(party: Any) -> None:
    d, h, n = 24, 3, 7
    ours = Ours("xpos", {"d": d, "h": h})
    layer = attention(find("x_transformers.x_transformers.Attention"), ours, d, h, causal=True)
    turn = party(d // h, use_xpos=True).double()(torch.arange(n))
    agree(ours, lambda x: layer(x, rotary_pos_emb=turn), [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("cope", "x_transformers.x_transformers.CoPE")
def test_cope_is_x_transformers(party: Any) -> None:
    d, h, p = 12, 3, 4
    ours = Ours("cope", {"d": d, "h": h, "p": p})
    layer = attention(
        find("x_transformers.x_transformers.Attention"),
        ours, d, h, {"attend.cope.pos_emb": ours.w["position.E"]}, causal=True, use_cope=True, cope_max_pos=p,
    )  # fmt: skip
    agree(ours, layer, [random(BATCH, 9, d)], SINGLE)


@pytest.mark.against("forgetting", "fla.ops.forgetting_attn.naive.naive_forgetting_attn")
def test_forgetting_is_flash_linear_attentions(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("forgetting", {"d": d, "h": h})

    def theirs(x: Tensor) -> Tensor:
        gate = functional.logsigmoid(x @ ours.w["log_forget.Wf"] + ours.w["log_forget.Wf.bias"])

        def core(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return party(*(t.transpose(1, 2) for t in (q, k, v)), gate).transpose(1, 2).double()  # float32 inside

        return ours.around(core)(x)

    agree(ours, theirs, [random(BATCH, 7, d)], SINGLE)


@pytest.mark.against("t5_bias", "transformers.models.t5.modeling_t5.T5Attention")
def test_t5_bias_is_t5s(party: Any) -> None:
    from transformers import T5Config

    d, h, n = 12, 3, 150  # farther than the 128 from which on all offsets share a bucket
    ours = Ours("t5_bias", {"d": d, "h": h}, std=0.3)
    config = T5Config(d_model=d, num_heads=h, d_kv=d // h, attn_implementation="eager")
    given = {f"{k}.weight": ours.rows(f"W{k}") for k in "qkv"} | {"o.weight": ours.rows("Wo", 2)}
    module = with_weights(party(config, has_relative_attention_bias=True), given | {"relative_attention_bias.weight": ours.w["position.B"]})
    agree(ours, lambda x: module(x)[0], [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("shaw", "transformers.models.wav2vec2_bert.modeling_wav2vec2_bert.Wav2Vec2BertSelfAttention")
def test_shaw_is_the_relative_keys_of_wav2vec2_bert(party: Any) -> None:
    from transformers import Wav2Vec2BertConfig

    d, h, c = 12, 3, 2
    ours = Ours("shaw", {"d": d, "h": h, "c": c})
    ours.set("position.V", 0.0)  # they have the keys' table only
    config = Wav2Vec2BertConfig(
        hidden_size=d, num_attention_heads=h, position_embeddings_type="relative_key", attn_implementation="eager",
        left_max_position_embeddings=c, right_max_position_embeddings=c,
    )  # fmt: skip
    module = with_weights(party(config), wav2vec2(ours) | {"distance_embedding.weight": ours.w["position.K"]})
    agree(ours, lambda x: module(x)[0], [random(BATCH, 7, d)], SINGLE)


@pytest.mark.against("transformer_xl", "transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer.Wav2Vec2ConformerSelfAttention")
def test_transformer_xl_is_the_relative_attention_of_conformers(party: Any) -> None:
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
        Wav2Vec2ConformerRelPositionalEmbedding,
    )

    d, h, n = 12, 3, 7
    ours = Ours("transformer_xl", {"d": d, "h": h})
    config = Wav2Vec2ConformerConfig(
        hidden_size=d, num_attention_heads=h, position_embeddings_type="relative", max_source_positions=n, attn_implementation="eager"
    )
    place = {"linear_pos.weight": ours.rows("Wr"), "pos_bias_u": ours.w["u"], "pos_bias_v": ours.w["t"]}
    module = with_weights(party(config), wav2vec2(ours) | place)
    offsets = Wav2Vec2ConformerRelPositionalEmbedding(config)(torch.zeros(1, n, d)).double()  # sines in float32
    agree(ours, lambda x: module(x, attention_mask=later(n), relative_position_embeddings=offsets)[0], [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("deberta", "transformers.models.deberta.modeling_deberta.DisentangledSelfAttention")
def test_deberta_is_its_authors_code(party: Any) -> None:
    from transformers import DebertaConfig
    from transformers.models.deberta.modeling_deberta import build_relative_position

    d, h, c, n = 12, 3, 7, 7  # theirs cuts the table to the length of the text, so let it be as long
    ours = Ours("deberta", {"d": d, "h": h, "c": c})
    # The paper reads Q^r at delta(j, i), the code at delta(i, j): a table that is the same both ways hides just that.
    table = ours.w.pop("P").data
    table[1:] = (table[1:] + table[1:].flip(0)).clone()
    config = DebertaConfig(
        hidden_size=d, num_attention_heads=h, relative_attention=True, max_relative_positions=c, pos_att_type=["c2p", "p2c"]
    )
    split = torch.stack([ours.w[f"W{k}"] for k in "qkv"], 2).flatten(1).T  # query, key and value of a head side by side
    zero = torch.zeros(d, dtype=torch.float64)
    given = {"in_proj.weight": split, "q_bias": zero, "v_bias": zero, "pos_q_proj.bias": zero}
    given |= {"pos_proj.weight": ours.rows("Wkr"), "pos_q_proj.weight": ours.rows("Wqr")}
    module = with_weights(party(config), given)
    seen = torch.ones(BATCH, 1, n, n)

    def theirs(x: Tensor) -> Tensor:
        offsets = build_relative_position(x, x)
        return module(x, seen, relative_pos=offsets, rel_embeddings=table)[0] @ ours.rows("Wo", 2).T

    agree(ours, theirs, [random(BATCH, n, d)], SINGLE)


def wav2vec2(ours: Ours) -> dict[str, Tensor]:
    """The weights of a layer under the names of wav2vec2's attention, whose maps have biases."""
    given = {f"linear_{k}.weight": ours.rows(f"W{k}") for k in "qkv"} | {"linear_out.weight": ours.rows("Wo", 2)}
    return given | {key.replace("weight", "bias"): torch.zeros(len(value), dtype=torch.float64) for key, value in given.items()}
