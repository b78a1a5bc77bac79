"""Masked attention against PyTorch's and attnhut's modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from .common import (
    BATCH,
    SINGLE,
    Ours,
    Position,
    agree,
    attention,
    flex,
    fused,
    later,
    llama_like,
    packed,
    random,
    unturned,
    with_weights,
)

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


def causal(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return i >= j


def both(*masks: Position) -> Position:
    return lambda b, h, i, j: torch.stack([mask(b, h, i, j) for mask in masks]).all(0)


def same_mask(target: str, sizes: dict[str, int], mask: Position, n: int = 11) -> None:
    """A masked layer of ours, and flex_attention under a mask of theirs: the forward pass, as its CPU form has no backward."""
    ours = Ours(target, {"d": D, "h": H, **sizes})
    with torch.no_grad():
        agree(ours, ours.around(flex(mask)), [random(BATCH, n, D)], gradients=False)


@pytest.mark.against("sliding_window", "attn_gym.masks.generate_sliding_window")
def test_sliding_window_is_attention_gyms(party: Any) -> None:
    same_mask("sliding_window", {"w": 3}, both(causal, party(2)))  # they count how far back, the paper how many


@pytest.mark.against("dilated", "attn_gym.masks.generate_dilated_sliding_window")
def test_dilated_is_attention_gyms(party: Any) -> None:
    same_mask("dilated", {"w": 2, "l": 3}, party(6, 3))


@pytest.mark.against("prefix_lm", "attn_gym.masks.generate_prefix_lm_mask")
def test_prefix_lm_is_attention_gyms(party: Any) -> None:
    same_mask("prefix_lm", {"p": 4}, party(4))


@pytest.mark.against("streaming_llm", "attn_gym.masks.global_sliding_window.generate_global_sliding_window")
def test_streaming_llm_is_longformers_mask_made_causal(party: Any) -> None:
    same_mask("streaming_llm", {"w": 3, "p": 2}, both(causal, party(2, torch.arange(11) < 2)))


@pytest.mark.against("document", "attn_gym.masks.generate_doc_mask_mod")
def test_document_is_attention_gyms(party: Any) -> None:
    n = 9
    inner = party(lambda b, h, i, j: torch.ones_like(i, dtype=torch.bool), torch.tensor([0, 2, 6, n]))
    ours = Ours("document", {"d": D, "h": H, "c": 3})
    number = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 2]).expand(BATCH, n)
    with torch.no_grad():
        agree(ours, lambda x, _: ours.around(flex(inner))(x), [random(BATCH, n, D), number], gradients=False)


@pytest.mark.against("learned_sink", "transformers.models.gpt_oss.modeling_gpt_oss.GptOssAttention")
def test_learned_sink_is_gpt_oss_without_positions(party: Any) -> None:
    from transformers import GptOssConfig

    d, h, n = 12, 3, 5
    ours = Ours("learned_sink", {"d": d, "h": h})
    config = GptOssConfig(hidden_size=d, num_attention_heads=h, num_key_value_heads=h, head_dim=d // h, attn_implementation="eager")
    module = with_weights(party(config, 1), llama_like(ours) | {"sinks": ours.w["sink"]})
    turn = tuple(x[..., : d // h // 2] for x in unturned(n, d // h))  # one angle for a pair
    agree(ours, lambda x: module(x, position_embeddings=turn, attention_mask=later(n))[0], [random(BATCH, n, d)])


@pytest.mark.against("learned_sink", "x_transformers.x_transformers.Attention")
def test_learned_sink_is_x_transformers(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("learned_sink", {"d": d, "h": h})
    sink = {"attend.head_attn_sink": ours.w["sink"]}
    agree(ours, attention(party, ours, d, h, sink, causal=True, head_learned_sink=True), [random(BATCH, 5, d)], SINGLE)


@pytest.mark.against("selective", "x_transformers.x_transformers.Attention")
def test_selective_is_x_transformers(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("selective", {"d": d, "h": h})
    agree(ours, attention(party, ours, d, h, causal=True, selective=True), [random(BATCH, 7, d)], SINGLE)


@pytest.mark.against("longformer", "transformers.models.longformer.modeling_longformer.LongformerSelfAttention")
def test_longformer_is_its_authors_code(party: Any) -> None:
    from transformers import LongformerConfig

    d, h, w, g, n = 12, 3, 2, 2, 12  # their chunks want n to be a multiple of the window, 2 w
    ours = Ours("longformer", {"d": d, "h": h, "w": w, "g": g})
    config = LongformerConfig(hidden_size=d, num_attention_heads=h, attention_window=[2 * w])
    names = {f"{name}{part}": f"W{k}{mark}" for name, k in (("query", "q"), ("key", "k"), ("value", "v")) for part, mark in (("", ""), ("_global", "g"))}
    given = {f"{name}.weight": ours.rows(key) for name, key in names.items()}
    module = with_weights(party(config, 0), given | {f"{name}.bias": ours.vector(f"{key}.bias") for name, key in names.items()})
    chosen = torch.zeros(BATCH, n)
    chosen[:, :g] = 10000.0  # positive: global
    index = chosen > 0

    def theirs(x: Tensor) -> Tensor:
        y = module(x, attention_mask=chosen, is_index_masked=chosen < 0, is_index_global_attn=index, is_global_attn=True)[0]
        return y @ ours.rows("Wo", 2).T + ours.vector("Wo.bias")

    agree(ours, theirs, [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("block_local", "local_attention.LocalAttention")
def test_block_local_is_lucidrains(party: Any) -> None:
    d, h, r = 12, 3, 3
    ours = Ours("block_local", {"d": d, "h": h, "r": r})
    module = party(window_size=r, causal=True, look_backward=1, look_forward=0, use_rotary_pos_emb=False)
    agree(ours, ours.around(module), [random(BATCH, 4 * r, d)])


@pytest.mark.against("axial", "axial_attention.AxialAttention")
def test_axial_is_lucidrains(party: Any) -> None:
    d, h = 12, 3
    ours = Ours("axial", {"d": d, "h": h})
    ours.set("*.W[qkv].bias", 0.0)
    given: dict[str, Tensor] = {}
    for place, name in ((0, "row"), (1, "column")):  # theirs goes along the first axis first: it gets the image transposed
        base = f"axial_attentions.{place}.fn"
        given |= {
            f"{base}.to_q.weight": ours.rows(f"{name}.Wq"),
            f"{base}.to_kv.weight": torch.cat([ours.rows(f"{name}.Wk"), ours.rows(f"{name}.Wv")]),
            f"{base}.to_out.weight": ours.rows(f"{name}.Wo", 2),
            f"{base}.to_out.bias": ours.w[f"{name}.Wo.bias"],
        }
    module = with_weights(party(d, num_dimensions=2, heads=h, sum_axial_out=False), given)
    agree(ours, lambda x: module(x.transpose(1, 2)).transpose(1, 2), [random(BATCH, 4, 5, d)])


@pytest.mark.against("indexer", "attnhut.DeepSeekSparseAttention")
def test_indexer_is_attnhuts(party: Any) -> None:
    d, h, j, a, t = 12, 3, 12, 5, 3  # many heads, so that the relus leave no two scores equal
    ours = Ours("indexer", {"d": d, "h": h, "j": j, "a": a, "t": t})
    if "Wo.bias" in ours.w:
        ours.set("W[qkvo].bias", 0.0)
    given = {"qkv.weight": torch.cat([ours.rows(f"W{k}") for k in "qkv"]), "proj.weight": ours.rows("Wo", 2)}
    given |= {f"indexer.w{theirs}.weight": ours.rows(key) for theirs, key in (("q", "Qi"), ("k", "Ki"), ("w", "Wi"))}
    agree(ours, with_weights(party(d, h, top_k=t, num_index_heads=j, index_head_dim=a), given), [random(BATCH, 9, d)])
