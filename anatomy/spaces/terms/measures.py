"""What numbers say of a member: whether it is finite, alive, looks ahead, is equivariant; its scale; and its fingerprint.

A fingerprint is eight random sums of everything that came out, rounded to six digits on two grids, the second set off by
half a step: numbers that differ by rounding errors only agree on one grid at least. Members with one fingerprint are to be
compared in full before they are called numerically equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from anatomy.spaces.terms.arrays import Array
from anatomy.spaces.terms.draws import AS_DRAWN, DRAWS, FUTURES, LATER, OTHER, PERMUTED, Draws, Ends, cut, generator
from anatomy.spaces.terms.fold import Folded
from anatomy.spaces.terms.proofs import tokens

SUMS, DIGITS = 8, 6
OFFSETS = np.array([[0.0], [0.5]])
NOTHING = 1e-14
"""What is not above this is 0."""
NEAR = 1e-9
"""A difference, over the largest number, that is none."""


@dataclass(frozen=True)
class Measures:
    """`leaks`: an earlier output changed with later tokens. None where the draws cannot say."""

    grids: tuple[int, int]
    finite: bool
    alive: bool
    leaks: bool | None
    equivariant: bool | None
    scale: float | None


@dataclass
class Gauge:
    """What outputs of one form are measured with."""

    sums: dict[int, Array] = field(default_factory=dict)
    places: dict[object, tuple[list[list[Array]], Array | None]] = field(default_factory=dict)

    def measure(self, outputs: Sequence[Array], folded: Folded, ends: Ends, draws: Draws) -> Measures:
        count = LATER + min(len(ends.tokens), FUTURES)
        flat = []
        for o in outputs:
            whole = o if o.shape[:2] == (DRAWS, count) else np.broadcast_to(o, (DRAWS, count, *o.shape[2:]))
            flat.append(whole.reshape(DRAWS, count, -1))
        y = np.concatenate(flat, axis=2) if len(flat) > 1 else flat[0]
        if y.dtype != np.float64:
            y = y.astype(np.float64)
        shapes = tuple([o.shape[2:] for o in outputs])
        both = y[: DRAWS - 1, :PERMUTED]
        finite = whole = bool(np.isfinite(y).all())
        leaks = equivariant = scale = None
        with np.errstate(all="ignore"):
            grids = self.grids(both, shapes)
            if not whole:
                finite = bool(np.isfinite(y[:, :PERMUTED]).all())
                alive = not np.array_equal(both[:, AS_DRAWN], both[:, OTHER], equal_nan=True)
                return Measures(grids, finite, alive, None, None, None)
            drawn = y[:, AS_DRAWN]
            change = np.abs(y - y[:, :1])
            small = NEAR * max(float(np.abs(drawn).max()), NOTHING)
            changed = change > small
            alive = bool(changed[: DRAWS - 1, OTHER].any())
            earlier, order = self.placed(folded, ends, shapes, draws)
            leaks = self.leak(np.asarray(changed.any(axis=0)), earlier) if ends.tokens else None
            if order is not None:
                equivariant = bool(np.abs(y[:, PERMUTED] - drawn[:, order]).max() <= small)
            if any(t.kinds[0].name == "real" for t in folded.inputs):
                last = y[DRAWS - 1, :PERMUTED]
                last = last - last.mean()
                scale = math.sqrt(float(np.vdot(last, last)) / last.size)
        return Measures(grids, finite, alive, leaks, equivariant, scale)

    def leak(self, changed: Array, earlier: list[list[Array]]) -> bool:
        """Whether for some token axis an output changed at earlier positions, along whichever axis they are counted."""
        return any(
            all((changed[LATER + j] & row).any() for row in rows) for j, outputs in enumerate(earlier) for rows in outputs
        )

    def placed(
        self, folded: Folded, ends: Ends, shapes: tuple[tuple[int, ...], ...], draws: Draws
    ) -> tuple[list[list[Array]], Array | None]:
        """For each token axis and each output the entries that are earlier, once for each axis that may count them; and where permuted entries come from."""
        key = (ends, shapes, tuple([layout for _, layout in folded.outputs]))
        found = self.places.get(key)
        if found is None:
            starts = np.cumsum([0, *(math.prod(s) for s in shapes)])
            earlier: list[list[Array]] = []
            for k, p in ends.tokens[:FUTURES]:
                axis, size = folded.inputs[k].axes[p], ends.sizes[k][p].evaluate(draws.values)
                outputs: list[Array] = []
                for (_, layout), shape, start in zip(folded.outputs, shapes, starts, strict=False):
                    rows = []
                    for a in (axis,) if axis in layout else layout:
                        at = layout.index(a)
                        row = np.zeros(starts[-1], bool)
                        index = np.arange(shape[at]).reshape(-1, *(1,) * (len(shape) - at - 1)) < cut(size)
                        row[start : start + math.prod(shape)] = np.broadcast_to(index, shape).ravel()
                        rows.append(row)
                    outputs.append(np.array(rows).reshape(-1, starts[-1]))
                earlier.append(outputs)
            found = self.places[key] = earlier, self.permutation(folded, ends, shapes, draws)
        return found

    def permutation(self, folded: Folded, ends: Ends, shapes: tuple[tuple[int, ...], ...], draws: Draws) -> Array | None:
        """Where the entries of a flat output come from when tokens are permuted; None where it is not clear which axes are tokens'."""
        sizes = {ends.sizes[k][p] for k, p in ends.tokens}
        features = {p for k, t in enumerate(folded.inputs) for a, p in zip(t.axes, ends.sizes[k], strict=True) if a not in tokens(t)}
        if not sizes or sizes & features or any(t.kinds[0].name == "index" for t in folded.inputs):
            return None
        rows, start = [], 0
        for shape, polys in zip(shapes, folded.context.shapes, strict=True):
            index = np.arange(start, start + math.prod(shape)).reshape(shape)
            for at, poly in enumerate(polys):
                if poly in sizes:
                    index = np.take(index, draws.order(poly, shape[at]), axis=at)
            rows.append(index.ravel())
            start += math.prod(shape)
        return np.concatenate(rows)

    def grids(self, y: Array, shapes: object) -> tuple[int, int]:
        """Two numbers of 63 bits for what came out; two members agree where either does."""
        flat = y.ravel()
        strange = b""
        size = math.sqrt(float(np.vdot(flat, flat)) / max(flat.size, 1))
        if not math.isfinite(size):
            whole = np.isfinite(flat)
            strange = np.where(whole, 0, np.where(np.isnan(flat), 1, np.where(flat > 0, 2, 3))).astype(np.uint8).tobytes()
            flat = np.where(whole, flat, 0.0)
            # Great numbers whose squares overflow are measured by the greatest.
            top = float(np.abs(flat).max(initial=0.0))
            flat = flat / top if top else flat
            strange += f"{math.floor(math.log10(top)) if top else 0}".encode()
            size = math.sqrt(float(np.vdot(flat, flat)) / max(flat.size, 1))
        if size <= NOTHING:
            code = int.from_bytes(blake2b(f"{shapes} 0".encode() + strange, digest_size=8).digest()) >> 1
            return code, code
        level = math.log10(size)
        powers = [math.floor(level), math.floor(level + 0.5)]
        scales = np.array([[10.0 ** (DIGITS - 1 - p)] for p in powers])
        steps = np.floor(self.sum(flat.size) @ flat * scales + OFFSETS).astype(np.int64)
        found = [
            int.from_bytes(blake2b(f"{shapes} {p} ".encode() + strange + row.tobytes(), digest_size=8).digest()) >> 1
            for p, row in zip(powers, steps, strict=True)
        ]
        return found[0], found[1]

    def sum(self, count: int) -> Array:
        if count not in self.sums:
            self.sums[count] = generator("sums", count).standard_normal((SUMS, count)) / math.sqrt(count)
        return self.sums[count]


def near(a: Sequence[Array], b: Sequence[Array]) -> bool:
    """Whether two members give the same numbers, but for rounding errors."""
    if len(a) != len(b):
        return False
    for x, y in zip(a, b, strict=True):
        x, y = x[: DRAWS - 1, :PERMUTED], y[: DRAWS - 1, :PERMUTED]
        if x.shape[2:] != y.shape[2:]:
            return False
        known = np.abs(x[np.isfinite(x)]) if x.size else x
        top = max(float(known.max()) if known.size else 0.0, NOTHING)
        if not np.allclose(x, y, rtol=NEAR, atol=NEAR * top, equal_nan=True):
            return False
    return True
