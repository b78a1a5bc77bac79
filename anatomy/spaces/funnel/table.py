"""The funnel as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from anatomy.spaces.funnel.classes import difference
from anatomy.spaces.funnel.points import FARTHEST, place

if TYPE_CHECKING:
    from anatomy.spaces.funnel.record import Filter, Funnel

BAR = 24
LISTED = 4000
"""Merged members up to which the reasons are put together."""


def text(funnel: Funnel, most: int) -> str:
    """Counts level by level, filters, and the reasons for merges, the most frequent first."""
    return "\n".join([*_levels(funnel), "", *_filters(funnel.filters), *_costs(funnel), *_notes(funnel), *_reasons(funnel, most)])


def row(name: str, count: int, of: int, words: str) -> str:
    bar = "█" * round(BAR * count / of) if of and of < 10**15 else ""
    return f"{name:<14} {count:>14,}  {bar or '▏' * (count > 0):<{BAR}}  {words}"


def _levels(f: Funnel) -> Iterator[str]:
    top = f.derivations
    yield row("derivations", f.derivations, top, "as written")
    yield row("typed", f.typed, top, "every part fits, every condition holds")
    if f.symmetric is not None and f.symmetric != f.typed:
        yield row("symmetric", f.symmetric, top, "up to the symmetry that is declared")
    yield row("L1 canonical", f.canonical, top, f"different diagrams; {f.typed - f.canonical:,} merged")
    if f.normal is not None:
        yield row("L2 laws", f.normal, top, f"different normal forms; {f.canonical - f.normal:,} merged, each with a derivation")
    if f.normal is not None and f.algebra is not None and f.numeric is not None:
        searched = sum(m.derived for m in f.found.merges)
        late = f.normal - f.algebra - searched
        error = max((m.error for m in f.found.merges), default=0.0)
        words = f"{late:,} merged as equal modulo a prime" + (f" (wrong by a chance < {error:.0e} each)" if late else "")
        yield row("L3a algebra", f.algebra, top, words + (f", {searched:,} by a derivation that was searched" if searched else ""))
        yield row("L3b numbers", f.numeric, top, f"if {len(f.conjectures):,} conjectures held; not merged")


def _filters(filters: tuple[Filter, ...]) -> Iterator[str]:
    yield f"{'of these':<24} {'holds':>12} {'fails':>12} {'not known':>12} {'left':>12}"
    for f in filters:
        yield f"  {f.name.replace('_', ' '):<22} {f.holds:>12,} {f.fails:>12,} {f.unknown:>12,} {f.left:>12,}"


def _costs(f: Funnel) -> Iterator[str]:
    shown = ", ".join(f"{'no length' if p < 0 else 'constant' if p == 0 else 'n' if p == 1 else f'n^{p}'} {c:,}" for p, c in f.costs)
    yield f"  cost as written        {shown}"


def _notes(f: Funnel) -> Iterator[str]:
    found = f.found
    notes = []
    if found.level != "L1" and not found.complete:
        notes.append(f"L2 was tried on {len(found.forms):,} members that are equal in numbers to others, not on all: a class may be split")
    if found.level == "L3" and place(f.space) + 1 > FARTHEST:
        notes.append(f"positions up to {place(f.space):,} are named, and members were compared on {FARTHEST} tokens: L3b may be blind to what is farther away")
    if found.unchecked:
        notes.append(f"{found.unchecked:,} more share a fingerprint of values with another, and were not compared any further: L3b counts them as equal")
    if found.unfinished:
        notes.append(f"{found.unfinished:,} normal forms were cut short, and stand for themselves")
    if found.redrawn:
        a, b = found.redrawn[0]
        notes.append(f"{len(found.redrawn):,} more are the same function with weights drawn in another way, and stay apart: {a} and {b}")
    if found.refuted:
        notes.append(f"{len(found.refuted):,} have one normal form and other values (a law has no value there), and stay apart")
    if found.searched < len(found.conjectures) + sum(m.derived for m in found.merges):
        notes.append(f"a derivation was searched for {found.searched:,} pairs that are equal in numbers; not for all, and not for those that are constant")
    notes += [f"refused: {words}" for words in f.refused]
    yield from (["", *notes] if notes else [])


def _reasons(f: Funnel, most: int) -> Iterator[str]:
    for a, b in f.conjectures[:most]:
        yield f"  conjecture {a} = {b}: {difference(f.space, a, b)}"
    if len(f.conjectures) > most:
        yield f"  ... and {len(f.conjectures) - most:,} more conjectures"
    if f.typed - f.canonical + len(f.found.merges) > LISTED:
        yield f"  {f.typed - (f.algebra or f.normal or f.canonical):,} members were merged; `anatomy space explain TARGET I J` tells why"
        return
    reasons: dict[str, list[str]] = {}
    for item in f.merged:
        for alias in item.aliases:
            reasons.setdefault(alias.reason, []).append(f"{item.index} = {alias.index}")
    ordered = sorted(reasons.items(), key=lambda pair: -len(pair[1]))
    for words, pairs in ordered[:most]:
        shown = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3:,} more" if len(pairs) > 3 else "")
        yield f"  {words}: {shown}"
    if len(reasons) > most:
        yield f"  ... and {len(reasons) - most:,} more reasons; `--json` lists all"
