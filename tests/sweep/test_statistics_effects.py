"""Effects held against statsmodels, against averages over orders done one by one, and against designs whose truth is known."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import permutations
from math import factorial as orders
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sweep_simulated import factorial

from anatomy.sweep.findings import Effect, Interaction
from anatomy.sweep.statistics.design import Design, design
from anatomy.sweep.statistics.effects import Effects, effects

SIZES = {"a": 3, "b": 2, "c": 4}


def gapped(seed: int = 0, kept: int = 19) -> list[dict[str, str]]:
    """An unbalanced design: some combinations of three holes."""
    every = factorial(SIZES)
    return [every[k] for k in sorted(np.random.default_rng(seed).choice(len(every), kept, replace=False))]


def noisy(combinations: Sequence[Mapping[str, str]], seeds: int, seed: int) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Scores with effects and an interaction, their means, the pooled variance and its degrees of freedom."""
    random = np.random.default_rng(seed)
    truth = [0.02 * int(c["a"][1]) + 0.01 * int(c["c"][1]) + (0.03 if (c["a"], c["b"]) == ("a2", "b1") else 0) for c in combinations]
    scores = np.array(truth)[:, None] + 0.02 * random.normal(size=(len(combinations), seeds))
    means = scores.mean(axis=1)
    freedom = len(combinations) * (seeds - 1)
    return scores, means, float(((scores - means[:, None]) ** 2).sum() / freedom), freedom


def seen(combinations: Sequence[Mapping[str, str]], means: np.ndarray, variance: float, freedom: int) -> tuple[Design, Effects]:
    made = design([[c] for c in combinations])
    return made, effects(made, means, np.full(len(means), variance), freedom, "test")


def main(found: Effects, hole: str) -> Effect:
    return next(e for e in found.main if e.hole == hole)


def pair(found: Effects, *holes: str) -> Interaction:
    return next(i for i in found.pairs if i.holes == holes)


def levels(effect: Effect) -> dict[str, float]:
    return {level.option: level.effect.value for level in effect.levels}


