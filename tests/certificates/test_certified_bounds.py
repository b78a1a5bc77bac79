"""What certificates claim, against lower bounds that share nothing with them: exact Jacobians in float64, attacked by ascent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from flint import arb, ctx

from anatomy.api import load, parse
from anatomy.certificates import softmax, walking
from anatomy.certificates.writing import graph_of, weights_of
from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.ir.graph import Diagram

TEXT = """
axis n, d, e, h, f
axis m = n
axis c = d
diagram plain(x: [n, d]) -> [n, d] { out dot[m](softmax[m](dot[d](lin A[d -> c](x)[c -> d], x[n -> m])), x[n -> m]) }
diagram triangle(x: [n, d]) -> [n, d] {
  s = dot[d](lin A[d -> c](x)[c -> d], x[n -> m])
  out dot[m](softmax[m](mask(iota[m] <= iota[n], s)), lin V[d -> c](x[n -> m]))[c -> d]
}
diagram heads(x: [n, d]) -> [n, d] {
  p = softmax[m](dot[e](lin Q[d -> h, e](x), lin K[d -> h, e](x[n -> m])) / sqrt(size[e]))
  out x + lin O[h, e -> d](dot[m](p, lin V[d -> h, e](x[n -> m])))
}
diagram cross(y: [n, d], x: [m, d]) -> [n, e] {
  out dot[m](softmax[m](dot[e](lin Q[d -> e](y), lin K[d -> e](x))), lin V[d -> e](x))
}
diagram capped(x: [n, d]) -> [n, d] {
  s = 2 * tanh(dot[d](lin A[d -> c](x)[c -> d], x[n -> m]) / 2)
  out dot[m](softmax[m](s), lin V[d -> c](x[n -> m]))[c -> d]
}
diagram additive(x: [n, d]) -> [n, e] {
  s = sum[e](tanh(lin Q[d -> e](x) + lin K[d -> e](x[n -> m])))
  out dot[m](softmax[m](s), lin V[d -> e](x[n -> m]))
}
diagram relative(x: [n, d]) -> [n, e] {
  q = lin Q[d -> e](x)
  s = dot[e](q, lin K[d -> e](x[n -> m]) * cos(iota[n] - iota[m]))
  out dot[m](softmax[m](s), lin V[d -> e](x[n -> m]))
}
diagram distance(x: [n, d]) -> [n, e] {
  g = lin Q[d -> e](x)
  s = -sum[e](square(g - g[n -> m]))
  out dot[m](softmax[m](s), lin V[d -> e](x[n -> m]))
}
diagram gates(x: [n, d]) -> [n, e] {
  w = sigmoid(dot[e](lin Q[d -> e](x), lin K[d -> e](x[n -> m])))
  out dot[m](w, lin V[d -> e](x[n -> m])) / size[n]
}
diagram norms(x: [n, d]) -> [n, e] { out gelu(lin W[d -> e](layernorm[d, eps=0.1](x) * silu(rmsnorm[d, eps=0.2](x)))) }
diagram ratio(x: [n, d]) -> [n, e] {
  k = exp(lin K[d -> e](x))
  out k / sum[n](k)
}
diagram sparse(x: [n, d]) -> [n, d] {
  out dot[m](sparsemax[m](dot[d](lin A[d -> c](x)[c -> d], x[n -> m])), lin V[d -> c](x[n -> m]))[c -> d]
}
diagram bent(x: [n, d]) -> [n, e] {
  out dot[m](entmax[m](dot[e](lin Q[d -> e](x), lin K[d -> e](x[n -> m])), 1.5), lin V[d -> e](x[n -> m]))
}
diagram doubly(x: [n, d]) -> [n, e] {
  p = sinkhorn[n, m](dot[e](lin Q[d -> e](x), lin K[d -> e](x[n -> m])), 2)
  out dot[m](p, lin V[d -> e](x[n -> m]))
}
diagram memory(x: [n, d]) -> [n, e] {
  k = tanh(lin K[d -> f](x))
  v = lin V[d -> e](x)
  q = lin Q[d -> f](x)
  scan n (s: [f, e] = 0) {
    held = s * sigmoid(dot[f](k, q)) + k * v
    next s = held
    y = dot[f](q, held)
  }
  out y
}
diagram chosen(x: [n, d]) -> [n, d] {
  weight W: [n -> m] ~ normal(1)
  top, at = topk[m -> c](W)
  out dot[m](softmax[m](mask(W >= min[c](top), dot[d](x, x[n -> m]))), x[n -> m])
}
diagram external(x: [n, d]) -> [n, e] { out lin V[f -> e](l1norm[f](softmax[n](lin K[d -> f](x)))) }
diagram depthwise(x: [n, d]) -> [c, d] { weight W: [c, n, d] ~ normal(1) out dot[n](W, x) }
diagram places(x: [n, d]) -> [n, d] { out cumsum[n](x) + shift[n](x, 1) + fft_re[n](x) + max[n](x) }
"""
SIZES = {"n": 3, "m": 3, "d": 2, "e": 2, "h": 2, "f": 2, "c": 2}


def program(name: str) -> Diagram:
    return parse(TEXT)[name]


def tops(v: torch.Tensor, shape: Sequence[int], p: float) -> torch.Tensor:
    return torch.linalg.vector_norm(torch.linalg.vector_norm(v.reshape(-1, shape[-1]), dim=1), p)


def attack(function: Callable[..., torch.Tensor], shapes: Sequence[Sequence[int]], radius: float, starts: Sequence[list[torch.Tensor]], steps: int) -> dict[float, float]:
    """The largest |J u| / |u| met in the norms 1, 2, infinity over tokens: ascent on the greatest singular value."""
    best = {1.0: 0.0, 2.0: 0.0, math.inf: 0.0}
    for start in starts:
        xs = [x.clone().requires_grad_() for x in start]
        optimiser = torch.optim.Adam(xs, lr=0.08 * radius)
        for k in range(steps):
            jacobians = torch.autograd.functional.jacobian(function, tuple(xs), create_graph=k + 1 < steps)
            parts = [j.reshape(-1, x.numel()) for j, x in zip(jacobians, xs, strict=True)]
            j = torch.cat(parts, 1)
            top = torch.linalg.matrix_norm(j, 2)
            best[2.0] = max(best[2.0], float(top.detach()))
            with torch.no_grad():
                out = function(*xs)
                at = 0
                for x in xs:
                    for row in range(x.numel() // x.shape[-1]):
                        piece = j[:, at + row * x.shape[-1] : at + (row + 1) * x.shape[-1]]
                        u = torch.linalg.svd(piece)[2][0]
                        best[1.0] = max(best[1.0], float(tops(piece @ u, out.shape, 1)))
                    at += x.numel()
                for row in range(out.numel() // out.shape[-1]):
                    piece = j[row * out.shape[-1] : (row + 1) * out.shape[-1]]
                    w = torch.linalg.svd(piece)[0][:, 0] @ piece
                    blocks, at = [], 0
                    for x in xs:
                        b = w[at : at + x.numel()].reshape(-1, x.shape[-1])
                        blocks.append((b / b.norm(dim=1, keepdim=True).clamp_min(1e-300)).reshape(-1))
                        at += x.numel()
                    best[math.inf] = max(best[math.inf], float(tops(j @ torch.cat(blocks), out.shape, math.inf)))
            if k + 1 < steps and top.requires_grad:
                optimiser.zero_grad()
                (-top).backward()
                optimiser.step()
                with torch.no_grad():
                    for x in xs:
                        size = x.norm(dim=-1, keepdim=True)
                        x.mul_(torch.where(size > radius, radius / size, torch.ones_like(size)))
    return best


def starts_for(shapes: Sequence[Sequence[int]], radius: float, count: int, seed: int) -> list[list[torch.Tensor]]:
    rng = torch.Generator().manual_seed(seed)
    out = []
    for k in range(count):
        xs = []
        for shape in shapes:
            x = torch.randn(tuple(shape), generator=rng, dtype=torch.float64)
            if k % 3 == 1:
                x = torch.sign(torch.randn((*shape[:-1], 1), generator=rng, dtype=torch.float64)) * x.reshape(-1, shape[-1])[0]
            x = x / x.norm(dim=-1, keepdim=True).clamp_min(1e-300) * radius
            xs.append(x * (0.3 if k % 3 == 2 else 1.0))
        out.append(xs)
    return out


def proved(diagram: Diagram, sizes: dict[str, int], weights: dict[str, Any], radius: float) -> dict[float, float]:
    with ctx.workprec(106):
        total = walking.prove(graph_of(diagram, sizes), weights_of(diagram, weights), radius)[1]
    return dict(zip((1.0, 2.0, math.inf), (float(t.upper()) for t in total), strict=True))


def net_of(diagram: Diagram, sizes: dict[str, int], seed: int, scale: float) -> tuple[Any, dict[str, Any]]:
    net = build(diagram, sizes, dtype=torch.float64, passes=DIFFERENTIABLE)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.requires_grad_(False).copy_(scale * torch.randn(p.shape, generator=rng, dtype=torch.float64))
    return net, {k: v.numpy() for k, v in net.state_dict().items()}


NAMES = [line.split("(")[0].removeprefix("diagram ") for line in TEXT.splitlines() if line.startswith("diagram ")]


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_no_input_beats_a_certificate(name: str, seed: int):
    diagram = program(name)
    sizes = {a: n for a, n in SIZES.items() if a in diagram.sizes}
    net, weights = net_of(diagram, sizes, seed, (0.5, 1.0, 2.0)[seed])
    radius = (1.0, 2.0, 1.0)[seed]
    shapes = [[SIZES[a] for a in i.layout] for i in diagram.inputs]
    found = attack(net, shapes, radius, starts_for(shapes, radius, 3, seed), 8)
    for p, limit in proved(diagram, sizes, weights, radius).items():
        assert found[p] <= limit * (1 + 1e-9), (name, p)


def test_features_that_run_apart_may_read_other_tokens_each():
    """y_d = x_dd: each row of weights sums to 1 for every feature, but the token out is longer than any token in."""
    diagram = parse("axis n, d, m diagram f(x: [n, d]) -> [m, d] { weight W: [m, n, d] ~ normal(1) out dot[n](W, x) }")["f"]
    found = proved(diagram, {"n": 3, "d": 3, "m": 1}, {w.key: np.eye(3)[None] for w in diagram.weights}, 1.0)
    assert found[2.0] >= 1
    assert found[math.inf] >= 3  # by sums of blocks; sqrt 3 is attained


def test_the_attack_finds_wrong_constants(monkeypatch: pytest.MonkeyPatch):
    """With the constants of the theorem made smaller, the same attack refutes the claims."""
    diagram = program("plain")
    sizes = {"n": 2, "d": 2, "m": 2, "c": 2}
    net, weights = net_of(diagram, sizes, 0, 0.0)
    key = next(k for k, v in weights.items() if v.ndim == 2)
    with torch.no_grad():
        for k, v in net.state_dict().items():
            if k == key:
                v.copy_(-2 * torch.eye(2, dtype=torch.float64))
    weights = {k: v.numpy() for k, v in net.state_dict().items()}
    starts = [[torch.tensor([[1.0, 0.02], [-1.0, 0.02]], dtype=torch.float64)], *starts_for([[2, 2]], 1.0, 2, 1)]
    attained = attack(net, [[2, 2]], 1.0, starts, 40)
    honest = proved(diagram, sizes, weights, 1.0)
    assert attained[2.0] <= honest[2.0]
    true_rho, true_cbar, true_cross = softmax.rho, softmax.cbar, softmax.cross
    monkeypatch.setattr(softmax, "rho", lambda a: true_rho(a) / 9)
    monkeypatch.setattr(softmax, "cbar", lambda p, a: true_cbar(p, a) / 9)
    monkeypatch.setattr(softmax, "cross", lambda *x: true_cross(*x) / 3)
    assert attained[2.0] > proved(diagram, sizes, weights, 1.0)[2.0]


def test_entmax_needs_its_constants():
    """A sparsemax of two scores from opposite keys moves by half of their difference: the norm 1 of its projection is attained."""
    diagram = parse("axis n, d diagram f(x: [n, d]) -> [n, d] { out sparsemax[n](x) }")["f"]
    limit = proved(diagram, {"n": 2, "d": 1}, {}, 0.4)
    net = build(diagram, {"n": 2, "d": 1}, dtype=torch.float64, passes=DIFFERENTIABLE)
    found = attack(net, [[2, 1]], 0.4, starts_for([[2, 1]], 0.4, 3, 0), 2)
    assert found[2.0] == pytest.approx(1)
    assert all(found[p] <= limit[p] * (1 + 1e-12) for p in found)
    assert limit[2.0] <= 1 + 1e-12


def test_closed_forms_match_a_grid():
    for a in (0.1, 0.5, 0.7, 1.0, 3.0, 20.0):
        t = np.linspace(-1, 1, 200_001)
        grid = 0.5 * np.max(1 + (t + a * (1 - t * t)) ** 2)
        assert grid <= float(softmax.rho(arb(a)).upper()) <= grid * (1 + 1e-6)
        for top in (0.2, 0.5, 0.6, 0.9, 1.0):
            p = np.linspace(0, top, 100_001)
            grid = np.max(p * (1 + a * a * np.where(p <= 0.5, 1, 4 * p * (1 - p))))
            assert grid <= float(softmax.cbar(arb(top), arb(a)).upper()) * (1 + 1e-12)
            assert float(softmax.cbar(arb(top), arb(a)).upper()) <= grid * (1 + 1e-6)


@pytest.mark.parametrize("name", ["mha", "transformer_xl", "t5_bias", "fastformer"])
def test_zoo_entries_stay_below_their_certificates(name: str):
    from anatomy.claims.trial import Trial

    diagram = load(f"zoo:{name}")
    trial = Trial(diagram)
    net, weights = net_of(diagram, trial.chosen, 3, 0.7)
    shapes = [[trial.sizes[a] for a in i.layout] for i in diagram.inputs]
    found = attack(net, shapes, 1.0, starts_for(shapes, 1.0, 2, 0), 3)
    for p, limit in proved(diagram, trial.chosen, weights, 1.0).items():
        assert found[p] <= limit * (1 + 1e-9), (name, p)
