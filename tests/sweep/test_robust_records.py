"""Damaged journals and inboxes, full disks, two at once: skipped and told, stopped with clear words, nothing lost, nothing done twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.cli import main
from anatomy.errors import AnatomyError
from anatomy.sweep.cache import Cache
from anatomy.sweep.lock import locked
from anatomy.sweep.store import Store
from anatomy.sweep.transports import pull, records
from anatomy.sweep.transports.records import Journal, UnsoundError

ROOT = Path(__file__).resolve().parent.parent.parent
TOY = "tests.sweep.sweep_toy"


def run(toys: Path, folder: Path, task: str = TOY, **options: object) -> sweep.Status:
    given = {"transport": "inline", "certify": False, "cache": folder.with_suffix(".cache"), **options}
    return sweep.run(f"{toys}::good", folder, (task,), **given)  # type: ignore[arg-type]


def table(folder: Path) -> bytes:
    return (folder / "table.csv").read_bytes()


@pytest.fixture
def spent(tmp_path: Path) -> Path:
    path = tmp_path / "spent"
    path.touch()
    return path


def trainings(spent: Path) -> int:
    return len(spent.read_text().split())


# damaged lines --------------------------------------------------------------------------------------


def strange(line: str) -> dict[str, bytes]:
    """Lines that are no record of the training that this line records."""
    record = json.loads(line)

    def other(**changes: object) -> bytes:
        return json.dumps({**record, **changes}).encode()

    def result(**changes: object) -> bytes:
        return json.dumps({**record, "result": {**record["result"], **changes}}).encode()

    return {
        "torn": line.encode()[: len(line) // 2], "binary": os.urandom(400).replace(b"\n", b"x"), "empty object": b"{}", "list": b"[]", "number": b"7",
        "null": b"null", "text": b'"done"', "nested": b"[" * 100_000, "huge": b'{"key": "' + b"x" * (records.LONGEST + 10) + b'"}', "latin": b'{"key": "\xe9"}',
        "key of the wrong type": other(key=3), "state of the wrong type": other(state=None), "state unknown": other(state="perhaps"),
        "no result": other(result=None), "result a list": other(result=[]), "result empty": other(result={}), "failure without class": other(state="failed"),
        "seconds strange": other(seconds="long"), "NaN": result(score=float("nan")), "infinite": result(loss=float("inf")), "score text": result(score="high"),
        "score true": result(score=True), "score beyond": result(score=7.0), "score null": result(score=None), "steps negative": result(steps=-3),
        "steps broken": result(steps=1.5), "curve": result(curve="up"), "curve of text": result(curve=[["a", 1, 2]]), "parameters": result(parameters=[1]),
        "diverged": result(diverged="no"), "NaN deep": result(more={"a": [float("nan")]}), "large integer": b'{"key": ' + b"9" * 5000 + b"}",
        "seconds beyond all floats": other(seconds=10**400), "score beyond all floats": result(score=10**400),
        "check for a training": other(result={"reason": "", "causal": True, "finite": True, "parameters": 3}),
    }  # fmt: skip


def test_damaged_lines_are_skipped_counted_and_told(toys: Path, tmp_path: Path, spent: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(records, "LONGEST", 1 << 20)
    task, folder = f"{TOY}:spend={spent}", tmp_path / "a"
    run(toys, folder, task)
    first, trained = table(folder), trainings(spent)
    journal = next((folder / "log").iterdir())
    lines = journal.read_text().splitlines()
    training = [line for line in lines if '"trials"' in line]
    bad = strange(training[0])
    stranger = json.dumps({**json.loads(training[0]), "key": "f" * 32})
    kept = [line.encode() for line in lines if line != training[0]]
    journal.write_bytes(b"\n".join([*bad.values(), stranger.encode(), *kept, training[1].encode()[:40]]))
    (folder / "store.sqlite").unlink()
    shutil.rmtree(folder.with_suffix(".cache"))
    found = sweep.resume(folder, transport="inline")
    assert found.complete
    assert table(folder) == first
    assert trainings(spent) == trained + 1  # the one whose record was spoilt
    assert found.warnings[0].startswith(f"{len(bad)} damaged lines in `log` skipped")
    for why in ("not JSON", "too long", "holds NaN", "`steps` is no count", "no state of a job that is over", "the result is no mapping"):
        assert why in found.warnings[0]
    assert "ended in the middle of a line" in found.warnings[1]
    assert main(["sweep", "resume", str(folder), "--transport", "inline"]) == 0
    assert "damaged lines" in capsys.readouterr().err
    assert trainings(spent) == trained + 1


def begun(folder: Path) -> list[Path]:
    limit = time.monotonic() + 900
    while time.monotonic() < limit:
        with_jobs = sorted((folder / "pull" / pull.OFFERED).iterdir()) if (folder / "pull" / pull.OFFERED).exists() else []
        if with_jobs:
            return with_jobs
        time.sleep(0.02)
    raise AssertionError("nothing was offered")


def test_a_spoilt_inbox(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strange lines come in while the coordinator listens, one for a job that its worker thinks done."""
    monkeypatch.setattr(pull.Pull.__init__, "__defaults__", (1.0,))
    run(toys, tmp_path / "inline")
    folder = tmp_path / "pulled"
    found: list[sweep.Status] = []
    coordinator = threading.Thread(target=lambda: found.append(run(toys, folder, transport="pull")))
    coordinator.start()
    offered = begun(folder)
    line = next(line for p in (tmp_path / "inline" / "log").iterdir() for line in p.read_text().splitlines() if '"trials"' in line)
    bad = [value for name, value in strange(line).items() if name != "huge"]
    offered[0].unlink()  # taken and, as far as its worker knows, done
    wrong = json.dumps({"key": offered[0].name, "state": "done", "result": {"reason": 3, "causal": True, "parameters": 1}, "seconds": 0.1})
    (folder / "pull" / pull.INBOX / "bad.jsonl").write_bytes(b"\n".join([wrong.encode(), *bad, b""]))
    sweep.worker(folder, patience=900)
    coordinator.join(900)
    assert found
    assert found[0].complete
    assert found[0].failed == 0
    assert table(folder) == table(tmp_path / "inline")
    assert any("damaged lines of the inbox" in words for words in found[0].warnings)


