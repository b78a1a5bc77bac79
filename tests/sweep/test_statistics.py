"""Findings of whole sweeps: what is ranked, what is refused, and what is said of runs that cannot support a claim."""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sweep_simulated import TASK, entry, factorial, simulated, sweep

from anatomy.sweep.findings import Findings, TaskFindings
from anatomy.sweep.results import Entry, Results, Run, TaskFacts
from anatomy.sweep.statistics import findings
from anatomy.sweep.statistics.multiplicity import holm, sidak, tukey
from anatomy.sweep.statistics.sample import sample
from anatomy.sweep.statistics.spread import spread

SPACE = factorial({"a": 3, "b": 2})
TRUTH = [0.3 + 0.1 * int(c["a"][1]) for c in SPACE]


def one(results: Results) -> TaskFindings:
    return findings(results).tasks[0]


def said(found: TaskFindings | Findings, words: str) -> bool:
    return any(words in w for w in found.warnings)


def grown(*rows: tuple[str, list[float]], baseline: tuple[float, ...] = (0.8, 0.82), floor: tuple[float, ...] = (0.1, 0.11), **task: object) -> Results:
    """A sweep of members with these scores."""
    facts = replace(TASK, **task)  # type: ignore[arg-type]
    made = [entry("baseline", baseline, tasks=(facts,)), entry("no_mixing", floor, place=1, tasks=(facts,))]
    made += [entry(name, scores, {"a": name}, k + 2, (facts,)) for k, (name, scores) in enumerate(rows)]
    return sweep(made, (facts,))


def changed(results: Results, change: dict[str, object], *names: str) -> Results:
    """The same sweep with every run of these entries altered."""
    of = lambda e: replace(e, runs=tuple(replace(r, **change) for r in e.runs)) if e.name in names else e  # noqa: E731
    return replace(results, entries=tuple(map(of, results.entries)))


# what is ranked ---------------------------------------------------------------------------------------


def test_nothing_is_ranked_or_claimed_where_the_baseline_does_not_beat_no_mixing() -> None:
    found = one(simulated(SPACE, TRUTH, 0.05, 3, np.random.default_rng(0), controls=(0.32, 0.3)))
    assert not found.supported
    assert "supports no ranking" in found.words
    assert (found.groups, found.letters, found.effects, found.interactions) == ((), {}, (), ())
    assert len(found.scores) == 8
    whole = findings(simulated(SPACE, TRUTH, 0.05, 3, np.random.default_rng(0), controls=(0.32, 0.3)))
    assert {a.kind for a in whole.agreements} <= {"seeds"}


def test_three_sigma_of_the_difference_take_the_seeds_into_account() -> None:
    """sigma is sqrt(2)/100 here: the lead must exceed 3 sigma sqrt(1/2 + 1/2) = 0.0424."""
    pairs = [("m", [0.5, 0.52]), ("n", [0.5, 0.48])]
    assert one(grown(*pairs, baseline=(0.2, 0.18), floor=(0.14, 0.16))).sigma == pytest.approx(sqrt(2) / 100)
    assert not one(grown(*pairs, baseline=(0.2, 0.18), floor=(0.139, 0.159))).supported
    assert one(grown(*pairs, baseline=(0.2, 0.18), floor=(0.137, 0.157))).supported


def test_missing_controls_and_missing_spread_support_nothing() -> None:
    alone = sweep([entry("m", [0.5, 0.6], {"a": "x"})])
    assert "controls are not finished" in one(alone).words
    bare = grown(("m", [0.5]), baseline=(0.8,), floor=(0.1,))
    assert "no variant has two seeds" in one(bare).words
    assert one(bare).sigma is None
    assert one(bare).scores["m"].low is None
    same = grown(("m", [0.5, 0.5]), baseline=(0.8, 0.8), floor=(0.1, 0.1))
    assert "gave the same score" in one(same).words
    assert not one(sweep([], (replace(TASK, budgets=()),))).supported


# spread ------------------------------------------------------------------------------------------------


def test_sigma_is_pooled_within_variants() -> None:
    rows = {"m": [0.5, 0.52, 0.55], "n": [0.3, 0.31], "o": [0.7]}
    found = one(grown(*rows.items()))
    groups = [*rows.values(), [0.8, 0.82], [0.1, 0.11]]
    squares = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups)
    assert found.freedom == 5
    assert found.sigma == pytest.approx(sqrt(squares / 5))
    width = stats.t.ppf(0.975, 5) * sqrt(squares / 5) / sqrt(3)
    assert found.scores["m"].low == pytest.approx(np.mean(rows["m"]) - width)


