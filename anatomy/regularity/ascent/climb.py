"""The ascent: many starts at once, patterns held at first, fewer and fewer starts with smaller and smaller steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from anatomy.regularity.ascent.energy import TINY, Energy
from anatomy.regularity.ascent.flat import Flat
from anatomy.regularity.ascent.starts import Starts

HELD = 0.15
"""The part of the steps in which a pattern is held."""
STAGES = ((0.3, 1.0), (0.3, 0.5), (0.4, 0.2))
"""Parts of all steps, and the part of the starts that take them."""
RATE = 0.15
"""First length of a step, relative to the radius and per token."""
FALLEN = 0.7
"""A start that falls below this part of its best goes back there with shorter steps: what is steep is narrow."""
APART = 1e-7
"""How far beside its best it goes on; a best that is not found again there was a wrong derivative at a kink."""


@dataclass
class Found:
    """The best point of every start, its left vector and its tangent."""

    values: torch.Tensor
    points: torch.Tensor
    tangents: torch.Tensor
    names: list[str]


def climb(flat: Flat, energy: Energy, starts: Starts, count: int, reach: float, steps: int, generator: torch.Generator) -> Found:
    """The best of `starts`, `count` of them, are climbed for `steps` steps."""
    x, spans, names = starts.points, starts.spans, starts.names
    v = energy.unit(torch.randn(len(x), energy.height, generator=generator, dtype=torch.float64), torch.zeros(len(x), energy.height))
    state = _State(x, v)
    for _ in range(2):  # a direction first
        state.note(*energy(state.x, state.v))
    done = 0
    alive = torch.arange(len(x))
    for part, share in STAGES:
        keep = max(1, round(share * count))
        if keep < len(alive):
            rows = state.distinct(keep)
            state, alive = state.take(rows), alive[rows]
        upto = steps if (part, share) == STAGES[-1] else done + round(part * steps)
        while done < upto:
            gx = state.note(*energy(state.x, state.v))
            back = state.back(reach, generator, flat)
            if done < HELD * steps:
                gx = _held(flat, gx, [s[alive] for s in spans])
            state.move(flat, gx, reach, RATE * (1 - done / steps) + 1e-3, back)
            done += 1
    state.note(*energy(state.x, state.v))
    return Found(state.best, state.best_x, state.best_u, [names[k] for k in alive.tolist()])


def _held(flat: Flat, gx: torch.Tensor, spans: list[torch.Tensor]) -> torch.Tensor:
    """The gradient within the span of each pattern, so that its directions move and the pattern stays."""
    out = []
    for g, q in zip(flat.tokens(gx), spans, strict=True):
        free = (q == 0).all(-1).all(-1)[:, None, None]
        out.append(torch.where(free, g, q @ (q.mT @ g)))
    return flat.join(out)


class _State:
    """Starts under way: where they are, how they move, and the best they saw."""

    def __init__(self, x: torch.Tensor, v: torch.Tensor):
        self.x, self.v = x, v
        self.mean, self.square, self.age = torch.zeros_like(x), torch.zeros_like(x), 0
        self.pace, self.returned = torch.ones(len(x), dtype=x.dtype), torch.zeros(len(x), dtype=torch.bool)
        self.value = torch.zeros(len(x), dtype=x.dtype)
        self.best = torch.full((len(x),), -1.0, dtype=x.dtype)
        self.best_x, self.best_u, self.best_v = x.clone(), torch.zeros_like(x), v.clone()

    def note(self, value: torch.Tensor, gx: torch.Tensor, v: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        value = torch.nan_to_num(value, 0.0, 0.0, 0.0)
        spike = self.returned & (value < FALLEN * self.best)
        better = (value > self.best) | spike
        self.best = torch.where(better, value, self.best)
        pick = better[:, None]
        self.best_x, self.best_u = torch.where(pick, self.x, self.best_x), torch.where(pick, u, self.best_u)
        self.best_v = torch.where(pick, v, self.best_v)
        self.v, self.value = v, value
        return gx

    def back(self, reach: float, generator: torch.Generator, flat: Flat) -> torch.Tensor:
        """Which starts go back beside their best, and how their pace changes."""
        lost = self.value < FALLEN * self.best
        self.pace = torch.where(lost, 0.3 * self.pace, (1.1 * self.pace).clamp(max=1.0))
        self.returned = lost
        beside = self.best_x + APART * reach * torch.randn(self.x.shape, generator=generator, dtype=self.x.dtype)
        self.x = torch.where(lost[:, None], flat.project(beside, reach), self.x)
        self.v = torch.where(lost[:, None], self.best_v, self.v)
        return lost

    def move(self, flat: Flat, gx: torch.Tensor, reach: float, rate: float, back: torch.Tensor) -> None:
        """Adam for every token, whose features share their second moment, so that no axis is preferred."""
        self.age += 1
        square = flat.join([t.square().mean(-1, keepdim=True).expand_as(t) for t in flat.tokens(gx)])
        self.mean = 0.8 * self.mean + 0.2 * gx
        self.square = 0.95 * self.square + 0.05 * square
        mean, square = self.mean / (1 - 0.8**self.age), self.square / (1 - 0.95**self.age)
        floor = 1e-3 * square.mean(-1, keepdim=True).sqrt() + TINY
        stay = back[:, None]
        self.mean = torch.where(stay, 0.0, self.mean)
        step = torch.where(stay, 0.0, rate * reach * self.pace[:, None] * mean / (square.sqrt() + floor))
        self.x = torch.where(stay, self.x, flat.project(self.x + step, reach))

    def distinct(self, keep: int) -> torch.Tensor:
        """The best rows, those first whose values differ."""
        order = torch.argsort(self.best, descending=True).tolist()
        chosen, twins, seen = [], [], []
        for k in order:
            value = float(self.best[k])
            twin = any(abs(value - s) <= 1e-6 * abs(s) for s in seen)
            (twins if twin else chosen).append(k)
            seen.append(value)
        return torch.tensor((chosen + twins)[:keep])

    def take(self, rows: torch.Tensor) -> _State:
        """Some of the rows, each from its best point on."""
        new = _State(self.best_x[rows], self.best_v[rows])
        new.best, new.best_u = self.best[rows], self.best_u[rows]
        new.pace = self.pace[rows]
        return new
