"""A plot with two logarithmic axes as standalone SVG: measured points with bands, fitted powers, bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 62, 290, 34, 48
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's, told apart by all eyes."""

STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1b1f24}.tick{font-size:11px;fill:#5b6470}.title{font-weight:600;font-size:13px}"
    ".grid{stroke:#d5dae0;stroke-width:.6}.guide{stroke:#5b6470;stroke-width:1.4;stroke-dasharray:1.5 4;fill:none}"
)


@dataclass(frozen=True)
class Line:
    """Points (n, low, middle, high) in one colour; `power` is a fitted (factor, exponent), drawn dashed."""

    label: str
    points: Sequence[tuple[float, float, float, float]]
    colour: int
    mark: str = "disc"
    power: tuple[float, float] | None = None
    faint: bool = field(default=False)


def chart(title: str, across: str, up: str, lines: Sequence[Line], guide: tuple[str, float, float] | None = None) -> str:
    """The plot as SVG text; lines without points are left out. A guide (label, factor, exponent) is drawn dotted.

    >>> chart("", "n", "norm", [Line("a", [(2, 1, 1, 1), (4, 2, 2, 2)], 0)]).startswith("<svg")
    True
    """
    shown = [line for line in lines if line.points]
    xs = [p[0] for line in shown for p in line.points] or [1.0, 10.0]
    ys = [v for line in shown for p in line.points for v in p[1:] if v > 0] or [1.0, 10.0]
    ys += [guide[1] * x ** guide[2] for x in (min(xs), max(xs))] if guide else []
    x0, x1 = log10(min(xs)) - 0.05, log10(max(xs)) + 0.05
    y0, y1 = log10(min(ys)) - 0.08, log10(max(ys)) + 0.08
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def px(x: float) -> float:
        return LEFT + wide * (log10(x) - x0) / (x1 - x0)

    def py(y: float) -> float:
        return TOP + high * (1 - (log10(y) - y0) / (y1 - y0))

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
    ]
    for value in sorted(set(xs)):
        out.append(f'<line class="grid" x1="{px(value):.1f}" x2="{px(value):.1f}" y1="{TOP}" y2="{TOP + high}"/>')
        out.append(f'<text class="tick" x="{px(value):.1f}" y="{TOP + high + 16}" text-anchor="middle">{value:g}</text>')
    for value in levels(y0, y1):
        out.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + wide}" y1="{py(value):.1f}" y2="{py(value):.1f}"/>')
        out.append(f'<text class="tick" x="{LEFT - 6}" y="{py(value) + 4:.1f}" text-anchor="end">{number(value)}</text>')
    out.append(f'<text x="{LEFT + wide / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    out.append(f'<text transform="translate(14 {TOP + high / 2:.1f}) rotate(-90)" text-anchor="middle">{escape(up)}</text>')
    if guide:
        label, factor, exponent = guide
        ends = [(px(x), py(factor * x**exponent)) for x in (min(xs), max(xs))]
        out.append(f'<polyline class="guide" points="{joined(ends)}"/>')
        y = TOP + 10 + 19 * len(shown)
        out.append(f'<path class="guide" d="M{LEFT + wide + 11} {y}h14"/><text x="{LEFT + wide + 28}" y="{y + 4}">{escape(label)}</text>')
    for k, line in enumerate(shown):
        colour = COLOURS[line.colour % len(COLOURS)]
        fade = 0.45 if line.faint else 1.0
        ends = [(px(n), py(max(v, 1e-300))) for n, _, v, _ in line.points]
        if any(low != top for _, low, _, top in line.points):
            edge = [(px(p[0]), py(p[3])) for p in line.points] + [(px(p[0]), py(p[1])) for p in reversed(line.points)]
            out.append(f'<polygon points="{joined(edge)}" fill="{colour}" fill-opacity="{0.16 * fade:g}"/>')
        out.append(f'<polyline points="{joined(ends)}" fill="none" stroke="{colour}" stroke-opacity="{fade:g}" stroke-width="1.3"/>')
        out += [mark(line.mark, x, y, colour, fade) for x, y in ends]
        if line.power:
            factor, exponent = line.power
            first, last = line.points[0][0], line.points[-1][0]
            ends = [(px(n), py(factor * n**exponent)) for n in (first, last)]
            out.append(f'<polyline points="{joined(ends)}" fill="none" stroke="{colour}" stroke-opacity="{fade:g}" stroke-width="1.6" stroke-dasharray="6 4"/>')
        y = TOP + 10 + 19 * k
        out.append(mark(line.mark, LEFT + wide + 18, y, colour, fade))
        words = line.label + (f": {line.power[0]:.3g} n^{line.power[1]:.2f}" if line.power else "")
        out.append(f'<text x="{LEFT + wide + 28}" y="{y + 4}">{escape(words)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def number(value: float) -> str:
    """A value on an axis, a great one by its power of ten.

    >>> number(0.5), number(1000.0), number(3e5)
    ('0.5', '1000', '3·10⁵')
    """
    if value < 1e4:
        return f"{value:g}"
    digits, power = f"{value:.0e}".split("e+")
    raised = str(int(power)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if digits == "1" else f"{digits}·10{raised}"


def joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def mark(kind: str, x: float, y: float, colour: str, fade: float) -> str:
    paint = f'fill="{colour}" fill-opacity="{fade:g}"'
    if kind == "square":
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" {paint}/>'
    if kind == "bar":
        return f'<path d="M{x - 5:.1f} {y:.1f}h10" stroke="{colour}" stroke-opacity="{fade:g}" stroke-width="2.2"/>'
    if kind == "cross":
        return f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m-6 0l6 -6" stroke="{colour}" stroke-opacity="{fade:g}" stroke-width="1.4"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" {paint}/>'


def levels(low: float, high: float) -> list[float]:
    """Round values between two powers of ten, three to nine of them."""
    for steps in ((1,), (1, 3), (1, 2, 5), tuple(1 + k / 10 for k in range(90))):
        found = [s * 10.0**e for e in range(floor(low) - 1, ceil(high) + 1) for s in steps if low <= log10(s * 10.0**e) <= high]
        if len(found) >= 3:
            return found[:: ceil(len(found) / 9)]
    return [10**low, 10**high]
