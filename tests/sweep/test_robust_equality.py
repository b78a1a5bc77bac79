"""One table from every transport, to the byte: one worker, two, this process, a shared folder with two workers, Ray, two Ray nodes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from test_transports import begun, cluster, ray, worker  # noqa: F401  (fixtures)

from anatomy import sweep

TOY = "tests.sweep.sweep_toy"
ROOT = Path(__file__).resolve().parent.parent.parent


def run(toys: Path, folder: Path, **options: object) -> sweep.Status:
    """Members that are trained, that leak, that break and that fail, with bounds, two seeds and two tasks."""
    given = {"transport": "inline", "seeds": 2, "cache": folder.with_suffix(".cache"), **options}
    return sweep.run(f"{toys}::bad", folder, (TOY, f"{TOY}:budget=5"), **given)  # type: ignore[arg-type]


def told(folder: Path) -> tuple[bytes, bytes, bytes, list[tuple[object, ...]]]:
    """The table as it is written, with texts and tracebacks, row by row of training, and all that the store holds but times."""
    db = sqlite3.connect(f"{folder.as_uri()}/store.sqlite?mode=ro", uri=True)
    try:
        kept = [row for table in ("variants", "jobs", "results", "failures") for row in db.execute(f"select * from {table} order by 1, 2, 3")]
    finally:
        db.close()
    wide = sweep.export(folder, folder / "wide.json").read_bytes()
    return (folder / "table.csv").read_bytes(), wide, sweep.export(folder, folder / "long.csv", runs=True).read_bytes(), kept


def by_two_workers(folder: Path, coordinate: Callable[[], object]) -> None:
    """A shared folder: the coordinator beside two processes that take jobs from it."""
    coordinator = threading.Thread(target=coordinate)
    coordinator.start()
    begun(folder)
    workers = [worker(folder) for _ in range(2)]
    coordinator.join(900)
    for process in workers:
        process.communicate(timeout=900)


@pytest.fixture
def inline(toys: Path, tmp_path: Path) -> tuple[bytes, bytes, bytes, list[tuple[object, ...]]]:
    found = run(toys, tmp_path / "inline")
    assert found.complete
    assert found.failed
    assert found.rejected
    return told(tmp_path / "inline")


def test_processes_and_a_shared_folder(toys: Path, tmp_path: Path, inline: tuple[object, ...]) -> None:
    for count in (1, 2):
        run(toys, tmp_path / f"w{count}", transport="process", jobs=count)
        assert told(tmp_path / f"w{count}") == inline
    folder = tmp_path / "pulled"
    by_two_workers(folder, lambda: run(toys, folder, transport="pull"))
    assert told(folder) == inline


@pytest.mark.slow
def test_ray_alone(ray: None, toys: Path, tmp_path: Path, inline: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(toys, tmp_path / "ray", transport="ray", jobs=2)
    assert told(tmp_path / "ray") == inline


@pytest.mark.slow
def test_two_ray_nodes(cluster: str, toys: Path, tmp_path: Path, inline: tuple[object, ...]) -> None:  # noqa: F811
    run(toys, tmp_path / "nodes", transport="ray", jobs=2, address=cluster)
    assert told(tmp_path / "nodes") == inline


PLACES = """
import sys
from pathlib import Path
from anatomy import sweep
sweep.run(sys.argv[1] + "::bad", sys.argv[2], ("tests.sweep.sweep_toy",), transport="inline", certify=False, cache=sys.argv[3])
"""


def test_another_process_with_other_hashes(toys: Path, tmp_path: Path) -> None:
    """The order of sets and dictionaries of another interpreter does not matter."""
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", PLACES, str(toys), str(tmp_path / seed), str(tmp_path / f"cache{seed}")], env=environment, check=True, timeout=900)
    assert (tmp_path / "1" / "table.csv").read_bytes() == (tmp_path / "2" / "table.csv").read_bytes()
