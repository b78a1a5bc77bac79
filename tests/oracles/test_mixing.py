"""Token mixing without queries, against lucidrains' Mixer and the Fourier transform of FNet."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from .common import BATCH, DOUBLE, SINGLE, Ours, agree, find, random, with_weights


@pytest.mark.against("mixer", "mlp_mixer_pytorch.mlp_mixer_pytorch.PreNormResidual")
def test_mixer_is_two_residual_blocks(party: Any) -> None:
    n, d, p, c = 5, 6, 7, 8
    ours = Ours("mixer", {"n": n, "d": d, "p": p, "c": c})
    feed = find("mlp_mixer_pytorch.mlp_mixer_pytorch.FeedForward")
    module = nn.Sequential(party(d, feed(n, p, 0.0, partial(nn.Conv1d, kernel_size=1))), party(d, feed(d, c)))
    given: dict[str, Tensor] = {}
    for block, first, second in ((0, "mixing.T1", "mixing.T2"), (1, "C1", "C2")):
        for place, key in ((0, first), (3, second)):
            weight = ours.rows(key)
            given[f"{block}.fn.{place}.weight"] = weight if block else weight[..., None]
            given[f"{block}.fn.{place}.bias"] = ours.vector(f"{key}.bias")
    norms = [f"{block}.norm.{part}" for block in (0, 1) for part in ("weight", "bias")]  # one and zero, as in ours
    agree(ours, with_weights(module, given, keep=norms), [random(BATCH, n, d)], DOUBLE)


@pytest.mark.against("fnet", "transformers.models.fnet.modeling_fnet.FNetBasicFourierTransform")
def test_fnet_is_the_transform_of_its_authors(party: Any) -> None:
    from transformers import FNetConfig

    module = party(FNetConfig(use_tpu_fourier_optimizations=False))
    agree(Ours("fnet"), lambda x: module(x)[0], [random(BATCH, 5, 6)])


def aft(ours: Ours, d: int) -> dict[str, Tensor]:
    given = {f"to_{k}.weight": ours.rows(f"W{k}") for k in "qkv"} | {f"to_{k}.bias": ours.w[f"W{k}.bias"] for k in "qkv"}
    return given | {"project.weight": torch.eye(d, dtype=torch.float64), "project.bias": torch.zeros(d, dtype=torch.float64)}


@pytest.mark.against("aft_full", "aft_pytorch.AFTFull")
def test_aft_full_is_theirs(party: Any) -> None:
    n, d = 5, 6
    ours = Ours("aft_full", {"n": n, "d": d})
    agree(ours, with_weights(party(n, d, d), aft(ours, d) | {"wbias": ours.w["position.b"]}), [random(BATCH, n, d)])


@pytest.mark.against("aft_simple", "aft_pytorch.AFTSimple")
def test_aft_simple_is_theirs(party: Any) -> None:
    n, d = 5, 6
    ours = Ours("aft_simple", {"d": d})
    agree(ours, with_weights(party(n, d, d), aft(ours, d)), [random(BATCH, n, d)])


@pytest.mark.against("aft_local", "aft_pytorch.AFTLocal")
def test_aft_local_is_theirs(party: Any) -> None:
    n, d = 36, 3
    ours = Ours("aft_local", {"n": n, "d": d})
    module = party(n, d, d, s=32)
    module.load_state_dict(aft(ours, d) | {"wbias": ours.w["position.b"]})  # in float32, and made anew in each forward pass
    agree(ours, lambda x: module(x.float()).double(), [random(BATCH, n, d)], SINGLE, gradients=False)


@pytest.mark.against("gmlp", "g_mlp_pytorch.g_mlp_pytorch.gMLPBlock")
def test_gmlp_is_lucidrains_block_with_its_residual(party: Any) -> None:
    n, d = 5, 3
    a = 2 * d
    ours = Ours("gmlp", {"n": n, "d": d})
    residual, norm = (find(f"g_mlp_pytorch.g_mlp_pytorch.{name}") for name in ("Residual", "PreNorm"))
    module = residual(norm(d, party(dim=d, dim_ff=2 * a, seq_len=n)))
    given = {
        "fn.fn.proj_in.0.weight": ours.rows("U"),
        "fn.fn.proj_in.0.bias": ours.w["U.bias"],
        "fn.fn.sgu.weight": ours.rows("mixing.W")[None],
        "fn.fn.sgu.bias": ours.w["mixing.b"][None],
        "fn.fn.proj_out.weight": ours.rows("V"),
        "fn.fn.proj_out.bias": ours.w["V.bias"],
    }
    norms = [f"{place}.{part}" for place in ("fn.norm", "fn.fn.sgu.norm") for part in ("weight", "bias")]  # one and zero
    agree(ours, with_weights(module, given, keep=norms), [random(BATCH, n, d)])


@pytest.mark.against("pooling", "transformers.models.poolformer.modeling_poolformer.PoolFormerPooling")
def test_pooling_is_poolformers_on_an_image_of_one_row(party: Any) -> None:
    pool = party(3)
    agree(Ours("pooling"), lambda x: pool(x.transpose(1, 2)[:, :, None])[:, :, 0].transpose(1, 2), [random(BATCH, 6, 4)])
