"""Whole layers of the zoo, projections included, against other people's modules with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bench_compiled as written
import torch
from cases_cores import BY_HAND, Case, inductor
from second_parties import find, given, layer, rows
from timing import Contest, Run
from torch import Tensor, nn

BATCH, D, HEADS = 2, 512, 8


def contest(entry: str, tokens: int, gradient: bool, zeroed: bool = False, d: int = D, **sizes: int) -> tuple[Contest, Any]:
    """A layer of the zoo; `zeroed` where the others have no biases."""
    net: Any = layer(entry, d=d, **sizes)
    if zeroed:
        for key, p in net.named_parameters():
            if key.startswith("W") and key.endswith("bias"):
                nn.init.zeros_(p)
    x = torch.randn(BATCH, tokens, d, generator=torch.Generator().manual_seed(0)).requires_grad_(gradient)
    more = "".join(f", {k} {v}" for k, v in sizes.items() if k != "n")
    return Contest(entry, f"b {BATCH}, n {tokens}, d {d}{more}", [x]).ours(net), net


def projections(net: Any) -> dict[str, Tensor]:
    return {**{f"to_{k}.weight": rows(getattr(net, f"W{k}")) for k in "qkv"}, "to_out.weight": rows(net.Wo, 2)}


def x_transformers(net: Any, extra: dict[str, Tensor] | None = None, **switches: Any) -> nn.Module:
    party = find("x_transformers.x_transformers", "Attention")(D, dim_head=D // HEADS, heads=HEADS, **switches)
    return given(party, projections(net) | (extra or {}))


def output(call: Callable[..., Any]) -> Run:
    """Of a module that gives more than its output, the output; its weights are found as a module's."""

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = call

        def forward(self, *xs: Tensor) -> Tensor:
            y = self.inner(*xs)
            return y[0] if isinstance(y, tuple) else y

    return First() if isinstance(call, nn.Module) else lambda *xs: call(*xs)[0]


def multihead(net: Any, weights: bool) -> Run:
    module = nn.MultiheadAttention(D, HEADS, batch_first=True)
    state = {
        "in_proj_weight": torch.cat([rows(getattr(net, f"W{k}")) for k in "qkv"]), "out_proj.weight": rows(net.Wo, 2), "out_proj.bias": net.Wo_bias,
        "in_proj_bias": torch.cat([getattr(net, f"W{k}_bias").flatten() for k in "qkv"]),
    }  # fmt: skip

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = given(module, state).train()  # the other path of evaluation has no gradient

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x, x, x, need_weights=weights)[0]

    return Layer()


class ByHand(nn.Module):
    """A function of a compiled module's weights, with those weights."""

    def __init__(self, net: nn.Module, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.net = net
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.net, x)


def mha(gradient: bool) -> Contest:
    found, net = contest("mha", 512, gradient, h=HEADS)
    found.against("einsum as written", lambda: ByHand(net, written.mha_obvious))
    found.against("SDPA by hand", lambda: ByHand(net, written.mha), BY_HAND)
    found.against("nn.MultiheadAttention", lambda: multihead(net, False))
    found.against("nn.MultiheadAttention with weights", lambda: multihead(net, True))
    if gradient:
        found.against("einsum through torch.compile, patterns off", lambda: inductor(ByHand(net, written.mha_obvious)), compiles=True)
    return found


def plain(gradient: bool) -> Contest:
    found, net = contest("mha", 512, gradient, True, h=HEADS)
    found.against("x-transformers Attention", lambda: x_transformers(net))
    return found.against("x-transformers Attention, flash", lambda: x_transformers(net, flash=True))


def causal(gradient: bool) -> Contest:
    found, net = contest("causal_mha", 512, gradient, True, h=HEADS)
    found.against("einsum as written", lambda: ByHand(net, written.causal_obvious))
    found.against("SDPA by hand", lambda: ByHand(net, written.causal), BY_HAND)
    found.against("x-transformers Attention", lambda: x_transformers(net, causal=True))
    return found.against("x-transformers Attention, flash", lambda: x_transformers(net, causal=True, flash=True))


