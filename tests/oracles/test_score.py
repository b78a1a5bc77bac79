"""Scores against the switches of x-transformers' attention; its softmax runs in float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from .common import BATCH, SINGLE, Ours, agree, attention, later, llama_like, random, unturned, with_weights


@pytest.mark.against("cosine", "x_transformers.x_transformers.Attention")
def test_cosine_is_query_key_normalisation(party: Any) -> None:
    d, h = 24, 3
    ours = Ours("cosine", {"d": d, "h": h})
    g = ours.w.pop("score.g").data.fill_(3.5).item()  # a constant there
    # our unit vectors are q / sqrt(|q|^2 + 1e-6), theirs q / max(|q|, 1e-12): these inputs have |q| near 3
    layer = attention(party, ours, d, h, qk_norm=True, qk_norm_scale=g)
    agree(ours, layer, [random(BATCH, 5, d)], 1e-6)


@pytest.mark.against("l2", "x_transformers.x_transformers.Attention")
def test_the_score_of_l2_is_a_distance(party: Any) -> None:
    # The layer ties W^Q = W^K and feeds the values through W^Q; x-transformers has the score only.
    e, h = 8, 3
    ours = Ours("l2", {"d": h * e, "h": h}, std=0.3)
    attend = party(h * e, dim_head=e, heads=h, l2_distance=True).attend
    w = ours.w

    def theirs(x: Tensor) -> Tensor:
        q = torch.einsum("bnd,dhe->bhne", x, w["Wq"])
        u = torch.einsum("bhne,dhe->bhnd", q, w["Wq"]) / e**0.5
        v = torch.einsum("bhnd,hdf->bhnf", u, w["Wv"]) + w["Wv.bias"][:, None]
        return torch.einsum("bhnf,hfd->bnd", attend(q, q, v)[0], w["Wo"]) + w["Wo.bias"]

    agree(ours, theirs, [random(BATCH, 5, h * e)], SINGLE)


def decoder(party: Any, config: Any, ours: Ours, extra: dict[str, Tensor], n: int, e: int, mask: Tensor | None) -> Any:
    """An attention module of transformers with rotary angles of zero."""
    module = with_weights(party(config, 0), llama_like(ours) | extra)
    return lambda x: module(x, position_embeddings=unturned(n, e), attention_mask=mask)[0]


@pytest.mark.against("qk_layernorm", "transformers.models.cohere.modeling_cohere.CohereAttention")
def test_qk_layernorm_is_coheres_without_positions(party: Any) -> None:
    from transformers import CohereConfig

    d, h, n = 12, 3, 5
    ours = Ours("qk_layernorm", {"d": d, "h": h})
    config = CohereConfig(
        hidden_size=d, num_attention_heads=h, num_key_value_heads=h, use_qk_norm=True, layer_norm_eps=1e-5, attention_bias=True,
        attn_implementation="eager"
    )
    gains = {f"{k}_norm.weight": ours.w[f"score.g{k}"].expand(h, -1) for k in "qk"}  # ours are shared by the heads
    agree(ours, decoder(party, config, ours, gains, n, d // h, None), [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("qk_rmsnorm", "transformers.models.qwen3.modeling_qwen3.Qwen3Attention")
def test_qk_rmsnorm_is_qwens_without_positions(party: Any) -> None:
    from transformers import Qwen3Config

    d, h, n = 12, 3, 5
    ours = Ours("qk_rmsnorm", {"d": d, "h": h})
    config = Qwen3Config(
        hidden_size=d, num_attention_heads=h, num_key_value_heads=h, head_dim=d // h, rms_norm_eps=1e-6, attention_bias=True, attn_implementation="eager"
    )
    gains = {f"{k}_norm.weight": ours.w[f"score.g{k}"] for k in "qk"}
    agree(ours, decoder(party, config, ours, gains, n, d // h, later(n)), [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("softcap", "transformers.models.gemma2.modeling_gemma2.Gemma2Attention")
def test_softcap_is_gemmas_without_positions(party: Any) -> None:
    from transformers import Gemma2Config

    d, h, n = 12, 3, 5
    ours = Ours("softcap", {"d": d, "h": h}, std=2.0)  # scores of some hundreds, so that the cap tells
    config = Gemma2Config(
        hidden_size=d,
        num_attention_heads=h,
        num_key_value_heads=h,
        head_dim=d // h,
        query_pre_attn_scalar=d // h,
        attn_logit_softcapping=50.0,
        attention_bias=True,
        attn_implementation="eager",
    )
    agree(ours, decoder(party, config, ours, {}, n, d // h, later(n)), [random(BATCH, n, d)], SINGLE)


@pytest.mark.against("luong_dot", "torchnlp.nn.attention.Attention")
def test_luong_dot_is_torchnlps(party: Any) -> None:
    module = party(6, "dot").double()  # after the context vector theirs goes on; its weights say what we compare
    agree(Ours("luong_dot"), lambda t, x: module(t, x)[1] @ x, [random(BATCH, 3, 6), random(BATCH, 5, 6)])


@pytest.mark.against("luong_general", "torchnlp.nn.attention.Attention")
def test_luong_general_is_torchnlps(party: Any) -> None:
    ours = Ours("luong_general", {"d": 6, "c": 6})
    module = with_weights(party(6, "general"), {"linear_in.weight": ours.rows("score.Wa")}, keep=["linear_out.weight"])
    agree(ours, lambda t, x: module(t, x)[1] @ x, [random(BATCH, 3, 6), random(BATCH, 5, 6)])


@pytest.mark.against("gat", "torch_geometric.nn.conv.gat_conv.GATConv")
def test_gat_is_torch_geometrics_on_the_complete_graph(party: Any) -> None:
    d, h, n = 12, 3, 5
    ours = Ours("gat", {"d": d, "h": h})
    given = {"lin.weight": ours.rows("W"), "att_dst": ours.w["score.a"][None], "att_src": ours.w["score.b"][None]}
    module = with_weights(party(d, d // h, heads=h, bias=False, add_self_loops=False), given)
    edges = torch.cartesian_prod(torch.arange(n), torch.arange(n)).T
    agree(ours, lambda x: functional.elu(torch.stack([module(row, edges) for row in x])), [random(BATCH, n, d)])


@pytest.mark.against("bahdanau", "openspeech.modules.additive_attention.AdditiveAttention")
def test_bahdanau_is_openspeechs(party: Any) -> None:
    ours = Ours("bahdanau", {"d": 6, "c": 6, "a": 6})
    given = {"query_proj.linear.weight": ours.rows("score.W"), "key_proj.linear.weight": ours.rows("score.U")}
    given |= {"score_proj.linear.weight": ours.w["score.u"][None], "score_proj.linear.bias": torch.zeros(1, dtype=torch.float64)}
    module = with_weights(party(6), given | {"bias": torch.zeros(6, dtype=torch.float64)})

    def theirs(s: Tensor, x: Tensor) -> Tensor:
        weights = [module(row[:, None].expand(-1, 1, -1), x, x)[1] for row in s.unbind(1)]  # one decoder state at a time
        return torch.stack(weights, 1) @ x  # theirs adds the state to the context

    agree(ours, theirs, [random(BATCH, 3, 6), random(BATCH, 5, 6)])


@pytest.mark.against("two_simplicial", "simplicial_attention.simplicial_attention.naive_two_simplicial_attend")
def test_two_simplicial_is_lucidrains(party: Any) -> None:
    ours = Ours("two_simplicial", {"d": 12, "h": 3})

    def theirs(x: Tensor) -> Tensor:
        def core(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return party(q, (k, ours.heads("Wk2", x)), (v, ours.heads("Wv2", x)), causal=True)

        return ours.around(core)(x)

    agree(ours, theirs, [random(BATCH, 5, 12)])
