"""What of ours is timed: a line for each rate, and the task of each name that peers have too."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.spaces import Permutation, Space
from anatomy.spaces.funnel.algebra import algebra
from anatomy.spaces.funnel.points import place, points
from anatomy.spaces.rung import Rung
from anatomy.spaces.tree.orbit import cell_orbits, fixed_cells
from anatomy.target import load_space

HERE = Path(__file__).resolve().parent
TARGETS = {
    "flat": "zoo:spaces/scores",
    "nested": f"{HERE / 'generator.anat'}::nested",
    "constrained": f"{HERE / 'generator.anat'}::constrained",
    "long": f"{HERE / 'generator.anat'}::long",
    "million": f"{HERE / 'generator.anat'}::million",
    "attention": "zoo:spaces/attention",
    "cells": f"{HERE.parent / 'examples/spaces/nasbench101.anat'}::nasbench101",
}
PEERS = ("flat", "nested", "long")
"""The spaces that the peers can write too."""
Step = Callable[[], int]
KEY = "a"
ONCE = 50
"""Members that one call of a step works through, where a member is cheap."""
MANY = 1_000_000
RUN = 2_000
"""Ranks that follow one another, as a scan takes them."""


@cache
def space(name: str) -> Space:
    return Space(load_space(TARGETS[name]))


def counts() -> dict[str, int]:
    """How many members the spaces have that peers write too."""
    return {name: space(name).count for name in PEERS}


def opened() -> dict[str, Any]:
    """The spaces for the peers, from our own definitions: what each hole is offered, and what an option decides below."""
    (decision,) = space("long").definition.decisions
    return {name: offered(space(name).definition.decisions) for name in PEERS if name != "long"} | {
        "long": [[c.label for c in decision.domain.components], decision.domain.most]
    }


def offered(decisions: Any) -> dict[str, list[Any]]:
    return {d.name: [{c.label: offered(c.inner)} if c.inner else c.label for c in d.domain.components] for d in decisions}


def ranks(name: str) -> Iterator[int]:
    """Ranks of members in a random order, over and over."""
    found = space(name)
    order = Permutation(found.count, KEY)
    return (order[j % found.count] for j in itertools.count())


def compared(name: str, task: str) -> Step:
    """Our answer to a task that peers have too."""
    found = space(name)
    turning = itertools.count()
    if task == "in order":
        return lambda: len([found.choices(next(turning) % found.count) for _ in range(ONCE)])
    if task == "at random":
        order = Permutation(found.count, KEY)
        return lambda: len([found.choices(order[next(turning) % found.count]) for _ in range(ONCE)])
    if task == "address":
        return round_trip(name)
    made = members(name, (j % found.count for j in turning) if task == "object in order" else ranks(name))
    return lambda: len([next(made)])


def round_trip(name: str) -> Step:
    """Choices of a rank, and the rank of the choices; it must be the same."""
    found, known = space(name), list(itertools.islice(ranks(name), 1024))
    turning = itertools.cycle(known)

    def step() -> int:
        for _ in range(ONCE):
            rank = next(turning)
            if found.index(found.choices(rank)) != rank:
                raise SystemExit(f"{name}: member {rank} has another rank")
        return ONCE

    return step


def permuted(count: int) -> Step:
    order, turning = Permutation(count, KEY), itertools.count()
    return lambda: len([order[next(turning) % count] for _ in range(ONCE)])


def members(name: str, ranks: Iterator[int]) -> Iterator[Diagram]:
    """These members built. Once there have been as many as the space has (or `MANY`), it is opened anew and remembers nothing."""
    definition = space(name).definition
    while True:
        found = Space(replace(definition))
        yield from (found[rank].diagram for rank in itertools.islice(ranks, min(found.count, MANY)))


def built(name: str, then: Callable[[Diagram], object] = lambda diagram: diagram) -> Step:
    """A random member built, and something done with it."""
    made = members(name, ranks(name))
    return lambda: len([then(next(made))])


def finite_field(name: str) -> Step:
    """Values modulo a prime, at the points where members are compared."""
    where = points(place(space(name)))
    return built(name, lambda diagram: algebra(diagram, where))


def runs(name: str, length: int) -> Iterator[range]:
    """Runs of ranks that follow one another, as a scan takes them, at random places."""
    found = space(name)
    order = Permutation(found.count - length, KEY)
    return (range(start, start + length) for start in map(order.__getitem__, itertools.count()))


def rung(name: str, ask: Callable[[Rung, range], object], length: int, numbers: bool = True) -> Step:
    """The static rung on one run of ranks after another; it holds nothing over from one to the next."""
    held, turning = Rung(space(name), numbers), runs(name, length)

    def step() -> int:
        ask(held, next(turning))
        held.forget()
        return length

    return step


def keys(held: Rung, ranks: range) -> None:
    for rank in ranks:
        held.key(rank)


def cells() -> Step:
    """The cells of NAS-Bench-101 modulo the numbering of their vertices, from the space as data."""
    definition = load_space(TARGETS["cells"])

    def step() -> int:
        cell_orbits.cache_clear()
        fixed_cells.cache_clear()
        if Space(definition).orbits != 423_624:
            raise SystemExit("NAS-Bench-101 has 423,624 cells")
        return 1

    return step


def counted() -> Step:
    def step() -> int:
        if Space(load_space(TARGETS["long"])).count != 10**30:
            raise SystemExit("there are 10^30 members")
        return 1

    return step


@dataclass(frozen=True)
class Line:
    """One rate (`per second`) or time (`ms`) of ours; `ready` gives what is timed, which returns how many it did."""

    words: str
    ready: Callable[[], Step]
    goal: float | None = None
    unit: str = "per second"


def lines(run: int = RUN) -> list[Line]:
    """All lines; the static rung takes `run` ranks that follow one another."""
    row = f"{run:,} ranks of 1,562,400 in a row"
    return [
        Line("rank and unrank, 720 members of six choices", lambda: round_trip("flat"), 20_000),
        Line("rank and unrank, 1,440 members, one choice depends on another", lambda: round_trip("nested"), 20_000),
        Line(f"rank and unrank, with `when` and `except`, {space('constrained').count:,} members", lambda: round_trip("constrained"), 20_000),
        Line("rank and unrank, 10^30 members of thirty choices", lambda: round_trip("long")),
        Line("rank and unrank, the 1,293,208 labelled cells of NAS-Bench-101", lambda: round_trip("cells")),
        Line("keyed permutation of 720 ranks", lambda: permuted(720)),
        Line("keyed permutation of 10^30 ranks", lambda: permuted(10**30)),
        Line("a random member of 720 built", lambda: built("flat")),
        Line("a random member of 720 built, and its canonical hash", lambda: built("flat", digest)),
        Line("a random member of 1,562,400 built", lambda: built("million")),
        Line("a random member of 1,562,400 built, and its canonical hash", lambda: built("million", digest)),
        Line(f"canonical key without building, {row}", lambda: rung("million", keys, run), 1_500),
        Line("canonical key without building, one rank of 1,562,400 at a random place", lambda: rung("million", keys, 1)),
        Line(f"static rung (key, float64 fingerprint on two grids, all facts), {row}", lambda: rung("million", Rung.chunk, run), 1_389),
        Line(f"static rung without numbers, {row}", lambda: rung("million", Rung.chunk, run, numbers=False)),
        Line("a random member of 1,562,400 built, and its finite-field fingerprint", lambda: finite_field("million")),
        Line("10^30 members counted, from text", counted, None, "ms"),
        Line("cells of NAS-Bench-101 modulo numbering, by Burnside's lemma", cells, 1_000, "ms"),
    ]


def million(name: str, runs: int, run: int) -> dict[str, Any]:
    """So many runs of members through the static rung, in one process; where that is less than a million, what a million would take."""
    found, held = space(name), Rung(space(name))
    whole = runs * run >= 1_000_000
    seen, done, start = set(), 0, time.process_time()
    for k in range(runs):
        first = k * run if whole else k * (found.count - run) // max(1, runs - 1)
        facts = held.chunk(range(first, first + run))
        done += len(facts)
        seen.update(f.key for f in facts)
    spent = time.process_time() - start
    where = f"`{TARGETS[name]}`" if TARGETS[name].startswith("zoo:") else "`generator.anat`"
    words = f"Of the {found.count:,} members of `{name}` ({where}) {done:,}"
    if whole:
        words += f" were sent through the static rung in {spent / 60:.1f} CPU-minutes ({done / spent:,.0f} a second): {len(seen):,} different keys."
    else:
        minutes = 1e6 * spent / done / 60
        words += (
            f", in {runs} runs of {run:,} at evenly spaced places, took the static rung {spent:.1f} CPU-seconds ({done / spent:,.0f} a second). Not measured "
            f"but extrapolated from that: a million would take {minutes:.0f} CPU-minutes, {minutes / 2:.0f} on two free cores (goal: about 6)."
        )
    return {"space": name, "members": done, "seconds": spent, "keys": len(seen), "whole": whole, "words": words}
