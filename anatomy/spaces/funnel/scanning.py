"""The scan: every member through the static rung, then the levels of equality, each on what the one before has left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anatomy.errors import fail
from anatomy.spaces.funnel import rows as r
from anatomy.spaces.funnel.merging import Classes, Merge, apart, numerically, together
from anatomy.spaces.funnel.record import Funnel, recorded
from anatomy.spaces.funnel.work import Progress, Workers, workers

if TYPE_CHECKING:
    from anatomy.spaces.space import Space

LIMIT = 100_000
"""Members that one scan builds unless it is asked for more."""
MOST = 20_000_000
"""Members whose rows fit in a few gigabytes: no scan builds more."""
COMPLETE = 20_000
"""Canonical forms up to which all are brought to normal form; beyond, those that are equal in numbers."""
NEAR = 4_000
"""Members of larger spaces that are equal in numbers to others, and are brought to normal form and compared at further points."""
SEARCHES = 100
"""Pairs equal in numbers for which a derivation is searched; for those that do not depend on their inputs none is."""
RATE = 400
"""Members built and looked at in a second by one worker, for the forecast."""
LEVELS = ("L1", "L2", "L3")


@dataclass
class Found:
    """What a scan has found, as arrays: `labels[k]` is the least rank of the class of member k at that level."""

    rows: np.ndarray
    canonical: np.ndarray
    normal: np.ndarray
    algebra: np.ndarray
    numeric: np.ndarray
    merges: list[Merge] = field(default_factory=list)
    conjectures: list[tuple[int, int]] = field(default_factory=list)
    redrawn: list[tuple[int, int]] = field(default_factory=list)
    """The same function, with weights that are drawn in another way."""
    refuted: list[tuple[int, int]] = field(default_factory=list)
    """One normal form, but other values: a law has no value there."""
    unfinished: int = 0
    """Members whose normal form was cut short."""
    forms: np.ndarray = field(default_factory=lambda: np.zeros(0, r.FORM))
    searched: int = 0
    unchecked: int = 0
    """Members that share a fingerprint with one of lower rank and were not looked at any further."""
    complete: bool = True
    level: str = "L3"


def scan(
    space: Space, folder: Path | str | None = None, jobs: int = 1, progress: Progress | None = None, level: str = "L3",
    limit: int | None = None, complete: int = COMPLETE, searches: int = SEARCHES,
) -> Funnel:  # fmt: skip
    """Build every member and merge equal ones; the same result for any number of `jobs`.

    L1 merges equal canonical forms; L2 equal normal forms whose values agree, with a derivation; L3 what is equal modulo a
    prime (L3a), and reports what is equal in float64 without a proof (L3b). Up to `complete` canonical forms, all are brought to normal
    form, so that no class that is proved equal is split; of more, the first `NEAR` that are equal in numbers to others.
    With a `folder` every chunk is kept, and a scan that was ended goes on where it stopped.
    Raises AnatomyError E607 above `limit` members (`LIMIT`, with a folder `MOST`), E650 for a folder of another scan;
    `Stopped` after Ctrl-C.

    >>> from anatomy.api import space
    >>> found = scan(space("zoo:spaces/scores"), level="L1")
    >>> found.typed, found.typed - found.canonical > 0
    (720, True)
    """
    refuse(space, limit, folder is not None, jobs)
    with workers(space, jobs, None if folder is None else Path(folder), progress) as crew:
        return recorded(space, _levels(crew, space.count, level, complete, searches))


def refuse(space: Space, limit: int | None, kept: bool, jobs: int = 1) -> None:
    """Raise E607 for a space that is too large, with how long it would take."""
    total = space.count
    most = min(limit, MOST) if limit is not None else MOST if kept else LIMIT
    if total > most:
        way = "" if total > MOST else f"; or ask for it: `--limit {total}`, or `--folder FOLDER`, which keeps what is done"
        raise fail(
            "E607", f"a scan would build {_large(total)} members, about {_time(total / RATE / max(1, jobs))}; at most {most:,} are scanned",
            help=f"count it or sample it (`--sample 1000`): both work at any size; or take a part: `where`, `within 2 of`, `pairs`{way}",
        )  # fmt: skip


def _large(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{len(str(count)) - 1}"


def _time(seconds: float) -> str:
    for unit, size in (("seconds", 60.0), ("minutes", 60.0), ("hours", 24.0), ("days", 365.0)):
        if seconds < 2 * size:
            return f"{seconds:.0f} {unit}"
        seconds /= size
    return f"{seconds:,.0f} years" if seconds < 1e9 else f"{seconds:.0e} years"


def chunk_of(count: int) -> int:
    """Members in a chunk: seconds of work, and no more than some hundred chunks."""
    return min(2000, max(24, count // 200))


def _levels(crew: Workers, count: int, level: str, complete: int, searches: int) -> Found:
    ranks = np.arange(count)
    rows = crew.run("rows", ranks, chunk_of(count), r.ROW)
    canonical = r.first_of(rows["key"])
    found = Found(rows, canonical, canonical, canonical, canonical, level=level)
    if level == "L1":
        return found
    close = numerically(rows["grid"])
    joined = Classes()
    representatives = np.flatnonzero(canonical == ranks)
    found.complete = len(representatives) <= complete
    items = representatives if found.complete else _members(_first(apart(ranks, close, canonical)))
    _by_laws(crew, items, canonical, joined, found)
    found.normal = found.algebra = found.numeric = joined.labels(canonical)
    if level == "L2":
        return found
    _by_algebra(crew, ranks, close, joined, found)
    found.algebra = joined.labels(canonical)
    _by_numbers(crew, ranks, close, joined, found, searches)
    return found


def _by_laws(crew: Workers, items: np.ndarray, canonical: np.ndarray, joined: Classes, found: Found) -> None:
    forms = crew.run("forms", items, chunk_of(len(items)), r.FORM)
    found.forms, found.unfinished = forms, int((~forms["complete"]).sum())
    for a, b, yes in _rounds(crew, "held", together(forms["rank"], forms["key"], forms["complete"])):
        if not yes:
            found.refuted.append((a, b))
        elif joined.join(int(canonical[a]), int(canonical[b])):
            found.merges.append(Merge("L2", a, b))
    for group in together(forms["rank"], forms["function"], forms["complete"]):
        first = int(group[0])
        others = {joined.of(int(canonical[b])): int(b) for b in group[:0:-1]}
        others.pop(joined.of(int(canonical[first])), None)
        refuted = {b for a, b in found.refuted if a == first}
        found.redrawn += [(first, b) for b in sorted(others.values()) if b not in refuted]


def _by_algebra(crew: Workers, ranks: np.ndarray, close: np.ndarray, joined: Classes, found: Found) -> None:
    met = apart(ranks, close, found.normal)
    met = met if found.complete else _first(met)
    items = _members(met)
    made = crew.run("algebra", items, chunk_of(len(items)), r.ALGEBRA)
    equal: list[np.ndarray] = []
    for group in met:
        mine = made[np.searchsorted(items, group)]
        equal += together(mine["rank"], mine["key"], mine["decided"])
    for a, b, yes in _rounds(crew, "same-algebra", equal):  # where a quotient has no value, algebra says nothing
        if yes and joined.join(int(found.canonical[a]), int(found.canonical[b])):
            found.merges.append(Merge("L3a", a, b, error=float(made["error"][np.searchsorted(items, b)])))


def _by_numbers(crew: Workers, ranks: np.ndarray, close: np.ndarray, joined: Classes, found: Found, searches: int) -> None:
    met = apart(ranks, close, found.algebra)
    checked = met if found.complete else _first(met)
    left = met[len(checked) :]
    found.unchecked = sum(len(g) - 1 for g in left)
    functions = dict(zip(found.forms["rank"].tolist(), map(tuple, found.forms["function"].tolist()), strict=True))
    pairs = [
        (a, b) for a, b, yes in _rounds(crew, "same", checked)
        if yes and not (any(functions.get(a, (0, 0))) and functions.get(a) == functions.get(b))
    ]  # fmt: skip
    alive = (found.rows["facts"] & r.bit("alive")) != 0
    asked = [(a, b) for a, b in pairs if alive[a]][:searches]
    found.searched = len(asked)
    answers = crew.run("derived", np.array(asked, np.int64).reshape(-1, 2), 4, r.PAIR)
    proved = {(a, b) for a, b, yes in zip(answers["rank"].tolist(), answers["other"].tolist(), answers["answer"].tolist(), strict=True) if yes == 1}
    for a, b in pairs:
        if (a, b) not in proved:
            found.conjectures.append((a, b))
        elif joined.join(int(found.canonical[a]), int(found.canonical[b])):
            found.merges.append(Merge("L2", a, b, derived=True))
    found.algebra = joined.labels(found.canonical)
    wider = Classes()
    wider.parent = dict(joined.parent)
    for a, b in (*found.conjectures, *found.redrawn):
        wider.join(int(found.canonical[a]), int(found.canonical[b]))
    for group in left:
        for b in group[1:].tolist():
            wider.join(int(found.canonical[group[0]]), int(found.canonical[b]))
    found.numeric = wider.labels(found.canonical)


def _first(groups: list[np.ndarray]) -> list[np.ndarray]:
    """The first groups, of `NEAR` members in all; the first in any case."""
    total = np.cumsum([len(g) for g in groups])
    return groups[: max(1, int(np.searchsorted(total, NEAR, side="right")))]


def _members(groups: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(groups)) if groups else np.zeros(0, np.int64)


def _rounds(crew: Workers, phase: str, groups: list[np.ndarray]) -> Iterator[tuple[int, int, bool]]:
    """In every group, who is like the first; those who are not are asked again among themselves."""
    turn = 1
    while groups:
        pairs = np.array([(g[0], b) for g in groups for b in g[1:]], np.int64).reshape(-1, 2)
        name = phase if turn == 1 else f"{phase}-{turn}"
        answers = crew.run(name, pairs, chunk_of(len(pairs)), r.PAIR)
        rest: dict[int, list[int]] = {}
        for a, b, said in zip(answers["rank"].tolist(), answers["other"].tolist(), answers["answer"].tolist(), strict=True):
            yield a, b, said != 0
            if said == 0:
                rest.setdefault(a, []).append(b)
        groups = [np.array(g) for g in rest.values() if len(g) > 1]
        turn += 1
