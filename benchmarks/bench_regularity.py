"""The Lipschitz check against its goals: upper bound over the best lower bound known, and what others give.

`python benchmarks/bench_regularity.py [--quick]` writes regularity.json and the table of README.md. Seeds start at 1000,
which tuned nothing. The best lower bound known is the greater one of the estimate and of a longer ascent from other
starts; both are re-evaluated quotients, so a ratio here is an upper bound of the slack. Times are of one processor.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import regularity_peers as peers
import torch
from regularity_cases import SEED, Instance, instance, norm, sampled, worst_scores

import anatomy
from anatomy.api import numeric
from anatomy.compiler import build
from anatomy.regularity import around, check
from anatomy.regularity.around.branch import branch
from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.estimate import estimate

HERE = Path(__file__).parent
BEGIN, END = "<!-- regularity: written by bench_regularity.py -->", "<!-- regularity: end -->"
ABOUT = """`make bench-regularity` measures the upper bound of the Lipschitz check over the best lower bound known, on weights from seeds
that tuned nothing, and what others give for the same instances: the theorem of Castin et al. and that of Kim et al. as
recalled, norms multiplied op by op (naive), the largest derivative at 256 random points (sampling, a lower bound), and
auto_LiRPA where it can be had."""
SHORT = " This was a quick run: a few instances, and no longer ascent behind the estimate."
GROUPS = ("softmax", "worst", "near", "divided", "others")
ORDER = ("softmax", "worst A", "near", "branch", "causal", "sigmoid", "linear", "tied l2", "fixed mixing")
Row = dict[str, Any]


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return action(), time.process_time() - start


def best(function: Any, shapes: Sequence[tuple[int, ...]], radius: float, quick: bool) -> tuple[float, float, float]:
    """The estimate, what it took, and the best of it and of a longer ascent."""
    found, seconds = timed(lambda: estimate(function, shapes, radius).value)
    longer = 0.0 if quick else estimate(function, shapes, radius, seed=99, starts=32, steps=160 if math.prod(shapes[0]) <= 64 else 80).value
    return found, seconds, max(found, longer)


def entry(group: str, name: str, goal: float | None, upper: float, spent: float, lower: tuple[float, float, float], **more: Any) -> Row:
    found, seconds, known = lower
    row = {"group": group, "name": name, "upper": upper, "upper_seconds": spent, "estimate": found, "estimate_seconds": seconds,
           "lower": known, "ratio": upper / known, "goal": goal, "reached": None if goal is None else upper <= goal * known, **more}  # fmt: skip
    if known > upper:
        raise SystemExit(f"soundness: {row}")
    others = " ".join(f"{k} {v / known:.3g}" for k, v in more.get("peers", {}).items() if isinstance(v, float))
    print(f"{group:<9} {name:<46} {upper:10.4g} / {known:9.4g} = {upper / known:7.4f} (goal {goal})  {others}  {spent:.2f} s", flush=True)
    return row


def whole_ball(found: Instance) -> tuple[float, float, str]:
    """The upper bound on tokens of norm at most 1."""
    here, spent = timed(lambda: compose(found.diagram, sizes_of(found.diagram, found.sizes), found.weights, 1.0))
    return here.triple.two, spent, here.method


def softmax(quick: bool) -> Iterator[Row]:
    """Softmax on the whole ball, sizes and scales as in the research notes, other seeds."""
    sizes = [(2, 4), (4, 4), (8, 4), (16, 4), (64, 4), (8, 8), (16, 8), (4, 16), (16, 16)]
    for n, d in [(2, 4), (8, 4), (16, 4), (8, 8)] if quick else sizes:
        for k, scale in enumerate((1.0, 4.0)):
            case = next(c for s in range(100) if (c := instance("softmax_head", n, d, SEED + 100 * k + s, scale)).a <= 2.6)
            upper, spent, method = whole_ball(case)
            lower = best(case.function, [(n, d)], 1.0, quick)
            others: dict[str, Any] = {"castin": peers.castin(case), "naive": peers.naive(case), "sampling": sampled(case, 256, SEED)}
            if n * d <= 64 and k == 0 and not quick:
                others["auto_lirpa"] = peers.lirpa(case, None, 1.0, ["IBP", "CROWN-IBP", "CROWN"])
            yield entry("softmax", case.name, 1.5 if case.a <= 0.5 else 2.25, upper, spent, lower, a=case.a, method=method, peers=others)


def worst(quick: bool) -> Iterator[Row]:
    """The worst A of a norm, V = I: found by ascent over A and the input, then bounded as any other."""
    for a in (0.3, 2.0, 8.0) if quick else (0.05, 0.3, 1.0, 2.0, 4.0, 8.0):
        for n in (2, 12) if quick else (2, 5, 12, 32):
            tries = [worst_scores(n, d, a, SEED + n) for d in ((2,) if quick or n == 32 else (2, 3))]
            value, form, _ = max(tries, key=lambda t: t[0])
            case = instance("plain", n, len(form), 0, given={"A": form * (1 - 1e-12)})
            upper, spent, method = whole_ball(case)
            found, seconds, known = best(case.function, [(n, len(form))], 1.0, True)
            lower = (found, seconds, max(known, value * (1 - 1e-6)))
            yield entry("worst A", f"|A|={a:g} n={n} d={len(form)}", 1.75, upper, spent, lower, a=a, method=method,
                        peers={"castin": peers.castin(case), "naive": peers.naive(case)})  # fmt: skip


def near(quick: bool) -> Iterator[Row]:
    """A ball round an input whose tokens have norm 0.5."""
    for n, d in [(4, 4), (8, 8)] if quick else [(4, 4), (8, 4), (8, 8)]:
        case = instance("softmax_head", n, d, SEED + n + d)
        rng = np.random.default_rng(SEED)
        centre = rng.standard_normal((n, d))
        centre *= 0.5 / np.linalg.norm(centre, axis=1, keepdims=True)
        middle = torch.from_numpy(centre)
        for radius in (0.5, 0.1, 0.01):
            found, spent = timed(partial(around.bound, case.diagram, case.sizes, case.weights, [centre], radius))
            lower = best(partial(moved, case.function, middle), [(1, n * d)], radius, quick)
            others = {} if n * d > 32 or quick else {"auto_lirpa": peers.lirpa(case, centre, radius, ["CROWN"])}
            goal = 1.02 if radius <= 0.1 else None
            yield entry("near", f"{case.name} r={radius:g}", goal, found.value, spent, lower, method=found.method, peers=others)


def moved(function: Any, centre: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """The function of one token that displaces the centre."""
    return function(centre + z.reshape(centre.shape))


def divided(quick: bool) -> Iterator[Row]:
    """Branch and bound where at most four numbers vary."""
    for seed, scale in ((0, 1.0),) if quick else ((0, 1.0), (1, 1.0), (2, 1.0), (0, 4.0)):
        case = instance("softmax_head", 2, 2, SEED + seed, scale)
        # The goal is a minute of processor time; a busy machine may take longer by the clock.
        found, spent = timed(partial(branch, case.diagram, case.sizes, case.weights, 1.0, seconds=300.0))
        lower = best(case.function, [(2, 2)], 1.0, quick)
        yield entry("branch", case.name, 1.05, found.upper, spent, lower, cells=found.cells,
                    peers={"castin": peers.castin(case), "naive": peers.naive(case)})  # fmt: skip


def others(quick: bool) -> Iterator[Row]:
    goals = {"tied_l2_head": 2.4, "causal_head": 1.8, "sigmoid_head": 2.7, "linear_head": 2.7, "fixed_mixing": 1 + 1e-6}
    for name, goal in goals.items():
        for n, d in [(4, 4), (8, 8)] if quick else [(4, 4), (8, 4), (16, 4), (8, 8)]:
            case = instance(name, n, d, SEED + n * d)
            radius = math.inf if name == "tied_l2_head" else 1.0
            full = sizes_of(case.diagram, case.sizes)
            here, spent = timed(partial(compose, case.diagram, full, case.weights, radius))
            if name == "fixed_mixing":
                exact = norm(case.weights["M"]) * norm(case.weights["Wv"]) * (1 - 1e-9)
                lower = (exact, 0.0, exact)
            else:
                lower = best(case.function, [(n, d)], radius, quick)
                if radius == math.inf:  # tokens far apart matter too
                    wide = [estimate(case.function, [(n, d)], r, seed=7).value for r in ((8.0,) if quick else (2.0, 8.0, 16.0))]
                    lower = (*lower[:2], max(lower[2], *wide))
            extra = {"kim": peers.kim(case)} if name == "tied_l2_head" else {}
            yield entry(name.replace("_head", "").replace("_", " "), f"n={n} d={d} seed={SEED + n * d}", goal, here.triple.two, spent, lower,
                        method=here.method, peers=extra)  # fmt: skip


def large() -> Row:
    """Eight heads, 64 tokens, 64 features: what verdict with upper bound and the estimate take, in wall time too."""
    diagram, sizes = anatomy.load("zoo:mha"), {"n": 64, "d": 64, "h": 8}
    spent, waited, again, upper, function = [], [], [], math.inf, None
    for draw in range(12):  # weights that were not seen before; the first pays for what is loaded once
        weights, function = numeric(build(diagram, sizes, seed=SEED + draw, dtype=torch.float64))
        started = time.perf_counter()
        found, seconds = timed(partial(check, diagram, sizes, weights, growth=False))
        if draw:
            waited.append(1e3 * (time.perf_counter() - started))
            spent.append(1e3 * seconds)
            again.append(1e3 * timed(partial(check, diagram, sizes, weights, growth=False))[1])
        upper = found.upper or math.inf
    started = time.perf_counter()
    lower, seconds = timed(lambda: estimate(function, [(64, 64)]).value)
    wall = time.perf_counter() - started
    row = {"group": "time", "upper": upper, "lower": lower, "upper_ms": statistics.median(spent), "upper_ms_least": min(spent),
           "upper_ms_wall": statistics.median(waited), "upper_ms_again": statistics.median(again), "upper_goal_ms": 50, "lower_seconds": seconds,
           "lower_seconds_wall": wall, "lower_goal_seconds": 2, "reached": statistics.median(spent) <= 50 and seconds <= 2,
           "load": os.getloadavg()[0], "cores": os.cpu_count()}  # fmt: skip
    print(timed_words(row))
    return row


def timed_words(row: Row) -> str:
    return (
        f"Eight heads, n = 64, d = 64: verdict and upper bound {row['upper_ms']:.0f} ms for new weights (least {row['upper_ms_least']:.0f}), "
        f"{row['upper_ms_again']:.0f} ms once their norms are known (goal 50); lower bound {row['lower_seconds']:.1f} s (goal 2), of processor "
        f"time, on {row['cores']} cores with a load of {row['load']:.1f}."
    )


def summary(rows: Sequence[Row], timing: Row) -> str:
    """The table of the README."""
    out = ["| case | instances | upper over lower: median, worst | goal | missed | others, over the same lower bound | upper, s |", "|---|---|---|---|---|---|---|"]
    for group in dict.fromkeys(r["group"] for r in rows):
        mine = [r for r in rows if r["group"] == group]
        ratios = sorted(r["ratio"] for r in mine)
        goals = sorted({r["goal"] for r in mine if r["goal"] is not None})
        tools: dict[str, list[float]] = {}
        for r in mine:
            for tool, value in r.get("peers", {}).items():
                if isinstance(value, float):
                    tools.setdefault(tool, []).append(value / r["lower"])
                for method, answer in value.items() if isinstance(value, dict) else ():
                    if isinstance(answer, dict) and "bound" in answer:
                        tools.setdefault(f"auto_LiRPA {method}", []).append(answer["bound"] / r["lower"])
        told = "; ".join(f"{k} {min(v):.3g} to {max(v):.3g}" for k, v in tools.items())
        times = [r["upper_seconds"] for r in mine]
        out.append(f"| {group} | {len(mine)} | {ratios[len(ratios) // 2]:.4g}, {ratios[-1]:.4g} | {', '.join(f'{g:.3g}' for g in goals)} "
                   f"| {sum(r['reached'] is False for r in mine)} | {told} | {min(times):.2g} to {max(times):.2g} |")  # fmt: skip
    missed = [r for r in rows if r["reached"] is False]
    out += ["", timed_words(timing)]
    out += ["", "Missed: " + ("; ".join(f"{r['name'] if r['group'] in r['name'] else r['group'] + ' ' + r['name']}: {r['ratio']:.4g} (goal {r['goal']:.3g})" for r in missed) or "none") + "."]
    absent = {v["unavailable"] for r in rows for v in r.get("peers", {}).values() if isinstance(v, dict) and "unavailable" in v}
    out += ["", *(f"auto_LiRPA gave no numbers: {why}." for why in sorted(absent))]
    return "\n".join(out).rstrip() + "\n"


def write(rows: list[Row], timing: Row, quick: bool) -> None:
    kept = {"seed": SEED, "torch": torch.__version__, "quick": quick, "rows": rows, "time": timing}
    (HERE / "regularity.json").write_text(json.dumps(kept, indent=1) + "\n")
    page = HERE / "README.md"
    text = page.read_text()
    if BEGIN not in text:
        text = text.rstrip() + f"\n\n## Regularity\n\n{BEGIN}\n{END}\n"
    head, rest = text.split(BEGIN)
    page.write_text(f"{head}{BEGIN}\n\n{ABOUT}{SHORT if quick else ''}\n\n{summary(rows, timing)}\n{END}{rest.split(END)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few instances, without the longer ascent, nothing written")
    parser.add_argument("--keep", action="store_true", help="write what a quick run finds too")
    parser.add_argument("--only", nargs="*", default=[], choices=GROUPS, help="measure these anew, keep the rest")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    held, timing = HERE / "regularity.json", large()
    rows = json.loads(held.read_text())["rows"] if chosen.only and held.exists() else []
    for group in (softmax, worst, near, divided, others):
        if chosen.only and group.__name__ not in chosen.only:
            continue
        for row in group(chosen.quick):
            rows = [r for r in rows if (r["group"], r["name"]) != (row["group"], row["name"])] + [row]
            if chosen.keep or not chosen.quick:  # what was stopped keeps what it has
                write(sorted(rows, key=lambda r: ORDER.index(r["group"])), timing, chosen.quick)
    if chosen.quick and not chosen.keep:
        print(summary(rows, timing))


if __name__ == "__main__":
    main()