Extra = Callable[[Any], dict[str, Tensor]]


def heads_mixed(net: Any) -> dict[str, Tensor]:
    before, after = net.before_Pl.detach().T - torch.eye(HEADS), net.after_Pw.detach().T  # they add the mixed scores to the scores
    return {f"attend.{k}_softmax_talking_heads.weight": w[:, :, None, None] for k, w in (("pre", before), ("post", after))}


SWITCHES: dict[str, tuple[dict[str, Any], Extra | None, dict[str, int]]] = {
    "softmax_one": ({"add_zero_kv": True}, None, {}),
    "learned_sink": ({"causal": True, "head_learned_sink": True}, lambda net: {"attend.head_attn_sink": net.sink}, {}),
    "mqa": ({"one_kv_head": True}, None, {}),
    "talking_heads": ({"pre_talking_heads": True, "post_talking_heads": True}, heads_mixed, {"g": HEADS, "j": HEADS}),
    "gated_attention": ({"gate_values": True}, lambda net: {"to_v_gate.weight": rows(net.Wg)}, {}),
    "inverted": ({"inverted_attention": True}, None, {}),
    "laser": ({"laser": True, "laser_softclamp_value": 1e6}, None, {}),
    "cog": ({"cog_signed": True}, None, {}),
    "topk_attention": ({"sparse_topk": 64}, None, {"r": 64}),
    "selective": ({"causal": True, "selective": True}, None, {}),
}
"""Entries that are one switch of x-transformers' `Attention`, and what weights and sizes they have more."""


def switched(entry: str) -> Callable[[bool], Contest]:
    switches, extra, sizes = SWITCHES[entry]

    def make(gradient: bool) -> Contest:
        found, net = contest(entry, 512, gradient, True, h=HEADS, **sizes)
        return found.against("x-transformers Attention", lambda: x_transformers(net, extra(net) if extra else None, **switches))

    make.__name__ = entry
    return make


def linformer(gradient: bool) -> Contest:
    n, p = 1024, 128
    found, net = contest("linformer", n, gradient, True, h=HEADS, n=n, p=p)

    def theirs() -> Run:
        weights = projections(net) | {"to_out.bias": net.Wo_bias}
        for key, maps in (("proj_k", net.keys_E), ("proj_v", net.values_E)):
            with torch.no_grad():
                maps.copy_(maps[:1].expand_as(maps))  # theirs is one for all heads
            weights[key] = maps[0]
        return given(find("linformer", "LinformerSelfAttention")(D, n, k=p, heads=HEADS), weights)

    return found.against("linformer LinformerSelfAttention", theirs)


