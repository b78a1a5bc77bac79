"""An Optuna storage, so that its dashboard opens a sweep: a study for each task, a trial for each variant and seed.

Choices are categorical parameters, the curve is the trial's intermediate values. A trial is complete, failed (a failure, or the checks
rejected it), pruned (halving stopped it; its values are those of its last rung) or waiting. Optuna stamps trials with the time at
which they were written; a sweep does not keep when a job ran.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from anatomy.errors import fail
from anatomy.sweep.results import Entry, Results, Run, TaskFacts

RUN = ("key", "budget", "reason", "loss", "rate", "steps", "parameters", "diverged", "solved")
BOUNDS = ("verdict", "upper", "lower", "method", "responsible")


def write(found: Results, path: Path, runs: bool) -> None:
    """Raises AnatomyError E806 where Optuna is not installed; trials are trainings, with `runs` or without."""
    optuna = _optuna()
    path.unlink(missing_ok=True)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
    try:
        import_module("sqlalchemy.event").listen(storage.engine, "connect", _swift)
        storage.engine.dispose()  # connections made from here on do not wait for the disk: the file is a draft until it is whole
        options = {h: tuple(dict.fromkeys(e.choices[h] for e in found.entries if h in e.choices)) for h in found.holes}
        kinds = {h: optuna.distributions.CategoricalDistribution(sorted(names)) for h, names in options.items()}
        for task in found.tasks:
            study = optuna.create_study(study_name=f"{found.config.space}/{task.label}", storage=storage, direction="maximize")
            for name, value in (("command", found.config.command()), ("evaluator", found.evaluator), ("budgets", list(task.budgets))):
                study.set_user_attr(name, value)
            study.add_trials(list(trials(optuna, found, task, kinds)))
    finally:
        storage.engine.dispose()
        optuna.logging.set_verbosity(before)


def trials(optuna: Any, found: Results, task: TaskFacts, kinds: dict[str, Any]) -> Iterator[Any]:
    """Trials in the order of the table, then by seed."""
    for entry in found.entries:
        mine = [r for r in entry.runs if r.task == task.label]
        for seed in sorted({r.seed for r in mine}):
            yield _trial(optuna, entry, [r for r in mine if r.seed == seed], task, kinds)


def _trial(optuna: Any, entry: Entry, runs: list[Run], task: TaskFacts, kinds: dict[str, Any]) -> Any:
    """`runs` are those of one seed: a rung each."""
    last = max(runs, key=lambda r: r.budget)
    reached = max((r for r in runs if r.state == "done"), key=lambda r: r.budget, default=None)
    states = optuna.trial.TrialState
    stopped = next((r for r in runs if r.state in ("failed", "rejected")), next((r for r in runs if r.state == "pruned"), last))
    state = {"failed": states.FAIL, "rejected": states.FAIL, "pruned": states.PRUNED, "pending": states.WAITING}.get(stopped.state, states.COMPLETE)
    told = reached or last
    points = {int(p[0]): float(p[1]) for p in told.curve if len(p) > 1 and p[1] is not None}
    notes = {name: getattr(told, name) for name in RUN} | {"state": stopped.state, "reason": stopped.reason}
    notes |= {name: entry.bounds.get(name) for name in BOUNDS}
    notes |= {"variant": entry.name, "role": entry.role, "rank": entry.rank, "seed": last.seed, "digest": entry.digest}
    notes |= {"aliases": [index for index, _ in entry.aliases], "text": entry.text}
    return optuna.trial.create_trial(
        state=state, value=last.score if state == states.COMPLETE else reached.score if state == states.PRUNED and reached else None,
        params=dict(entry.choices), distributions={h: kinds[h] for h in entry.choices}, user_attrs=notes,
        intermediate_values=points,
    )  # fmt: skip


def _swift(connection: Any, record: Any) -> None:
    connection.execute("pragma synchronous = off")
    connection.execute("pragma journal_mode = memory")


def _optuna() -> Any:
    try:
        return import_module("optuna")
    except ImportError:
        raise fail("E806", "Optuna is not installed", help="`pip install 'attention-anatomy[export]'`; .csv and .json need nothing") from None
