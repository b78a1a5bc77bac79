"""The static facts of members as rows of fixed size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from anatomy.language.choices import Requirement
from anatomy.spaces.facts import Facts, meets
from anatomy.spaces.funnel import rows as r

if TYPE_CHECKING:
    from anatomy.spaces.rung import Rung
    from anatomy.spaces.space import Space

BITS = 32
"""Requirements of which a row has a note; of more, the rest are not known."""


def static(rung: Rung, ranks: Iterable[int], asked: tuple[Requirement, ...]) -> np.ndarray:
    """One row for each rank; a rank that is no machine integer is written as its place."""
    facts = rung.chunk(ranks)
    found = np.zeros(len(facts), r.ROW)
    for k, item in enumerate(facts):
        found[k] = row(item if item.rank < 2**62 else _placed(item, k), asked)
    return found


def _placed(facts: Facts, k: int) -> Facts:
    from dataclasses import replace

    return replace(facts, rank=k)


def requirements(space: Space) -> tuple[Requirement, ...]:
    """What every member is asked for; of several spaces side by side, what all of them ask."""
    definition = space.definition
    parts = getattr(definition, "members", (definition,))
    asked = [getattr(p, "requires", ()) for p in parts]
    return tuple(q for q in asked[0] if all(q in other for other in asked))[:BITS] if asked else ()


def row(facts: Facts, asked: tuple[Requirement, ...]) -> tuple[object, ...]:
    known = true = met = decided = 0
    for name in r.FACTS:
        said = getattr(facts, name)
        if said is not None:
            known |= r.bit(name)
            true |= r.bit(name) if said else 0
    for k, requirement in enumerate(asked):
        said = meets(requirement, facts)
        if said is not None:
            decided |= 1 << k
            met |= int(said) << k
    degree = -1 if facts.degree is None else min(facts.degree, 127)
    scale = np.nan if facts.scale is None else facts.scale
    return facts.rank, r.words(facts.key), facts.grids or (0, 0), true, known, met, decided, degree, scale