def test_identical_scores_are_not_exact() -> None:
    """500 questions: sigma is no less than the binomial error, and a perfect score has one too."""
    found = one(grown(("m", [1.0, 1.0]), ("n", [0.5, 0.5]), baseline=(0.8, 0.8), floor=(0.1, 0.1), likely=False))
    right = np.array([0.8, 0.1, 1.0, 0.5])
    smooth = (500 * right + 0.5) / 501
    assert found.sigma == pytest.approx(sqrt((smooth * (1 - smooth) / 500).mean()), rel=1e-6)
    assert found.scores["m"].low is not None
    assert found.scores["m"].low < 1.0 == found.scores["m"].high


def test_spread_that_differs_is_told_and_used() -> None:
    random = np.random.default_rng(1)
    means = np.linspace(0.05, 0.9, 30)
    wide = np.where((means > 0.35) & (means < 0.65), 0.08, 0.004)
    rows = [(f"m{k}", (m + s * random.normal(size=3)).tolist()) for k, (m, s) in enumerate(zip(means, wide, strict=True))]
    results = grown(*rows)
    found = one(results)
    assert said(found, "do not spread alike")
    told = spread(sample(results.entries, TASK, 100))
    middle, end = told.variances[2 + 15], told.variances[2 + 29]
    assert sqrt(middle) > 0.05
    assert end < middle
    assert found.scores["m15"].high - found.scores["m15"].low > found.scores["m29"].high - found.scores["m29"].low  # type: ignore[operator]


def test_nobody_is_called_worse_who_was_not_shown_to_be() -> None:
    random = np.random.default_rng(2)
    good, poor = ([(f"{n}{k}", (m + 0.01 * random.normal(size=2)).tolist()) for k in range(6)] for n, m in (("good", 0.8), ("poor", 0.4)))
    found = one(grown(*good, *poor, ("lucky", [0.02, 0.78]), baseline=(0.8, 0.81)))
    assert len(found.groups) > 1
    assert "poor0" not in found.groups[0]
    assert "lucky" in found.groups[0]  # its score is the lower, and its seeds say nothing against its being the best


def test_a_variant_that_learns_with_one_seed_only_is_named() -> None:
    random = np.random.default_rng(2)
    rows = [(f"m{k}", (0.5 + 0.01 * random.normal(size=2)).tolist()) for k in range(8)]
    found = one(grown(*rows, ("lucky", [0.2, 0.95])))
    assert said(found, "lucky (0.200, 0.950)")
    assert found.sigma is not None
    assert found.sigma < 0.02  # one such variant does not make the others uncertain
    assert "a" in found.letters["lucky"]  # nothing can be told of it
    assert said(one(grown(*rows, baseline=(0.5, 0.99))), "baseline lie further apart")


def test_a_member_that_is_a_control_as_well_is_counted_once() -> None:
    made = grown(("m", [0.5, 0.53]))
    base = made.entries[0]
    twin = replace(base, name="twin", role="member", rank=9, place=9, choices={"a": "twin"})
    assert one(replace(made, entries=(*made.entries, twin))).freedom == one(made).freedom == 3


def test_the_best_of_many_alike_is_told_to_be_flattered() -> None:
    random = np.random.default_rng(11)
    assert said(one(grown(*[(f"m{k}", (0.8 + 0.02 * random.normal(size=2)).tolist()) for k in range(12)])), "flattered by chance")
    from anatomy.sweep.statistics.power import flattery

    drawn = random.normal(size=(4000, 12)).max(axis=1).mean()
    assert flattery(12, 1.0) == pytest.approx(drawn, abs=0.05)


# groups ------------------------------------------------------------------------------------------------


def test_two_variants_are_told_apart_by_the_t_test() -> None:
    assert tukey(2, 7) == pytest.approx(stats.t.ppf(0.975, 7), rel=1e-5)
    assert sidak(1, 7) == pytest.approx(stats.t.ppf(0.975, 7))


def test_groups_are_those_of_tukeys_test_of_statsmodels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tukeyhsd = pytest.importorskip("statsmodels.stats.multicomp").pairwise_tukeyhsd
    random = np.random.default_rng(3)
    rows = [(f"m{k}", (0.02 * k + 0.1 + 0.02 * random.normal(size=3)).tolist()) for k in range(8)]
    results = grown(*rows, baseline=(0.8, 0.81, 0.82), floor=(0.0, 0.02, 0.04))
    found = one(results)
    flat = [(e.name, x) for e in results.entries for x in e.scores(TASK)]
    test = tukeyhsd([x for _, x in flat], [n for n, _ in flat])
    names = [str(n) for n in test.groupsunique]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    for (a, b), apart in zip(pairs, test.reject, strict=True):
        assert bool(apart) == (not set(found.letters[a]) & set(found.letters[b])), (a, b)
    best = found.groups[0][0]
    assert best == "baseline"
    assert [n for g in found.groups for n in g] == sorted(found.scores, key=lambda n: (-found.scores[n].value, n))


