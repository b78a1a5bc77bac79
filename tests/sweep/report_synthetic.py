"""Sweeps that nobody ran: results and findings of any size with numbers like real ones, for the tests of the report."""

from __future__ import annotations

from itertools import combinations
from math import exp, sqrt

import numpy as np

from anatomy.sweep.config import Config
from anatomy.sweep.findings import Agreement, Cell, Effect, Estimate, Findings, Interaction, Level, TaskFindings
from anatomy.sweep.reports import Material
from anatomy.sweep.results import Entry, Failure, Results, Run, TaskFacts

HOLES = {
    "position": ("none", "rope", "alibi", "t5"),
    "feature_map": ("identity", "relu", "elu", "based", "exp"),
    "score": ("scaled_dot", "cosine", "l2", "additive"),
    "mask": ("causal", "window", "strided"),
    "normaliser": ("softmax", "linear", "sigmoid", "sparsemax", "relu_square"),
    "gate": ("none", "sigmoid", "swish"),
}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 300"><rect width="200" height="300" fill="#fff"/><rect x="60" y="120" width="80" height="36" rx="6" fill="#fff" stroke="#0072b2"/><text x="100" y="143" font-size="12" text-anchor="middle">softmax</text><path d="M100 10V120M100 156V290" stroke="#444"/></svg>'


def text(name: str, choices: dict[str, str], k: int) -> str:
    lines = [f"  t{i} = {h}_{o}[n, d](x{i % 4}, lin W{i}[d -> h, e](x)) * {1 + k % 7}" for i, (h, o) in enumerate(choices.items())]
    return f"axis n, m = n, d, h, e\n\ndiagram {name}(x: [n, d]) -> [n, d] where d = h * e {{\n" + "\n".join(lines * 3) + f"\n  out lin Wo[h, e -> d](t{len(lines) - 1})\n}}\n"


