"""A whole sweep with rungs, its jobs answered by a table of scores: the same end in whatever order answers come and however often it stops."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anatomy.spaces.loading import load
from anatomy.sweep import engine as engines
from anatomy.sweep import planning
from anatomy.sweep.cache import Cache
from anatomy.sweep.engine import Engine
from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job
from anatomy.sweep.planning import Plan
from anatomy.sweep.request import configure
from anatomy.sweep.results import Results, results
from anatomy.sweep.store import Store
from anatomy.sweep.task import load_task

CHECK = {"reason": "", "causal": True, "leak": "", "finite": True, "alive": True, "scale": 1.0, "parameters": 3}
TOY, SUDDEN = "tests.sweep.sweep_toy", "tests.sweep.sweep_toy:length=5"


@pytest.fixture
def plan(toys: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Twelve members in two strata, two seeds, rungs of 1, 3 and 9 steps on one task and none on the other."""
    before = load_task

    def smooth(spec: str) -> Any:
        task = before(spec)
        names = {name: getattr(task, name) for name in ("name", "length", "width", "causal", "budget", "digest", "data_digest")}
        return SimpleNamespace(**names, smooth=spec == TOY)

    for module in (planning, engines):
        monkeypatch.setattr(module, "load_task", smooth)
    wide = toys.with_name("wide.anat")
    wide.write_text(toys.read_text("utf-8") + "".join(
        f"diagram w{k}(s: [n, m]) -> [n, m] {{ out softmax[m](causal[m <= n](s * {k}.5)) }}\n" for k in range(2, 6)
    ) + "space wide of layer { choose weigh in { past, twice, w2, w3, w4, w5 } choose leave in { same, linear } }\n", "utf-8")  # fmt: skip
    config, _ = configure(
        f"{wide}::wide", (TOY, SUDDEN), toys.parent / "none", sample=None, members=None, budget=9, seed=0, seeds=2, text=None, sizes=None,
        radius=1.0, norm="frobenius", certify=False, merge="canonical", halving=3, rungs=3, strata=("leave",),
    )  # fmt: skip
    return planning.make(config, load(f"{wide}::wide"))


class Answers:
    """A transport that answers jobs by a function, in an order of its own, and stops when told to."""

    def __init__(self, answer: Callable[[Job], Record], seed: int, width: int, most: int = 10**9):
        self.answer, self.rng, self.width, self.most = answer, random.Random(seed), width, most
        self.jobs: list[Job] = []
        self.sent: list[Job] = []

    def free(self) -> int:
        return self.width - len(self.jobs)

    def withdraw(self) -> None:
        """All that was sent is under way."""

    def running(self) -> int:
        return len(self.jobs)

    def send(self, job: Job) -> None:
        self.jobs.append(job)
        self.sent.append(job)

    def receive(self, patience: float) -> list[tuple[Job, Record]]:
        self.most -= 1
        if self.most < 0:
            raise KeyboardInterrupt
        job = self.jobs.pop(self.rng.randrange(len(self.jobs)))
        return [(job, self.answer(job))]

    def close(self, kill: bool = False) -> None: ...


def answer(job: Job) -> Record:
    """Scores that a key decides, with ties, divergence and failures among them; those of more steps agree little with those of fewer."""
    if job.stage == "check":
        return {"key": job.key, "state": "done", "result": CHECK, "seconds": 0.0}
    if job.stage == "initialisation":
        return {"key": job.key, "state": "done", "result": {"gain": 1.0}, "seconds": 0.0}
    rng = random.Random(job.key)
    if rng.random() < 0.06:
        return {"key": job.key, "state": "failed", "class": "error", "traceback": "ValueError: no luck", "seconds": 0.0}
    told = {"score": rng.choice([0.25, 0.5, rng.random()]), "loss": 1.0, "steps": job.budget, "trials": 9, "parameters": 3, "diverged": rng.random() < 0.1}
    return {"key": job.key, "state": "done", "result": {**told, "solved": False, "curve": []}, "seconds": 0.0}


