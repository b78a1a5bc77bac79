"""Small sizes at which a diagram can be run, found by trying.

Converts: a diagram into values of its axes that satisfy its equations, small and mostly different from each other.
Non-goals: the smallest, or all of them. A head line `# sizes: n = 8, c = 2` decides where the search should not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from anatomy.errors import AnatomyError, fail
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import solve

POOL = ((2, 3, 4, 6, 1, 8), (3, 2, 4, 6, 1, 8), (4, 2, 3, 6, 8, 1))
TOKENS = (6, 4, 8, 5, 12, 3)
TRIES = 4000
LARGEST = 64
"""The largest size that a head may state: a trial holds products of several."""


def settle_sizes(diagram: Diagram, given: Mapping[str, int], tokens: frozenset[str] = frozenset()) -> dict[str, int]:
    """Values for all axes that need one, those `given` kept. Raises AnatomyError E402 or E403 where none are found.

    An axis with a default (`axis m = n`) that is on no input keeps it.
    """
    layouts = {a for i in diagram.inputs for a in i.layout}
    defaulted = {a for a, _ in diagram.defaults if a not in layouts}
    free = sorted(v for v in diagram.free_sizes() if "." not in v and v not in defaulted)
    names = [*(v for v in free if v in tokens), *(v for v in free if v not in tokens)]
    names = [n for n in names if n not in given]
    tails = sorted({v.rpartition(".")[2] for v in diagram.free_sizes() if "." in v} - {*names, *given})
    budget = [TRIES]
    for chosen in _search(diagram, dict(given), names, tails, tokens, budget):
        return chosen
    solve(diagram, given, run_time=False)
    raise fail("E403", f"no small sizes were found at which `{diagram.name}` can be run", diagram.span, help="state some at the head of the file: `# sizes: n = 8, c = 2`")


def _search(
    diagram: Diagram, given: dict[str, int], names: list[str], tails: list[str], tokens: frozenset[str], budget: list[int]
) -> Iterator[dict[str, int]]:
    budget[0] -= 1
    if budget[0] < 0:
        return
    try:
        solve(diagram, given, run_time=False)
    except AnatomyError as error:
        if error.diagnostics[0].code != "E403":
            return
    else:
        yield given
        return
    rest = names or tails
    if not rest:
        return
    name, k = rest[0], len(given)
    for value in TOKENS if name in tokens else POOL[k % len(POOL)]:
        yield from _search(diagram, {**given, name: value}, names[1:], tails if names else tails[1:], tokens, budget)


def stated_sizes(text: str) -> dict[str, int]:
    """`n = 8, c = 2` as a mapping; what is not of this form is left out."""
    pairs = (p.partition("=") for p in text.split(",") if not unread(p))
    return {k.strip(): int(v) for k, _, v in pairs if v.strip()}


def unread(text: str) -> list[str]:
    """The parts of a line of sizes that state none from 1 to `LARGEST`."""
    sizes = re.compile(r"\s*[A-Za-z_]\w*\s*=\s*0*([1-9]\d?)\s*", re.ASCII)
    found = ((p.strip(), sizes.fullmatch(p)) for p in text.split(","))
    return [p for p, m in found if p and (m is None or int(m[1]) > LARGEST)]
