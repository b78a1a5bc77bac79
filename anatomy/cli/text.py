"""`check`, `fmt`, `explain`: commands about text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from anatomy.cli.output import add_json, colour, emit, report
from anatomy.errors import AnatomyError, Diagnostic, fail

if TYPE_CHECKING:
    from anatomy.rewrites.statuses import Checked


def add(name: str, parser: argparse.ArgumentParser) -> None:
    match name:
        case "check":
            parser.add_argument("files", nargs="+", metavar="FILE")
            parser.add_argument("--fix", action="store_true", help="apply the edits that diagnostics propose")
            parser.add_argument("--sarif", action="store_true", help="print SARIF 2.1.0")
            add_json(parser)
            parser.set_defaults(run=check)
        case "fmt":
            parser.add_argument("files", nargs="+", metavar="FILE")
            parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file would change")
            parser.set_defaults(run=fmt)
        case _:
            parser.add_argument("code", nargs="?", metavar="CODE", help="for example E305; all codes are listed without it")
            parser.set_defaults(run=explain)


def examine(file: str) -> tuple[tuple[Diagnostic, ...], int, list[Checked]]:
    """All diagnostics of a file (also of `zoo:name`), how many diagrams it declares, and its rules, verified."""
    from anatomy.language import syntax as s
    from anatomy.target import resolve

    try:
        program, name = resolve(file)
        if name is not None and name not in program.root.names:
            program.get(name)
    except AnatomyError as error:
        return error.diagnostics, 0, []
    diagnostics, rules = program.check(), []
    if program.names(s.RuleDecl) and not any(d.severity == "error" for d in diagnostics):
        from anatomy.rewrites.statuses import verify_all

        rules = verify_all(program)
        diagnostics = tuple(sorted((*diagnostics, *(c.diagnostic for c in rules if c.diagnostic)), key=lambda d: d.order))
    if program.names(s.DeriveDecl) and not any(d.severity == "error" for d in diagnostics):
        from anatomy.rewrites.derive import derive_all

        wrong = [d for derivation in derive_all(program) for d in derivation.diagnostics]
        diagnostics = tuple(sorted((*diagnostics, *wrong), key=lambda d: d.order))
    return diagnostics, len(program.names()), rules


def check(options: argparse.Namespace) -> int:
    found: list[Diagnostic] = []
    verified: list[Checked] = []
    diagrams = 0
    for file in options.files:
        diagnostics, count, rules = examine(file)
        if options.fix and any(d.edits for d in diagnostics):
            from anatomy.errors.printer import apply_edits
            from anatomy.language.scope import read

            path = Path(file.partition("::")[0])
            if path.is_file():
                write(path, apply_edits(read(path), diagnostics))
                diagnostics, count, rules = examine(file)
        found.extend(d for d in diagnostics if d not in found)
        diagrams += count
        verified += rules
    if options.sarif:
        from anatomy import __version__
        from anatomy.errors.printer import as_sarif

        emit(as_sarif(found, __version__))
    elif options.json and verified:
        from anatomy.errors.printer import as_json
        from anatomy.rewrites.statuses import as_json as rows

        emit(as_json(found) + rows(verified))
    else:
        report(found, options.json)
    errors = sum(d.severity == "error" for d in found)
    if not options.json and not options.sarif:
        warnings = len(found) - errors
        parts = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
        files = f"{len(options.files)} file{'s' * (len(options.files) != 1)}"
        summary = " and ".join(parts) if parts else f"{diagrams} diagram{'s' * (diagrams != 1)}, {rules_of(verified)}no errors"
        print(("\n" if found else "") + f"{files}: {summary}", file=sys.stderr if found else sys.stdout)
    return 1 if errors else 0


def rules_of(verified: list[Checked]) -> str:
    if not verified:
        return ""
    from anatomy.rewrites.statuses import summary

    return f"{summary(verified)}, "


def fmt(options: argparse.Namespace) -> int:
    from anatomy.language.format import format_text
    from anatomy.language.scope import read

    status = 0
    for file in options.files:
        path = Path(file)
        try:
            source = read(path)
            text = format_text(source)
        except AnatomyError as error:
            report(error.diagnostics)
            status = 1
            continue
        if text != source.text:
            if options.check:
                print(f"would change {file}")
                status = 1
            else:
                write(path, text)
                print(f"formatted {file}")
    return status


def write(path: Path, text: str) -> None:
    """Replace a file at once, so that an interruption loses nothing."""
    import os
    import tempfile

    mode = path.stat().st_mode
    handle, temporary = tempfile.mkstemp(dir=path.resolve().parent, suffix=".anat.tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(temporary, mode)
        os.replace(temporary, path.resolve())
    except BaseException:
        os.unlink(temporary)
        raise


def explain(options: argparse.Namespace) -> int:
    from anatomy.errors.catalogue import codes, page

    if options.code is None:
        for code in codes():
            print(f"{code}  {page(code).splitlines()[0].lstrip('# ').removeprefix(code).lstrip(': ')}")
        return 0
    code = options.code.upper()
    if code not in codes():
        import difflib

        near = difflib.get_close_matches(code, codes(), 3, 0.4)
        raise fail("E203", f"there is no code `{options.code}`", help=f"near are: {', '.join(near)}" if near else "`anatomy explain` lists all")
    text = page(code)
    if colour(sys.stdout):
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        print(text.rstrip())
    return 0
