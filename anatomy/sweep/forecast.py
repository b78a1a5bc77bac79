"""What a plan will cost, roughly: jobs and CPU-seconds, rung by rung. Measured on one core of a laptop of 2025; yours differs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from anatomy.sweep.ladder import expected
from anatomy.sweep.task import Task, label, load_task

if TYPE_CHECKING:
    from anatomy.sweep.planning import Plan

STAGES = {"check": 0.03, "initialisation": 0.03, "regularity": 2.0}
"""CPU-seconds of a job."""
START, STEP, WORK = 0.3, 0.01, 1.6e-10
"""CPU-seconds of a training: to build it, for each step, and for each multiplication of a weight of the model in a step."""


@dataclass(frozen=True)
class Line:
    """A stage, or a rung of a task: how many jobs it has where nothing fails, at most, and their CPU-seconds."""

    name: str
    task: str
    budget: int
    jobs: int
    most: int
    seconds: float

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 1), "cpu_hours": round(self.seconds / 3600, 4)}


def cost(stage: str, task: Task | None = None, budget: int = 0) -> float:
    """CPU-seconds of one job."""
    if task is None or stage != "train":
        return STAGES[stage]
    take = lambda name, otherwise: float(getattr(task, name, otherwise))  # noqa: E731
    width, depth = float(task.width), take("depth", 1)
    per_token = depth * width * width * (12 if getattr(task, "feedforward", "none") != "none" else 4) + width * take("vocabulary", 1)
    tokens = take("batch", 1) * float(task.length) * take("rates", 1)
    tested = take("tests", 0) * 2 / 3
    return START + (budget + tested) * (STEP + WORK * tokens * per_token)


def forecast(plan: Plan) -> list[Line]:
    """Stages and rungs in their order; of halved rungs, as many jobs as there are when no member fails or is rejected."""
    members = [v for v in plan.variants if v.role == "member"]
    controls = [v for v in plan.variants if v.role == "control"]
    found = []
    for stage in STAGES:
        count = sum(j.stage == stage for j in plan.jobs)
        if count:
            found.append(Line(stage, "", 0, count, count, count * cost(stage)))
    seeds, extra = plan.config.seeds, sum(len(v.seeds) for v in controls)
    for spec, ladder in plan.ladders.items():
        task, rungs = load_task(spec), len(ladder.budgets)
        alive = expected([v.stratum for v in members], plan.config.halving, rungs) if plan.config.halving is not None else [len(members)] * rungs
        for budget, count in zip(ladder.budgets, alive, strict=True):
            jobs, most = count * seeds + extra, len(members) * seeds + extra
            found.append(Line(f"{label(spec)}, {budget:,} steps", label(spec), budget, jobs, most, jobs * cost("train", task, budget)))
    return found


def hours(seconds: float) -> str:
    """As CPU-hours.

    >>> hours(5400), hours(36)
    ('1.50 CPU-hours', '0.010 CPU-hours')
    """
    found = seconds / 3600
    return f"{found:.2f} CPU-hours" if found >= 0.1 else f"{found:.3f} CPU-hours"
