"""The instances of bench_regularity.py: diagrams of regularity.anat with weights from seeds that tuned nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import anatomy
from anatomy.api import numeric
from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.ir.graph import Diagram
from anatomy.regularity.ascent.energy import Energy
from anatomy.regularity.ascent.flat import Flat
from anatomy.regularity.ascent.starts import starts

FILE = Path(__file__).with_name("regularity.anat")
SEED = 1000


@dataclass(frozen=True)
class Instance:
    """A diagram with its weights, as the checker and as the estimator see it."""

    name: str
    diagram: Diagram
    sizes: dict[str, int]
    weights: dict[str, np.ndarray]
    function: Callable[..., Any] = field(repr=False)
    tokens: int
    features: int

    @property
    def a(self) -> float:
        """The norm of A, the bilinear form of the scores."""
        if "A" in self.weights:
            return norm(self.weights["A"])
        return norm(self.weights["Wq"] @ self.weights["Wk"].T / math.sqrt(self.features))


def norm(m: np.ndarray) -> float:
    return float(np.linalg.norm(m, 2))


def instance(name: str, n: int, d: int, seed: int, scale: float = 1.0, given: dict[str, np.ndarray] | None = None) -> Instance:
    """Weights of independent normal entries of variance 1/d; `scale` multiplies the scores."""
    diagram = anatomy.load(f"{FILE}::{name}")
    sizes = {"n": n, "d": d}
    module = build(diagram, sizes, seed=0, dtype=torch.float64, passes=DIFFERENTIABLE)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for key, held in module.state_dict().items():
            value = rng.standard_normal(tuple(held.shape)) / math.sqrt(d)
            if key == "Wq":
                value *= scale
            held.copy_(torch.from_numpy(value if given is None else given[key]))
    weights, function = numeric(module)
    label = f"{name.replace('_', ' ')}, n={n} d={d} seed={seed}" + (f" scores x{scale:g}" if scale != 1 else "")
    return Instance(label, diagram, sizes, weights, function, n, d)


def worst_scores(n: int, d: int, a: float, seed: int, count: int = 24, steps: int = 200) -> tuple[float, np.ndarray, np.ndarray]:
    """Ascent over the input and over A with |A| <= a together, V = I: the value, A and the input."""
    generator = torch.Generator().manual_seed(seed)
    flat = Flat(lambda x: x, [(n, d)])
    begun = starts(flat, 1.0, count, generator)
    x, v = begun.points.reshape(count, n, d), torch.randn(count, n, d, generator=generator, dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(count, d, d, generator=generator, dtype=torch.float64))[0]
    eye = torch.eye(d, dtype=torch.float64).repeat(count, 1, 1)
    form = a * torch.where((torch.arange(count) % 3 == 0)[:, None, None], -eye, torch.where((torch.arange(count) % 3 == 1)[:, None, None], eye, q))
    best, kept = -1.0, (form[0], x[0])
    for step in range(steps):
        x, v, form = (t.detach().requires_grad_(True) for t in (x, v, form))
        y = torch.softmax(x @ form @ x.mT, -1) @ x
        (pulled,) = torch.autograd.grad(y, x, v, create_graph=True)
        value = pulled.flatten(1).norm(dim=-1) / v.flatten(1).norm(dim=-1)
        gx, gv, gf = torch.autograd.grad(value.log().sum(), (x, v, form))
        value = value.detach()
        top = int(value.argmax())
        if float(value[top]) > best:
            best, kept = float(value[top]), (form[top].detach(), x[top].detach())
        rate = 0.15 * (1 - step / steps)
        with torch.no_grad():
            v = gv * value[:, None, None] + v / v.flatten(1).norm(dim=-1)[:, None, None]
            x = x + rate * gx / gx.norm(dim=-1, keepdim=True).clamp_min(1e-12)
            x = x / x.norm(dim=-1, keepdim=True).clamp_min(1.0)
            form = form + rate * a * gf / gf.flatten(1).norm(dim=-1)[:, None, None].clamp_min(1e-12)
            left, sigma, right = torch.linalg.svd(form)
            form = left @ (sigma.clamp(max=a)[:, :, None] * right)
    return best, kept[0].numpy(), kept[1].numpy()


def sampled(found: Instance, count: int, seed: int) -> float:
    """The largest derivative at random points of the ball, by power iterations."""
    flat = Flat(found.function, [(found.tokens, found.features)])
    energy = Energy(flat, "frobenius")
    generator = torch.Generator().manual_seed(seed)
    x = flat.project(torch.randn(count, flat.length, generator=generator, dtype=torch.float64), 1.0)
    v = torch.randn(count, energy.height, generator=generator, dtype=torch.float64)
    value = torch.zeros(count)
    for _ in range(12):
        value, _, v, _ = energy(x, energy.unit(v, v))
    return float(value.max())
