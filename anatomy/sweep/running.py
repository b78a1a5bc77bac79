"""A run of a sweep, by the one coordinator that holds its folder: journals are taken in, what is left is done, the table is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

from anatomy.errors import fail
from anatomy.spaces import Space
from anatomy.sweep import config as settings
from anatomy.sweep.cache import Cache
from anatomy.sweep.config import Config
from anatomy.sweep.engine import Engine, draining
from anatomy.sweep.lock import locked
from anatomy.sweep.migration import keep, plainly
from anatomy.sweep.planning import make
from anatomy.sweep.progress import progress as line
from anatomy.sweep.results import Results, results
from anatomy.sweep.store import Store
from anatomy.sweep.table import export as write_table
from anatomy.sweep.transports import pull
from anatomy.sweep.transports.base import Transport as Carrier
from anatomy.sweep.transports.local import Inline, Processes

TABLE, LOG, PULL = "table.csv", "log", "pull"
Transport = Literal["process", "inline", "ray", "pull"]
TRANSPORTS = get_args(Transport)


def carry_out(
    config: Config, space: Space, folder: Path, jobs: int | None, transport: str, timeout: float | None,
    progress: bool | None, retry: bool, address: str | None, max_failures: int | None, told: Callable[[Results], object],
) -> None:  # fmt: skip
    """Plan a configured sweep anew, do what its folder lacks, write its table and hand on what was found, while the folder is still held.

    Raises AnatomyError E805 for a transport that does not exist or numbers that make no sense, and what the planning, the store and
    the lock of the folder refuse.
    """
    from anatomy.language.unparse import unparse

    sensible(transport, timeout, max_failures)
    log, inbox = folder / LOG, folder / PULL / pull.INBOX
    with plainly(folder):
        log.mkdir(exist_ok=True)
        with locked(folder), line(progress) as shown:
            made = make(config, space, shown.scanning)
            stages = {j.key: j.stage for j in made.jobs}
            if not (folder / settings.NAME).exists():
                settings.write(config, folder)
            with Store(folder) as store:
                store.same(config)
                keep(folder / settings.NAME, config.version)
                settings.write(config, folder)
                damaged = store.cleanse(stages)
                own, pulled = store.replay(log, stages), store.replay(inbox, stages)
                warnings = [*store.warnings, *own.words("`log`"), *pulled.words("the inbox")]
                warnings += [f"{damaged} results in the store were damaged, and were taken from the journals or made again"] if damaged else []
                if retry:
                    store.forget_failures()
                store.install(made, (unparse(v.diagram) for v in made.variants))
                first = 1 + max((int(p.stem) for p in log.glob("*.jsonl") if p.stem.isdecimal()), default=-1)

                def journal(k: int) -> Path:
                    return log / f"{first + k:05d}.jsonl"

                count = max(1, jobs if jobs is not None else os.cpu_count() or 1)
                cache = Cache(Path(config.cache), log / "cache.jsonl")
                carrier = _carrier(transport, folder, count, journal, timeout, address, pulled.ends)
                engine = Engine(made, store, cache, carrier, shown.working, max_failures)
                finished = False
                try:
                    with draining(engine):
                        engine.run()
                    finished = True
                finally:
                    carrier.close(kill=not finished)
                    cache.close()
                warnings += [*getattr(carrier, "warnings", ()), *filter(None, [cache.refused])]
                store.note("warnings", json.dumps(warnings))
                store.note("stopped", engine.stopped)
                store.db.commit()
                found = results(store, config)
            write_table(found, folder / TABLE)
            told(found)


def sensible(transport: str, timeout: float | None, max_failures: int | None) -> None:
    """Refuse, with E805, a run that could not be done as it is asked for."""
    if transport not in TRANSPORTS:
        raise fail("E805", f"there is no transport `{transport}`", help=f"there are {', '.join(f'`{t}`' for t in TRANSPORTS)}")
    if max_failures is not None and max_failures < 1:
        raise fail("E805", f"{max_failures} failures cannot end a sweep; the least is 1")
    if timeout is not None and not timeout > 0:
        raise fail("E805", f"a timeout of {timeout:g} seconds leaves no time for any job")
    if timeout is not None and transport != "process":
        raise fail("E805", f"a timeout holds for jobs in processes; transport `{transport}` stops none", help="`--transport process`, or no `--timeout`")


def _carrier(
    transport: str, folder: Path, count: int, journal: Callable[[int], Path], timeout: float | None, address: str | None,
    pulled: Mapping[Path, int],
) -> Carrier:  # fmt: skip
    match transport:
        case "inline":
            return Inline(journal(0))
        case "ray":
            from anatomy.sweep.transports.ray import Ray

            return Ray(count, journal(0), address)
        case "pull":
            return pull.Pull(folder / PULL, known=pulled)
    return Processes(count, journal, timeout)
