"""The generator's rates, of one processor, and those of PyGlove and NePS for the same spaces in the same run.

`python benchmarks/bench_generator.py [--quick] [--keep] [--alone] [--million]` writes generator.json and the tables of README.md;
`--quick` is short and writes nothing without `--keep`; `--million` sends a million members through the static rung where
otherwise a part is sent and what a million would take is told. Rates are objects per second of processor time; all take
turns, each round begun by another, and ratios are those of a round. The peers have environments of their own
(`make bench-generator` fills .venv-pyglove and .venv-neps) and what cannot be had is named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from generator_rates import RUN, Line, compared, counts, lines, million, opened
from peers_generator.answering import rate
from peers_generator.asking import Peer
from report import publish

Row = dict[str, Any]
TASKS = {
    "in order": "the next member in order, its choices",
    "at random": "a random member, its choices",
    "address": "an address written and read again",
    "object in order": "the next member, built",
    "object at random": "a random member, built",
}
"""What is compared; `generator_rates.compared` and the peers have one task of each name for each space."""
NAMES = {"pyglove": "PyGlove", "neps": "NePS"}


def spread(values: Sequence[float]) -> Row:
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def turns(rounds: int, seconds: float, contestants: dict[str, Callable[[float], float | None]]) -> dict[str, list[float]]:
    """Rates of all, in turn, each round begun by another; without those that have no answer."""
    names, found = list(contestants), {name: [] for name in contestants}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            value = contestants[name](seconds)
            if value is not None:
                found[name].append(value)
    return {name: values for name, values in found.items() if values}


def against(peers: dict[str, Peer], rounds: int, seconds: float) -> list[Row]:
    """Every task on every space, by us and by all who have it."""
    rows: list[Row] = []
    for space in counts():
        for task in TASKS:
            name, step = f"{space} {task}", compared(space, task)
            step()
            rates = turns(rounds, seconds, {"ours": partial(rate, step)} | {p: partial(peers[p].ask, name) for p in peers})
            row: Row = {"space": space, "task": task, "ours": spread(rates["ours"])}
            for peer in rates.keys() - {"ours"}:
                ratios = [a / b for a, b in zip(rates["ours"], rates[peer], strict=True)]
                row[peer] = spread(rates[peer]) | {"ratio": spread(ratios)}
            row["missing"] = {p: peers[p].missing[name] for p in peers if name in peers[p].missing}
            rows.append(row)
            print(f"{name:<26}", *(f"{who} {statistics.median(v):,.1f}/s" for who, v in rates.items()), flush=True)
    return rows


def alone(line: Line, rounds: int, seconds: float) -> Row:
    """One rate or time of ours."""
    step = line.ready()
    step()
    values = [rate(step, seconds) for _ in range(rounds)]
    if line.unit == "ms":
        values = [1e3 / v for v in values]
    print(f"{line.words:<70} {statistics.median(values):,.4g} {line.unit}", flush=True)
    return {"words": line.words, "unit": line.unit, "goal": line.goal, **spread(values)}


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ranged(row: Row) -> str:
    return f"{figure(row['least'])} to {figure(row['greatest'])}"


def reached(row: Row) -> str:
    if row["goal"] is None:
        return ""
    met = row["median"] <= row["goal"] if row["unit"] == "ms" else row["median"] >= row["goal"]
    return f"{row['goal']:,}{'' if met else ', **missed**'}"


def table(kept: Row) -> str:
    """The tables of the README."""
    out = [
        f"Python {kept['python']}, one of {kept['cores']} cores, load {kept['load'][0]:.1f} when it began and {kept['load'][1]:.1f} when it ended; "
        f"{kept['rounds']} rounds of {kept['seconds']:g} s{', a quick run' if kept['quick'] else ''}.", "",
        "| what | median, per CPU-second | least to greatest | goal |", "|---|---|---|---|",
    ]  # fmt: skip
    times = [row for row in kept["ours"] if row["unit"] == "ms"]
    out += [f"| {row['words']} | {figure(row['median'])} | {ranged(row)} | {reached(row)} |" for row in kept["ours"] if row["unit"] != "ms"]
    out += ["", "| what | median, ms | least to greatest | goal |", "|---|---|---|---|"]
    out += [f"| {row['words']} | {row['median']:.3g} | {row['least']:.3g} to {row['greatest']:.3g} | {reached(row)} |" for row in times]
    out += [line for part in kept["million"] for line in ("", part["words"])] + [""]
    peers = kept["peers"]
    there = [p for p in peers if "version" in peers[p]]
    out += [f"{NAMES[p]} {peers[p]['version']}: {peers[p]['words']}" if p in there else f"{NAMES[p]} gave no numbers: {peers[p]['unavailable']}." for p in peers]
    if not there:
        return "\n".join(out)
    out += ["", "| space | what | ours | " + " | ".join(f"{NAMES[p]} | ours / {NAMES[p]}" for p in there) + " |", "|---|---|---|" + "---|---|" * len(there)]
    for row in kept["compared"]:
        cells = [f"{figure(row[p]['median'])} | {figure(row[p]['ratio']['median'])} ({ranged(row[p]['ratio'])})" if p in row else "none | " for p in there]
        out.append(f"| {row['space']} | {TASKS[row['task']]} | {figure(row['ours']['median'])} | {' | '.join(cells)} |")
    lost = [f"{row['space']}, {TASKS[row['task']]}: {1 / row[p]['ratio']['median']:.3g} times slower than {NAMES[p]}"
            for row in kept["compared"] for p in there if p in row and row[p]["ratio"]["median"] < 1]  # fmt: skip
    none = [f"{NAMES[p]}, {row['space']}, {TASKS[row['task']]}: {why}" for row in kept["compared"] for p, why in row["missing"].items()]
    out += ["", "Losses: " + ("; ".join(lost) or "none") + ".", "", "No number: " + ("; ".join(none) or "none") + "."]
    return "\n".join(out).rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, nothing written")
    parser.add_argument("--keep", action="store_true", help="write what a quick run finds too")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--million", action="store_true", help="send all of a million members through the static rung")
    chosen = parser.parse_args()
    rounds, seconds, run = (1, 0.02, 24) if chosen.quick else (5, 0.25, RUN)
    load = os.getloadavg()[0]
    peers = {name: Peer(name, opened(), counts(), asked=not chosen.alone) for name in NAMES}
    ours = [alone(line, rounds, seconds) for line in lines(run)]
    kept: Row = {
        "python": platform.python_version(), "cores": os.cpu_count(), "quick": chosen.quick, "rounds": rounds, "seconds": seconds,
        "ours": ours, "million": [million("million", 1_000_000 // run if chosen.million else 5, run), million("attention", 5, run)],
        "compared": against({name: p for name, p in peers.items() if p.there}, rounds, seconds),
        "peers": {name: p.told for name, p in peers.items()},
    }  # fmt: skip
    kept["load"] = [load, os.getloadavg()[0]]
    for peer in peers.values():
        peer.close()
    if chosen.keep or not chosen.quick:
        publish("generator.json", json.loads(json.dumps(kept)), "generator", "bench_generator.py", table(kept))
    else:
        print(table(kept))


if __name__ == "__main__":
    main()