def statsmodels(formula: str, combinations: Sequence[Mapping[str, str]], means: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pandas = pytest.importorskip("pandas")
        ols = pytest.importorskip("statsmodels.formula.api").ols
        return ols(formula, pandas.DataFrame([{**c, "y": y} for c, y in zip(combinations, means, strict=True)])).fit()


def table(fit: Any, kind: int) -> Any:
    from statsmodels.stats.anova import anova_lm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anova_lm(fit, typ=kind)


def unadjusted(sums: float, count: int, variance: float, freedom: int) -> float:
    return float(stats.f.sf(sums / count / variance, count, freedom))


def test_main_effects_of_an_unbalanced_design_are_those_of_statsmodels() -> None:
    c = gapped()
    _, means, variance, freedom = noisy(c, 2, 0)
    _, found = seen(c, means, variance / 2, freedom)
    fit = statsmodels("y ~ C(a, Sum) + C(b, Sum) + C(c, Sum)", c, means)
    for hole in SIZES:
        own = levels(main(found, hole))
        assert abs(sum(own.values())) < 1e-9
        for option in list(own)[:-1]:
            assert own[option] == pytest.approx(fit.params[f"C({hole}, Sum)[S.{option}]"], abs=1e-9)


def test_p_is_that_of_type_two_sums_of_squares_over_the_spread_of_seeds() -> None:
    c = gapped()
    _, means, variance, freedom = noisy(c, 3, 1)
    _, found = seen(c, means, variance / 3, freedom)
    sums = table(statsmodels("y ~ C(a) + C(b) + C(c)", c, means), 2)
    wide = table(statsmodels("y ~ (C(a) + C(b) + C(c)) ** 2", c, means), 2)
    raw = {h: unadjusted(sums["sum_sq"][f"C({h})"], int(sums["df"][f"C({h})"]), variance / 3, freedom) for h in SIZES}
    raw |= {
        (g, h): unadjusted(wide["sum_sq"][f"C({g}):C({h})"], int(wide["df"][f"C({g}):C({h})"]), variance / 3, freedom)
        for g, h in (("a", "b"), ("a", "c"), ("b", "c"))
    }
    order = sorted(raw, key=lambda k: raw[k])
    least = 0.0
    for done, what in enumerate(order):
        least = max(least, min(1.0, raw[what] * (len(raw) - done)))
        told = pair(found, *what) if isinstance(what, tuple) else main(found, what)
        assert told.p == pytest.approx(least, rel=1e-5)


def test_an_empty_cell_takes_away_a_degree_of_freedom() -> None:
    c = gapped(3)
    assert len({(x["a"], x["c"]) for x in c}) == 11
    _, means, variance, freedom = noisy(c, 2, 9)
    means = means + np.array([0.1 * ((x["a"], x["c"]) == ("a0", "c1")) for x in c])
    _, found = seen(c, means, variance / 2, freedom)

    def left(pairs: Sequence[tuple[str, str]]) -> tuple[float, int]:
        cells = [sorted({(x[g], x[h]) for x in c}) for g, h in pairs]
        x = np.array([[float((row[g], row[h]) == cell) for (g, h), own in zip(pairs, cells, strict=True) for cell in own] for row in c])
        fitted, _, rank, _ = np.linalg.lstsq(x, means, rcond=None)
        return float(((means - x @ fitted) ** 2).sum()), int(rank)

    (without, few), (with_it, many) = left([("a", "b"), ("b", "c")]), left([("a", "b"), ("b", "c"), ("a", "c")])
    assert many - few == 5
    raw = unadjusted(without - with_it, 5, variance / 2, freedom)
    own = pair(found, "a", "c")
    assert len(own.cells) == 11
    assert own.p is not None
    assert own.p / raw == pytest.approx(round(own.p / raw), rel=1e-5)  # Holm multiplies by a whole number


def test_what_holds_elsewhere_is_never_surer_than_what_holds_here() -> None:
    wider = 0
    for seed in range(20):
        _, means, variance, freedom = noisy(gapped(), 2, seed)
        _, found = seen(gapped(), means, 20 * variance, freedom)  # seeds told to spread more than what is left over
        wider += sum(e.elsewhere is not None and e.p is not None for e in found.main)
        assert all(e.elsewhere >= e.p for e in found.main if e.elsewhere is not None and e.p is not None)
    assert wider


def test_elsewhere_is_the_f_test_against_the_residual() -> None:
    c = factorial(SIZES)
    _, means, variance, freedom = noisy(c, 2, 2)
    _, found = seen(c, means, variance / 2, freedom)
    residual = table(statsmodels("y ~ C(a) + C(b) + C(c)", c, means), 2)["PR(>F)"]
    raw = sorted(float(residual[f"C({h})"]) for h in SIZES)
    assert min(e.elsewhere for e in found.main if e.elsewhere is not None) == pytest.approx(3 * raw[0], rel=1e-5)


def test_interactions_of_a_full_design_are_deviations_from_the_sum_of_margins() -> None:
    c = factorial(SIZES)
    _, means, variance, freedom = noisy(c, 2, 4)
    _, found = seen(c, means, variance / 2, freedom)
    cube = means.reshape(3, 2, 4)
    by_hand = cube.mean(2) - cube.mean((1, 2))[:, None] - cube.mean((0, 2))[None, :] + cube.mean()
    for cell in pair(found, "a", "b").cells:
        assert cell.beyond.value == pytest.approx(by_hand[int(cell.first[1]), int(cell.second[1])], abs=1e-9)
    assert all(i.apart for i in found.pairs)


def lmg(combinations: Sequence[Mapping[str, str]], means: np.ndarray) -> dict[str, float]:
    """Averages over all orders of what a hole adds to R squared, each regression done by itself."""
    columns = {h: [np.array([c[h] == f"{h}{k}" for c in combinations], float) for k in range(1, n)] for h, n in SIZES.items()}

    def squared(holes: Sequence[str]) -> float:
        x = np.column_stack([np.ones(len(means)), *(col for h in holes for col in columns[h])])
        fitted = x @ np.linalg.lstsq(x, means, rcond=None)[0]
        return 1 - float(((means - fitted) ** 2).sum() / ((means - means.mean()) ** 2).sum())

    found = dict.fromkeys(SIZES, 0.0)
    for order in permutations(SIZES):
        for k, hole in enumerate(order):
            found[hole] += (squared(order[: k + 1]) - squared(order[:k])) / orders(len(SIZES))
    return found


def test_shares_are_averages_over_orders() -> None:
    c = gapped()
    _, means, _, _ = noisy(c, 2, 5)
    _, found = seen(c, means, 1e-16, 10**6)
    by_hand = lmg(c, means)
    assert {e.hole: e.share.value for e in found.main} == pytest.approx(by_hand, abs=1e-6)
    assert found.additive is not None
    assert found.additive.value == pytest.approx(sum(by_hand.values()), abs=1e-6)


def test_what_is_noise_has_no_share() -> None:
    c = factorial(SIZES)
    random = np.random.default_rng(6)
    shares = []
    for _ in range(60):
        means = np.array([0.3 * (x["a"] == "a1") for x in c]) + 0.05 * random.normal(size=len(c))
        _, found = seen(c, means, 0.05**2, 200)
        shares.append(main(found, "c").share.value)
    assert np.median(shares) < 0.01


def test_a_confounded_hole_is_told_and_not_estimated() -> None:
    c = [{"a": f"a{k % 2}", "b": f"b{k % 2}", "c": f"c{k // 2}"} for k in range(6)]
    _, found = seen(c, np.arange(6.0), 0.01, 6)
    assert [e.hole for e in found.main] == ["c"]
    assert any("`a` cannot be told from `b`" in w and "only ever seen with" in w for w in found.confounded)
    assert all(set(i.holes) != {"a", "b"} for i in found.pairs)


def test_pairs_that_only_others_could_explain_are_marked() -> None:
    """A half fraction: c is the product of a and b, so that each interaction is also another main effect; with a fourth hole, another pair."""
    half = [{"a": f"a{i}", "b": f"b{j}", "c": f"c{k}", "d": f"d{(i + j + k) % 2}"} for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    means = np.array([0.1 * (x["a"] == x["b"]) for x in half])
    _, found = seen(half, means, 1e-4, 8)
    assert len(found.main) == 4
    assert all(not i.apart for i in found.pairs)
    third = [{"a": f"a{i}", "b": f"b{j}", "c": f"c{(i + j) % 2}"} for i in (0, 1) for j in (0, 1)] * 2
    _, worse = seen(third, np.arange(8.0), 1e-4, 8)
    assert not worse.pairs
    assert any("cannot be told from the main effects" in w for w in worse.confounded)


def test_an_option_that_only_renames_another_has_its_effect() -> None:
    """`again` is `same` under another name: one training stands for two combinations."""
    own = [[{"w": w, "l": "same"}, {"w": w, "l": "again"}] for w in ("p", "t", "u")] + [[{"w": w, "l": "linear"}] for w in ("p", "t", "u")]
    means = np.array([0.5, 0.6, 0.7, 0.3, 0.4, 0.5])
    made = design(own)
    found = effects(made, means, np.full(6, 1e-4), 6, "aliases")
    effect = levels(main(found, "l"))
    assert effect["same"] == pytest.approx(effect["again"]) == pytest.approx(0.2 / 3)
    assert {level.effect.count for level in main(found, "l").levels} == {3}
    # The error of `linear` against the rest is that of three means against three, not of three against six.
    wide = next(level.effect for level in main(found, "l").levels if level.option == "linear")
    assert wide.high is not None
    width = stats.t.isf((1 - 0.95 ** (1 / 6)) / 2, 6)
    assert wide.high - wide.value == pytest.approx(width * 2 / 3 * np.sqrt(1e-4 * (1 / 3 + 1 / 3)), rel=1e-6)


def test_a_hole_that_is_not_open_is_no_option() -> None:
    """`inner` is open where `outer` is `a`; elsewhere it is `none`, which says nothing new."""
    c = [{"outer": "a", "inner": i, "x": x} for i in ("i", "j") for x in ("x", "y")] + [{"outer": "b", "inner": "none", "x": x} for x in ("x", "y")]
    means = np.array([0.5, 0.6, 0.7, 0.8, 0.3, 0.4])
    _, found = seen(c, means, 1e-4, 6)
    assert levels(main(found, "inner")) == pytest.approx({"i": -0.1, "j": 0.1})
    assert levels(main(found, "outer")) == pytest.approx({"a": 0.15, "b": -0.15})
    assert not found.confounded


def test_in_a_union_of_spaces_holes_are_judged_within_their_space() -> None:
    c = [{"space": "s", "f": f, "own": o} for f in ("f1", "f2") for o in ("p", "q")] + [{"space": "t", "f": f} for f in ("f3", "f4", "f5")]
    means = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8])
    _, found = seen(c, means, 1e-6, 7)
    assert levels(main(found, "f")) == pytest.approx({"f1": -0.1, "f2": 0.1, "f3": -0.1, "f4": 0.0, "f5": 0.1}, abs=1e-9)
    assert levels(main(found, "own")) == pytest.approx({"p": -0.05, "q": 0.05})
    assert levels(main(found, "space")) == pytest.approx({"s": -0.225, "t": 0.225})
    assert any("No two spaces share an option of `f`" in w for w in found.warnings)


