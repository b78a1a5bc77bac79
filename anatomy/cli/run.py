"""`compile` and `regularity`: commands about what a diagram computes."""

from __future__ import annotations

import argparse
from pathlib import Path

from anatomy.cli.output import add_json, add_sizes, emit, sizes
from anatomy.errors import fail
from anatomy.target import load_diagram


def add(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET")
    add_sizes(parser)
    parser.add_argument("--seed", type=int, default=0, help="fixes the initialisation")
    if name == "compile":
        parser.add_argument("--lift", action="append", default=[], metavar="AXIS", help="a batch axis in front; may be repeated")
        parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; standard output without it")
        parser.set_defaults(run=write_module)
    else:
        parser.add_argument("--radius", type=float, default=1.0, help="every token in a ball of this radius; inf for the whole space")
        parser.add_argument("--norm", choices=("frobenius", "max_token"), default="frobenius")
        parser.add_argument("--plot", metavar="FILE", help="draw bounds against the radius (.svg)")
        add_json(parser)
        parser.set_defaults(run=regularity)


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


def regularity(options: argparse.Namespace) -> int:
    from anatomy.api import regularity as certify

    if options.plot:
        raise fail("E106", "`--plot` waits for a later version")
    if not options.radius >= 0:
        raise fail("E902", f"a radius of {options.radius} is no radius", help="give a number from 0 to inf")
    diagram = load_diagram(options.target)
    found = certify(diagram, sizes(options.size), options.radius, options.norm, options.seed)
    data = found.model_dump(mode="json")
    if options.json:
        emit(data)
        return 0
    print(f"{options.target}: {data['verdict'].replace('_', ' ')}")
    rows = ("domain", "norm", "upper", "lower", "ratio", "method", "responsible")
    for key in rows:
        if data.get(key) is not None:
            value = data[key]
            if isinstance(value, float):
                value = _rounded(value, up=key == "upper")
            print(f"  {key:<12} {value}")
    for axis, growth in (data.get("growth") or {}).items():
        parts = [f"{k} {v}" for k, v in (growth or {}).items() if v is not None]
        if parts:
            print(f"  growth in {axis}: {', '.join(parts)}")
    return 0


def _rounded(value: float, up: bool) -> str:
    """Six significant digits, an upper bound rounded up and a lower bound down."""
    from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal

    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    return str(Context(prec=6, rounding=ROUND_UP if up else ROUND_DOWN).create_decimal(Decimal(value)).normalize())
