"""What the numbers of a sweep can support, and what they cannot: intervals, groups, effects of parts, agreement, warnings.

Every method stands in one file, with its formula, its assumptions and its source:

- `sample`: the scores of a task, their binomial error.
- `spread`: sigma between seeds, its degrees of freedom, where it is not the same for all.
- `multiplicity`: how sure one must be of the most striking of many: Tukey's range, Sidak's intervals, Holm's p values.
- `controls`: whether anything is ranked at all.
- `groups`: which variants can be told apart.
- `power`: what the budget can detect, and what more seeds would buy.
- `design`: which options were seen together, what is estimable.
- `linear`: least squares with the known errors of seeds.
- `effects`: main effects of holes and interactions of pairs.
- `shares`: what share of the variance is whose.
- `agreement`: Kendall's tau-b between seeds, tasks, rungs and bounds.
- `cautions`: warnings about the runs as they came out.

All of it is a function of the store alone: resampling is keyed by what is resampled, so that the same results give the same findings.
scipy is imported inside functions, because `anatomy` starts without it.
"""

from __future__ import annotations

from anatomy.errors import AnatomyError
from anatomy.sweep.findings import Findings
from anatomy.sweep.results import Results
from anatomy.sweep.statistics.agreement import agreements
from anatomy.sweep.statistics.task import Aliases, task_findings

__all__ = ["findings"]


def findings(results: Results) -> Findings:
    """Everything that the statistics say of a sweep.

    Groups, effects and agreement between tasks are given only for tasks whose controls support a ranking; see the files of this package for each method and its
    source.
    """
    aliases, warnings = _aliases(results)
    tasks = tuple(task_findings(results, task, aliases) for task in results.tasks)
    supported = [task for task, found in zip(results.tasks, tasks, strict=True) if found.supported]
    unsupported = [f"`{found.task}`" for found in tasks if not found.supported]
    if unsupported and len(results.tasks) > 1:
        warnings.append(f"Nothing is ranked on {', '.join(unsupported)}, so that no agreement with it is told.")
    if any(e.bounds for e in results.members):
        warnings.append("Regularity bounds are those of the weights at initialisation, at one size and radius; training changes them.")
    if len(results.tasks) == 1:
        warnings.append("One task was swept: nothing here tells whether another task would rank the variants alike.")
    return Findings(tasks, agreements(results, supported), tuple(warnings))


def _aliases(results: Results) -> tuple[Aliases, list[str]]:
    """The choices of all members that were merged into others, read from the space."""
    asked = [rank for entry in results.members if entry.choices for rank, _ in entry.aliases]
    if not asked:
        return {}, []
    try:
        space = results.config.load()
    except AnatomyError:
        return {}, [
            f"{len(asked)} members were merged into equal ones, and the space can no longer be read: effects know only the choices of the first of each."
        ]
    return {rank: space.choices(rank) for rank in asked}, []
