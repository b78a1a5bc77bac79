"""Functions with a finite value at -inf may read masked scores: relu, sigmoid, exp and their like."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import anatomy
from anatomy.compiler import DIFFERENTIABLE

TEXT = """
axis n, m = n, d
diagram f(x: [n, d]) -> [n, d] {{
  z = x[n -> m]
  s = causal[m <= n](dot[d](lin Q[d -> e](x)[e -> d], z))
  out dot[m]({}, z)
}}
"""


@pytest.mark.parametrize("weigh", ["exp(s)", "sigmoid(s)", "relu(s)", "softplus(s)", "tanh(s) + 1", "elu(s) + 1"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_bound_holds_at_random_inputs(weigh: str, seed: int) -> None:
    text = TEXT.format(weigh).replace("axis n, m = n, d", "axis n, m = n, d, e = d")
    diagram = anatomy.parse(text)["f"]
    sizes = {"n": 4, "d": 3, "e": 3}
    found = anatomy.regularity(diagram, sizes, seed=seed)
    assert found.verdict == "lipschitz_on_domain"
    net = anatomy.compile(diagram, sizes, seed=seed, dtype=torch.float64, passes=DIFFERENTIABLE)
    generator = torch.Generator().manual_seed(seed)
    worst = 0.0
    for k in range(40):
        x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        x = x / x.norm(dim=-1, keepdim=True) * (1.0 if k % 2 else 0.5)
        jacobian = torch.autograd.functional.jacobian(net, x).reshape(12, 12)
        worst = max(worst, float(np.linalg.norm(jacobian.numpy(), 2)))
    assert found.lower is not None
    assert found.upper is not None
    assert worst <= found.upper
    assert found.lower <= found.upper


def test_silu_of_a_masked_score_stays_unknown() -> None:
    """It computes -inf times 0."""
    text = TEXT.format("silu(s)").replace("axis n, m = n, d", "axis n, m = n, d, e = d")
    found = anatomy.regularity(anatomy.parse(text)["f"], {"n": 3, "d": 2, "e": 2})
    assert found.verdict in ("unknown", "not_lipschitz_on_domain")
