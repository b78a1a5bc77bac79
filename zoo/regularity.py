"""The table of the zoo's Lipschitz constants, `zoo/REGULARITY.md` and `zoo/regularity.json`, computed from the files themselves.

    python -m zoo.regularity [NAME...]     computes what has changed, or the entries named; one line of JSON each, kept as they come
    python -m zoo.regularity --all         computes every entry anew
    python -m zoo.regularity --page        writes the page from what is kept

Converts: entries at the small sizes at which their claims are tried, into verdict, bound, what is attained, and growth.
Non-goals: figures of papers; the column of what is derived on paper names orders only, for comparison.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anatomy
from anatomy.api import numeric
from anatomy.claims.trial import Trial
from anatomy.compiler import build
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.library.entry import Entry, entries
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.regularity.growth import Measured

HERE = Path(__file__).resolve().parent
STORE, PAGE = HERE / "regularity.json", HERE / "REGULARITY.md"
EFFORT = Measured(sizes=3, seeds=1, starts=6, steps=10)

DERIVED: dict[str, tuple[str, str, str]] = {
    "sdpa": ("local", "R^2", "sqrt(n), then 1"), "mha": ("local", "R^2", "sqrt(n), then 1"), "cross": ("local", "R^2", "sqrt(n), then 1"),
    "causal_mha": ("local", "R^2", "sqrt(n), then 1"), "sliding_window": ("local", "R^2", "1"), "mqa": ("local", "R^2", "sqrt(n), then 1"),
    "gqa": ("local", "R^2", "sqrt(n), then 1"), "bahdanau": ("local", "R", "sqrt(n), then 1"), "luong_concat": ("local", "R", "sqrt(n), then 1"),
    "cosine": ("local", "R", "sqrt(n), then 1"), "l2": ("global", "1", "sqrt(n) log(n)"), "linear": ("local", "R", "sqrt(n), then 1"),
    "performer": ("local", "R^2", "sqrt(n), then 1"), "sigmoid_attention": ("local", "R^2", "n, then 1"), "relu_attention": ("local", "R^2", "1"),
    "sparsemax_attention": ("local", "R^2", "n"), "entmax_attention": ("local", "R^2", "n^0.75"), "sinkformer": ("local", "R^2", "sqrt(n)"),
    "topk_attention": ("none", "-", "-"), "hard": ("none", "-", "-"), "reformer": ("none", "-", "-"), "routing": ("none", "-", "-"),
    "synthesizer_dense": ("local", "R", "sqrt(n), then 1"), "synthesizer_random": ("global", "1", "1"), "mixer": ("global", "1", "1"),
    "fnet": ("global", "1", "sqrt(n)"), "aft_full": ("local", "R", "sqrt(n), then 1"), "retention": ("local", "R^2", "1"),
    "gla": ("local", "R^3", "1"), "linformer": ("local", "R^2", "sqrt(n)"), "efficient": ("local", "R", "sqrt(n), then 1"),
    "nystromformer": ("local", "-", "-"),
}  # fmt: skip
"""Verdict and orders in R and n as derived on paper for these families; an upper bound may saturate or be looser."""
WHY = {
    "causal_mha": "row i has i keys; the bound adds up 1 / i over rows, which is the sharper of the two",
    "gla": "the entry has a gate and a normalisation that the derivation leaves out", "retention": "the entry has a gate and a normalisation that the derivation leaves out",
    "gqa": "its rotations and groups meet the bound's factors one by one; a fit over few sizes", "l2": "with tied projections the derivation's logarithm is not needed",
    "nystromformer": "Lipschitz in truth: its six steps of Newton and Schulz overflow the calculus, and a theorem on odd functions of singular values is lacking",
    "performer": "the bound takes numerator and denominator of unnormalised exponential features apart: it is loose",
}  # fmt: skip
"""Where they differ, why; said by hand, after a look at each."""


def row(e: Entry) -> dict[str, Any]:
    """What is computed of one entry."""
    diagram = anatomy.load(f"zoo:{e.name}")
    stated = {p.split("=")[0].strip(): int(p.split("=")[1]) for p in (e.head["sizes"] or "").split(",") if "=" in p}
    sizes = dict(Trial(diagram, stated).chosen)
    found = anatomy.regularity(diagram, sizes, growth=EFFORT)
    whole = anatomy.regularity(diagram, sizes, radius=math.inf, growth=False)
    growth = {
        axis: {k: g[k] for k in ("symbolic", "bound", "fitted", "agrees", "bounds", "attained")} for axis, g in found.growth.items()
    }
    return {
        "name": e.name, "hash": digest(diagram), "sizes": sizes, "verdict": found.verdict, "everywhere": whole.verdict, "upper": found.upper,
        "lower": found.lower, "max_token": found.certificate.get("max_token"), "method": found.method, "responsible": found.responsible,
        "reason": found.certificate.get("reason"), "growth": growth, "claim": e.head.values().get("lipschitz"),
        "milliseconds": _spent(diagram, sizes),
    }  # fmt: skip


def _spent(diagram: Diagram, sizes: dict[str, int]) -> float:
    """Processor time of the upper bound, norms of weights not known before."""
    import torch

    from anatomy.regularity import tensor

    weights, _ = numeric(build(diagram, sizes, seed=0, dtype=torch.float64))
    full = sizes_of(diagram, sizes)
    tensor._norms.clear()
    start = time.process_time()
    with suppress(Stuck):
        compose(diagram, full, weights, 1.0)
    return round(1000 * (time.process_time() - start), 1)


def kept(store: Path = STORE) -> dict[str, dict[str, Any]]:
    """What was computed before."""
    return json.loads(store.read_text("utf-8")) if store.is_file() else {}


def keep(rows: dict[str, dict[str, Any]], store: Path) -> None:
    text = json.dumps({k: rows[k] for k in sorted(rows)}, indent=1, ensure_ascii=False)
    store.with_suffix(".tmp").write_text(text + "\n", "utf-8")
    store.with_suffix(".tmp").replace(store)


# the page -------------------------------------------------------------------------------------


def page(rows: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown, with what differs from the claims and from what is derived on paper."""
    shown = [(e, rows[e.name]) for e in entries() if e.name in rows]
    finite = [r for _, r in shown if r["upper"] and r["lower"]]
    ratios = sorted(r["upper"] / r["lower"] for r in finite)
    times = sorted(r["milliseconds"] for _, r in shown)
    lines = [
        "# How regular the mechanisms are", "",
        "Made by `python -m zoo.regularity`; every figure is computed at the sizes named, with weights drawn by the initialisers (seed 0).",
        "The norm is Frobenius in and out, every token in the unit ball. *Bound* is proved, *attained* is a derivative that was found.",
        "*Everywhere* is about the whole space; `not` there is numerical evidence (derivatives that keep growing with the radius) unless a theorem is named.",
        "*In R* and *in n*: the order of the bound, and the exponent of what is attained over a range of sizes or radii around it.", "",
        f"{len(shown)} entries, {len(finite)} with a finite bound, median ratio {_middle(ratios):.3g}; a bound takes {_middle(times):.0f} ms (median).", "",
        "| mechanism | in the unit ball | everywhere | bound | attained | ratio | in R | in n | by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [_line(e, r) for e, r in shown]
    for title, found in (("Where the claims and the computation differ", _claims(shown)), ("Where the bound and the derivation on paper differ", _differences(shown))):
        lines += ["", f"## {title}", "", *(found or ["None."])]
    return "\n".join([*lines, ""])


def _middle(values: Sequence[float]) -> float:
    return values[len(values) // 2] if values else math.nan


def _line(e: Entry, r: dict[str, Any]) -> str:
    growth = r["growth"]
    lengths = [_order(k, g) for k, g in growth.items() if k != "radius"]
    by = r["method"] if r["upper"] is not None else (r["responsible"] or "")
    ratio = f"{r['upper'] / r['lower']:.3g}" if r["upper"] and r["lower"] else ""
    cells = [
        f"[{e.name}]({e.path.relative_to(HERE).as_posix()})", r["verdict"].replace("_", " "), r["everywhere"].replace("_", " "),
        _number(r["upper"]), _number(r["lower"]), ratio, _order("R", growth["radius"]) if "radius" in growth else "", "; ".join(lengths), by,
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _order(name: str, g: dict[str, Any]) -> str:
    attained = "" if g["fitted"] is None else f" ({name}^{g['fitted']:.2f})"
    return f"{g['symbolic'] or '?'}{attained}"


def _claims(shown: list[tuple[Entry, dict[str, Any]]]) -> list[str]:
    """A claim is of the whole space; a jump in the ball is one everywhere."""
    against, more, open_ = [], [], []
    for e, r in shown:
        verdict = r["verdict"] if r["verdict"] == "not_lipschitz_on_domain" else r["everywhere"]
        if verdict == r["claim"]:
            continue
        if verdict == "unknown":
            open_.append(f"`{e.name}`")
        elif verdict.startswith("not_") and str(r["claim"]).startswith("not_"):
            more.append(f"- `{e.name}` claims `{r['claim']}`, computed is `{verdict}`{_because(r)}, which says more")
        else:
            against.append(f"- `{e.name}` claims `{r['claim']}`, computed is `{verdict}`{_because(r)}")
    said = [f"- claimed and tried by `anatomy zoo check`, neither proved nor witnessed here: {', '.join(open_)}"] if open_ else []
    return against + more + said


def _because(r: dict[str, Any]) -> str:
    return f" ({r['responsible']}: {r['reason']})" if r["reason"] else ""


def _differences(shown: list[tuple[Entry, dict[str, Any]]]) -> list[str]:
    found = []
    for e, r in shown:
        if e.name not in DERIVED:
            continue
        verdict, radius, length = DERIVED[e.name]
        ours = "none" if r["verdict"] == "not_lipschitz_on_domain" else "global" if r["everywhere"] == "globally_lipschitz" else "local"
        if r["verdict"] == "unknown":
            ours = "unknown"
        orders = {k: g["symbolic"] for k, g in r["growth"].items()}
        in_n = next((v for k, v in orders.items() if k != "radius"), None)
        parts = []
        if ours != verdict:
            parts.append(f"verdict {ours}, on paper {verdict}")
        if orders and orders.get("radius") not in (radius, None) and radius != "-":
            parts.append(f"in R {orders['radius']}, on paper {radius}")
        if in_n is not None and length != "-" and in_n not in length.split(", then "):
            parts.append(f"in n {in_n}, on paper {length}")
        if parts:
            found.append(f"- `{e.name}`: {'; '.join(parts)}" + (f" ({WHY[e.name]})" if e.name in WHY else ""))
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m zoo.regularity", description="the table of the zoo's Lipschitz constants")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all", action="store_true", help="compute every entry anew")
    parser.add_argument("--page", action="store_true", help="write the page only")
    parser.add_argument("--store", type=Path, default=STORE, help="where results are kept")
    options = parser.parse_args(arguments)
    rows = {} if options.all else kept(options.store)
    for e in _due(options, rows):
        rows[e.name] = row(e)
        keep(rows, options.store)
        r = rows[e.name]
        print(f"{e.name:<28} {r['verdict']:<24} {_number(r['upper']):>11} {_number(r['lower']):>11} {r['milliseconds']:>8} ms", flush=True)
    if options.store == STORE:
        PAGE.write_text(page(rows), "utf-8")
    return 0


def _due(options: argparse.Namespace, rows: dict[str, dict[str, Any]]) -> Iterator[Entry]:
    for e in entries():
        if options.page or (options.names and e.name not in options.names):
            continue
        if options.names or e.name not in rows or rows[e.name]["hash"] != digest(anatomy.load(f"zoo:{e.name}")):
            yield e


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
