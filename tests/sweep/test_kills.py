"""kill -9 at random points of a sweep with two processes: the same table to the byte, and nothing that was finished is trained again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.sweep.job import evaluator_version

ROOT = Path(__file__).resolve().parent.parent.parent
TOY = "tests.sweep.sweep_toy"
KINDS = ("both", "coordinator", "worker")
SCRIPT = """
import sys
from anatomy import sweep
if __name__ == "__main__":
    target, folder, task, seeds = sys.argv[1:]
    sweep.run(target, folder, (task,), jobs=2, certify=False, seeds=int(seeds), cache=folder + ".cache")
"""


class Disturbed:
    """A sweep that is started again whenever it is dead."""

    def __init__(self, place: Path, toys: Path, seeds: int):
        self.folder, self.seeds, self.toys = place / "killed", seeds, toys
        self.spent = place / "spent"
        self.spent.touch()
        self.task = f"{TOY}:pause=0.2,spend={self.spent}"
        self.script = place / "script.py"
        self.script.write_text(SCRIPT)
        self.process: subprocess.Popen[bytes] | None = None
        self.orphans: list[int] = []

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        command = [sys.executable, str(self.script), f"{self.toys}::good", str(self.folder), self.task, str(self.seeds)]
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def workers(self) -> list[int]:
        assert self.process is not None
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return []
        return [int(pid) for pid in children if b"spawn_main" in command(int(pid))]

    def lines(self) -> int:
        return sum(p.read_bytes().count(b"\n") for p in self.folder.glob("log/*.jsonl"))

    def kill(self, kind: str) -> int:
        """Kill; how many trainings may have been lost by it."""
        assert self.process is not None
        workers = self.workers()
        if kind == "worker":
            if workers:
                end(workers[0])
            return bool(workers)
        self.process.kill()
        self.process.wait()
        if kind == "both":
            for pid in workers:
                end(pid)
        limit = time.monotonic() + 1200
        while any(command(pid) for pid in workers) and time.monotonic() < limit:  # orphans finish what they do, and write it down
            time.sleep(0.02)
        return len(workers) if kind == "both" else 0


def command(pid: int) -> bytes:
    """Of a process, or nothing when it is over."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def done(folder: Path) -> Counter[str]:
    """How often each training was finished, by the journals."""
    found: Counter[str] = Counter()
    for path in folder.glob("log/*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            with suppress(ValueError):
                record = json.loads(line)
                found[record["key"]] += record["state"] == "done" and "trials" in record["result"]
    return found


def disturb(place: Path, toys: Path, kills: int, seeds: int, seed: int, most: int = 2) -> None:
    """Kill `kills` times after a random number of records and a random moment, then let it end, and compare."""
    if not Path("/proc").exists():
        pytest.skip("children are found through /proc")
    draw, it = random.Random(seed), Disturbed(place, toys, seeds)
    lost = 0
    for turn in range(kills):
        if not it.alive():
            it.start()
        goal, limit = it.lines() + draw.randint(0 if turn % 4 == 3 else 1, most), time.monotonic() + 12000
        while it.alive() and it.lines() < goal and time.monotonic() < limit:
            time.sleep(0.005)
        time.sleep(draw.random() * 0.3)
        assert it.alive(), "the sweep ended before it was killed"
        lost += it.kill(KINDS[turn % 3])
    if it.alive():
        it.kill("both")
        lost += 2
    before = done(it.folder)
    found = sweep.resume(it.folder, transport="inline")
    if evaluator_version.__wrapped__("train") != evaluator_version("train"):
        pytest.skip("the code was edited while this test ran, so results are rightly made again")
    assert (found.pending, found.failed) == (0, 0)
    after = done(it.folder)
    assert max(after.values()) == 1, "a finished training was done again"
    assert before <= after
    assert len(it.spent.read_text().split()) <= sum(after.values()) + lost
    fresh = place / "fresh"
    sweep.run(f"{toys}::good", fresh, (it.task,), transport="inline", certify=False, seeds=seeds, cache=place / "none")
    assert (fresh / "table.csv").read_bytes() == (it.folder / "table.csv").read_bytes()


def test_four_kills(toys: Path, tmp_path: Path) -> None:
    disturb(tmp_path, toys, 4, 3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_twenty_kills(toys: Path, tmp_path: Path, seed: int) -> None:
    disturb(tmp_path, toys, 20, 14, seed, most=3)