def nystrom(gradient: bool) -> Contest:
    n, p = 1024, 64
    found, net = contest("nystromformer", n, gradient, True, h=HEADS, p=p)

    def theirs() -> Run:
        party = find("nystrom_attention", "NystromAttention")(D, dim_head=D // HEADS, heads=HEADS, num_landmarks=p, pinv_iterations=6, residual=False)
        weights = {"to_qkv.weight": torch.cat([rows(getattr(net, f"W{k}")) for k in "qkv"]), "to_out.0.weight": rows(net.Wo, 2), "to_out.0.bias": net.Wo_bias}
        return given(party, weights)

    return found.against("nystrom-attention NystromAttention", theirs, same=False)  # one first guess of the inverse for a whole batch


def agent(gradient: bool) -> Contest:
    n, p = 1024, 64
    found, net = contest("agent", n, gradient, True, h=HEADS, p=p)

    def theirs() -> Run:
        party = find("agent_attention_pytorch", "AgentSelfAttention")(D, num_agent_tokens=p, dim_head=D // HEADS, heads=HEADS, talking_heads=False, gate=False)
        weights = {"to_qkv.0.weight": torch.cat([rows(getattr(net, f"W{k}")) for k in "qkv"]), "to_out.1.weight": rows(net.Wo, 2)}
        return given(party, weights | {"agent_tokens": party.agent_tokens})

    return found.against("agent-attention-pytorch AgentSelfAttention", theirs, same=False)  # their agents are learned, ours pooled


def aft(gradient: bool) -> Contest:
    n = 256
    found, net = contest("aft_full", n, gradient, n=n)

    def theirs() -> Run:
        weights = {f"to_{k}.weight": rows(getattr(net, f"W{k}")) for k in "qkv"} | {f"to_{k}.bias": getattr(net, f"W{k}_bias") for k in "qkv"}
        weights |= {"project.weight": torch.eye(D), "project.bias": torch.zeros(D), "wbias": net.position_b}
        return given(find("aft_pytorch", "AFTFull")(n, D, D), weights)

    return found.against("aft-pytorch AFTFull, a projection more", theirs)


def taps(net: Any, *keys: str) -> dict[str, Tensor]:
    w, b = (torch.cat([getattr(net, f"{key}_{which}").detach().T for key in keys]) for which in "wb")
    return {"conv1d.weight": w[:, None], "conv1d.bias": b}


def ssd(gradient: bool) -> Contest:
    n, d, h, a = 1024, 256, 8, 64
    found, net = contest("ssd", n, gradient, d=d, h=h, e=2 * d // h, a=a)

    def theirs() -> Run:
        config = find("transformers", "Mamba2Config")(hidden_size=d, expand=2, num_heads=h, head_dim=2 * d // h, state_size=a, n_groups=1, chunk_size=64)
        party = find("transformers.models.mamba2.modeling_mamba2", "Mamba2Mixer")(config, 0)
        weights = {"in_proj.weight": torch.cat([rows(getattr(net, k)) for k in ("Wz", "Wx", "WB", "WC", "Wt")]), "out_proj.weight": rows(net.Wo)}
        weights |= {"dt_bias": net.Wt_bias, "A_log": net.A, "D": net.D, "norm.weight": party.norm.weight, **taps(net, "conv_x", "conv_b", "conv_c")}
        return output(given(party, weights))

    return found.against("transformers Mamba2Mixer, chunks", theirs)


def mamba(gradient: bool) -> Contest:
    n, d, a, r = 256, 256, 16, 16
    found, _ = contest("mamba", n, gradient, d=d, a=a, r=r)

    def theirs() -> Run:
        config = find("transformers", "MambaConfig")(hidden_size=d, state_size=a, expand=2, conv_kernel=4, time_step_rank=r)
        return output(find("transformers.models.mamba.modeling_mamba", "MambaMixer")(config, 0))

    return found.against("transformers MambaMixer, steps", theirs, same=False)  # another discretisation of B


def rwkv(gradient: bool) -> Contest:
    found, net = contest("rwkv", 512, gradient)

    def theirs() -> Run:
        names = {"key": "Wk", "value": "Wv", "receptance": "Wr", "output": "Wo"}
        weights = {f"{name}.weight": rows(getattr(net, key)) for name, key in names.items()} | {"time_decay": net.w, "time_first": net.u}
        weights |= {f"time_mix_{k}": getattr(net, f"mix_{k[0]}_mu").detach()[None, None] for k in ("key", "value", "receptance")}
        return output(given(find("transformers.models.rwkv.modeling_rwkv", "RwkvSelfAttention")(find("transformers", "RwkvConfig")(hidden_size=D)), weights))

    return found.against("transformers RwkvSelfAttention, steps", theirs)


def cases() -> Iterator[Case]:
    for make in (mha, plain, causal, *map(switched, SWITCHES), linformer, nystrom, agent, aft, ssd, mamba, rwkv):
        yield make, (False, True)
