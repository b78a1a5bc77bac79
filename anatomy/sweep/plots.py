"""Small pictures of a report as inline SVG: scatter with its Pareto front, learning curves. No library, no request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 92, 16, 46


@dataclass(frozen=True)
class Point:
    """One variant: `x` is None where there is no finite value, and then it stands in the margin."""

    name: str
    x: float | None
    y: float
    control: bool
    anchor: str


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats: none has an x as small with a larger y, or a smaller x with a y as large."""
    best: list[Point] = []
    for p in sorted((p for p in points if p.x is not None), key=lambda p: (p.x, -p.y, p.name)):
        if not best or p.y > best[-1].y:
            best.append(p)
    return best


def scatter(points: Sequence[Point], label: str, missing: str) -> str:
    """Score against a cost on a logarithmic axis; members are circles, controls squares, the front a dashed stair."""
    finite = [p.x for p in points if p.x is not None and isfinite(p.x) and p.x > 0]
    points = [p if p.x is not None and isfinite(p.x) and p.x > 0 else Point(p.name, None, p.y, p.control, p.anchor) for p in points]
    low, high = (log10(min(finite)), log10(max(finite))) if finite else (0.0, 1.0)
    pad = max(0.05, 0.05 * (high - low))
    low, high = low - pad, high + pad
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(p: Point) -> tuple[float, float]:
        x = WIDTH - RIGHT + 46 if p.x is None else LEFT + across * (log10(p.x) - low) / (high - low)
        return x, TOP + down * (1 - min(max(p.y, 0.0), 1.0))

    out = [f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="score against {escape(label)}">']
    for k in range(6):
        y = TOP + down * (1 - k / 5)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{k / 5:.1f}</text>')
    for value in ticks(low, high):
        x = LEFT + across * (log10(value) - low) / (high - low)
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        out.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:,.6g}</text>')
    out.append(f'<text class="label" x="{LEFT + across / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>')
    out.append(f'<text class="label" transform="translate(14 {TOP + down / 2:.1f}) rotate(-90)" text-anchor="middle">score</text>')
    if any(p.x is None for p in points):
        x = WIDTH - RIGHT + 10
        out.append(f'<rect class="margin" x="{x}" y="{TOP}" width="{RIGHT - 20}" height="{down}"/>')
        out.append(f'<text class="tick" x="{x + (RIGHT - 20) / 2:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(missing)}</text>')
    stair = [at(p) for p in front(points)]
    if len(stair) > 1:
        path = f"M{stair[0][0]:.1f} {stair[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in stair[1:])
        out.append(f'<path class="front" d="{path}"/>')
    for p in points:
        x, y = at(p)
        words = escape(f"{p.name}: score {p.y:.3f}, {label} {missing if p.x is None else format(p.x, '.6g')}")
        shape = (
            f'<rect class="control" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10">' if p.control
            else f'<circle class="member" cx="{x:.1f}" cy="{y:.1f}" r="5">'
        )  # fmt: skip
        end = "</rect>" if p.control else "</circle>"
        out.append(f'<a href="#{escape(p.anchor)}" aria-label="{words}">{shape}<title>{words}</title>{end}</a>')
    out.append("</svg>")
    return "".join(out)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten, between three and eight of them where there is room."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(1 + k / 10 for k in range(90))):
        found = [s * 10**e for e in range(floor(low) - 1, ceil(high) + 1) for s in steps if low <= log10(s * 10**e) <= high]
        if len(found) >= 3:
            return found[:: ceil(len(found) / 8)]
    return [10**low, 10**high]


def curves(runs: Sequence[Sequence[Sequence[float]]]) -> str:
    """Score against step for every seed of a variant, both axes linear, the score from 0 to 1."""
    last = max((point[0] for run in runs for point in run), default=0)
    if not last:
        return ""
    lines = "".join(
        f'<polyline class="curve" points="{" ".join(f"{36 + 200 * p[0] / last:.1f},{8 + 84 * (1 - p[1]):.1f}" for p in run)}"/>' for run in runs
    )
    return (
        '<svg class="small" viewBox="0 0 250 116" role="img" aria-label="learning curve">'
        '<path class="axis" d="M36 8V92H236"/><text class="tick" x="32" y="12" text-anchor="end">1</text>'
        f'<text class="tick" x="32" y="95" text-anchor="end">0</text><text class="tick" x="236" y="108" text-anchor="end">step {last:g}</text>'
        f"{lines}</svg>"
    )
