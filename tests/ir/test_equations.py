"""Settling size equations: the same solutions, and one form for every order and every name."""

from __future__ import annotations

import random
from itertools import product

import pytest

from anatomy.ir.equations import settle
from anatomy.ir.poly import Poly

D, E, H, R, S, G, K = map(Poly.var, "dehrsgk")

SYSTEMS = {
    "halves of halves": [(E, 2 * R), (E, 2 * S)],
    "heads": [(D, H * E), (E, 2 * R)],
    "two layers": [(D, H * E), (D, G * K)],
    "sums": [(D, E + R), (E, H + S)],
    "a circle": [(D, E + R), (E, D * R)],
    "a constant": [(D, Poly.of(4)), (D, H * E)],
    "names": [(D, E), (E, R), (R, S)],
    "nothing": [(D, D)],
}


@pytest.mark.parametrize("what", SYSTEMS)
def test_the_solutions_stay(what: str) -> None:
    system = SYSTEMS[what]
    settled = settle(system)
    names = sorted({v for a, b in system for p in (a, b) for v in p.variables()})
    found = 0
    for point in product(range(1, 5), repeat=len(names)):
        values = dict(zip(names, point, strict=True))
        before = all(a.evaluate(values) == b.evaluate(values) for a, b in system)
        after = all(values[v] == p.evaluate(values) for v, p in settled.values.items())
        after = after and not any(p.evaluate(values) for p in settled.rest)
        assert before == after
        found += before
    assert found or what == "a circle"


@pytest.mark.parametrize("what", SYSTEMS)
def test_the_order_says_nothing(what: str) -> None:
    system = SYSTEMS[what]
    settled = settle(system)
    for seed in range(10):
        rng = random.Random(seed)
        other = [pair[:: rng.choice([1, -1])] for pair in rng.sample(system, len(system))]
        assert settle(other) == settled


def test_what_stays_open() -> None:
    assert settle(SYSTEMS["two layers"]).values == {}
    assert len(settle(SYSTEMS["two layers"]).rest) == 2
    assert settle(SYSTEMS["heads"]).of(D) == 2 * H * R
