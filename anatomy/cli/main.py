"""Arguments, dispatch, exit status: 0 done, 1 the answer is no or the input has errors, 2 wrong usage, 3 a fault."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from anatomy import __version__
from anatomy.errors import AnatomyError

COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("anatomy.cli.text", "check files and show what is wrong, and how to mend it"),
    "fmt": ("anatomy.cli.text", "format files in place"),
    "explain": ("anatomy.cli.text", "explain a diagnostic code, with a wrong and a right example"),
    "show": ("anatomy.cli.look", "type, weights, parameters, cost and properties of a diagram"),
    "hash": ("anatomy.cli.look", "the canonical hash of a diagram"),
    "equal": ("anatomy.cli.look", "which equalities hold between two diagrams"),
    "derive": ("anatomy.cli.derive", "check derivations, step by step, and draw them"),
    "render": ("anatomy.cli.look", "draw a diagram: .svg .png .pdf .dot .txt"),
    "zoo": ("anatomy.cli.zoo", "the library of attention mechanisms"),
    "compile": ("anatomy.cli.run", "write a standalone PyTorch module"),
    "regularity": ("anatomy.cli.regularity", "verdict and bounds of the Lipschitz constant"),
    "space": ("anatomy.cli.space", "count and show the members of a space"),
    "sweep": ("anatomy.cli.sweep", "train and compare the members of a space"),
    "study": ("anatomy.cli.study", "reproduce a published study of smoothness on diagrams"),
}
"""Each command with the module that defines `add(parser)` and the function it runs."""


def parser_for(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Only the asked command's arguments are built, so that start-up stays short."""
    parser = argparse.ArgumentParser(
        prog="anatomy",
        description="Attention architectures as diagrams.",
        epilog="A diagram is addressed as FILE.anat::name, a member of the zoo as zoo:name.",
    )
    parser.add_argument("--version", action="version", version=f"anatomy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = next((a for a in argv if not a.startswith("-")), None)
    for name, (module, words) in COMMANDS.items():
        sub = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        if name == asked:
            importlib.import_module(module).add(name, sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        options = parser_for(arguments).parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return options.run(options)
    except AnatomyError as error:
        from anatomy.cli.output import report

        report(error.diagnostics, getattr(options, "json", False))
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"anatomy: {error}", file=sys.stderr)
        return 1
    except Exception:
        import traceback

        traceback.print_exc()
        print(
            "\nThis is a fault of anatomy, not of your input. Please report it with the text above and the diagram file:\n"
            "https://github.com/attention-anatomy/attention-anatomy/issues",
            file=sys.stderr,
        )
        return 3
