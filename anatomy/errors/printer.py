"""Diagnostics as text, in colour, as JSON and as SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anatomy.errors.diagnostic import Diagnostic, Source, Span

WIDTH = 160
"""Longer source lines are cut around the place."""


def plain(diagnostics: Sequence[Diagnostic]) -> str:
    """All diagnostics, a blank line between two."""
    return "\n\n".join(render(d) for d in diagnostics)


def coloured(diagnostics: Sequence[Diagnostic]) -> str:
    """The same with ANSI colours, for a terminal."""
    return "\n\n".join(render(d, colour=True) for d in diagnostics)


def render(diagnostic: Diagnostic, colour: bool = False) -> str:
    """One diagnostic: the message, the place with its line, second places, notes and help."""

    def paint(text: str, style: str) -> str:
        text = printable(text)
        return f"\x1b[{style}m{text}\x1b[0m" if colour and text else text

    tone = "31;1" if diagnostic.severity == "error" else "33;1"
    lines = [paint(f"{diagnostic.severity}[{diagnostic.code}]", tone) + paint(f": {diagnostic.message}", "1")]
    span = diagnostic.span
    margin = " "
    if span is not None:
        line, column = span.source.position(span.start)
        places = [(span, diagnostic.label, True)]
        seen = {(span.start, span.end)}
        elsewhere = []
        for label in diagnostic.secondary:
            if label.span.source is not span.source:
                elsewhere.append(label)
            elif (label.span.start, label.span.end) not in seen:
                seen.add((label.span.start, label.span.end))
                places.append((label.span, label.text, False))
        places.sort(key=lambda p: (p[0].line, p[0].start))
        digits = max(len(str(p[0].line)) for p in places)
        margin = " " * digits
        blue = "34;1"
        lines.append(f"{margin}{paint('-->', blue)} {printable(span.source.path)}:{line}:{column}")
        lines.append(paint(f"{margin} |", blue))
        previous = None
        for place, words, primary in places:
            text, start, length = _cut(place)
            if place.line != previous:
                lines.append(paint(f"{place.line:>{digits}} |", blue) + f" {text}")
            previous = place.line
            mark = ("^" if primary else "-") * length
            style = tone if primary else blue
            lines.append(paint(f"{margin} |", blue) + " " * (start + 1) + paint(f"{mark} {words}".rstrip(), style))
        for label in elsewhere:
            there, column = label.span.source.position(label.span.start)
            text, start, length = _cut(label.span)
            lines.append(f"{margin}{paint(':::', blue)} {printable(label.span.source.path)}:{there}:{column}")
            lines.append(paint(f"{there:>{digits}} |", blue) + f" {text}")
            lines.append(paint(f"{margin} |", blue) + " " * (start + 1) + paint(f"{'-' * length} {label.text}".rstrip(), blue))
    for note in diagnostic.notes:
        lines.append(f"{margin} = note: {printable(note)}")
    if diagnostic.help:
        lines.append(f"{margin} = {paint('help', '36;1')}: {printable(diagnostic.help)}")
    return "\n".join(lines)


def printable(text: str) -> str:
    """A text without control characters and without signs that turn the direction of what follows."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def _cut(span: Span) -> tuple[str, int, int]:
    """The line of a span, shortened around it; where the mark starts and how long it is."""
    line, column = span.source.position(span.start)
    raw = span.source.line(line).replace("\t", " ")
    text = printable(raw)
    start = column - 1
    length = max(1, min(span.end - span.start, len(text) - start))
    if len(text) > WIDTH:
        left = max(0, start - WIDTH // 2)
        text = ("…" if left else "") + text[left : left + WIDTH] + "…"
        start = start - left + (1 if left else 0)
        length = min(length, max(1, len(text) - start))
    return text, start, length


def as_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """`{code, severity, message, file, line, column, end_line, end_column, notes, help}` for each."""
    rows = []
    for d in diagnostics:
        row: dict[str, Any] = {"code": d.code, "severity": d.severity, "message": d.message}
        row |= _place(d.span)
        row |= {
            "label": d.label,
            "secondary": [{**_place(x.span), "text": x.text} for x in d.secondary],
            "notes": list(d.notes),
            "help": d.help,
        }
        rows.append(row)
    return rows


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None, "end_line": None, "end_column": None}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.path, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def as_sarif(diagnostics: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """SARIF 2.1.0, which code hosts show beside the line."""
    results = []
    for d in diagnostics:
        result: dict[str, Any] = {"ruleId": d.code, "level": d.severity, "message": {"text": d.message}}
        if d.span is not None:
            place = _place(d.span)
            region = {
                "startLine": place["line"], "startColumn": place["column"],
                "endLine": place["end_line"], "endColumn": place["end_column"],
            }  # fmt: skip
            result["locations"] = [
                {"physicalLocation": {"artifactLocation": {"uri": place["file"]}, "region": region}}
            ]
        results.append(result)
    driver = {"name": "anatomy", "version": version, "rules": [{"id": c} for c in sorted({d.code for d in diagnostics})]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def apply_edits(source: Source, diagnostics: Sequence[Diagnostic]) -> str:
    """The text with every edit of these diagnostics applied; overlapping edits: the first wins."""
    edits = sorted(
        (e for d in diagnostics for e in d.edits if e.span.source.path == source.path),
        key=lambda e: e.span.start,
    )
    out, last = [], 0
    for edit in edits:
        if edit.span.start >= last:
            out += [source.text[last : edit.span.start], edit.text]
            last = edit.span.end
    return "".join([*out, source.text[last:]])
