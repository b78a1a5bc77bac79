"""`report.md`: the same words for a terminal and for pasting into an issue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.payload import bound
from anatomy.sweep.reports.rounding import between, duration, plain, probability, score, several, shares, signed, told
from anatomy.sweep.reports.words import Told, beside, funnel, headline
from anatomy.sweep.results import Entry

ROWS, GROUPS, NAMED, OPTIONS, CELLS = 25, 8, 6, 8, 8


def markdown(material: Material) -> str:
    """The report in Markdown; every text of the sweep is made harmless, and tables line up as plain text too."""
    return "\n".join(_lines(material)).rstrip() + "\n"


def text(words: str) -> str:
    r"""Words that Markdown and HTML leave alone; what stands between backticks is in a fixed font.

    >>> text("a|b <img> [x](y) `a_b` 1 < 2")
    'a\\|b &lt;img> \\[x\\](y) `a_b` 1 &lt; 2'
    """
    parts = re.split(r"`([^`]+)`", " ".join(words.split()))
    return "".join(code(part) if k % 2 else _harmless(part) for k, part in enumerate(parts))


def _harmless(words: str) -> str:
    inside = re.sub(r"(?<=\w)_(?=\w)", "\0", words)
    return re.sub(r"([|\\`*_\[\]])", r"\\\1", inside).replace("\0", "_").replace("&", "&amp;").replace("<", "&lt;")


def code(words: str) -> str:
    """A word in a fixed font, whatever it holds."""
    return f"`{' '.join(words.split()).replace('`', chr(0x2BB)).replace('|', chr(0xFF5C))}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose columns line up; heads that end in `>` are of numbers."""
    right = [h.endswith(">") for h in heads]
    lines = [[h.removesuffix(">") for h in heads], *map(list, rows)]
    widths = [max(3, *(len(line[k]) for line in lines)) for k in range(len(heads))]

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)) + " |"

    yield row(lines[0])
    yield "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    yield from map(row, lines[1:])
    yield ""


def _lines(material: Material) -> Iterator[str]:
    results = material.results
    found = headline(material)
    yield f"# Sweep of {text(results.config.space)}"
    yield ""
    yield f"{text(found.asked)} {text(found.done)}"
    yield ""
    yield "## What can be told"
    yield ""
    yield from told_by_task(found.can, "Nothing is ranked here; the reasons stand under what cannot be told.")
    yield "## What cannot be told"
    yield ""
    yield from told_by_task(found.cannot, "No warning was raised. Intervals still say how far each number can be trusted.")
    yield "## Funnel"
    yield ""
    yield from table(["step", "variants>"], [(text(words), "not counted" if n is None else f"{n:,}") for words, n in funnel(material)])
    yield text(" ".join(beside(material)))
    yield ""
    for task in material.findings.tasks:
        yield from _task(material, task.task)
    yield from _variants(material)
    if material.findings.agreements:
        yield "## Agreement (Kendall’s τ-b)"
        yield ""
        rows = [(text(a.first), text(a.second), between(a.tau, lambda v: f"{v:.2f}"), "–" if a.most is None else f"{a.most:.2f}", text(a.words)) for a in material.findings.agreements]
        yield from table(["one", "other", "τ-b (95 %)>", "at most about>", "in words"], rows)
    yield from _failures(material)
    yield "## Made by"
    yield ""
    for stage, seconds in results.seconds.items():
        yield f"- CPU time of {text(stage)}: {duration(seconds)}"
    for key, value in material.environment.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        yield f"- {text(key)}: {code(shown) if key == 'command' else text(shown)}"


def told_by_task(told: Told, otherwise: str) -> Iterator[str]:
    for task, sentences in told:
        yield f"**{text(task) if task else 'The sweep as a whole'}**"
        yield ""
        yield from (f"- {text(w)}" for w in sentences)
        yield ""
    if not told:
        yield otherwise
        yield ""


