"""Recurrences against the plain reference code of flash-linear-attention, and whole layers against Mamba-2, Mamba and RWKV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import anatomy

from .common import BATCH, SINGLE, Ours, agree, find, random, with_weights

D, H, N = 12, 3, 7


def swapped(*tensors: Tensor) -> tuple[Tensor, ...]:
    """[b, h, n, e] as [b, n, h, e], and back."""
    return tuple(t.transpose(1, 2) for t in tensors)


@pytest.mark.against("linear_recurrent", "performer_pytorch.performer_pytorch.causal_linear_attention_noncuda")
def test_linear_recurrent_is_performers_sum(party: Any) -> None:
    ours = Ours("linear_recurrent", {"d": D, "h": H})
    agree(ours, ours.around(lambda q, k, v: party(functional.elu(q) + 1, functional.elu(k) + 1, v, eps=0.0)), [random(BATCH, N, D)])


def retained(target: str, party: Any) -> None:
    """Their retention between library rotations and, by hand, the norm of heads, the gate and the projections."""
    d, h = 24, 3
    ours = Ours(target, {"d": d, "h": h})
    turn = find("rotary_embedding_torch.RotaryEmbedding")(d // h).rotate_queries_or_keys

    def theirs(x: Tensor) -> Tensor:
        def core(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            y = party(turn(q), turn(k), v) * q.shape[-1] ** 0.5  # they divide scores by its root
            return functional.layer_norm(y, y.shape[-1:]) * functional.silu(ours.heads("Wg", x))

        return ours.around(core)(x)

    agree(ours, theirs, [random(BATCH, N, d)], SINGLE)


@pytest.mark.against("retention", "fla.ops.retention.naive.naive_retention")
def test_retention_is_flash_linear_attentions(party: Any) -> None:
    retained("retention", party)


@pytest.mark.against("retention_recurrent", "fla.ops.retention.naive.naive_retention")
def test_retention_as_a_recurrence_is_their_parallel_form(party: Any) -> None:
    retained("retention_recurrent", party)


@pytest.mark.against("gla", "fla.ops.gla.naive.naive_recurrent_gla")
def test_gla_is_flash_linear_attentions(party: Any) -> None:
    ours = Ours("gla", {"d": D, "h": H, "r": 5})

    def theirs(x: Tensor) -> Tensor:
        low = x @ ours.w["forget.W1"]
        keep = functional.logsigmoid(ours.heads("forget.W2", low)) / 16

        def core(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            (y,) = swapped(party(*swapped(q * q.shape[-1] ** 0.5, k, v, keep))[0])
            return functional.layer_norm(y, y.shape[-1:]) * functional.silu(ours.heads("Wr", x))

        return ours.around(core)(x)

    agree(ours, theirs, [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("lightning", "fla.ops.simple_gla.naive.naive_recurrent_simple_gla")
def test_lightning_is_a_gate_that_looks_at_nothing(party: Any) -> None:
    ours = Ours("lightning", {"d": D, "h": H})
    slopes = -8 * torch.arange(1, H + 1, dtype=torch.float64) / H

    def theirs(x: Tensor) -> Tensor:
        def core(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            decay = slopes.expand(*x.shape[:2], H)
            y = party(*swapped(functional.silu(q), functional.silu(k), v), decay, scale=1.0)[0]
            normal = functional.rms_norm(y.flatten(2), (D,), eps=1e-5).view_as(y)
            return swapped(normal)[0] * ours.heads("Wu", x)

        return ours.around(core)(x)

    agree(ours, theirs, [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("rwkv", "transformers.models.rwkv.modeling_rwkv.RwkvSelfAttention")
def test_rwkv_is_its_authors_time_mixing(party: Any) -> None:
    from transformers import RwkvConfig

    ours = Ours("rwkv", {"d": D})
    names = {"key": "Wk", "value": "Wv", "receptance": "Wr", "output": "Wo"}
    given = {f"{name}.weight": ours.rows(key) for name, key in names.items()} | {"time_decay": ours.w["w"], "time_first": ours.w["u"]}
    given |= {f"time_mix_{name}": ours.w[f"mix_{name[0]}.mu"][None, None] for name in ("key", "value", "receptance")}
    module = with_weights(party(RwkvConfig(hidden_size=D)), given)
    agree(ours, lambda x: module(x)[0], [random(BATCH, N, D)], SINGLE)


def taps(ours: Ours, *keys: str) -> dict[str, Tensor]:
    """Causal convolutions, side by side, as `nn.Conv1d` stores them: the tap of no delay comes last."""
    weights = torch.cat([ours.w[f"{key}.w"].T for key in keys])
    return {"conv1d.weight": weights[:, None], "conv1d.bias": torch.cat([ours.w[f"{key}.b"] for key in keys])}


@pytest.mark.against("ssd", "transformers.models.mamba2.modeling_mamba2.Mamba2Mixer")
def test_ssd_is_mamba_2(party: Any) -> None:
    same_as_mamba_2("ssd", party)


def same_as_mamba_2(target: str, party: Any) -> None:
    from transformers import Mamba2Config

    d, h, a = 8, 4, 5
    ours = Ours(target, {"d": d, "h": h, "e": 2 * d // h, "a": a})
    config = Mamba2Config(hidden_size=d, expand=2, num_heads=h, head_dim=2 * d // h, state_size=a, n_groups=1, chunk_size=4)
    given = {"in_proj.weight": torch.cat([ours.rows(k) for k in ("Wz", "Wx", "WB", "WC", "Wt")]), "out_proj.weight": ours.rows("Wo")}
    given |= {"dt_bias": ours.w["Wt.bias"], "A_log": ours.w["A"], "D": ours.w["D"], **taps(ours, "conv_x", "conv_b", "conv_c")}
    agree(ours, with_weights(party(config, 0), given, keep=["norm.weight"]), [random(BATCH, N, d)], SINGLE)


@pytest.mark.against("mamba", "transformers.models.mamba.modeling_mamba.MambaMixer")
def test_mamba_with_another_discretisation_is_its_authors_code(party: Any) -> None:
    from transformers import MambaConfig

    d, a, r = 6, 5, 2
    diagram = anatomy.space(f"{Path(__file__).with_name('euler.anat')}::code")[0].diagram  # their B' is Delta B
    ours = Ours(diagram, {"d": d, "a": a, "r": r})
    config = MambaConfig(hidden_size=d, state_size=a, expand=2, conv_kernel=4, time_step_rank=r)
    given = {"in_proj.weight": torch.cat([ours.rows("Wx"), ours.rows("Wz")]), "out_proj.weight": ours.rows("Wo")}
    given |= {"x_proj.weight": torch.cat([ours.rows(k) for k in ("Wr", "WB", "WC")]), "A_log": ours.w["A"], "D": ours.w["D"]}
    given |= {"dt_proj.weight": ours.rows("Wt"), "dt_proj.bias": ours.w["Wt.bias"], **taps(ours, "convolution")}
    agree(ours, with_weights(party(config, 0), given), [random(BATCH, N, d)], SINGLE)


@pytest.mark.against("ssd_dual", "transformers.models.mamba2.modeling_mamba2.Mamba2Mixer")
def test_the_dual_form_of_ssd_is_mamba_2(party: Any) -> None:
    same_as_mamba_2("ssd_dual", party)


def short(ours: Ours, which: str, x: Tensor) -> Tensor:
    """A projection, its causal convolution by `conv1d`, and SiLU: [b, h, n, e]."""
    w = ours.w[f"conv_{which}.w"]
    y = functional.pad(x @ ours.w[f"W{which}"].flatten(1), (0, 0, len(w) - 1, 0)).transpose(1, 2)
    y = functional.conv1d(y, w.flatten(1).T[:, None], groups=w[0].numel())
    return functional.silu(y).unflatten(1, w.shape[1:]).transpose(2, 3)


def unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def delta(target: str, sizes: dict[str, int], core: Any, finish: Any) -> None:
    """Their delta rule between convolutions, the norm of heads and the projections."""
    ours = Ours(target, {"d": D, "h": H, **sizes})

    def theirs(x: Tensor) -> Tensor:
        q, k, v = (short(ours, which, x) for which in "qkv")
        beta = torch.sigmoid(ours.w["Wb"].flatten(1).T @ x.transpose(1, 2))
        y = core(ours, x, unit(q) * q.shape[-1] ** 0.5, unit(k), v, beta)  # they divide queries by the root
        return torch.einsum("bhnf,hfd->bnd", finish(ours, x, functional.rms_norm(y, y.shape[-1:], eps=1e-5)), ours.w["Wo"])

    agree(ours, theirs, [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("delta_rule", "fla.ops.delta_rule.naive.delta_rule_recurrence")
def test_delta_rule_is_flash_linear_attentions(party: Any) -> None:
    delta("delta_rule", {}, lambda ours, x, *qkvb: party(*qkvb)[0], lambda ours, x, y: y)


@pytest.mark.against("gated_delta", "fla.ops.gated_delta_rule.naive.naive_recurrent_gated_delta_rule")
def test_gated_delta_is_flash_linear_attentions(party: Any) -> None:
    def core(ours: Ours, x: Tensor, *qkvb: Tensor) -> Tensor:
        step = functional.softplus(x @ ours.w["forget.Wa"] + ours.w["forget.Wa.bias"])
        return swapped(party(*swapped(*qkvb), -ours.w["forget.A"].exp() * step)[0])[0].double()

    delta("gated_delta", {}, core, lambda ours, x, y: y * functional.silu(ours.heads("Wg", x)))


@pytest.mark.against("kda", "fla.ops.kda.naive.naive_recurrent_kda")
def test_kda_is_flash_linear_attentions(party: Any) -> None:
    def core(ours: Ours, x: Tensor, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
        step = functional.softplus(ours.heads("forget.Up", x @ ours.w["forget.Down"]))
        decay = -ours.w["forget.A"].exp()[:, None, None] * step
        return swapped(party(*swapped(q, k, v, decay, beta))[0])[0]

    delta("kda", {"r": 3}, core, lambda ours, x, y: y * torch.sigmoid(ours.heads("Wup", x @ ours.w["Wdown"])))


@pytest.mark.against("abc", "fla.ops.abc.naive.naive_recurrent_abc")
def test_abc_is_flash_linear_attentions(party: Any) -> None:
    ours = Ours("abc", {"d": D, "h": H, "p": 5})
    agree(ours, lambda x: ours.around(lambda q, k, v: party(q, k, v, ours.heads("Wa", x))[0])(x), [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("gsa", "fla.ops.gsa.naive.naive_recurrent_gsa")
def test_gsa_is_flash_linear_attentions(party: Any) -> None:
    ours = Ours("gsa", {"d": D, "h": H, "p": 5})

    def theirs(x: Tensor) -> Tensor:
        keep = functional.logsigmoid(ours.heads("forget.Wa", x)) / 8

        def core(*qkv: Tensor) -> Tensor:
            bent = swapped(*map(functional.silu, qkv))
            y = functional.silu(party(*bent, *swapped(1 - keep.exp(), keep), scale=1.0)[0])
            return swapped(functional.rms_norm(y.flatten(2), (D,), eps=1e-5).view_as(y))[0]

        return ours.around(core)(x)

    agree(ours, theirs, [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("hgrn2", "fla.ops.gla.naive.naive_recurrent_gla")
def test_hgrn2_is_gated_linear_attention_with_what_is_forgotten_as_key(party: Any) -> None:
    ours = Ours("hgrn2", {"d": D, "h": H})

    def theirs(x: Tensor) -> Tensor:
        least = torch.sigmoid(ours.w["forget.bound"])[:, None]
        keep = least + (1 - least) * torch.sigmoid(ours.heads("forget.Wf", x))
        q, v = torch.sigmoid(ours.heads("Wq", x)), functional.silu(ours.heads("Wv", x))
        y = party(*swapped(q * q.shape[-1] ** 0.5, 1 - keep, v, keep.log()))[0].flatten(2)
        return functional.layer_norm(y, (D,)) @ ours.rows("Wo", 2).T + ours.w["Wo.bias"]

    agree(ours, theirs, [random(BATCH, N, D)], SINGLE)


@pytest.mark.against("location_sensitive", "openspeech.modules.location_aware_attention.LocationAwareAttention")
def test_location_sensitive_is_openspeechs(party: Any) -> None:
    d, a = 6, 5
    ours = Ours("location_sensitive", {"d": d, "c": d, "a": a, "p": a, "j": 3})
    ours.w.pop("score.U").data.copy_(torch.eye(a))  # their filters are as many as the score has features, of 3 taps
    given = {"location_conv.weight": ours.w["F"].T[:, None], "query_proj.linear.weight": ours.rows("W")}
    given |= {"value_proj.linear.weight": ours.rows("V"), "fc.linear.weight": ours.w["score.u"][None], "bias": ours.w["W.bias"]}
    given |= {"location_conv.bias": torch.zeros(a, dtype=torch.float64), "fc.linear.bias": torch.zeros(1, dtype=torch.float64)}
    step = with_weights(party(d, a), given)

    def theirs(t: Tensor, x: Tensor) -> Tensor:
        before, out = torch.zeros_like(x[..., 0]), []
        for state in t.unbind(1):
            context, before = step(state[:, None], x, before)
            out.append(context)
        return torch.cat(out, 1)

    agree(ours, theirs, [random(BATCH, 4, d), random(BATCH, N, d)])
