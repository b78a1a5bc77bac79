"""What a caller does with a sweep: plan, run, resume, status, report, export."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy.errors import fail
from anatomy.spaces import Space
from anatomy.sweep import config as settings
from anatomy.sweep.cache import Cache
from anatomy.sweep.config import Merge
from anatomy.sweep.migration import plainly
from anatomy.sweep.planning import Plan, make
from anatomy.sweep.progress import progress as line
from anatomy.sweep.request import configure
from anatomy.sweep.results import Results, results
from anatomy.sweep.running import PULL, Transport, carry_out, sensible
from anatomy.sweep.status import Status
from anatomy.sweep.status import read as standing
from anatomy.sweep.store import NAME, Store
from anatomy.sweep.transports import pull

if TYPE_CHECKING:
    from anatomy.sweep.explanation import Explanation, JobExplanation
    from anatomy.sweep.exports.query import Answer
    from anatomy.sweep.reports import Material

REPORT, WORDS = "report.html", "report.md"
CACHE = ".anatomy-cache"
"""The folder beside a sweep's folder through which overlapping sweeps share results."""


def plan(
    space: Space | str, tasks: Sequence[str] = ("recall",), *, sample: int | None = None, members: Sequence[int] | None = None,
    budget: int | None = None, seed: int = 0, seeds: int = 1, text: Path | str | None = None,
    sizes: Mapping[str, int] | None = None, radius: float = 1.0, norm: str = "frobenius", certify: bool = True,
    merge: Merge = "algebra", halving: int | None = None, rungs: int = 3, strata: Sequence[str] | None = None,
    out_dir: Path | str | None = None, cache: Path | str | None = None, progress: bool | None = None,
) -> Plan:  # fmt: skip
    """What `run` with the same arguments would do: variants, merged aliases, jobs with keys, rungs, and a rough forecast.

    `cached` of the plan counts the jobs whose results `out_dir` or the cache already have.
    """
    shared = _cache(Path(out_dir) if out_dir is not None else Path("sweep"), cache)
    config, found = configure(
        space, tasks, shared, sample=sample, members=members, budget=budget, seed=seed, seeds=seeds, text=text, sizes=sizes, radius=radius,
        norm=norm, certify=certify, merge=merge, halving=halving, rungs=rungs, strata=strata,
    )  # fmt: skip
    with line(progress) as shown:
        made = make(config, found, shown.scanning)
    known: set[str] = set()
    if out_dir is not None and (Path(out_dir) / NAME).exists():
        with opened(out_dir) as store:
            known = {key for (key,) in store.db.execute("select key from results")}
    there = Cache(shared)
    return replace(made, cached=sum(j.key in known or there.path(j.key).exists() for j in made.jobs))


def run(
    space: Space | str, out_dir: Path | str, tasks: Sequence[str] = ("recall",), jobs: int | None = None, seed: int = 0,
    transport: Transport = "process", *, sample: int | None = None, members: Sequence[int] | None = None,
    budget: int | None = None, seeds: int = 1, text: Path | str | None = None, sizes: Mapping[str, int] | None = None,
    radius: float = 1.0, norm: str = "frobenius", certify: bool = True,
    merge: Merge = "algebra", halving: int | None = None, rungs: int = 3, strata: Sequence[str] | None = None,
    timeout: float | None = None, cache: Path | str | None = None, progress: bool | None = None,
    retry: bool = False, address: str | None = None, max_failures: int | None = None,
) -> Status:  # fmt: skip
    """Check, certify and train members of a space, and write `table.csv` and `report.html` into `out_dir`.

    Members: all, `sample` different ones at random, or those of the ranks `members`; what is the same by `merge` is trained once:
    `canonical` equal diagrams, `algebra` also what laws or exact arithmetic prove equal, `numeric` also what is equal in numbers.
    `jobs` processes of one thread each (default: one for each core), `inline` this process, `ray` so many actors of a Ray cluster
    (joined by `address`, or started and stopped again), `pull` whoever runs `anatomy sweep worker` on the folder; the table is the
    same, byte for byte. `budget` is the number of training steps (default: the task's own), `seeds` that of trainings of each member,
    from `seed` on; `text` is what tasks of language read. Without `certify` no bounds are computed.
    With `halving` K, on tasks whose loss falls smoothly, `rungs` budgets are tried, each K times the one before; one in K goes on,
    apart for every combination of options of the holes `strata` (default: for every growth of the cost with the length).
    `timeout` stops a job after that many seconds (processes only); after `max_failures` failed jobs no more are begun.
    Running again takes up what is unfinished; `retry` also runs failed jobs again. Results are shared through `cache`,
    by default the folder `.anatomy-cache` beside `out_dir`. The first Ctrl-C or SIGTERM lets running jobs finish.
    Raises AnatomyError E801 (task), E802 (the folder holds another sweep), E804 (folder in use), E805 (what to sweep), E807 (rungs).
    """
    sensible(transport, timeout, max_failures)
    folder = Path(out_dir)
    config, found = configure(
        space, tasks, _cache(folder, cache), sample=sample, members=members, budget=budget, seed=seed, seeds=seeds, text=text, sizes=sizes,
        radius=radius, norm=norm, certify=certify, merge=merge, halving=halving, rungs=rungs, strata=strata,
    )  # fmt: skip
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if (folder / settings.NAME).exists() and not settings.read(folder).same(config):
        raise fail(
            "E802", f"`{folder}` holds another sweep",
            help="choose another folder, or take that one up with `anatomy sweep resume`; what both need is shared",
        )  # fmt: skip
    carry_out(config, found, folder, jobs, transport, timeout, progress, retry, address, max_failures, lambda r: _write(r, folder))
    return status(folder)


