"""The states of a sweep's jobs as its coordinator keeps them: in memory, counted as they change, written to the store."""

from __future__ import annotations

from collections import Counter

from anatomy.sweep.evaluate import Record
from anatomy.sweep.job import Job
from anatomy.sweep.planning import Plan
from anatomy.sweep.store import Store

Place = tuple[int, int]
"""A variant's place, and the number of one of its jobs."""


def rung(item: Job) -> tuple[str, int]:
    """What is counted together: the stage of a job, or its task and budget."""
    return (item.task, item.budget) if item.stage == "train" else (item.stage, 0)


class Book:
    """States of jobs: pending, done, failed, rejected, pruned. Several jobs may have one key, and end together."""

    def __init__(self, plan: Plan, store: Store):
        self.plan, self.store = plan, store
        self.states: dict[Place, str] = {(p, n): s for p, n, s in store.db.execute("select place, number, state from jobs")}
        self.tally = Counter(self.states.values())
        self.owners: dict[str, list[Place]] = {}
        self.rungs: dict[tuple[str, int], list[Place]] = {}
        """The same, all of them."""
        self.open: Counter[tuple[str, int]] = Counter()
        """How many jobs of each stage, or of each task with each budget, are pending."""
        for place, variant in enumerate(plan.variants):
            for number, item in enumerate(variant.jobs):
                self.owners.setdefault(item.key, []).append((place, number))
                self.rungs.setdefault(rung(item), []).append((place, number))
                self.open[rung(item)] += self.states[place, number] == "pending"

    def job(self, where: Place) -> Job:
        return self.plan.variants[where[0]].jobs[where[1]]

    def pending(self, item: Job) -> bool:
        """Whether somebody still waits for the job."""
        return any(self.states[where] == "pending" for where in self.owners[item.key])

    def put(self, record: Record) -> list[Place]:
        """Take in what has become of a job; those that were pending for it."""
        self.store.put(record)
        moved = [where for where in self.owners[record["key"]] if self.states[where] == "pending"]
        for where in moved:
            self._move(where, record["state"])
        return moved

    def end(self, wheres: list[Place], state: str, reason: str) -> None:
        """Jobs that are not run: rejected or pruned, also where the result is known from before."""
        changed = [where for where in wheres if self.states[where] != state]
        for where in changed:
            self._move(where, state)
        self.store.end(changed, state, reason)

    def _move(self, where: Place, state: str) -> None:
        before, self.states[where] = self.states[where], state
        self.tally[before] -= 1
        self.tally[state] += 1
        if before == "pending":
            self.open[rung(self.job(where))] -= 1
