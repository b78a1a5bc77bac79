"""Normal forms of members as keys, and the values that speak against a law where it has none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import Diagram
from anatomy.rewrites.normal import Normal, normal, written
from anatomy.spaces.funnel.points import Naming, Point, by_form, by_key
from anatomy.spaces.funnel.values import Values, alike, values

SCALES = (1.0, 0.3, 0.0)
"""Normal numbers times these; at 0 what is undefined on both sides is not compared."""
WIDE = (1.0, 0.01, 6.0, 0.0)
"""The same further apart, so that what a small constant in a denominator does is seen."""


@dataclass(frozen=True)
class Form:
    """A member in normal form. `key` counts how weights are drawn, `function` does not; both None where it was cut short."""

    diagram: Diagram
    normal: Normal
    canonical: Canonical | None

    @cached_property
    def key(self) -> bytes | None:
        if self.canonical is None:
            return None
        return blake2b(written(self.normal, initialisers=True).form, digest_size=16).digest()

    @property
    def function(self) -> bytes | None:
        return None if self.canonical is None else blake2b(self.canonical.form, digest_size=16).digest()

    @property
    def laws(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(law for step in self.normal.steps for law in step.laws))

    @property
    def naming(self) -> Naming:
        return by_key(self.diagram) if self.canonical is None else by_form(self.canonical)


def form(diagram: Diagram) -> Form:
    """The normal form of a diagram, and its canonical form where it is complete and not too symmetric.

    >>> from anatomy.api import space
    >>> members = space("zoo:spaces/scores")
    >>> form(members[12].diagram).key == form(members[12].diagram).key
    True
    """
    found = normal(diagram)
    try:
        return Form(diagram, found, written(found) if found.complete else None)
    except AnatomyError as error:
        if any(d.code == "E505" for d in error.diagnostics):
            return Form(diagram, found, None)
        raise


Series = tuple[tuple[float, Values], ...]


def series(diagram: Diagram, naming: Naming, where: tuple[Point, ...], seed: int = 0, scales: tuple[float, ...] = SCALES) -> Series:
    """The values at several sizes and scales, as far as they are computed here; at the first and largest sizes at one scale only."""
    asked = ((point, scale) for k, point in enumerate(where) for scale in (scales if k else scales[:1]))
    rows = ((scale, values(diagram, point, naming, seed, scale)) for point, scale in asked)
    return tuple((scale, v) for scale, v in rows if v is not None)


def agree(a: Series, b: Series) -> bool | None:
    """Whether two series are one; None where there is nothing to compare."""
    if not a or not b:
        return None
    if len(a) != len(b):
        return False
    decided = False
    for (scale, x), (_, y) in zip(a, b, strict=True):
        if scale > 1.0 and x.shapes == y.shapes:
            # Far out, what is a quotient in one and none in the other may be 0 / 0 by rounding alone: that is no difference.
            known = np.isfinite(x.row) & np.isfinite(y.row)
            if not known.any():
                continue
            x, y = (replace(v, row=v.row[known]) for v in (x, y))
        if not alike(x, y, undefined=scale == 0.0):
            return False
        decided = decided or bool((x.row == x.row).any())
    return True if decided else None