def material(count: int, tasks: int = 2, seeds: int = 2, supported: bool = True, plots: str = "", pictures: int = 20, hostile: str = "") -> Material:
    """A sweep of so many members and three controls. `hostile` takes the place of every text that a sweep holds."""
    rng = np.random.default_rng(count)
    holes = {hostile + h: tuple(hostile + o for o in options) for h, options in HOLES.items()}
    names = list(holes)
    sizes = [len(o) for o in holes.values()]
    labels = [hostile + n for n in ("recall:pairs=4", "characters", "induction")][:tasks]
    facts = tuple(
        TaskFacts(label, label.removeprefix(hostile).partition(":")[0], "recall" if k == 0 else "language", 0.25 if k == 0 else None, k == 1, k == 1, (100, 400) if k == 1 else (400,))
        for k, label in enumerate(labels)
    )
    true = [[rng.normal(0, 0.9 / (1 + (h + 3 * t) % 6), n) for h, n in enumerate(sizes)] for t in range(tasks)]
    pair = [rng.normal(0, 0.5, (sizes[0], sizes[4])) for _ in range(tasks)]
    noise = 0.02
    entries: list[Entry] = []
    levels: list[list[int]] = []

    def runs(task: int, logit: float, failed: bool) -> list[Run]:
        found: list[Run] = []
        for s in range(seeds):
            budget = facts[task].budgets[-1]
            if failed:
                found.append(Run(labels[task], budget, s, f"k{len(entries)}{task}{s}", "failed", "error"))
                continue
            score = min(0.999, max(0.01, 1 / (1 + exp(-logit)) + rng.normal(0, noise)))
            steps = np.arange(50, budget + 1, 50)
            curve = [(int(t), score * (1 - exp(-3 * t / budget)) / (1 - exp(-3)), -np.log(score) * (1 + 3 * exp(-4 * t / budget))) for t in steps]
            diverged = bool(rng.random() < 0.01)
            found.append(Run(labels[task], budget, s, f"k{len(entries)}{task}{s}", "done", "", score, -np.log(score), 1000, budget, diverged, score > 0.99, 0.003, 20_000, tuple(curve)))
        return found

    for k, (name, logits) in enumerate((("baseline", (3.0, -0.5)), ("no_mixing", (-3.0, -2.5)), ("causal_average", (-1.0, -1.8)))):
        mine = [r for t in range(tasks) for r in runs(t, logits[min(t, 1)] if supported else -2.0, False)]
        entries.append(Entry(k, name, "control", None, f"{k:016x}", {}, (), text(name, {"normaliser": "softmax"}, k), "done", {"reason": "", "causal": True, "finite": True, "alive": True, "scale": 0.4, "parameters": 1024}, {}, {"verdict": "lipschitz_on_domain", "domain": "ball", "norm": "frobenius", "upper": 4.2 + k, "lower": 2.0, "ratio": 2.1, "method": "composition", "responsible": "softmax"}, tuple(mine)))  # fmt: skip
        levels.append([])
    for k in range(count):
        place = k + 3
        index = rng.integers(0, 10**6)
        level = [int(rng.integers(n)) for n in sizes]
        levels.append(level)
        picked = {h: holes[h][v] for h, v in zip(names, level, strict=True)}
        name = f"{hostile}attention_{index}_{k}"
        state = "failed" if rng.random() < 0.02 else "rejected" if rng.random() < 0.03 else "done"
        mine = []
        if state != "rejected":
            for t in range(tasks):
                logit = 0.2 + sum(true[t][h][v] for h, v in enumerate(level)) + pair[t][level[0], level[4]]
                mine += runs(t, logit, state == "failed" and t == 0)
        failures = ()
        if state != "done":
            why = hostile + ("error" if state == "failed" else "reads later tokens")
            trace = f"{hostile}Traceback (most recent call last):\n  File \"fit.py\", line 12, in fit\nRuntimeError: size {k}\n" if state == "failed" else ""
            failures = (Failure(f"train {labels[0]} 400 steps seed 0" if state == "failed" else "check seed 0", state, why, trace),)
        kind = ("lipschitz_on_domain", "globally_lipschitz", "not_lipschitz_on_domain", "unknown")[int(rng.choice(4, p=[0.6, 0.15, 0.15, 0.1]))]
        upper = float(np.exp(rng.normal(3, 2))) if "not" not in kind and kind != "unknown" else "inf" if "not" in kind else None
        entries.append(
            Entry(
                place, name, "member", int(index), f"{place * 7919:016x}", picked, tuple((int(index) + a, f"{hostile}equal by L1: the same canonical form") for a in range(1, 1 + int(rng.integers(0, 3)))),
                hostile + text(name.removeprefix(hostile), picked, k), state,
                {"reason": failures[0].cause if state == "rejected" else "", "causal": state != "rejected", "finite": True, "alive": True, "scale": float(f"{rng.lognormal(-1, 1):.4g}"), "parameters": int(256 * rng.integers(2, 40))},
                {}, {"verdict": kind, "domain": "ball", "norm": "frobenius", "upper": upper, "lower": None if upper is None else 0.6 * upper if isinstance(upper, float) else 3.7e4, "ratio": 1.7 if isinstance(upper, float) else None, "method": hostile + "composition", "responsible": hostile + "softmax"},
                tuple(mine), failures,
            )
        )  # fmt: skip
    config = Config(
        target="examples/space.anat::attention", path="/work/space.anat", text="", space=hostile + "attention", digest="f00d", sample=count, tasks=tuple(f.spec for f in facts), seeds=seeds, cache="",
    )  # fmt: skip
    tally = {"done": sum(r.state == "done" for e in entries for r in e.runs), "failed": sum(r.state == "failed" for e in entries for r in e.runs)}
    counts = {"derivations": 1_900_800, "typed": 1_642_300, "canonical": None if count > 5000 else 12 * count, "L1": count, "L2": 7, "L3a": 0, "L3b": 0, "unmet": 3, "swept": count}
    results = Results(config, facts, tuple(entries), {k: v for k, v in tally.items() if v}, counts, {"check": 0.06 * count, "regularity": 0.8 * count, "train": 11.3 * count * seeds * tasks}, "e1a2")
    found = tuple(_findings(results, t, names, holes, levels, supported, noise, hostile) for t in facts)
    agreements = [Agreement(f"{t.label}, seed 0", f"{t.label}, seed 1", Estimate(0.86, 0.81, 0.9, count), hostile + "The seeds agree well.") for t in facts if seeds > 1]
    agreements += [Agreement(a.label, b.label, Estimate(0.21, 0.05, 0.36, count), hostile + "The tasks hardly agree: what is good for one says little of the other.") for a, b in combinations(facts, 2)]
    warnings = () if seeds > 1 else ("One seed each: the spread between seeds is known of the baseline only.",)
    costs = {e.name: int(2048 * (3 + e.place % 40) ** 1.7) for e in entries}
    drawn = {e.name: SVG.replace("softmax", e.name.removeprefix(hostile)) for e in entries[:pictures]}
    environment = {"command": config.command(), "space file": config.path, "evaluator": "e1a2", "anatomy": "0.1.0", "Python": "3.11", "machine": hostile + "Linux x86_64, 2 cores"}
    return Material(results, Findings(found, tuple(agreements), warnings), environment, costs, "64 tokens of 32 features", drawn, plots)


