"""Attention over fewer tokens than there are, against PyTorch Geometric and the Perceiver of transformers."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from .common import BATCH, Ours, agree, random, with_weights

D, H, N, P = 12, 3, 5, 4
NORMS = [f"layer_norm{i}.{part}" for i in (1, 2) for part in ("weight", "bias")]  # one and zero


def block(ours: Ours, ours_name: str, theirs: str) -> dict[str, Tensor]:
    """The weights of a MAB; its rFF(H) is relu(W H) in PyTorch Geometric, so ours gets an identity after the relu."""
    names = [f"{ours_name}multihead.W{k}" for k in "qkv"]
    out = f"{ours_name}multihead.Wo"
    return {
        f"{theirs}attn.in_proj_weight": torch.cat([ours.rows(k) for k in names]),
        f"{theirs}attn.in_proj_bias": torch.cat([ours.vector(f"{k}.bias") for k in names]),
        f"{theirs}attn.out_proj.weight": ours.rows(out, 2),
        f"{theirs}attn.out_proj.bias": ours.vector(f"{out}.bias"),
        **feed(ours, ours_name, f"{theirs}lin"),
    }


def feed(ours: Ours, ours_name: str, theirs: str) -> dict[str, Tensor]:
    ours.set(f"{ours_name}F2.bias", 0.0)
    ours.w.pop(f"{ours_name}F2").data.copy_(torch.eye(D))
    return {f"{theirs}.weight": ours.rows(f"{ours_name}F1"), f"{theirs}.bias": ours.w[f"{ours_name}F1.bias"]}


@pytest.mark.against("sab", "torch_geometric.nn.aggr.utils.SetAttentionBlock")
def test_sab_is_torch_geometrics(party: Any) -> None:
    ours = Ours("sab", {"d": D, "h": H, "c": D})
    given = block(ours, "mab.", "mab.")
    agree(ours, with_weights(party(D, H), given, keep=[f"mab.{k}" for k in NORMS]), [random(BATCH, N, D)])


@pytest.mark.against("isab", "torch_geometric.nn.aggr.utils.InducedSetAttentionBlock")
def test_isab_is_torch_geometrics(party: Any) -> None:
    ours = Ours("isab", {"d": D, "h": H, "c": D, "p": P})
    given = block(ours, "pack.", "mab1.") | block(ours, "unpack.", "mab2.") | {"ind": ours.w["memory.I"][None]}
    keep = [f"{m}.{k}" for m in ("mab1", "mab2") for k in NORMS]
    agree(ours, with_weights(party(D, P, H), given, keep), [random(BATCH, N, D)])


@pytest.mark.against("pma", "torch_geometric.nn.aggr.utils.PoolingByMultiheadAttention")
def test_pma_is_torch_geometrics(party: Any) -> None:
    ours = Ours("pma", {"d": D, "h": H, "c": D, "p": P})
    given = block(ours, "mab.", "mab.") | feed(ours, "", "lin") | {"seed": ours.w["memory.S"][None]}
    agree(ours, with_weights(party(D, P, H), given, keep=[f"mab.{k}" for k in NORMS]), [random(BATCH, N, D)])


@pytest.mark.against("perceiver", "transformers.models.perceiver.modeling_perceiver.PerceiverLayer")
def test_perceiver_is_a_cross_attend_and_a_latent_block(party: Any) -> None:
    from transformers import PerceiverConfig

    c, e = 6, 2
    ours = Ours("perceiver", {"d": D, "h": H, "c": c, "p": P, "e": e})

    def layer(name: str, cross: bool, other: int) -> Any:
        places = {"attention.self.query": "Wq", "attention.self.key": "Wk", "attention.self.value": "Wv", "attention.output.dense": "Wo"}
        places |= {"mlp.dense1": "F1", "mlp.dense2": "F2"}
        given = {f"{k}.weight": ours.rows(f"{name}.{v}", 2 if v == "Wo" else 1) for k, v in places.items()}
        given |= {f"{k}.bias": ours.vector(f"{name}.{v}.bias") for k, v in places.items()}
        module = party(PerceiverConfig(), cross, H * e, H * e, H, q_dim=c, kv_dim=other, widening_factor=1)
        return with_weights(module, given, keep=[k for k, _ in module.named_parameters() if "layernorm" in k])

    first, second = layer("cross", True, D), layer("latent", False, c)

    def theirs(x: Tensor) -> Tensor:
        latents = ours.w["memory.L"].expand(len(x), -1, -1)
        return second(first(latents, inputs=x)[0])[0]

    agree(ours, theirs, [random(BATCH, N, D)])


@pytest.mark.against("slot", "attnhut.SlotAttention")
def test_slot_is_attnhuts(party: Any) -> None:
    d = 6
    ours = Ours("slot", {"d": d, "c": d})
    zero = torch.zeros(d, dtype=torch.float64)
    given = {f"to_{k}.weight": ours.rows(f"W{k}") for k in "qkv"} | {f"to_{k}.bias": zero for k in "qkv"}
    for theirs_name, letter in (("ih", "I"), ("hh", "H")):
        given[f"gru.weight_{theirs_name}"] = torch.cat([ours.rows(f"gru.{letter}{gate}") for gate in "rzn"])
        given[f"gru.bias_{theirs_name}"] = torch.cat([ours.vector(f"gru.{letter}{gate}.bias") for gate in "rzn"])
    for place, key in ((0, "M1"), (2, "M2")):
        given |= {f"mlp.{place}.weight": ours.rows(key), f"mlp.{place}.bias": ours.vector(f"{key}.bias")}
    given |= {"slot_mu": zero[None, None], "slot_log_sigma": zero[None, None]}  # the slots are the noise, which we choose
    module = party(d, num_slots=3, hidden_dim=d)
    layer = with_weights(module, given, keep=[k for k, _ in module.named_parameters() if k.startswith("norm")])

    def theirs(t: Tensor, x: Tensor) -> Tensor:
        with patch("torch.randn_like", return_value=t):
            return layer(x)

    agree(ours, theirs, [random(BATCH, 3, d), random(BATCH, N, d, seed=1)])


@pytest.mark.against("lambda_layer", "lambda_networks.LambdaLayer")
def test_lambda_layer_is_lucidrains_on_a_square_image(party: Any) -> None:
    side, e = 3, 5
    n = side * side
    ours = Ours("lambda_layer", {"n": n, "d": D, "h": H, "e": e})
    module = party(D, dim_k=e, n=side, heads=H).double()
    table, i = random(2 * side - 1, 2 * side - 1, e, 1, seed=4).detach(), module.rel_pos
    ours.w.pop("position.E").data.copy_(table[i[..., 0], i[..., 1], :, 0])  # theirs depends on the offset only
    module.norm_q.eps = module.norm_v.eps = 0.0  # of batch norms whose running mean is 0 and variance 1
    given = {f"to_{k}.weight": ours.rows(f"W{k}")[..., None, None] for k in "qkv"} | {"rel_pos_emb": table}
    layer = with_weights(module, given, keep=[f"norm_{k}.{part}" for k in "qv" for part in ("weight", "bias")])

    def theirs(x: Tensor) -> Tensor:
        return layer(x.transpose(1, 2).unflatten(2, (side, side))).flatten(2).transpose(1, 2)

    agree(ours, theirs, [random(BATCH, n, D)])
