"""Work in chunks: done here or by other processes, kept in a folder, taken up again where it stopped."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.errors import fail

if TYPE_CHECKING:
    from anatomy.spaces.space import Space

VERSION = 1
"""Changes when what is kept in a folder changes its meaning."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much."""


class Stopped(Exception):
    """Asked to stop; what was done is kept where there is a folder."""


class Shelf:
    """A folder with the results of chunks, each written whole or not at all; or no folder."""

    def __init__(self, folder: Path | None, space: Space):
        self.folder = folder
        if folder is None:
            return
        mine = {"version": VERSION, "space": space.name, "digest": space.digest, "members": str(space.count)}
        folder.mkdir(parents=True, exist_ok=True)
        head = folder / "scan.json"
        if head.exists():
            try:
                theirs = json.loads(head.read_text())
            except ValueError:
                theirs = None
            if theirs != mine:
                named = theirs.get("space", "something else") if isinstance(theirs, dict) else "something else"
                raise fail(
                    "E650", f"`{folder}` holds a scan of `{named}`, which is another space or an older scan",
                    help="name another folder, or remove this one",
                )  # fmt: skip
        else:
            whole(head, json.dumps(mine, indent=1).encode())

    def get(self, phase: str, items: np.ndarray, k: int) -> np.ndarray | None:
        """The results of a chunk, if they are of these items."""
        path = self._path(phase, k)
        if path is None or not path.exists():
            return None
        try:
            found = np.load(path)
        except (ValueError, EOFError):  # damaged: done again
            return None
        asked = items if items.ndim == 1 else items[:, 0]
        return found if len(found) == len(items) and bool((found["rank"] == asked).all()) and _others(found, items) else None

    def put(self, phase: str, k: int, found: np.ndarray) -> None:
        path = self._path(phase, k)
        if path is None:
            return
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        with part.open("wb") as file:
            np.save(file, found)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _path(self, phase: str, k: int) -> Path | None:
        return None if self.folder is None else self.folder / phase / f"{k:06}.npy"


def whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)


def _others(found: np.ndarray, items: np.ndarray) -> bool:
    return items.ndim == 1 or bool((found["other"] == items[:, 1]).all())


class Workers:
    """Does chunks of work for one space, in this process or in others."""

    def __init__(self, space: Space, jobs: int, shelf: Shelf, progress: Progress | None = None):
        self.space, self.jobs, self.shelf = space, max(1, jobs), shelf
        self.progress = progress or (lambda phase, done, total: None)
        self.pool: ProcessPoolExecutor | None = None
        self.bench: Any = None
        self.asked_to_stop = False

    def run(self, phase: str, items: np.ndarray, chunk: int, empty: np.dtype[Any]) -> np.ndarray:
        """The results of all items in their order, whoever computes them."""
        parts = [items[k : k + chunk] for k in range(0, len(items), chunk)]
        found: list[np.ndarray | None] = [self.shelf.get(phase, part, k) for k, part in enumerate(parts)]
        missing = [k for k, done in enumerate(found) if done is None]
        count = sum(len(done) for done in found if done is not None)
        self.progress(phase, count, len(items))
        for k, made in self._each(phase, parts, missing):
            self.shelf.put(phase, k, made)
            found[k] = made
            count += len(made)
            self.progress(phase, count, len(items))
        done = [f for f in found if f is not None]
        if len(done) < len(parts):
            raise Stopped(f"{phase}: {count:,} of {len(items):,}")
        return np.concatenate(done) if done else np.zeros(0, empty)

    def _each(self, phase: str, parts: Sequence[np.ndarray], missing: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        if self.jobs == 1 or sum(len(parts[k]) for k in missing) < 2 * self.jobs:
            if missing and self.bench is None:
                from anatomy.spaces.funnel.bench import Bench

                self.bench = Bench(self.space)
            for k in missing:
                if self.asked_to_stop:
                    return
                from anatomy.spaces.funnel.bench import perform

                yield k, perform(self.bench, phase, parts[k])
            return
        if self.pool is None:
            data = pickle.dumps(self.space.definition)
            self.pool = ProcessPoolExecutor(self.jobs, get_context("spawn"), initializer=_begin, initargs=(data,))
        rest, running = iter(missing), dict[Future[np.ndarray], int]()
        while True:
            while len(running) < 2 * self.jobs and not self.asked_to_stop and (k := next(rest, None)) is not None:
                running[self.pool.submit(_perform, phase, parts[k])] = k
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


@contextmanager
def workers(space: Space, jobs: int, folder: Path | None, progress: Progress | None = None) -> Iterator[Workers]:
    """Workers whose threads are one each; Ctrl-C lets them finish what they have begun, a second one does not."""
    crew = Workers(space, jobs, Shelf(folder, space), progress)
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    here = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if here else None

    def stop(number: int, frame: Any) -> None:
        if crew.asked_to_stop:
            raise KeyboardInterrupt
        crew.asked_to_stop = True

    if here:
        signal.signal(signal.SIGINT, stop)
    try:
        yield crew
    finally:
        if here:
            signal.signal(signal.SIGINT, handler)
        crew.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_bench: Any = None


def _begin(definition: bytes) -> None:
    """A worker leaves the keyboard to its parent, and ends when that is gone."""
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    from anatomy.spaces.funnel.bench import loaded

    _bench = loaded(definition)


def _perform(phase: str, items: np.ndarray) -> np.ndarray:
    from anatomy.spaces.funnel.bench import perform

    return perform(_bench, phase, items)
