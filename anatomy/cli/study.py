"""`study smoothness`: local constants on text, adversarial inputs and bounds of attention layers against the number of tokens."""

from __future__ import annotations

import argparse
import sys

from anatomy.cli.output import add_json, emit


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    sub = actions.add_parser("smoothness", help="how smooth attention is, after Castin, Ablin and Peyré (2024)")
    sub.add_argument("--out", required=True, metavar="DIR", help="results and report; run again to go on where it stopped")
    sub.add_argument("--models", default="gpt2-random,smollm2,minilm", metavar="A,B", help="default: gpt2-random,smollm2,minilm")
    sub.add_argument("--quick", action="store_true", help="one layer, few tokens, few inputs: about a minute")
    sub.add_argument("--seed", type=int, default=0)
    add_json(sub)
    sub.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Exit status 1 where no model could be measured; what differs from expectations is a finding and no failure."""
    from anatomy.study import plan, smoothness

    wanted = plan([m.strip() for m in options.models.split(",")], options.quick, options.seed)
    found = smoothness(options.out, wanted, progress=sys.stderr.isatty())
    if options.json:
        emit(found.as_data())
        return 0 if found.cells else 1
    for line in found.skipped:
        print(line)
    for each in found.findings:
        word = {True: "agrees", False: "DIFFERS", None: "       "}[each["holds"]]
        print(f"{word}  ({each['key']}) {each['words']}")
    print(f"{found.measured} cells measured, {found.cells} in all; report: {found.folder / 'report.html'}")
    return 0 if found.cells else 1
