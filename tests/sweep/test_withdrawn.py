"""What was sent and not begun is taken back; what a worker cannot do another has at once; nobody is lost with his neighbour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anatomy import sweep
from anatomy.errors import AnatomyError
from anatomy.sweep.engine import Engine
from anatomy.sweep.job import Job
from anatomy.sweep.transports import pull, ray

DONE = {"state": "done", "result": {"reason": "", "causal": True, "parameters": 1}, "seconds": 0.0}


def check(key: str) -> Job:
    return Job(key, "check", "v", "", 0, 0, ())


def there(folder: Path, place: str) -> list[str]:
    return sorted(p.name for p in (folder / place).iterdir())


def test_a_sweep_that_is_told_to_stop_does_not_wait_for_workers_that_never_come(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Engine.dispatch

    def dispatch(self: Engine) -> None:
        whole(self)
        self.draining = True

    monkeypatch.setattr(Engine, "dispatch", dispatch)
    found = sweep.run(f"{toys}::good", tmp_path / "a", ("tests.sweep.sweep_toy",), transport="pull", certify=False, cache=tmp_path / "cache")
    assert found.done == 0
    assert found.pending > 0
    assert there(tmp_path / "a" / "pull", pull.OFFERED) == []


def test_what_was_taken_is_not_withdrawn(tmp_path: Path) -> None:
    carrier = pull.Pull(tmp_path)
    for key in ("aa", "bb"):
        carrier.send(check(key))
    (tmp_path / pull.OFFERED / "bb").rename(tmp_path / pull.TAKEN / "bb@w")
    carrier.withdraw()
    assert list(carrier.jobs) == ["bb"]
    assert there(tmp_path, pull.OFFERED) == []


@pytest.mark.parametrize("error", [AnatomyError(), KeyboardInterrupt(), OSError("no room")], ids=["space", "interrupt", "disk"])
def test_a_worker_that_fails_gives_its_job_back(tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails while it makes the plan, or while it works."""

    def broken(*given: object) -> Any:
        raise error

    pull.Pull(tmp_path).send(check("aa"))
    with pytest.raises(type(error)):
        pull.work(tmp_path, broken, "w")
    assert (there(tmp_path, pull.OFFERED), there(tmp_path, pull.TAKEN)) == (["aa"], [])
    monkeypatch.setattr(pull, "finish", broken)
    with pytest.raises(type(error)):
        pull.work(tmp_path, lambda: {"aa": check("aa")}, "w")
    assert (there(tmp_path, pull.OFFERED), there(tmp_path, pull.TAKEN)) == (["aa"], [])
    with pytest.raises(AnatomyError, match="E815"):
        pull.work(tmp_path, dict, "w")
    assert (there(tmp_path, pull.OFFERED), there(tmp_path, pull.TAKEN)) == (["aa"], [])


def test_a_worker_shows_that_it_lives_while_it_makes_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[bool] = []
    whole = pull._Beating

    class Watched(whole):
        def __enter__(self) -> None:
            alive.append(True)
            super().__enter__()

        def __exit__(self, *given: object) -> None:
            alive.append(False)
            super().__exit__(*given)

    def jobs() -> dict[str, Job]:
        assert alive == [True]
        (tmp_path / pull.CLOSED).touch()
        return {"aa": check("aa")}

    monkeypatch.setattr(pull, "_Beating", Watched)
    monkeypatch.setattr(pull, "finish", lambda job: {**DONE, "key": job.key})
    pull.Pull(tmp_path).send(check("aa"))
    assert pull.work(tmp_path, jobs, "w") == 1
    assert alive == [True, False]


class Died(Exception):
    """What Ray raises."""


def cluster(deadly: str) -> SimpleNamespace:
    """As much of Ray as the transport uses; an actor dies over one job."""

    def get(reference: Any) -> list[dict[str, object]]:
        if deadly in reference.keys:
            raise Died("it is gone")
        return [{**DONE, "key": key} for key in reference.keys]

    class Reference:
        def __init__(self, jobs: list[Job]):
            self.keys = [job.key for job in jobs]

    actor = SimpleNamespace(evaluate=SimpleNamespace(remote=Reference))
    return SimpleNamespace(
        is_initialized=lambda: True, remote=lambda **given: lambda kind: SimpleNamespace(remote=lambda: actor), get=get, kill=lambda actor: None,
        wait=lambda references, **given: (references[:1], references[1:]), exceptions=SimpleNamespace(RayError=Died),
    )  # fmt: skip


def test_checks_that_travel_with_one_that_kills_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "_ray", lambda: cluster("05"))
    carrier = ray.Ray(2, tmp_path / "journal")
    for k in range(20):
        carrier.send(check(f"{k:02d}"))
    found = {}
    while carrier.running():
        found.update({job.key: record["state"] for job, record in carrier.receive(0.0)})
    assert found == {f"{k:02d}": "failed" if k == 5 else "done" for k in range(20)}
    carrier.send(check("21"))
    carrier.withdraw()
    assert carrier.running() == 0
    carrier.close()
