"""All that a report is made of: a value without a clock, a path or a network in it, so that the same sweep gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from anatomy.sweep.findings import Estimate, Findings, TaskFindings
from anatomy.sweep.results import Entry, Results, TaskFacts

TOP = 50
"""Rows of the table that stand on the page without scripts."""


@dataclass(frozen=True)
class Material:
    """Results, what they can support, and what was drawn and counted for the report."""

    results: Results
    findings: Findings
    environment: Mapping[str, Any] = field(default_factory=dict)
    costs: Mapping[str, int] = field(default_factory=dict)
    """Floating-point operations of one forward pass of the mixer, by the name of the variant."""
    measured: str = ""
    """At which sizes the costs hold."""
    pictures: Mapping[str, str] = field(default_factory=dict)
    """SVG by the name of the variant."""
    plots: str = ""
    """The JavaScript of the plots; without it the page has none."""

    @cached_property
    def findings_of(self) -> Mapping[str, TaskFindings]:
        return {f.task: f for f in self.findings.tasks}

    def estimate(self, entry: Entry, task: TaskFacts) -> Estimate | None:
        """The score of a variant with its interval; without findings its mean over seeds."""
        found = self.findings_of.get(task.label)
        if found is not None and entry.name in found.scores:
            return found.scores[entry.name]
        scores = entry.scores(task) if task.budgets else ()
        return Estimate(sum(scores) / len(scores), count=len(scores)) if scores else None

    def ranks(self, task: TaskFacts) -> bool:
        """Whether the controls of a task support a ranking."""
        found = self.findings_of.get(task.label)
        return found is not None and found.supported

    @cached_property
    def order(self) -> tuple[Entry, ...]:
        """Best first by the first task that supports a ranking, what has no score last; where none does, as they were swept."""
        first = next((t for t in self.results.tasks if self.ranks(t)), None)

        def key(entry: Entry) -> tuple[bool, float, int]:
            found = self.estimate(entry, first) if first else None
            return found is None, -(found.value if found else 0.0), entry.place

        return tuple(sorted(self.results.entries, key=key))

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {e.name: e.place for e in self.results.entries}

    @cached_property
    def top(self) -> frozenset[int]:
        """Places of the variants whose rows stand on the page without scripts."""
        return frozenset(e.place for e in self.order[:TOP])