def ended(plan: Plan, folder: Path, seed: int, width: int, stops: tuple[int, ...] = ()) -> tuple[Results, list[Job]]:
    """The results, and the jobs that were sent; at each stop everything that ran is lost, and the sweep begins again from its store."""
    folder.mkdir()
    sent: list[Job] = []
    for turn, most in enumerate((*stops, 10**9)):
        with Store(folder) as store:
            store.install(plan, ("" for _ in plan.variants))
            carrier = Answers(answer, seed + turn, width, most)
            try:
                assert Engine(plan, store, Cache(folder / "cache"), carrier).run()
            except KeyboardInterrupt:
                assert most < 10**9
            sent += carrier.sent
            found = results(store, plan.config)
    return found, sent


def test_the_end_does_not_depend_on_the_order_of_answers(plan: Plan, tmp_path: Path) -> None:
    first, sent = ended(plan, tmp_path / "first", 0, 1)
    assert len(sent) == len({j.key for j in sent})  # nothing failed of class lost, so nothing was sent twice
    for seed, width in ((1, 2), (2, 7), (3, 100)):
        other, _ = ended(plan, tmp_path / str(seed), seed, width)
        assert other.entries == first.entries
        assert other.tally == first.tally
    for seed, stops in ((4, (3,)), (5, (30, 10)), (6, (45, 1, 20))):
        other, _ = ended(plan, tmp_path / f"stopped{seed}", seed, 3, stops)
        assert other.entries == first.entries