@pytest.mark.parametrize(("rounds", "most"), [(80, 0.12), pytest.param(1000, 0.065, marks=pytest.mark.slow)])
def test_equal_variants_are_rarely_told_apart(rounds: int, most: float) -> None:
    """The chance of any false group or effect under the null is 5 percent."""
    random = np.random.default_rng(4)
    groups = 0
    for _ in range(rounds):
        made = simulated(SPACE * 3, [0.5] * 18, 0.02, 2, random, controls=(0.5, 0.0))
        seen = sample([e for e in made.entries if e.name != "no_mixing"], TASK, 100)
        from anatomy.sweep.statistics.groups import grouped

        groups += len(grouped(seen.names, seen.means, seen.counts, spread(seen))[0]) > 1
    assert groups / rounds <= most


@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_intervals_of_scores_hold(rounds: int) -> None:
    random = np.random.default_rng(5)
    inside = [
        f.low <= truth <= f.high  # type: ignore[operator]
        for _ in range(rounds)
        for truth, f in zip(TRUTH, list(one(simulated(SPACE, TRUTH, 0.02, 2, random)).scores.values())[2:], strict=True)
    ]
    assert np.mean(inside) == pytest.approx(0.955, abs=0.03)


def test_detectable_differences_shrink_with_seeds() -> None:
    few, many = (one(simulated(SPACE, TRUTH, 0.02, n, np.random.default_rng(6))).detectable for n in (2, 8))
    assert few is not None
    assert many is not None
    assert many < few / 1.7


# warnings ----------------------------------------------------------------------------------------------


def test_one_seed_is_told_with_what_more_would_buy() -> None:
    rows = [(f"m{k}", [0.05 * k]) for k in range(10)]
    found = one(grown(*rows, floor=(0.1,)))
    assert said(found, "Every member has one seed")
    assert said(found, "2 seeds about")
    assert not said(one(grown(*[(n, [s[0], s[0] + 0.01]) for n, s in rows])), "Every member has one seed")


def test_ceiling_and_floor_are_told_and_steps_offered() -> None:
    rows = [(f"m{k}", [0.3 + 0.01 * k, 0.31]) for k in range(4)] + [("quick", [0.991, 0.995]), ("low", [0.05, 0.06])]
    made = grown(*rows)
    made = changed(made, {"solved": True, "steps": 70}, "quick")
    found = one(made)
    assert said(found, "1 of 6 members solve")
    assert said(found, "1 of 6 members score no better than no mixing")
    assert found.solved["quick"].value == 70
    assert list(found.solved) == ["quick"]
    assert said(found, "make interactions of themselves")


def test_the_ceiling_is_told_where_training_does_not_stop_there() -> None:
    rows = [*[(f"m{k}", [0.3 + 0.01 * k, 0.31]) for k in range(4)], ("top", [0.995, 0.999]), ("lucky", [0.4, 0.999])]
    assert said(one(grown(*rows, likely=False)), "1 of 6 members score 0.99 or more with every seed: they are at the ceiling")
    assert not said(one(grown(*rows)), "at the ceiling")  # a likelihood of 0.99 is no ceiling


def test_divergence_and_rates_at_the_edge_are_told() -> None:
    made = grown(*[(f"m{k}", [0.3, 0.31]) for k in range(4)])
    found = one(changed(changed(made, {"diverged": True}, "m1"), {"edge": "greatest"}, "m1", "m2", "m3"))
    assert said(found, "2 of 8 trainings diverged")
    assert said(found, "6 of 8 trainings did best with the greatest")
    assert not said(found, "least learning rate")


def test_scores_that_are_not_missing_at_random_are_told() -> None:
    rows = [(f"m{k}", [0.3 + 0.02 * k, 0.31 + 0.02 * k]) for k in range(16)]
    made = grown(*rows)
    entries = list(made.entries)
    for k, e in enumerate(entries[2:]):
        e = replace(e, choices={"f": "exp" if k % 4 == 0 else "relu", "g": f"g{k % 3}"})
        gone = k % 4 == 0
        entries[k + 2] = replace(e, runs=tuple(replace(r, state="failed", reason="error", score=None) for r in e.runs)) if gone else e
    found = one(replace(made, entries=tuple(entries)))
    assert said(found, "4 of 16 members have no score here: 4 failed (error)")
    assert said(found, "4 of the 4 with `exp` of `f`")


