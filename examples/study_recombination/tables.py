"""The numbers of the study: `tables.py save DIR` writes results.json from a sweep's folder, `tables.py` prints the README's tables from it.

Every table of the README stands between two comments, `<!-- table NAME -->` and `<!-- end -->`, and is what this prints;
`tables.py fill` writes them there. The statistics are those of `anatomy.sweep.statistics`, computed anew each time.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from saved import ALIKE, HERE, LEARNT, PARTS, TASKS, found, judged, load, member, part, save, task, told
from scipy.stats import kendalltau
from shown import chance, grid, loss, named, number, percent, rank_of, score, spread

from anatomy.sweep.results import Entry


def summary() -> str:
    """The findings in sentences; their numbers are made, their words are checked by hand when the results change."""
    lines = []
    for name in TASKS:
        which, mine = judged(name)
        if not mine.effects or not mine.interactions:
            lines.append(f"On `{name}` nothing is ranked. {mine.words}")
            continue
        top = max(mine.effects, key=lambda e: e.share.value)
        rest = ", ".join(
            f"{e.hole} {percent(e.share)}" for e in sorted(mine.effects, key=lambda e: -e.share.value) if e is not top
        )
        rivals = [e.hole for e in mine.effects if e is not top and (e.share.high or 0.0) >= (top.share.low or 0.0)]
        alike = f" That of {' and '.join(rivals)} may be as large." if rivals else ""
        ends = sorted(top.levels, key=lambda v: v.effect.value)
        lines.append(
            f"**Of the four parts of the crossed design the {top.hole} has the largest share on `{name}`**: {percent(top.share)} of the variance between variants ({which}), "
            f"from {ends[0].option}, {spread(ends[0].effect)}, to {ends[-1].option}, {spread(ends[-1].effect)}. The others: {rest}.{alike}"
        )
        pair = mine.interactions[0]
        cell = max(pair.cells, key=lambda c: abs(c.beyond.value))
        lines.append(
            f"The largest interaction of these parts on `{name}` is {' x '.join(pair.holes)}: {percent(pair.share)} of the variance, p {chance(pair.p)}; "
            f"{cell.first} with {cell.second} lies {spread(cell.beyond)} beyond the sum of the two."
        )
    alone, constant = member(0), member(4)
    lines.append(
        f"**Fourteen diagrams are six functions.** Of the four that attend at all, recall is learnt only by the two whose query, key and value all come from the token "
        f"({_seeds(alone)} with softmax, {_seeds(member(7))} with linear weights); a constant query does not learn it ({_seeds(constant)}, {_seeds(member(11))}), and on characters is at this budget better: "
        f"{score(constant, 'characters')} against {score(alone, 'characters')} with softmax, {score(member(11), 'characters')} against {score(member(7), 'characters')} with linear weights."
    )
    firsts = sorted(part("literature"), key=lambda e: -(e.score(task("characters")) or 0.0))[:3]
    able = [e for e in part("literature") if e.scores(task("recall")) and min(e.scores(task("recall"))) > LEARNT]
    lines.append(
        f"Of the twenty of the library, {len(able)} learn recall with both seeds: {', '.join(named(e) for e in able)}. On characters {', '.join(named(e) for e in firsts)} come first "
        f"({', '.join(score(e, 'characters') for e in firsts)})."
    )
    for a in found().agreements:
        if a.kind in ("seeds", "tasks"):
            between = "seeds of `" + _plain(a.first).partition(",")[0] + "`" if a.kind == "seeds" else "the two tasks"
            lines.append(
                f"Rank agreement between {between}: tau-b {spread(a.tau, 2)}"
                + ("" if a.most is None else f"; seeds alone let it reach about {a.most:.2f}")
                + "."
            )
    worst = max((x for x in _ranges()), key=lambda x: x[2])
    lines.append(f"Equal functions trained apart differ by at most {worst[2]:.4f} ({worst[0]}, {worst[1]}).")
    return "\n".join(f"- {line}" for line in lines)


def _seeds(entry: Entry) -> str:
    return " and ".join(f"{s:.2f}" for s in entry.scores(task("recall")))


def _ranges() -> list[tuple[str, str, float]]:
    found = []
    for what, ranks in ALIKE.items():
        for name in TASKS:
            values = [member(k).score(task(name)) or 0.0 for k in ranks]
            found.append((what, name, max(values) - min(values)))
    return found


def controls() -> str:
    """Controls and the words of the statistics about each task."""
    rows = [(named(e), *(score(e, t) for t in TASKS), loss(e)) for e in load().entries if e.role == "control"]
    text = grid(("control", "recall", "characters", "nats"), rows, (1, 2, 3))
    for name in TASKS:
        mine = told(name)
        text += f"\n\n`{name}`: {mine.words} {len(mine.groups)} groups."
    return text


def _row(entry: Entry) -> tuple[Any, ...]:
    upper, verdict = number(entry.bounds.get("upper")), str(entry.bounds.get("verdict", "")).replace("_", " ")
    letters = [told(t).letters.get(entry.name, "") for t in TASKS]
    each = " ".join(f"{s:.2f}" for s in entry.scores(task("recall")))
    return (
        each,
        f"{score(entry, 'characters')} {_short(letters[1])}".strip(),
        loss(entry),
        entry.check.get("parameters", ""),
        verdict,
        "none" if upper is None else f"{upper:.3g}",
    )


def _short(letters: str) -> str:
    return f"`{letters}`" if 0 < len(letters) <= 6 else f"`{letters[:2]}..{letters[-2:]}`" if letters else ""


HEAD = ("recall, each seed", "characters", "nats", "parameters", "Lipschitz at initialisation", "bound")


def best() -> str:
    """The twelve best on characters, and what they make of recall, where the best cannot be ordered."""
    chosen = sorted(load().members, key=lambda e: (rank_of(e, "characters"), e.place))[:12]
    rows = [(e.choices.get("space", ""), named(e), *_row(e)[1:4], _row(e)[0]) for e in chosen]
    return grid(("part", "variant", "characters", "nats", "parameters", "recall, each seed"), rows, (3, 4))


def fourteen() -> str:
    rows = [(named(e), *_row(e)) for e in part("fourteen")]
    return grid(("mix, query, key, value", *HEAD), rows, (3, 4, 6))


def literature() -> str:
    rows = [
        (named(e), *_row(e)) for e in sorted(part("literature"), key=lambda e: -(e.score(task("characters")) or 0.0))
    ]
    return grid(("mechanism", *HEAD), rows, (3, 4, 6))


def recombined() -> str:
    rows = [(*[v for k, v in e.choices.items() if k != "space"], *_row(e)[:3], _row(e)[-1]) for e in part("recombined")]
    return grid(("score", "normaliser", "position", "gate", *HEAD[:3], "bound"), rows, (6, 7))


def effects() -> str:
    rows = []
    for name in TASKS:
        which, mine = judged(name)
        for effect in mine.effects:
            levels = "; ".join(f"{v.option} {spread(v.effect)}" for v in effect.levels)
            rows.append(
                (
                    f"{name}, {which}",
                    effect.hole,
                    percent(effect.share),
                    chance(effect.p),
                    chance(effect.elsewhere),
                    levels,
                )
            )
        if mine.additive is not None:
            rows.append((f"{name}, {which}", "*all main effects together*", percent(mine.additive), "", "", ""))
    return grid(
        ("task", "part", "share of variance", "p", "p elsewhere", "effect of each option, beside the mean"), rows
    )


def interactions() -> str:
    rows = []
    for name in TASKS:
        which, mine = judged(name)
        for pair in mine.interactions:
            cells = sorted(pair.cells, key=lambda c: -abs(c.beyond.value))[:2]
            shown = "; ".join(f"{c.first} with {c.second} {spread(c.beyond)}" for c in cells)
            rows.append((f"{name}, {which}", " x ".join(pair.holes), percent(pair.share), chance(pair.p), shown))
    return grid(("task", "pair", "share of variance", "p", "largest cells, beyond the sum of main effects"), rows)


def learnt() -> str:
    """Trainings of the crossed design that learnt recall, by option and by pair of normaliser and gate, with Wilson's intervals."""
    from scipy.stats import binomtest

    members = part("recombined")

    def count(inside: Sequence[Entry]) -> str:
        scores = [s for e in inside for s in e.scores(task("recall"))]
        if not scores:
            return "-"
        good = sum(s > LEARNT for s in scores)
        low, high = binomtest(good, len(scores)).proportion_ci(method="wilson")
        return f"{good} of {len(scores)} ({low:.0%} to {high:.0%})"

    def options(hole: str) -> list[str]:
        return list(dict.fromkeys(e.choices[hole] for e in members))

    rows = [
        (hole, "; ".join(f"{o} {count([e for e in members if e.choices[hole] == o])}" for o in options(hole)))
        for hole in PARTS
    ]
    first = grid(("part", "trainings that learnt recall"), rows)
    cells = [
        (
            n,
            *(
                count([e for e in members if e.choices["normaliser"] == n and e.choices["gate"] == g])
                for g in options("gate")
            ),
        )
        for n in options("normaliser")
    ]
    return first + "\n\n" + grid(("normaliser \\ gate", *options("gate")), cells)


