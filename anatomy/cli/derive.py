"""`derive`: check derivations, fill in what they leave open, and draw them as film strips."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anatomy.cli.output import add_json, emit, report
from anatomy.errors import fail
from anatomy.errors.printer import as_json
from anatomy.language.program import Program
from anatomy.rewrites.derive import Derivation, derive
from anatomy.target import resolve


def add(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="FILE.anat for all its derivations, FILE.anat::name for one")
    parser.add_argument("--fill", action="store_true", help="print the diagrams that stand for `?`")
    parser.add_argument("--write", action="store_true", help="put the diagrams that stand for `?`, and the rules that were found, into the file")
    parser.add_argument("--film", metavar="OUT", help="draw the diagrams as a film strip: .svg, .png or .pdf (of one derivation)")
    parser.add_argument("--book", action="store_true", help="TARGET is a folder: write its README.md and a film strip for every derivation in it")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from anatomy.language import syntax as s

    if options.book:
        from anatomy.rewrites.book import write

        print("\n".join(map(str, write(Path(options.target)))) or "all current")
        return 0
    program, name = resolve(options.target)
    names = [name] if name is not None else program.names(s.DeriveDecl)
    if not names:
        raise fail("E203", f"`{options.target}` declares no derivation")
    if options.film and len(names) > 1:
        listed = ", ".join(f"`{options.target}::{n}`" for n in names)
        raise fail("E203", f"`{options.target}` declares {len(names)} derivations; name one to be drawn", help=listed)
    errors = [d for d in program.check() if d.severity == "error"]
    if errors:
        report(errors, options.json)
        return 1
    found = [derive(program, n) for n in names]
    if options.write:
        from anatomy.rewrites.fillin import written_out

        path, before = Path(program.root.source.path), program.root.source.text
        after = written_out(program, found)
        if after != before:
            path.write_text(after, "utf-8")
    if options.film:
        from anatomy.rewrites.film import Film

        Film.suffix(options.film)
    if options.json:
        emit([{**as_data(d, options.fill), "tested": tested(program, d)} for d in found])
    else:
        for derivation in found:
            listing(derivation, options.fill, tested(program, derivation))
            report(derivation.diagnostics)
    if options.film and not found[0].diagnostics:
        from anatomy.rewrites.film import Film

        rules = [rule for name in program.names(s.RuleDecl) if (rule := program.rule(name)) is not None]
        Film(found[0], tuple(rules)).save(options.film)
        if not options.json:
            print(options.film)
    return int(any(d.diagnostics for d in found))


def as_data(d: Derivation, fill: bool) -> dict[str, Any]:
    from anatomy.ir.canonical import digest
    from anatomy.language.unparse import unparse
    from anatomy.rewrites.film import changes

    steps = []
    for line, became in zip(d.lines, changes(d) if d.lines else (), strict=True):
        row: dict[str, Any] = {
            "relation": line.relation, "to": line.name, "by": list(line.by), "hash": digest(line.diagram),
            "open": line.open, "conjecture": line.conjecture, "assumed": list(line.assumed), "searched": line.left_out,
            "limit": line.limit, "laws": list(line.laws), "conditions": list(line.conditions),
            "boxes": became,
        }  # fmt: skip
        if fill and line.open:
            row["text"] = unparse(line.diagram)
        steps.append(row)
    return {
        "name": d.name, "left": d.left, "right": d.right, "claimed": d.claimed, "holds": not d.diagnostics,
        "relation": d.relation if not d.diagnostics else None, "conjecture": d.conjecture,
        "limit": d.limit, "conditions": list(d.conditions), "steps": steps,
        "diagnostics": as_json(d.diagnostics),
    }  # fmt: skip


def tested(program: Program, d: Derivation) -> list[str]:
    """The rules among its reasons that are tested, in float64 at many sizes, and not proved."""
    from anatomy.language import syntax as s
    from anatomy.rewrites.library import library
    from anatomy.rewrites.verify import verify

    words = sorted({word.removesuffix("^") for line in d.lines for word in line.by})
    known = {r.name: r for r in library()} | {n: r for n in program.names(s.RuleDecl) if (r := program.rule(n)) is not None}
    return [w for w in words if w in known and verify(known[w]).status == "tested"]


def listing(d: Derivation, fill: bool, rests: Sequence[str] = ()) -> None:
    """The steps of a derivation that holds, one a line, and the rules that it rests on without a proof."""
    if d.diagnostics:
        print(f"{d.name}: does not hold")
        return
    notes = ", a conjecture: a step rests on evaluation" if d.conjecture else ""
    assumed = sorted({name for line in d.lines for name in line.assumed})
    notes += f", assuming {', '.join(assumed)}" if assumed else ""
    if d.limit:
        count = sum(line.limit for line in d.lines)
        notes += f" (universal approximation: {count} of {len(d.lines)} step{'s' if len(d.lines) != 1 else ''} up to limits, uniform on compact sets)"
    print(f"{d.name}: {d.left} {d.relation} {d.right}{notes}")
    wide = max([len(line.name) for line in d.lines], default=0)
    for line in d.lines:
        marks = ["conjecture"] * line.conjecture + ["found"] * line.left_out + [f"limit: {', '.join(line.laws)}"] * line.limit
        print(f"  {line.relation} {line.name:<{wide}}  by {line.reason}" + (f"  ({'; '.join(marks)})" if marks else ""))
        if fill and line.open:
            from anatomy.language.unparse import unparse

            print("".join(f"       {text}".rstrip() + "\n" for text in unparse(line.diagram).splitlines()), end="")
    for k, condition in enumerate(d.conditions):
        print(("  where " if not k else "    and ") + condition)
    if rests:
        print(f"  by rules that are tested, not proved: {', '.join(rests)}")
