"""Where an ascent starts: patterns of a few directions that are known to be bad for attention, and random points.

A pattern writes every token as a combination of at most three directions (x_i = sum_k c_ik w_k), so the directions can
be improved first with the pattern held. The patterns: section 2.3 of Castin et al. 2024 (one outlier; u and halves),
tokens at +-u, a balanced pair before a crowd, zero with +-u, a split score that stays constant (the worst case of
sparsemax), clusters, equal tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from anatomy.regularity.ascent.flat import Flat

KINDS = 3
"""Directions a pattern may use."""
JITTER = 1e-6
"""Relative displacement that takes a structured point off a kink, where derivatives may be wrong."""

EVEN = "equal features"
"""Tokens along (1, .., 1), where a normaliser that centres divides by almost nothing."""

Generator = torch.Generator
Pattern = Callable[[int, Generator], torch.Tensor]


@dataclass(frozen=True)
class Starts:
    """Points, a name for each, and for every varied input the orthonormal span of its pattern (0 columns: all)."""

    points: torch.Tensor
    names: list[str]
    spans: list[torch.Tensor]

    def take(self, rows: torch.Tensor) -> Starts:
        return Starts(self.points[rows], [self.names[k] for k in rows.tolist()], [s[rows] for s in self.spans])


def _columns(*columns: torch.Tensor) -> torch.Tensor:
    return torch.stack(columns, -1).to(torch.float64)


def _first(n: int, first: float, rest: float) -> torch.Tensor:
    out = torch.full((n,), rest, dtype=torch.float64)
    out[0] = first
    return out


def _halves(n: int, _: Generator) -> torch.Tensor:
    out = torch.ones(n, dtype=torch.float64)
    out[: n // 2] = -1
    return _columns(out)


def _zero_and_halves(n: int, _: Generator) -> torch.Tensor:
    out = torch.ones(n, dtype=torch.float64)
    out[0] = 0
    out[1 : 1 + (n - 1) // 2] = -1
    return _columns(out)


def _pair(n: int, generator: Generator) -> torch.Tensor:
    c = 0.1 * float(torch.rand((), generator=generator, dtype=torch.float64))
    crowd, split = torch.full((n,), -1.0, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    for k, sign in enumerate((1.0, -1.0)[:n]):
        crowd[k], split[k] = c, sign * math.sqrt(1 - c * c)
    return _columns(crowd, split)


def _constant_score(n: int, _: Generator) -> torch.Tensor:
    signs = torch.ones(n, dtype=torch.float64)
    signs[1::2] = -1
    return _columns(torch.ones(n), signs) / math.sqrt(2)


def _clusters(count: int) -> Pattern:
    def make(n: int, generator: Generator) -> torch.Tensor:
        chosen = torch.randint(0, count, (n,), generator=generator)
        chosen[: min(n, count)] = torch.arange(min(n, count))
        return torch.nn.functional.one_hot(chosen, count).to(torch.float64)

    return make


PATTERNS: list[tuple[str, Pattern]] = [
    ("equal tokens", lambda n, _: _columns(torch.ones(n))),
    ("one outlier", lambda n, _: _columns(_first(n, -1, 1))),
    ("split", _halves),
    ("balanced pair", _pair),
    ("one far, others half", lambda n, _: _columns(_first(n, 1, 0.5))),
    ("zero and +-u", _zero_and_halves),
    ("constant score", _constant_score),
    ("zero", lambda n, _: _columns(torch.zeros(n))),
    (EVEN, lambda n, _: _columns(torch.ones(n))),
    ("one far, others zero", lambda n, _: _columns(_first(n, 1, 0))),
    ("one zero, others equal", lambda n, _: _columns(_first(n, 0, 1))),
    ("two clusters", _clusters(2)),
    ("three clusters", _clusters(3)),
]


def unit(shape: Sequence[int], generator: Generator) -> torch.Tensor:
    v = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return v / torch.linalg.vector_norm(v, dim=-1, keepdim=True).clamp_min(1e-300)


def starts(flat: Flat, reach: float, count: int, generator: Generator, directions: Sequence[Sequence[torch.Tensor]] = ()) -> Starts:
    """`count` starts: patterns along given directions (for each varied input some unit vectors) and random points."""
    points, names, spans = [], [], []
    inputs = len(flat.free)
    for k in range(count):
        structured = k % 4 != 3
        turn = k - k // 4
        name, pattern = PATTERNS[turn % len(PATTERNS)]
        lap = turn // len(PATTERNS)
        small = not structured and k % 8 == 7
        scale = reach * 10 ** (-1.3 * float(torch.rand((), generator=generator, dtype=torch.float64))) if small else reach
        rows, span = [], []
        for i, (n, d) in enumerate(flat.free):
            if structured:
                other = PATTERNS[int(torch.randint(len(PATTERNS), (), generator=generator))][1] if i and lap % 2 else pattern
                c = other(n, generator)
                if lap % 3 == 2:  # where tokens have places, the pattern may matter by place
                    c = c[torch.randperm(n, generator=generator)]
                w = unit((c.shape[1], d), generator)
                known = directions[i] if directions else []
                for slot in range(min(len(w), d)):
                    pick = turn + lap + slot
                    if len(known) and (pick % (len(known) + 1)) < len(known):
                        w[slot] = known[pick % (len(known) + 1)]
                w = _apart(w, name) if name != EVEN else torch.full(w.shape, 1 / math.sqrt(d), dtype=torch.float64)
                rows.append(scale * c @ w)
                q, r = torch.linalg.qr(c)
                q = q * (torch.diagonal(r).abs() > 1e-9)
                span.append(torch.nn.functional.pad(q, (0, KINDS - q.shape[1])))
            else:
                rows.append(scale * unit((n, d), generator))
                span.append(torch.zeros(n, KINDS, dtype=torch.float64))
        points.append(flat.join(rows))
        names.append(name if structured else ("random" if small else "boundary"))
        spans.append(span)
    x = torch.stack(points)
    x = x + JITTER * reach * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    return Starts(flat.project(x, reach), names, [torch.stack([s[i] for s in spans]) for i in range(inputs)])


def _apart(w: torch.Tensor, name: str) -> torch.Tensor:
    """Orthogonal directions where a pattern adds them, so that its tokens keep to the ball."""
    if name not in ("balanced pair", "constant score") or w.shape[-1] < 2 or len(w) < 2:
        return w
    second = w[1] - (w[1] @ w[0]) * w[0]
    size = torch.linalg.vector_norm(second)
    if float(size) < 1e-6:
        second = torch.roll(w[0], 1) - (torch.roll(w[0], 1) @ w[0]) * w[0]
        size = torch.linalg.vector_norm(second).clamp_min(1e-300)
    return torch.cat([w[:1], (second / size)[None], w[2:]])