def test_a_result_that_comes_before_its_job_is_offered(tmp_path: Path) -> None:
    from anatomy.sweep.job import Job

    listener = pull.Pull(tmp_path, 60.0)
    job = Job("ab", "check", "v", "", 0, 0, ())
    record = {"key": "ab", "state": "done", "result": {"reason": "", "causal": True, "parameters": 1}, "seconds": 0.0}
    (tmp_path / pull.INBOX / "w.jsonl").write_text(json.dumps(record) + "\n")
    assert listener.receive(0.0) == []
    listener.send(job)
    assert not list((tmp_path / pull.OFFERED).iterdir())
    assert listener.receive(0.0) == [(job, record)]


def test_a_spoilt_cache_is_no_truth(toys: Path, tmp_path: Path, spent: Path) -> None:
    task = f"{TOY}:spend={spent}"
    run(toys, tmp_path / "a", task, cache=tmp_path / "cache")
    files = sorted((tmp_path / "cache").rglob("*.json"))
    line = next(text for p in files if '"trials"' in (text := p.read_text()))
    bad = list(strange(line).values())
    for k, path in enumerate(files):
        path.write_bytes(bad[k % len(bad)] if k % 2 else path.read_bytes())
    run(toys, tmp_path / "b", task, cache=tmp_path / "cache")
    assert table(tmp_path / "a") == table(tmp_path / "b")
    before = trainings(spent)
    run(toys, tmp_path / "c", task, cache=tmp_path / "cache")  # what was spoilt has been written anew
    assert trainings(spent) == before
    assert table(tmp_path / "a") == table(tmp_path / "c")
    (tmp_path / "file").touch()
    found = run(toys, tmp_path / "d", task, cache=tmp_path / "file")
    assert found.complete
    assert "could not be shared" in found.warnings[0]
    assert Cache(tmp_path / "file").get("ab") is None


