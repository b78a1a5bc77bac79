"""Every claim about compiled speed, and everybody else we know, in turns in one process.

    python benchmarks/bench_peers.py [--quick] [--only WORD ... [--write]]

Cores, recurrences and layers of the zoo against code as it is written, as an expert writes it, and as other packages have it,
with the same weights; bytes kept for gradients; milliseconds from a diagram to a module; many models in one. Writes
`benchmarks/peers_speed.json` and its part of the README; with `--only` it prints rows, and replaces them there with `--write`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import time
import warnings
from typing import Any

import cases_by_hand
import cases_cores
import cases_modules
import cases_recurrent
import claims
import torch
from losses import reason
from report import HERE, publish
from timing import OURS, measured, met

PACKAGES = ("x-transformers", "performer-pytorch", "fla-core", "local-attention", "linformer", "nystrom-attention", "agent-attention-pytorch", "aft-pytorch", "transformers")
LOSS = 1.05


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def contests(only: list[str], quick: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """All rows, and whom there was no package for."""
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    everything = [*cases_cores.cases(), *cases_recurrent.cases(), *cases_by_hand.cases(), *cases_modules.cases(), *((c, (False, True)) for c in claims.CLAIMS)]
    for make, passes in everything:
        for backward in passes:
            if only and not any(word in make.__qualname__ or word in make.__name__ for word in only):
                continue
            contest = make(backward)
            missing |= {f"{contest.name}, {name}": why for name, why in contest.missing.items()}
            threads = (1, 2) if any(w.bar for w in contest.ways.values()) else (1,)
            found = measured(contest, backward, 1.0, (1,), 5, 1.0) if quick else measured(contest, backward, threads=threads)
            rows += found
            for row in found:
                print(line(row), flush=True)
    return rows, missing


def number(x: float) -> str:
    return f"{x:.2f}" if x >= 0.1 else f"{x:.3f}"


def share(told: dict[str, Any] | None) -> str:
    return f"{number(told['ratio'])} ({number(told['spread'][0])} to {number(told['spread'][1])})" if told else ""


def line(row: dict[str, Any]) -> str:
    one = row["threads"]["1"]
    bar = {None: "", True: f"{row.get('bar_words')}: met", False: f"{row.get('bar_words')}: **missed**"}[met(row)]
    against = row["against"] + ("" if row["outputs"] == "equal" else " †")
    more = f", {row['compile_seconds']:.1f} s to compile" if "compile_seconds" in row else ""
    what = "forward" if row["pass"] == "forward" else "both"
    return (
        f"| {row['case']}: {row['size']} | {what} | {one['ours_ms']:.1f} | {against}{more} | {one['theirs_ms']:.1f} "
        f"| {share(one)} | {share(row['threads'].get('2'))} | {bar} |"
    )


def summary(data: dict[str, Any]) -> str:
    rows = data["rows"]
    barred = [r for r in rows if "bar" in r]
    missed = [r for r in barred if not met(r)]
    lost = [r for r in rows if r["threads"]["1"]["ratio"] > LOSS]
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: r["threads"]["1"]["ratio"]):
        best.setdefault(row["case"], row)

    cases: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault((row["case"], row["size"]), []).append(row)
    level = sum(all(r["threads"]["1"]["ratio"] <= LOSS for r in theirs) for theirs in cases.values())

    def named(row: dict[str, Any]) -> str:
        return f"{row['case']}, {row['pass']}, against {row['against']}"

    lines = [
        f"{len(rows)} rows, {len(barred)} with a bar, {len(barred) - len(missed)} of them met. Torch {data['torch']}, "
        + ", ".join(f"{k} {v}" for k, v in data["packages"].items()) + f"; load {data['load']:.1f} when it began{', a quick run of one thread and few rounds' if data['quick'] else ''}."
    ]  # fmt: skip
    lines += ["", f"Of {len(cases)} cores and layers {level} ({level / len(cases):.0%}) take at most {LOSS:.2f} of the time of the best other form that stands here, forward and with gradients."]
    lines += ["", "The five largest wins:", ""]
    lines += [f"- {1 / r['threads']['1']['ratio']:.1f} times faster: {named(r)}" for r in list(best.values())[:5]]
    lines += ["", f"Losses, of more than {LOSS:.2f} times their time with one thread, and why:" if lost else "No loss of more than 1.05 times their time.", ""]
    lines += [f"- {r['threads']['1']['ratio']:.2f}: {named(r)}: {reason(r['case'], r['against'], r['threads']['1']['spread'][0])}" for r in sorted(lost, key=lambda r: -r["threads"]["1"]["ratio"])]
    lines += ["", "| what a forward pass keeps for its gradient, n = 1,024 | ours, MiB | as written, MiB | ratio | bar |", "|---|---|---|---|---|"]
    for r in data["saved"]:
        bar = "" if r["bar"] is None else f"at most {r['bar']:.2f}: " + ("met" if r["ratio"] <= r["bar"] else "**missed**")
        lines.append(f"| {r['case']} | {r['ours_mib']:.1f} | {r['as_written_mib']:.1f} | {number(r['ratio'])} | {bar} |")
    source = data["source"]
    repeated = [("least", f"the least of {source['repetitions']}")] if source["repetitions"] > 1 else []
    for which, words in [("first", "the first time"), *repeated]:
        told = source[which]
        worst = ", ".join(f"{k} {v:.0f}" for k, v in told["worst"].items())
        lines += ["", f"From a diagram to a module with its weights, {words}: median {told['median_ms']:.1f} ms, {told['below_the_bar']} of {told['of']} entries under {source['bar_ms']:.0f} ms; the longest: {worst}."]
    if data["missing"]:
        lines += ["", "Not installed, so without a row: " + "; ".join(data["missing"]) + "."]
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    head = ["| case | pass | ours, ms | against | theirs, ms | ours / theirs, one thread | two threads | bar |", "|---|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *(line(r) for r in rows)])


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["case"], row["size"], row["pass"], row["against"])


def written(data: dict[str, Any]) -> None:
    """Write the figures, and their tables between the marks of the README."""
    publish("peers_speed.json", data, "peers", "bench_peers.py", f"{summary(data)}\n\n{table(data['rows'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one thread and few rounds, and says so")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="only cases whose function is called so; writes nothing unless told to")
    parser.add_argument("--write", action="store_true", help="with --only: put the rows in the place of the old ones")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # other people's
    torch.set_num_threads(1)
    began, load = time.time(), os.getloadavg()[0]
    if options.only:
        rows, _ = contests(options.only, options.quick)
        if options.write:
            data = json.loads((HERE / "peers_speed.json").read_text("utf-8"))
            fresh = {key(r): r for r in rows}
            data["rows"] = [fresh.get(key(r), r) for r in data["rows"]]
            written(data)
        return
    source, saved = claims.generated(1 if options.quick else 3), claims.saved()
    rows, missing = contests([], options.quick)
    data = {
        "torch": torch.__version__, "packages": versions(), "load": load, "quick": options.quick, "ours": OURS, "rows": rows, "missing": missing,
        "saved": saved, "source": source, "minutes": round((time.time() - began) / 60, 1),
    }  # fmt: skip
    written(data)


if __name__ == "__main__":
    main()
