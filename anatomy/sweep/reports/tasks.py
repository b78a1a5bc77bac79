"""One task on the page: what it can tell, groups, main effects with their intervals, interactions as heat maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from anatomy.sweep.findings import Effect, Interaction, TaskFindings
from anatomy.sweep.reports.markup import bullets, prose
from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.rounding import between, probability, score, several, shares, signed, told
from anatomy.sweep.results import TaskFacts

NAMED, OPEN_EFFECTS, OPEN_MAPS, MAPS, PAIRS = 12, 8, 2, 12, 40
"""Names of a group, holes and heat maps that stand open, heat maps and pairs at most."""


def row_id(place: int) -> str:
    return f"row-{place}"


def link(material: Material, name: str) -> str:
    """A name that opens its variant; without scripts it leads to its row, or to the table."""
    place = material.places.get(name)
    if place is None:
        return escape(name)
    target = row_id(place) if place in material.top else "variants"
    return f'<a href="#{target}" data-open="{escape(name)}">{escape(name)}</a>'


def task_section(material: Material, task: TaskFacts, key: str) -> Iterator[str]:
    found = material.findings_of.get(task.label)
    yield f'<section id="{key}"><h2>What the task <code>{escape(task.label)}</code> can tell</h2>'
    facts = [f"{' then '.join(f'{b:,}' for b in task.budgets)} steps" if task.budgets else "not trained"]
    facts += [f"family {task.family}"] if task.family else []
    facts += [f"chance {task.chance:.3g}"] if task.chance is not None else []
    if found is not None and found.sigma is not None:
        facts.append(f"standard deviation between seeds {found.sigma:.3g} ({several(found.freedom, 'degree')} of freedom)")
    if found is not None and found.detectable is not None:
        facts.append(f"least difference that can be told {found.detectable:.3f}")
    yield f'<p class="facts">{escape("; ".join(facts))}</p>'
    if found is None:
        yield "<p>Nothing was worked out for this task.</p></section>"
        return
    yield f'<p class="finding{"" if found.supported else " weak"}">{prose(found.words)}</p>'
    yield bullets(found.warnings, "warnings")
    yield from _groups(material, found)
    yield from _effects(found, task.budgets[-1] if task.budgets else 0)
    yield from _interactions(found)
    yield "</section>"


def _groups(material: Material, found: TaskFindings) -> Iterator[str]:
    if not found.groups:
        return
    choices = {e.name: e.choices for e in material.results.members}
    yield '<h3>Groups</h3><p class="note">The first holds the best variant and all that cannot be told from it, the next the best of the rest and all of the rest that cannot be told from that, and so on. No order is meant inside a group, and the ends of neighbours may be alike.' + (
        " Variants that share no letter can be told apart; where a letter is shared, seeds may explain the difference." if found.letters else "") + '</p><ol class="groups">'
    for k, names in enumerate(found.groups):
        values = [found.scores[n].value for n in names if n in found.scores]
        spread = "" if not values else score(max(values)) if len(values) == 1 or score(min(values)) == score(max(values)) else f"{score(max(values))} to {score(min(values))}"
        shared = common([choices[n] for n in names if n in choices])
        same = f'<p class="note">All have {escape(", ".join(f"{h} = {o}" for h, o in shared.items()))}.</p>' if shared and len(names) > 1 else ""
        head = f'<b class="n">{spread}</b> <span>{several(len(names), "variant")}</span>'
        named = ", ".join(link(material, n) + (f"<sup>{escape(found.letters[n])}</sup>" if n in found.letters else "") for n in names[:NAMED])
        rest = f"<span> and {len(names) - NAMED:,} more</span>" if len(names) > NAMED else ""
        if k < 6:
            yield f"<li><p>{head}</p><p>{named}{rest}</p>{same}</li>"
        else:
            yield f"<li><details><summary>{head}</summary><p>{named}{rest}</p>{same}</details></li>"
    yield "</ol>"


def common(choices: Sequence[dict[str, str] | object]) -> dict[str, str]:
    """The options that all of them share.

    >>> common([{"a": "x", "b": "y"}, {"a": "x", "b": "z"}])
    {'a': 'x'}
    """
    first = choices[0] if choices else {}
    assert isinstance(first, dict)
    return {h: o for h, o in first.items() if all(isinstance(c, dict) and c.get(h) == o for c in choices)}


def _effects(found: TaskFindings, full: int) -> Iterator[str]:
    if not found.effects:
        return
    effects = sorted(found.effects, key=lambda e: -e.share.value)
    ends = [x for e in effects for level in e.levels for x in (level.effect.value, level.effect.low, level.effect.high) if x is not None]
    low, high = min(0.0, *ends), max(0.0, *ends)
    yield "<h3>What each part does</h3><p>How far the mean score of the variants with an option lies from the mean of all, the other parts being equal, with its interval of 95 %. Solid dots: the interval leaves out zero.</p>"
    if found.additive is not None:
        yield f"<p>All main effects together account for {shares(found.additive)} of the variance between variants; the rest is what the parts do together.</p>"
    if found.budget is not None and found.budget != full:
        yield f"<p><b>These are effects at {found.budget:,} steps</b>, where all variants took part, not at the full {full:,}.</p>"
    for k, effect in enumerate(effects):
        if k == OPEN_EFFECTS:
            yield f"<details><summary>{several(len(effects) - k, 'more part')} with smaller effects</summary>"
        yield _effect(effect, low, high)
    if len(effects) > OPEN_EFFECTS:
        yield "</details>"


def _effect(effect: Effect, low: float, high: float) -> str:
    def at(value: float) -> float:
        return 100 * (value - low) / ((high - low) or 1.0)

    rows: list[str] = []
    for level in sorted(effect.levels, key=lambda level: -level.effect.value):
        e = level.effect
        line = ""
        if e.low is not None and e.high is not None:
            line = f'<i class="line" style="left:{at(e.low):.2f}%;width:{at(e.high) - at(e.low):.2f}%"></i>'
        interval = f"{signed(e.low)} to {signed(e.high)}" if e.low is not None and e.high is not None else "no interval"
        rows.append(
            f'<tr><th scope="row">{escape(level.option)}</th><td class="n">{e.count:,}</td>'
            f'<td class="range"><i class="zero" style="left:{at(0):.2f}%"></i>{line}<i class="dot{" sure" if told(e) else ""}" style="left:{at(e.value):.2f}%"></i></td>'
            f'<td class="n">{signed(e.value)}</td><td class="n soft">{interval}</td></tr>'
        )
    p = f"; {probability(effect.p)}" if effect.p is not None else ""
    p += f", beyond the variants swept {probability(effect.elsewhere)}" if effect.elsewhere is not None else ""
    return (
        f'<table class="effect"><caption><b>{escape(effect.hole)}</b> <span>{escape(shares(effect.share))} of the variance between variants{escape(p)}</span></caption>'
        '<thead><tr><th scope="col">option</th><th scope="col" class="n">variants</th><th scope="col">effect on the score</th>'
        f'<th scope="col" class="n"><span class="unseen">effect</span></th><th scope="col" class="n">95 %</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _interactions(found: TaskFindings) -> Iterator[str]:
    pairs = [i for i in found.interactions if i.cells]
    if not pairs:
        return
    yield "<h3>What pairs of parts do together</h3><p>The score of two options together beyond the sum of their own effects. Bold: the interval of 95 % leaves out zero. Hover or focus a cell for its interval. Largest first.</p>"
    largest = max((abs(c.beyond.value) for i in pairs for c in i.cells), default=0.0)
    yield '<div class="maps">'
    for pair in pairs[:OPEN_MAPS]:
        yield heat_map(pair, largest)
    yield "</div>"
    if len(pairs) > OPEN_MAPS:
        yield f"<details><summary>{several(len(pairs) - OPEN_MAPS, 'more pair')}</summary>"
        yield '<div class="maps">'
        for pair in pairs[OPEN_MAPS:MAPS]:
            yield heat_map(pair, largest)
        yield "</div>"
        if len(pairs) > MAPS:
            rows = "".join(
                f'<tr><td>{escape(i.holes[0])}</td><td>{escape(i.holes[1])}</td><td class="n">{escape(shares(i.share))}</td><td class="n">{probability(i.p) if i.p is not None else "–"}</td></tr>'
                for i in pairs[MAPS:PAIRS]
            )
            left = f'<p class="note">{several(len(pairs) - PAIRS, "smaller pair")} left out.</p>' if len(pairs) > PAIRS else ""
            yield f'<div class="scroll"><table class="plain"><thead><tr><th scope="col" colspan="2">pair</th><th scope="col" class="n">share of the variance</th><th scope="col" class="n">p</th></tr></thead><tbody>{rows}</tbody></table></div>{left}'
        yield "</details>"


def heat_map(pair: Interaction, largest: float) -> str:
    """Cells of a pair: blue above the sum of the effects, orange below; the stronger, the farther from it."""
    rows = list(dict.fromkeys(c.first for c in pair.cells))
    columns = list(dict.fromkeys(c.second for c in pair.cells))
    cells = {(c.first, c.second): c.beyond for c in pair.cells}
    out: list[str] = []
    for first in rows:
        line = [f'<th scope="row">{escape(first)}</th>']
        for second in columns:
            found = cells.get((first, second))
            if found is None:
                line.append('<td class="empty">·</td>')
                continue
            strength = abs(found.value) / largest if largest else 0.0
            tip = escape(f"{first} with {second}: {between(found, signed)}, {several(found.count, 'variant')}")
            kind = "up" if found.value >= 0 else "down"
            shown = signed(found.value)
            text = f"<b>{shown}</b>" if told(found) else shown
            line.append(f'<td class="{kind}" tabindex="0" data-tip="{tip}" style="--s:{100 * strength:.0f}%">{text}<span class="unseen">, {tip}</span></td>')
        out.append(f"<tr>{''.join(line)}</tr>")
    p = f", {probability(pair.p)}" if pair.p is not None else ""
    p += "" if pair.apart else "; not told from other pairs, but as though it alone interacted"
    head = "".join(f'<th scope="col"><span>{escape(c)}</span></th>' for c in columns)
    return (
        f'<table class="map"><caption><b>{escape(pair.holes[0])} × {escape(pair.holes[1])}</b> <span>{escape(shares(pair.share))} of the variance{escape(p)}</span></caption>'
        f'<thead><tr><td></td>{head}</tr></thead><tbody>{"".join(out)}</tbody></table>'
    )
