"""The report of a study: README.md and report.html with the plots, table.csv, results.json."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from anatomy import __version__
from anatomy.study.chart import Line, chart
from anatomy.study.findings import findings
from anatomy.study.rows import QUANTITIES, Series, Table, table
from anatomy.study.settings import Settings

ABOUT = (
    "After Castin, Ablin and Peyré, “How Smooth Is Attention?” (ICML 2024, arXiv 2312.14820). Each layer's attention, heads and output "
    "projection together, is a diagram compiled by anatomy. Frobenius norms throughout, so |J| is the spectral norm of the Jacobian over all "
    "tokens together. Attained values are quotients |J u| / |u| evaluated in float64 and rounded down: true lower bounds, whatever u is."
)
DEFINITIONS = (
    ("local", "|J(X)|_2 at inputs X of the layer on English text (the help topics of Python), geometric mean over the inputs; bands reach "
     "from the smallest to the largest."),
    ("published", "sqrt(|J^T f|_2) at the same inputs: what the released code of the paper computes, whose power iteration takes the first "
     "result of `jvp` (f itself) in the place of the second (J u). It is no norm of the Jacobian."),
    ("adversarial", "the largest |J(X)|_2 found by an ascent from structured starts, every token in the ball whose radius R is the root mean "
     "square of the layer's token norms on text."),
    ("constructed", "|J(X)|_2 at the paper's construction, one token against all others along an eigenvector of one head, without ascent."),
    ("bound", "the sound upper bound of `anatomy regularity` on that ball."),
    ("castin", "the paper's theorem 3.3 summed over heads, for comparison; only where there are neither biases nor positions."),
)  # fmt: skip


def write(
    folder: Path, cells: Mapping[str, Mapping[str, Any]], wanted: Settings, titles: Mapping[str, str], skipped: Sequence[str]
) -> list[dict[str, Any]]:
    """Write every file of the report, each whole or not at all, and return the findings."""
    rows = table(cells)
    layers: dict[str, list[int]] = {m: sorted({key[1] for key in rows if key[0] == m}) for m in titles}
    layers = {m: found for m, found in layers.items() if found}
    found = findings(rows, layers)
    plots = {name: drawn for model in layers for name, drawn in pictures(rows, model, layers[model], titles[model])}
    for name, drawn in plots.items():
        put(folder / f"{name}.svg", drawn)
    put(folder / "table.csv", as_csv(rows))
    put(folder / "results.json", json.dumps(as_data(rows, cells, found, wanted, skipped), indent=1, sort_keys=True) + "\n")
    scales = [
        (titles[m], layer, value["rms"], value["max"], "-" if value["agreement"] is None else f"{value['agreement']:.0e}", value["source"])
        for m in layers for layer in layers[m] if (value := cells.get(f"scale/{m}/{layer}"))
    ]  # fmt: skip
    put(folder / "README.md", markdown(rows, found, plots, scales, wanted, skipped))
    put(folder / "report.html", page(rows, found, plots, scales, wanted, skipped))
    return found


def put(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, "utf-8")
    os.replace(draft, path)


def pictures(rows: Table, model: str, layers: Sequence[int], title: str) -> list[tuple[str, str]]:
    """Four plots of a model: on text and at worst, masked and not."""
    out = []
    for masked in (True, False):
        words = "causal" if masked else "unmasked"

        def line(layer: int, k: int, quantity: str, label: str, mark: str, faint: bool = False, masked: bool = masked) -> Line:
            series = rows.get((model, layer, masked, quantity))
            if series is None:
                return Line(label, (), k)
            whole = series.whole
            means = series.means()
            points = [(n, min(v), means[n], max(v)) for n, v in series.values.items() if n in means]
            fitted = (whole.factor, whole.exponent) if whole and quantity not in ("bound", "castin", "constructed") else None
            return Line(f"layer {layer}, {label}", points, k, mark, fitted, faint)

        text = [each for k, layer in enumerate(layers) for each in (
            line(layer, k, "local", "|J|", "disc"), line(layer, k, "published", "as published", "cross", True),
        )]  # fmt: skip
        worst = [each for k, layer in enumerate(layers) for each in (
            line(layer, k, "adversarial", "found", "disc"), line(layer, k, "constructed", "construction", "cross", True),
            line(layer, k, "bound", "our bound", "bar"), line(layer, k, "castin", "Castin's formula", "square", True),
        )]  # fmt: skip
        if any(each.points for each in text):
            out.append((f"{model}-{words}-text", chart(f"{title}: {words}, on text", "tokens n", "local constant", text)))
        if any(each.points for each in worst):
            out.append((f"{model}-{words}-adversarial", chart(f"{title}: {words}, adversarial in the ball", "tokens n", "Lipschitz constant", worst, root_of_n(worst))))
    return out


def root_of_n(lines: Sequence[Line]) -> tuple[str, float, float] | None:
    """The square root of n, through the geometric mean of what was found for the fewest tokens."""
    first = [line.points[0] for line in lines if line.mark == "disc" and line.points]
    if not first:
        return None
    logs = [np.log(p[2]) - 0.5 * np.log(p[0]) for p in first]
    return "slope of the square root of n", float(np.exp(np.mean(logs))), 0.5


# tables -------------------------------------------------------------------------------------------


def exponents(rows: Table) -> list[list[str]]:
    """Model, layer, mask, quantity, factor, exponent on the whole range and on its upper half."""
    out = []
    for series in rows.values():
        whole, half = series.whole, series.half
        if whole is None or series.quantity == "castin":
            continue
        out.append([
            series.model, str(series.layer), "causal" if series.masked else "unmasked", series.quantity, f"{whole.first}..{whole.last}",
            f"{whole.factor:.3g}", f"{whole.exponent:.3f} [{whole.low:.3f}, {whole.high:.3f}]",
            f"{half.exponent:.3f} [{half.low:.3f}, {half.high:.3f}]" if half else "-",
        ])  # fmt: skip
    return out


EXPONENTS = ("model", "layer", "mask", "quantity", "n", "factor", "exponent [95 %]", "exponent, upper half of n")
SCALES = ("model", "layer", "R: root mean square of token norms", "largest token norm", "diagram against the model's attention", "weights")


def numbers(rows: Table) -> tuple[list[str], list[list[str]]]:
    """One row for each series, one column for each n: geometric means."""
    ns = sorted({n for series in rows.values() for n in series.values})
    body = []
    for s in rows.values():
        means = s.means()
        body.append([s.model, str(s.layer), "causal" if s.masked else "unmasked", s.quantity,
                     *(f"{means[n]:.4g}" if n in means else "" for n in ns)])  # fmt: skip
    return ["model", "layer", "mask", "quantity", *(f"n = {n}" for n in ns)], body


def as_csv(rows: Table) -> str:
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(("model", "layer", "masked", "quantity", "n", "inputs", "mean", "least", "largest"))
    for s in rows.values():
        means = s.means()
        for n, values in s.values.items():
            if n in means:
                sheet.writerow((s.model, s.layer, int(s.masked), s.quantity, n, len(values), *(f"{v:.9g}" for v in (means[n], min(values), max(values)))))
    return out.getvalue()


def as_data(
    rows: Table, cells: Mapping[str, Mapping[str, Any]], found: list[dict[str, Any]], wanted: Settings, skipped: Sequence[str]
) -> dict[str, Any]:
    return {
        "settings": wanted.as_data(), "skipped": list(skipped), "findings": found, "environment": environment(),
        "scales": {name: dict(value) for name, value in cells.items() if name.startswith("scale/")},
        "series": [described(s) for s in rows.values()],
    }  # fmt: skip


def described(s: Series) -> dict[str, Any]:
    return {
        "model": s.model, "layer": s.layer, "masked": s.masked, "quantity": s.quantity, "meaning": QUANTITIES[s.quantity],
        "values": {str(n): [float(np.format_float_positional(v, 9, fractional=False)) for v in found] for n, found in s.values.items()},
        "whole": asdict(s.whole) if s.whole else None, "half": asdict(s.half) if s.half else None,
    }  # fmt: skip


def environment() -> dict[str, str]:
    import torch

    return {"anatomy": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def verdict(holds: bool | None) -> str:
    return {True: "agrees", False: "does not agree", None: "reported"}[holds]


# pages --------------------------------------------------------------------------------------------


def sheet(head: Sequence[str], body: Sequence[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        return (f"{value:.4g}" if isinstance(value, float) else str(value)).replace("|", "\\|")

    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell(v) if k != 1 else str(v) for v in row) + " |" for k, row in enumerate(lines))


def markdown(
    rows: Table, found: list[dict[str, Any]], plots: Mapping[str, str], scales: Sequence[Sequence[Any]], wanted: Settings, skipped: Sequence[str]
) -> str:
    parts = ["# How smooth is attention?", ABOUT, conditions(wanted)]
    parts += skipped
    parts += ["## What it says", "\n".join(f"- **{verdict(f['holds'])}** ({f['key']}) {f['words']}" for f in found)]
    parts += ["## Quantities", "\n".join(f"- `{name}`: {words}" for name, words in DEFINITIONS)]
    parts += ["## Plots", *(f"![{name}]({name}.svg)" for name in plots)]
    parts += ["## Exponents of n", sheet(EXPONENTS, exponents(rows)), "## Values", sheet(*numbers(rows))]
    parts += ["## Models", sheet(SCALES, scales), made()]
    return "\n\n".join(parts) + "\n"


def conditions(wanted: Settings) -> str:
    return (
        f"n = {', '.join(map(str, wanted.tokens))}; {wanted.inputs} inputs for each n up to 128, {wanted.count(10**6)} beyond; layers: {wanted.layers}; "
        f"seed {wanted.seed}. Exponents are least squares of log value on log n, intervals from {1000} bootstrap draws of the inputs "
        "(of the n, where there is one value for each)."
    )


def made() -> str:
    return "Made by `anatomy study smoothness` with " + ", ".join(f"{k} {v}" for k, v in environment().items()) + "."


CSS = (
    "body{margin:0 auto;max-width:1200px;padding:1.5rem;color:#1b1f24;font:15px/1.5 system-ui,sans-serif}p,li{max-width:80ch}"
    ".plots{display:flex;flex-wrap:wrap;gap:1rem}.plots figure{margin:0;flex:1 1 520px}svg{width:100%;height:auto;border:1px solid #d5dae0}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px}th,td{text-align:left;padding:.25rem .5rem;"
    "border-bottom:1px solid #d5dae0;white-space:nowrap}.yes{color:#00694f}.no{color:#a43c00}b{font-weight:600}"
)


def page(
    rows: Table, found: list[dict[str, Any]], plots: Mapping[str, str], scales: Sequence[Sequence[Any]], wanted: Settings, skipped: Sequence[str]
) -> str:
    def grid(head: Sequence[str], body: Sequence[Sequence[Any]]) -> str:
        def cell(value: Any) -> str:
            return f"<td>{escape(f'{value:.4g}' if isinstance(value, float) else str(value))}</td>"

        top = "".join(f"<th>{escape(h)}</th>" for h in head)
        return f'<div class="scroll"><table><tr>{top}</tr>' + "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in body) + "</table></div>"

    colours = {True: "yes", False: "no", None: ""}
    said = "".join(f'<li><b class="{colours[f["holds"]]}">{verdict(f["holds"])}</b> ({f["key"]}) {escape(f["words"])}</li>' for f in found)
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>How smooth is attention?</title><style>{CSS}</style></head><body><h1>How smooth is attention?</h1>",
        f"<p>{escape(ABOUT)}</p><p>{escape(conditions(wanted))}</p>",
        *(f"<p>{escape(line)}</p>" for line in skipped),
        f"<h2>What it says</h2><ul>{said}</ul>",
        '<h2>Plots</h2><div class="plots">', *(f"<figure>{drawn}</figure>" for drawn in plots.values()), "</div>",
        "<h2>Quantities</h2><ul>", *(f"<li><code>{name}</code>: {escape(words)}</li>" for name, words in DEFINITIONS), "</ul>",
        "<h2>Exponents of n</h2>", grid(EXPONENTS, exponents(rows)), "<h2>Values</h2>", grid(*numbers(rows)),
        "<h2>Models</h2>", grid(SCALES, scales), f"<p>{escape(made())}</p></body></html>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"
