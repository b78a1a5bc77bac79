"""What a sweep costs beside its training: a job's overhead on every transport, against others; questions to a store of 10,000 jobs.

`python benchmarks/bench_sweep.py [--write]` takes some minutes; `--write` puts the tables into benchmarks/README.md. A job is a null
task: it makes its mixer and returns. All carry the same jobs to the same worker function; ours also checks every result, writes it to a
journal, to SQLite and to the shared cache, and decides what may run next. Starting workers is not counted: the first jobs of a
carrier are not. Rounds are taken in turns, so that other work on the machine meets all alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from anatomy import sweep
from anatomy.errors import Source
from anatomy.language.program import Program
from anatomy.spaces import Space
from anatomy.sweep import api
from anatomy.sweep import config as settings
from anatomy.sweep.cache import Cache
from anatomy.sweep.config import Config
from anatomy.sweep.engine import Engine
from anatomy.sweep.evaluate import evaluate
from anatomy.sweep.planning import Plan, make
from anatomy.sweep.store import Store
from anatomy.sweep.transports.local import Inline, Processes

ROOT = Path(__file__).resolve().parents[1]
TASK = "benchmarks.null_task"
WORKERS = 2
WARM = 40
ROUNDS = 7
SEEDS = 60
GOAL = 5.0
"""Milliseconds of overhead a job, at most."""
SMALL = """
axis n, m = n, d, e = d
diagram layer(x: [n, d]) -> [n, d] {
  hole weigh(s: [n, m]) -> [n, m]
  q = lin Wq[d -> e](x)
  k = lin Wk[d -> e](x[n -> m])
  v = lin Wv[d -> e](x[n -> m])
  simd n, m { s = dot[e](q, k) }
  out dot[m](weigh(s), v)[e -> d]
}
diagram soft(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s)) }
diagram sharp(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s * 2)) }
space small of layer { choose weigh in { soft, sharp } }
"""
Turn = Callable[[Plan], list[float]]


def planned(seed: int, seeds: int = SEEDS) -> Plan:
    space = Space(Program.of(Source("small.anat", SMALL)).space("small"))
    config = Config(
        target="small.anat::small", path="small.anat", text=SMALL, space=space.name, digest=space.digest, members=(0,), tasks=(TASK,), seed=seed,
        seeds=seeds, certify=False, merge="canonical", cache="",
    )  # fmt: skip
    return make(config, space)


# turns: each gives the moments at which jobs were over ----------------------------------------------------


def ours(carrier: Any) -> Turn:
    def turn(plan: Plan) -> list[float]:
        moments: list[float] = []
        with tempfile.TemporaryDirectory() as place, Store(Path(place)) as store:
            store.install(plan, ("" for _ in plan.variants))
            Engine(plan, store, Cache(Path(place) / "cache"), carrier, lambda *_: moments.append(time.perf_counter())).run()
        return moments

    return turn


def pool(executor: ProcessPoolExecutor) -> Turn:
    return lambda plan: [time.perf_counter() for _ in executor.map(evaluate, plan.jobs, chunksize=1)]


def joblib() -> Turn:
    parallel = import_module("joblib").Parallel(n_jobs=WORKERS, return_as="generator", batch_size=1)
    delayed = import_module("joblib").delayed
    return lambda plan: [time.perf_counter() for _ in parallel(delayed(evaluate)(j) for j in plan.jobs)]


def raw_ray(ray: Any) -> Turn:
    work = ray.remote(num_cpus=1)(evaluate)

    def turn(plan: Plan) -> list[float]:
        moments, waiting = [], [work.remote(j) for j in plan.jobs]
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            ray.get(ready)
            moments.append(time.perf_counter())
        return moments

    return turn


def alone(plan: Plan) -> list[float]:
    moments = []
    for item in plan.jobs:
        evaluate(item)
        moments.append(time.perf_counter())
    return moments


def each(moments: list[float]) -> float:
    """Milliseconds a job, the first ones not counted."""
    return 1e3 * (moments[-1] - moments[WARM]) / (len(moments) - 1 - WARM)


@contextmanager
def carriers() -> Iterator[dict[str, Turn]]:
    with tempfile.TemporaryDirectory() as place:
        log = Path(place)
        inline, processes = Inline(log / "inline.jsonl"), Processes(WORKERS, lambda k: log / f"{k}.jsonl")
        executor = ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))
        ways = {"the worker function alone": alone, "inline": ours(inline), "process": ours(processes), "ProcessPoolExecutor": pool(executor)}
        closing: list[Callable[[], object]] = [inline.close, processes.close, executor.shutdown]
        try:
            ways["joblib"] = joblib()
        except ImportError:
            print("joblib is not installed: its row stays empty", file=sys.stderr)
        try:
            ray = import_module("ray")
            os.environ["PYTHONPATH"] = str(ROOT)
            ray.init(num_cpus=2 * WORKERS, include_dashboard=False, log_to_driver=False, configure_logging=False)
            from anatomy.sweep.transports.ray import Ray

            carrier = Ray(WORKERS, log / "ray.jsonl")
            ways |= {"ray": ours(carrier), "Ray tasks": raw_ray(ray)}
            closing += [carrier.close, ray.shutdown]
        except ImportError:
            print("Ray is not installed: its rows stay empty", file=sys.stderr)
        try:
            yield ways
        finally:
            for close in closing:
                close()


PEERS = {"process": ("ProcessPoolExecutor", "joblib"), "ray": ("Ray tasks",)}


def overhead() -> list[str]:
    spent: dict[str, list[float]] = {}
    with carriers() as ways:
        for k in range(ROUNDS + 1):
            plan = planned(k * SEEDS)
            names = list(ways)
            for name in names[k % len(names) :] + names[: k % len(names)]:
                moments = ways[name](plan)
                if k:  # the first round starts workers
                    spent.setdefault(name, []).append(each(moments))
    work = spent["the worker function alone"]
    lines = [
        f"A null job, {len(planned(0).jobs) - WARM} of them in each of {ROUNDS} rounds in turns, {WORKERS} workers where there are several; milliseconds of wall time a job. "
        f"Beyond the work: less the worker function alone, shared among the workers. Goal: {GOAL:g} ms.",
        "", "| carrier | median | least to greatest | beyond the work |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, times in spent.items():
        share = 1 if name in ("inline", "the worker function alone") else WORKERS
        beyond = statistics.median(t - w / share for t, w in zip(times, work, strict=True))
        verdict = "" if name in ("the worker function alone", *sum(PEERS.values(), ())) else " (goal met)" if beyond <= GOAL else " (**goal missed**)"
        lines.append(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} to {max(times):.2f} | {'' if name == 'the worker function alone' else f'{beyond:.2f}{verdict}'} |")
    lines += ["", "| ours | against | ratio of the medians | by round |", "|---|---|---|---|"]
    for name, peers in PEERS.items():
        for peer in peers:
            if name in spent and peer in spent:
                ratios = [a / b for a, b in zip(spent[name], spent[peer], strict=True)]
                ratio = statistics.median(spent[name]) / statistics.median(spent[peer])
                lines.append(f"| {name} | {peer} | {ratio:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return lines


# a store of 10,000 jobs -----------------------------------------------------------------------------------


RESULTS: dict[str, dict[str, Any]] = {
    "check": {"reason": "", "causal": True, "leak": "", "finite": True, "alive": True, "scale": 1.0, "parameters": 192},
    "initialisation": {"gain": 1.0, "gain_spread": 0.1},
    "train": {
        "score": 0.5, "loss": 0.5, "steps": 20, "solved": False, "diverged": False, "trials": 100, "parameters": 192, "rate": 0.01,
        "curve": [[k, 0.1 + 0.02 * k, 1.0 - 0.02 * k] for k in range(20)],
    },
}  # fmt: skip
"""Results such as a small task leaves, with a curve of twenty points."""


def large(folder: Path, variants: int = 2_500) -> int:
    """A folder as a sweep of so many variants leaves it, four jobs each, all done; how many jobs."""
    plan = planned(0, 2)
    model = plan.variants[-1]

    def copied(k: int) -> Any:
        jobs = tuple(replace(j, key=blake2b(f"{k}/{j.key}".encode(), digest_size=16).hexdigest()) for j in model.jobs)
        return replace(model, name=f"{model.name}_{k}", rank=k, jobs=jobs)

    plan = replace(plan, variants=tuple(copied(k) for k in range(variants)))
    settings.write(plan.config, folder)
    log = folder / api.LOG
    log.mkdir()
    with Store(folder) as store, (log / "00000.jsonl").open("w") as journal:
        store.install(plan, ("diagram" for _ in plan.variants))
        for k, j in enumerate(plan.jobs):
            result = {**RESULTS[j.stage], "score": k / len(plan.jobs)} if j.stage == "train" else RESULTS[j.stage]
            journal.write(json.dumps({"key": j.key, "state": "done", "result": result, "seconds": 0.1}, sort_keys=True) + "\n")
        journal.flush()
        store.replay(log, {j.key: j.stage for j in plan.jobs})
    return len(plan.jobs)


def asked(name: str, action: Callable[[], object], goal: str = "", times: int = 7) -> str:
    wall, cpu = [], []
    for _ in range(times):
        begin, spent = time.perf_counter(), _everything()
        action()
        wall.append(time.perf_counter() - begin)
        cpu.append(_everything() - spent)
    return f"| {name} | {statistics.median(cpu):.3f} | {min(cpu):.3f} to {max(cpu):.3f} | {statistics.median(wall):.3f} | {min(wall):.3f} to {max(wall):.3f} | {goal} |"


def _everything() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def questions() -> list[str]:
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "sweep", Path(place)
        folder.mkdir()
        count = large(folder)
        found = sweep.status(folder)
        assert found.done == count >= 10_000, found
        size = (folder / "store.sqlite").stat().st_size / 1e6
        def opened_again() -> None:
            with Store(folder) as store:
                store.cleanse({})

        command = [sys.executable, "-m", "anatomy", "sweep", "status", str(folder)]
        lines = [
            f"A store of {count:,} finished jobs of {found.variants:,} variants ({size:.0f} MB), seconds.",
            "", "| what | processor, median | least to greatest | wall, median | least to greatest | goal |", "|---|---|---|---|---|---|",
            asked("status, from Python", lambda: sweep.status(folder), "1"),
            asked("`anatomy sweep status`, the command from its start", lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT), "1"),
            asked("explain of one variant", lambda: sweep.explain(folder, 7), times=3),
            asked("table as CSV", lambda: sweep.export(folder, out / "t.csv"), times=3),
            asked("opened for writing: checked for damage, every checksum", opened_again, times=3),
        ]  # fmt: skip
        for name, words, act in (
            ("duckdb", "trainings as Parquet", lambda: sweep.export(folder, out / "t.parquet", runs=True)),
            ("duckdb", "a query", lambda: sweep.query(folder, "select avg(score) from runs")),
            ("optuna", "Optuna storage", lambda: sweep.export(folder, out / "t.db")),
        ):
            try:
                import_module(name)
            except ImportError:
                continue
            lines.append(asked(words, act, times=1 if name == "optuna" else 3))
    return lines


def main() -> None:
    sys.path.insert(0, str(ROOT))
    load1 = os.getloadavg()[0]
    lines = [*questions(), "", *overhead(), ""]
    lines.append(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores; load average {load1:.1f} at the start and {os.getloadavg()[0]:.1f} at the end.")
    text = "\n".join(lines)
    print(text)
    if "--write" in sys.argv:
        path = ROOT / "benchmarks" / "README.md"
        head, mark, rest = path.read_text("utf-8").partition("<!-- sweep: written by bench_sweep.py -->\n")
        _, end, tail = rest.partition("<!-- sweep: end -->")
        if not (mark and end):
            raise SystemExit("the place in benchmarks/README.md is gone")
        path.write_text(f"{head}{mark}\n{text}\n\n{end}{tail}", "utf-8")


if __name__ == "__main__":
    main()
