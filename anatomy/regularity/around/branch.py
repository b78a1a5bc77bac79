"""Branch and bound: the greatest norm of the derivative where each token lies in a ball, by parting the inputs.

Cells are boxes, each inside the Euclidean ball round its centre on which `remainder.greatest` holds. A box without a
point of the domain is dropped; where tokens may be permuted, only those in the order of their first feature are kept,
for every orbit has one. The greatest bound of a cell that is left is sound at every moment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from anatomy.ir.analysis import equivariant
from anatomy.ir.bound import INF, Unproved, mul, root
from anatomy.ir.graph import Diagram
from anatomy.regularity.around.nodes import Cells
from anatomy.regularity.around.remainder import greatest, least_norm
from anatomy.regularity.around.trace import Program, trace
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.regularity.tensor import UNIT, TooLarge

BATCH = 1024
"""Cells that are bounded at once."""
MOST = 4_000_000
"""Cells that are kept at most."""

Progress = Callable[[float, float, int], object]


@dataclass(frozen=True)
class Branched:
    """A sound upper bound, a lower bound that is attained at a centre, how many cells were bounded, and whether the target was met."""

    upper: float
    lower: float
    cells: int
    finished: bool


def branch(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float,
    target: float = 1.05, seconds: float = 60.0, progress: Progress | None = None,
) -> Branched:  # fmt: skip
    """The Lipschitz constant on tokens of norm at most `radius`, in the Frobenius norms, to a ratio.

    lower <= sup ||J(x)|| <= upper, upper / lower <= target where there is time; the bounds are sound whenever it ends, by
    a keyboard interrupt too. `progress(upper, lower, cells)` is called after every batch. Raises `Stuck` where no rule applies.
    """
    search = Search(diagram, sizes, weights, radius)
    end = time.monotonic() + seconds
    try:
        while not search.met(target) and time.monotonic() < end and search.step():
            if progress is not None:
                progress(search.upper, search.lower, search.cells)
    except KeyboardInterrupt:
        pass
    return Branched(search.upper, search.lower, search.cells, search.met(target))


class Search:
    """The cells that are left, as arrays [cells, coordinates], with a bound each."""

    def __init__(self, diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float):
        if not (0 <= radius < INF):
            raise Stuck("inputs", "only a bounded domain can be parted")
        self.radius = radius
        full = sizes_of(diagram, sizes)
        real = [i for i in diagram.inputs if diagram.wires[i.wire].kind.name == "real"]
        self.shapes = {i.wire: tuple(full[a] for a in i.layout) for i in real}
        length = sum(math.prod(s) for s in self.shapes.values())
        self.tokens: list[slice] = []
        at = 0
        for shape in self.shapes.values():
            width = shape[-1] if shape else 1
            for _ in range(math.prod(shape) // max(width, 1)):
                self.tokens.append(slice(at, at + width))
                at += width
        # Every ball round the centre of a box of the domain's own box lies within this radius.
        reach = mul(2.0, radius, root(float(length)))
        known = compose(diagram, full, weights, reach).bounds
        self.program: Program = trace(diagram, full, weights, reach, known)
        self.full = full
        try:
            self.ceiling = compose(diagram, full, weights, radius).triple.two
        except Stuck:
            self.ceiling = INF
        self.ordered = len(real) == 1 and len(real[0].layout) == 2 and len(self.tokens) > 1 and equivariant(diagram)
        self.cells, self.lower = 0, 0.0
        box = np.full((1, length), radius)
        self.low, self.high, self.bounds = np.zeros((0, length)), np.zeros((0, length)), np.zeros(0)
        self._keep(-box, box, np.full(1, self.ceiling))

    @property
    def upper(self) -> float:
        return min(self.ceiling, float(self.bounds.max(initial=0.0)))

    def met(self, target: float) -> bool:
        return self.upper <= target * self.lower or self.upper == 0

    def step(self) -> bool:
        """Parts the cells of the greatest bounds in two; False where no more can be done."""
        if len(self.bounds) > MOST or not len(self.bounds):
            return False
        count = min(BATCH, len(self.bounds))
        worst = np.argpartition(self.bounds, -count)[-count:]
        worst = worst[self.bounds[worst] > self.lower]
        if not len(worst):
            return False
        low, high, bounds = self.low[worst], self.high[worst], self.bounds[worst]
        at, rows = np.argmax(high - low, axis=1), np.arange(len(worst))
        middle = (low[rows, at] + high[rows, at]) / 2
        if np.any((middle <= low[rows, at]) | (middle >= high[rows, at])):
            return False
        left, right = high.copy(), low.copy()
        left[rows, at], right[rows, at] = middle, middle
        rest = np.ones(len(self.bounds), dtype=bool)
        rest[worst] = False
        kept = self.low, self.high, self.bounds, self.cells
        try:
            self.low, self.high, self.bounds = self.low[rest], self.high[rest], self.bounds[rest]
            self._keep(np.concatenate([low, right]), np.concatenate([left, high]), np.concatenate([bounds, bounds]))
        except BaseException:
            self.low, self.high, self.bounds, self.cells = kept  # what was there before is sound
            raise
        return True

    def _keep(self, low: np.ndarray, high: np.ndarray, parents: np.ndarray) -> None:
        low, high, parents = self._inside(low, high, parents)
        bounds = parents.copy()
        for start in range(0, len(low), BATCH):
            part = slice(start, start + BATCH)
            bounds[part] = np.minimum(bounds[part], self._bounds(low[part], high[part]))
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
        self.bounds = np.concatenate([self.bounds, bounds])
        self.cells += len(low)

    def _inside(self, low: np.ndarray, high: np.ndarray, parents: np.ndarray) -> tuple[np.ndarray, ...]:
        """Boxes cut to the domain, and without those that lie outside."""
        low, high = low.copy(), high.copy()
        if self.ordered:
            first = [t.start for t in self.tokens]
            for a, b in pairwise(first):
                low[:, b] = np.maximum(low[:, b], low[:, a])
            for a, b in [*pairwise(first)][::-1]:
                high[:, a] = np.minimum(high[:, a], high[:, b])
        gone = np.any(low > high, axis=1)
        whole = self.radius**2 * (1 + 8 * UNIT) + 1e-300
        for token in self.tokens:
            nearest = np.maximum(np.maximum(low[:, token], -high[:, token]), 0.0) ** 2 * (1 - 8 * UNIT)
            total = np.sum(nearest, axis=1, keepdims=True) * (1 - 4 * nearest.shape[1] * UNIT)
            gone |= total[:, 0] > whole
            side = np.sqrt(np.maximum(whole - (total - nearest) + 8 * UNIT * total, 0.0)) * (1 + 4 * UNIT)
            low[:, token], high[:, token] = np.maximum(low[:, token], -side), np.minimum(high[:, token], side)
        gone |= np.any(low > high, axis=1)
        return low[~gone], high[~gone], parents[~gone]

    def _bounds(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        centre = (low + high) / 2
        half = np.maximum(high - centre, centre - low) * (1 + 4 * UNIT)
        radii = np.sqrt(np.sum(half * half, axis=1)) * (1 + 4 * (half.shape[1] + 4) * UNIT) + 1e-150
        centres, at = {}, 0
        for wire, shape in self.shapes.items():
            count = math.prod(shape)
            centres[wire] = np.ascontiguousarray(centre[:, at : at + count]).reshape(-1, *shape)
            at += count
        try:
            cells = Cells(centres, radii, 2, dict(self.full))
            found = greatest(self.program.outputs, cells)
        except TooLarge:
            raise Stuck("branch", "the inputs are too many to be parted") from None
        except Unproved as why:
            raise Stuck("branch", str(why)) from None
        inside = np.ones(len(centre), dtype=bool)
        for token in self.tokens:
            inside &= np.sum(centre[:, token] ** 2, axis=1) <= self.radius**2 * (1 - 1e-12)
        attained = least_norm(self.program.outputs, cells)
        self.lower = max(self.lower, float(np.max(attained[inside], initial=0.0)))
        return np.where(np.isnan(found), np.inf, found)

