"""Where members are compared: sizes for their axes, and inputs and weights drawn by name."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from math import prod
from typing import TYPE_CHECKING

from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import Diagram
from anatomy.rewrites.tensor import Tensor
from anatomy.rewrites.trial import largest_place

if TYPE_CHECKING:
    from anatomy.language.choices import Domain
    from anatomy.spaces.space import Space

FARTHEST = 24
"""The greatest number of tokens at which members are compared."""
LARGEST = 40_000
"""Entries of a wire at which a size assignment is too large."""


@dataclass(frozen=True)
class Point:
    """How sizes are given: `tokens` upward to the token axes of inputs, `features` in turn to their last ones, `inner` to the others."""

    name: str
    tokens: int
    features: tuple[int, ...]
    inner: tuple[int, ...]


def points(place: int) -> tuple[Point, ...]:
    """Sizes that are coprime, even, divisible by 6 and by 8, and all 1; the tokens of the first go beyond `place`."""
    most = max(5, min(place + 2, FARTHEST))
    return (
        Point("long", most, (3, 5, 2, 7), (2, 3, 4)),
        Point("even", 4, (4, 6, 2, 8), (2,)),
        Point("six", 5, (6,), (3, 2)),
        Point("eight", 3, (8,), (4, 2)),
        Point("ones", 1, (1,), (1,)),
    )


def place(space: Space) -> int:
    """The greatest position that some member may name: what fewer tokens do not show.

    >>> from anatomy.api import space
    >>> place(space("zoo:spaces/scores"))
    10
    """

    def diagrams(domain: Domain) -> Iterator[Diagram]:
        for component in domain.components:
            if component.diagram is not None:
                yield component.diagram
            for inner in component.inner:
                yield from diagrams(inner.domain)

    def every(definition: object) -> Iterator[Diagram]:
        for member in getattr(definition, "members", ()):
            yield from every(member)
        if hasattr(definition, "decisions"):
            yield definition.base  # type: ignore[attr-defined]
            for decision in definition.decisions:  # type: ignore[attr-defined]
                yield from diagrams(decision.domain)
                if decision.otherwise is not None and decision.otherwise.diagram is not None:
                    yield decision.otherwise.diagram

    return largest_place(*every(space.definition))


@dataclass(frozen=True)
class Naming:
    """What weights and inner sizes of a diagram are known by when values are drawn for them."""

    weights: Mapping[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """For the number of a weight: its name, and its axes in the order of the draw."""
    sizes: Mapping[str, str] = field(default_factory=dict)


def by_key(diagram: Diagram) -> Naming:
    """Weights by key and layout, sizes by the names of axes."""
    return Naming({k: (w.key, w.layout) for k, w in enumerate(diagram.weights)}, {})


def by_form(found: Canonical) -> Naming:
    """Weights and sizes by their place in a canonical form: diagrams with one form get one another's values."""
    weights = {w: (f"{k}", axes) for k, (w, axes) in enumerate(zip(found.weights, found.axes, strict=True))}
    return Naming(weights, {v: f"{k}" for k, v in enumerate(found.sizes)})


def sizes_at(diagram: Diagram, point: Point, naming: Naming) -> dict[str, int] | None:
    """The sizes of all axes; None where the equations of the diagram do not allow them."""
    settled = diagram.settled
    polys = {a: settled.of(p) for a, p in diagram.sizes.items()}
    values: dict[str, int] = {}
    tokens = features = 0
    for item in diagram.inputs:
        for j, axis in enumerate(item.layout):
            name = polys[axis].as_variable()
            if name is None or name in values:
                continue
            if j + 1 < len(item.layout):
                values[name] = point.tokens + tokens if point.tokens > 1 else 1
                tokens += 1
            else:
                values[name] = point.features[features % len(point.features)]
                features += 1
    for name in {v for p in (*polys.values(), *settled.rest) for v in p.variables()} - values.keys():
        values[name] = point.inner[_number(naming.sizes.get(name, name)) % len(point.inner)]
    if any(p.evaluate(values) for p in settled.rest):
        return None
    sizes = {a: p.evaluate(values) for a, p in polys.items()}
    if any(n < 1 for n in sizes.values()):
        return None
    if any(prod(sizes[a] for a in (*n.own, *n.lifts)) > LARGEST for n in diagram.nodes):
        return None
    return sizes


@lru_cache(maxsize=4096)
def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=2048)
def normals(seed: int, name: str, count: int) -> tuple[float, ...]:
    """Standard normal numbers that seed and name fix."""
    rng = random.Random(_number(f"{seed} {name}"))
    return tuple(rng.gauss(0.0, 1.0) for _ in range(count))


@lru_cache(maxsize=2048)
def whole(seed: int, name: str, count: int, below: int) -> tuple[int, ...]:
    """Whole numbers from 0 that seed and name fix."""
    rng = random.Random(_number(f"{seed} {name} {below}"))
    return tuple(rng.randrange(below) for _ in range(count))


def others(diagram: Diagram, k: int, sizes: Mapping[str, int], seed: int) -> Tensor | None:
    """The values of an input that holds truth values or indices; None for reals."""
    item = diagram.inputs[k]
    kind = diagram.wires[item.wire].kind
    shape = tuple(sizes[a] for a in item.layout)
    if kind.name == "real":
        return None
    below = sizes[kind.axis] if kind.name == "index" else 10
    drawn = whole(seed, f"input {k}", prod(shape), below)
    return Tensor(item.layout, shape, list(drawn) if kind.name == "index" else [v < 7 for v in drawn])
