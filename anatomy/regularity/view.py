"""Bounds seen under other axis names, other partitions and more axes; what theorems recognise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from anatomy.ir.bound import Bound, Triple, magnitude, meet, mul, root
from anatomy.regularity.affine import Base, Form, Term, retoken
from anatomy.regularity.tensor import Ball, scalar


@dataclass(frozen=True, eq=False)
class Product:
    """A wire is `sum over summed of the product of factors`; summed axes have names that occur nowhere else."""

    factors: tuple[Bound, ...]
    summed: frozenset[str]

    def rename(self, table: dict[str, str]) -> Product:
        return Product(tuple(rename(f, table) for f in self.factors), self.summed)


@dataclass(frozen=True, eq=False)
class Softmax:
    """A wire is the softmax of a score over `own`, with the keys that a mask allows (None: all; "any": not known)."""

    own: frozenset[str]
    score: Bound
    allowed: Any

    def rename(self, table: dict[str, str]) -> Softmax:
        allowed = self.allowed.rename(table) if isinstance(self.allowed, Ball) else self.allowed
        return Softmax(_names(self.own, table), rename(self.score, table), allowed)


@dataclass(frozen=True, eq=False)
class Weights:
    """A wire is `grid * plain`, a constant times weights of a kind that a theorem knows, made from a score.

    `own` has the axes that the weights are shared out over, and is None where each depends on its own score alone;
    `coupled` has further axes whose weights depend on each other.
    """

    kind: Any
    score: Bound
    plain: Bound
    grid: Ball
    own: frozenset[str] | None = None
    allowed: Any = None
    coupled: frozenset[str] = frozenset()

    def rename(self, table: dict[str, str]) -> Weights:
        allowed = self.allowed.rename(table) if isinstance(self.allowed, Ball) else self.allowed
        own = None if self.own is None else _names(self.own, table)
        score, plain, grid = rename(self.score, table), rename(self.plain, table), self.grid.rename(table)
        return Weights(self.kind, score, plain, grid, own, allowed, _names(self.coupled, table))


@dataclass(frozen=True)
class Length:
    """The Euclidean norm of a wire over some axes is at most so much at each point of the others."""

    own: frozenset[str]
    radius: float

    def rename(self, table: dict[str, str]) -> Length:
        return Length(_names(self.own, table), self.radius)


@dataclass(frozen=True, eq=False)
class Via:
    """A wire as an affine function of wires on its way, which its own form passes over."""

    forms: tuple[Form, ...]

    def rename(self, table: dict[str, str]) -> Via:
        return Via(tuple(f.rename(table) for f in self.forms))


def _names(axes: frozenset[str], table: dict[str, str]) -> frozenset[str]:
    return frozenset(table.get(a, a) for a in axes)


def rename(x: Bound, table: dict[str, str]) -> Bound:
    """The same bound under other axis names."""
    if all(table.get(a, a) == a for a in x.axes):
        return x
    facts: dict[str, Any] = {}
    for key, fact in x.facts.items():
        if isinstance(fact, Bound):
            facts[key] = rename(fact, table)
        elif hasattr(fact, "rename"):
            facts[key] = fact.rename(table)
        elif key != "attention":
            facts[key] = fact
    return replace(
        x,
        axes=_names(x.axes, table),
        tokens=_names(x.tokens, table),
        mass={_names(k, table): v for k, v in x.mass.items()},
        flow={_names(k, table): v for k, v in x.flow.items()},
        form=None if x.form is None else x.form.rename(table),
        facts=facts,
        local=None if x.local is None else tuple(p.rename(table) for p in x.local),
        origin=x.origin and (x.origin[0], tuple((a, table.get(b, b)) for a, b in x.origin[1])),
    )


def constant(x: Bound) -> Ball | None:
    """The value of a wire that is known."""
    return None if x.form is None else x.form.constant


def named(x: Bound, wire: int) -> Bound:
    """The bound of a wire under that number."""
    return replace(x, origin=(wire, tuple((a, a) for a in sorted(x.axes))))


def mask_of(x: Bound) -> Any:
    return x.facts.get("mask")


def with_tokens(x: Bound, tokens: frozenset[str], sizes: dict[str, int]) -> Bound:
    """The same wire with its axes parted in another way."""
    if tokens == x.tokens:
        return x
    grown = root(float(math.prod(sizes[a] for a in x.tokens - tokens)))
    slopes = {k: retoken(t, x.tokens, tokens, sizes) for k, t in x.slopes.items()}
    # Radius: a token that becomes a feature adds squares; the reverse only shrinks.
    return tighten(replace(x, tokens=tokens, radius=mul(grown, x.radius), slopes=slopes), sizes)


def widen(x: Bound, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> Bound:
    """The wire repeated along the axes that it lacks, parted by `tokens`."""
    x = with_tokens(x, tokens & x.axes, sizes)
    new = axes - x.axes
    if not new:
        return x
    rows = float(math.prod(sizes[a] for a in new & tokens))
    cols = root(float(math.prod(sizes[a] for a in new - tokens)))
    factor = Triple.of(mul(rows, cols), mul(root(rows), cols), cols)
    slopes = {k: factor.after(t) for k, t in x.slopes.items()}
    return Bound(axes, tokens & axes, x.entry, mul(cols, x.radius), slopes, form=x.form)


def tighten(x: Bound, sizes: dict[str, int]) -> Bound:
    """Radius and entries bound each other."""
    side = root(float(math.prod(sizes[a] for a in x.features)))
    radius = min(x.radius, mul(side, magnitude(x.entry)))
    return replace(x, radius=radius, entry=meet(x.entry, (-radius, radius)))


def seen_through(x: Bound, sizes: dict[str, int]) -> tuple[Form, ...]:
    """The forms of a wire over wires on its way, itself the last; at most three."""
    before = x.facts.get("via")
    forms = before.forms if isinstance(before, Via) else ()
    if x.origin is None or math.prod(sizes[a] for a in x.axes) > 2**20:
        return forms
    wire, names = x.origin
    own = rename(replace(x, facts={}), {b: a for a, b in names})
    return (*forms, Form((Term(Base(wire, own), names, scalar(1.0)),)))[-3:]
