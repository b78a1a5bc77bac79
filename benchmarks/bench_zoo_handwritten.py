"""Compiled entries of the zoo against the best code that we could write for them by hand (`handwritten.py`), interleaved.

The outputs and the gradients of the input are compared first. Processor time of one thread, the least of the rounds; the spread is that of the
ratios of the rounds. Two sequences of n tokens with 512 features, eight heads. Writes `benchmarks/handwritten.json` and its table
in the README.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from typing import Any

import torch
from handwritten import CASES, Forward
from report import HERE, publish
from torch import Tensor, nn

import anatomy

WITHIN = 1.05


def once(run: Forward, net: nn.Module, x: Tensor, backward: bool) -> float:
    if not backward:
        started = time.process_time()
        with torch.no_grad():
            run(net, x)
        return time.process_time() - started
    net.zero_grad()
    x.grad = None
    started = time.process_time()
    run(net, x).square().mean().backward()
    return time.process_time() - started


def differ(a: Tensor, b: Tensor) -> float:
    """The greatest difference, relative to the greatest entry."""
    return float(((a - b).abs().max() / a.abs().max()).detach())


def compare(name: str, n: int, seconds: float, backward: bool) -> dict[str, Any]:
    by_hand, sizes = CASES[name]
    torch.manual_seed(0)
    net = anatomy.compile(anatomy.load(f"zoo:{name}"), sizes(n), lift=("b",))
    x = torch.randn(2, n, 512, requires_grad=True)
    ways: dict[str, Forward] = {"ours": lambda net, x: net(x), "hand": by_hand}
    ours, hand = (run(net, x) for run in ways.values())
    ours_by, hand_by = (torch.autograd.grad(y.square().mean(), x)[0] for y in (ours, hand))
    if not (differ(hand, ours) < 1e-4 and differ(hand_by, ours_by) < 1e-3):
        raise AssertionError(f"{name}: outputs differ by {differ(hand, ours):.1e}, gradients by {differ(hand_by, ours_by):.1e} of the greatest")
    spent = sum(once(run, net, x, backward) for run in ways.values())
    count = max(7, min(60, int(seconds / spent)))
    times: dict[str, list[float]] = {way: [] for way in ways}
    gc.collect()
    gc.disable()
    for k in range(count):
        for way in list(ways)[:: 1 if k % 2 else -1]:
            times[way].append(once(ways[way], net, x, backward))
    gc.enable()
    ratios = sorted(a / b for a, b in zip(times["ours"], times["hand"], strict=True))
    return {
        "entry": name, "n": n, "pass": "forward and backward" if backward else "forward", "rounds": count,
        "milliseconds": {way: round(1e3 * min(values), 2) for way, values in times.items()},
        "ours_over_hand": round(min(times["ours"]) / min(times["hand"]), 3), "spread": [round(ratios[0], 3), round(ratios[-1], 3)],
    }  # fmt: skip


def together(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """A measurement with the rounds of two."""
    least = {way: min(a["milliseconds"][way], b["milliseconds"][way]) for way in a["milliseconds"]}
    spread = [min(a["spread"][0], b["spread"][0]), max(a["spread"][1], b["spread"][1])]
    return a | {"rounds": a["rounds"] + b["rounds"], "milliseconds": least, "ours_over_hand": round(least["ours"] / least["hand"], 3), "spread": spread}


def table(rows: list[dict[str, Any]]) -> str:
    """One line for an entry, its ratios by size and pass."""
    columns = list(dict.fromkeys((r["n"], r["pass"]) for r in rows))
    lines = ["| entry | " + " | ".join(f"n = {n}, {what}" for n, what in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    by = {(r["entry"], r["n"], r["pass"]): r for r in rows}
    for name in dict.fromkeys(r["entry"] for r in rows):
        found = [by[name, *column] for column in columns]
        lines.append(f"| {name} | " + " | ".join(f"{r['ours_over_hand']:.2f} ({r['milliseconds']['ours']:.1f} ms)" for r in found) + " |")
    within = sum(r["ours_over_hand"] <= WITHIN for r in rows)
    entries = {r["entry"] for r in rows}
    always = {e for e in entries if all(r["ours_over_hand"] <= WITHIN for r in rows if r["entry"] == e)}
    lines += ["", f"Within {WITHIN} of the code by hand: {within} of {len(rows)} measurements, and both passes at all sizes of {len(always)} of {len(entries)} entries."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="processor time for the rounds of one measurement")
    parser.add_argument("--tokens", type=int, nargs="*", default=[512, 1024])
    parser.add_argument("--only", nargs="*", help="entries; then nothing is written")
    parser.add_argument("--again", action="store_true", help="further rounds to those that are recorded, for all entries")
    parser.add_argument("--forward", action="store_true", help="no gradients")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.only or CASES:
        for n in options.tokens:
            for backward in (False,) if options.forward else (False, True):
                rows.append(compare(name, n, options.seconds, backward))
                r = rows[-1]
                print(f"{name:20} {n:5} {r['pass']:21} {r['ours_over_hand']:6.3f} {r['spread']} {r['milliseconds']}", flush=True)
    if options.only:
        return
    if options.again:
        before = {(r["entry"], r["n"], r["pass"]): r for r in json.loads((HERE / "handwritten.json").read_text("utf-8"))["rows"]}
        rows = [together(before[key], r) if (key := (r["entry"], r["n"], r["pass"])) in before else r for r in rows]
    publish("handwritten.json", {"torch": torch.__version__, "rows": rows}, "handwritten", "bench_zoo_handwritten.py", table(rows))


if __name__ == "__main__":
    main()
