"""The parts of a page in the order in which a reader needs them, as plain HTML that says the same without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from anatomy.sweep.reports.failing import agreements, cost, failures
from anatomy.sweep.reports.markup import bullets, prose
from anatomy.sweep.reports.material import TOP, Material
from anatomy.sweep.reports.reading import READING
from anatomy.sweep.reports.rounding import between, plain, several
from anatomy.sweep.reports.tasks import row_id, task_section
from anatomy.sweep.reports.words import beside, funnel, headline

FIRST = 4
"""Warnings of a task that stand in the header; all of them stand at the task."""


def body(material: Material) -> Iterator[str]:
    """Header, contents and all sections."""
    results = material.results
    plots = bool(material.plots)
    yield '<a class="skip" href="#variants">Skip to the table of variants</a>'
    yield from _header(material)
    sections = [("funnel", "Funnel"), *((f"task-{k}", t.label) for k, t in enumerate(results.tasks))]
    sections += [("cost", "Score and cost"), ("parallel", "Choices and scores")] * plots
    sections += [("variants", "Variants")] + [("curves", "Learning")] * plots
    sections += [("agreement", "Agreement"), ("failures", "Failures"), ("made", "How it was made"), ("reading", "How to read this")]
    yield f'<nav aria-label="Sections"><ul>{"".join(f"""<li><a href="#{key}">{escape(title)}</a></li>""" for key, title in sections)}</ul></nav>'
    yield "<main>"
    yield from _funnel(material)
    for k, task in enumerate(results.tasks):
        yield from task_section(material, task, f"task-{k}")
    if plots:
        yield from _pareto(material)
        yield _plot("parallel", "Choices and scores", "Every line is a variant. Drag over an axis to keep what runs through there; the table below follows. The filters of its columns do the same by keyboard.")  # fmt: skip
    yield from _table(material)
    if plots:
        yield _plot("curves", "Learning curves", "")
    yield from agreements(material)
    yield from failures(material)
    yield from cost(material)
    yield f'<section id="reading"><h2>How to read this</h2>{READING}</section>'
    yield '</main><footer><p>Made by <code>anatomy sweep report</code>. This file holds everything it shows and asks no server for anything.</p></footer>'
    yield '<dialog id="detail" aria-label="Variants in detail"></dialog><div id="status" role="status" class="unseen"></div>'


def _header(material: Material) -> Iterator[str]:
    found = headline(material)
    space = escape(material.results.config.space)
    yield f'<header><p class="kind">Sweep of the space <code>{space}</code></p><h1>Which choices in {space} matter?</h1>'
    yield f'<p class="lede">{prose(found.asked)} {prose(found.done)}</p><div class="told"><div class="can"><h2>What can be told</h2>'
    for task, sentences in found.can:
        yield f"<h3>{escape(task)}</h3>{bullets(sentences)}"
    if not found.can:
        yield "<p>Nothing is ranked here; the reasons stand under what cannot be told.</p>"
    yield '</div><div class="cannot"><h2>What cannot be told</h2>'
    for task, sentences in found.cannot:
        key = next((f"task-{k}" for k, t in enumerate(material.results.tasks) if t.label == task), "")
        left = len(sentences) - FIRST if key else 0
        head = f"<h3>{escape(task)}</h3>" if task else "<h3>the sweep as a whole</h3>" if len(found.cannot) > 1 else ""
        more = f'<p class="note"><a href="#{key}">{several(left, "more warning")} at this task</a></p>' if left > 0 else ""
        yield f"{head}{bullets(sentences[:FIRST] if key else sentences)}{more}"
    if not found.cannot:
        yield "<p>No warning was raised. Intervals still say how far each number can be trusted.</p>"
    yield "</div></div></header>"


def _funnel(material: Material) -> Iterator[str]:
    steps = funnel(material)
    most = max((n for _, n in steps if n), default=1)
    yield '<section id="funnel"><h2>From the space to what was trained</h2>'
    yield '<table class="funnel"><caption class="unseen">Variants left after each step</caption><tbody>'
    for words, count in steps:
        value = "not counted" if count is None else f"{count:,}"
        width = 0.0 if not count else 100 * _log(count) / max(_log(most), 1e-9)
        yield f'<tr><th scope="row">{escape(words)}</th><td class="n">{value}</td><td class="bar"><i style="width:{width:.1f}%"></i></td></tr>'
    yield "</tbody></table>"
    yield f'<p class="note">{prose(" ".join(["Bars grow with the logarithm of the count.", *beside(material)]))}</p></section>'


def _log(count: int) -> float:
    from math import log

    return log(count + 1)


def _pareto(material: Material) -> Iterator[str]:
    config = material.results.config
    bounded = any(e.bounds for e in material.results.entries)
    words = "Circles are variants, diamonds controls. The stepped line joins what no other beats in both; outlined points lie on it."
    if bounded:
        words += (
            f" Lipschitz bounds are upper bounds with the weights before training, for tokens of norm at most {config.radius:g}, in the norm {config.norm}, rounded up; "
            "variants without a finite bound stand in a margin of their own."
        )
    if material.costs:
        words += f" FLOPs are counted for one forward pass of the mixer on {material.measured}."
    yield _plot("cost", "Score against cost", words)


def _plot(key: str, title: str, words: str) -> str:
    said = f"<p>{escape(words)}</p>" if words else ""
    return (
        f'<section id="{key}" class="scripted"><h2>{escape(title)}</h2>{said}<div class="controls" data-controls="{key}"></div>'
        f'<div class="plots" data-plot="{key}"></div><p class="note" data-note="{key}"></p></section>'
    )


def _table(material: Material) -> Iterator[str]:
    """The top of the table; scripts put the whole of it in its place."""
    results = material.results
    shown = material.order[:TOP]
    left = len(results.entries) - len(shown)
    yield '<section id="variants" class="wide"><h2>All variants</h2>'
    yield '<p class="scripted">Sort by a heading, filter below it; a row opens the diagram, its text and the command that makes it again. Two or more ticked rows open side by side. The address of this page keeps what you chose.</p>'
    yield '<div id="table"><div class="scroll"><table class="grid"><thead><tr><th scope="col">variant</th>'
    yield "".join(f'<th scope="col">{escape(h)}</th>' for h in results.holes)
    yield "".join(f'<th scope="col" class="n">{escape(t.label)}</th>' for t in results.tasks)
    yield '<th scope="col" class="n">parameters</th><th scope="col">regularity</th><th scope="col">state</th></tr></thead><tbody>'
    for e in shown:
        cells = [f"<td>{escape(e.choices.get(h, ''))}</td>" for h in results.holes]
        for task in results.tasks:
            found = material.estimate(e, task)
            cells.append(f'<td class="n">{escape(between(found)) if found else "–"}</td>')
        cells.append(f'<td class="n">{plain(e.check.get("parameters"))}</td><td>{escape(plain(e.bounds.get("verdict")))}</td><td>{escape(e.state)}</td>')
        yield f'<tr id="{row_id(e.place)}"><th scope="row">{escape(e.name)}</th>{"".join(cells)}</tr>'
    yield "</tbody></table></div>"
    if left > 0:
        yield f'<p class="note">{several(left, "more variant")} in the table that scripts show.</p>'
    yield "</div></section>"