def _findings(results: Results, task: TaskFacts, names: list[str], holes: dict[str, tuple[str, ...]], levels: list[list[int]], supported: bool, noise: float, hostile: str) -> TaskFindings:
    scores: dict[str, Estimate] = {}
    rows: list[tuple[int, float]] = []
    for k, e in enumerate(results.entries):
        mine = e.scores(task)
        if mine:
            mean = sum(mine) / len(mine)
            half = 2.2 * noise / sqrt(len(mine))
            scores[e.name] = Estimate(mean, mean - half, mean + half, len(mine))
            if levels[k]:
                rows.append((k, mean))
    y = np.array([v for _, v in rows])
    x = np.array([levels[k] for k, _ in rows])
    total = y.var() or 1.0
    effects = []
    for h, name in enumerate(names):
        found, share = [], 0.0
        for v, option in enumerate(holes[name]):
            hit = x[:, h] == v
            if hit.any():
                effect, half = float(y[hit].mean() - y.mean()), float(2 * y.std() / sqrt(hit.sum()))
                share += float(hit.mean() * effect**2 / total)
                found.append(Level(option, Estimate(effect, effect - half, effect + half, int(hit.sum()))))
        effects.append(Effect(name, tuple(found), Estimate(share, max(0.0, share - 0.06), min(1.0, share + 0.06), len(y)), 0.0001 if share > 0.05 else 0.4))
    interactions = []
    for (a, first), (b, second) in combinations(enumerate(names), 2):
        cells, share = [], 0.0
        for i, one in enumerate(holes[first]):
            for j, two in enumerate(holes[second]):
                hit = (x[:, a] == i) & (x[:, b] == j)
                if hit.any():
                    beyond = float(y[hit].mean() - y[x[:, a] == i].mean() - y[x[:, b] == j].mean() + y.mean())
                    half = float(2 * y.std() / sqrt(hit.sum()))
                    share += float(hit.mean() * beyond**2 / total)
                    cells.append(Cell(one, two, Estimate(beyond, beyond - half, beyond + half, int(hit.sum()))))
        interactions.append(Interaction((first, second), tuple(cells), Estimate(share, max(0, share - 0.03), share + 0.03), 0.01 if share > 0.05 else None))
    order = sorted(scores, key=lambda n: (-scores[n].value, n))
    groups: list[list[str]] = []
    for n in order if supported else ():
        if not groups or scores[groups[-1][0]].value - scores[n].value > 4 * noise:
            groups.append([])
        groups[-1].append(n)
    words = f"The baseline scored {scores['baseline'].value:.3f} and no mixing {scores['no_mixing'].value:.3f}, far apart for the spread between seeds; differences below {4 * noise:.3f} cannot be told from chance."
    if not supported:
        words = "The baseline does not beat no mixing by three sigma (0.004 of 0.060): this budget supports no ranking."
    return TaskFindings(
        task.label, scores, noise, 71, 4 * noise, supported, hostile + words, tuple(map(tuple, groups)), tuple(effects) if supported else (),
        tuple(sorted(interactions, key=lambda i: -i.share.value)) if supported else (), (hostile + "Scores near 1 are pressed together; read differences there with the loss.",) if task.likely else (),
    )  # fmt: skip
