"""Scores against the switches of x-transformers' attention; its softmax runs in float32."""

from __future__ import annotations

from typing import Any

import pytest

from .common import BATCH, SINGLE, Ours, agree, attention, qkv, random


@pytest.mark.against("cosine", "x_transformers.x_transformers.Attention")
def test_cosine_is_query_key_normalisation(party: Any) -> None:
    d, h = 24, 3
    ours = Ours("cosine", {"d": d, "h": h})
    g = ours.w["cosine_core.g"].data.fill_(3.5).item()
    ours.w.pop("cosine_core.g")  # a constant there
    # our unit vectors are q / sqrt(|q|^2 + 1e-6), theirs q / max(|q|, 1e-12): these inputs have |q| near 3
    layer = attention(party, ours, d, h, qk_norm=True, qk_norm_scale=g)
    agree(ours, layer, [random(BATCH, 5, d)], 1e-6)


@pytest.mark.against("l2", "x_transformers.x_transformers.Attention")
def test_the_core_of_l2_is_a_distance(party: Any) -> None:
    # The layer ties W^Q = W^K and feeds the values through W^Q; x-transformers has the score only.
    e, h = 8, 3
    attend = party(h * e, dim_head=e, heads=h, l2_distance=True).attend
    agree(Ours("l2::l2_core", lift=("b", "h")), lambda q, k, v: attend(q, k, v)[0], qkv(4, 6, e, e, h), SINGLE)