def halved() -> Results:
    """Two rungs; the weaker half of the members, all with the option `b1`, was pruned after the first."""
    task = replace(TASK, budgets=(50, 100))
    random = np.random.default_rng(7)
    entries: list[Entry] = [entry("baseline", [0.8, 0.82], tasks=(task,)), entry("no_mixing", [0.1, 0.12], place=1, tasks=(task,))]
    for k, c in enumerate(factorial({"a": 4, "b": 2})):
        level = 0.4 - 0.2 * int(c["b"][1])
        full = entry(f"s_{k}", (level + 0.2 + 0.01 * random.normal(size=2)).tolist(), c, k + 2, (task,))
        low = tuple(
            Run("t", 50, s, f"low{k}/{s}", "done", score=float(level + 0.05 * int(c["a"][1]) + 0.01 * random.normal()), trials=500, steps=50) for s in (0, 1)
        )
        late = tuple(replace(r, state="pruned", score=None) for r in full.runs) if c["b"] == "b1" else full.runs
        entries.append(replace(full, runs=low + late))
    return sweep(entries, (task,))


def test_effects_of_a_halved_task_are_those_of_the_lowest_rung() -> None:
    found = one(halved())
    assert found.budget == 50
    effect = next(e for e in found.effects if e.hole == "b")
    assert {level.option: round(level.effect.value, 1) for level in effect.levels} == {"b0": 0.1, "b1": -0.1}
    assert said(found, "4 members were pruned")
    assert said(found, "Effects are those at 50 steps")
    assert len(found.scores) == 6


def test_one_task_and_bounds_at_initialisation_are_told() -> None:
    made = grown(("m", [0.5, 0.52]))
    assert said(findings(made), "One task was swept")
    bounded = replace(made, entries=tuple(replace(e, bounds={"upper": 2.0}) for e in made.entries))
    assert said(findings(bounded), "at initialisation")


# merged members ----------------------------------------------------------------------------------------


def test_merged_members_are_read_from_the_space(tmp_path: Path) -> None:
    from anatomy.sweep import api

    text = (
        "axis n, d = d\ndiagram m(x: [n, d]) -> [n, d] {\n  hole f(x: [n, d]) -> [n, d]\n  out f(x)\n}\n"
        "diagram same(x: [n, d]) -> [n, d] { out x }\ndiagram again(x: [n, d]) -> [n, d] { z = x out z }\n"
        "diagram twice(x: [n, d]) -> [n, d] { out x * 2 }\nspace s of m { choose f in { same, again, twice } }\n"
    )
    path = tmp_path / "s.anat"
    path.write_text(text, "utf-8")
    plan = api.plan(str(path))
    merged = next(v for v in plan.variants if v.aliases)
    rank = merged.aliases[0].index
    made = simulated([{"f": "same"}, {"f": "twice"}, {"f": "third"}], [0.4, 0.3, 0.35], 0.01, 2, np.random.default_rng(8))
    entries = tuple(replace(e, aliases=((rank, "same"),)) if e.choices.get("f") == "same" else e for e in made.entries)
    found = one(replace(made, config=plan.config, entries=entries))
    levels = {level.option: level.effect.value for level in found.effects[0].levels}
    assert levels["same"] == levels["again"]
    gone = replace(made, config=plan.config.model_copy(update={"digest": "another"}), entries=entries)
    assert said(findings(gone), "can no longer be read")


# the whole ---------------------------------------------------------------------------------------------


def test_findings_are_the_same_twice() -> None:
    made = simulated(SPACE, TRUTH, 0.02, 2, np.random.default_rng(9))
    assert findings(made) == findings(made)


def test_findings_of_a_real_sweep(toys: Path, tmp_path: Path) -> None:
    from anatomy.sweep import api
    from anatomy.sweep import config as settings
    from anatomy.sweep.results import results

    out = tmp_path / "out"
    api.run(f"{toys}::good", out, tasks=("tests.sweep.sweep_toy",), transport="inline", certify=False)
    with api.opened(out) as store:
        found = findings(results(store, settings.read(out)))
    assert found.tasks[0].scores["baseline"].count == 2


def test_adjusted_values_are_those_of_statsmodels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adjust = pytest.importorskip("statsmodels.stats.multitest").multipletests
    values = np.random.default_rng(10).random(20) ** 3
    assert holm(list(values)) == pytest.approx(list(adjust(values, method="holm")[1]))


def test_facts_without_a_budget_are_no_error() -> None:
    assert one(sweep([entry("baseline", [])], (TaskFacts("t", "t"),))).words == "Nothing was trained on this task."
