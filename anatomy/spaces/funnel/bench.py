"""The work that is done for one member, or for a pair, by whoever has been given the space."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.rewrites.search import search
from anatomy.spaces.funnel import rows as r
from anatomy.spaces.funnel.algebra import algebra
from anatomy.spaces.funnel.forms import WIDE, Form, Series, agree, form, series
from anatomy.spaces.funnel.points import Point, by_key, place, points
from anatomy.spaces.funnel.static import requirements, static
from anatomy.spaces.rung import Rung

if TYPE_CHECKING:
    from anatomy.ir.graph import Diagram
    from anatomy.spaces.space import Space

STEPS = 12
"""Diagrams that a search for a derivation brings to normal form; the seconds are only there so that it ends."""
SECONDS = 60.0


class Bench:
    """One space, with what has been worked out for its members lately."""

    def __init__(self, space: Space):
        self.space = space
        self.diagram: Callable[[int], Diagram] = lru_cache(maxsize=64)(lambda rank: space[rank].diagram)
        self.form: Callable[[int], Form] = lru_cache(maxsize=64)(lambda rank: form(self.diagram(rank)))
        self.by_form: Callable[[int], Series] = lru_cache(maxsize=64)(self._by_form)
        self.by_key: Callable[[int], Series] = lru_cache(maxsize=64)(self._by_key)

    @cached_property
    def rung(self) -> Rung:
        return Rung(self.space)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        return points(place(self.space))

    def _by_form(self, rank: int) -> Series:
        found = self.form(rank)
        return series(found.diagram, found.naming, self.points[:2])

    def _by_key(self, rank: int) -> Series:
        diagram = self.diagram(rank)
        return series(diagram, by_key(diagram), self.points[:3], 1, WIDE)

    # phases -----------------------------------------------------------------------------------

    def rows(self, items: np.ndarray) -> np.ndarray:
        """Canonical form and static facts of members."""
        return static(self.rung, items.tolist(), requirements(self.space))

    def forms(self, items: np.ndarray) -> np.ndarray:
        """Normal forms of members."""
        found = np.zeros(len(items), r.FORM)
        for k, rank in enumerate(items.tolist()):
            made = self.form(rank)
            key, function = made.key, made.function
            complete = key is not None and function is not None
            found[k] = (rank, r.words(key) if complete else (0, 0), r.words(function) if complete else (0, 0), complete)  # type: ignore[arg-type]
        return found

    def algebra(self, items: np.ndarray) -> np.ndarray:
        """Exact values of members modulo a prime."""
        found = np.zeros(len(items), r.ALGEBRA)
        for k, rank in enumerate(items.tolist()):
            made = algebra(self.diagram(rank), self.points)
            found[k] = (rank, (0, 0), 1.0, False) if made is None else (rank, r.words(made.key), made.error, True)
        return found

    def held(self, items: np.ndarray) -> np.ndarray:
        """Whether members of one normal form have one value where it is defined, weights paired by the form."""
        return self._pairs(items, lambda a, b: agree(self.by_form(a), self.by_form(b)))

    def same(self, items: np.ndarray) -> np.ndarray:
        """Whether members agree at further points, weights paired by key."""

        def same(a: int, b: int) -> bool | None:
            one, other = self.by_key(a), self.by_key(b)
            return agree(one, other) if one and other else self.rung.agree(a, b)

        return self._pairs(items, same)

    def derived(self, items: np.ndarray) -> np.ndarray:
        """Whether a search finds a derivation, for members whose weights are drawn in one way."""

        def derived(a: int, b: int) -> bool:
            sides = self.diagram(a), self.diagram(b)
            drawn = [{(w.keys, w.init, w.frozen) for w in d.weights if d.consumers[w.wire]} for d in sides]
            return drawn[0] == drawn[1] and search(*sides, steps=STEPS, seconds=SECONDS).derivation is not None

        return self._pairs(items, derived)

    def matching(self, items: np.ndarray) -> np.ndarray:
        """Keys by which members are compared with the literature."""
        from anatomy.spaces.discovery.matching import matching

        return matching(self.diagram, items)

    def entries(self, items: np.ndarray) -> np.ndarray:
        """The same keys of mechanisms of the literature, by number."""
        from anatomy.spaces.discovery.matching import entries, types

        return entries(types(self.space), items)

    def compiling(self, items: np.ndarray) -> np.ndarray:
        """What members cost as compiled."""
        from anatomy.spaces.discovery.matching import compiling

        return compiling(self.diagram, items)

    def _pairs(self, items: np.ndarray, answer: Callable[[int, int], bool | None]) -> np.ndarray:
        found = np.zeros(len(items), r.PAIR)
        for k, (a, b) in enumerate(items.tolist()):
            said = answer(a, b)
            found[k] = (a, b, -1 if said is None else int(said))
        return found


def loaded(definition: bytes) -> Bench:
    """The bench for a space that was sent to another process."""
    from anatomy.spaces.space import Space

    return Bench(Space(pickle.loads(definition)))


def perform(bench: Any, phase: str, items: np.ndarray) -> np.ndarray:
    return getattr(bench, phase.partition("-")[0])(items)
