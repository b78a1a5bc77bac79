"""Normalisers against the switches of x-transformers' attention."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from .common import BATCH, SINGLE, Ours, agree, attention, packed, random, with_weights


@pytest.mark.against("sigmoid_attention", "x_transformers.x_transformers.Attention")
def test_sigmoid_is_x_transformers_with_a_bias(party: Any) -> None:
    d, h, n = 12, 3, 5
    ours = Ours("sigmoid_attention", {"d": d, "h": h})
    layer = attention(party, ours, d, h, sigmoid=True)
    bias = torch.tensor(-math.log(n), dtype=torch.float64).expand(1, 1, n, n)  # the paper's b, which they leave out
    agree(ours, lambda x: layer(x, attn_bias=bias), [random(BATCH, n, d)])


D, H, N = 12, 3, 5


def plain(target: str, party: Any, tolerance: float = SINGLE, std: float = 0.5, **switches: Any) -> None:
    """A layer of ours, and theirs with some switches set."""
    ours = Ours(target, {"d": D, "h": H}, std=std)
    agree(ours, attention(party, ours, D, H, **switches), [random(BATCH, N, D)], tolerance)


@pytest.mark.against("softmax_one", "torch.nn.MultiheadAttention")
def test_softmax_one_is_a_key_of_zeros(party: Any) -> None:
    ours = Ours("softmax_one", {"d": D, "h": H})
    module = with_weights(party(D, H, batch_first=True, add_zero_attn=True), packed(ours))
    agree(ours, lambda x: module(x, x, x)[0], [random(BATCH, N, D)])


@pytest.mark.against("softmax_one", "x_transformers.x_transformers.Attention")
def test_softmax_one_is_x_transformers(party: Any) -> None:
    plain("softmax_one", party, add_zero_kv=True)


@pytest.mark.against("cog", "x_transformers.x_transformers.Attention")
def test_cog_is_x_transformers(party: Any) -> None:
    plain("cog", party, cog_signed=True)


@pytest.mark.against("inverted", "x_transformers.x_transformers.Attention")
def test_inverted_is_x_transformers(party: Any) -> None:
    plain("inverted", party, inverted_attention=True)


@pytest.mark.against("laser", "x_transformers.x_transformers.Attention")
def test_laser_is_x_transformers_without_the_clamp(party: Any) -> None:
    plain("laser", party, laser=True, laser_softclamp_value=1e6)  # they clamp values to c tanh(v / c)


@pytest.mark.against("relu_attention", "x_transformers.x_transformers.Attention")
def test_relu_attention_is_x_transformers_with_our_relu(party: Any) -> None:
    plain("relu_attention", party, 1e-11, custom_attn_fn=lambda s: s.relu() / s.shape[-1])  # all but the normaliser is theirs


@pytest.mark.against("topk_attention", "x_transformers.x_transformers.Attention")
def test_topk_is_x_transformers(party: Any) -> None:
    ours = Ours("topk_attention", {"d": D, "h": H, "r": 2})
    agree(ours, attention(party, ours, D, H, sparse_topk=2), [random(BATCH, N, D)])


@pytest.mark.against("sparsemax_attention", "entmax.sparsemax")
def test_sparsemax_is_its_authors_colleagues(party: Any) -> None:
    ours = Ours("sparsemax_attention", {"d": D, "h": H})
    agree(ours, ours.around(lambda q, k, v: party(scores(q, k), dim=-1) @ v), [random(BATCH, N, D)])


@pytest.mark.against("entmax_attention", "entmax.entmax15")
def test_entmax_is_its_authors(party: Any) -> None:
    ours = Ours("entmax_attention", {"d": D, "h": H})
    agree(ours, ours.around(lambda q, k, v: party(scores(q, k), dim=-1) @ v), [random(BATCH, N, D)])


@pytest.mark.against("stick_breaking", "fla.ops.stickbreaking_attn.naive.naive_stickbreaking_attn")
def test_stick_breaking_is_flash_linear_attentions(party: Any) -> None:
    ours = Ours("stick_breaking", {"d": D, "h": H})

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return party(*(x.transpose(1, 2) for x in (q, k, v)))[0].transpose(1, 2)

    agree(ours, ours.around(theirs), [random(BATCH, N, D)])


@pytest.mark.against("sinkformer", "fla.ops.utils.sinkhorn.naive.naive_sinkhorn")
def test_sinkformer_is_flash_linear_attentions(party: Any) -> None:
    ours = Ours("sinkformer", {"d": D, "h": H})

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return party(scores(q, k).log_softmax(-1), 2).double() @ v  # theirs begins with the columns

    agree(ours, ours.around(theirs), [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("rela", "rela_transformer.rela_transformer.ReLA")
def test_rela_is_lucidrains_for_one_head(party: Any) -> None:
    ours = Ours("rela", {"d": D, "h": 1})  # theirs has a norm in every head, the paper one over all of them
    ours.set("W[qkv].bias", 0.0)
    module = party(dim=D, dim_head=D, heads=1, causal=False)
    module.norm = torch.nn.Identity()  # of the input
    given = {
        "to_qkv.weight": torch.cat([ours.rows(f"W{k}") for k in "qkv"]),
        "to_out.0.weight": ours.rows("Wo", 2),
        "to_out.0.bias": ours.vector("Wo.bias"),
        "norm_values.g": 2 * ours.vector("norm.g"),  # their gate sigmoid(w x) is 1/2 for w = 0
        "norm_values.w": torch.zeros(D, dtype=torch.float64),
    }
    layer = with_weights(module, given, keep=["mem_k", "mem_v"])  # none of them
    agree(ours, layer, [random(BATCH, N, D)], SINGLE)  # eps 1e-5 under our root


@pytest.mark.against("hard", "x_transformers.attend.one_hot_straight_through")
def test_the_normaliser_of_hard_is_x_transformers(party: Any) -> None:
    ours = Ours("hard::hard.normaliser", lift=("b", "n"))
    agree(ours, party, [random(BATCH, N, 6)], gradients=False)  # theirs lets the gradient of a softmax through


@pytest.mark.against("gumbel", "torch.nn.functional.gumbel_softmax")
def test_the_normaliser_of_gumbel_is_torchs(party: Any) -> None:
    ours = Ours("gumbel::gumbel.normaliser", lift=("b", "n"))
    draw = torch.Generator().manual_seed(0)
    noise = -torch.log(-torch.log(torch.rand(BATCH, N, 6, dtype=torch.float64, generator=draw)))

    def theirs(s: Tensor) -> Tensor:
        torch.manual_seed(1)
        drawn = -torch.empty_like(s.detach()).exponential_().log()
        torch.manual_seed(1)
        return party(s + noise - drawn, hard=True)  # which adds what was drawn

    torch.manual_seed(0)
    agree(ours, theirs, [random(BATCH, N, 6)])


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
