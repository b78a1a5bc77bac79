"""Agreement of rankings, held against scipy's tau, resampling done by hand, and rankings whose tau is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import asin, pi, sin

import numpy as np
import pytest
from scipy.stats import kendalltau
from sweep_simulated import TASK, entry, sweep

from anatomy.sweep.findings import Agreement
from anatomy.sweep.results import Results, TaskFacts
from anatomy.sweep.statistics import agreement
from anatomy.sweep.statistics.agreement import agreements, interval

SECOND = TaskFacts("u", "u", likely=True, budgets=(100,))


def made(first: np.ndarray, second: np.ndarray, noise: float, seeds: int, random: np.random.Generator, **more: object) -> Results:
    """Two tasks whose true scores are these."""
    tasks = (TASK, SECOND)
    entries = [
        entry(
            f"s_{k}",
            {"t": (a + noise * random.normal(size=seeds)).tolist(), "u": (b + noise * random.normal(size=seeds)).tolist()},
            {"a": f"a{k % 3}"}, k, tasks, **more,
        )
        for k, (a, b) in enumerate(zip(first, second, strict=True))
    ]  # fmt: skip
    return sweep(entries, tasks)


def of(found: Sequence[Agreement], kind: str) -> list[Agreement]:
    return [a for a in found if a.kind == kind]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [12, 200, 1200])
def test_tau_is_that_of_scipy(ties: bool, size: int) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, size))
    y = y + x
    if ties:
        x, y = np.round(x), np.round(y)
    found = interval([(x, y)], "k")
    assert found is not None
    assert found.value == pytest.approx(kendalltau(x, y).statistic, abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_infinite_bounds_are_ties_above_all() -> None:
    x = np.array([1.0, 2, 3, 4, 5, 6])
    y = np.array([1.0, 2, 3, 4, np.inf, np.inf])
    found = interval([(x, y)], "k")
    assert found is not None
    assert found.value == pytest.approx(kendalltau(x, np.minimum(y, 9)).statistic)


def test_one_tie_is_no_ranking() -> None:
    assert interval([(np.ones(8), np.arange(8.0))], "k") is None


def test_resampling_is_that_of_variants() -> None:
    """The same draws, made by repeating variants and asking scipy."""
    random = np.random.default_rng(1)
    x = random.normal(size=15)
    y = x + random.normal(size=15)
    found = interval([(x, y)], "k")
    counts = agreement.generator("agreement", "k").multinomial(15, np.full(15, 1 / 15), agreement.DRAWS)
    taus = [kendalltau(np.repeat(x, n), np.repeat(y, n)).statistic for n in counts]
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(taus, [0.025, 0.975])), abs=1e-8)


@pytest.mark.parametrize(("rounds", "size"), [(150, 40), pytest.param(300, 1000, marks=pytest.mark.slow)])
def test_intervals_of_tau_hold(rounds: int, size: int) -> None:
    """Normal pairs with correlation 0.6 have tau 2 asin(0.6) / pi; both ways of resampling."""
    random = np.random.default_rng(2)
    truth = 2 * asin(0.6) / pi
    inside = 0
    for k in range(rounds):
        x, e = random.normal(size=(2, size))
        found = interval([(x, 0.6 * x + 0.8 * e)], str(k))
        assert found is not None
        inside += found.low <= truth <= found.high  # type: ignore[operator]
    assert 0.89 <= inside / rounds <= 0.99


def test_what_is_not_lipschitz_counts_as_without_bound_and_what_is_unknown_is_told() -> None:
    random = np.random.default_rng(0)
    results = made(np.arange(10) / 20, np.arange(10) / 20, 0.001, 2, random)
    members = results.members
    bounds = {e.name: {"verdict": "lipschitz_on_domain", "upper": float(k + 1), "lower": 0.5} for k, e in enumerate(members)}
    bounds[members[0].name] = {"verdict": "not_lipschitz_on_domain", "upper": None, "lower": None}
    bounds[members[1].name] = {"verdict": "unknown", "upper": None, "lower": 3.0}
    results = replace(results, entries=tuple(replace(e, bounds=bounds.get(e.name, {})) for e in results.entries))
    upper = next(a for a in of(agreements(results, results.tasks), "regularity") if a.second == "upper bound")
    assert upper.tau.count == len(members) - 1
    assert "1 variant has no finite bound and is above" in upper.words
    assert "1 without a proved bound are left out" in upper.words


def test_seeds_tasks_and_bounds() -> None:
    random = np.random.default_rng(3)
    first, second = random.random((2, 30))
    results = made(first, second, 0.001, 2, random)
    results = replace(results, entries=tuple(replace(e, bounds={"upper": e.score(TASK), "lower": "nan"}) for e in results.entries))
    found = agreements(results, results.tasks)
    assert [(a.first, a.second) for a in of(found, "seeds")] == [("t, one seed", "t, another"), ("u, one seed", "u, another")]
    assert all(a.tau.value > 0.95 for a in of(found, "seeds"))
    (tasks,) = of(found, "tasks")
    assert tasks.tau.value == pytest.approx(kendalltau([e.score(TASK) for e in results.entries], [e.score(SECOND) for e in results.entries]).statistic)
    bounds = of(found, "regularity")
    assert [(a.first, a.second) for a in bounds] == [("t", "upper bound"), ("u", "upper bound")]  # a bound that is no number is no bound
    assert bounds[0].tau.value == 1.0
    assert "initialisation" in bounds[0].words


def test_noise_limits_the_agreement_of_tasks() -> None:
    """Two tasks with one truth, as much noise as signal: the tau that is seen lies about where `most` says."""
    random = np.random.default_rng(4)
    truth = random.normal(size=600)
    results = made(truth, truth, 1.0, 2, random)
    (tasks,) = of(agreements(results, results.tasks), "tasks")
    assert tasks.most == pytest.approx(2 / pi * asin(2 / 3), abs=0.05)  # reliability of the mean of two seeds: 2 / 3
    assert tasks.tau.value == pytest.approx(tasks.most, abs=0.05)
    assert "Seeds alone let it reach" in tasks.words
    single = made(truth, truth, 1.0, 1, random)
    (alone,) = of(agreements(single, single.tasks), "tasks")
    assert alone.most is None
    assert "not known" in alone.words


def test_variants_at_the_ceiling_are_tied() -> None:
    random = np.random.default_rng(5)
    first = random.random(20)
    results = made(first, first, 0.0, 2, random)
    solved = tuple(replace(e, runs=tuple(replace(r, solved=True, score=0.99 + 0.01 * random.random()) for r in e.runs)) if k < 15 else e for k, e in enumerate(results.entries))
    (tasks,) = of(agreements(replace(results, entries=solved), results.tasks), "tasks")
    assert tasks.tau.value == 1.0


def test_few_variants_and_unsupported_tasks_tell_nothing() -> None:
    random = np.random.default_rng(6)
    first, second = random.random((2, 5))
    few = made(first, second, 0.01, 2, random)
    assert agreements(few, few.tasks) == ()
    first, second = random.random((2, 9))
    more = made(first, second, 0.01, 2, random)
    assert {a.kind for a in agreements(more, ())} == {"seeds"}


def test_no_agreement_is_said_where_the_interval_holds_zero() -> None:
    random = np.random.default_rng(7)
    first, second = random.random((2, 12))
    results = made(first, second, 0.01, 2, random)
    (tasks,) = of(agreements(results, results.tasks), "tasks")
    assert tasks.tau.low is not None
    assert tasks.tau.low < 0
    assert tasks.words.startswith("No agreement")


def test_three_seeds_are_compared_in_pairs() -> None:
    random = np.random.default_rng(8)
    first = random.random(40)
    results = made(first, first, 0.3, 3, random)
    table = np.array([e.scores(TASK) for e in results.entries])
    by_hand = np.mean([kendalltau(table[:, a], table[:, b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))])
    own = of(agreements(results, ()), "seeds")[0]
    assert own.tau.value == pytest.approx(by_hand)
    r = sin(pi * own.tau.value / 2)
    (tasks,) = of(agreements(results, results.tasks), "tasks")
    other = sin(pi * of(agreements(results, ()), "seeds")[1].tau.value / 2)
    expected = 2 / pi * asin(((3 * r / (1 + 2 * r)) * (3 * other / (1 + 2 * other))) ** 0.5)
    assert tasks.most == pytest.approx(expected, rel=1e-6)
