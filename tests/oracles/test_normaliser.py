"""Normalisers against the switches of x-transformers' attention."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from .common import BATCH, Ours, agree, attention, random


@pytest.mark.against("sigmoid_attention", "x_transformers.x_transformers.Attention")
def test_sigmoid_is_x_transformers_with_a_bias(party: Any) -> None:
    d, h, n = 12, 3, 5
    ours = Ours("sigmoid_attention", {"d": d, "h": h})
    layer = attention(party, ours, d, h, sigmoid=True)
    bias = torch.tensor(-math.log(n), dtype=torch.float64).expand(1, 1, n, n)  # the paper's b, which they leave out
    agree(ours, lambda x: layer(x, attn_bias=bias), [random(BATCH, n, d)])