def largest() -> str:
    """Means of the cells of the largest interaction of each task."""
    tables = []
    for name in TASKS:
        _, mine = judged(name)
        if not mine.interactions:
            continue
        a, b = mine.interactions[0].holes
        both = [e for e in load().members if a in e.choices and b in e.choices]
        firsts, seconds = (list(dict.fromkeys(e.choices[h] for e in both)) for h in (a, b))
        rows = []
        for x in firsts:
            cells = []
            for y in seconds:
                inside = [e.score(task(name)) for e in both if e.choices[a] == x and e.choices[b] == y]
                kept = [s for s in inside if s is not None]
                cells.append(f"{sum(kept) / len(kept):.3f} ({min(kept):.3f} to {max(kept):.3f})" if kept else "-")
            rows.append((x, *cells))
        tables.append(
            f"`{name}`: mean score (least to greatest of the variants in the cell)\n\n"
            + grid((f"{a} \\ {b}", *seconds), rows)
        )
    return "\n\n".join(tables)


def agreement() -> str:
    rows = [
        (a.kind, _plain(a.first), _plain(a.second), spread(a.tau, 2), "-" if a.most is None else f"{a.most:.2f}")
        for a in found().agreements
    ]
    return grid(("between", "first", "second", "Kendall's tau-b (95 %)", "what seeds allow"), rows)


