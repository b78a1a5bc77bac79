"""The anchors of the sweep, by the commands that a user types: controls in their order, and a published recipe's loss.

`python benchmarks/bench_anchors.py --text tinyshakespeare.txt` writes `anchors.json` and the table in README.md; `--only controls` or `--only recipe`
does one of them. The report's loss is on the last twentieth of the text; that of the stream `choose`, which chooses nothing where there is one rate, on
the twentieth before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from report import HERE, publish

RECALL, CHARACTERS = "recall:rates=1,budget=200", "characters:rates=1,rate=0.005,budget=600"
CONTROLS = ("zoo:spaces/attention", "--sample", "0", "--seeds", "2", "--tasks", f"{RECALL},{CHARACTERS}")
RECIPE = (f"{HERE / 'anchors.anat'}::multihead", "--size", "h=4", "--tasks", "nanogpt")
NAMES = {"baseline": "softmax", "causal_average": "mean of the past", "no_mixing": "no mixing", "multihead_0": "causal_mha, h = 4"}


def swept(words: tuple[str, ...], text: str, folder: Path) -> list[dict[str, Any]]:
    """Run a sweep, and read its trainings."""
    command = [sys.executable, "-m", "anatomy", "sweep", "run", *words, "--text", text, "--no-regularity", "--jobs", "1", "--out", str(folder)]
    subprocess.run(command, check=True)
    return read(folder)


def read(folder: Path) -> list[dict[str, Any]]:
    """Every training of a sweep: variant, task, seed, result and CPU seconds."""
    from anatomy.sweep import config as settings
    from anatomy.sweep.results import results
    from anatomy.sweep.store import Store

    store = Store(folder, readonly=True)
    try:
        found = results(store, settings.read(folder))
        told = {run.key: store.result(run.key) or {} for entry in found.entries for run in entry.runs}
        seconds = dict(store.db.execute("select key, seconds from timings"))
    finally:
        store.close()
    return [
        {
            "variant": entry.name, "task": run.task.partition(":")[0], "seed": run.seed, "score": run.score, "loss": run.loss,
            "choose": min(rate[2] for rate in told[run.key]["rates"]), "steps": run.steps, "seconds": seconds[run.key],
        }
        for entry in found.entries for run in entry.runs if run.state == "done"
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", required=True)
    parser.add_argument("--only", choices=("controls", "recipe"))
    parser.add_argument("--read", nargs=2, metavar=("CONTROLS", "RECIPE"), help="folders of these sweeps, done before")
    options = parser.parse_args()
    file = HERE / "anchors.json"
    figures: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for k, (name, words) in enumerate((("controls", CONTROLS), ("recipe", RECIPE))):
            if options.only in (None, name):
                figures[name] = read(Path(options.read[k])) if options.read else swept(words, options.text, Path(scratch) / name)
    lines = ["| task | mixer | seed | score | loss, report | loss, held-out tenth | steps | CPU-seconds |", "|---|---|---|---|---|---|---|---|"]
    for run in figures.get("controls", []) + figures.get("recipe", []):
        both = f"{(run['loss'] + run['choose']) / 2:.3f}" if run["task"] != "recall" else ""
        lines.append(
            f"| `{run['task']}` | {NAMES[run['variant']]} | {run['seed']} | {run['score']:.3f} | {run['loss']:.3f} | {both} | {run['steps']} | {run['seconds']:.1f} |"
        )  # fmt: skip
    publish("anchors.json", figures, "anchors", "bench_anchors.py", "\n".join(lines))


if __name__ == "__main__":
    main()