def resume(
    out_dir: Path | str, jobs: int | None = None, transport: Transport = "process", *, timeout: float | None = None,
    progress: bool | None = None, retry: bool = False, address: str | None = None, max_failures: int | None = None,
) -> Status:  # fmt: skip
    """Take up the sweep in a folder where it was left, however it ended. Raises E802, E803, E804."""
    folder = Path(out_dir)
    config = settings.read(folder)
    carry_out(config, config.load(), folder, jobs, transport, timeout, progress, retry, address, max_failures, lambda r: _write(r, folder))
    return status(folder)


def _cache(folder: Path, cache: Path | str | None) -> Path:
    return Path(cache) if cache is not None else folder.resolve().parent / CACHE


def worker(out_dir: Path | str, *, name: str = "", patience: float | None = None, told: Callable[[str], None] = print) -> int:
    """Do jobs of the sweep in a folder, whose coordinator runs with `transport="pull"` on this or another machine.

    Returns how many were done, when the coordinator says that it is over, or after `patience` seconds without any.
    Raises AnatomyError E803, E815.
    """
    folder = Path(out_dir)
    settings.read(folder)

    def jobs() -> dict[str, Any]:
        config = settings.read(folder)
        return {j.key: j for j in make(config, config.load()).jobs}

    return pull.work(folder / PULL, jobs, name, patience, told)


def opened(out_dir: Path | str) -> Store:
    folder = Path(out_dir)
    settings.read(folder)
    if not (folder / NAME).exists():
        raise fail("E803", f"`{folder}` holds a sweep that has not begun", help="`anatomy sweep resume` begins it")
    return Store(folder, readonly=True)


def status(out_dir: Path | str) -> Status:
    """Counts by rung, failures by class and the best member so far; reads the store only. Raises E803."""
    folder, config = Path(out_dir), settings.read(Path(out_dir))
    page = folder / REPORT
    with opened(folder) as store:
        notes = store.notes()
        warnings = tuple(json.loads(notes.get("warnings", "[]")))
        return standing(store, config, str(folder), str(page.resolve()) if page.exists() else "", warnings, notes.get("stopped", ""))


def export(out_dir: Path | str, path: Path | str, runs: bool = False) -> Path:
    """Write the table, one row a variant, or with `runs` one row a training.

    The suffix chooses: `.csv`, `.json`, `.parquet`, or `.sqlite` and `.db` for an Optuna storage, which optuna-dashboard opens.
    Raises AnatomyError E803, E806 (no such format, or the extra `export` is missing), E813.
    """
    from anatomy.sweep.exports import write

    with opened(out_dir) as store, plainly(Path(path)):
        write(results(store, settings.read(Path(out_dir))), Path(path), runs)
    return Path(path)


def query(out_dir: Path | str, sql: str) -> Answer:
    """What DuckDB answers to one statement over the tables variants, runs, curves, failures and holes; it can touch nothing else.

    Raises AnatomyError E803, E806.
    """
    from anatomy.sweep.exports.query import ask

    with opened(out_dir) as store:
        found = results(store, settings.read(Path(out_dir)))
    return ask(found, sql)


def explain(out_dir: Path | str, name: str | int) -> Explanation:
    """Everything about one variant, by its name or rank: how it came about, what was found, and why. Raises AnatomyError E803, E814."""
    from anatomy.sweep.explaining import variant

    with opened(out_dir) as store:
        return variant(store, results(store, settings.read(Path(out_dir))), str(name))


def explain_job(out_dir: Path | str, key: str) -> JobExplanation:
    """Why a job is in its state, and what its key hashes; the beginning of a key will do. Raises AnatomyError E803, E814."""
    from anatomy.sweep.explaining import job

    with opened(out_dir) as store:
        return job(store, results(store, settings.read(Path(out_dir))), key)


def report(out_dir: Path | str, path: Path | str | None = None, pictures: int | None = None) -> Path:
    """Write what a sweep says: `report.html`, one page that needs no network, and `report.md` beside it, or the one file that is named.

    A name that ends in `.md` gives the words. `pictures` of the best variants are drawn into the page; by default as many as keep it light.
    Raises E803.
    """
    return _write(_found(Path(out_dir)), Path(out_dir), path, pictures)


def markdown(out_dir: Path | str) -> str:
    """What a sweep says, as Markdown; nothing is written. Raises E803."""
    from anatomy.sweep.reports import markdown as words

    return words(_material(_found(Path(out_dir)), Path(out_dir), 0, plots=False))


def _found(folder: Path) -> Results:
    config = settings.read(folder)
    with opened(folder) as store:
        return results(store, config)


def _material(found: Results, folder: Path, pictures: int | None, plots: bool = True) -> Material:
    from anatomy.sweep.reports import gather
    from anatomy.sweep.statistics import findings

    return gather(found, findings(found), folder, pictures, plots)


def _write(found: Results, folder: Path, path: Path | str | None = None, pictures: int | None = None) -> Path:
    from anatomy.sweep.reports import write

    made = _material(found, folder, pictures)
    targets = (folder / WORDS, folder / REPORT) if path is None else (Path(path),)
    for target in targets:
        with plainly(target):
            write(made, target)
    return targets[-1]
