"""The static facts of members as rows: the canonical key, values on two grids, and what is proved without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.analysis import equivariant, flops, length_generic
from anatomy.ir.canonical import digest
from anatomy.ir.causality import reach
from anatomy.ir.graph import Diagram
from anatomy.ir.strands import tokens
from anatomy.language.choices import Requirement
from anatomy.spaces.funnel import rows as r
from anatomy.spaces.funnel.points import Point, by_key
from anatomy.spaces.funnel.values import grids, values

if TYPE_CHECKING:
    from anatomy.spaces.space import Space


def static(space: Space, ranks: np.ndarray, where: Sequence[Point]) -> np.ndarray:
    """One row for each rank."""
    asked = requirements(space)
    found = np.zeros(len(ranks), r.ROW)
    for k, rank in enumerate(ranks.tolist()):
        found[k] = row(rank, space[rank].diagram, where, asked)
    return found


def requirements(space: Space) -> tuple[Requirement, ...]:
    """What every member is asked for; of several spaces side by side, what all of them ask."""
    definition = space.definition
    parts = getattr(definition, "members", (definition,))
    asked = [getattr(p, "requires", ()) for p in parts]
    return tuple(q for q in asked[0] if all(q in other for other in asked)) if asked else ()


def row(rank: int, diagram: Diagram, where: Sequence[Point], asked: Sequence[Requirement]) -> tuple[object, ...]:
    naming = by_key(diagram)
    computed = [v for v in (values(diagram, p, naming) for p in where[:3]) if v is not None][:2]
    facts: dict[str, bool] = {"length_generic": length_generic(diagram)}
    if tokens(diagram):
        facts["causal"] = reach(diagram).causal
        facts["equivariant"] = equivariant(diagram)
    if computed:
        facts["finite"] = all(bool(np.isfinite(v.row).all()) for v in computed)
        facts["alive"] = any(v.moves for v in computed)
    power = degree(diagram)
    meets = decided = 0
    for k, requirement in enumerate(asked):
        said = met(requirement, facts, power)
        if said is not None:
            decided |= 1 << k
            meets |= int(said) << k
    known = sum(r.bit(f) for f in facts)
    true = sum(r.bit(f) for f, holds in facts.items() if holds)
    grid = grids(computed) if computed else (0, 0)
    return rank, r.words(bytes.fromhex(digest(diagram))), grid, true, known, meets, decided, -1 if power is None else power, np.nan


def degree(diagram: Diagram) -> int | None:
    """The greatest power of all lengths together in the operations as written; None where there are no tokens."""
    settled = diagram.settled
    lengths = {v for _, axis in tokens(diagram) for v in settled.of(diagram.sizes[axis]).variables()}
    if not lengths:
        return None
    return max((sum(e for v, e in monomial if v in lengths) for monomial, _ in settled.of(flops(diagram)).terms), default=0)


def met(requirement: Requirement, facts: dict[str, bool], power: int | None) -> bool | None:
    """Whether a requirement holds; None where these facts do not say."""
    if requirement.what == "cost" and power is not None:
        text = requirement.value.replace(" ", "")
        asked = int(text.rpartition("^")[2]) if "^" in text else 1 if text.isalpha() else 0
        return {"<=": power <= asked, "<": power < asked, ">=": power >= asked, ">": power > asked, "==": power == asked}.get(requirement.op)
    known = facts.get(requirement.what)
    return None if known is None else known == (requirement.value == "true") if requirement.op == "==" else None
