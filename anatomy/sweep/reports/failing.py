"""The later parts of a page: agreement of rankings, what failed, was rejected or pruned, and what it all cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape

from anatomy.sweep.reports.markup import prose
from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.rounding import between, duration, several
from anatomy.sweep.reports.tasks import link

NAMED = 40


def agreements(material: Material) -> Iterator[str]:
    yield '<section id="agreement"><h2>Do seeds and tasks agree?</h2>'
    found = material.findings.agreements
    if found:
        yield "<p>Kendall’s τ-b between two rankings of the same variants: 1 is the same order, 0 no relation, −1 the reverse. “At most about” is what it would be if both ranked the variants alike in truth, given how far seeds agree (Spearman, 1904).</p>"
        yield '<div class="scroll"><table class="plain"><thead><tr><th scope="col">one ranking</th><th scope="col">the other</th><th scope="col" class="n">τ-b (95 %)</th><th scope="col" class="n">variants</th><th scope="col" class="n">at most about</th><th scope="col">in words</th></tr></thead><tbody>'
        for a in found:
            yield f'<tr><td>{escape(a.first)}</td><td>{escape(a.second)}</td><td class="n">{escape(between(a.tau, lambda v: f"{v:.2f}".replace("-", "−")))}</td><td class="n">{a.tau.count:,}</td><td class="n">{"–" if a.most is None else f"{a.most:.2f}"}</td><td>{prose(a.words)}</td></tr>'
        yield "</tbody></table></div>"
    else:
        yield "<p>No two rankings could be compared: this needs two tasks that support a ranking, or two seeds.</p>"
    if material.plots:
        yield '<div class="controls scripted" data-controls="agreement"></div><div class="plots scripted" data-plot="agreement"></div><p class="note scripted" data-note="agreement"></p>'
    yield "</section>"


def failures(material: Material) -> Iterator[str]:
    yield '<section id="failures"><h2>Failures, rejections and what was pruned</h2>'
    classes: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    pruned: dict[tuple[str, int, str], list[str]] = {}
    for entry in material.results.entries:
        for f in entry.failures:
            classes.setdefault((f.state, f.cause), []).append((entry.name, f.job, f.traceback))
        for r in entry.runs:
            if r.state == "pruned":
                pruned.setdefault((r.task, r.budget, r.reason), []).append(entry.name)
    if not classes and not pruned:
        yield "<p>None: every job ended well.</p></section>"
        return
    for state, title in (("failed", "Failed"), ("rejected", "Rejected by the checks")):
        mine = {cause: jobs for (s, cause), jobs in sorted(classes.items()) if s == state}
        if mine:
            yield f"<h3>{title}</h3>"
            yield from (_class(material, cause, jobs) for cause, jobs in mine.items())
    if pruned:
        yield "<h3>Pruned</h3><p>Not trained further, because the variants of their stratum did better on an earlier rung.</p><ul>"
        for (task, budget, reason), names in sorted(pruned.items()):
            why = f" ({escape(reason)})" if reason else ""
            yield f"<li>{escape(task)}, before {budget:,} steps{why}: {several(len(set(names)), 'variant')}</li>"
        yield "</ul>"
    yield "</section>"


def _class(material: Material, cause: str, jobs: list[tuple[str, str, str]]) -> str:
    names = list(dict.fromkeys(name for name, _, _ in jobs))
    links = ", ".join(link(material, n) for n in names[:NAMED])
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    traceback = next(((name, job, t) for name, job, t in jobs if t), None)
    opened = f"<p>{escape(traceback[0])}, {escape(traceback[1])}:</p><pre>{escape(traceback[2])}</pre>" if traceback else ""
    return (
        f'<details class="failure"><summary><b>{escape(cause or "no class")}</b> <span>{several(len(jobs), "job")} of {several(len(names), "variant")}</span></summary>'
        f"<p>{links}{more}</p>{opened}</details>"
    )


def cost(material: Material) -> Iterator[str]:
    results = material.results
    yield '<section id="made"><h2>How it was made</h2><h3>Cost</h3>'
    total = sum(results.seconds.values()) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{escape(stage)}</th><td class="n">{duration(s)}</td><td class="bar"><i style="width:{100 * s / total:.1f}%"></i></td></tr>' for stage, s in results.seconds.items()
    )
    yield f'<table class="funnel"><caption class="unseen">CPU time by stage</caption><tbody>{rows}<tr class="sum"><th scope="row">CPU time of all results</th><td class="n">{duration(sum(results.seconds.values()))}</td><td></td></tr></tbody></table>'
    rungs = [(t, b) for t in results.tasks for b in t.budgets]
    if rungs:
        lines = []
        for task, budget in rungs:
            runs = [r for e in results.entries for r in e.runs if r.task == task.label and r.budget == budget]
            tally = ", ".join(f"{n:,} {s}" for s in ("done", "failed", "rejected", "pruned", "pending") if (n := sum(r.state == s for r in runs)))
            lines.append(f'<tr><th scope="row">{escape(task.label)}</th><td class="n">{budget:,}</td><td class="n">{len(runs):,}</td><td>{tally}</td></tr>')
        yield f'<h3>Rungs</h3><table class="plain"><thead><tr><th scope="col">task</th><th scope="col" class="n">steps</th><th scope="col" class="n">trainings</th><th scope="col">which are</th></tr></thead><tbody>{"".join(lines)}</tbody></table>'
    yield "<h3>Controls</h3><p>In every sweep: the baseline, trained with two seeds or more, so that the spread of one variant is known; a mixer that mixes nothing; and the causal average. Nothing is ranked where the baseline does not beat no mixing.</p>"
    facts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in material.environment.items()}
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{f'<code>{escape(v)}</code>' if k == 'command' else escape(v)}</dd>" for k, v in facts.items())
    yield f"<h3>Environment</h3><dl>{listed}</dl></section>"
