"""Derivations by search: laws applied from both sides, best first, until two diagrams have one normal form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from time import monotonic

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.live import live
from anatomy.ir.op import Problem
from anatomy.ir.term import merged
from anatomy.language.program import Rule
from anatomy.rewrites.apply import apply
from anatomy.rewrites.library import library
from anatomy.rewrites.match import matches
from anatomy.rewrites.normal import normal, written

STEPS = 400
SECONDS = 10.0
PLACES = 12
"""Places of one rule in one diagram that are tried."""

Path = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Found:
    """What a search has come to: the derivation, None where none was found; the diagrams tried; whether it was cut short."""

    derivation: Path | None
    tried: int
    complete: bool


def derive(a: Diagram, b: Diagram, rules: Sequence[Rule] | None = None, steps: int = STEPS, seconds: float = SECONDS) -> Path | None:
    """The laws that lead from both sides to diagrams with one normal form, each with its side; None where none was found.

    Laws that the normal form uses are not listed. See `search`.
    """
    return search(a, b, rules, steps, seconds).derivation


def search(a: Diagram, b: Diagram, rules: Sequence[Rule] | None = None, steps: int = STEPS, seconds: float = SECONDS) -> Found:
    """Best first from both sides: smaller normal forms and shorter ways before others.

    A state is a diagram, known by its normal form, so that laws which the normal form has built in cost nothing. Every
    other `==` law of the library is used in both directions; one that would leave an operand free is not.
    The budget is in diagrams tried and in seconds; `complete` says that neither ran out, so that
    the laws do not lead from one to the other at all, as far as twelve places for each go.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis m, l, u diagram f(s: [m]) -> [] { out max[m](exp(s)) } "
    >>> text += "diagram g(s: [m]) -> [] { out exp(max[m](s)) }"
    >>> program = Program.of(Source("two.anat", text))
    >>> search(program.get("f"), program.get("g")).derivation
    (('left', 'max_of_exp'),)
    """
    until = monotonic() + seconds
    usable = [r for r in (library() if rules is None else rules) if r.relation == "=="]
    seen: list[dict[bytes, Path]] = [{}, {}]
    heap: list[tuple[int, int, int, Diagram, Path]] = []
    count = 0
    sides = ("left", "right")

    def push(side: int, diagram: Diagram, path: Path) -> Path | None:
        """Note a diagram; the whole derivation if the other side has been there."""
        nonlocal count
        found = normal(diagram, seconds=max(0.0, until - monotonic()))
        try:
            key = written(found).form
        except AnatomyError:
            return None
        if not found.complete or key in seen[side]:
            return None
        seen[side][key] = path
        count += 1
        if key in seen[1 - side]:
            other = seen[1 - side][key]
            return (*path, *other) if side == 0 else (*other, *path)
        heappush(heap, (len(found.diagram.nodes) + 2 * len(path), count, side, diagram, path))
        return None

    for side, diagram in enumerate((a, b)):
        whole = push(side, merged(diagram), ())
        if whole is not None:
            return Found(whole, count, True)
    while heap:
        _, _, side, diagram, path = heappop(heap)
        for name, after in _moves(diagram, usable, until):
            if count >= steps or monotonic() > until:
                return Found(None, count, False)
            whole = push(side, after, (*path, (sides[side], name)))
            if whole is not None:
                return Found(whole, count, True)
    return Found(None, count, monotonic() <= until)


def _moves(diagram: Diagram, rules: Sequence[Rule], until: float) -> Iterator[tuple[str, Diagram]]:
    """Every diagram that is one law away, with its name; a law read from right to left has a `^` behind its name."""
    kinds = {type(diagram.nodes[i].op) for i in live(diagram)}
    for rule in rules:
        for reverse in (False, True):
            pattern = rule.right if reverse else rule.left
            if len(pattern.nodes) == 0 or not {type(n.op) for n in pattern.nodes} <= kinds:
                continue
            for k, match in enumerate(matches(diagram, rule, reverse)):
                if k >= PLACES or monotonic() > until:
                    break
                try:
                    yield rule.name + "^" * reverse, merged(apply(diagram, match))
                except (AnatomyError, Problem):
                    continue