def test_a_large_interaction_warns_of_main_effects() -> None:
    c = factorial({"a": 2, "b": 2})
    _, found = seen(c, np.array([0.1, 0.5, 0.5, 0.11]), 1e-6, 8)
    assert found.pairs[0].holes == ("a", "b")
    assert found.pairs[0].share.value > 0.9
    assert any("beyond the sum of their main effects" in w for w in found.warnings)
    assert any("cannot say whether" in w for w in found.warnings)


def test_effects_are_the_same_twice_and_in_any_order_of_variants() -> None:
    c = gapped()
    _, means, variance, freedom = noisy(c, 2, 7)
    _, first = seen(c, means, variance, freedom)
    _, again = seen(c, means, variance, freedom)
    _, turned = seen(c[::-1], means[::-1], variance, freedom)
    assert first == again
    assert levels(main(first, "a")) == pytest.approx(levels(main(turned, "a")))


@pytest.mark.parametrize(("rounds", "slack"), [(60, 0.1), pytest.param(600, 0.03, marks=pytest.mark.slow)])
def test_intervals_hold_as_often_as_they_say(rounds: int, slack: float) -> None:
    """Simultaneous intervals of main effects and cells, and intervals of shares, on an unbalanced design with an interaction."""
    c = gapped(kept=20)
    truth = np.array([0.02 * int(x["a"][1]) + 0.01 * int(x["c"][1]) + (0.03 if (x["a"], x["b"]) == ("a2", "b1") else 0) for x in c])
    made, exact = seen(c, truth, 1e-16, 10**6)
    wanted = {(e.hole, level.option): level.effect.value for e in exact.main for level in e.levels}
    beyond = {(i.holes, x.first, x.second): x.beyond.value for i in exact.pairs for x in i.cells}
    shares = lmg(c, truth)
    random = np.random.default_rng(8)
    all_main = all_cells = share = 0
    for k in range(rounds):
        scores = truth[:, None] + 0.02 * random.normal(size=(len(c), 2))
        means = scores.mean(axis=1)
        variance = ((scores - means[:, None]) ** 2).sum() / len(c)
        found = effects(made, means, np.full(len(c), variance / 2), len(c), f"round {k}")
        all_main += all(x.effect.low <= wanted[e.hole, x.option] <= x.effect.high for e in found.main for x in e.levels)  # type: ignore[operator]
        all_cells += all(x.beyond.low <= beyond[i.holes, x.first, x.second] <= x.beyond.high for i in found.pairs for x in i.cells)  # type: ignore[operator]
        share += sum(e.share.low <= shares[e.hole] <= e.share.high for e in found.main) / len(found.main)  # type: ignore[operator]
    assert all_main / rounds > 0.95 - slack
    assert all_cells / rounds > 0.95 - slack
    assert abs(share / rounds - 0.96) < slack
