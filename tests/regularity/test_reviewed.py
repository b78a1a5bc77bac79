"""Defects that a review found: each case exceeded its bound before it was mended."""

from __future__ import annotations

import numpy as np
import torch

from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import compose, sizes_of
from anatomy.target import load_diagram
from tests.regularity.oracle import grouping, worst_quotients

torch.set_num_threads(1)


def diagram(text: str, tmp_path) -> Diagram:
    path = tmp_path / "case.anat"
    path.write_text(text, encoding="utf-8")
    return load_diagram(f"{path}::t")


def test_a_convolution_of_every_channel_by_itself(tmp_path) -> None:
    # Channel k reads the token k places back, so that n equal tokens meet in one: its length grows by sqrt(d).
    d = 3
    for result, factor in (("y", 1.0), ("y * dot[d](y, y)", 9.0)):
        made = diagram(f"axis n, d, j = {d}\ndiagram t(x: [n, d]) -> [n, d] {{\n  weight w: [j, d] ~ normal(1)\n  y = dot[j](w, unfold[n -> j](x))\n  out {result}\n}}\n", tmp_path)
        full = sizes_of(made, {"n": 4, "d": d})
        net = build(made, {"n": 4, "d": d}, dtype=torch.float64, passes=DIFFERENTIABLE)
        with torch.no_grad():
            net.w.copy_(torch.eye(d))
            net.w.requires_grad_(False)
        found = compose(made, full, {"w": np.eye(d)}, 1.0)
        x = torch.zeros(4, d, dtype=torch.float64)
        x[[1, 2, 3], [0, 1, 2]] = 1.0
        radius = max(b.radius for b in found.bounds.values() if b.axes == {"n", "d"} and not b.constant)
        y = net(x)
        assert float(y.norm(dim=-1).max()) <= radius * (1 + 1e-12)
        j = torch.autograd.functional.jacobian(lambda v, net=net: net(v.reshape(4, d)).reshape(-1), x.reshape(-1)).numpy()
        worst = worst_quotients(j, grouping([(4, d)]), grouping([(4, d)]), np.random.default_rng(0))
        assert found.triple.two >= factor * (1 - 1e-12)
        assert worst[2.0] <= found.triple.two * (1 + 1e-9)
        assert max(worst[np.inf], np.sqrt(d)) <= found.triple.inf * (1 + 1e-9)
        assert worst[1.0] <= found.triple.one * (1 + 1e-9)


def test_a_delta_rule_whose_gate_stands_with_the_difference(tmp_path) -> None:
    # The derivative of the write must not count the difference twice, which is small here.
    text = """axis n, d, e, f
diagram t(k: [n, e], v: [n, f], b: [n]) -> [n, f] {
  scan n (s: [e, f] = 0) {
    m = s + k * (sigmoid(b) * (0.01 * v - dot[e](k, s)))
    next s = m
    y = dot[e](k, m)
  }
  out y
}
"""
    made = diagram(text, tmp_path)
    sizes = {"n": 3, "e": 2, "f": 2}
    found = compose(made, sizes_of(made, sizes), {}, 1.0)
    net = build(made, sizes, dtype=torch.float64, passes=DIFFERENTIABLE)
    k, v, b = torch.ones(3, 2, dtype=torch.float64) / 2**0.5, torch.ones(3, 2, dtype=torch.float64) / 2**0.5, torch.ones(3, dtype=torch.float64)
    j = torch.autograd.functional.jacobian(net, (k, v, b))
    whole = torch.cat([p.reshape(6, -1) for p in j], dim=1)
    assert float(torch.linalg.matrix_norm(whole, 2)) <= found.triple.two
