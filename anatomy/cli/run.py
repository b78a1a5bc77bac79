"""`compile`: a diagram as a module of PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from anatomy.cli.output import add_sizes, sizes
from anatomy.target import load_diagram


def add(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET")
    add_sizes(parser)
    parser.add_argument("--seed", type=int, default=0, help="fixes the initialisation")
    parser.add_argument("--lift", action="append", default=[], metavar="AXIS", help="a batch axis in front; may be repeated")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; standard output without it")
    parser.set_defaults(run=write_module)


def write_module(options: argparse.Namespace) -> int:
    from anatomy.compiler import generate

    lift = [a for item in options.lift for a in item.split(",")]
    text = generate(load_diagram(options.target), sizes(options.size), lift, options.seed).source
    if options.output is None:
        print(text, end="")
    else:
        Path(options.output).write_text(text, "utf-8")
        print(options.output)
    return 0
