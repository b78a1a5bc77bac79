"""The normal form of every entry of the zoo: complete, by its measure, its own, the same for copies, of the same values, and quick."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time

import pytest

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.rewrites.equality import equal
from anatomy.rewrites.normal import Normal, form, normal, written
from tests.ir.samples import copy

ZOO = Path(__file__).parents[2] / "zoo"
FOLDERS = ("softmax", "score", "normaliser", "position", "mask", "heads", "kernel", "recurrent", "mixing", "pooling")
ENTRIES = {p.stem: p for folder in FOLDERS for p in sorted((ZOO / folder).glob("*.anat"))}

ANOTHER = {"based", "rebased", "nystromformer", "hgrn2", "ssd", "ssd_dual", "routing", "transformer_xl"}
"""Not their own normal form: in the last two a choice of lanes goes further once sums are multiplied out, in the others
a product is too long to be multiplied out, and its factors are not when they are read again."""
ORDERED = {"delta_rule", "gated_delta", "kda", "location_sensitive", "mocha", "monotonic", "titans"}
"""With a loop that stays one, and whose body depends on the order in which the diagram is written."""


@cache
def entry(name: str) -> Diagram:
    return Program.of(Source(ENTRIES[name].name, ENTRIES[name].read_text("utf-8"))).get(name)


@cache
def reached(name: str) -> Normal:
    return normal(entry(name))


@pytest.mark.parametrize("name", ENTRIES)
def test_it_is_complete_and_every_step_lowers_the_measure(name: str) -> None:
    found = reached(name)
    assert found.complete
    left = [s.left for s in found.steps]
    assert left[-1] == 0
    assert all(a == b + 1 for a, b in pairwise(left))


@pytest.mark.parametrize("name", sorted(ENTRIES.keys() - ANOTHER))
def test_it_is_its_own_normal_form(name: str) -> None:
    assert form(reached(name).diagram) == written(reached(name))


@pytest.mark.parametrize("name", sorted(ENTRIES.keys() - ORDERED))
def test_it_does_not_depend_on_names_and_order(name: str) -> None:
    assert form(copy(entry(name), random.Random(3))) == written(reached(name))


@pytest.mark.parametrize("name", sorted(ENTRIES)[::6])
def test_it_keeps_the_values(name: str) -> None:
    assert equal(entry(name), reached(name).diagram, seconds=0).evaluation is not False


def test_it_is_quick() -> None:
    times = []
    for name in sorted(ENTRIES)[::4]:
        diagram = entry(name)
        start = process_time()
        normal(diagram)
        times.append(process_time() - start)
    assert median(times) < 0.05
