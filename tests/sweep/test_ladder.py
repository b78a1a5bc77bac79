"""Who goes on from a rung: by the results of the rung alone, within strata, the worst last."""

import random
from math import nan

import pytest

from anatomy.sweep.ladder import SUDDEN, Standing, expected, kept, ladder, pruned
from anatomy.sweep.task import load_task


def drawn(seed: int) -> list[Standing]:
    """Standings with ties, failures, divergence and numbers that are none, in several strata."""
    rng = random.Random(seed)
    found = []
    for place in range(rng.randint(1, 30)):
        scores = tuple(rng.choice([0.1, 0.2, 0.2, 0.3, rng.random(), nan, None]) for _ in range(2))
        found.append(Standing(place, rng.choice("abc"), scores, rng.random() < 0.2))
    return found


def by_the_rule(standings: list[Standing], halving: int) -> set[int]:
    """Those that go on, by reading the rule word for word: whoever has fewer than the allowed number of better ones in the stratum."""

    def mean(s: Standing) -> float:
        return sum(score for score in s.scores if score is not None) / len(s.scores)

    def better(a: Standing, b: Standing) -> bool:
        if (None in a.scores) != (None in b.scores):
            return None in b.scores
        if None in a.scores:
            return a.place < b.place
        spoilt_a, spoilt_b = (s.diverged or mean(s) != mean(s) for s in (a, b))
        if spoilt_a != spoilt_b:
            return spoilt_b
        if not spoilt_a and mean(a) != mean(b):
            return mean(a) > mean(b)
        return a.place < b.place

    found = set()
    for s in standings:
        mine = [other for other in standings if other.stratum == s.stratum]
        allowed = max(1, len(mine) // halving)
        if None not in s.scores and sum(better(other, s) for other in mine if other is not s) < allowed:
            found.add(s.place)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_who_goes_on_is_what_the_rule_says_in_whatever_order_results_come(seed: int) -> None:
    standings, halving = drawn(seed), 2 + seed % 3
    gone = pruned(standings, halving)
    for turn in range(3):
        assert pruned(random.Random(turn).sample(standings, len(standings)), halving) == gone
    alive = {s.place for s in standings if not s.failed} - gone.keys()
    assert alive == by_the_rule(standings, halving)
    for stratum in {s.stratum for s in standings if not s.failed}:
        assert any(s.place in alive for s in standings if s.stratum == stratum)


def test_a_reason_is_a_sentence() -> None:
    gone = pruned([Standing(k, "cost n^2", (k / 10,)) for k in range(4)], 2)
    assert gone == {0: "number 4 of 4 with cost n^2; 2 went on", 1: "number 3 of 4 with cost n^2; 2 went on"}


def test_only_tasks_that_fall_smoothly_have_rungs() -> None:
    for name in ("recall", "induction", "copying", "in_context", "noisy", "memorisation", "compression", "hops"):
        found = ladder(load_task(name), 800, 3, 3)
        assert not load_task(name).smooth  # type: ignore[attr-defined]
        assert (found.budgets, found.reason) == ((800,), SUDDEN)
    assert ladder(load_task("characters"), 400, 2, 3).budgets == (100, 200, 400)
    assert ladder(load_task("characters"), 400, None, 3) == ladder(load_task("recall"), 400, None, 3)
    assert ladder(load_task("characters"), 2, 3, 4).budgets == (1, 2)  # no rung of no steps, and none twice


def test_the_forecast_of_rungs_is_what_halving_leaves() -> None:
    rng = random.Random(0)
    strata = [rng.choice("abcd") for _ in range(50)]
    alive, halving = list(enumerate(strata)), 3
    for count in expected(strata, halving, 4):
        assert count == len(alive)
        gone = pruned([Standing(place, s, (rng.random(),)) for place, s in alive], halving)
        alive = [(place, s) for place, s in alive if place not in gone]
    assert kept(2, 5) == 1
