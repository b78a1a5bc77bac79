"""Discovery: a space is scanned, its classes are compared with the literature, and what is new and well-behaved is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.spaces.discovery.bounds import bounds
from anatomy.spaces.discovery.literature import Work, heading, works
from anatomy.spaces.discovery.matching import COST, ENTRY, MATCH, types
from anatomy.spaces.discovery.surprises import Surprise, surprises
from anatomy.spaces.funnel import rows as r
from anatomy.spaces.funnel.record import Funnel
from anatomy.spaces.funnel.scanning import chunk_of, scan
from anatomy.spaces.funnel.work import Progress, Workers, whole, workers

if TYPE_CHECKING:
    from anatomy.spaces.space import Space

MATCHED = 20_000
"""Classes up to which all are compared with the literature."""
COMPILED = 3_000
"""Candidates whose cost after the compiler's passes is looked at."""
GOOD = ("globally_lipschitz", "lipschitz_on_domain")
VAST = 1e6
"""A bound beyond which nothing is said by it."""


@dataclass(frozen=True)
class Known:
    """A class that a mechanism of the literature is in: `==` by the laws, `~=` by other weights."""

    rank: int
    relation: str
    name: str
    at: str
    who: str


@dataclass(frozen=True)
class Find:
    """A class that no mechanism is in: causal, length-generic, alive, finite, and linear in the length."""

    rank: int
    choices: dict[str, str]
    written: int
    compiled: int | None
    scale: float | None
    bound: dict[str, Any]


@dataclass(frozen=True)
class Discovery:
    """What was found; `compared` counts what was looked at, so that silence can be judged."""

    funnel: Funnel
    known: tuple[Known, ...]
    finds: tuple[Find, ...]
    linear: int
    new: int
    surprises: tuple[Surprise, ...]
    conjectures: tuple[tuple[int, ...], ...]
    compared: dict[str, int]
    reparametrised: int | None
    """Classes up to other weights (L4): a label, nothing is merged by it."""

    def as_data(self) -> dict[str, Any]:
        return {
            "funnel": self.funnel.as_data(),
            "compared": self.compared,
            "up_to_other_weights": self.reparametrised,
            "known": [k.__dict__ for k in self.known],
            "new": self.new,
            "new_and_linear": self.linear,
            "interesting": [f.__dict__ for f in self.finds],
            "surprises": [s.as_data() for s in self.surprises],
            "conjectures": [list(group) for group in self.conjectures],
        }

    def as_text(self) -> str:
        from anatomy.spaces.discovery.report import report

        return report(self)


def discover(
    space: Space, output: Path | str | None = None, folder: Path | str | None = None, jobs: int = 1,
    progress: Progress | None = None, limit: int | None = None, most: int = 24,
) -> Discovery:  # fmt: skip
    """Scan a space and say what of it is known, what is conjectured, what surprises, and what is new.

    A class is known where its normal form, or that of it with inner sizes alike, is that of an entry of the zoo, as it
    is, with one head, or with inner sizes alike; `~=` where this holds after weights have been absorbed. New classes that are causal,
    length-generic, alive, finite and linear in the length, as written or as compiled, have their Lipschitz bounds worked out, `most` of them.
    With `output` the report is written there as report.md and report.json; it also keeps the scan, unless `folder` does.
    """
    kept = Path(folder) if folder is not None else Path(output) / "scan" if output is not None else None
    funnel = scan(space, kept, jobs, progress, limit=limit)
    with workers(space, jobs, kept, progress) as crew:
        found = _compare(funnel, crew, kept, most)
    if output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)
        whole(Path(output) / "report.json", json.dumps(found.as_data(), indent=1, ensure_ascii=False).encode())
        whole(Path(output) / "report.md", found.as_text().encode())
    return found


