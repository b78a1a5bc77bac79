"""`compile`: a diagram as a module of PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from anatomy.cli.output import add_json, add_sizes, emit, sizes
from anatomy.target import load_diagram


def add(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET")
    add_sizes(parser)
    parser.add_argument("--seed", type=int, default=0, help="fixes the initialisation")
    parser.add_argument("--lift", action="append", default=[], metavar="AXIS", help="a batch axis in front; may be repeated")
    parser.add_argument("--ensemble", type=int, metavar="S", help="so many models in one module, along an axis in front of all others")
    parser.add_argument("--shared", action="append", default=[], metavar="INPUT", help="an input that all models of the ensemble read; may be repeated")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; standard output without it")
    parser.add_argument("--passes", default="all", metavar="LIST", help="which rewrites: `all`, `none`, names, `-NAME` to take one out")
    parser.add_argument("--explain", action="store_true", help="list what every pass rewrote, with its line, in place of the source; with --json as JSON")
    add_json(parser)
    parser.set_defaults(run=write_module)


def write_module(options: argparse.Namespace) -> int:
    from anatomy.compiler import chosen, generate

    lift = [a for item in options.lift for a in item.split(",")]
    passes = chosen([w.strip() for w in options.passes.split(",")])
    shared = [name for item in options.shared for name in item.split(",")]
    made = generate(load_diagram(options.target), sizes(options.size), lift, options.seed, passes, options.ensemble, shared)
    if options.output is not None:
        Path(options.output).write_text(made.source, "utf-8")
    if options.json:
        emit([{"pass": n.name, "line": n.line, "text": n.text} for n in made.notes])
    elif options.explain:
        for n in made.notes:
            print(f"{'' if n.line is None else f'line {n.line}':<9} {n.name:<12} {n.text}")
        print(f"{len(made.notes)} rewrite{'' if len(made.notes) == 1 else 's'}")
    elif options.output is None:
        print(made.source, end="")
    else:
        print(options.output)
    return 0
