"""Bound and attained values against tokens and radius, as one standalone SVG with a panel for each; both axes logarithmic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, exp, floor, isfinite, log, log10
from typing import Any

WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 96, 44, 44
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #3d4451 } .title { font-weight: 600; fill: #171a21 } .tick { font-size: 11px; fill: #666f80 }
  .grid { stroke: #e6e9ef } .bound { stroke: #2456c5; stroke-width: 2; fill: none } .fit { stroke: #b4501e; stroke-dasharray: 5 4; fill: none }
  .dot { fill: #b4501e } .square { fill: #2456c5 } .of-bound { fill: #2456c5 } .of-attained { fill: #b4501e } .ground { fill: #ffffff }
  @media (prefers-color-scheme: dark) { .ground { fill: #14171d } text { fill: #c3cad7 } .title { fill: #f2f4f8 } .tick { fill: #8e98aa }
    .grid { stroke: #2a303b } .bound { stroke: #86acff } .square, .of-bound { fill: #86acff } .fit { stroke: #f0a171 } .dot, .of-attained { fill: #f0a171 } }
"""
Points = Sequence[tuple[float, float]]


def picture(title: str, growth: Mapping[str, Mapping[str, Any]]) -> str:
    """The panels side by side; what is infinite is left out and said."""
    panels = [
        _panel(k, axis, [(float(x), float(v)) for x, v in row["bounds"]], [(float(x), float(v)) for x, v in row["attained"]], row)
        for k, (axis, row) in enumerate(growth.items())
    ]
    width = max(1, len(panels)) * WIDTH
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" role="img">',
        f"<title>Lipschitz constant of {escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{HEIGHT}"/>', *panels, "</svg>", "",
    ])  # fmt: skip


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten, between three and eight of them where there is room."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(1 + k / 10 for k in range(90))):
        found = [s * 10**e for e in range(floor(low) - 1, ceil(high) + 1) for s in steps if low <= log10(s * 10**e) <= high]
        if len(found) >= 3:
            return found[:: ceil(len(found) / 8)]
    return [10**low, 10**high]


def _panel(k: int, axis: str, bounds: Points, attained: Points, row: Mapping[str, Any]) -> str:
    name = "radius R" if axis == "radius" else f"size of {axis}"
    shown = [(x, y) for x, y in (*bounds, *attained) if isfinite(y) and y > 0 and x > 0]
    out = [f'<g transform="translate({k * WIDTH} 0)"><text class="title" x="{LEFT}" y="18">Lipschitz constant against {escape(name)}</text>']
    if not shown:
        return "".join([*out, f'<text x="{LEFT}" y="{HEIGHT / 2}">no finite value</text></g>'])
    across = _Scale([x for x, _ in shown], LEFT, WIDTH - RIGHT)
    down = _Scale([y for _, y in shown], HEIGHT - BOTTOM, TOP)
    for value in across.marks:
        out.append(f'<line class="grid" x1="{across(value):.1f}" x2="{across(value):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        out.append(f'<text class="tick" x="{across(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:,.6g}</text>')
    for value in down.marks:
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}"/>')
        out.append(f'<text class="tick" x="{LEFT - 6}" y="{down(value) + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(name)}</text>')
    finite = [(x, y) for x, y in bounds if isfinite(y) and y > 0]
    if finite:
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in finite)
        out.append(f'<polyline class="bound" points="{path}"/>')
        out += [f'<rect class="square" x="{across(x) - 3:.1f}" y="{down(y) - 3:.1f}" width="6" height="6"><title>bound {y:.6g} at {x:g}</title></rect>' for x, y in finite]
        end = finite[-1]
        word = f"bound, O({row['symbolic']})" if row.get("symbolic") else "bound"
        out.append(f'<text class="of-bound" x="{across(end[0]) + 7:.1f}" y="{down(end[1]) + 4:.1f}">{escape(word)}</text>')
    if attained:
        out += [f'<circle class="dot" cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5"><title>attained {y:.6g} at {x:g}</title></circle>' for x, y in attained]
        if row.get("fitted") is not None:
            fit = _fit(attained, row["fitted"])
            out.append(f'<polyline class="fit" points="{" ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in fit)}"/>')
        end = attained[-1]
        low = down(end[1]) + 4
        if finite and abs(across(finite[-1][0]) - across(end[0])) < 40 and abs(low - down(finite[-1][1]) - 4) < 14:
            low = down(finite[-1][1]) + 18
        word = f"attained, {row['fitted']:.2f}" if row.get("fitted") is not None else "attained"
        out.append(f'<text class="of-attained" x="{across(end[0]) + 7:.1f}" y="{low:.1f}">{escape(word)}</text>')
    return "".join([*out, "</g>"])


def _fit(points: Points, exponent: float) -> Points:
    """The line of that slope through the middle of the points, over their range."""
    shift = sum(log(y) - exponent * log(x) for x, y in points) / len(points)
    return [(x, exp(shift + exponent * log(x))) for x, _ in (points[0], points[-1])]


class _Scale:
    """A logarithmic scale onto an interval of the picture, with round marks."""

    def __init__(self, values: Sequence[float], start: float, end: float):
        low, high = log10(min(values)), log10(max(values))
        pad = max(0.06 * (high - low), 0.04)
        self.low, self.high, self.start, self.end = low - pad, high + pad, start, end
        self.marks = ticks(self.low, self.high)

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * (log10(value) - self.low) / (self.high - self.low)
