"""Ray and the shared folder give the same table as this process, lose nothing, and speak clearly when they cannot work."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.errors import AnatomyError
from anatomy.sweep.transports import pull

ROOT = Path(__file__).resolve().parent.parent.parent
TOY = "tests.sweep.sweep_toy"


def run(toys: Path, folder: Path, task: str = TOY, **options: object) -> sweep.Status:
    given = {"transport": "inline", "certify": False, "cache": folder.with_suffix(".cache"), **options}
    return sweep.run(f"{toys}::good", folder, (task,), **given)  # type: ignore[arg-type]


def worker(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = "import sys; from anatomy.sweep import worker; print(worker(sys.argv[1], patience=60))"
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begun(folder: Path) -> None:
    limit = time.monotonic() + 60
    while not (folder / "pull" / pull.OFFERED).exists() and time.monotonic() < limit:
        time.sleep(0.02)


def test_a_shared_folder_gives_the_same_table(toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "inline")
    folder = tmp_path / "pulled"
    found: list[sweep.Status] = []
    coordinator = threading.Thread(target=lambda: found.append(run(toys, folder, transport="pull")))
    coordinator.start()
    begun(folder)
    workers = [worker(folder) for _ in range(2)]
    coordinator.join(180)
    done = [int(w.communicate(timeout=60)[0]) for w in workers]
    assert found
    assert found[0].complete
    assert (folder / "table.csv").read_bytes() == (tmp_path / "inline" / "table.csv").read_bytes()
    assert sum(done) == found[0].done
    assert not list((folder / "pull" / pull.OFFERED).iterdir())
    assert not list((folder / "pull" / pull.TAKEN).iterdir())


def test_a_dead_puller_loses_its_job_to_another(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull.Pull.__init__, "__defaults__", (1.0,))
    folder = tmp_path / "pulled"
    found: list[sweep.Status] = []
    coordinator = threading.Thread(target=lambda: found.append(run(toys, folder, transport="pull")))
    coordinator.start()
    begun(folder)
    limit = time.monotonic() + 60
    while not (offered := sorted((folder / "pull" / pull.OFFERED).iterdir())) and time.monotonic() < limit:
        time.sleep(0.02)
    # A worker takes a job and is never heard of again; another leaves half a line behind.
    offered[0].rename(folder / "pull" / pull.TAKEN / f"{offered[0].name}@gone")
    inbox = folder / "pull" / pull.INBOX
    (inbox / "torn.jsonl").write_bytes(b'{"key": "x"}\nnonsense\n[]\n{"key": 3, "state": "done"}\n{"key": "' + offered[0].name.encode())
    helper = worker(folder)
    coordinator.join(180)
    helper.communicate(timeout=60)
    assert found
    assert (found[0].complete, found[0].failed) == (True, 0)
    run(toys, tmp_path / "inline")
    assert (folder / "table.csv").read_bytes() == (tmp_path / "inline" / "table.csv").read_bytes()


def test_what_came_in_while_nobody_looked_counts(toys: Path, tmp_path: Path) -> None:
    """Records that workers wrote after their coordinator died are taken in by the next one."""
    whole = tmp_path / "whole"
    run(toys, whole)
    folder = tmp_path / "later"
    inbox = folder / "pull" / pull.INBOX
    inbox.mkdir(parents=True)
    (inbox / "host-1.jsonl").write_text("".join(p.read_text() for p in sorted((whole / "log").glob("*.jsonl"))))
    begin = time.monotonic()
    found = run(toys, folder, transport="pull", cache=tmp_path / "none")
    assert found.complete, time.monotonic() - begin
    assert (folder / "table.csv").read_bytes() == (whole / "table.csv").read_bytes()


def test_a_worker_of_no_sweep_and_of_another_version(toys: Path, tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="E803"):
        sweep.worker(tmp_path)
    run(toys, tmp_path / "a")
    place = tmp_path / "a" / "pull" / pull.OFFERED
    place.mkdir(parents=True)
    (place.parent / pull.TAKEN).mkdir()
    (place / "00ff").touch()
    with pytest.raises(AnatomyError, match="another version") as caught:
        sweep.worker(tmp_path / "a", patience=0.1)
    assert caught.value.diagnostics[0].code == "E815"
    assert (place / "00ff").exists()  # given back


def test_a_worker_without_a_coordinator_says_so(toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "a")
    place = tmp_path / "a" / "pull"
    (place / pull.OFFERED).mkdir(parents=True)
    (place / pull.CLOSED).touch()
    told: list[str] = []
    assert sweep.worker(tmp_path / "a", told=told.append) == 0
    assert "coordinator has not begun" in told[0]


def test_unknown_transports_are_refused(toys: Path, tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="`pull`"):
        run(toys, tmp_path / "a", transport="pigeon")


# Ray -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ray() -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture
def cluster(ray: None, tmp_path: Path) -> Iterator[str]:
    """Two Ray nodes on this machine, one slot each."""
    ray_command = shutil.which("ray", path=str(Path(sys.executable).parent)) or "ray"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
    address = f"127.0.0.1:{port}"
    common = ["--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats"]
    head = [ray_command, "start", "--head", "--node-ip-address=127.0.0.1", f"--port={port}", *common]
    subprocess.run(head, env=environment, check=True, capture_output=True, timeout=120)
    try:
        more = [ray_command, "start", f"--address={address}", "--num-cpus=1", "--disable-usage-stats"]
        subprocess.run(more, env=environment, check=True, capture_output=True, timeout=120)
        yield address
    finally:
        subprocess.run([ray_command, "stop", "--force"], env=environment, capture_output=True, timeout=120)


@pytest.mark.slow
def test_ray_gives_the_same_table(ray: None, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(toys, tmp_path / "inline")
    found = run(toys, tmp_path / "ray", transport="ray", jobs=2)
    assert found.complete
    assert (tmp_path / "ray" / "table.csv").read_bytes() == (tmp_path / "inline" / "table.csv").read_bytes()


@pytest.mark.slow
def test_two_ray_nodes_and_a_death(cluster: str, toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "inline", task=f"{TOY}:pause=0.01")
    died = tmp_path / "died"
    found = run(toys, tmp_path / "ray", task=f"{TOY}:pause=0.01", transport="ray", jobs=2, address=cluster)
    assert found.complete
    assert (tmp_path / "ray" / "table.csv").read_bytes() == (tmp_path / "inline" / "table.csv").read_bytes()
    again = run(toys, tmp_path / "deadly", task=f"{TOY}:die={died}", transport="ray", jobs=2, address=cluster)
    assert died.exists()
    assert (again.complete, again.failed) == (True, 0)


def test_ray_that_is_not_there(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AnatomyError, match=r"attention-anatomy\[ray\]"):
        run(toys, tmp_path / "a", transport="ray")
