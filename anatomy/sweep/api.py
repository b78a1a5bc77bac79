"""What a caller does with a sweep: plan, run, resume, status, report, export."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from anatomy.errors import fail
from anatomy.spaces import Space
from anatomy.sweep import config as settings
from anatomy.sweep.config import Config
from anatomy.sweep.engine import Engine, draining, locked
from anatomy.sweep.planning import Plan, make, source_of
from anatomy.sweep.progress import progress as line
from anatomy.sweep.store import NAME, Cache, Store
from anatomy.sweep.table import export as write_table
from anatomy.sweep.transports import pull
from anatomy.sweep.transports.base import Transport as Carrier
from anatomy.sweep.transports.local import Inline, Processes

TABLE, REPORT, LOG, PULL = "table.csv", "report.html", "log", "pull"
Transport = Literal["process", "inline", "ray", "pull"]
TRANSPORTS = get_args(Transport)
CACHE = ".anatomy-cache"
"""The folder beside a sweep's folder through which overlapping sweeps share results."""


@dataclass(frozen=True)
class Status:
    """Where a sweep stands. `complete` when no job is pending; failures and rejections are ends too."""

    folder: str
    space: str
    variants: int
    done: int
    failed: int
    rejected: int
    pending: int
    failures: dict[str, int]
    best: str
    score: float | None
    report: str

    @property
    def complete(self) -> bool:
        return self.pending == 0

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "complete": self.complete}

    def as_text(self) -> str:
        classes = ", ".join(f"{n} {name}" for name, n in self.failures.items())
        best = f"; best {self.best} {self.score:.3f}" if self.score is not None else ""
        words = f"{self.done} jobs done, {self.failed} failed{f' ({classes})' if classes else ''}, {self.rejected} rejected, {self.pending} pending"
        return f"{self.space}: {self.variants} variants; {words}{best}"


def configure(
    space: Space | str, tasks: Sequence[str], sample: int | None, members: Sequence[int] | None, budget: int | None,
    seed: int, sizes: Mapping[str, int] | None, radius: float, norm: str, certify: bool, cache: Path | str,
) -> tuple[Config, Space]:  # fmt: skip
    if sample is not None and members is not None:
        raise fail("E805", "`sample` and `members` are both given", help="a sweep takes one of them, or neither for all members")
    for name, value, least in (("sample", sample, 1), ("budget", budget, 0)):
        if value is not None and value < least:
            raise fail("E805", f"a {name} of {value} is too small; the least is {least}")
    if isinstance(space, str):
        from anatomy.spaces.loading import load

        target, space = space, load(space)
    else:
        target = f"{source_of(space)[0]}::{space.name}"
    path, text = source_of(space)
    chosen = None if members is None else tuple(sorted(set(members)))
    config = Config(
        target=target, path=path, text=text, space=space.name, digest=space.digest, members=chosen, sample=sample,
        tasks=tuple(tasks), budget=budget, seed=seed, sizes=dict(sizes or {}), radius=radius, norm=norm, certify=certify, cache=str(cache),
    )  # fmt: skip
    return config, space


def plan(
    space: Space | str, tasks: Sequence[str] = ("recall",), *, sample: int | None = None, members: Sequence[int] | None = None,
    budget: int | None = None, seed: int = 0, sizes: Mapping[str, int] | None = None, radius: float = 1.0,
    norm: str = "frobenius", certify: bool = True, progress: bool | None = None,
) -> Plan:  # fmt: skip
    """What `run` with the same arguments would do: variants, merged aliases, jobs with keys, a forecast."""
    config, found = configure(space, tasks, sample, members, budget, seed, sizes, radius, norm, certify, "")
    with line(progress) as shown:
        return make(config, found, shown.scanning)


def run(
    space: Space | str, out_dir: Path | str, tasks: Sequence[str] = ("recall",), jobs: int | None = None, seed: int = 0,
    transport: Transport = "process", *, sample: int | None = None, members: Sequence[int] | None = None,
    budget: int | None = None, sizes: Mapping[str, int] | None = None, radius: float = 1.0, norm: str = "frobenius",
    certify: bool = True, timeout: float | None = None, cache: Path | str | None = None, progress: bool | None = None,
    retry: bool = False, address: str | None = None,
) -> Status:  # fmt: skip
    """Check, certify and train members of a space, and write `table.csv` and `report.html` into `out_dir`.

    Members: all, `sample` different ones at random, or those of the ranks `members`. `jobs` processes of one thread
    each (default: one for each core), `inline` this process, `ray` so many actors of a Ray cluster (joined by `address`, or
    started and stopped again), `pull` whoever runs `anatomy sweep worker` on the folder; the table is the same, byte for byte. `budget` is the
    number of training steps (default: the task's own). Without `certify` no bounds are computed. `timeout` stops a job after that many seconds (processes only).
    Running again takes up what is unfinished; `retry` also runs failed jobs again. Results are shared through `cache`,
    by default the folder `.anatomy-cache` beside `out_dir`. The first Ctrl-C lets running jobs finish.
    Raises AnatomyError E801 (task), E802 (the folder holds another sweep), E804 (folder in use), E805 (what to sweep).
    """
    folder = Path(out_dir)
    shared = Path(cache) if cache is not None else folder.resolve().parent / CACHE
    config, found = configure(space, tasks, sample, members, budget, seed, sizes, radius, norm, certify, shared)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / settings.NAME).exists() and not settings.read(folder).same(config):
        raise fail(
            "E802", f"`{folder}` holds another sweep",
            help="choose another folder, or take that one up with `anatomy sweep resume`; what both need is shared",
        )  # fmt: skip
    return _run(config, found, folder, jobs, transport, timeout, progress, retry, address)


