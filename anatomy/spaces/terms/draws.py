"""The numbers that members are tried on, and what their terms make of them: each term once.

Draws 0 and 1 have random weights, draw 2 those of the initialisers. Each comes with variations of the inputs: as drawn,
others, with tokens permuted, and for each token axis of an input with its later positions exchanged.
A weight is drawn by its path and its shape, an input by its number and its shape, so members agree wherever they have one in common.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import prod

import numpy as np

from anatomy.ir.graph import Weight
from anatomy.ir.poly import Poly
from anatomy.spaces.terms.arrays import LEAD, Array, Named, Unsupported, compute
from anatomy.spaces.terms.fold import Folded
from anatomy.spaces.terms.term import Read, Term, postorder

DRAWS = 3
FUTURES = 4
"""Token axes whose future is exchanged one at a time; of further ones nothing is said."""
MOST = 500_000
"""Points over which one box is computed for one draw; beyond it nothing is said."""
AS_DRAWN, OTHER, PERMUTED, LATER = 0, 1, 2, 3
"""Variations of the inputs; `LATER + j` belongs to token axis j."""


@dataclass(frozen=True, eq=False)
class Ends:
    """What of a folded diagram the variations depend on: its inputs, which of their axes are tokens, and which outputs follow."""

    tokens: tuple[tuple[int, int], ...]
    """(input, place of the axis)."""
    sizes: tuple[tuple[Poly, ...], ...]
    """Of each input."""

    @staticmethod
    def of(folded: Folded) -> Ends:
        rows = []
        sizes = []
        for k, term in enumerate(folded.inputs):
            held = dict(term.sized)
            sizes.append(tuple(held[a] for a in term.axes))
            last = len(term.axes) - (term.kinds[0].name == "real")
            rows += [(k, p) for p in range(last)]
        return Ends(tuple(rows), tuple(sizes))


def generator(*words: object) -> np.random.Generator:
    """Random numbers that depend on what is said, and on nothing else."""
    seed = int.from_bytes(blake2b(repr(words).encode(), digest_size=16).digest())
    return np.random.Generator(np.random.PCG64(seed))


@dataclass
class Draws:
    """One assignment of sizes with the values of all terms so far. `seed` gives other numbers."""

    values: Mapping[str, int]
    seed: int = 0
    known: dict[Term, tuple[Named, ...] | None] = field(default_factory=dict)
    """None: not computed here."""
    _orders: dict[Poly, Array] = field(default_factory=dict)

    def outputs(self, folded: Folded, ends: Ends) -> list[Array] | None:
        """For every output an array: draws, variations, then the axes of its layout; None where a box is not computed here."""
        found = []
        for k, term in enumerate(folded.inputs):
            if term not in self.known:
                self.known[term] = (self.input(k, term, ends),)
        with np.errstate(all="ignore"):
            for read, layout in folded.outputs:
                whole = self.value(read.term)
                if whole is None:
                    return None
                found.append(_laid(whole[read.out], read, layout))
        return found

    def value(self, term: Term) -> tuple[Named, ...] | None:
        known = self.known
        if term in known:
            return known[term]
        for now in postorder(term, known):
            known[now] = self.made(now)
        return known[term]

    def made(self, term: Term) -> tuple[Named, ...] | None:
        sizes = {a: p.evaluate(self.values) for a, p in term.sized}
        if term.kind == "weight":
            if prod(sizes.values()) > MOST:
                return None
            return (self.weight(term.source, sizes),)
        operands = []
        for child, out, renames in term.ports:
            made = self.known[child]
            if made is None:
                return None
            operand = made[out].renamed(dict(renames))
            operands.append(operand)
            sizes.update(zip(operand.axes, operand.data.shape[LEAD:], strict=True))
        if prod(sizes.values()) > MOST:
            return None
        try:
            return compute(term.op, term.own, operands, sizes)
        except (Unsupported, MemoryError):
            return None

    # leaves -------------------------------------------------------------------------------------

    def weight(self, weight: Weight, sizes: Mapping[str, int]) -> Named:
        shape = tuple(sizes[a] for a in weight.layout)
        rng = generator("weight", self.seed, weight.key, shape)
        wide = prod(sizes[a] for a in weight.fan_in)
        data = np.empty((DRAWS, 1, *shape))
        data[: DRAWS - 1, 0] = rng.standard_normal((DRAWS - 1, *shape)) / math.sqrt(wide)
        data[-1, 0] = initialised(weight, sizes, rng)
        return Named(weight.layout, data)

    def input(self, k: int, term: Term, ends: Ends) -> Named:
        shape = tuple(p.evaluate(self.values) for p in ends.sizes[k])
        rng = generator("input", self.seed, k, term.kinds[0].name, shape)
        futures = ends.tokens[:FUTURES]
        rows = (2, DRAWS, *shape)
        match term.kinds[0].name:
            case "mask":
                two = rng.random(rows) < 0.6
            case "index":
                two = rng.integers(0, self.target(term, ends), rows)
            case _:
                two = rng.standard_normal(rows)
        drawn, other = two
        permuted = drawn
        for j, p in ends.tokens:
            if j == k:
                permuted = np.take(permuted, self.order(ends.sizes[k][p], shape[p]), axis=1 + p)
        variations = [drawn, other, permuted]
        for j, p in futures:
            if j == k:
                later = np.arange(shape[p]) >= cut(shape[p])
                variations.append(np.where(later.reshape(-1, *(1,) * (len(shape) - p - 1)), other, drawn))
            else:
                variations.append(drawn)
        return Named(term.axes, np.stack(variations, axis=1))

    def target(self, term: Term, ends: Ends) -> int:
        """The size of the axis that an index points into, which is a variable, or an axis, of that name."""
        name = term.kinds[0].axis
        for other in (t for t in ends.sizes for t in t):
            if other.as_variable() == name:
                return other.evaluate(self.values)
        return self.values.get(name, 1)

    def order(self, size: Poly, count: int) -> Array:
        """How tokens of one size are permuted: never the identity, and no rotation."""
        found = self._orders.get(size)
        if found is None:
            found = generator("order", str(size), count).permutation(count)
            if count > 1 and (found == np.arange(count)).all():
                found = found[::-1]
            self._orders[size] = found
        return found


def cut(size: int) -> int:
    """The first position that is later."""
    return max(size // 2, 1)


def _laid(value: Named, read: Read, layout: Sequence[str]) -> Array:
    table = {b: a for a, b in read.axes}
    return value.renamed(table).at(layout)


def initialised(weight: Weight, sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    """Numbers as the initialiser gives them; fans come from named axes (ruling 16)."""
    shape = tuple(sizes[a] for a in weight.layout)
    fan_in, fan_out = (prod(sizes[a] for a in axes) for axes in (weight.fan_in, weight.fan_out))
    args = [float(a) for a in weight.init.args]
    match weight.init.name:
        case "xavier":
            return rng.uniform(-1, 1, shape) * math.sqrt(6 / (fan_in + fan_out))
        case "xavier_normal":
            return rng.standard_normal(shape) * math.sqrt(2 / (fan_in + fan_out))
        case "kaiming":
            return rng.uniform(-1, 1, shape) * math.sqrt(6 / fan_in)
        case "kaiming_normal":
            return rng.standard_normal(shape) * math.sqrt(2 / fan_in)
        case "lecun":
            return rng.standard_normal(shape) * math.sqrt(1 / fan_in)
        case "orthogonal":
            lanes = prod(shape) // (fan_in * fan_out)
            gain = args[0] if args else 1.0
            tall, low = max(fan_in, fan_out), min(fan_in, fan_out)
            made = [np.linalg.qr(rng.standard_normal((tall, low)))[0] for _ in range(lanes)]
            return gain * np.stack([m if fan_in >= fan_out else m.T for m in made]).reshape(shape)
        case "identity" if fan_in == fan_out:
            return np.broadcast_to(np.eye(fan_in), (prod(shape) // fan_in**2, fan_in, fan_in)).reshape(shape)
        case "uniform":
            low, high = (-args[0], args[0]) if len(args) == 1 else args
            return rng.uniform(low, high, shape)
        case "normal":
            return rng.standard_normal(shape) * args[0]
        case "ones":
            return np.ones(shape)
        case "constant":
            return np.full(shape, args[0] if args else 0.0)
        case _:
            return np.zeros(shape)


__all__ = ["AS_DRAWN", "DRAWS", "FUTURES", "LATER", "LEAD", "OTHER", "PERMUTED", "Draws", "Ends", "cut"]
