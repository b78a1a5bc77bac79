"""Scans in chunks: the same with one worker or two, after kill -9, and after Ctrl-C; refused where they would not end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from space_texts import LAYER, space

from anatomy.errors import AnatomyError
from anatomy.spaces.funnel import Stopped, estimate, scan
from anatomy.spaces.funnel.scanning import LIMIT

LARGE = LAYER.replace("space small of layer {", """
diagram scaled(q: [e], k: [e]) -> [] { out dot[e](q, k) / sqrt(size[e]) }
diagram far(q: [e], k: [e]) -> [] { out -sum[e](square(q - k)) }
diagram bent(x: [e]) -> [e] { out tanh(x) }
diagram cut(x: [e]) -> [e] { out relu(x) }
diagram even(x: [e]) -> [e] { out 2 * x - x }
space large of layer {
  choose feature in { plain, unit, bent, cut, even }
  choose score in { dots, cosine, additive, scaled, far }
}
space small of layer {""")  # fmt: skip


def arrays(funnel: object) -> tuple[object, ...]:
    found = funnel.found  # type: ignore[attr-defined]
    return found.rows.tobytes(), found.numeric.tolist(), found.merges, found.conjectures, found.redrawn, found.refuted


def test_two_workers_find_what_one_finds() -> None:
    members = space(LARGE, "large")
    alone, together = scan(members), scan(members, jobs=2)
    assert arrays(alone) == arrays(together)
    assert alone.as_data() == together.as_data()


COMMAND = """
import sys
from pathlib import Path
from anatomy.spaces import Space
from anatomy.spaces.funnel import scan
from anatomy.target import load_space
if __name__ == "__main__":
    scan(Space(load_space(sys.argv[1])), folder=sys.argv[2], jobs=int(sys.argv[3]), level="L2")
"""


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_scan_that_is_killed_goes_on_where_it_was(tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anatomy.spaces.funnel.scanning.chunk_of", lambda count: 4)
    text, folder, script = tmp_path / "large.anat", tmp_path / "kept", tmp_path / "run.py"
    text.write_text(LARGE)
    script.write_text(COMMAND.replace("if __name__", "import anatomy.spaces.funnel.scanning as s\ns.chunk_of = lambda count: 4\nif __name__"))
    members = space(LARGE, "large")
    expected = scan(members, level="L2")
    kills = 0
    for wanted in (2, 5, 9):  # after so many chunks
        run = subprocess.Popen([sys.executable, str(script), f"{text}::large", str(folder), str(jobs)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        while run.poll() is None and len(list(folder.glob("*/*.npy"))) < wanted:
            time.sleep(0.01)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            kills += 1
        run.wait()
    assert kills
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.npy")}
    assert kept
    assert arrays(scan(members, folder=folder, level="L2")) == arrays(expected)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # nothing was done twice


def test_what_is_kept_of_another_space_does_not_count(tmp_path: Path) -> None:
    scan(space(LARGE, "small"), folder=tmp_path, level="L1")
    with pytest.raises(AnatomyError, match="E650"):
        scan(space(LARGE, "large"), folder=tmp_path, level="L1")


def test_asked_to_stop_it_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anatomy.spaces.funnel.scanning.chunk_of", lambda count: 4)
    members = space(LARGE, "large")

    def interrupt(phase: str, done: int, total: int) -> None:
        if done >= 8:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped):
        scan(members, folder=tmp_path, level="L1", progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(list(tmp_path.glob("rows/*.npy"))) in (2, 3)
    assert scan(members, folder=tmp_path, level="L1").canonical == scan(members, level="L1").canonical


VAST = """axis n, d
diagram open(x: [n, d]) -> [n, d] { hole f(v: [d]) -> [d] out f(x) }
diagram a(v: [d]) -> [d] { out relu(v) }
diagram b(v: [d]) -> [d] { out tanh(v) }
diagram c(v: [d]) -> [d] { out -v }
space vast of open { choose f in seq 1 to 64 of { a, b, c } }
"""


def test_a_space_without_end_is_refused_at_once_and_sampled() -> None:
    members = space(VAST, "vast")
    assert members.count == (3**65 - 3) // 2
    for more in ({}, {"limit": 10**40}):
        with pytest.raises(AnatomyError, match="E607") as caught:
            scan(members, **more)  # type: ignore[arg-type]
        (diagnostic,) = caught.value.diagnostics
        assert "years" in diagnostic.message
        assert "sample" in diagnostic.help
    found = estimate(members, 12)
    assert (found.typed, found.drawn) == (members.count, 12)
    assert found.canonical <= 12
    assert "95 %" in found.as_text()


def test_the_limit_is_on_members() -> None:
    assert space(LARGE, "large").count < LIMIT
    with pytest.raises(AnatomyError, match="E607"):
        scan(space(LARGE, "large"), limit=24)


def test_intervals_of_samples_cover_the_truth() -> None:
    from anatomy.api import space as load

    members = load("zoo:spaces/scores")
    rows = scan(members, level="L1").found.rows
    for name in ("alive", "causal", "finite", "length_generic"):
        from anatomy.spaces.funnel.rows import bit

        share = float(((rows["facts"] & bit(name)) != 0).mean())
        covered = 0
        for seed in range(20):
            drawn = [m.index for m in members.sample(60, seed)]
            hits = int(((rows["facts"][np.array(drawn)] & bit(name)) != 0).sum())
            from anatomy.spaces.funnel.intervals import interval

            low, high = interval(hits, 60)
            covered += low <= share <= high
        assert covered >= 17
    found = estimate(members, 60, seed=3)
    low, high = found.share(found.filters[1].holds)
    assert low <= float(((rows["facts"] & 2) != 0).mean()) <= high
