"""The page of a sweep: one file that needs no network, from the store and the diagrams of its variants."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.sweep.certify import FEATURES, TOKENS
from anatomy.sweep.config import Config
from anatomy.sweep.environment import environment
from anatomy.sweep.planning import controls
from anatomy.sweep.plots import Point, curves, scatter
from anatomy.sweep.ranking import Ranking, ranking
from anatomy.sweep.table import Row

MOST_PICTURES = 200
"""Variants whose picture is put into the page, best first; of the rest it holds text and command."""


def page(
    config: Config, table: list[Row], tally: Mapping[str, int], counts: Mapping[str, int | None], evaluator: str, seconds: float,
    folder: Path,
) -> str:  # fmt: skip
    """The whole page; every text of the sweep is escaped, and pictures are images that can run nothing."""
    tasks = [key.removesuffix(".score") for key in (table[0] if table else {}) if key.endswith(".score")]
    best = sorted(range(len(table)), key=lambda k: (table[k]["role"] != "control", -_score(table[k], tasks), k))
    pictured = set(best[:MOST_PICTURES])
    diagrams = _diagrams(config)
    out = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
        f"<title>Sweep of {escape(config.space)}</title><style>{_file('page.css')}</style>",
        "<noscript><style>tr.detail[hidden] { display: table-row; }</style></noscript></head><body>",
        f"<h1>Sweep of the space <code>{escape(config.space)}</code></h1>",
        f"<p>{_opening(config, table, tally, counts)}</p>",
    ]
    for task in tasks:
        out += _finding(ranking(table, task), table)
    if tasks:
        out += _plots(table, tasks[0], config.certify)
    out += _table(config, table, tasks, pictured, diagrams, folder)
    out += _failures(table)
    out += ["<h2>Environment</h2>", _list(environment(config, evaluator, seconds))]
    out += [f"<script>{_file('page.js')}</script>", "</body></html>\n"]
    return "\n".join(out)


def _file(name: str) -> str:
    return files("anatomy.sweep").joinpath(name).read_text("utf-8")


def _score(row: Row, tasks: Sequence[str]) -> float:
    return (row[f"{tasks[0]}.score"] if tasks else None) or 0.0


def _opening(config: Config, table: list[Row], tally: Mapping[str, int], counts: Mapping[str, int | None]) -> str:
    members = sum(r["role"] == "member" for r in table)
    canonical = counts["canonical"]
    merged = f"{canonical:,} different diagrams" if canonical is not None else "too many to be compared with one another, so only swept members were merged"
    words = (
        f"{counts['derivations']:,} fillings as written, {counts['typed']:,} of them well typed; {merged}. "
        f"Swept here: {members} members and {len(table) - members} controls; "
        f"jobs: {', '.join(f'{n} {state}' for state, n in tally.items())}."
    )
    if tally.get("pending"):
        words += " This sweep is not finished: `anatomy sweep resume` takes it up."
    return escape(words)


def _finding(found: Ranking, table: list[Row]) -> list[str]:
    out = [f"<h2>What task {escape(found.task)} can tell</h2>", f'<p class="{"finding" if found.supported else "finding weak"}">{escape(found.words)}</p>']
    if found.groups:
        score = {r["name"]: r[f"{found.task}.score"] for r in table}
        out.append("<p>Groups that can be told apart from the best of the group before:</p><ol>")
        for group in found.groups:
            low, high = min(score[n] for n in group), max(score[n] for n in group)
            spread = f"{high:.3f}" if low == high else f"{high:.3f} to {low:.3f}"
            shown = ", ".join(f'<a href="#{escape(n)}">{escape(n)}</a>' for n in group[:40])
            more = f" and {len(group) - 40} more" if len(group) > 40 else ""
            out.append(f"<li>{spread}: {shown}{more}</li>")
        out.append("</ol>")
    return out


def _plots(table: list[Row], task: str, certified: bool) -> list[str]:
    scored = [r for r in table if r[f"{task}.score"] is not None]

    def points(key: str) -> list[Point]:
        return [
            Point(r["name"], outward(r[key], True) if isinstance(r[key], int | float) else None, r[f"{task}.score"], r["role"] == "control", r["name"])
            for r in scored
        ]

    bound = f"upper bound of the Lipschitz constant at initialisation, {TOKENS} tokens of {FEATURES} features"
    return [
        "<h2>Score against cost</h2><p>Circles are members, squares controls; the dashed stair joins what nothing beats on "
        "both axes. Variants without a finite bound stand in the margin. Bounds are those of the weights before training.</p>",
        '<div class="plots">',
        *([f"<figure>{scatter(points('upper'), bound, 'no bound')}</figure>"] if certified else []),
        f"<figure>{scatter(points('mixer_parameters'), 'parameters of one mixing layer', 'none')}</figure>",
        "</div>",
    ]


Column = tuple[str, Callable[[Row], Any], bool]


def _columns(table: list[Row], tasks: Sequence[str]) -> list[Column]:
    holes = list(table[0])[4 : list(table[0]).index("state")] if table else []

    def get(key: str) -> Callable[[Row], Any]:
        return lambda row: row[key]

    found: list[Column] = [(hole, get(hole), False) for hole in holes]
    for task in tasks:
        found += [(task, get(f"{task}.score"), True), ("steps", lambda r, t=task: max(r[f"{t}.steps"], default=None), True)]
    found += [
        ("parameters", get("mixer_parameters"), True), ("regularity", get("verdict"), False), ("upper", lambda r: outward(r["upper"], True), True),
        ("lower", lambda r: outward(r["lower"], False), True), ("causal", get("causal"), False), ("merged", lambda r: len(r["aliases"]) or None, True),
        ("state", get("state"), False),
    ]  # fmt: skip
    return found


def _table(
    config: Config, table: list[Row], tasks: Sequence[str], pictured: set[int], diagrams: Callable[[Row], Diagram | None], folder: Path
) -> list[str]:
    columns = _columns(table, tasks)
    out = [
        "<h2>Variants</h2>",
        '<div class="tools"><label>Filter <input id="filter" type="search" placeholder="cosine gated …"></label>'
        f'<span id="count">{len(table)} of {len(table)}</span></div>',
        '<div class="scroll"><table id="variants"><thead><tr><th><button>name</button></th>',
        *(f"<th{' class=number' if number else ''}><button>{escape(title)}</button></th>" for title, _, number in columns),
        "</tr></thead><tbody>",
    ]
    for k, row in enumerate(table):
        name = escape(row["name"])
        values = [get(row) for _, get, _ in columns]
        words = escape(" ".join([row["name"], row["role"], *map(_shown, values)]).lower())
        cells = "".join(
            f'<td{" class=number" if number else ""} data-value="{escape(_raw(value))}">{escape(_shown(value))}</td>'
            for value, (_, _, number) in zip(values, columns, strict=True)
        )
        out.append(
            f'<tr class="row" id="{name}" data-words="{words}"><td data-value="{name}">'
            f'<button aria-expanded="false" aria-controls="{name}-detail">{name}</button></td>{cells}</tr>'
        )
        opened = _detail(config, row, tasks, diagrams if k in pictured else None, folder)
        out.append(f'<tr class="detail" id="{name}-detail" hidden><td colspan="{len(columns) + 1}">{opened}</td></tr>')
    out.append("</tbody></table></div>")
    return out


def outward(value: Any, up: bool) -> Any:
    """A bound in four digits that is still one: an upper bound is rounded up, a lower bound down."""
    if not isinstance(value, float):
        return value
    return float(Context(prec=4, rounding=ROUND_CEILING if up else ROUND_FLOOR).create_decimal(Decimal(value)))


def _raw(value: Any) -> str:
    return "" if value is None else str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")


def _detail(config: Config, row: Row, tasks: Sequence[str], diagrams: Callable[[Row], Diagram | None] | None, folder: Path) -> str:
    facts = {
        "canonical hash": row["digest"],
        "checks": row["reason"] or "passed: finite at initialisation, " + ("causal" if row["causal"] else "not causal"),
        "output scale at initialisation": _shown(row["scale"]) + ("" if row["alive"] is not False else " (the output does not move with the input)"),
        "regularity": f"{_shown(row['verdict'])}; between {_shown(outward(row['lower'], False))} and {_shown(outward(row['upper'], True))}; method: {_shown(row['method'])}; decided by {_shown(row['responsible'])}",
    }
    for task in tasks:
        scores = ", ".join(f"{s:.4f}" for s in row[f"{task}.scores"]) or "not trained"
        facts[f"{task} by seed"] = scores + (" (training diverged)" if row[f"{task}.diverged"] else "")
    facts["again"] = config.command(rank=row["rank"]) if row["rank"] is not None else "trained in every sweep: zoo/spaces/controls.anat"
    right = [_list(facts), *(curves(row[f"{task}.curves"]) for task in tasks), f"<pre>{escape(row['text'])}</pre>"]
    if row["aliases"]:
        right.append("<p>The same diagram, and therefore not trained again:</p><ul>")
        right += [f"<li>member {alias['index']}: {escape(alias['reason'])}</li>" for alias in row["aliases"]]
        right.append("</ul>")
    for failure in row["failures"]:
        right.append(f"<p>{escape(failure['job'])}: {escape(failure['state'])}, {escape(failure['class'])}</p>")
        if failure["traceback"]:
            right.append(f"<pre>{escape(failure['traceback'])}</pre>")
    return f'<div class="open"><div>{_picture(row, diagrams, folder)}</div><div>{"".join(right)}</div></div>'


def _picture(row: Row, diagrams: Callable[[Row], Diagram | None] | None, folder: Path) -> str:
    """The diagram as an image; drawn once and kept in the sweep's folder."""
    if diagrams is None:
        return "<p>No picture: the page holds those of the best variants only.</p>"
    kept = folder / "pictures" / f"{row['digest']}-{row['name']}.svg"
    if kept.exists():
        svg = kept.read_text("utf-8")
    else:
        from anatomy.render import draw

        try:
            diagram = diagrams(row)
            svg = draw(diagram).svg if diagram is not None else ""
        except AnatomyError as error:
            return f"<p>No picture: {escape(error.diagnostics[0].message)}</p>"
        if not svg:
            return "<p>No picture: what the space uses has changed since the sweep.</p>"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(svg, "utf-8")
    code = b64encode(svg.encode()).decode()
    return f'<img alt="diagram of {escape(row["name"])}" loading="lazy" src="data:image/svg+xml;base64,{code}">'


