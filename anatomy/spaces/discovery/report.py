"""The discovery report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from anatomy.spaces.funnel.classes import difference

if TYPE_CHECKING:
    from anatomy.spaces.discovery.discover import Discovery, Find

SHOWN = 40


def report(found: Discovery) -> str:
    return "\n".join([*_head(found), *_new(found), *_known(found), *_surprises(found), *_conjectures(found), *_method(found), ""])


def written(choices: dict[str, str]) -> str:
    return ", ".join(f"{name} **{value}**" for name, value in choices.items())


def _head(d: Discovery) -> Iterator[str]:
    f = d.funnel
    yield from (f"# What the space `{f.space.name}` holds", "")
    yield f"{f.typed:,} members, {f.canonical:,} different diagrams, {f.algebra or f.normal or f.canonical:,} different functions as far as is proved."
    unlike = "" if d.reparametrised is None else f" Up to the choice of weights there are {d.reparametrised:,}."
    yield f"{len(d.known):,} of them are mechanisms of the literature. {d.new:,} are new and causal, serve every length, depend on their input and stay finite; {d.linear:,} of these are linear in the length.{unlike}"
    yield from ("", "```", f.as_text(most=4), "```", "")


def _new(d: Discovery) -> Iterator[str]:
    yield from ("## New, causal, for every length, linear, Lipschitz", "")
    if not d.finds:
        yield from (f"None: of {d.linear:,} that are new and linear, {d.compared['bounds']:,} were asked for a bound.", "")
        return
    first = d.finds[0].bound
    sizes = ", ".join(f"{a}={n}" for a, n in first["sizes"].items())
    yield f"Each is a function that no entry of the zoo is, by the laws nor by other weights. The bound is of the map of all tokens, in the {first['norm']} norm, for {first['domain']}, at {sizes} and weights drawn by their initialisers (seed 0); `at least` is attained by some input."
    yield from ("", "| member | made of | cost | Lipschitz | at most | at least |", "|---:|---|---|---|---:|---:|")
    yield from map(_row, d.finds)
    yield ""


def _row(f: Find) -> str:
    cost = _power(f.written) if f.written <= 1 else f"{_power(f.written)} as written, {_power(f.compiled or 0)} as compiled"
    where = "everywhere" if f.bound["verdict"] == "globally_lipschitz" else "on the domain"
    return f"| {f.rank} | {written(f.choices)} | {cost} | {where} | {_short(f.bound['upper'])} | {_short(f.bound['lower'])} |"


def _power(power: int) -> str:
    return "1" if power <= 0 else "n" if power == 1 else f"n^{power}"


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.3g}"


def _known(d: Discovery) -> Iterator[str]:
    yield from ("## The literature, found again", "")
    if not d.known:
        yield from ("No class is an entry of the zoo.", "")
        return
    yield from ("`==`: equal by the laws. `~=`: the same functions, by other weights.", "", "| member | made of | | entry | |", "|---:|---|---|---|---|")
    for k in d.known[:SHOWN]:
        at = f" ({k.at})" if k.at else ""
        yield f"| {k.rank} | {written(dict(d.funnel.space.choices(k.rank)))} | `{k.relation}` | {k.name}{at} | {k.who} |"
    if len(d.known) > SHOWN:
        yield f"| | and {len(d.known) - SHOWN:,} more | | | |"
    yield ""


def _surprises(d: Discovery) -> Iterator[str]:
    yield from ("## Equalities that surprise", "")
    if not d.surprises:
        yield from ("No two members are one.", "")
    for k, s in enumerate(d.surprises, 1):
        e = s.why
        yield f"{k}. {e.kept} = {e.alias}" + (f", and {s.times - 1:,} more in the same way" if s.times > 1 else "")
        yield from (f"   - {name}: **{a}** = **{b}**" for name, a, b in e.differ)
        laws = list(dict.fromkeys(law for _, law in e.steps))
        yield "   - because " + ("they are one diagram" if e.level == "L1" else f"of {', '.join(f'`{law}`' for law in laws)}" if laws else f"they agree modulo a prime (wrong by a chance < {e.error:.0e})" if e.error else "they are one term")
    yield ""


def _conjectures(d: Discovery) -> Iterator[str]:
    yield from ("## Conjectures for the library of laws", "")
    if not d.conjectures:
        yield from ("No two classes are equal in numbers without a derivation.", "")
        return
    space, rows = d.funnel.space, d.funnel.found.rows
    yield "Members that agree to eight digits at every point that was tried (three size assignments, inputs and weights normal times 1, 0.01, 6 and 0), and that no law is known to make equal. None is merged."
    yield ""
    for group in d.conjectures[:SHOWN]:
        alive = bool(rows["facts"][group[0]] & 2)
        what = "" if alive else "; they do not depend on the input"
        yield f"- {len(group):,} classes{what}: {written(dict(space.choices(group[0])))} ({group[0]})"
        yield from (f"  - {b}: {difference(space, group[0], b)}" for b in group[1:4])
        if len(group) > 4:
            yield f"  - and {len(group) - 4:,} more"
    yield ""


def _method(d: Discovery) -> Iterator[str]:
    c = d.compared
    yield from ("## What was compared", "")
    yield f"- {c['classes_compared']:,} of {c['classes']:,} classes with {c['entries']:,} entries of the zoo that have the same inputs and results, in {c['variants_of_entries']:,} variants: as they are, with one head, and with their inner sizes alike. {c['entries_without_normal_form']:,} variants have no complete normal form and could not be met."
    yield f"- The cost after the compiler's passes was worked out for {c['costs_compiled']:,} classes, bounds for {c['bounds']:,}, spread evenly over those that are new and linear; {c['bounds_that_say_nothing']:,} of these have none, or one above a million, and are not listed."
    yield "- A class that is none of these entries may still be known elsewhere: the zoo is not the literature."
