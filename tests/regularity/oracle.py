"""Independent evidence about a function: its dense Jacobian, and quotients in the three norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import Stuck, compose, sizes_of


def jacobian(f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> np.ndarray:
    return torch.func.jacrev(f)(x).reshape(-1, x.numel()).detach().numpy()


def norm(x: np.ndarray, groups: Sequence[tuple[int, int]], p: float) -> float:
    """The p-norm over tokens of Euclidean norms over features; groups are (tokens, features) in order."""
    tops, at = [], 0
    for tokens, features in groups:
        tops.append(np.linalg.norm(x[at : at + tokens * features].reshape(tokens, features), axis=1))
        at += tokens * features
    return float(np.linalg.norm(np.concatenate(tops), p))


def grouping(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    return [(math.prod(s[:-1]), s[-1]) if s else (1, 1) for s in shapes]


def worst_quotients(j: np.ndarray, ins: list[tuple[int, int]], outs: list[tuple[int, int]], rng: np.random.Generator) -> dict[float, float]:
    """Large values of |J u| / |u| in the norms for p = 1, 2 and infinity, all attained."""
    best = {1.0: 0.0, 2.0: 0.0, np.inf: 0.0}
    directions = [rng.standard_normal(j.shape[1]) for _ in range(3)]
    vectors = np.linalg.svd(j)[2]
    directions += list(vectors[:3])
    at = 0
    for tokens, features in ins:  # one token alone, in its best direction
        for t in range(tokens):
            piece = j[:, at + t * features : at + (t + 1) * features]
            u = np.zeros(j.shape[1])
            u[at + t * features : at + (t + 1) * features] = np.linalg.svd(piece)[2][0]
            directions.append(u)
        at += tokens * features
    at = 0
    for tokens, features in outs:  # every token at full length, towards one output token
        for t in range(tokens):
            w = np.linalg.svd(j[at + t * features : at + (t + 1) * features])[0][:, 0]
            back = w @ j[at + t * features : at + (t + 1) * features]
            u, i = back.copy(), 0
            for n, d in ins:
                rows = u[i : i + n * d].reshape(n, d)
                rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
                i += n * d
            directions.append(u)
        at += tokens * features
    for u in directions:
        for p in best:
            size = norm(u, ins, p)
            if size > 0:
                best[p] = max(best[p], norm(j @ u, outs, p) / size)
    return best


def points(shapes: Sequence[tuple[int, ...]], radius: float, rng: np.random.Generator, count: int) -> list[list[torch.Tensor]]:
    """Inputs on and inside the ball of every token, some with equal or opposite tokens."""
    made = []
    for k in range(count):
        inputs = []
        for shape in shapes:
            d = shape[-1] if shape else 1
            x = rng.standard_normal((math.prod(shape) // d, d))
            if k % 4 == 1:
                x[:] = x[0]
            if k % 4 == 2:
                x[:] = x[0] * np.sign(rng.standard_normal((len(x), 1)))
            x *= radius / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
            if k % 4 == 3:
                x *= rng.uniform(0, 1, (len(x), 1)) ** 3
            inputs.append(torch.tensor(x.reshape(shape) * (1 - 1e-12)))
        made.append(inputs)
    return made


def shapes_of(diagram: Diagram, sizes: dict[str, int]) -> list[tuple[int, ...]]:
    return [tuple(sizes[a] for a in item.layout) for item in diagram.inputs]


def holds(diagram: Diagram, sizes: dict[str, int], radius: float, rng: np.random.Generator, tries: int = 4) -> bool:
    """Bounds of entries and of all three norms hold at structured and random points; False where no bound is given."""
    sizes = {a: n for a, n in sizes.items() if a in diagram.sizes}
    net = build(diagram, sizes, dtype=torch.float64, passes=DIFFERENTIABLE)
    with torch.no_grad():
        for p in net.parameters():
            p.requires_grad_(False).copy_(torch.tensor(rng.standard_normal(tuple(p.shape))))
    weights = {k: v.numpy() for k, v in net.state_dict().items()}
    try:
        found = compose(diagram, sizes_of(diagram, sizes), weights, radius)
    except Stuck:
        return False
    shapes = shapes_of(diagram, sizes)
    outs = grouping([tuple(sizes[a] for a in diagram.outputs[0].layout)])
    bound = found.bounds[diagram.outputs[0].port.wire]
    counts = [math.prod(s) for s in shapes]

    def f(v: torch.Tensor) -> torch.Tensor:
        return net(*(p.reshape(s) for p, s in zip(torch.split(v, counts), shapes, strict=True))).reshape(-1)

    for inputs in points(shapes, radius, rng, tries):
        x = torch.cat([a.reshape(-1) for a in inputs])
        y = f(x)
        slack = 1e-9 * (1 + float(y.abs().max()))
        assert bound.entry[0] - slack <= float(y.min())
        assert float(y.max()) <= bound.entry[1] + slack
        j = jacobian(f, x + 1e-9 * torch.tensor(rng.standard_normal(len(x))))  # off the kinks
        if not np.isfinite(j).all():
            continue
        worst = worst_quotients(j, grouping(shapes), outs, rng)
        for p, limit in ((1.0, found.triple.one), (2.0, found.triple.two), (np.inf, found.triple.inf)):
            assert worst[p] <= limit * (1 + 1e-6) + 1e-9, (diagram.name, p)
    return True
