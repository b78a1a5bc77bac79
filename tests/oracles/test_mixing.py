"""Token mixing without queries, against lucidrains' Mixer and the Fourier transform of FNet."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn

from .common import BATCH, DOUBLE, Ours, agree, find, random, with_weights


@pytest.mark.against("mixer", "mlp_mixer_pytorch.mlp_mixer_pytorch.PreNormResidual")
def test_mixer_is_two_residual_blocks(party: Any) -> None:
    n, d, p, c = 5, 6, 7, 8
    ours = Ours("mixer", {"n": n, "d": d, "p": p, "c": c})
    feed = find("mlp_mixer_pytorch.mlp_mixer_pytorch.FeedForward")
    module = nn.Sequential(party(d, feed(n, p, 0.0, partial(nn.Conv1d, kernel_size=1))), party(d, feed(d, c)))
    given: dict[str, Tensor] = {}
    for block, first, second in ((0, "T1", "T2"), (1, "C1", "C2")):
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
