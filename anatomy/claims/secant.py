"""Secants that are halved towards their steeper half: they end where a choice between tokens turns over.

Between two random points far apart some score overtakes another; there the output passes from one value to another one
over a short way, however well balanced the point itself would have to be. Values alone are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from anatomy.claims.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (1.0, 100.0)
"""Far enough for saturation, and not so far that exponentials leave what a float holds."""
CLOSE = (0.5, 8.0)
"""For features that are exponentials of squares."""
HALVINGS, SEEDS = 26, 4
Point = list["Tensor"]


def overturned(trial: Trial, scales: tuple[float, float] = SCALES) -> float:
    """How much steeper a secant is found at the larger scale than at the smaller."""
    import torch

    net = trial.unbiased()
    real, given = trial.real, trial.inputs()

    def value(point: Point) -> Tensor:
        at = list(given)
        for k, x in zip(real, point, strict=True):
            at[k] = x
        return torch.cat([y.reshape(-1).nan_to_num(0.0, 0.0, 0.0) for y in trial.run(at, net)])

    shapes = [given[k].shape for k in real]
    with torch.no_grad():
        low, high = (
            max(_halved(value, a, b) for seed in range(SEEDS) for a, b in _ends(shapes, scale, seed)) for scale in scales
        )
    return high / max(low, 1e-300)


def _ends(shapes: list, scale: float, seed: int) -> Iterator[tuple[Point, Point]]:  # type: ignore[type-arg]
    """Ends of secants: random ones; tokens in opposite pairs; one token small."""
    import torch

    g = torch.Generator().manual_seed(seed)

    def draw() -> Point:
        return [torch.randn(s, dtype=torch.float64, generator=g) for s in shapes]

    def pairs(point: Point) -> Point:
        signs = [torch.where(torch.arange(len(x)) % 2 == 0, 1.0, -1.0).double() if x.dim() > 1 else torch.ones(()) for x in point]
        return [x[:1] * s.reshape(-1, *[1] * (x.dim() - 1)) if x.dim() > 1 else x for x, s in zip(point, signs, strict=True)]

    def small(point: Point) -> Point:
        return [torch.cat([x[:1] / scale, x[1:] * scale]) if x.dim() > 1 else x * scale for x in point]

    yield [scale * x for x in draw()], [scale * x for x in draw()]
    yield [scale * x for x in pairs(draw())], [scale * x for x in pairs(draw())]
    yield small(draw()), small(draw())


def _halved(value: Callable[[Point], Tensor], a: Point, b: Point) -> float:
    """The steepest secant met while the steeper half is kept."""
    left, right, best = value(a), value(b), 0.0
    for _ in range(HALVINGS):
        c = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
        middle = value(c)
        span = sum((x - y).square().sum() for x, y in zip(a, c, strict=True)) ** 0.5
        if not span > 0:
            break
        one, two = ((middle - left).norm() / span).item(), ((right - middle).norm() / span).item()
        best = max(best, one, two)
        if one >= two:
            b, right = c, middle
        else:
            a, left = c, middle
    return best
