"""Are the seeds of a variant, trained as one ensemble, faster than one job for each? And are the results the same?

`python benchmarks/bench_seeds.py --text FILE` writes `seeds.json` and the table in README.md. A job of a sweep trains its learning rates as one
ensemble; here two jobs (seeds 0 and 1) are trained step by step in turns with one ensemble of both, which reads the batches of two
seeds; and the rates of one job in turns with a job for each. One process, one thread, processor time, medians of the steps.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import replace
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from report import publish
from torch import Tensor

from anatomy.api import load
from anatomy.sweep.fit import Members, schedule
from anatomy.sweep.mixer import Mixer
from anatomy.sweep.streamed import Streamed
from anatomy.sweep.task import load_task

MIXERS: tuple[tuple[str, dict[str, int]], ...] = (
    ("zoo:spaces/controls::baseline", {}), ("zoo:spaces/controls::causal_average", {}),
    ("zoo:causal_mha", {"h": 4}), ("zoo:gla", {"h": 2}),
)  # fmt: skip
SEEDS = (0, 1)


class Together(Members):
    """The members of several jobs as one ensemble: those of the first seed, then those of the next."""

    def __init__(self, task: Streamed, mixer: Mixer, seeds: tuple[int, ...]):
        from anatomy.compiler import build
        from anatomy.sweep.backbone import model
        from anatomy.sweep.check import lift_name
        from anatomy.sweep.sizes import model_sizes

        alone = Members(task, mixer, seeds[0])
        whole = model(mixer, task, task.readout)
        inner = model_sizes(whole, mixer.diagram, task.length, task.width, mixer.sizes)
        sizes = {**inner, "n": task.length, "d": task.width, "v": task.vocabulary}
        self.each, count = task.rates, task.rates * len(seeds)
        self.rates = alone.rates * len(seeds)
        self.net = build(whole, sizes, (lift_name(whole),), [s for s in seeds for _ in range(task.rates)], ensemble=count)
        self.learnt = [p for p in self.net.parameters() if p.requires_grad]
        self.alive = torch.ones(count, dtype=torch.bool)
        spared = [p for p in self.learnt if task.sparing and p.dim() <= 2]
        ids = set(map(id, spared))
        groups = [{"params": [p for p in self.learnt if id(p) not in ids]}, {"params": spared, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=1.0, betas=(0.9, task.beta), weight_decay=task.decay)

    def losses(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and targets [seeds, rows, length]; every job takes the mean over what it asks by itself."""
        logits = self.net(tokens.repeat_interleave(self.each, 0)).unflatten(0, (len(tokens), self.each))
        found = []
        for told, wanted in zip(logits, targets, strict=True):
            told, wanted = told[:, wanted >= 0], wanted[wanted >= 0]
            loss = torch.nn.functional.cross_entropy(told.flatten(0, 1), wanted.repeat(self.each), reduction="none").view(self.each, -1).mean(1)
            found.append((loss, (told.detach().argmax(-1) == wanted).to(torch.float64).mean(1)))
        return torch.cat([loss for loss, _ in found]), torch.cat([right for _, right in found])


def settings(text: str) -> list[tuple[str, Streamed]]:
    found = [
        ("`recall`", load_task("recall")), ("`characters`", load_task(f"characters:text={text}")), ("`nanogpt`, 1 rate", load_task(f"nanogpt:text={text}")),
        ("`recall`, width 16, 8 rows of 12, 1 rate", load_task("recall:width=16,batch=8,length=12,pairs=2,vocabulary=16,rates=1")),
    ]  # fmt: skip
    return [(name, task) for name, task in found if isinstance(task, Streamed)]


def measure(task: Streamed, name: str, sizes: dict[str, int], steps: int) -> dict[str, Any]:
    """Milliseconds of a step of both jobs, one by one and together, and of one job with its rates one by one."""
    mixer = Mixer(load(name), sizes, task.length, task.width, 0)
    alone = [Members(task, mixer, seed) for seed in SEEDS]
    both = Together(task, mixer, SEEDS)
    single = [Members(replace(task, rate=rate, rates=1), mixer, SEEDS[0]) for rate in alone[0].rates]
    times: dict[str, list[float]] = {"one by one": [], "together": [], "job": [], "rates one by one": []}
    for step in range(steps):
        share = schedule(step, steps, task.warm, task.floor)
        batches = [task.draw("train", seed, step) for seed in SEEDS]
        stacked = np.stack([b[0] for b in batches]), np.stack([b[1] for b in batches])
        at = [process_time()]
        alone[0].learn(batches[0], share)
        at.append(process_time())
        alone[1].learn(batches[1], share)
        at.append(process_time())
        both.learn(stacked, share)
        at.append(process_time())
        for members in single:
            members.learn(batches[0], share)
        at.append(process_time())
        for key, spent in zip(times, (at[2] - at[0], at[3] - at[2], at[1] - at[0], at[4] - at[3]), strict=True):
            times[key].append(1000 * spent)
    found = {key: median(spent[2:]) for key, spent in times.items()}
    same = all(torch.equal(torch.cat([a, b]), p) for a, b, p in zip(alone[0].learnt, alone[1].learnt, both.learnt, strict=True))
    apart = all(torch.equal(torch.cat(ps), p) for p, *ps in zip(alone[0].learnt, *(m.learnt for m in single), strict=True))
    return {**{k: round(v, 2) for k, v in found.items()}, "seeds equal": same, "rates equal": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", required=True)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for setting, task in settings(options.text):
        for name, sizes in MIXERS:
            if "1 rate" in setting and name != MIXERS[2][0]:
                continue
            rows.append({"task": setting, "mixer": name, **measure(task, name, sizes, options.steps)})
            print(rows[-1], flush=True)
    lines = ["| task | mixer | two jobs, ms a step | as one ensemble | ratio | same bits | rates of a job one by one, over as one | same bits |", "|---|---|---|---|---|---|---|---|"]
    for r in rows:
        over = "" if "1 rate" in r["task"] else f"{r['rates one by one'] / r['job']:.2f}"
        lines.append(
            f"| {r['task']} | `{r['mixer'].removeprefix('zoo:').removeprefix('spaces/controls::')}` | {r['one by one']:.1f} | {r['together']:.1f} "
            f"| {r['together'] / r['one by one']:.2f} | {'yes' if r['seeds equal'] else 'no'} | {over} | {('yes' if r['rates equal'] else 'no') if over else ''} |"
        )  # fmt: skip
    figures = {"torch": torch.__version__, "python": platform.python_version(), "steps": options.steps, "rows": rows}
    publish("seeds.json", figures, "seeds", "bench_seeds.py", "\n".join(lines))


if __name__ == "__main__":
    main()