def _diagrams(config: Config) -> Callable[[Row], Diagram | None]:
    """The diagram of a row as it was written, with its boxes; none when the space can no longer be read."""
    fixed = dict(controls())
    try:
        space = config.load()
    except AnatomyError:
        space = None

    def find(row: Row) -> Diagram | None:
        if row["rank"] is None:
            return fixed.get(row["name"])
        return None if space is None else space[row["rank"]].diagram

    return find


def _failures(table: list[Row]) -> list[str]:
    classes: dict[tuple[str, str], list[str]] = {}
    for row in table:
        for failure in row["failures"]:
            classes.setdefault((failure["state"], failure["class"]), []).append(row["name"])
    out = ["<h2>Failures and rejections</h2>"]
    if not classes:
        return [*out, "<p>None.</p>"]
    out.append("<ul>")
    for (state, name), rows in sorted(classes.items()):
        links = ", ".join(f'<a href="#{escape(n)}">{escape(n)}</a>' for n in dict.fromkeys(rows))
        out.append(f"<li>{escape(state)}, {escape(name)}: {len(rows)} jobs of {links}</li>")
    return [*out, "</ul>"]


def _list(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v if isinstance(v, str) else json.dumps(v))}</dd>" for k, v in facts.items())
    return f"<dl>{rows}</dl>"