def test_rungs_are_what_the_rule_says(plan: Plan, tmp_path: Path) -> None:
    found, sent = ended(plan, tmp_path / "a", 0, 4)
    smooth, sudden = found.tasks
    assert (smooth.budgets, sudden.budgets) == ((1, 3, 9), (9,))
    for entry in found.entries:
        assert not any(r.state == "pruned" for r in entry.runs if r.task == sudden.label or entry.role == "control")
    assert found.tally["pruned"] > 0
    assert "pending" not in found.tally
    alive = {e.name: e for e in found.members}
    for lower, upper in ((1, 3), (3, 9)):
        going: dict[str, Any] = {}
        for stratum in ("same", "linear"):
            mine = [e for e in alive.values() if e.choices["leave"] == stratum]
            whole = [e for e in mine if all(r.state == "done" for r in e.runs if r.budget == lower and r.task == smooth.label)]
            spoilt = {e.name: any(r.diverged for r in e.at(smooth, lower)) for e in whole}
            order = sorted(whole, key=lambda e: (spoilt[e.name], 0 if spoilt[e.name] else -(e.score(smooth, lower) or 0.0), e.place))
            going |= {e.name: e for e in order[: max(1, len(mine) // 3)]}
        for entry in alive.values():
            states = {r.state for r in entry.runs if r.budget == upper and r.task == smooth.label}
            failed = any(r.state == "failed" for r in entry.runs if r.budget == lower and r.task == smooth.label)
            assert states <= ({"done", "failed"} if entry.name in going else {"rejected"} if failed else {"pruned"})
        alive = going
    reasons = {r.reason for e in found.members for r in e.runs if r.state == "pruned"}
    assert any("at the rung of 1 steps number" in reason and "with leave=same" in reason for reason in reasons)
    trained = [j for j in sent if j.task == TOY and j.budget == 9]
    assert len(trained) < len([j for j in plan.jobs if j.task == TOY and j.budget == 9])


def test_results_that_are_known_of_later_rungs_do_not_bring_anybody_back(plan: Plan, tmp_path: Path) -> None:
    first, _ = ended(plan, tmp_path / "a", 0, 4)
    folder = tmp_path / "b"
    folder.mkdir()
    with Store(folder) as store:
        for job in plan.jobs:
            store.put(answer(job))
        store.install(plan, ("" for _ in plan.variants))
        carrier = Answers(answer, 0, 4)
        assert Engine(plan, store, Cache(folder / "cache"), carrier).run()
        assert not carrier.sent
        assert results(store, plan.config).entries == first.entries


def test_the_plan_says_what_each_rung_costs_and_why_a_task_has_none(plan: Plan) -> None:
    data = plan.as_data()
    rungs = {(r["task"], r["budget"]): r["jobs"] for r in data["rungs"] if r["task"]}
    assert rungs == {(TOY, 1): 12 * 2 + 6, (TOY, 3): 4 * 2 + 6, (TOY, 9): 2 * 2 + 6, (SUDDEN, 9): 12 * 2 + 6}
    assert list(data["not_halved"]) == [SUDDEN]
    assert "learning comes all at once" in plan.as_text()
    assert sum(r["seconds"] for r in data["rungs"]) == pytest.approx(data["predicted_cpu_seconds"], abs=1)


def test_failures_end_a_sweep_where_that_was_asked_and_lost_jobs_come_again(plan: Plan, tmp_path: Path) -> None:
    def broken(job: Job) -> Record:
        return {"key": job.key, "state": "failed", "class": "error", "traceback": "x"} if job.stage == "train" else answer(job)

    with Store(tmp_path) as store:
        store.install(plan, ("" for _ in plan.variants))
        engine = Engine(plan, store, Cache(tmp_path / "cache"), Answers(broken, 0, 3), max_failures=2)
        assert not engine.run()
        assert 2 <= engine.book.tally["failed"] <= 4  # what ran when the second failed was finished
        assert "stopped after 2 failures" in engine.stopped
        assert dict(+engine.book.tally) == store.tally()
    tried: dict[str, int] = {}

    def dying(job: Job) -> Record:
        tried[job.key] = tried.get(job.key, 0) + 1
        lost = {"key": job.key, "state": "failed", "class": "lost", "traceback": "gone"}
        return lost if job.stage == "train" and tried[job.key] < 3 else answer(job)

    other = tmp_path / "other"
    other.mkdir()
    with Store(other) as store:
        store.install(plan, ("" for _ in plan.variants))
        assert Engine(plan, store, Cache(other / "cache"), Answers(dying, 0, 3)).run()
        assert not store.db.execute("select 1 from jobs where class = 'lost'").fetchone()
    assert set(tried.values()) == {1, 3}


def test_out_of_memory_is_tried_once_more_alone(plan: Plan, tmp_path: Path) -> None:
    running: list[int] = []
    tried: dict[str, int] = {}
    carrier: Answers

    def greedy(job: Job) -> Record:
        tried[job.key] = tried.get(job.key, 0) + 1
        if job.stage == "train" and tried[job.key] == 2:
            running.append(carrier.running())
        small = job.stage != "train" or tried[job.key] == 2
        return answer(job) if small else {"key": job.key, "state": "failed", "class": "out_of_memory", "traceback": "no room"}

    carrier = Answers(greedy, 0, 5)
    with Store(tmp_path) as store:
        store.install(plan, ("" for _ in plan.variants))
        assert Engine(plan, store, Cache(tmp_path / "cache"), carrier).run()
    assert running
    assert set(running) == {0}  # nothing else ran


def test_the_table_has_a_column_for_every_rung_and_holes_that_collide_apart(plan: Plan, tmp_path: Path) -> None:
    from dataclasses import replace

    from anatomy.sweep.table import as_csv, rows

    found, _ = ended(plan, tmp_path / "a", 0, 4)
    renamed = [replace(e, choices={"state" if h == "weigh" else h: o for h, o in e.choices.items()}) for e in found.entries]
    table = rows(replace(found, entries=tuple(renamed)))
    by_name = {e.name: e for e in found.entries}
    assert len({tuple(row) for row in table}) == 1
    for row in table:
        entry = by_name[row["name"]]
        assert (row["state"], row["hole.state"]) == (entry.state, entry.choices.get("weigh", ""))
        for budget in (1, 3):
            assert row[f"{TOY}@{budget}.score"] == entry.score(found.tasks[0], budget)
        scores = row[f"{TOY}.scores"]
        assert row[f"{TOY}.score"] == (sum(scores) / len(scores) if scores else None)
        assert bool(row["pruned"]) == any(r.state == "pruned" for r in entry.runs)
    assert f"{SUDDEN}@3.score" not in table[0]
    assert len(as_csv(table).splitlines()) == len(table) + 1