def resume(
    out_dir: Path | str, jobs: int | None = None, transport: Transport = "process", *,
    timeout: float | None = None, progress: bool | None = None, retry: bool = False, address: str | None = None,
) -> Status:  # fmt: skip
    """Take up the sweep in a folder where it was left, however it ended. Raises E802, E803, E804."""
    folder = Path(out_dir)
    config = settings.read(folder)
    return _run(config, config.load(), folder, jobs, transport, timeout, progress, retry, address)


def _run(
    config: Config, space: Space, folder: Path, jobs: int | None, transport: str, timeout: float | None,
    progress: bool | None, retry: bool, address: str | None,
) -> Status:  # fmt: skip
    from anatomy.language.unparse import unparse

    if transport not in TRANSPORTS:
        raise fail("E805", f"there is no transport `{transport}`", help=f"there are {', '.join(f'`{t}`' for t in TRANSPORTS)}")
    log = folder / LOG
    log.mkdir(exist_ok=True)
    with locked(folder), line(progress) as shown:
        made = make(config, space, shown.scanning)
        settings.write(config, folder)
        store = Store(folder)
        try:
            store.replay(log)
            store.replay(folder / PULL / pull.INBOX)
            if retry:
                store.forget_failures()
            store.install(made, (unparse(v.diagram) for v in made.variants))
            first = len(list(log.iterdir()))

            def journal(k: int) -> Path:
                return log / f"{first + k:05d}.jsonl"

            count = max(1, jobs if jobs is not None else os.cpu_count() or 1)
            carrier = _carrier(transport, folder, count, journal, timeout, address)
            engine = Engine(made, store, Cache(Path(config.cache)), carrier, shown.working)
            finished = False
            try:
                with draining(engine):
                    engine.run()
                finished = True
            finally:
                carrier.close(kill=not finished)
            write_table(store, folder / TABLE)
        finally:
            store.close()
        report(folder)
    return status(folder)


def _carrier(
    transport: str, folder: Path, count: int, journal: Callable[[int], Path], timeout: float | None, address: str | None
) -> Carrier:
    match transport:
        case "inline":
            return Inline(journal(0))
        case "ray":
            from anatomy.sweep.transports.ray import Ray

            return Ray(count, journal(0), address)
        case "pull":
            return pull.Pull(folder / PULL)
    return Processes(count, journal, timeout)


def worker(out_dir: Path | str, *, name: str = "", patience: float | None = None, told: Callable[[str], None] = print) -> int:
    """Do jobs of the sweep in a folder, whose coordinator runs with `transport="pull"` on this or another machine.

    Returns how many were done, when the coordinator says that it is over, or after `patience` seconds without any.
    Raises AnatomyError E803.
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
    """Counts, failures by class and the best member so far; reads the store only. Raises E803."""
    folder, config = Path(out_dir), settings.read(Path(out_dir))
    store = opened(folder)
    try:
        tally = store.tally()
        classes = dict(store.db.execute("select class, count(*) from jobs where state = 'failed' group by class order by class"))
        (variants,) = store.db.execute("select count(*) from variants").fetchone()
        best = store.db.execute(
            "select v.name, avg(json_extract(r.result, '$.score')) as score from variants v join jobs j on j.place = v.place "
            "join results r on r.key = j.key where v.role = 'member' and j.stage = 'train' and j.state = 'done' "
            "group by v.place order by score desc, v.place limit 1"
        ).fetchone() or ("", None)
    finally:
        store.close()
    page = folder / REPORT
    return Status(
        str(folder), config.space, variants, tally.get("done", 0), tally.get("failed", 0), tally.get("rejected", 0),
        tally.get("pending", 0), classes, best[0], best[1], str(page.resolve()) if page.exists() else "",
    )  # fmt: skip


def export(out_dir: Path | str, path: Path | str) -> Path:
    """Write the final table as `.csv` or `.json`. Raises AnatomyError E803, E806."""
    store = opened(out_dir)
    try:
        write_table(store, Path(path))
    finally:
        store.close()
    return Path(path)


def report(out_dir: Path | str, path: Path | str | None = None) -> Path:
    """Write the self-contained page of a sweep, `report.html` in its folder unless told otherwise. Raises E803."""
    from anatomy.sweep.page import page
    from anatomy.sweep.table import rows

    folder, config = Path(out_dir), settings.read(Path(out_dir))
    store = opened(folder)
    try:
        notes = store.notes()
        seconds = store.db.execute("select coalesce(sum(seconds), 0) from timings").fetchone()[0]
        text = page(config, rows(store), store.tally(), json.loads(notes["counts"]), notes["evaluator"], seconds, folder)
    finally:
        store.close()
    target = Path(path) if path is not None else folder / REPORT
    draft = target.with_name(target.name + ".draft")
    draft.write_text(text, "utf-8")
    os.replace(draft, target)
    return target
