"""`zoo list|show|diff|check|map`: the library of attention mechanisms."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anatomy.claims.head import VERDICTS
from anatomy.cli import atlas
from anatomy.cli.output import add_json, emit, report
from anatomy.library.difference import Difference, difference
from anatomy.library.entry import Entry, entries, entry
from anatomy.library.exchange import groups
from anatomy.library.select import Wanted, select

YES_NO = argparse.BooleanOptionalAction


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="mechanisms by what they claim, hold and say")
    listing.add_argument("words", nargs="*", metavar="WORD", help="words that title, authors, idea or letters hold")
    listing.add_argument("--causal", action=YES_NO, help="no position reads a later one")
    listing.add_argument("--equivariant", action=YES_NO, help="permuting tokens permutes outputs")
    listing.add_argument("--length-generic", action=YES_NO, help="one set of weights serves every length")
    listing.add_argument("--cost", metavar="C", help="as claimed: n, 'n * m', n^2, 'n log n' ...")
    listing.add_argument("--lipschitz", choices=VERDICTS, help="the verdict claimed")
    listing.add_argument("--folder", metavar="F", help="what is changed: softmax, score, normaliser, position, mask ...")
    listing.add_argument("--part", metavar="P", help="only those that label this part")
    listing.add_argument("--years", metavar="Y", help="2017, 2017-2019 or 2020-")
    listing.add_argument("--parts", action="store_true", help="the parts, grouped: those of one group may stand for each other")
    add_json(listing)
    listing.set_defaults(run=show_all)
    one = actions.add_parser("show", help="the text of one")
    one.add_argument("name")
    add_json(one)
    one.set_defaults(run=show_one)
    two = actions.add_parser("diff", help="what the second changes of the first")
    two.add_argument("left")
    two.add_argument("right")
    add_json(two)
    two.set_defaults(run=diff)
    check = actions.add_parser("check", help="verify claims by analysis and by trial")
    check.add_argument("targets", nargs="*", metavar="TARGET", help="names or files (default: the whole library)")
    add_json(check)
    check.set_defaults(run=verify_all)
    atlas.add(actions.add_parser("map", help="which mechanisms are one, and which become which, drawn"))


def show_all(options: argparse.Namespace) -> int:
    wanted = Wanted(
        options.causal, options.equivariant, options.length_generic, options.cost, options.lipschitz,
        options.folder, options.part, options.years, options.words,
    )  # fmt: skip
    found = select(entries(), wanted)
    if options.parts:
        return show_parts(found, options.json, options.part)
    if options.json:
        emit([e.data() for e in found])
        return 0
    width = max((len(e.name) for e in found), default=0)
    for e in found:
        print(f"{e.name:<{width}}  {e.head.year or '':<4}  {e.head['title'] or e.name}")
    return 0


def show_parts(found: Sequence[Entry], as_data: bool, label: str | None) -> int:
    made = [g for g in groups(found) if label in (None, g.label)]
    if as_data:
        emit(
            [
                {"part": g.label, "signature": g.signature, "mechanisms": list(g.names), "addresses": [f"zoo:{e.name}::{p.address}" for e, p in g.members]}
                for g in made
            ]
        )
        return 0
    import textwrap

    for g in made:
        count = len(g.names)
        print(f"{g.label}{g.signature}   {count} mechanism{'s' if count != 1 else ''}")
        print(textwrap.fill(", ".join(g.names), 118, initial_indent="    ", subsequent_indent="    "))
    return 0


def show_one(options: argparse.Namespace) -> int:
    found = entry(options.name)
    if options.json:
        emit(found.data() | {"text": found.source.text})
    else:
        print(found.source.text, end="")
    return 0


def diff(options: argparse.Namespace) -> int:
    found = difference(entry(options.left), entry(options.right))
    if options.json:
        emit(
            {
                "left": found.left.name,
                "right": found.right.name,
                "parts": {
                    "added": dict(found.added),
                    "removed": dict(found.removed),
                    "changed": {n: {"from": a, "to": b} for n, a, b in found.changed},
                },
                "biases": {"added": list(found.biased), "removed": list(found.unbiased)},
                "claims": {k: {"from": a, "to": b} for k, a, b in found.claims},
                "lines": list(found.lines),
            }
        )
    else:
        print("\n".join(told(found)))
    return 0 if found.empty else 1


def told(found: Difference) -> list[str]:
    """A difference in the words in which a paper introduces itself."""
    head = found.right.head
    lines = [f"{found.right.name}, against {found.left.name}: {head['title']} ({head.year})"]
    if head["idea"]:
        lines.append(f"  {head['idea']}")
    if found.empty:
        lines.append("  no difference but the head")
    lines += [f"  adds     {n}{t}" for n, t in found.added]
    lines += [f"  drops    {n}{t}" for n, t in found.removed]
    for n, a, b in found.changed:
        lines += [f"  changes  {n}{a}", f"  into     {n}{b}"]
    for word, learners in (("adds", found.biased), ("drops", found.unbiased)):
        if learners:
            lines.append(f"  {word:<8} the bias{'es' if len(learners) > 1 else ''} of {', '.join(learners)}")
    if found.claims:
        lines.append(f"  claims   {'; '.join(f'{k} {b}, was {a}' for k, a, b in found.claims)}")
    return lines + [f"  {line[0]} {line[1:]}" for line in found.lines]


def verify_all(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from anatomy.claims import verify

    files = [Path(t) if t.endswith(".anat") else entry(t).path for t in options.targets] or [e.path for e in entries()]
    found = []
    progress = track(files, "claims", console=Console(stderr=True), disable=not sys.stderr.isatty() or len(files) < 2, transient=True)
    for file in progress:
        found += verify(file)
    report(found, options.json)
    wrong = sum(d.severity == "error" for d in found)
    if not options.json:
        doubts = len(found) - wrong
        print(f"{len(files)} file{'s' if len(files) != 1 else ''}: {wrong or 'no'} false claim{'s' if wrong != 1 else ''}" + (f", {doubts} undecided" if doubts else ""))
    return 1 if wrong else 0