def test_every_strange_file_of_a_cache_is_replaced(toys: Path, tmp_path: Path, spent: Path) -> None:
    run(toys, tmp_path / "a", f"{TOY}:spend={spent}", cache=tmp_path / "cache")
    path = next(p for p in sorted((tmp_path / "cache").rglob("*.json")) if '"trials"' in p.read_text())
    line, cache = path.read_text(), Cache(tmp_path / "cache")
    other = json.dumps({**json.loads(line), "key": "f" * 32}).encode()
    for name, bad in {**strange(line), "of another key": other}.items():
        path.write_bytes(bad)
        assert cache.get(path.stem, "train") is None, name
        cache.put(json.loads(line), "train")
        assert cache.get(path.stem, "train") == json.loads(line), name


def test_a_task_that_returns_what_is_no_result(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a failure with its reason; a record that no reader takes would be made for ever."""
    from sweep_toy import Toy

    whole = Toy.train
    monkeypatch.setattr("tests.sweep.sweep_toy.Toy.train", lambda *given: {**whole(*given), "score": float("nan")}, raising=False)
    found = run(toys, tmp_path / "a", members=[0])
    assert found.failures == {"error": 5}
    assert "the score is no number from 0 to 1" in sweep.explain(tmp_path / "a", 0).as_text()
    assert sweep.resume(tmp_path / "a", transport="inline").failures == {"error": 5}


@pytest.mark.parametrize("extra", [object(), {1, 2}, {"a": 1, 2: 3}], ids=["object", "set", "keys"])
def test_a_result_that_is_no_json(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: object) -> None:
    from sweep_toy import Toy

    whole = Toy.train
    monkeypatch.setattr("tests.sweep.sweep_toy.Toy.train", lambda *given: {**whole(*given), "more": extra}, raising=False)
    found = run(toys, tmp_path / "a", members=[0])
    assert found.failures == {"error": 5}
    assert "the result is no result" in sweep.explain(tmp_path / "a", 0).as_text()


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("a name that is no text: \udcff")], ids=["exit", "surrogate"])
def test_a_task_that_ends_python_or_says_what_is_no_text(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Neither ends the sweep, nor can the folder not be taken up again."""

    def train(*given: object) -> None:
        raise error

    monkeypatch.setattr("tests.sweep.sweep_toy.Toy.train", train, raising=False)
    assert run(toys, tmp_path / "a", members=[0]).failures == {"error": 5}
    assert sweep.resume(tmp_path / "a", transport="inline").failures == {"error": 5}


def test_a_task_that_changes_under_way_is_not_stored_under_the_old_key(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that finds other data than the plan did says so; the next run makes a plan of what is there."""
    monkeypatch.setattr("anatomy.sweep.transports.records.known_data", lambda *given: "another text")
    found = run(toys, tmp_path / "a", members=[0])
    assert found.failures == {"changed": 5}
    assert "edited while the sweep ran" in sweep.explain(tmp_path / "a", 0).as_text()
    monkeypatch.undo()
    assert (found := sweep.resume(tmp_path / "a", transport="inline")).complete
    assert found.failed == 0


def test_the_time_of_a_job_is_that_of_its_result(toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "a", members=[0])
    with Store(tmp_path / "a") as store:
        (line, *_), *_ = ([*p.read_text().splitlines()] for p in (tmp_path / "a" / "log").glob("*.jsonl"))
        record = json.loads(line)
        store.db.execute("delete from results where key = ?", (record["key"],))
        store.db.execute("insert or replace into timings values (?, null)", (record["key"],))
        store.put({**record, "seconds": 7})
        store.put({**record, "seconds": 8})
        assert store.db.execute("select seconds from timings where key = ?", (record["key"],)).fetchone() == (7.0,)


def test_journals_mend_what_a_kill_left(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"key": "a", "st')
    journal = Journal(path)
    journal.write({"key": "b", "state": "failed", "class": "error", "traceback": ""})
    journal.close()
    lines = [line for line, _ in records.lines(path)]
    with pytest.raises(UnsoundError):
        records.read(lines[0])
    assert records.read(lines[1])["key"] == "b"


# full disks ----------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of sixteen megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("only root can mount a file system here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("transport", ["inline", "process"])
@pytest.mark.parametrize("room", [0, 20_000, 60_000, 110_000])
def test_a_full_disk_stops_the_sweep_and_loses_nothing(disk: Path, toys: Path, tmp_path: Path, spent: Path, transport: str, room: int, capsys: pytest.CaptureFixture[str]) -> None:
    if transport == "process" and room != 60_000:
        pytest.skip("one is enough: the rest is the same for all transports")
    task, folder = f"{TOY}:spend={spent}", disk / "a"
    run(toys, tmp_path / "fresh", task)
    whole = trainings(spent)
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    filler.write_bytes(b"x" * (free - room if free > room else 0))
    command = ["sweep", "run", f"{toys}::good", "--out", str(folder), "--tasks", task, "--no-regularity", "--transport", transport, "--jobs", "1"]
    assert main(command) == 1
    words = capsys.readouterr().err
    assert "E812" in words
    assert "make room" in words
    during = trainings(spent) - whole
    kept = sum(line.count('"trials"') for p in folder.glob("log/*.jsonl") for line in p.read_text().splitlines())
    filler.unlink()
    command = ["sweep", "resume", str(folder), "--transport", transport, "--jobs", "1"] if (folder / "sweep.json").exists() else command
    assert main(command) == 0
    assert table(folder) == table(tmp_path / "fresh")
    assert trainings(spent) - whole - during == whole - kept  # what was written before is not done again


LIMITED = """
import resource, sys
from anatomy.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are Unix's")
@pytest.mark.parametrize("limit", [2_000, 30_000])
def test_a_limit_of_file_sizes(toys: Path, tmp_path: Path, spent: Path, limit: int) -> None:
    """A quota that anybody can set: the store or the journal cannot grow."""
    task, folder = f"{TOY}:spend={spent}", tmp_path / "a"
    command = ["sweep", "run", f"{toys}::good", "--out", str(folder), "--tasks", task, "--no-regularity", "--transport", "inline"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LIMITED, str(limit), *command], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 1, done.stderr
    assert "E812" in done.stderr
    assert main(["sweep", "run", *command[2:]]) == 0
    run(toys, tmp_path / "fresh", task)
    assert table(folder) == table(tmp_path / "fresh")


def test_a_journal_that_does_not_fit_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line went to the disk before it was full."""
    journal = Journal(tmp_path / "j.jsonl")
    record = {"key": "a", "state": "failed", "class": "error", "traceback": "x" * 100}
    journal.write(record)
    before, write = (tmp_path / "j.jsonl").read_bytes(), os.write
    calls: list[int] = []

    def full(file: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(file, data[:20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AnatomyError, match=r"E812.*No space left"):
        journal.write(record)
    monkeypatch.undo()
    assert (tmp_path / "j.jsonl").read_bytes() == before
    journal.write(record)
    assert (tmp_path / "j.jsonl").read_bytes() == before * 2


# two at once ----------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from anatomy.sweep.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(120)
"""


def test_a_second_sweep_in_a_folder_is_refused_with_who_holds_it(toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a"
    run(toys, folder)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = time.monotonic()
        assert main(["sweep", "resume", str(folder)]) == 1
        assert time.monotonic() - before < 300
        words = capsys.readouterr().err
        assert f"E804]: another process works in `{folder}`: process {holder.pid} on {os.uname().nodename}, since 20" in words
        assert sweep.status(folder).complete  # readers may
    finally:
        holder.kill()
        holder.communicate()
    assert sweep.resume(folder, transport="inline").complete  # the lock went with its process
    with locked(folder), pytest.raises(AnatomyError, match=rf"E804.*process {os.getpid()}"), locked(folder):
        pass


def test_two_sweeps_share_a_cache_at_once(toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "alone", f"{TOY}:pause=0.01")
    code = (
        "import sys; from anatomy import sweep\n"
        "if __name__ == '__main__': sweep.run(sys.argv[1], sys.argv[2], (sys.argv[3],), jobs=2, certify=False, cache=sys.argv[4])\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    given = [f"{TOY}:pause=0.01", str(tmp_path / "shared")]
    both = [
        subprocess.Popen([sys.executable, str(script), f"{toys}::good", str(tmp_path / name), *given], env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
        for name in ("b", "c")
    ]
    for process in both:
        _, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
    assert table(tmp_path / "b") == table(tmp_path / "c") == table(tmp_path / "alone")
    assert not list((tmp_path / "shared").rglob("*.draft"))
