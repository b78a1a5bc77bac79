"""Growth of the Lipschitz constant in the number of tokens and in the radius: of the bound, and of what is attained.

The order of the bound is read off the rules themselves: they are evaluated, weights as they are, at sizes that double
or radii that quadruple, and as they are free of noise their slopes `d log K / d log x` settle. A slope that settles at p
is `x^p`, at 0 `1`; one that falls like q / log x is `log(x)^q`; one that keeps growing is `exp`. What is attained is
measured by the ascent at several sizes and fitted by least squares of log K on log x, with a bootstrap over seeds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from anatomy.ir.bound import INF
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import Composition, Stuck, compose, sizes_of

FARTHEST = 1024
"""The greatest number of tokens at which the rules are evaluated: masks are explicit."""
DOUBLINGS, RADII = 6, 5
SETTLED = 0.06
"""How near to a multiple of one half a slope counts as that."""
CERTAIN = 0.01
"""By how much a slope may lie above the power that is told, or rise, as if by rounding."""
FADING = 0.85
"""Slopes that shrink by this factor or faster, when the argument doubles, are those of a constant."""
RESAMPLES = 400


@dataclass(frozen=True)
class Measured:
    """How much is measured: sizes, seeds for each, and the starts and steps of one ascent."""

    sizes: int
    seeds: int
    starts: int
    steps: int


QUICK = Measured(sizes=4, seeds=1, starts=6, steps=10)
THOROUGH = Measured(sizes=6, seeds=5, starts=12, steps=40)
Constant = Callable[[Composition], float]
Attained = Callable[[Mapping[str, int], float, int, int, int], float]
"""The greatest quotient found at sizes and radius, with so many starts and steps and a seed; NaN where there is none."""


def growth(
    diagram: Diagram, given: Mapping[str, int], full: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float,
    constant: Constant, attained: Attained | None, effort: Measured,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """For the radius and every free number of tokens: `symbolic`, `fitted` (null: not measured) and what they rest on."""

    def upper(sizes: Mapping[str, int], r: float) -> float:
        try:
            return constant(compose(diagram, sizes_of(diagram, sizes), weights, r))
        except Stuck:
            return INF

    found: dict[Any, float] = {}

    def once(sizes: Mapping[str, int], *rest: Any) -> float:
        """What is attained; radius and sizes meet where they start."""
        key = (tuple(sorted(sizes.items())), *rest)
        if key not in found:
            assert attained is not None
            found[key] = attained(sizes, *rest)
        return found[key]

    table: dict[str, dict[str, Any]] = {}
    if radius not in (0.0, INF):
        bounds = _ladder(lambda r: upper(given, r), radius, 4.0, RADII, INF)
        lower = _measure(lambda r, *rest: once(given, r, *rest), _around(radius, effort.sizes, 0.0), effort) if attained else []
        table["radius"] = _row("R", bounds, lower)
    for axis in token_variables(diagram):
        here = full[axis]
        bounds = _ladder(lambda n, axis=axis: upper({**given, axis: int(n)}, radius), float(here), 2.0, DOUBLINGS, FARTHEST)
        lower = []
        if attained is not None:
            lengths = sorted({float(round(n)) for n in _around(float(here), effort.sizes, 2.0)})
            lower = _measure(lambda n, *rest, axis=axis: once({**given, axis: int(n)}, radius, *rest), lengths, effort)
        table[axis] = _row(axis, bounds, lower)
    return table


def token_variables(diagram: Diagram) -> list[str]:
    """Free sizes that count tokens and that no weight has."""
    held = {v for w in diagram.weights for a in w.layout for v in diagram.sizes[a].variables()}
    names = []
    for item in diagram.inputs:
        for axis in item.layout[:-1]:
            name = diagram.sizes[axis].as_variable()
            if name is not None and name not in held and name not in names:
                names.append(name)
    return names


Points = list[tuple[float, float]]


def _ladder(bound: Callable[[float], float], start: float, factor: float, steps: int, end: float) -> Points:
    points: Points = []
    for k in range(steps):
        x = start * factor**k
        if x > end:
            break
        points.append((x, bound(x)))
        if not math.isfinite(points[-1][1]):
            break
    return points


def _around(x: float, count: int, least: float) -> list[float]:
    """Neighbours of a size, each twice the one before, half of them below it where that is not too small."""
    below = sum(1 for k in range(1, count // 2 + 1) if x / 2.0**k >= least)
    return [x * 2.0 ** (k - below) for k in range(count)]


def _measure(at: Callable[[float, int, int, int], float], where: Sequence[float], effort: Measured) -> list[tuple[float, list[float]]]:
    found = []
    for x in where:
        values = [at(x, effort.starts, effort.steps, seed) for seed in range(effort.seeds)]
        found.append((x, [v for v in values if math.isfinite(v) and v > 0]))
    return [(x, values) for x, values in found if values]


def _row(name: str, bounds: Points, lower: list[tuple[float, list[float]]]) -> dict[str, Any]:
    tops = [(x, max(values)) for x, values in lower]
    half = max(0, (len(lower) - 1) // 2)
    fitted, top = slope(tops), slope(tops[half:])
    order = symbolic(name, bounds)
    row: dict[str, Any] = {
        "symbolic": order, "fitted": fitted, "interval": _interval(lower), "top": top, "top_interval": _interval(lower[half:]),
        "bound": slope(bounds), "bounds": [[x, v] for x, v in bounds], "attained": [[x, v] for x, v in tops],
    }  # fmt: skip
    row["agrees"] = _agrees(order, bounds, row)
    return row


def _agrees(order: str | None, bounds: Points, row: Mapping[str, Any]) -> bool | None:
    """Whether what is attained grows no faster than the bound over the same range; None where that cannot be told."""
    if row["fitted"] is None or order is None or row["bound"] is None:
        return None
    steepest = max((s for s in slopes(bounds)), default=0.0)
    return order == "exp" or row["fitted"] <= steepest + 0.15


# the order of a bound -------------------------------------------------------------------------


def slopes(points: Points) -> list[float]:
    """`d log K / d log x` between neighbours."""
    return [
        (math.log(b[1]) - math.log(a[1])) / (math.log(b[0]) - math.log(a[0]))
        for a, b in pairwise(points)
        if 0 < a[1] < INF and 0 < b[1] < INF and 0 < a[0] < b[0]
    ]


def symbolic(name: str, points: Points) -> str | None:
    """The order at the far end, as `1`, `sqrt(n)`, `n^2`, `log(n)`, `exp`; None where slopes still rise towards no known power.

    A power that is told is never below the slopes at the far end; what a bound does beyond it is not seen.

    >>> symbolic("n", [(2.0**k, 3 * 2.0 ** (k / 2)) for k in range(6)])
    'sqrt(n)'
    >>> symbolic("R", [(2.0**k, 1 + 4.0**k) for k in range(2, 9)])
    'R^2'
    """
    if len(points) > 1 and points[-1][1] == INF:
        return "exp" if all(b > a for a, b in pairwise(slopes(points))) and len(points) > 3 else None
    found = slopes(points)
    if len(found) < 2:
        return None
    last = found[-1]
    if last > 2.5 and all(b > 1.3 * a for a, b in pairwise(found[-3:])):
        return "exp"
    nearest = round(2 * last) / 2
    above, before = last - nearest, found[-2] - nearest
    fading = before > 0 and above <= FADING * before
    if abs(above) <= SETTLED and abs(last - found[-2]) <= SETTLED and (above <= CERTAIN or fading):
        return power(name, nearest)
    logs = [s * math.log((a[0] * b[0]) ** 0.5) for s, (a, b) in zip(found, pairwise(points), strict=False)]
    for q, text in ((0.5, f"sqrt(log({name}))"), (1.0, f"log({name})")):
        if len(logs) >= 3 and all(abs(v - q) <= 0.12 * q for v in logs[-3:]) and logs[-1] <= logs[-3] + CERTAIN:
            return text
    if last > found[-2] + CERTAIN:  # it rises: only towards a power from below, by less and less
        near = -2 * SETTLED <= above <= 0 and len(found) > 2 and last - found[-2] < found[-2] - found[-3]
        return power(name, nearest) if near else None
    if above < 0 or above > 2 * SETTLED or last >= found[-2] - CERTAIN / 10:
        return f"{name}^{math.ceil(100 * last) / 100:g}"
    # It falls. What tends to a power has slopes that shrink towards it by a factor; those of a logarithm shrink like its inverse.
    return power(name, nearest) if fading else f"log({name})" if nearest == 0 else f"{name}^{math.ceil(100 * last) / 100:g}"


def power(name: str, exponent: float) -> str:
    """A power in words."""
    if exponent == 0:
        return "1"
    if exponent == 0.5:
        return f"sqrt({name})"
    return name if exponent == 1 else f"{name}^{exponent:g}"


# fits -----------------------------------------------------------------------------------------


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Least squares of log K on log x."""
    good = [(math.log(a), math.log(b)) for a, b in points if a > 0 and 0 < b < INF]
    if len(good) < 2:
        return None
    mx, my = (sum(p[k] for p in good) / len(good) for k in (0, 1))
    spread = sum((p[0] - mx) ** 2 for p in good)
    return round(sum((p[0] - mx) * (p[1] - my) for p in good) / spread, 4) if spread else None


def _interval(lower: list[tuple[float, list[float]]]) -> list[float] | None:
    """A 95 per cent interval of the exponent: seeds are drawn anew at every size, and the greatest value of each is fitted."""
    if len(lower) < 3 or min(len(values) for _, values in lower) < 2:
        return None
    rng = random.Random(0)
    fits = sorted(
        value
        for value in (slope([(x, max(rng.choices(values, k=len(values)))) for x, values in lower]) for _ in range(RESAMPLES))
        if value is not None
    )
    return [fits[int(0.025 * len(fits))], fits[min(len(fits) - 1, int(0.975 * len(fits)))]] if fits else None
