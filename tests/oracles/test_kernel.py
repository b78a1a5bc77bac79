"""Attention without the n x m matrix, against its authors' and lucidrains' cores."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from .common import BATCH, SINGLE, Ours, agree, find, qkv, random, with_weights


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


@pytest.mark.against("causal_linear", "performer_pytorch.performer_pytorch.causal_linear_attention_noncuda")
def test_the_core_of_causal_linear_is_performers(party: Any) -> None:
    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return party(functional.elu(q) + 1, functional.elu(k) + 1, v, eps=0.0)

    agree(Ours("causal_linear::causal_linear_core", lift=("b", "h")), theirs, qkv(6, 6, 5, 3))


@pytest.mark.against("causal_linear", "fla.ops.linear_attn.naive.naive_recurrent_linear_attn")
def test_the_core_of_causal_linear_is_the_recurrence(party: Any) -> None:
    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return party(*(t.transpose(1, 2) for t in (functional.elu(q) + 1, functional.elu(k) + 1, v)), normalize=True)[0].transpose(1, 2)

    agree(Ours("causal_linear::causal_linear_core", lift=("b", "h")), theirs, qkv(6, 6, 5, 3), SINGLE)


@pytest.mark.against("performer", "performer_pytorch.performer_pytorch.softmax_kernel")
def test_the_core_of_performer_is_lucidrains_without_its_eps(party: Any) -> None:
    ours = Ours("performer::performer_core", {"e": 4, "c": 2, "a": 3}, lift=("b", "h"))
    for key in "QG":
        ours.w.pop(f"phi_q.{key}")  # tied to the other, and frozen
    w = (ours.w.pop("phi_k.Q") * ours.w.pop("phi_k.G").norm(dim=1, keepdim=True)).transpose(1, 2).flatten(0, 1)
    attend = find("performer_pytorch.performer_pytorch.linear_attention")

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        fq, fk = (party(x, projection_matrix=w, is_query=asks, eps=0.0) for x, asks in ((q, True), (k, False)))
        return attend(fq, fk, v)

    agree(ours, theirs, qkv(4, 6, 4, 3))


@pytest.mark.against("based", "fla.ops.based.naive.naive_parallel_based")
def test_the_core_of_based_is_its_polynomial(party: Any) -> None:
    agree(Ours("based::based_core", {"e": 4}, lift=("b", "h")), party, qkv(6, 6, 4, 3), 1e-5)  # they add 1e-6 to sums of about 1 to 6


@pytest.mark.against("rebased", "fla.ops.rebased.naive.naive_parallel_rebased")
def test_the_core_of_rebased_is_its_polynomial(party: Any) -> None:
    ours = Ours("rebased::rebased_core", {"e": 4}, lift=("b", "h"))

    def norm(x: Tensor, which: str) -> Tensor:  # theirs begins after the norm
        return functional.layer_norm(x, x.shape[-1:], ours.w[f"{which}.g"], ours.w[f"{which}.b"])

    agree(ours, lambda q, k, v: party(norm(q, "phi_q"), norm(k, "phi_k"), v, scale=1.0), qkv(6, 6, 4, 3), 1e-9)


@pytest.mark.against("linformer", "linformer.LinformerSelfAttention")
def test_linformer_is_lucidrains_with_one_map_for_all_heads(party: Any) -> None:
    n, d, h, p = 6, 12, 3, 2
    ours = Ours("linformer", {"n": n, "d": d, "h": h, "p": p})
    given = {f"to_{k}.weight": ours.rows(f"W{k}") for k in "qkv"}
    ours.set("W[qkv].bias", 0.0)
    given |= {"to_out.weight": ours.rows("Wo", 2), "to_out.bias": ours.w["Wo.bias"]}
    for theirs, key in (("proj_k", "keys.E"), ("proj_v", "values.E")):
        maps = ours.w.pop(key).data  # one for each head; theirs is the same in all
        given[theirs] = maps.copy_(maps[:1].clone().expand_as(maps))[0]
    agree(ours, with_weights(party(d, n, k=p, heads=h), given), [random(BATCH, n, d)])


@pytest.mark.against("agent", "agent_attention_pytorch.AgentSelfAttention")
def test_agent_is_lucidrains_with_pooled_agents(party: Any) -> None:
    n, d, h, p = 6, 12, 3, 2
    ours = Ours("agent", {"d": d, "h": h, "p": p})
    ours.set("W*.bias", 0.0)
    module = party(d, num_agent_tokens=p, dim_head=d // h, heads=h, talking_heads=False, gate=False)
    given = {"to_qkv.0.weight": torch.cat([ours.rows(f"W{k}") for k in "qkv"]), "to_out.1.weight": ours.rows("Wo", 2)}
    layer = with_weights(module, given, keep=["agent_tokens"])  # learned there; they may be given

    def theirs(x: Tensor) -> Tensor:
        return layer(x, agent_tokens=ours.heads("Wq", x).unflatten(2, (p, n // p)).mean(3))

    agree(ours, theirs, [random(BATCH, n, d)])


@pytest.mark.against("nystromformer", "transformers.models.nystromformer.modeling_nystromformer.NystromformerSelfAttention")
def test_nystromformer_is_its_authors_code(party: Any) -> None:
    from transformers import NystromformerConfig

    n, d, h, p = 8, 12, 3, 4
    ours = Ours("nystromformer", {"d": d, "h": h, "p": p})
    config = NystromformerConfig(hidden_size=d, num_attention_heads=h, num_landmarks=p, segment_means_seq_len=n, conv_kernel_size=3)
    attention = party(config)
    attention.init_option = "exact"  # one coefficient for each matrix, and not the largest of the whole batch
    names = {"query": "Wq", "key": "Wk", "value": "Wv"}
    given = {f"{k}.weight": ours.rows(key) for k, key in names.items()}
    given["conv.weight"] = torch.zeros(h, 1, 3, 1, dtype=torch.float64)  # the skip connection
    module = with_weights(attention, given | {f"{k}.bias": ours.vector(f"{key}.bias") for k, key in names.items()})
    agree(ours, lambda x: module(x)[0] @ ours.rows("Wo", 2).T + ours.vector("Wo.bias"), [random(BATCH, n, d)], 1e-9)
