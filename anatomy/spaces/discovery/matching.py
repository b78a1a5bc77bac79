"""The keys by which members are compared with the literature, and their cost as compiled: rows of fixed size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.graph import Diagram
from anatomy.language.choices import UnionDefinition
from anatomy.spaces.discovery.costs import compiled_degree
from anatomy.spaces.discovery.literature import Signature, absorbed, function, signature, square, works
from anatomy.spaces.funnel.points import Point, by_key, sizes_at
from anatomy.spaces.funnel.rows import words

if TYPE_CHECKING:
    from anatomy.spaces.space import Space

MATCH = np.dtype([("rank", "<i8"), ("keys", "<u8", (4, 2))])
"""Keys of the normal form, and of that with weights absorbed; both again with inner sizes alike. 0 where there is none."""
ENTRY = np.dtype([("rank", "<i8"), ("keys", "<u8", (2, 2))])
COST = np.dtype([("rank", "<i8"), ("degree", "i1")])
SIZES = (Point("sixteen", 16, (16,), (8, 4, 2)), Point("twelve", 12, (12,), (6, 3, 2)), Point("eight", 8, (8,), (8, 4, 2)))
"""Sizes at which costs and Lipschitz bounds are asked, the first that the equations allow."""


def types(space: Space) -> frozenset[Signature]:
    """The types that members have."""
    definition = space.definition
    parts = definition.members if isinstance(definition, UnionDefinition) else (definition,)
    return frozenset(signature(part.base) for part in parts)


def keys(diagram: Diagram) -> tuple[bytes | None, ...]:
    level = square(diagram)
    return function(diagram), absorbed(diagram), None if level is None else function(level), None if level is None else absorbed(level)


def matching(diagram: Callable[[int], Diagram], items: np.ndarray) -> np.ndarray:
    found = np.zeros(len(items), MATCH)
    for k, rank in enumerate(items.tolist()):
        found[k] = (rank, [(0, 0) if key is None else words(key) for key in keys(diagram(rank))])
    return found


def entries(types: frozenset[Signature], items: np.ndarray) -> np.ndarray:
    """The keys of mechanisms of the literature, by number: normal form, and that with weights absorbed."""
    found = np.zeros(len(items), ENTRY)
    listed = works(types)
    for k, number in enumerate(items.tolist()):
        made = listed[number].diagram
        found[k] = (number, [(0, 0) if key is None else words(key) for key in (function(made), absorbed(made))])
    return found


def sizes(diagram: Diagram) -> dict[str, int] | None:
    """The first of `SIZES` that the equations allow."""
    return next((found for p in SIZES if (found := sizes_at(diagram, p, by_key(diagram))) is not None), None)


def compiling(diagram: Callable[[int], Diagram], items: np.ndarray) -> np.ndarray:
    found = np.zeros(len(items), COST)
    for k, rank in enumerate(items.tolist()):
        made = diagram(rank)
        at = sizes(made)
        power = None if at is None else compiled_degree(made, at)
        found[k] = (rank, -1 if power is None else min(power, 127))
    return found
