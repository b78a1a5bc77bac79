"""What a sweep says, in sentences: what was asked, what was done, what can be told and what cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anatomy.sweep.findings import Effect, TaskFindings
from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.rounding import between, duration, several, shares, signed, told

SURE = 0.05
"""A p-value below which an effect counts as shown."""
Told = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Headline:
    """`can` and `cannot` are sentences by task; those under an empty name are of the sweep as a whole."""

    asked: str
    done: str
    can: Told
    cannot: Told


def headline(material: Material) -> Headline:
    """The first words of a report.

    Nothing is said of the order on a task that supports no ranking; it stands in `cannot`, first.
    """
    can: list[tuple[str, tuple[str, ...]]] = []
    cannot: list[tuple[str, tuple[str, ...]]] = []
    whole = (*unfinished(material), *material.results.warnings, *material.findings.warnings)
    for found in material.findings.tasks:
        if found.supported:
            can.append((found.task, tuple(supported(found))))
        missing = (() if found.supported else (found.words,)) + found.warnings
        if missing:
            cannot.append((found.task, missing))
    cannot.sort(key=lambda item: any(f.supported for f in material.findings.tasks if f.task == item[0]))
    return Headline(asked(material), done(material), tuple(can), (*cannot, *((("", whole),) if whole else ())))


def asked(material: Material) -> str:
    results = material.results
    holes, tasks = list(results.holes), [t.label for t in results.tasks]
    where = f" on the {'task' if len(tasks) == 1 else 'tasks'} {listed([f'`{t}`' for t in tasks])}" if tasks else ""
    if not holes:
        return f"Which members of the space `{results.config.space}` do better{where}?"
    which = f"{several(len(holes), 'part')}: {', '.join(holes[:8])}{' and more' if len(holes) > 8 else ''}"
    return f"How much does the choice of each part of the space `{results.config.space}` matter{where}? It has {which}."


def done(material: Material) -> str:
    results = material.results
    members, controls = len(results.members), len(results.entries) - len(results.members)
    runs = [r for e in results.entries for r in e.runs if r.state == "done"]
    budgets = sorted({t.budgets[-1] for t in results.tasks if t.budgets})
    steps = f" of up to {listed([f'{b:,}' for b in budgets], 'or')} steps" if budgets else ""
    return (
        f"{several(members, 'variant')} with {several(results.config.seeds, 'seed')} each and {several(controls, 'control')}, the baseline with two seeds at least: "
        f"{several(len(runs), 'training')}{steps}, {duration(sum(results.seconds.values()))} of CPU time."
    )


def unfinished(material: Material) -> Iterator[str]:
    """What is missing from the sweep itself."""
    pending, failed = material.results.tally.get("pending", 0), material.results.tally.get("failed", 0)
    if pending:
        yield f"This sweep is not finished: {several(pending, 'job is', 'jobs are')} pending. `anatomy sweep resume` takes it up."
    if failed:
        yield f"{several(failed, 'job')} failed and {'is' if failed == 1 else 'are'} missing from every number here; see the failures below."


def supported(found: TaskFindings) -> Iterator[str]:
    """Sentences on a task whose controls support a ranking."""
    if found.groups:
        yield _best(found)
    strong = strongest(found)
    if strong is not None:
        if shown(strong.p):
            yield f"The part with the largest share of the variance between variants is {strong.hole}, {shares(strong.share)}{_levels(strong)}.{_rivals(strong, found.effects)}"
        else:
            others = [e.hole for e in found.effects if shown(e.p)]
            some = f"of the parts, {listed(others)} can be shown to matter" if others else "no part on its own can be shown to matter"
            yield f"{some[0].upper()}{some[1:]}; the largest share of the variance is that of {strong.hole}, {shares(strong.share)}{', which chance may explain' if others else ''}."
    pairs = [i for i in found.interactions if i.cells]
    if pairs:
        pair = next((i for i in pairs if shown(i.p)), pairs[0])
        cell = max(pair.cells, key=lambda c: abs(c.beyond.value))
        if not shown(pair.p):
            yield f"No pair of parts can be shown to interact; the largest share is that of {pair.holes[0]} and {pair.holes[1]}, {shares(pair.share)}."
        else:
            sure = "" if told(cell.beyond) else ", though zero lies in the interval of that cell"
            yield (
                f"The largest interaction that can be shown is between {pair.holes[0]} and {pair.holes[1]}, {shares(pair.share)} of the variance: "
                f"{cell.first} with {cell.second} scores {between(cell.beyond, signed)} beyond the sum of their effects{sure}."
            )
    if found.additive is not None:
        yield f"The sum of all main effects accounts for {shares(found.additive)}; the rest is what the parts do together."


def shown(p: float | None) -> bool:
    """Whether a test was made, and says that chance does not explain it."""
    return p is not None and p < SURE


def _rivals(strong: Effect, effects: tuple[Effect, ...]) -> str:
    """The parts whose shares may be as large: their intervals reach into that of the largest."""
    least = strong.share.low
    near = [e for e in effects if e is not strong and (least is None or e.share.high is None or e.share.high >= least)]
    return f" {'That' if len(near) == 1 else 'Those'} of {listed([e.hole for e in near])} may be as large." if near else ""


def _best(found: TaskFindings) -> str:
    best, count = found.groups[0], sum(map(len, found.groups))
    top = between(found.scores[best[0]]) if best[0] in found.scores else ""
    if len(best) == 1:
        return f"The highest score is that of `{best[0]}`, {top}; it can be told from all other {count - 1:,}."
    first = f"The highest score is that of `{best[0]}`, {top}"
    if len(found.groups) == 1:
        return f"{first}, and none of the other {count - 1:,} can be told from it."
    return f"{first}. {several(len(best) - 1, 'other')} cannot be told from it; {several(count - len(best), 'variant is', 'variants are')} worse."


def strongest(found: TaskFindings) -> Effect | None:
    return max(found.effects, key=lambda e: e.share.value, default=None)


def _levels(effect: Effect) -> str:
    """The best and the worst option, where both can be told from the mean."""
    if len(effect.levels) < 2:
        return ""
    best, worst = (f(effect.levels, key=lambda level: level.effect.value) for f in (max, min))
    if not (told(best.effect) and told(worst.effect)):
        return ""
    return f", from {best.option} ({signed(best.effect.value)}) to {worst.option} ({signed(worst.effect.value)})"


def listed(names: list[str], word: str = "and") -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else ""


FUNNEL = {"derivations": "fillings as written", "typed": "well typed", "canonical": "different diagrams"}
MERGED = {
    "L1": "of one canonical form",
    "L2": "equal by verified equations",
    "L3a": "equal by algebra, at exact points",
    "L3b": "equal in their numbers",
}


def funnel(material: Material) -> list[tuple[str, int | None]]:
    """Steps from what the space writes down to what was trained; None where nothing was counted."""
    members = material.results.members
    steps = [(words, material.results.counts[key]) for key, words in FUNNEL.items() if key in material.results.counts]
    steps.append(("swept here", len(members)))
    if any(e.check for e in members):
        steps.append(("passed the checks", sum(bool(e.check) and not e.check.get("reason") and e.state != "rejected" for e in members)))
    for task in material.results.tasks:
        for budget in task.budgets[:-1]:
            steps.append((f"trained on {task.label} for {budget:,} steps", sum(bool(e.at(task, budget)) for e in members)))
        steps.append((f"trained on {task.label} to the end", sum(bool(e.at(task)) for e in members) if task.budgets else 0))
    return steps


def beside(material: Material) -> Iterator[str]:
    """What the steps of the funnel leave out: controls, merged members, members that do not meet the requirements."""
    counts = material.results.counts
    controls = [f"`{e.name}`" for e in material.results.entries if e.role == "control"]
    if controls:
        yield f"Besides them, {several(len(controls), 'control')}: {listed(controls)}."
    merged = [(counts.get(level) or 0, words) for level, words in MERGED.items()]
    if any(n for n, _ in merged):
        how = listed([f"{n:,} {words}" for n, words in merged if n])
        yield f"Not trained again, because they are the same as one that is: {how}."
    same = [f"`{e.name}`" for e in material.results.members if e.same_as]
    if same:
        yield f"The same as a control: {listed(same[:6])}{f' and {len(same) - 6:,} more' if len(same) > 6 else ''}."
    if counts.get("unmet"):
        yield f"{several(counts['unmet'] or 0, 'diagram')} left out by what the space requires."