def _compare(funnel: Funnel, crew: Workers, folder: Path | None, most: int) -> Discovery:
    found, space = funnel.found, funnel.space
    ranks = np.flatnonzero(found.algebra == np.arange(funnel.typed))
    rows = found.rows[ranks]
    good = _holding(rows, ("finite", "alive", "causal", "length_generic")) & _required(rows)
    items = ranks if len(ranks) <= MATCHED else ranks[good][:MATCHED]
    matches = crew.run("matching", items, chunk_of(len(items)), MATCH)
    entries = works(types(space))
    keys = crew.run("entries", np.arange(len(entries)), 2, ENTRY)
    known = tuple(_known(matches, entries, keys))
    taken = {k.rank for k in known}
    fresh = [i for i in items[np.isin(items, ranks[good])].tolist() if i not in taken]
    degrees = dict(zip(found.rows["rank"][fresh].tolist(), found.rows["degree"][fresh].tolist(), strict=True))
    asked = [i for i in fresh if degrees[i] > 1][:COMPILED]
    costs = crew.run("compiling", np.array(asked, np.int64), chunk_of(len(asked)), COST)
    compiled = dict(zip(costs["rank"].tolist(), costs["degree"].tolist(), strict=True))
    linear = [i for i in fresh if 0 <= degrees[i] <= 1 or 0 <= compiled.get(i, -1) <= 1]
    chosen = _spread(linear, most)
    made = bounds(((i, space[i].diagram) for i in chosen), len(chosen), folder, crew.progress)
    finds = [
        Find(i, dict(space.choices(i)), degrees[i], compiled.get(i), _number(found.rows["scale"][i]), made[i])
        for i in chosen if made[i]["verdict"] in GOOD and made[i]["upper"] is not None and made[i]["upper"] <= VAST
    ]  # fmt: skip
    finds.sort(key=lambda f: (GOOD.index(f.bound["verdict"]), f.bound["upper"], f.rank))
    absorbed = matches["keys"][:, 1]
    unlike = int((r.first_of(absorbed) == np.arange(len(matches))).sum()) if len(items) == len(ranks) and absorbed.any(axis=1).all() else None
    groups: dict[int, list[int]] = {}
    for i in ranks[found.numeric[ranks] != ranks].tolist():
        groups.setdefault(int(found.numeric[i]), []).append(i)
    return Discovery(
        funnel, known, tuple(finds), len(linear), len(fresh), surprises(funnel), tuple((a, *rest) for a, rest in sorted(groups.items())),
        {"classes": len(ranks), "classes_compared": len(items), "entries": len({e.name for e in entries}), "variants_of_entries": len(entries),
         "entries_without_normal_form": int((~keys["keys"][:, 0].any(axis=1)).sum()), "costs_compiled": len(asked), "bounds": len(chosen), "bounds_that_say_nothing": sum(made[i]["verdict"] not in GOOD or (made[i]["upper"] or VAST * 2) > VAST for i in chosen)},
        unlike,
    )  # fmt: skip


def _holding(rows: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    bits = sum(map(r.bit, names))
    return (rows["facts"] & rows["known"] & bits) == bits


def _required(rows: np.ndarray) -> np.ndarray:
    """Nothing that is required is known to fail."""
    return (rows["decided"] & ~rows["meets"]) == 0


def _number(value: float) -> float | None:
    return None if value != value else float(value)


def _known(matches: np.ndarray, entries: tuple[Work, ...], keys: np.ndarray) -> Iterator[Known]:
    """The first entry, the plainest variant first, that each class is; by the laws before by other weights."""
    tables: tuple[dict[tuple[int, int], Work], ...] = ({}, {})
    for work, own in sorted(zip(entries, keys["keys"].tolist(), strict=True), key=lambda pair: len(pair[0].at)):
        for table, key in zip(tables, own, strict=True):
            if any(key):
                table.setdefault(tuple(key), work)
    for item in matches:
        own = [tuple(key) for key in item["keys"].tolist()]
        for column, table, relation in ((0, 0, "=="), (2, 0, "=="), (1, 1, "~="), (3, 1, "~=")):
            work = tables[table].get(own[column]) if any(own[column]) else None
            if work is not None:
                yield Known(int(item["rank"]), relation, work.name, ", ".join(filter(None, (work.at, "inner sizes of the member alike" if column > 1 else ""))), heading(work.name))
                break


def _spread(items: list[int], most: int) -> list[int]:
    """Some of a list, evenly spread over it."""
    return items if len(items) <= most else [items[k * len(items) // most] for k in range(most)]