def _task(material: Material, label: str) -> Iterator[str]:
    found = material.findings_of[label]
    yield f"## Task {text(label)}"
    yield ""
    yield text(found.words)
    yield ""
    if found.groups:
        yield "Groups: the best with all that cannot be told from it, then the best of the rest with all of the rest that cannot be told from that, and so on. The ends of neighbours may be alike."
        yield ""
        for k, names in enumerate(found.groups[:GROUPS]):
            values = [found.scores[n].value for n in names if n in found.scores]
            spread = f"{score(max(values))} to {score(min(values))}" if len(values) > 1 else score(values[0]) if values else ""
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            yield f"{k + 1}. {spread}: {', '.join(map(code, names[:NAMED]))}{more}"
        if len(found.groups) > GROUPS:
            yield ""
            yield f"{several(len(found.groups) - GROUPS, 'more group')} in the page."
        yield ""
    if found.effects:
        yield "What each part does (bold: the interval leaves out zero):"
        yield ""
        rows = []
        for effect in sorted(found.effects, key=lambda e: -e.share.value)[:OPTIONS]:
            levels = sorted(effect.levels, key=lambda level: -level.effect.value)
            ends = levels if len(levels) <= 2 else [levels[0], levels[-1]]
            rows.append((text(effect.hole), shares(effect.share), probability(effect.p) if effect.p is not None else "–", *(_level(x.option, x.effect) for x in (ends[0], ends[-1]))))
        yield from table(["part", "share of the variance>", "test (Holm)", "best option", "worst option"], rows)
        if len(found.effects) > OPTIONS:
            yield f"{several(len(found.effects) - OPTIONS, 'part')} with smaller shares in the page."
            yield ""
    cells = sorted(((i, c) for i in found.interactions for c in i.cells), key=lambda x: -abs(x[1].beyond.value))[:CELLS]
    if cells:
        yield "The largest effects of pairs beyond the sum of their parts:"
        yield ""
        rows = [(text(i.holes[0]), text(c.first), text(i.holes[1]), text(c.second), between(c.beyond, signed)) for i, c in cells]
        yield from table(["part", "option", "part", "option", "beyond (95 %)>"], rows)


def _level(option: str, effect: object) -> str:
    from anatomy.sweep.findings import Estimate

    assert isinstance(effect, Estimate)
    shown = f"{text(option)} {between(effect, signed)}"
    return f"**{shown}**" if told(effect) else shown


def _variants(material: Material) -> Iterator[str]:
    results = material.results
    shown = material.order[:ROWS]
    yield "## Variants" if len(shown) == len(results.entries) else f"## The first {len(shown)} of {len(results.entries):,} variants"
    yield ""
    first = next((t.label for t in results.tasks if material.ranks(t)), "")
    yield f"By score on {text(first)}; the groups say which can be told apart." if first else "As they were swept: no task supports an order."
    yield ""
    heads = ["variant", *map(text, results.holes), *(f"{text(t.label)}>" for t in results.tasks), "parameters>", "bound ≤>", "regularity", "state"]

    def row(e: Entry) -> list[str]:
        scores = [material.estimate(e, t) for t in results.tasks]
        return [
            code(e.name), *(text(e.choices.get(h, "")) for h in results.holes), *(between(s) if s else "–" for s in scores),
            plain(e.check.get("parameters")), plain(bound(e, "upper", True)), text(plain(e.bounds.get("verdict"))), e.state,
        ]  # fmt: skip

    yield from table(heads, map(row, shown))


def _failures(material: Material) -> Iterator[str]:
    classes: dict[tuple[str, str], list[str]] = {}
    for entry in material.results.entries:
        for f in entry.failures:
            classes.setdefault((f.state, f.cause), []).append(entry.name)
    pruned = sum(r.state == "pruned" for e in material.results.entries for r in e.runs)
    yield "## Failures and rejections"
    yield ""
    if not classes:
        yield "None."
    for (state, cause), names in sorted(classes.items()):
        some = list(dict.fromkeys(names))
        more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
        yield f"- {state}, {text(cause)}: {several(len(names), 'job')} of {', '.join(map(code, some[:NAMED]))}{more}"
    if pruned:
        yield f"- pruned: {several(pruned, 'training')}"
    yield ""