def _plain(label: str) -> str:
    """A task's name without its parameters; the rest of the label stays."""
    for facts in load().tasks:
        label = label.replace(facts.label, facts.label.partition(":")[0])
    return label


def alike() -> str:
    """Members that are the same function, trained each by itself."""
    rows = []
    for what, ranks in ALIKE.items():
        for name in TASKS:
            values = [member(k).score(task(name)) or 0.0 for k in ranks]
            letters = [set(told(name).letters.get(member(k).name, "")) for k in ranks]
            shared = "yes" if letters and set.intersection(*letters) else "no"
            rows.append(
                (
                    what,
                    len(ranks),
                    name,
                    f"{min(values):.4f}",
                    f"{max(values):.4f}",
                    f"{max(values) - min(values):.4f}",
                    shared,
                )
            )
    return grid(("function", "variants", "task", "least", "greatest", "range", "one group"), rows, (1, 3, 4, 5))


def regularity() -> str:
    """Scores by verdict, and by thirds of the bound."""
    members = [e for e in load().members if e.bounds]
    rows = []
    for verdict in dict.fromkeys(str(e.bounds.get("verdict")) for e in members):
        inside = [e for e in members if str(e.bounds.get("verdict")) == verdict]
        rows.append((verdict.replace("_", " "), len(inside), *_medians(inside)))
    finite = sorted(
        (e for e in members if number(e.bounds.get("upper")) is not None),
        key=lambda e: (number(e.bounds["upper"]) or 0.0, e.place),
    )
    third = -(-len(finite) // 3)
    for k in range(0, len(finite), third):
        inside = finite[k : k + third]
        low, high = (number(x.bounds["upper"]) or 0.0 for x in (inside[0], inside[-1]))
        rows.append((f"bound {low:.3g} to {high:.3g}", len(inside), *_medians(inside)))
    return grid(("variants", "number", "median recall", "median characters"), rows, (1, 2, 3))


def _medians(inside: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(f"{median([e.score(task(t)) or 0.0 for e in inside]):.3f}" for t in TASKS)


def twice() -> str:
    """The scores beside those of the same sweep on another processor, whose sums differ in the last bits."""
    other: dict[str, dict[str, list[float]]] = json.loads((HERE / "elsewhere.json").read_text("utf-8"))
    rows = []
    for name in TASKS:
        pairs = [
            (here, there, e, run)
            for e in load().entries
            for run, (here, there) in enumerate(zip(e.scores(task(name)), other[e.name][name], strict=True))
        ]
        apart = sorted((abs(a - b) for a, b, *_ in pairs), reverse=True)
        a, b, most, seed = max(pairs, key=lambda p: abs(p[0] - p[1]))
        means = [(e.score(task(name)) or 0.0, sum(other[e.name][name]) / len(other[e.name][name])) for e in load().members]
        tau = kendalltau(*zip(*means, strict=True)).statistic
        rows.append(
            (
                name,
                len(pairs),
                sum(x == 0 for x in apart),
                sum(x > 0.01 for x in apart),
                f"{apart[0]:.4f} ({named(most)}, seed {seed}: {a:.3f} here, {b:.3f} there)",
                f"{tau:+.3f}",
            )
        )
    head = ("task", "trainings", "same score to the last bit", "apart by more than 0.01", "farthest apart", "tau-b of the means of the 66")
    return grid(head, rows, (1, 2, 3, 5))


def cost() -> str:
    """CPU-seconds by rung."""
    whole = load()
    rows = []
    for stage, seconds in whole.seconds.items():
        jobs = sum(
            bool(getattr(e, {"check": "check", "initialisation": "initialisation", "regularity": "bounds"}.get(stage, "runs"))) for e in whole.entries
        )
        jobs = sum(len(e.runs) for e in whole.entries) if stage == "train" else jobs
        rows.append((stage, jobs, f"{seconds:,.0f}", f"{seconds / max(jobs, 1):.2f}"))
    rows.append(("*all*", sum(r[1] for r in rows), f"{sum(whole.seconds.values()):,.0f}", ""))
    return grid(("rung", "jobs", "CPU-seconds", "CPU-seconds a job"), rows, (1, 2, 3))


def warnings() -> str:
    lines = [f"- `{_plain(t.task)}`: {w}" for t in found().tasks for w in t.warnings]
    return "\n".join([*lines, *(f"- {_plain(w)}" for w in found().warnings)])


TABLES: dict[str, Callable[[], str]] = {
    f.__name__: f
    for f in (
        summary,
        controls,
        best,
        fourteen,
        literature,
        recombined,
        effects,
        interactions,
        learnt,
        largest,
        agreement,
        alike,
        regularity,
        twice,
        cost,
        warnings,
    )
}
BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The README with every table made anew."""
    return BLOCK.sub(lambda m: m[1] + TABLES[m[2]]() + m[3], text)


def main(words: Sequence[str]) -> None:
    readme = HERE / "README.md"
    match list(words):
        case ["save", folder]:
            save(Path(folder))
        case ["fill"]:
            readme.write_text(filled(readme.read_text("utf-8")), "utf-8")
        case []:
            print("\n\n".join(f"## {name}\n\n{table()}" for name, table in TABLES.items()))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
