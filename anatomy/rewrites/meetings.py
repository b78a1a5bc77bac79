"""Steps that compare two diagrams as a whole: `by normal`, `by evaluation`, and a search where no reason is named."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.rewrites.finite import Same
from anatomy.rewrites.normal import normal, written
from anatomy.rewrites.paths import Meet

if TYPE_CHECKING:
    from anatomy.rewrites.search import Found as Sought

SEARCH_SECONDS = 10.0
NORMAL_SECONDS = 2.0


def form(diagram: Diagram) -> bytes | None:
    """The normal form as something to compare, or None where it is too symmetric to be written."""
    try:
        return written(normal(diagram, NORMAL_SECONDS)).form
    except AnatomyError:
        return None


def same_normal(a: Diagram, b: Diagram) -> tuple[str, ...] | None:
    """Whether two diagrams have one normal form, and no difference is found at random points."""
    from anatomy.rewrites.equality import equal

    if form(a) is None or form(a) != form(b):
        return None
    return ("normal",) if equal(a, b, seconds=0).normal_form else None


def same_values(a: Diagram, b: Diagram) -> tuple[str, ...] | None:
    """Whether no difference of two diagrams is found at random points, and there are points to be tried."""
    from anatomy.rewrites.equality import equal

    return ("evaluation",) if equal(a, b, seconds=0).evaluation else None


def sought(a: Diagram, b: Diagram, seconds: float = SEARCH_SECONDS) -> Sought:
    """What a search between two diagrams comes to; the last ones are known."""
    return _sought(Same(a), Same(b), seconds)


@lru_cache(maxsize=8)
def _sought(a: Same, b: Same, seconds: float) -> Sought:
    from anatomy.rewrites.search import search

    assert isinstance(a.thing, Diagram)
    assert isinstance(b.thing, Diagram)
    return search(a.thing, b.thing, seconds=seconds)


def searched(a: Diagram, b: Diagram, seconds: float = SEARCH_SECONDS) -> tuple[str, ...] | None:
    """The rules that lead from one diagram to another, to be named behind `by`; None where none were found within the budget."""
    from anatomy.rewrites.equality import equal

    if term(a) == term(b):
        return ()
    found = sought(a, b, seconds).derivation
    if found is None or equal(a, b, seconds=0).evaluation is False:
        return None
    left = [name.removesuffix("^") for side, name in found if side == "left"]
    right = [name.removesuffix("^") for side, name in found if side == "right"]
    return (*left, "normal", *reversed(right))


def proved(a: Diagram, b: Diagram, seconds: float = 2.0) -> tuple[str, ...] | None:
    """How two diagrams are known to be equal: by what normal form or which rules; None where they are not known to be."""
    from anatomy.rewrites.equality import equal

    found = equal(a, b, seconds=seconds)
    if not found.proved or found.evaluation is False:
        return None
    return tuple(dict.fromkeys(name for _, name in found.derivation or ())) or ("normal",)


MEETINGS = {
    "normal": Meet("normal", same_normal, 24, form),
    "evaluation": Meet("evaluation", same_values, 1),
    "search": Meet("search", searched, 2),
}
"""By the words that stand for them."""
